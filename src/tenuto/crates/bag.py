"""The files that make a crate a BagIt bag (RFC 8493): declaration, information, manifests. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tenuto.model.units import format_bytes

BAGIT_TXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
FORMAT = "tenuto-crate-1"
PAYLOAD = "data/"


@dataclass(frozen=True, slots=True, kw_only=True)
class BagInfo:
    """What `bag-info.txt` says of a crate; `predecessor` is the infohash v2 of the revision before."""

    archive: str
    contact: str
    crate: str
    description: str
    dated: date
    kind: str
    access: str
    band: str
    edition: str
    plan: str
    revision: int = 0
    predecessor: str = ""

    def encode(self, payload_bytes: int, payload_files: int) -> bytes:
        """The file, one `Label: value` a line (RFC 8493, 2.2.2)."""
        lines = [
            ("Source-Organization", self.archive),
            ("Contact-Email" if "@" in self.contact else "Contact-Name", self.contact),
            ("External-Identifier", self.crate),
            ("External-Description", self.description),
            ("Bagging-Date", self.dated.isoformat()),
            ("Bag-Size", format_bytes(payload_bytes)),
            ("Payload-Oxum", f"{payload_bytes}.{payload_files}"),
            ("Tenuto-Format", FORMAT),
            ("Tenuto-Kind", self.kind),
            ("Tenuto-Access", self.access),
            ("Tenuto-Band", self.band),
            ("Tenuto-Edition", self.edition),
            ("Tenuto-Plan", self.plan),
            ("Tenuto-Revision", str(self.revision)),
            ("Tenuto-Predecessor", self.predecessor),
        ]
        return "".join(f"{label}: {' '.join(value.split())}\n" for label, value in lines if value).encode()


def parse_info(content: bytes) -> dict[str, str]:
    """The labels of a `bag-info.txt`; a line that begins with white space goes on with the one before."""
    found: dict[str, str] = {}
    label = ""
    for line in content.decode("utf-8", "replace").splitlines():
        if line[:1].isspace() and label:
            found[label] += f" {line.strip()}"
        elif ":" in line:
            label, _, value = line.partition(":")
            found[label] = value.strip()
    return found


def manifest(files: Iterable[tuple[str, str]]) -> bytes:
    """A manifest of (path, sha256 in hex); paths of crates need no escaping, they have no `%` and no line ends."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in files).encode()


def parse_manifest(content: bytes) -> dict[str, str]:
    """Path -> sha256 of a manifest; raises ValueError at a line that is none."""
    found: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8").split("\n"), 1):
        if not line:
            continue
        sha256, gap, path = line.partition("  ")
        if not gap or len(sha256) != 64 or path in found:  # noqa: PLR2004 -- hex digits of SHA-256
            raise ValueError(f"line {number} is no digest and path, or names a path twice")
        found[path] = sha256
    return found

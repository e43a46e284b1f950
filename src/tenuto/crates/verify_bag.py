"""The bag within a crate: its names, its files by their manifests, its own words about itself; everything off is a finding."""

import hashlib
import json
import os
import re
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tenuto.crates.bag import BAGIT_TXT, FORMAT, PAYLOAD, BagInfo, manifest, parse_info, parse_manifest
from tenuto.crates.hashing import leaves_bytes
from tenuto.crates.names import COMPONENT_MAX_BYTES, PATH_MAX_UNITS
from tenuto.crates.reader import RECORDINGS_NAME, SEALED_CATALOGUE_NAME, SEALED_RECORDINGS_NAME, WITHDRAWN_NAME
from tenuto.crates.seal import BAGIT_NAME, INFO_NAME, LEAVES_NAME, MANIFEST_NAME, TAG_MANIFEST_NAME
from tenuto.crates.verify_zip import Report, Structure
from tenuto.crates.zipform import Entry

WITHDRAWN_FORMAT = "tenuto-withdrawn-1"

_CHUNK_BYTES = 2**20
_KEPT_MAX_BYTES = {BAGIT_NAME: 2**12, INFO_NAME: 2**16, MANIFEST_NAME: 16 * 2**20, TAG_MANIFEST_NAME: 2**16,
                   WITHDRAWN_NAME: 16 * 2**20, RECORDINGS_NAME: 64 * 2**20}  # fmt: skip
"""What is read into memory, and how large it may be: several times what the largest crate needs."""

_BANNED = frozenset('%\\/:*?"<>|')
_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\..*)?", re.IGNORECASE
)
_JOINERS = frozenset("\u200c\u200d")
CRATE_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_TAILS = {
    "open": (RECORDINGS_NAME, "data/catalogue/artist.parquet", "data/catalogue/release.parquet",
             "data/catalogue/track.parquet", "data/catalogue/credit.parquet", "data/catalogue/statement.parquet",
             "data/licences/", "data/attribution.txt", WITHDRAWN_NAME, "data/index.html", "data/check_crate.py"),
    "dark": (SEALED_RECORDINGS_NAME, SEALED_CATALOGUE_NAME, WITHDRAWN_NAME, "data/check_crate.py"),
}  # fmt: skip
_MUST = {"open": (RECORDINGS_NAME, WITHDRAWN_NAME), "dark": (SEALED_RECORDINGS_NAME, WITHDRAWN_NAME)}
_FRONT = {"open": "data/audio/", "dark": "data/recordings/"}


@dataclass(slots=True)
class Bag:
    """What a bag says of itself, as far as it could be read."""

    files: dict[str, Entry] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    """Path -> SHA-256 by either manifest."""
    content: dict[str, bytes] = field(default_factory=dict)
    front: list[Entry] = field(default_factory=list)
    """The files that were left to be read with the whole: the leaves prove them."""
    is_leaves_whole: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is of the format that this version reads."""
        return self.info.get("Tenuto-Format") == FORMAT

    @property
    def access(self) -> str:
        """Open or dark."""
        return self.info.get("Tenuto-Access", "")

    @property
    def revision(self) -> int | None:
        """0 for the first, None where nothing readable says it."""
        said = self.info.get("Tenuto-Revision", "")
        return int(said) if re.fullmatch(r"[0-9]{1,9}", said) else None


def read_bag(descriptor: int, structure: Structure, report: Report) -> Bag:
    """Read all but the recordings, check them against header and manifest, and the manifests against what is there."""
    bag = Bag()
    for entry in structure.live:
        bag.files.setdefault(structure.path_of(entry), entry)
    check_names(structure, report)
    bag.front = [entry for path, entry in bag.files.items() if _is_front(path, bag)]
    found = {
        path: _digest(descriptor, path, entry, bag) for path, entry in bag.files.items() if not _is_front(path, bag)
    }
    payload = _manifest(MANIFEST_NAME, bag, report)
    tags = _manifest(TAG_MANIFEST_NAME, bag, report)
    bag.digests = {**payload, **tags}
    inside = [path for path in bag.files if path.startswith(PAYLOAD)]
    outside = [path for path in bag.files if not path.startswith(PAYLOAD) and path != TAG_MANIFEST_NAME]
    _check_manifest(MANIFEST_NAME, payload, inside, bag, report)
    _check_manifest(TAG_MANIFEST_NAME, tags, outside, bag, report)
    for path, (sha256, crc32) in found.items():
        check_file(path, bag, sha256, crc32, report)
    bag.is_leaves_whole = LEAVES_NAME in found and found[LEAVES_NAME][0] == tags.get(LEAVES_NAME)
    if bag.files.get(BAGIT_NAME) and bag.content.get(BAGIT_NAME) != BAGIT_TXT:
        report("bag-info", BAGIT_NAME, "it has other words than a bag of this format begins with")
    _check_info(structure, bag, report)
    _check_order(structure, bag, report)
    return bag


def check_file(path: str, bag: Bag, sha256: str, crc32: int, report: Report) -> None:
    """A file that was read, against its header and the manifest."""
    if path in bag.digests and bag.digests[path] != sha256:
        report("file-differs", path, f"its sha256 is {sha256}, the manifest says {bag.digests[path]}")
    if bag.files[path].crc32 != crc32:
        report("file-differs", path, f"its CRC-32 is {crc32:08x}, its header says {bag.files[path].crc32:08x}")


def _is_front(path: str, bag: Bag) -> bool:
    """Whether it lies before `leaves.bin`, so that the leaves prove it."""
    leaves = bag.files.get(LEAVES_NAME)
    if leaves is None:
        return path.startswith(tuple(_FRONT.values()))
    return 0 < bag.files[path].header_offset < leaves.header_offset


def _digest(descriptor: int, path: str, entry: Entry, bag: Bag) -> tuple[str, int]:
    """SHA-256 and CRC-32 of a file as it is there; the content is kept where it is needed and not too large."""
    sha256, crc32, at = hashlib.sha256(), 0, entry.offset
    kept: list[bytes] | None = [] if entry.bytes <= _KEPT_MAX_BYTES.get(path, -1) else None
    while at < entry.end:
        try:
            part = os.pread(descriptor, min(_CHUNK_BYTES, entry.end - at), at)
        except OSError:
            part = b""
        if not part:
            break
        sha256.update(part)
        crc32 = zlib.crc32(part, crc32)
        at += len(part)
        if kept is not None:
            kept.append(part)
    if kept is not None:
        bag.content[path] = b"".join(kept)
    return sha256.hexdigest(), crc32


def _manifest(path: str, bag: Bag, report: Report) -> dict[str, str]:
    if path not in bag.files:
        report("bag-incomplete", path, "it is not there")
        return {}
    if path not in bag.content:
        report("bag-manifest", path, f"it has {bag.files[path].bytes:,} bytes, more than any crate's")
        return {}
    try:
        return parse_manifest(bag.content[path])
    except ValueError as error:
        report("bag-manifest", path, f"it is no manifest: {error}")
        return {}


def _check_manifest(name: str, listed: dict[str, str], there: list[str], bag: Bag, report: Report) -> None:
    if name not in bag.content:
        return
    for path in sorted(set(listed) - set(there)):
        report("bag-incomplete", path, f"{name} lists it, and it is not there")
    for path in sorted(set(there) - set(listed)):
        report("bag-manifest", path, f"it is there, and {name} does not list it")
    if set(listed) == set(there) and bag.content[name] != manifest((path, listed[path]) for path in there):
        report("bag-manifest", name, "it is not one line a file in the order of the entries")


def _check_info(structure: Structure, bag: Bag, report: Report) -> None:
    if INFO_NAME not in bag.content:
        report("bag-incomplete", INFO_NAME, "it is not there, or larger than any crate's")
        return
    bag.info = info = parse_info(bag.content[INFO_NAME])
    if not bag.is_known:
        report(
            "format-unknown",
            INFO_NAME,
            f"the crate is of format {info.get('Tenuto-Format')!r}; this version reads {FORMAT}",
        )
        return
    payload = [entry.bytes for path, entry in bag.files.items() if path.startswith(PAYLOAD)]
    oxum = f"{sum(payload)}.{len(payload)}"
    faults = [
        (info.get("External-Identifier") != structure.crate, f"it is of crate {info.get('External-Identifier')!r}"),
        (info.get("Payload-Oxum") != oxum, f"Payload-Oxum is {info.get('Payload-Oxum')!r}, the bag has {oxum}"),
        (info.get("Tenuto-Kind") not in {"recordings", "metadata", "evidence"}, f"kind {info.get('Tenuto-Kind')!r}"),
        (bag.access not in _TAILS, f"Tenuto-Access is {bag.access!r}, not open or dark"),
        (bag.revision is None, f"Tenuto-Revision is {info.get('Tenuto-Revision')!r}, no number"),
        (
            bool(bag.revision) != bool(_HEX64.fullmatch(info.get("Tenuto-Predecessor", ""))),
            f"revision {info.get('Tenuto-Revision')} has the predecessor {info.get('Tenuto-Predecessor')!r}",
        ),
    ]
    said = [message for is_off, message in faults if is_off]
    if not said and _rebuilt(info, payload, bag.revision or 0) != bag.content[INFO_NAME]:
        said = ["its labels are not those of the format, in their order, one a line"]
    for message in said:
        report("bag-info", INFO_NAME, message)


def _rebuilt(info: dict[str, str], payload: list[int], revision: int) -> bytes | None:
    """The file as the format has it, from its own values; None where they give none."""
    said = info.get
    try:
        made = BagInfo(
            archive=said("Source-Organization", ""), contact=said("Contact-Email") or said("Contact-Name", ""),
            crate=said("External-Identifier", ""), description=said("External-Description", ""),
            dated=date.fromisoformat(said("Bagging-Date", "")), kind=said("Tenuto-Kind", ""),
            access=said("Tenuto-Access", ""), band=said("Tenuto-Band", ""), edition=said("Tenuto-Edition", ""),
            plan=said("Tenuto-Plan", ""), revision=revision, predecessor=said("Tenuto-Predecessor", ""),
        )  # fmt: skip
        return made.encode(sum(payload), len(payload))
    except (ValueError, UnicodeError):
        return None


def _check_order(structure: Structure, bag: Bag, report: Report) -> None:
    """`bagit.txt` first, the recordings, the leaves, the describing tail in its order, the bag's own files last."""
    order = [structure.path_of(entry) for entry in structure.live]
    first = min([*structure.live, *structure.neutral], key=lambda one: one.header_offset, default=None)
    if first is None or structure.path_of(first) != BAGIT_NAME:
        report("zip-structure", BAGIT_NAME, "it is not the first entry")
    last = [path for path in order if path in {INFO_NAME, MANIFEST_NAME, TAG_MANIFEST_NAME}]
    if order[-3:] != last or last != [INFO_NAME, MANIFEST_NAME, TAG_MANIFEST_NAME]:
        report("zip-structure", "", f"its last entries are not {INFO_NAME}, {MANIFEST_NAME}, {TAG_MANIFEST_NAME}")
    leaves = bag.files.get(LEAVES_NAME)
    if leaves is None:
        report("bag-incomplete", LEAVES_NAME, "it is not there")
        return
    if leaves.bytes != leaves_bytes(leaves.header_offset):
        report(
            "leaves-mismatch", LEAVES_NAME, f"it has {leaves.bytes:,} bytes, not {leaves_bytes(leaves.header_offset):,}"
        )
    if bag.is_known and bag.info.get("Tenuto-Kind") == "recordings" and bag.access in _TAILS:
        _check_tail(order, bag, report)


def _check_tail(order: list[str], bag: Bag, report: Report) -> None:
    ranks = _TAILS[bag.access]
    place = order.index(LEAVES_NAME)
    for path in order[:place]:
        if path != BAGIT_NAME and not path.startswith(_FRONT[bag.access]):
            report("zip-structure", path, f"it lies before {LEAVES_NAME} and is no recording")
    for path in _MUST[bag.access]:
        if path not in bag.files:
            report("bag-incomplete", path, "it is not there")
    reached = 0
    for path in order[place + 1 :]:
        rank = next(
            (n for n, one in enumerate(ranks) if path == one or (one.endswith("/") and path.startswith(one))), None
        )
        if rank is None and path not in {INFO_NAME, MANIFEST_NAME, TAG_MANIFEST_NAME}:
            report("zip-structure", path, f"{bag.access} crates have no such file behind {LEAVES_NAME}")
        elif rank is not None and rank < reached:
            report("zip-structure", path, f"it stands behind {ranks[reached]}, out of the order of the describing tail")
        reached = max(reached, rank or 0)


# --- names


def check_names(structure: Structure, report: Report) -> None:
    """Every name keeps the rules; no two that some system takes for one."""
    spelled: dict[str, str] = {}
    if not CRATE_NAME.fullmatch(structure.crate):
        report("name-unsafe", "", f"{structure.crate!r} is no name of a crate")
    for entry in structure.live:
        fault = name_fault(entry.name, structure.crate)
        if fault:
            report("name-unsafe", repr(entry.name), fault)
            continue
        parts = structure.path_of(entry).split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            known = spelled.setdefault(_folded(name), name)
            if known != name:
                report("name-unsafe", name, f"some systems take it for {known}")
                break


def name_fault(name: str, crate: str) -> str | None:
    """Why an entry may not be called so, or None."""
    top, _, path = name.partition("/")
    if top != crate or not path:
        return f"it does not lie in the folder {crate}/"
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > PATH_MAX_UNITS:
        return f"its path is longer than {PATH_MAX_UNITS} UTF-16 units"
    return next((fault for part in path.split("/") if (fault := _component_fault(part))), None)


def _component_fault(part: str) -> str | None:
    if not part or part in {".", ".."}:
        return "it has an empty part or one of dots"
    if any(
        char in _BANNED or (unicodedata.category(char) in {"Cc", "Cf", "Cs"} and char not in _JOINERS) for char in part
    ):
        return "it holds a character that names must not have"
    if part != part.strip(". ") or _DEVICES.fullmatch(part):
        return f"{part!r} begins or ends with a dot or space, or is a device of DOS"
    if len(part.encode()) > COMPONENT_MAX_BYTES or not unicodedata.is_normalized("NFC", part):
        return f"{part!r} is longer than {COMPONENT_MAX_BYTES} bytes, or not in NFC"
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# --- what was withdrawn


def check_withdrawn(structure: Structure, bag: Bag, report: Report) -> None:
    """`withdrawn.json` names exactly the neutral entries, in its own form."""
    if WITHDRAWN_NAME not in bag.content:
        if structure.neutral or WITHDRAWN_NAME in bag.files:
            report("withdrawn-mismatch", WITHDRAWN_NAME, "it cannot be read, or is larger than any crate's")
        return
    try:
        document: Any = json.loads(bag.content[WITHDRAWN_NAME])
        if document["format"] != WITHDRAWN_FORMAT or document["revision"] != (bag.revision or 0):
            raise ValueError(f"format {document['format']!r}, revision {document['revision']!r}")  # noqa: TRY301 -- one end
        said = {_withdrawn_range(one) for one in document["withdrawn"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        report("withdrawn-mismatch", WITHDRAWN_NAME, f"it is not as a crate of this revision has it ({error})")
        return
    there = {(one.header_offset, one.offset, one.bytes) for one in structure.neutral}
    for header_offset, offset, size in sorted(said - there):
        report("withdrawn-mismatch", WITHDRAWN_NAME, _missing(header_offset, offset, size))
    for header_offset, _, _ in sorted(there - said):
        report("withdrawn-mismatch", WITHDRAWN_NAME, f"it does not name the withdrawn entry at byte {header_offset:,}")


def _missing(header_offset: int, offset: int, size: int) -> str:
    return f"at byte {header_offset:,} there is no withdrawn entry of {size:,} bytes from byte {offset:,}"


def _withdrawn_range(one: Any) -> tuple[int, int, int]:
    if set(one) != {"key", "reason", "on", "header_offset", "offset", "bytes"} or not _HEX64.fullmatch(one["key"]):
        raise ValueError("an entry has other keys, or no track key")
    date.fromisoformat(one["on"])
    numbers = one["header_offset"], one["offset"], one["bytes"]
    if not all(type(number) is int and number >= 0 for number in numbers) or not isinstance(one["reason"], str):
        raise ValueError("an entry has no offsets or no reason")
    return numbers


def payload_of(paths: Iterable[str]) -> list[str]:
    """The recordings among paths."""
    return [path for path in paths if path.startswith(tuple(_FRONT.values()))]

"""What came of a repair: of each crate, and of all."""

from dataclasses import dataclass, field

from tenuto.crates.mend import Patched
from tenuto.model.findings import Finding


@dataclass(slots=True)
class Mending:
    """What came of one crate; it is whole where `why` is empty. `received` is bytes by the name of the place they came from."""

    crate: str
    bytes: int = 0
    revision: int | None = None
    patched: Patched = field(default_factory=Patched)
    received: dict[str, int] = field(default_factory=dict)
    torrent: str = ""
    """Where its torrent was brought back from; empty where it was there."""
    restored: bool = False
    """Whether the whole file was missing."""
    cut_bytes: int = 0
    """Cut off behind its end."""
    is_linked: bool = False
    """Whether its second name, in the publication, was given back."""
    why: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_mended(self) -> bool:
        """Whether anything was done to it."""
        return bool(self.patched.pieces or self.torrent or self.restored or self.cut_bytes or self.is_linked)

    def came(self, name: str, count: int) -> None:
        """Note bytes that came from a place."""
        if count:
            self.received[name] = self.received.get(name, 0) + count


@dataclass(slots=True)
class Repaired:
    """What came of it all: each crate that was looked at, small files that were fetched again, and what is wrong still."""

    crates: list[Mending] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    files_bytes: int = 0
    bytes: int = 0
    """Read and proved."""
    findings: list[Finding] = field(default_factory=list)
    """Of the archive, beside those of crates."""

    @property
    def left(self) -> list[Mending]:
        """The crates that are not whole."""
        return [one for one in self.crates if one.why]

    @property
    def all_findings(self) -> list[Finding]:
        """The crates' and the archive's."""
        return [*(finding for one in self.crates for finding in one.findings), *self.findings]

    @property
    def received_bytes(self) -> int:
        """Everything that came from anywhere."""
        return self.files_bytes + sum(sum(one.received.values()) for one in self.crates)

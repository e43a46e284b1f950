"""Where things lie in an archive (design, section 4); the only place that joins these names."""

import re
from dataclasses import dataclass
from pathlib import Path

from tenuto.model.errors import SettingsError, UsageError

SETTINGS_NAME = "tenuto.toml"
_ONE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one archive; nothing here touches the disk but `find`."""

    root: Path

    @classmethod
    def find(cls, folder: Path) -> "Layout":
        """The archive at `folder`; raises UsageError where there is none."""
        root = folder.expanduser().absolute()
        if not (root / SETTINGS_NAME).is_file():
            raise UsageError(
                f"no archive at {folder}: it holds no {SETTINGS_NAME}; "
                f"run: tenuto init {folder} --name NAME --contact ADDRESS, or pass --archive DIR"
            )
        return cls(root)

    @property
    def settings(self) -> Path:
        """What the operator writes."""
        return self.root / SETTINGS_NAME

    @property
    def lock(self) -> Path:
        """Held by the process that works here; outside `state/`, which anyone may delete."""
        return self.root / ".tenuto.lock"

    @property
    def evidence(self) -> Path:
        """What sources answered."""
        return self.root / "evidence"

    def harvests(self, source: str) -> Path:
        """The harvests of one source."""
        return self.evidence / source

    @property
    def catalogue(self) -> Path:
        """The editions and `current`."""
        return self.root / "catalogue"

    def edition(self, edition: str) -> Path:
        """The folder of one edition."""
        return self.catalogue / edition

    @property
    def plans(self) -> Path:
        """The plans and `newest`."""
        return self.root / "plans"

    def plan(self, plan: str) -> Path:
        """The folder of one plan."""
        return self.plans / plan

    @property
    def crates(self) -> Path:
        """Open crates; also where free space is measured."""
        return self.root / "crates"

    @property
    def state(self) -> Path:
        """Caches: all of it can be rebuilt."""
        return self.root / "state"

    @property
    def parts(self) -> Path:
        """Evidence as it was read, a folder for each file."""
        return self.state / "parts"

    def lookup(self, edition: str) -> Path:
        """The index of an edition."""
        return self.state / "lookup" / edition

    @property
    def dark(self) -> Path:
        """Dark crates: mode 0700, never served."""
        return self.root / "dark"

    @property
    def publication(self) -> Path:
        """What is given out: a complete static web root."""
        return self.root / "publication"

    @property
    def withdrawals(self) -> Path:
        """The log of withdrawals: decisions, so outside `state/`."""
        return self.root / "withdrawals.jsonl"

    @property
    def withdrawn_recordings(self) -> Path:
        """The digests of what was withdrawn, mode 0600: never given out, and outside `state/`, since nothing else knows them."""
        return self.root / "withdrawn-recordings.jsonl"

    @property
    def drafts(self) -> Path:
        """Recordings fetched for crates that are not sealed yet."""
        return self.state / "drafts"

    @property
    def journals(self) -> Path:
        """What came of each draft that was sealed: failures and their reasons."""
        return self.state / "journals"

    @property
    def holdings(self) -> Path:
        """What each crate holds, read once from the crate."""
        return self.state / "holdings"

    @property
    def incoming(self) -> Path:
        """Of a mirror: crates on their way in, and those that the index does not name (any more)."""
        return self.state / "incoming"

    @property
    def known(self) -> Path:
        """Of a mirror: the highest index that each place was seen with; outside `state/`, since nothing else knows it."""
        return self.root / "known.json"

    @property
    def seeding_lock(self) -> Path:
        """Held by the process that gives out this archive's crates: it lasts, and others may work here meanwhile."""
        return self.root / ".tenuto-seed.lock"

    @property
    def pace(self) -> Path:
        """When each source may be asked next."""
        return self.state / "pace"

    def operator_path(self, written: str) -> Path:
        """A path that the operator wrote in tenuto.toml: relative to the archive, `~` allowed."""
        return self.root / Path(written).expanduser()


def read_pointer(file: Path) -> str | None:
    """The one name in a pointer file such as `catalogue/current`, or None where there is none."""
    try:
        name = file.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not _ONE_NAME.fullmatch(name):
        raise SettingsError(f"{file} should hold one name, it holds {name!r}; delete it and build again")
    return name

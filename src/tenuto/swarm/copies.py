"""Where copies of crates lie: publications on the web or in folders, other archives and mirrors, plain folders of crate files."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenuto.crates.mend import Mender, Run
from tenuto.crates.torrent import METAINFO_MAX_BYTES, Metainfo, read_metainfo
from tenuto.model.errors import IntegrityError, RetriableError, SkipRecordError, TenutoError, UsageError
from tenuto.model.progress import Progress
from tenuto.model.units import counted
from tenuto.publication.places import FolderPlace, Part, WebPlace
from tenuto.sources.http import Http

_WEB_RUN_BYTES = 64 * 2**20
"""Asked for at once from a web server: few requests, and a try again costs little."""

_WEB_GAP_BYTES = 64 * 2**10
"""Received rather than asked around: what 10 Mbit/s bring in the time of one more request."""

DOWN_S = 60.0
"""A server that did not answer is not asked for so long: its silence takes a half minute each time."""

_FOLDERS = ("", "crates/", "dark/", "publication/crates/")
"""Where a crate lies in a folder of copies, in an archive or mirror, in a publication."""

_WEB_FOLDERS = ("crates/", "")
Inode = tuple[int, int]


@dataclass(slots=True)
class Offer:
    """What came of asking one place for a crate: bytes received, pieces of which it has other bytes, and what went wrong."""

    received_bytes: int = 0
    differing: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    has_it: bool = False

    def said(self, name: str) -> str:
        """Why this place did not mend it all, as a part of a sentence."""
        if self.differing:
            return f"{name} has other bytes for {counted(len(self.differing), 'piece')}"
        if self.faults:
            return self.faults[0] if self.faults[0].startswith(name) else f"{name}: {self.faults[0]}"
        return f"{name} {'does not have all of it' if self.has_it else 'holds no such crate'}"


class Donor:
    """A place that may hold copies of crates; what it gives is believed by nobody until it is proven."""

    def __init__(self, place: FolderPlace | WebPlace) -> None:
        self.place = place
        self.name = place.name
        self._down = ""
        self._down_until = 0.0

    @property
    def is_folder(self) -> bool:
        """Whether it is on this machine: dark crates are asked for nowhere else."""
        return isinstance(self.place, FolderPlace)

    @property
    def is_down(self) -> bool:
        """Whether it did not answer a moment ago."""
        return bool(self._down) and time.monotonic() < self._down_until

    def close(self) -> None:
        """Close its connections."""
        if isinstance(self.place, WebPlace):
            self.place.close()

    def is_frugal(self, file_name: str) -> bool:
        """Whether it gives a part of a file alone: a folder, or a web server with ranges."""
        if not isinstance(self.place, WebPlace):
            return True
        if self.is_down:
            return False
        gives = self.place.gives_ranges(f"{_WEB_FOLDERS[0]}{file_name}")
        if not gives and self.place.unanswered:
            self._note_down(self.place.unanswered)
        return gives

    def give(self, mender: Mender, file_name: str, own: Inode, progress: Progress) -> Offer:
        """Let it mend what is left; `own` is the file that is being mended, which is no copy of itself."""
        offer, before = Offer(), self.place.received_bytes
        if self.is_down:
            offer.faults.append(self._down)
            return offer
        for path in self._paths(file_name, own):
            if not mender.left or (offer.has_it and not self.is_folder) or self.is_down:
                break
            progress.begin(f"mend {file_name} from {self.name}", mender.left_bytes, "bytes")
            self._give(mender, path, offer, progress)
        offer.received_bytes = self.place.received_bytes - before
        return offer

    def torrents(self, file_name: str, addresses: Sequence[str] = ()) -> Iterator[Metainfo]:
        """The torrents that it has under a crate's name, or at `addresses`; those that can be read."""
        name = f"{file_name.removesuffix('.zip')}.torrent"
        folders = _FOLDERS if self.is_folder else _WEB_FOLDERS
        publication = [f"publication/{address}" for address in addresses] if self.is_folder else []
        for path in (*addresses, *publication, *(f"{folder}{name}" for folder in folders)):
            if self.is_down:
                return
            try:
                yield read_metainfo(self.place.read(path, max_bytes=METAINFO_MAX_BYTES), path)
            except RetriableError as error:
                self._note_down(str(error))
            except (TenutoError, OSError):
                continue

    def _paths(self, file_name: str, own: Inode) -> list[str]:
        if not isinstance(self.place, FolderPlace):
            return [f"{folder}{file_name}" for folder in _WEB_FOLDERS]
        found: dict[Inode, str] = {}
        for folder in _FOLDERS:
            inode = inode_of(self.place.where(f"{folder}{file_name}"))
            if inode is not None and inode != own:
                found.setdefault(inode, f"{folder}{file_name}")
        return list(found.values())

    def _give(self, mender: Mender, path: str, offer: Offer, progress: Progress) -> None:
        def gather(runs: Sequence[Run]) -> None:
            if isinstance(self.place, FolderPlace):
                self._gather_each(path, runs, offer)
            else:
                self._gather_all(path, runs, offer, progress)

        runs = (1, 0) if self.is_folder else (_WEB_RUN_BYTES, _WEB_GAP_BYTES)
        offer.differing = (offer.differing | mender.mend(gather, *runs)) & mender.left.keys()

    def _gather_each(self, path: str, runs: Sequence[Run], offer: Offer) -> None:
        """Piece by piece: a sector that cannot be read, or a file that is cut, leaves the rest to be had."""
        offer.has_it = True
        for run in runs:
            try:
                self.place.stream(path, run, run.offset, run.count)
            except (IntegrityError, SkipRecordError) as error:
                offer.faults.append(str(error))

    def _gather_all(self, path: str, runs: Sequence[Run], offer: Offer, progress: Progress) -> None:
        before = self.place.received_bytes
        try:
            self.place.gather(path, [Part(run.offset, run.count, run) for run in runs], progress.say)
            offer.has_it = True
        except SkipRecordError as error:
            if not error.is_gone:
                offer.faults.append(str(error))
        except TenutoError as error:
            offer.has_it = True
            offer.faults.append(str(error))
            if isinstance(error, RetriableError) and self.place.received_bytes == before:
                self._note_down(str(error))

    def _note_down(self, why: str) -> None:
        self._down, self._down_until = why, time.monotonic() + DOWN_S


def open_donors(texts: Sequence[str], http: Http) -> list[Donor]:
    """The places as they were given; raises UsageError at one that can be none."""
    return [Donor(_place(text, http)) for text in dict.fromkeys(texts)]


def inode_of(path: Path) -> Inode | None:
    """Which file lies there, None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return (about.st_dev, about.st_ino) if os.path.isfile(path) else None  # noqa: PTH113 -- never raises


def _place(text: str, http: Http) -> FolderPlace | WebPlace:
    if "://" in text:
        return WebPlace(text, http)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(
            f"{text} is no folder; what is mended from is the address of a publication, or a folder: a publication, an archive, "
            "a mirror, or one that holds crate files"
        )
    return FolderPlace(folder)

"""Fetching the crates that a mirror is to hold: by the swarm, and where that gives nothing, from the place that it follows."""

import os
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tenuto.archive import Layout, Settings
from tenuto.crates.mend import Mender, damaged_in
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError, SourceError, TenutoError
from tenuto.model.progress import Progress
from tenuto.model.units import counted, format_bytes
from tenuto.publication.documents import Index, IndexCrate
from tenuto.publication.lookup import read_signed
from tenuto.publication.places import FolderPlace, WebPlace
from tenuto.swarm import holding
from tenuto.swarm.copies import Donor
from tenuto.swarm.seeding import Seeder
from tenuto.swarm.session import Fetch, Session

AT_ONCE = 4
"""Crates fetched at a time: enough to have several peers, few enough that some are whole soon."""

LONELY_S = 6.0
"""After so long without a byte, the place itself is asked for whole files: a web server without ranges, a slow start."""

_STEP_S = 0.5
_SYNC_EVERY_S = 1.0


@dataclass(slots=True)
class Mirrored:
    """What came of following once. `left` are crates that could not be had, and why; `left_out` do not fit into the space."""

    index: Index
    is_new: bool
    held: list[IndexCrate] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    left_out: tuple[IndexCrate, ...] = ()
    is_overtaken: bool = False
    """A newer index came while crates were fetched; the rest is for the next round."""
    swarm_bytes: int = 0
    """Received for crates by BitTorrent, web seeds among them."""
    place_bytes: int = 0
    """Received from the place itself: index, small files, and crates that no swarm gave."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror at work: its folder, the place it follows, the swarm."""

    layout: Layout
    settings: Settings
    donor: Donor
    session: Session
    seeder: Seeder | None
    progress: Progress
    patience_s: float
    every_s: float = 600.0
    """While it gives out, it looks for a newer index so often."""

    @property
    def place(self) -> FolderPlace | WebPlace:
        """Where the publication is."""
        return self.donor.place


@dataclass(slots=True)
class _Coming:
    """A crate that is being fetched."""

    crate: IndexCrate
    torrent: Metainfo
    path: Path
    fetch: Fetch
    shown_bytes: int = 0
    was_asked_directly: bool = False


def fetch_all(mirror: Mirror, crates: Iterable[IndexCrate], done: Mirrored) -> None:
    """Fetch the crates that are not here yet, some at a time; one that cannot be had is noted, and the others go on."""
    waiting = deque(crate for crate in crates if not holding.is_held(mirror.layout, crate))
    if not waiting:
        return
    mirror.progress.begin("mirror", sum(crate.bytes for crate in waiting), "bytes")
    coming: list[_Coming] = []
    look_at = time.monotonic() + mirror.every_s
    with _Writeback() as writeback:
        try:
            while waiting or coming:
                while waiting and len(coming) < AT_ONCE:
                    coming += _start(mirror, waiting.popleft(), done)
                mirror.session.step(_STEP_S)
                writeback.run([one.path for one in coming])
                coming = [one for one in coming if not _is_settled(mirror, one, done)]
                if mirror.seeder is not None and time.monotonic() >= look_at:
                    look_at = time.monotonic() + mirror.every_s
                    if _is_overtaken(mirror, done.index):
                        done.is_overtaken = True
                        return
        finally:
            for one in coming:
                done.swarm_bytes += one.fetch.received_bytes
                mirror.session.finish(one.torrent.name)


def _is_overtaken(mirror: Mirror, index: Index) -> bool:
    """Whether the place has a newer index by now: what it takes back is given out no longer than between two rounds."""
    try:
        return read_signed(mirror.place, index.signing_public, index.sequence).index.sequence > index.sequence
    except (TenutoError, OSError):
        return False  # the next round says so


def _start(mirror: Mirror, crate: IndexCrate, done: Mirrored) -> list[_Coming]:
    """Begin to fetch a crate; nothing where it cannot be."""
    try:
        torrent = holding.torrent_of(mirror.layout, crate)
        path = holding.begin(mirror.layout, crate)
        if mirror.donor.is_folder:
            _ask_directly(mirror, torrent, path)
    except (IntegrityError, SourceError) as error:
        done.left[crate.crate] = str(error)
        return []
    fetch = mirror.session.fetch(torrent, mirror.layout.incoming, _web_seeds(mirror.place, crate))
    return [_Coming(crate, torrent, path, fetch)]


def _is_settled(mirror: Mirror, one: _Coming, done: Mirrored) -> bool:
    """Whether a crate is here, or given up; what is here is installed. Raises OSError where the disk is full."""
    fetch, name = one.fetch, one.crate.crate
    mirror.progress.advance(max(0, fetch.done_bytes - one.shown_bytes))
    one.shown_bytes = max(one.shown_bytes, fetch.done_bytes)
    quiet_s = time.monotonic() - fetch.moved_at
    if fetch.state == "fetching" and quiet_s > LONELY_S and not one.was_asked_directly:
        one.was_asked_directly = True
        _fetch_directly(mirror, one, done)
        return False
    if not fetch.is_over and quiet_s < mirror.patience_s:
        return False
    done.swarm_bytes += fetch.received_bytes
    mirror.session.finish(one.torrent.name)
    if fetch.errno:
        raise OSError(fetch.errno, os.strerror(fetch.errno), str(one.path))
    if fetch.state != "done":
        done.left[name] = fetch.error or _lonely(fetch, mirror.patience_s)
        return True
    try:
        holding.install(mirror.layout, one.crate, one.torrent)
    except IntegrityError as error:
        done.left[name] = str(error)
        return True
    done.fetched.append(name)
    if mirror.seeder is not None:
        mirror.seeder.add(name, one.torrent)
    return True


def _lonely(fetch: Fetch, patience_s: float) -> str:
    missing = format_bytes(fetch.bytes - fetch.done_bytes)
    wrong = (
        f"; {counted(fetch.failed_pieces, 'piece')} that came were other bytes and were dropped"
        if fetch.failed_pieces
        else ""
    )
    return f"nobody gave any of the {missing} that are missing for {patience_s:.0f} s ({counted(fetch.peers, 'peer')}{wrong})"


def _fetch_directly(mirror: Mirror, one: _Coming, done: Mirrored) -> None:
    """No peer gives it: take what is missing from the place itself, then let the swarm go on with what is left."""
    done.swarm_bytes += one.fetch.received_bytes
    mirror.session.finish(one.torrent.name)
    _ask_directly(mirror, one.torrent, one.path)
    one.fetch = mirror.session.fetch(one.torrent, mirror.layout.incoming, _web_seeds(mirror.place, one.crate))


def _ask_directly(mirror: Mirror, torrent: Metainfo, path: Path) -> None:
    """What the place itself gives of a crate; each piece is proven before it is written."""
    damaged = damaged_in(path, torrent, mirror.progress)
    if not damaged:
        return
    path.touch()
    about = path.stat()
    with Mender(path, torrent, damaged, mirror.progress) as mender:
        offer = mirror.donor.give(mender, path.name, (about.st_dev, about.st_ino), mirror.progress)
        if mender.left and (offer.differing or offer.faults):
            mirror.progress.say(f"{path.stem}: {offer.said(mirror.donor.name)}")


def _web_seeds(place: FolderPlace | WebPlace, crate: IndexCrate) -> list[str]:
    if not isinstance(place, WebPlace) or not place.gives_ranges(crate.addresses[0]):
        return []
    return [f"{place.name}/{quote(crate.addresses[0])}"]


class _Writeback:
    """Sends what was fetched to the disk meanwhile, so that little is left to be waited for when a crate is whole."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writeback")
        self._busy = self._thread.submit(_sync, [])
        self._ran_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def run(self, paths: list[Path]) -> None:
        """Begin another round, unless one is under way or was just now."""
        if self._busy.done() and time.monotonic() - self._ran_at > _SYNC_EVERY_S:
            self._ran_at = time.monotonic()
            self._busy = self._thread.submit(_sync, paths)


def _sync(paths: list[Path]) -> None:
    for path in paths:
        try:
            with path.open("rb") as file:
                os.fdatasync(file.fileno())
        except OSError:
            continue  # it is said where it matters: at the fsync before it gets its name

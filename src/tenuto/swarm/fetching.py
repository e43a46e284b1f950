"""Fetching the crates that a mirror is to hold: by the swarm, and where that gives nothing, from the place that it follows.

The place is asked in a thread of its own, one crate at a time: a server that is slow holds up neither the other crates, nor what is
given out, nor the look at the index. A crate is written either by that thread or by the swarm, never by both.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Self, TypeVar
from urllib.parse import quote

from tenuto.archive import Layout, Settings
from tenuto.crates.mend import Mender, damaged_in
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError, TenutoError
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
"""After so long without a byte, the place itself is asked for whole files: a web server without ranges, a slow start. With less
patience than twice that, it is half the patience."""

_STEP_S = 0.5
_BUSY_STEP_S = 0.05
"""While the place is asked: what it gives of a small crate comes soon."""

_SYNC_EVERY_S = 1.0
_REFRESH_EVERY_S = 60.0
_SLOW_S = 5.0
"""A place that needs longer to say whether it gives ranges is not asked that again in the round."""

_HURRY_S = 2.0
"""So long the thread is waited for at Ctrl-C. It may be left: what it writes is proven, a whole piece or a part of one."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What holds for every crate; all else that the system refuses is one crate's."""

_Found = TypeVar("_Found")


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
    place_fault: str = ""
    """Why the place could not be read, and the index that is here was gone by."""
    over_space_bytes: int = 0
    """So much more is held than the space allows: the space became less."""
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
    watched: FolderPlace | WebPlace
    """The same place once more, for looks at the index while `donor` is at work in its thread."""
    session: Session
    seeder: Seeder | None
    progress: Progress
    patience_s: float
    every_s: float = 600.0
    """While it fetches, it looks for a newer index so often."""

    @property
    def place(self) -> FolderPlace | WebPlace:
        """Where the publication is."""
        return self.donor.place

    @property
    def received_bytes(self) -> int:
        """Received from the place itself since the start."""
        return self.place.received_bytes + self.watched.received_bytes


@dataclass(slots=True)
class _Coming:
    """A crate that is on its way; `fetch` is None while the place itself is asked for it, or will be."""

    crate: IndexCrate
    torrent: Metainfo
    path: Path
    fetch: Fetch | None = None
    was_stepped: bool = False
    """Whether the session has had a moment for it; before, nobody's patience counts."""
    was_asked_directly: bool = False
    shown_bytes: int = 0


def fetch_all(mirror: Mirror, crates: Iterable[IndexCrate], done: Mirrored) -> None:
    """Fetch the crates that are not here yet, some at a time; one that cannot be had is noted, and the others go on.

    Raises OSError where there is no room, or nothing can be written at all.
    """
    waiting = deque(crate for crate in crates if not holding.is_held(mirror.layout, crate))
    if not waiting:
        return
    mirror.progress.begin("mirror", sum(crate.bytes for crate in waiting), "bytes")
    with _Writeback() as writeback, _Asker(mirror) as asker:
        _Fetching(mirror, done, waiting, asker).run(writeback)


class _Fetching:
    """One round's crates: begun, watched, installed or given up."""

    def __init__(self, mirror: Mirror, done: Mirrored, waiting: deque[IndexCrate], asker: "_Asker") -> None:
        self._mirror = mirror
        self._done = done
        self._waiting = waiting
        self._asker = asker
        self._coming: list[_Coming] = []
        self._stepped_at = self._moved_at = self._refreshed_at = time.monotonic()
        self._look_at = self._stepped_at + mirror.every_s
        self._look: Future[bool] | None = None
        self._came_bytes = 0
        self._is_hopeless = False
        self._is_slow = False

    def run(self, writeback: "_Writeback") -> None:
        """Until all is here or given up, or a newer index is there."""
        session = self._mirror.session
        try:
            while self._waiting or self._coming:
                while self._waiting and len(self._coming) < AT_ONCE:
                    self._start(self._waiting.popleft())
                session.step(_BUSY_STEP_S if self._asker.is_busy else _STEP_S)
                self._note_step()
                writeback.run([one.path for one in self._coming])
                self._coming = [one for one in self._coming if not self._is_settled(one)]
                self._ask_place()
                self._refresh()
                if self._is_overtaken():
                    self._done.is_overtaken = True
                    return
        finally:
            for one in self._coming:
                self._end_fetch(one)

    def _start(self, crate: IndexCrate) -> None:
        """Begin with a crate; where it cannot be begun, that is noted."""
        try:
            torrent = holding.torrent_of(self._mirror.layout, crate)
            path = holding.begin(self._mirror.layout, crate)
        except (TenutoError, OSError) as error:
            self._give_up(crate.crate, error)
            return
        one = _Coming(crate, torrent, path)
        if not self._mirror.donor.is_folder and not self._is_hopeless:
            self._fetch(one)
        self._coming.append(one)

    def _fetch(self, one: _Coming) -> None:
        """Let the swarm bring what is missing."""
        seeds = self._web_seeds(one.crate)
        one.fetch = self._mirror.session.fetch(one.torrent, self._mirror.layout.incoming, seeds)
        one.was_stepped = False

    def _end_fetch(self, one: _Coming) -> None:
        """From here on the swarm writes nothing to the file."""
        if one.fetch is not None:
            self._done.swarm_bytes += one.fetch.received_bytes
            one.fetch = None
            self._mirror.session.finish(one.torrent.name)

    def _note_step(self) -> None:
        """What the session's step has shown; what took long since then is nobody's silence."""
        self._stepped_at = time.monotonic()
        fetches = [one.fetch for one in self._coming if one.fetch is not None]
        for one in self._coming:
            if one.fetch is not None and not one.was_stepped:
                one.was_stepped, one.fetch.moved_at = True, self._stepped_at
        came = self._done.swarm_bytes + sum(fetch.received_bytes for fetch in fetches) + self._asker.came_bytes
        if came != self._came_bytes or any(fetch.peers for fetch in fetches):
            self._is_hopeless = False
        elif not self._asker.is_busy and self._stepped_at - self._moved_at >= self._mirror.patience_s:
            self._is_hopeless = True
            return
        elif not self._asker.is_busy:
            return
        self._came_bytes, self._moved_at = came, self._stepped_at

    def _is_settled(self, one: _Coming) -> bool:
        """Whether a crate is here, or given up; what is here is installed. Raises OSError where the disk is full."""
        fetch, name = one.fetch, one.crate.crate
        if fetch is None:
            self._show(one, self._asker.done_bytes if self._asker.one is one else 0)
            return False
        self._show(one, fetch.done_bytes)
        if not fetch.is_over and not self._is_given_up(one, fetch):
            return False
        self._end_fetch(one)
        if fetch.errno:
            self._give_up(name, OSError(fetch.errno, os.strerror(fetch.errno), str(one.path)))
        elif fetch.state != "done":
            self._done.left[name] = fetch.error or _lonely(fetch, self._mirror.patience_s)
        else:
            self._install(one)
        return True

    def _is_given_up(self, one: _Coming, fetch: Fetch) -> bool:
        """Whether nobody gave any of it for so long, the place itself neither."""
        was_asked = one.was_asked_directly or fetch.state != "fetching"
        return was_asked and self._stepped_at - fetch.moved_at >= self._mirror.patience_s

    def _install(self, one: _Coming) -> None:
        name = one.crate.crate
        try:
            holding.install(self._mirror.layout, one.crate, one.torrent)
        except (IntegrityError, OSError) as error:
            self._give_up(name, error)
            return
        self._done.fetched.append(name)
        if self._mirror.seeder is not None:
            self._mirror.seeder.add(name, one.torrent)

    def _give_up(self, name: str, error: Exception) -> None:
        """Note why a crate is not here. Raises what holds for every crate."""
        if isinstance(error, OSError):
            if error.errno in NO_ROOM:
                raise error
            self._done.left[name] = f"the system says: {error}"
        else:
            self._done.left[name] = str(error)

    def _ask_place(self) -> None:
        """See to the crate that the place was asked for; then it is asked for the next one that nobody gives."""
        ended = self._asker.take()
        if ended is not None:
            self._was_asked(ended)
        if self._asker.is_busy:
            return
        one = next((one for one in self._coming if one.fetch is None or self._is_lonely(one, one.fetch)), None)
        if one is not None:
            self._end_fetch(one)
            one.was_asked_directly = True
            self._asker.ask(one)

    def _is_lonely(self, one: _Coming, fetch: Fetch) -> bool:
        if fetch.state != "fetching" or one.was_asked_directly:
            return False
        return self._stepped_at - fetch.moved_at > min(LONELY_S, self._mirror.patience_s / 2)

    def _was_asked(self, ended: "_Ended") -> None:
        """The swarm goes on with what is left, unless nobody is there at all."""
        one, error = ended.one, ended.error
        if isinstance(error, OSError):
            self._coming.remove(one)
            self._give_up(one.crate.crate, error)
        elif error is not None and not isinstance(error, TenutoError):
            raise error
        elif self._is_hopeless and ended.is_missing and not ended.came_bytes:
            self._coming.remove(one)
            self._done.left[one.crate.crate] = (
                f"nobody gave any byte of any crate for {self._mirror.patience_s:.0f} s, no peer was there, and of this one "
                f"{ended.fault or error or 'nothing came'}"
            )
        else:
            if error is not None:
                self._mirror.progress.say(f"{one.crate.crate}: {error}")
            self._fetch(one)

    def _web_seeds(self, crate: IndexCrate) -> list[str]:
        """Where the very file lies, if its server gives ranges; asked by way of the place that no thread is using."""
        place = self._mirror.watched
        if not isinstance(place, WebPlace) or self._is_slow:
            return []
        begun = time.monotonic()
        gives_ranges = place.gives_ranges(crate.addresses[0])
        self._is_slow = not gives_ranges and time.monotonic() - begun > _SLOW_S
        return [f"{place.name}/{quote(crate.addresses[0])}"] if gives_ranges else []

    def _show(self, one: _Coming, done_bytes: int) -> None:
        """Count what is new of a crate."""
        if done_bytes > one.shown_bytes:
            self._mirror.progress.advance(done_bytes - one.shown_bytes)
            one.shown_bytes = done_bytes

    def _refresh(self) -> None:
        """What is given out follows what is here, also while crates come."""
        seeder = self._mirror.seeder
        if seeder is None or self._stepped_at - self._refreshed_at < _REFRESH_EVERY_S:
            return
        self._refreshed_at = self._stepped_at
        with suppress(TenutoError, OSError):  # the next round says so
            seeder.refresh()

    def _is_overtaken(self) -> bool:
        """Whether the place has a newer index by now: what it takes back is fetched and given out no longer than until then."""
        if self._look is None:
            if time.monotonic() >= self._look_at:
                self._look = _in_thread(lambda: _has_newer(self._mirror.watched, self._done.index))
            return False
        if not self._look.done():
            return False
        look, self._look = self._look, None
        self._look_at = time.monotonic() + self._mirror.every_s
        return look.result()


def _has_newer(place: FolderPlace | WebPlace, index: Index) -> bool:
    try:
        return read_signed(place, index.signing_public, index.sequence).index.sequence > index.sequence
    except (TenutoError, OSError):
        return False  # the next round says so


def _lonely(fetch: Fetch, patience_s: float) -> str:
    missing = format_bytes(fetch.bytes - fetch.done_bytes)
    wrong = (
        f"; {counted(fetch.failed_pieces, 'piece')} that came were other bytes and were dropped"
        if fetch.failed_pieces
        else ""
    )
    return f"nobody gave any of the {missing} that are missing for {patience_s:.0f} s ({counted(fetch.peers, 'peer')}{wrong})"


# -- the place, in a thread of its own


def _in_thread(work: Callable[[], _Found]) -> "Future[_Found]":
    """Do it beside; nobody waits for it at the end of the process, whatever a server makes it wait for."""
    future: Future[_Found] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- whoever takes the result gets it
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


class _StoppedError(Exception):
    """The thread is to end."""


class _Unseen:
    """The progress that the thread is given: the round's own task stays, and what is new is counted by the round. Raises where
    the thread is to end, which no other progress does.
    """

    def __init__(self, say: Callable[[str], None], stop: Event) -> None:
        self._say = say
        self._stop = stop

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        """Only look whether to go on."""
        del label, total, unit
        self._look()

    def advance(self, done: int = 1, total: int | None = None) -> None:
        """Only look whether to go on."""
        del done, total
        self._look()

    def say(self, message: str) -> None:
        """One sentence for a person."""
        self._say(message)

    def _look(self) -> None:
        if self._stop.is_set():
            raise _StoppedError


@dataclass(frozen=True, slots=True)
class _Ended:
    """What came of asking the place for a crate: bytes that proved, whether some are missing, and why."""

    one: _Coming
    came_bytes: int
    is_missing: bool
    fault: str
    error: BaseException | None


class _Asker:
    """Asks the place itself for one crate at a time; a context manager, behind which no thread writes any more."""

    def __init__(self, mirror: Mirror) -> None:
        self.one: _Coming | None = None
        self._mirror = mirror
        self._stop = Event()
        self._future: Future[tuple[bool, str]] | None = None
        self._mender: Mender | None = None
        self._known_bytes = 0
        self._came_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._stop.set()
        end = None if error is None or isinstance(error, Exception) else time.monotonic() + _HURRY_S
        while self._future is not None and not self._future.done() and (end is None or time.monotonic() < end):
            if end is None:
                self._mirror.session.step(_BUSY_STEP_S)  # it is given out meanwhile
            else:
                time.sleep(_BUSY_STEP_S)

    @property
    def is_busy(self) -> bool:
        """Whether a crate is asked for, or was, and nobody has taken what came of it."""
        return self.one is not None

    @property
    def done_bytes(self) -> int:
        """What is here of the crate that is asked for, proven."""
        return self._known_bytes + self._new_bytes

    @property
    def came_bytes(self) -> int:
        """What the place gave of all crates."""
        return self._came_bytes + self._new_bytes

    @property
    def _new_bytes(self) -> int:
        mender = self._mender
        return mender.patched.bytes if mender is not None else 0

    def ask(self, one: _Coming) -> None:
        """Begin; the swarm must write nothing of it any more."""
        self.one, self._mender, self._known_bytes = one, None, 0
        self._future = _in_thread(lambda: self._work(one))

    def take(self) -> _Ended | None:
        """What came of it; None while it goes on, or nothing was asked."""
        if self.one is None or self._future is None or not self._future.done():
            return None
        one, future, came = self.one, self._future, self._new_bytes
        self._came_bytes += came
        self.one = self._future = self._mender = None
        error = future.exception()
        is_missing, fault = (True, "") if error is not None else future.result()
        return _Ended(one, came, is_missing, fault, error)

    def _work(self, one: _Coming) -> tuple[bool, str]:
        """What the place itself gives of a crate; each piece is proven before it is written. Runs in the thread."""
        progress, donor = _Unseen(self._mirror.progress.say, self._stop), self._mirror.donor
        damaged = damaged_in(one.path, one.torrent, progress)
        self._known_bytes = max(0, one.torrent.length - sum(count for _, count in damaged))
        if not damaged:
            return False, ""
        one.path.touch()
        about = one.path.stat()
        with Mender(one.path, one.torrent, damaged, progress) as mender:
            self._mender = mender
            offer = donor.give(mender, one.path.name, (about.st_dev, about.st_ino), progress)
            fault = offer.said(donor.name) if mender.left else ""
            if mender.left and (offer.differing or offer.faults):
                progress.say(f"{one.path.stem}: {fault}")
            return bool(mender.left), fault


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

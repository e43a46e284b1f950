"""Fetching the crates that a mirror is to hold: by the swarm, and where that gives nothing, from the place that it follows.

A crate is written either by the swarm or by the thread that asks the place (asking.py), never by both.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from urllib.parse import quote

from tenuto.model.errors import IntegrityError, TenutoError
from tenuto.model.units import counted, format_bytes
from tenuto.publication.documents import Index, IndexCrate
from tenuto.publication.places import WebPlace
from tenuto.swarm import holding
from tenuto.swarm.asking import BUSY_STEP_S, Asker, Ended
from tenuto.swarm.beside import in_thread
from tenuto.swarm.session import Fetch
from tenuto.swarm.work import Coming, Mirror, Mirrored
from tenuto.swarm.writeback import Writeback

AT_ONCE = 4
"""Crates fetched at a time: enough to have several peers, few enough that some are whole soon."""

LONELY_S = 6.0
"""After so long without a byte, the place itself is asked for whole files: a web server without ranges, a slow start. With less
patience than twice that, it is half the patience."""

_STEP_S = 0.5
_REFRESH_EVERY_S = 60.0
_SLOW_S = 5.0
"""A place that needs longer to say whether it gives ranges is not asked that again in the round."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What holds for every crate; all else that the system refuses is one crate's."""


def fetch_all(mirror: Mirror, crates: Iterable[IndexCrate], done: Mirrored) -> None:
    """Fetch the crates that are not here yet, some at a time; one that cannot be had is noted, and the others go on.

    Raises OSError where there is no room, or nothing can be written at all.
    """
    waiting = deque(crate for crate in crates if not holding.is_held(mirror.layout, crate))
    if not waiting:
        return
    mirror.progress.begin("mirror", sum(crate.bytes for crate in waiting), "bytes")
    with Writeback() as writeback, Asker(mirror) as asker:
        _Fetching(mirror, done, waiting, asker).run(writeback)


class _Fetching:
    """One round's crates: begun, watched, installed or given up."""

    def __init__(self, mirror: Mirror, done: Mirrored, waiting: deque[IndexCrate], asker: "Asker") -> None:
        self._mirror = mirror
        self._done = done
        self._waiting = waiting
        self._asker = asker
        self._coming: list[Coming] = []
        self._stepped_at = self._moved_at = self._refreshed_at = time.monotonic()
        self._look_at = self._stepped_at + mirror.pause_s()
        self._look: Future[bool] | None = None
        self._came_bytes = 0
        self._is_hopeless = False
        self._is_slow = False

    def run(self, writeback: "Writeback") -> None:
        """Until all is here or given up, or a newer index is there."""
        session = self._mirror.session
        try:
            while self._waiting or self._coming:
                while self._waiting and len(self._coming) < AT_ONCE:
                    self._start(self._waiting.popleft())
                session.step(BUSY_STEP_S if self._asker.is_busy else _STEP_S)
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
        one = Coming(crate, torrent, path)
        if not self._mirror.donor.is_folder and not self._is_hopeless:
            self._fetch(one)
        self._coming.append(one)

    def _fetch(self, one: Coming) -> None:
        """Let the swarm bring what is missing."""
        seeds = self._web_seeds(one.crate)
        one.fetch = self._mirror.session.fetch(one.torrent, self._mirror.layout.incoming, seeds)
        one.was_stepped = False

    def _end_fetch(self, one: Coming) -> None:
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

    def _is_settled(self, one: Coming) -> bool:
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
            self._done.left[name] = fetch.error or _lonely(one, fetch, self._mirror.patience_s)
        else:
            self._install(one)
        return True

    def _is_given_up(self, one: Coming, fetch: Fetch) -> bool:
        """Whether nobody gave any of it for so long, the place itself neither."""
        was_asked = one.was_asked_directly or fetch.state != "fetching"
        return was_asked and self._stepped_at - fetch.moved_at >= self._mirror.patience_s

    def _install(self, one: Coming) -> None:
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

    def _is_lonely(self, one: Coming, fetch: Fetch) -> bool:
        if fetch.state != "fetching" or one.was_asked_directly:
            return False
        return self._stepped_at - fetch.moved_at > min(LONELY_S, self._mirror.patience_s / 2)

    def _was_asked(self, ended: "Ended") -> None:
        """The swarm goes on with what is left, unless nobody is there at all."""
        one, error = ended.one, ended.error
        one.place_fault = ended.fault or str(error or "")
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

    def _show(self, one: Coming, done_bytes: int) -> None:
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
                self._look = in_thread(lambda: _has_newer(self._mirror, self._done.index))
            return False
        if not self._look.done():
            return False
        look, self._look = self._look, None
        self._look_at = time.monotonic() + self._mirror.pause_s()
        return look.result()


def _has_newer(mirror: Mirror, index: Index) -> bool:
    """Whether the place has a newer index. It binds from now on, though the place be away when the next round asks for it."""
    try:
        found = mirror.reader.read(index.signing_public, index.sequence).index
    except (TenutoError, OSError):
        return False  # the next round says so
    if found.sequence <= index.sequence:
        return False
    mirror.note(found)
    return True


def _lonely(one: Coming, fetch: Fetch, patience_s: float) -> str:
    """Why a crate is not here: what the place said of it, and that nobody else gave it."""
    missing = format_bytes(fetch.bytes - fetch.done_bytes)
    wrong = (
        f"; {counted(fetch.failed_pieces, 'piece')} that came were other bytes and were dropped"
        if fetch.failed_pieces
        else ""
    )
    said = f"{one.place_fault}; " if one.place_fault else ""
    return f"{said}nobody gave any of the {missing} that are missing for {patience_s:.0f} s ({counted(fetch.peers, 'peer')}{wrong})"

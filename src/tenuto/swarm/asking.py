"""Asking the place that a mirror follows for whole crates, in a thread of its own, one crate at a time.

A server that is slow holds up neither the other crates, nor what is given out, nor the look at the index.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event
from typing import Self

from tenuto.crates.mend import Mender, damaged_in
from tenuto.swarm.beside import in_thread
from tenuto.swarm.work import Coming, Mirror

BUSY_STEP_S = 0.05
"""While the place is asked: what it gives of a small crate comes soon."""

_HURRY_S = 2.0
"""So long the thread is waited for at Ctrl-C. It may be left: what it writes is proven, a whole piece or a part of one."""


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
class Ended:
    """What came of asking the place for a crate: bytes that proved, whether some are missing, and why."""

    one: Coming
    came_bytes: int
    is_missing: bool
    fault: str
    error: BaseException | None


class Asker:
    """Asks the place itself for one crate at a time; a context manager, behind which no thread writes any more."""

    def __init__(self, mirror: Mirror) -> None:
        self.one: Coming | None = None
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
                self._mirror.session.step(BUSY_STEP_S)  # it is given out meanwhile
            else:
                time.sleep(BUSY_STEP_S)

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

    def ask(self, one: Coming) -> None:
        """Begin; the swarm must write nothing of it any more."""
        self.one, self._mender, self._known_bytes = one, None, 0
        self._future = in_thread(lambda: self._work(one))

    def take(self) -> Ended | None:
        """What came of it; None while it goes on, or nothing was asked."""
        if self.one is None or self._future is None or not self._future.done():
            return None
        one, future, came = self.one, self._future, self._new_bytes
        self._came_bytes += came
        self.one = self._future = self._mender = None
        error = future.exception()
        is_missing, fault = (True, "") if error is not None else future.result()
        return Ended(one, came, is_missing, fault, error)

    def _work(self, one: Coming) -> tuple[bool, str]:
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

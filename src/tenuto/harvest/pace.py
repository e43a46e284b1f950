"""The ceiling on the rate of asking a source: over all threads, all processes of an archive, and across restarts (law 8).

When the next request may go stands in a small file that is locked for the moment of looking; in memory where there is none.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive.durable import make_folder

_PAUSE_MAX_S = 86_400.0
"""A time further away than this was written under a wrong clock."""


class Stopped(BaseException):
    """The work is being stopped; no thread waits any longer."""


@dataclass(slots=True)
class _Agenda:
    next_at: float


class Pace:
    """At most `rate_per_s` requests in any second: their starts lie 1/rate apart.

    The first one waits as well, so that a process that is killed and started again keeps the ceiling.
    """

    def __init__(self, rate_per_s: float, file: Path | None = None) -> None:
        self._gap_s = 1 / rate_per_s
        self._file = file
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._kept = _Agenda(time.time() + self._gap_s)
        if file is not None:
            make_folder(file.parent)

    def wait(self) -> None:
        """Wait for the next place in time; nobody has one before he goes, so that `hold_back` holds for all."""
        while True:
            with self._agenda() as agenda:
                now = time.time()
                left_s = agenda.next_at - now
                if left_s <= 0 and not self._stop.is_set():
                    agenda.next_at = now + self._gap_s
                    return
            self.pause(left_s)

    def slow_down(self, rate_per_s: float) -> None:
        """Lower the ceiling, never raise it: another pause was read."""
        with self._agenda() as agenda:
            more_s = max(0.0, 1 / rate_per_s - self._gap_s)
            self._gap_s += more_s
            agenda.next_at += more_s

    def pause(self, seconds: float) -> None:
        """Wait, unless the work is stopped meanwhile."""
        if self._stop.wait(max(0.0, seconds)):
            raise Stopped

    def hold_back(self, seconds: float) -> None:
        """Let nobody ask before `seconds` have passed: the source asked for a pause."""
        with self._agenda() as agenda:
            agenda.next_at = max(agenda.next_at, time.time() + seconds)

    def stop(self) -> None:
        """Wake every thread that waits."""
        self._stop.set()

    @contextmanager
    def _agenda(self) -> Iterator[_Agenda]:
        """When the next one may go, to be looked at and changed by one at a time."""
        with self._lock:
            if self._file is None:
                yield self._kept
                return
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                agenda = _Agenda(self._read(handle))
                yield agenda
                os.pwrite(handle, f"{agenda.next_at:20.6f}\n".encode(), 0)
            finally:
                os.close(handle)

    def _read(self, handle: int) -> float:
        """The time in the file; where there is none, or an impossible one, a gap from now."""
        now = time.time()
        try:
            found = float(os.pread(handle, 64, 0))
        except ValueError:
            return now + self._gap_s
        return found if found < now + _PAUSE_MAX_S else now + self._gap_s


@contextmanager
def slot(folder: Path, name: str, count: int) -> Iterator[None]:
    """One of `count` places among all processes of the archive; waits until one is free. The kernel frees it on death."""
    make_folder(folder)
    handles = [
        os.open(folder / f"{name}.{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644) for number in range(count)
    ]
    try:
        while not any(map(_take, handles)):
            time.sleep(_SLOT_POLL_S)
        yield
    finally:
        for handle in handles:
            os.close(handle)


_SLOT_POLL_S = 0.02


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

"""One process at a time works in an archive.

The kernel holds the lock (`flock`), so it dies with its holder, kill -9 included; the file only names the holder for
the next one who asks. The file is never deleted: two processes could then lock two files.

Who reads alone holds nothing: `rest_of` tells whether what was read may have been half done.
"""

import fcntl
import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Self

from tenuto.model.errors import ArchiveInUseError

_TRIES = 10
_BLINK_S = 0.02
"""Who asks whether the lock is free has it for a moment, which is no reason to refuse anyone."""

_POLL_S = 0.5

_NO_LOCKS = (
    "its disk knows no locks, and two processes could work there at once; mount it with locks, or keep the archive "
    "on another disk"
)


class ArchiveLock:
    """Held as a context manager; raises ArchiveInUseError naming the holder."""

    def __init__(self, path: Path, verb: str) -> None:
        self._path = path
        self._verb = verb
        self._handle = -1

    def __enter__(self) -> Self:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _is_taken(handle):
                raise _in_use(self._path, _describe(os.pread(handle, 4096, 0)))
        except OSError as error:
            os.close(handle)
            raise OSError(error.errno, f"{error.strerror}: {_NO_LOCKS}", str(self._path)) from None
        except ArchiveInUseError:
            os.close(handle)
            raise
        self._handle = handle
        os.ftruncate(handle, 0)
        os.pwrite(handle, self._holder(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._handle, 0)
        os.close(self._handle)

    def _holder(self) -> bytes:
        holder = {
            "verb": self._verb,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(holder).encode()


def refuse_while_held(path: Path) -> None:
    """Raise ArchiveInUseError where somebody holds the lock now; nothing is held after it."""
    if (holder := _holder_of(path)) is not None:
        raise _in_use(path, holder)


def rest_of(path: Path) -> tuple[int, ...] | None:
    """What stays the same for as long as nobody takes the lock; None while somebody holds it."""
    try:
        about = path.stat()
        turn: tuple[int, ...] = (about.st_dev, about.st_ino, about.st_mtime_ns)
    except FileNotFoundError:
        turn = ()
    return turn if _holder_of(path) is None else None


def wait_for_rest(path: Path, say: Callable[[str], None]) -> None:
    """Return once nobody holds the lock; who does is said."""
    said = None
    while (holder := _holder_of(path)) is not None:
        if holder != said:
            say(f"{holder} works in the archive; waiting until it has ended")
            said = holder
        sleep(_POLL_S)


def _is_taken(handle: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            sleep(_BLINK_S)
        else:
            return True
    return False


def _holder_of(path: Path) -> str | None:
    """Who holds the lock; None where nobody does, or where the disk knows no locks: then nobody may work there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return _describe(os.pread(handle, 4096, 0))
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(handle)


def _in_use(path: Path, holder: str) -> ArchiveInUseError:
    return ArchiveInUseError(
        f"archive {path.parent} is in use by {holder}; wait until it ends, or stop it: nothing is lost"
    )


def _describe(content: bytes) -> str:
    try:
        holder = json.loads(content)
        return f"tenuto {holder['verb']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return "a process that has not yet said who it is"

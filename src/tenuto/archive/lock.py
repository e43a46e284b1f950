"""One process at a time works in an archive.

The kernel holds the lock (`flock`), so it dies with its holder, kill -9 included; the file only names the holder for
the next one who asks. The file is never deleted: two processes could then lock two files.
"""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tenuto.model.errors import ArchiveInUseError


class ArchiveLock:
    """Held as a context manager; raises ArchiveInUseError naming the holder."""

    def __init__(self, path: Path, verb: str) -> None:
        self._path = path
        self._verb = verb
        self._handle = -1

    def __enter__(self) -> Self:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 4096, 0)
            os.close(handle)
            raise ArchiveInUseError(
                f"archive {self._path.parent} is in use by {_describe(holder)}; "
                "wait until it ends, or stop it: nothing is lost"
            ) from None
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


def _describe(content: bytes) -> str:
    try:
        holder = json.loads(content)
        return f"tenuto {holder['verb']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return "a process that has not yet said who it is"

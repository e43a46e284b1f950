"""Writing and reading a crate file with its leaves and pieces hashed on the way, on as many threads as help.

Whoever writes reads the files; one thread writes, one takes SHA-256 of the files within, one the leaves, one the pieces:
reading, writing and hashlib let one another run. Buffers go round, so memory does not grow with the file.
"""

import errno
import fcntl
import hashlib
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Self

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, layer_of, leaves_of, pieces_of, root_of
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress, Silent

BUFFER_BYTES = 8 * 2**20
"""The step of reading, hashing and writing: a multiple of every piece length."""

_BUFFERS = 8
_READERS = 2
_STRAIGHT: int = getattr(os, "O_DIRECT", 0)


def _memory() -> memoryview:
    return memoryview(mmap(-1, BUFFER_BYTES))  # begins on a memory page, as O_DIRECT asks


@dataclass(slots=True)
class _Buffer:
    content: memoryview = field(default_factory=_memory)
    filled: int = 0
    users: list[Future[Any]] = field(default_factory=list)

    def wait(self) -> None:
        """Until nobody reads it any more."""
        for user in self.users:
            user.result()
        self.users.clear()
        self.filled = 0


class HashedWriter:
    """Writes to a file from its beginning; a context manager, which ends its threads.

    `leaves` and `metainfo` are of all that was written.
    """

    def __init__(self, file: BinaryIO, piece_bytes: int) -> None:
        self._file = file
        self._piece_bytes = piece_bytes
        self._writes = ThreadPoolExecutor(1, "write")
        self._trees = ThreadPoolExecutor(2, "leaves")
        self._files = ThreadPoolExecutor(1, "sha256")
        self._ring = deque(_Buffer() for _ in range(_BUFFERS))
        self._buffer = self._ring.popleft()
        self._written = 0
        self._hashed: deque[tuple[Future[bytes], Future[bytes]]] = deque()
        self._leaves, self._pieces = bytearray(), bytearray()
        self._promised: list[tuple[Path, str, Future[str]]] = []
        _write_straight(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for threads in (self._writes, self._trees, self._files):
            threads.shutdown(cancel_futures=True)

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._written + self._buffer.filled

    def write(self, content: bytes) -> None:
        """Write bytes."""
        rest = memoryview(content)
        while rest:
            room = self._room()
            part = rest[: len(room)]
            room[: len(part)] = part
            self._took(len(part))
            rest = rest[len(part) :]

    def copy(self, path: Path, size: int, sha256: str) -> None:
        """Write a file's bytes; that they are `size` bytes of this SHA-256 is checked by `check`."""
        digest = hashlib.sha256()
        left = size
        with path.open("rb", buffering=0) as file:
            while left and (count := file.readinto(room := self._room()[:left])):
                self._buffer.users.append(self._files.submit(digest.update, room[:count]))
                self._took(count)
                left -= count
            if left or file.read(1):
                raise IntegrityError(f"{path} is not {size:,} bytes long, as was noted when it was fetched")
        self._promised.append((path, sha256, self._files.submit(digest.hexdigest)))

    def check(self) -> None:
        """Raise IntegrityError where a file that was copied is not the one that was promised."""
        for path, promised, found in self._promised:
            if found.result() != promised:
                raise IntegrityError(f"{path} has sha256 {found.result()}, it was {promised} when it was fetched")
        self._promised.clear()

    def leaves(self) -> bytes:
        """The leaves of all whole blocks written so far."""
        whole = self._buffer.filled // BLOCK_BYTES * BLOCK_BYTES
        ahead = leaves_of(self._buffer.content[:whole])
        self._gather()
        return b"".join((self._leaves, ahead))

    def finish(self, name: str) -> Metainfo:
        """Write what is left; the file as a torrent called `name`."""
        self.check()
        self._flush()
        for buffer in self._ring:
            buffer.wait()
        self._gather()
        return metainfo_of(name, self._written, self._piece_bytes, self._leaves, bytes(self._pieces))

    def _gather(self, left: int = 0) -> None:
        """Add up what the threads found, but for the newest `left` buffers: each leaf is held once."""
        while len(self._hashed) > left:
            leaves, pieces = self._hashed.popleft()
            self._leaves += leaves.result()
            self._pieces += pieces.result()

    def _room(self) -> memoryview:
        return self._buffer.content[self._buffer.filled :]

    def _took(self, count: int) -> None:
        self._buffer.filled += count
        if self._buffer.filled == BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        content = self._buffer.content[: self._buffer.filled]
        if not content:
            return
        hashed = (self._trees.submit(leaves_of, content), self._trees.submit(pieces_of, content, self._piece_bytes))
        self._hashed.append(hashed)
        self._buffer.users += [*hashed, self._writes.submit(_write_all, self._file, content)]
        self._written += len(content)
        self._ring.append(self._buffer)
        self._buffer = self._ring.popleft()
        self._buffer.wait()
        self._gather(left=_BUFFERS)


def _write_straight(file: BinaryIO) -> None:
    """Write past the page cache where the file system can: copying there costs a fifth of what all hashing does."""
    with suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | _STRAIGHT)


def _write_all(file: BinaryIO, content: memoryview) -> None:
    """Write to an unbuffered file, however often the system takes a part only."""
    while content:
        try:
            content = content[file.write(content) :]
        except OSError as error:
            flags = fcntl.fcntl(file, fcntl.F_GETFL)
            if error.errno != errno.EINVAL or not flags & _STRAIGHT:
                raise
            # What is no multiple of a disk's block, such as the file's end, goes through the page cache.
            fcntl.fcntl(file, fcntl.F_SETFL, flags & ~_STRAIGHT)
    # Dirty pages, where there are any, begin to go to the disk, and those that went are dropped: the fsync at the end has
    # little left to do, and other files stay in memory.
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def hash_file(path: Path, piece_bytes: int, progress: Progress | None = None) -> tuple[bytes, bytes]:
    """The leaves and the pieces of a file, read once."""
    progress = progress or Silent()
    reading = Lock()
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(_READERS, "hash") as threads:

        def work() -> list[tuple[int, bytes, bytes]]:
            buffer = memoryview(bytearray(BUFFER_BYTES))
            found: list[tuple[int, bytes, bytes]] = []
            while True:
                with reading:  # one at a time, so that the disk sees one reader that goes straight on
                    at, content = file.tell(), buffer[: _read_all(file, buffer)]
                    progress.advance(len(content))
                if not content:
                    return found
                found.append((at, leaves_of(content), pieces_of(content, piece_bytes)))

        parts = sorted(part for done in [threads.submit(work) for _ in range(_READERS)] for part in done.result())
    return b"".join([leaves for _, leaves, _ in parts]), b"".join([pieces for _, _, pieces in parts])


def _read_all(file: BinaryIO, buffer: memoryview) -> int:
    """Fill a buffer from an unbuffered file; how many bytes there were."""
    filled = 0
    while filled < len(buffer) and (count := file.readinto(buffer[filled:])):  # type: ignore[attr-defined]
        filled += count
    return filled


def metainfo_of(name: str, size: int, piece_bytes: int, leaves: bytes | bytearray, pieces: bytes) -> Metainfo:
    """The torrent of a file by its hashes."""
    layer = layer_of(leaves, piece_bytes) if size > piece_bytes else b""
    return Metainfo(name, size, piece_bytes, pieces, root_of(leaves, piece_bytes), layer)


def leaves_count(header_offset: int) -> int:
    """How many leaves `leaves.bin` holds whose local header begins at `header_offset`."""
    return header_offset // BLOCK_BYTES


def leaves_bytes(header_offset: int) -> int:
    """How long such a `leaves.bin` is."""
    return leaves_count(header_offset) * HASH_BYTES


def digests_of(path: Path) -> tuple[int, str, int]:
    """Bytes, SHA-256 and CRC-32 of a file."""
    sha256, crc32, size = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while part := file.read(BUFFER_BYTES):
            sha256.update(part)
            crc32 = zlib.crc32(part, crc32)
            size += len(part)
    return size, sha256.hexdigest(), crc32

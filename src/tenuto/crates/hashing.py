"""Writing and reading a crate file with its leaves and pieces hashed on the way, on as many threads as help.

One thread reads and writes, one takes SHA-256 of the files within, one the leaves and pieces: hashlib lets them run at the
same time. Buffers go round, so memory does not grow with the file.
"""

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, layer_of, leaves_of, pieces_of, root_of
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError

BUFFER_BYTES = 8 * 2**20
"""The step of reading, hashing and writing: a multiple of every piece length."""

_BUFFERS = 6


@dataclass(slots=True)
class _Buffer:
    content: bytearray = field(default_factory=lambda: bytearray(BUFFER_BYTES))
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
        self._trees = ThreadPoolExecutor(1, "leaves")
        self._files = ThreadPoolExecutor(1, "sha256")
        self._ring = deque(_Buffer() for _ in range(_BUFFERS))
        self._buffer = self._ring.popleft()
        self._written = 0
        self._hashed: list[Future[tuple[bytes, bytes]]] = []
        self._promised: list[tuple[Path, str, Future[str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._trees.shutdown()
        self._files.shutdown()

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
        ahead = leaves_of(memoryview(self._buffer.content)[:whole])
        return b"".join([future.result()[0] for future in self._hashed]) + ahead

    def finish(self, name: str) -> Metainfo:
        """Write what is left; the file as a torrent called `name`."""
        self.check()
        self._flush()
        leaves = b"".join([future.result()[0] for future in self._hashed])
        pieces = b"".join([future.result()[1] for future in self._hashed])
        return metainfo_of(name, self._written, self._piece_bytes, leaves, pieces)

    def _room(self) -> memoryview:
        return memoryview(self._buffer.content)[self._buffer.filled :]

    def _took(self, count: int) -> None:
        self._buffer.filled += count
        if self._buffer.filled == BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        content = memoryview(self._buffer.content)[: self._buffer.filled]
        if not content:
            return
        hashed = self._trees.submit(_hash, content, self._piece_bytes)
        self._hashed.append(hashed)
        self._buffer.users.append(hashed)
        write_all(self._file, content)
        # Dirty pages begin to go to the disk now, so that the fsync at the end has little left to do.
        os.posix_fadvise(self._file.fileno(), self._written, len(content), os.POSIX_FADV_DONTNEED)
        self._written += len(content)
        self._ring.append(self._buffer)
        self._buffer = self._ring.popleft()
        self._buffer.wait()


def write_all(file: BinaryIO, content: memoryview) -> None:
    """Write to an unbuffered file, however often the system takes a part only."""
    while content:
        content = content[file.write(content) :]


def _hash(content: memoryview, piece_bytes: int) -> tuple[bytes, bytes]:
    return leaves_of(content), pieces_of(content, piece_bytes)


def metainfo_of(name: str, size: int, piece_bytes: int, leaves: bytes, pieces: bytes) -> Metainfo:
    """The torrent of a file by its hashes."""
    layer = layer_of(leaves, piece_bytes) if size > piece_bytes else b""
    return Metainfo(name, size, piece_bytes, pieces, root_of(leaves, piece_bytes), layer)


def leaves_count(header_offset: int) -> int:
    """How many leaves `leaves.bin` holds whose local header begins at `header_offset`."""
    return header_offset // BLOCK_BYTES


def leaves_bytes(header_offset: int) -> int:
    """How long such a `leaves.bin` is."""
    return leaves_count(header_offset) * HASH_BYTES

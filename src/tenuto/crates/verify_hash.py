"""Hashing ranges of a file, in this process or in a helper, whose hashing the interpreter's lock does not hold up.

Run as a module it is the helper: it takes tasks from its standard input and ends where that ends, so it never outlives its
parent. It imports little, since it is started for every large file.
"""

import hashlib
import marshal
import os
import select
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tenuto.crates.merkle import BLOCK_BYTES, layer_of, leaves_of, root_of

STEP_BYTES = 512 * 1024
"""Read and hashed at once: it stays in the processor's cache, and every piece is a multiple of it."""

_LEAD_BYTES = 8 * 2**20
"""How far ahead the disk is asked."""

_ASKED_BYTES = 128 * 1024
"""Asked for at once: Linux shortens a larger wish to what the device takes."""


class Shape(NamedTuple):
    """How a file is hashed."""

    piece_bytes: int
    is_one_piece: bool
    has_pieces: bool
    """Whether SHA-1 pieces are wanted."""


class Task(NamedTuple):
    """A range that begins on a piece, and the files (offset, bytes) to be digested, which begin in it and may reach further."""

    at: int
    bytes: int
    files: tuple[tuple[int, int], ...] = ()


class Hashed(NamedTuple):
    """What a range holds."""

    leaves: bytes
    hashes: bytes
    """Of its pieces, or of the whole file where it is one piece (BEP 52)."""
    pieces: bytes
    """SHA-1, where they are wanted (BEP 3)."""
    digests: list[tuple[str, int]]
    """SHA-256 and CRC-32 of the files."""
    unreadable: list[tuple[int, int]]
    """Offset and bytes of blocks that the system did not give; they count as zeros."""


class StoppedError(Exception):
    """The work is no longer wanted."""


class Hasher:
    """Hashes ranges of an open file, one after the other."""

    def __init__(self, descriptor: int, shape: Shape, is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped
        self._descriptor = descriptor
        self._shape = shape
        self._buffer = memoryview(b"")
        self._blocks: list[memoryview] = []
        self._probe = bytearray(1)
        self._unreadable: list[tuple[int, int]] = []

    def hash_all(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Hashed]]:
        """What each of the ranges holds."""
        for task in tasks:
            yield task, self.hash(task)

    def hash(self, task: Task) -> Hashed:
        """Read the range once; raises StoppedError where it is no longer wanted."""
        self._unreadable = []
        self._make_room(min(STEP_BYTES, task.bytes))
        leaves: list[bytes] = []
        pieces: list[bytes] = []
        files = _Files(task.files)
        sha1, end = hashlib.sha1(usedforsecurity=False), task.at + task.bytes
        for at in range(task.at, end, STEP_BYTES):
            content = self._read(at, min(STEP_BYTES, end - at))
            leaves.append(self._leaves(content))
            if self._shape.has_pieces:
                sha1.update(content)
                done = at + len(content)
                if done == end or done % self._shape.piece_bytes == 0:
                    pieces.append(sha1.digest())
                    sha1 = hashlib.sha1(usedforsecurity=False)
            files.take(at, content)
        for at in range(end, files.end, len(self._buffer) or 1):
            files.take(at, self._read(at, min(len(self._buffer), files.end - at)))
        every = b"".join(leaves)
        return Hashed(every, self.tree(every), b"".join(pieces), files.found, self._unreadable)

    def _make_room(self, size: int) -> None:
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
            self._blocks = [self._buffer[at : at + BLOCK_BYTES] for at in range(0, size, BLOCK_BYTES)]

    def tree(self, leaves: bytes) -> bytes:
        """The hashes of pieces, or of a file that is one piece, by their leaves."""
        return (root_of if self._shape.is_one_piece else layer_of)(leaves, self._shape.piece_bytes)

    def _leaves(self, content: memoryview) -> bytes:
        if len(content) < STEP_BYTES:
            return leaves_of(content)
        sha256 = hashlib.sha256
        return b"".join([sha256(block).digest() for block in self._blocks])

    def _read(self, at: int, count: int) -> memoryview:
        if self._is_stopped():
            raise StoppedError
        self._ask_ahead(at + _LEAD_BYTES)
        content = self._buffer[:count]
        if not fill(self._descriptor, content, at):
            for first in range(0, count, BLOCK_BYTES):
                block = content[first : first + BLOCK_BYTES]
                if not fill(self._descriptor, block, at + first):
                    block[:] = bytes(len(block))
                    self._unreadable.append((at + first, len(block)))
        return content

    def _ask_ahead(self, at: int) -> None:
        """Let the disk go on while the processor hashes; what is in memory already costs one look."""
        try:
            os.preadv(self._descriptor, [self._probe], at, os.RWF_NOWAIT)
        except OSError:
            for part in range(at, at + STEP_BYTES, _ASKED_BYTES):
                os.posix_fadvise(self._descriptor, part, _ASKED_BYTES, os.POSIX_FADV_WILLNEED)


class _Files:
    """SHA-256 and CRC-32 of files in buffers that come in order."""

    def __init__(self, files: tuple[tuple[int, int], ...]) -> None:
        self.found: list[tuple[str, int]] = []
        self.end = sum(files[-1]) if files else 0
        self._files = files
        self._sha256 = hashlib.sha256()
        self._crc32 = 0

    def take(self, at: int, content: memoryview) -> None:
        end = at + len(content)
        while len(self.found) < len(self._files) and (file := self._files[len(self.found)])[0] < end:
            part = content[max(0, file[0] - at) : max(0, sum(file) - at)]
            self._sha256.update(part)
            self._crc32 = zlib.crc32(part, self._crc32)
            if sum(file) > end:
                return
            self.found.append((self._sha256.hexdigest(), self._crc32))
            self._sha256, self._crc32 = hashlib.sha256(), 0


def fill(descriptor: int, content: memoryview, at: int) -> bool:
    """Read so many bytes from `at`; False where the system cannot."""
    done = 0
    try:
        while done < len(content):
            count = os.preadv(descriptor, [content[done:]], at + done)
            if count == 0:
                return False
            done += count
    except OSError:
        return False
    return True


def serve(descriptor: int, piece_bytes: int, is_one_piece: int, has_pieces: int) -> None:
    """Answer tasks until nobody asks any more; where the parent is gone, end in the midst of one."""
    asking, answering = sys.stdin.buffer, sys.stdout.buffer
    hung_up = select.poll()
    hung_up.register(asking, 0)
    shape = Shape(piece_bytes, bool(is_one_piece), bool(has_pieces))
    hasher = Hasher(descriptor, shape, lambda: bool(hung_up.poll(0)))
    try:
        while True:
            marshal.dump(tuple(hasher.hash(Task(*marshal.load(asking)))), answering)  # noqa: S302 -- from our own process
            answering.flush()
    except (EOFError, StoppedError, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))

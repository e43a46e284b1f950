"""Reading a crate file once, on two threads, and holding every block and piece against what was promised of it.

Memory does not grow with the file: of each buffer only what differs is kept.
"""

import hashlib
import os
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Condition, Lock

from tenuto.crates.hashing import BUFFER_BYTES
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, layer_of, leaves_of, pieces_of, root_of, zero_leaves
from tenuto.crates.zipform import Entry
from tenuto.model.progress import Progress

Range = tuple[int, int]
"""Offset in the crate file, bytes."""

_THREADS = 2
_AHEAD_BYTES = 2 * BUFFER_BYTES
_SHA1_BYTES = 20
_RANGES_MAX = 100_000
"""Beyond so many places, damage is noted by whole buffers: memory stays bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the first `size` bytes of a file are held against; what nobody knows is empty."""

    size: int
    piece_bytes: int
    is_one_piece: bool = False
    hashes: bytes = b""
    """Of the pieces, or of the whole file where it is one piece (BEP 52)."""
    pieces: bytes = b""
    """SHA-1 (BEP 3)."""
    leaves: Entry | None = None
    """Where `leaves.bin` lies."""
    is_leaves_whole: bool = False
    """Whether `leaves.bin` has the digest that the tag manifest says."""
    zeros: Sequence[Range] = ()
    """What must be zeros; each begins on a block."""
    files: Sequence[Entry] = ()
    """Files to be digested, in the order of the file."""


@dataclass(slots=True)
class Proof:
    """What was found; ranges that touch are one."""

    damaged: list[Range] = field(default_factory=list)
    unreadable: list[Range] = field(default_factory=list)
    leaves_differ: list[Range] = field(default_factory=list)
    pieces_differ: list[Range] = field(default_factory=list)
    not_zero: list[Range] = field(default_factory=list)
    digests: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Name of a file -> SHA-256, CRC-32."""


def prove(descriptor: int, promise: Promise, progress: Progress) -> Proof:
    """Read the file once from its beginning; what the system cannot read is a finding, not an error."""
    reading = _Reading(descriptor, promise, progress)
    with ThreadPoolExecutor(_THREADS, "check") as pool:
        for worker in [pool.submit(reading.work) for _ in range(_THREADS)]:
            worker.result()
    proof = reading.proof
    for name in ("damaged", "unreadable", "leaves_differ", "pieces_differ", "not_zero"):
        setattr(proof, name, merged(getattr(proof, name)))
    return proof


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, those that touch made one."""
    found: list[Range] = []
    for at, count in sorted(ranges):
        if found and at <= sum(found[-1]):
            found[-1] = (found[-1][0], max(sum(found[-1]), at + count) - found[-1][0])
        else:
            found.append((at, count))
    return found


class _Reading:
    def __init__(self, descriptor: int, promise: Promise, progress: Progress) -> None:
        self.proof = Proof()
        self._descriptor = descriptor
        self._promise = promise
        self._progress = progress
        self._reading = Lock()
        self._next = 0
        self._turns = Condition()
        self._turn = 0
        self._is_broken = False
        self._files = _Digests(promise.files, self.proof.digests)
        self._zeros = [at for at, _ in promise.zeros]
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def work(self) -> None:
        """Take one buffer after the other until there is none."""
        buffer = bytearray(min(BUFFER_BYTES, max(1, self._promise.size)))
        try:
            while (got := self._read(buffer)) is not None:
                at, content = got
                self._hold(at, content)
                self._digest(at, content)
        except BaseException:
            with self._turns:
                self._is_broken = True
                self._turns.notify_all()
            raise

    def _read(self, buffer: bytearray) -> tuple[int, memoryview] | None:
        """One thread reads at a time, so the disk sees one reader that goes straight on."""
        with self._reading:
            at = self._next
            content = memoryview(buffer)[: self._promise.size - at]
            if at >= self._promise.size or self._is_broken:
                return None
            self._next += len(content)
            # The disk goes on while the processor hashes.
            os.posix_fadvise(self._descriptor, self._next, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
            if not _fill(self._descriptor, content, at):
                for first in range(0, len(content), BLOCK_BYTES):
                    block = content[first : first + BLOCK_BYTES]
                    if not _fill(self._descriptor, block, at + first):
                        block[:] = bytes(len(block))
                        self.proof.unreadable.append((at + first, len(block)))
            self._progress.advance(len(content))
            return at, content

    def _hold(self, at: int, content: memoryview) -> None:
        promise = self._promise
        leaves = leaves_of(content)
        said = self._said(at, len(leaves))
        own = self._hashes(leaves)
        first = at // promise.piece_bytes * HASH_BYTES
        promised = promise.hashes[first : first + len(own)]
        if not leaves.startswith(said) or (promised and promised != own):
            self._locate(at, len(content), leaves, said, promised)
        if self._zeros:
            self._hold_zeros(at, content, leaves)

    def _said(self, at: int, count: int) -> bytes:
        """What `leaves.bin` says of the blocks from `at` on, `count` bytes of it or as far as it goes."""
        leaves = self._promise.leaves
        first = at // BLOCK_BYTES * HASH_BYTES
        if leaves is None or first >= leaves.bytes:
            return b""
        try:
            found = os.pread(self._descriptor, min(count, leaves.bytes - first), leaves.offset + first)
        except OSError:
            return b""
        return found[: len(found) // HASH_BYTES * HASH_BYTES]

    def _hashes(self, leaves: bytes) -> bytes:
        made = root_of if self._promise.is_one_piece else layer_of
        return made(leaves, self._promise.piece_bytes)

    def _locate(self, at: int, size: int, leaves: bytes, said: bytes, promised: bytes) -> None:
        """Which blocks of a buffer differ, as exactly as its leaves let it be known; a piece at a time."""
        step = self._promise.piece_bytes // BLOCK_BYTES * HASH_BYTES
        for number, first in enumerate(range(0, len(leaves), step)):
            mine, theirs = leaves[first : first + step], said[first : first + step]
            whole = promised[number * HASH_BYTES :][:HASH_BYTES]
            begin = at + first // HASH_BYTES * BLOCK_BYTES
            end = min(begin + self._promise.piece_bytes, at + size)
            differing = [
                (begin + n // HASH_BYTES * BLOCK_BYTES, min(BLOCK_BYTES, end - begin - n // HASH_BYTES * BLOCK_BYTES))
                for n in range(0, len(theirs), HASH_BYTES)
                if mine[n : n + HASH_BYTES] != theirs[n : n + HASH_BYTES]
            ]
            if differing and len(self.proof.damaged) + len(self.proof.leaves_differ) > _RANGES_MAX:
                differing = [(at, size)]
            if whole and self._hashes(mine) == whole:
                self.proof.leaves_differ += differing
            elif whole and self._hashes(theirs + mine[len(theirs) :]) != whole:
                behind = begin + len(theirs) // HASH_BYTES * BLOCK_BYTES
                rest = [(behind, end - behind)] if behind < end else []
                is_exact = self._promise.is_leaves_whole and (rest or differing)
                self.proof.damaged += [*differing, *rest] if is_exact else [(begin, end - begin)]
            elif whole or self._promise.is_leaves_whole:
                self.proof.damaged += differing
            else:
                self.proof.leaves_differ += differing

    def _hold_zeros(self, at: int, content: memoryview, leaves: bytes) -> None:
        place = max(0, bisect_right(self._zeros, at) - 1)
        for begin, count in self._promise.zeros[place:]:
            first, last = max(begin, at), min(begin + count, at + len(content))
            if begin >= at + len(content):
                break
            if first < last:
                blocks = (last - first) // BLOCK_BYTES
                said = leaves[(first - at) // BLOCK_BYTES * HASH_BYTES :][: blocks * HASH_BYTES]
                if said != zero_leaves(blocks) or any(content[first - at + blocks * BLOCK_BYTES : last - at]):
                    self.proof.not_zero.append((first, last - first))

    def _digest(self, at: int, content: memoryview) -> None:
        promise = self._promise
        if promise.pieces:
            own = pieces_of(content, promise.piece_bytes)
            first = at // promise.piece_bytes * _SHA1_BYTES
            for number in range(0, len(own), _SHA1_BYTES):
                if own[number : number + _SHA1_BYTES] != promise.pieces[first + number :][:_SHA1_BYTES]:
                    begin = at + number // _SHA1_BYTES * promise.piece_bytes
                    self.proof.pieces_differ.append((begin, min(promise.piece_bytes, at + len(content) - begin)))
        if promise.files:
            with self._turns:
                self._turns.wait_for(lambda: self._turn == at or self._is_broken)
            if not self._is_broken:
                self._files.take(at, content)
            with self._turns:
                self._turn = at + len(content)
                self._turns.notify_all()


class _Digests:
    """SHA-256 and CRC-32 of the files in a stream of buffers that come in order."""

    def __init__(self, files: Sequence[Entry], found: dict[str, tuple[str, int]]) -> None:
        self._left = iter(files)
        self._file = next(self._left, None)
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._found = found

    def take(self, at: int, content: memoryview) -> None:
        end = at + len(content)
        while (file := self._file) is not None and file.offset < end:
            part = content[max(0, file.offset - at) : file.end - at] if file.end > at else content[:0]
            self._sha256.update(part)
            self._crc32 = zlib.crc32(part, self._crc32)
            if file.end > end:
                return
            self._found[file.name] = (self._sha256.hexdigest(), self._crc32)
            self._sha256, self._crc32 = hashlib.sha256(), 0
            self._file = next(self._left, None)


def _fill(descriptor: int, content: memoryview, at: int) -> bool:
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

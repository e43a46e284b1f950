"""Holding every block and piece of a crate file against what was promised of it, in one reading on two processors.

Memory does not grow with the file: of each range only what differs is kept.
"""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, zero_leaves
from tenuto.crates.verify_hash import Hashed, Hasher, Shape, StoppedError, Task
from tenuto.crates.verify_helper import Helper
from tenuto.crates.zipform import Entry
from tenuto.model.progress import Progress

Range = tuple[int, int]
"""Offset in the crate file, bytes."""

TASK_BYTES = 8 * 2**20
"""What is hashed at a time: a multiple of every piece length, small enough that two readers side by side are one to a disk."""

_HELPED_BYTES = 128 * 2**20
"""From this size on a second process pays for its start."""

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
    if promise.size <= TASK_BYTES:
        reading.work(reading.here)
    elif promise.size < _HELPED_BYTES:
        _with_two(reading, reading.hasher())
    else:
        with reading.helper() as helper:
            _with_two(reading, helper)
    proof = reading.proof
    for name in ("damaged", "unreadable", "leaves_differ", "pieces_differ", "not_zero"):
        setattr(proof, name, merged(getattr(proof, name)))
    return proof


def _with_two(reading: "_Reading", other: Hasher | Helper) -> None:
    """One thread hashes here, one waits for `other`; where either fails, or Ctrl-C comes, both end at once."""
    with ThreadPoolExecutor(2, "check") as pool:
        workers = [pool.submit(reading.work, hasher) for hasher in (reading.here, other)]
        try:
            for worker in as_completed(workers):
                worker.result()
        finally:
            reading.stopped.set()
            if isinstance(other, Helper):
                other.kill()


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
        self._lock = Lock()
        self.stopped = Event()
        self._next = 0
        self._files = [file for file in promise.files if file.end <= promise.size]
        self._begins = [file.offset for file in self._files]
        self._names = {file.offset: file.name for file in self._files}
        self._zeros = [at for at, _ in promise.zeros]
        self.here = self.hasher()

    def hasher(self) -> Hasher:
        """One that hashes in this process."""
        return Hasher(self._descriptor, self._shape, self.stopped.is_set)

    def helper(self) -> Helper:
        """One that hashes in another process."""
        return Helper(self._descriptor, self._shape, self.stopped.is_set)

    @property
    def _shape(self) -> Shape:
        return Shape(self._promise.piece_bytes, self._promise.is_one_piece, bool(self._promise.pieces))

    def work(self, hasher: Hasher | Helper) -> None:
        """Take one range after the other until there is none."""
        with suppress(StoppedError):
            for task, hashed in hasher.hash_all(self._tasks()):
                self._hold(task, hashed)
                self._hold_pieces(task, hashed.pieces)
                self.proof.unreadable += hashed.unreadable
                names = (self._names[offset] for offset, _ in task.files)
                self.proof.digests.update(zip(names, hashed.digests, strict=True))
                with self._lock:
                    self._progress.advance(task.bytes)

    def _tasks(self) -> Iterator[Task]:
        """The next ranges, so that the disk is read onwards, with the files that begin in them."""
        while True:
            with self._lock:
                at = self._next
                self._next = end = min(at + TASK_BYTES, self._promise.size)
            if at == end:
                return
            first, behind = bisect_left(self._begins, at), bisect_left(self._begins, end)
            yield Task(at, end - at, tuple((file.offset, file.bytes) for file in self._files[first:behind]))

    def _hold(self, task: Task, hashed: Hashed) -> None:
        promise = self._promise
        said = self._said(task.at, len(hashed.leaves))
        first = task.at // promise.piece_bytes * HASH_BYTES
        promised = promise.hashes[first : first + len(hashed.hashes)]
        if not hashed.leaves.startswith(said) or (promised and promised != hashed.hashes):
            self._locate(task.at, task.bytes, hashed.leaves, said, promised)
        if self._zeros:
            self._hold_zeros(task.at, task.bytes, hashed.leaves)

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
            if whole and self.here.tree(mine) == whole:
                self.proof.leaves_differ += differing
            elif whole and self.here.tree(theirs + mine[len(theirs) :]) != whole:
                behind = begin + len(theirs) // HASH_BYTES * BLOCK_BYTES
                rest = [(behind, end - behind)] if behind < end else []
                is_exact = self._promise.is_leaves_whole and (rest or differing)
                self.proof.damaged += [*differing, *rest] if is_exact else [(begin, end - begin)]
            elif whole or self._promise.is_leaves_whole:
                self.proof.damaged += differing
            else:
                self.proof.leaves_differ += differing

    def _hold_zeros(self, at: int, size: int, leaves: bytes) -> None:
        place = max(0, bisect_right(self._zeros, at) - 1)
        for begin, count in self._promise.zeros[place:]:
            first, last = max(begin, at), min(begin + count, at + size)
            if begin >= at + size:
                break
            if first < last:
                blocks = (last - first) // BLOCK_BYTES
                said = leaves[(first - at) // BLOCK_BYTES * HASH_BYTES :][: blocks * HASH_BYTES]
                if said != zero_leaves(blocks) or self._has_other(first + blocks * BLOCK_BYTES, last):
                    self.proof.not_zero.append((first, last - first))

    def _has_other(self, at: int, end: int) -> bool:
        """Whether there is another byte than zeros, in less than a block; what cannot be read is reported as that."""
        try:
            return any(os.pread(self._descriptor, end - at, at))
        except OSError:
            return False

    def _hold_pieces(self, task: Task, own: bytes) -> None:
        promise = self._promise
        first = task.at // promise.piece_bytes * _SHA1_BYTES
        for number in range(0, len(own), _SHA1_BYTES):
            if own[number : number + _SHA1_BYTES] != promise.pieces[first + number :][:_SHA1_BYTES]:
                begin = task.at + number // _SHA1_BYTES * promise.piece_bytes
                self.proof.pieces_differ.append((begin, min(promise.piece_bytes, task.at + task.bytes - begin)))

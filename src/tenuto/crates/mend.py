"""Mending one crate file: bytes from elsewhere, each piece proven by the crate's torrent before a byte of it is written.

Only blocks that differ from what is proven are written, so a crate that is killed in the midst of it, by power cut too, is no
worse than before: what was not good is still not good, and all else was never touched.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of, piece_root, root_of
from tenuto.crates.torrent import Metainfo
from tenuto.crates.verify_bytes import Promise, Range, merged, prove
from tenuto.crates.verify_hash import fill
from tenuto.model.progress import Progress, Silent


@dataclass(slots=True)
class Patched:
    """What was written: pieces that prove now, blocks and bytes of them."""

    pieces: int = 0
    blocks: int = 0
    bytes: int = 0


class Run:
    """A range that is wanted, and the sink that takes its bytes; it may lie over several pieces."""

    def __init__(self, mender: "Mender", offset: int, count: int) -> None:
        self.offset = offset
        self.count = count
        self._mender = mender
        self._at = offset

    def begin(self) -> None:
        """The first byte comes next; what came of unfinished pieces before is void."""
        self._at = self.offset

    def write(self, part: bytes) -> None:
        """The next bytes; each piece that is complete with them is proven, and written if it proves."""
        rest = memoryview(part)
        while rest:
            taken = rest[: self._mender.piece_end(self._at) - self._at]
            self._mender.put(self._at, taken)
            self._at += len(taken)
            rest = rest[len(taken) :]


Gather = Callable[[Sequence[Run]], None]
"""Brings the bytes of ranges to their sinks, as far as it can."""


@dataclass(slots=True)
class _Piece:
    """A piece that is being put together: its own bytes, and what has come (beginning of each range -> how far)."""

    own: bytes
    unread: set[int]
    content: bytearray
    reached: dict[int, int] = field(default_factory=dict)


class Mender:
    """One crate file, open to be mended; a context manager. Raises OSError where it cannot be written.

    `left` are the damaged ranges by piece, `patched` is what was written so far.
    """

    def __init__(
        self, path: Path, metainfo: Metainfo, damaged: Iterable[Range], progress: Progress | None = None
    ) -> None:
        self.left: dict[int, list[Range]] = {}
        self.patched = Patched()
        self._path = path
        self._due = metainfo
        self._piece_bytes = metainfo.piece_length
        self._progress = progress or Silent()
        self._descriptor = -1
        self._open: dict[int, _Piece] = {}
        self._wanted: dict[int, list[Range]] = {}
        self._differing: set[int] = set()
        for at, count in damaged:
            self._note(at, min(at + count, metainfo.length))

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        try:
            if self.patched.bytes:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @property
    def left_bytes(self) -> int:
        """What is wanted still."""
        return sum(count for ranges in self.left.values() for _, count in ranges)

    def mend(self, gather: Gather, run_bytes: int, gap_bytes: int = 0) -> set[int]:
        """Take what is left from one source, in runs of about `run_bytes`; returns the pieces of which it has other bytes.

        First the damaged blocks alone, those with less than `gap_bytes` between them as one range; of pieces that do not prove
        with these, all of it.
        """
        wanted = {number: _bridged(ranges, gap_bytes) for number, ranges in self.left.items()}
        self._take(gather, wanted, run_bytes)
        again = {number: whole for number in self._differing if wanted[number] != (whole := [self._whole(number)])}
        differing = self._differing - again.keys()
        if again:
            self._take(gather, again, run_bytes)
            differing |= self._differing
        return differing

    def cut_off(self) -> int:
        """Cut off what lies behind the due end; returns how many bytes that were. Only for a file of which all else proves."""
        if self.left:
            raise ValueError(f"{self._path} is not mended yet")
        over = os.fstat(self._descriptor).st_size - self._due.length
        if over > 0:
            os.ftruncate(self._descriptor, self._due.length)
            os.fsync(self._descriptor)
        return max(0, over)

    def piece_end(self, at: int) -> int:
        """Where the piece ends in which a byte lies."""
        return sum(self._whole(at // self._piece_bytes))

    def put(self, at: int, part: memoryview) -> None:
        """Bytes of a piece, in the order of their range."""
        self._progress.advance(len(part))
        number = at // self._piece_bytes
        ranges = self._wanted.get(number)
        if ranges is None:  # it is settled: this is a try again of the run that it lies in
            return
        piece = self._open.get(number) or self._begin(number)
        begin = max(first for first, _ in ranges if first <= at)
        first = at - number * self._piece_bytes
        piece.content[first : first + len(part)] = part
        piece.reached[begin] = at + len(part)
        if all(piece.reached.get(first, first) >= first + count for first, count in ranges):
            self._settle(number, self._open.pop(number))

    def _take(self, gather: Gather, wanted: dict[int, list[Range]], run_bytes: int) -> None:
        self._wanted, self._open, self._differing = dict(wanted), {}, set()
        every = merged(one for ranges in wanted.values() for one in ranges)
        step = max(1, run_bytes // self._piece_bytes) * self._piece_bytes
        gather([Run(self, begin, end - begin) for at, count in every for begin, end in _cut(at, at + count, step)])
        self._wanted, self._open = {}, {}

    def _note(self, at: int, end: int) -> None:
        """Sort a damaged range into its pieces, in whole blocks."""
        at = at // BLOCK_BYTES * BLOCK_BYTES
        while at < end:
            number = at // self._piece_bytes
            stop = min(-(-end // BLOCK_BYTES) * BLOCK_BYTES, self.piece_end(at))
            self.left[number] = merged([*self.left.get(number, []), (at, stop - at)])
            at = stop if stop > at else end

    def _whole(self, number: int) -> Range:
        at = number * self._piece_bytes
        return at, min(self._piece_bytes, self._due.length - at)

    def _begin(self, number: int) -> _Piece:
        """A piece as it is in our own file; what cannot be read, or is missing, counts as zeros."""
        at, count = self._whole(number)
        own, unread = memoryview(bytearray(count)), set()
        for first in range(0, count, BLOCK_BYTES):
            if not fill(self._descriptor, own[first : first + BLOCK_BYTES], at + first):
                own[first : first + BLOCK_BYTES] = bytes(len(own[first : first + BLOCK_BYTES]))
                unread.add(first)
        self._open[number] = piece = _Piece(bytes(own), unread, bytearray(own))
        return piece

    def _settle(self, number: int, piece: _Piece) -> None:
        """Write a piece if it proves, else note that its source has other bytes."""
        del self._wanted[number]
        if not self._proves(number, piece.content):
            self._differing.add(number)
            return
        at, count = self._whole(number)
        size = os.fstat(self._descriptor).st_size
        changed = [
            (first, min(BLOCK_BYTES, count - first))
            for first in range(0, count, BLOCK_BYTES)
            if piece.content[first : first + BLOCK_BYTES] != piece.own[first : first + BLOCK_BYTES]
            or (first in piece.unread and at + first < size)
        ]
        for first, length in merged(changed):
            self._write(at + first, memoryview(piece.content)[first : first + length])
        if os.fstat(self._descriptor).st_size < at + count:  # it ends with zeros, which stay a hole
            os.ftruncate(self._descriptor, at + count)
        self.patched.pieces += 1
        self.patched.blocks += len(changed)
        self.patched.bytes += sum(length for _, length in changed)
        del self.left[number]

    def _proves(self, number: int, content: bytearray) -> bool:
        leaves = leaves_of(content)
        if not self._due.layer:
            return root_of(leaves, self._piece_bytes) == self._due.pieces_root
        return piece_root(leaves, self._piece_bytes) == self._due.layer[number * HASH_BYTES :][:HASH_BYTES]

    def _write(self, at: int, content: memoryview) -> None:
        while content:
            count = os.pwrite(self._descriptor, content, at)
            at, content = at + count, content[count:]


def damaged_in(path: Path, metainfo: Metainfo, progress: Progress) -> list[Range]:
    """The pieces of a file that are not as its torrent promises; of a file that is not there, all of it."""
    if not path.exists():
        return [(0, metainfo.length)]
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = min(os.fstat(descriptor).st_size, metainfo.length)
        progress.begin(f"look at what is there of {metainfo.name}", size, "bytes")
        is_one = not metainfo.layer
        promise = Promise(
            size=size,
            piece_bytes=metainfo.piece_length,
            is_one_piece=is_one,
            hashes=metainfo.layer or metainfo.pieces_root,
        )
        found = prove(descriptor, promise, progress)
        return merged(
            [*found.damaged, *found.unreadable, *([(size, metainfo.length - size)] if size < metainfo.length else [])]
        )
    finally:
        os.close(descriptor)


def _bridged(ranges: Sequence[Range], gap_bytes: int) -> list[Range]:
    """Ranges in order, with those that lie close together made one."""
    found: list[Range] = []
    for at, count in ranges:
        if found and at - sum(found[-1]) < gap_bytes:
            found[-1] = (found[-1][0], at + count - found[-1][0])
        else:
            found.append((at, count))
    return found


def _cut(at: int, end: int, step: int) -> list[tuple[int, int]]:
    """A range in parts that end at multiples of `step`."""
    begins = [at, *range((at // step + 1) * step, end, step)]
    return list(zip(begins, [*begins[1:], end], strict=True))

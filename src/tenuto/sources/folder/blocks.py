"""Of an audio file, the blocks from which its tags can be read again: the evidence that a folder gives."""

from collections.abc import Iterator
from typing import BinaryIO

from tenuto.audio import SparseFile, Tags, TouchedFile, find_truncation, read_tags
from tenuto.evidence import Span

BLOCKS_MAX_BYTES = 2**20
"""Tag blocks kept of one file; more only where the tags cannot be read again from less."""

BLOCKS_LIMIT_BYTES = 16 * 2**20
_TAIL_TRIALS = (4096, 16_384)
_END_TRIALS = ((8_192, 4_096), (65_536, 16_384), (BLOCKS_MAX_BYTES - 65_536, 65_536))
"""Both ends of a file through which the reader ran from one to the other, as it does with an Ogg stream without end."""

_RIM_BYTES = 65_536
_PAGE_HEADER_MAX = 27 + 255


def tag_blocks(file: BinaryIO, size: int, name: str) -> list[Span]:
    """The blocks from which the tags can be read again: the fewest of the trials that give the same reading."""
    touched = TouchedFile(file, size, name)
    wanted = read_blocks(touched, size)
    ranges = touched.touched()
    trials = (
        *(_short_tail(ranges, size, tail) for tail in _TAIL_TRIALS),
        *([(0, head), (size - tail, size)] for head, tail in _END_TRIALS if head + tail < size),
        _hollow(file, ranges),
        _capped(ranges, BLOCKS_MAX_BYTES),
    )
    for trial in trials:
        spans = _read_ranges(file, trial)
        sparse = SparseFile([(span.offset, span.content) for span in spans], size, name)
        if _bytes_in(trial) <= BLOCKS_MAX_BYTES and read_blocks(sparse, size) == wanted:
            return spans
    return _read_ranges(file, _capped(ranges, BLOCKS_LIMIT_BYTES))


def read_blocks(file: TouchedFile, size: int) -> tuple[Tags | None, str | None]:
    """All that is ever read of a file: its tags, and how it is cut off."""
    return read_tags(file), find_truncation(file, size)


def _short_tail(ranges: list[tuple[int, int]], size: int, tail: int) -> list[tuple[int, int]]:
    """The ranges with the last one, where it reaches the end of the file, cut to its last `tail` bytes."""
    if len(ranges) < 2 or ranges[-1][1] < size:  # noqa: PLR2004 -- a tail is not the head
        return ranges
    return [*ranges[:-1], (max(ranges[-1][0], size - tail), size)]


def _hollow(file: BinaryIO, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges, of long ones both rims alone and the Ogg page headers between: a picture among the tags is left out."""
    kept: list[tuple[int, int]] = []
    for first, end in ranges:
        if end - first <= 2 * _RIM_BYTES:
            kept.append((first, end))
            continue
        headers = [(max(page, first + _RIM_BYTES), min(page + _PAGE_HEADER_MAX, end - _RIM_BYTES))
                   for page in _pages(file, first, end - _RIM_BYTES) if page + _PAGE_HEADER_MAX > first + _RIM_BYTES]  # fmt: skip
        kept += [(first, first + _RIM_BYTES), *headers, (end - _RIM_BYTES, end)]
    return [(first, end) for first, end in kept if first < end]


def _pages(file: BinaryIO, first: int, end: int) -> Iterator[int]:
    """Where the Ogg pages in a range begin (RFC 3533, section 6); none where it begins with something else."""
    while first < end:
        file.seek(first)
        header = file.read(_PAGE_HEADER_MAX)
        if header[:4] != b"OggS" or len(header) < 27 + header[26]:
            return
        yield first
        first += 27 + header[26] + sum(header[27 : 27 + header[26]])


def _capped(ranges: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """The first `limit` bytes of the ranges."""
    kept: list[tuple[int, int]] = []
    for first, end in ranges:
        left = limit - _bytes_in(kept)
        if left <= 0:
            break
        kept.append((first, min(end, first + left)))
    return kept


def _bytes_in(ranges: list[tuple[int, int]]) -> int:
    return sum(end - first for first, end in ranges)


def _read_ranges(file: BinaryIO, ranges: list[tuple[int, int]]) -> list[Span]:
    spans = []
    for first, end in ranges:
        file.seek(first)
        spans.append(Span(first, file.read(end - first)))
    return [span for span in spans if span.content]

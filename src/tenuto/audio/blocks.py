"""Which blocks of a file a tag reader touches, and the file again as seen through those blocks.

`TouchedFile` notes what is read; `SparseFile` replays it: the parser that ran at harvest time runs again at build time,
on the same bytes, with the audio between them replaced by zeros that it never looks at.
"""

import io
from collections.abc import Sequence
from typing import BinaryIO


class TouchedFile(io.RawIOBase):
    """A readable, seekable view of a file that notes the ranges that were read."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        super().__init__()
        self.name = name
        self._file = file
        self.size = size
        self._place = 0
        self._touched: list[tuple[int, int]] = []

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file does; before the beginning is an error."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"seek to {base + offset}")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """The place of the next byte read."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, fewer only at the end of the file."""
        left = max(0, self.size - self._place)
        size = left if size is None or size < 0 else min(size, left)
        if size == 0:
            return b""
        content = self._bytes_at(self._place, size)
        self._touched.append((self._place, self._place + len(content)))
        self._place += len(content)
        return content

    def read_at(self, place: int, size: int) -> bytes:
        """Bytes of a place, without moving."""
        return self._bytes_at(place, max(0, min(size, self.size - place)))

    def touched(self, gap: int = 64) -> list[tuple[int, int]]:
        """The ranges `[first, end)` read so far, in order, neighbours closer than `gap` bytes joined."""
        joined: list[tuple[int, int]] = []
        for first, end in sorted(self._touched):
            if joined and first <= joined[-1][1] + gap:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((first, end))
        return joined

    def _bytes_at(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        return self._file.read(size)


class SparseFile(TouchedFile):
    """A file of `size` bytes of which only some ranges are known; the rest reads as zeros."""

    def __init__(self, known: Sequence[tuple[int, bytes]], size: int, name: str) -> None:
        super().__init__(io.BytesIO(), size, name)
        self._known = known

    def _bytes_at(self, place: int, size: int) -> bytes:
        content = bytearray(size)
        for offset, block in self._known:
            first, end = max(place, offset), min(place + size, offset + len(block))
            if first < end:
                content[first - place : end - place] = block[first - offset : end - offset]
        return bytes(content)

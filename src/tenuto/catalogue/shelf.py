"""Rows of a table as they are shown, one by one: packed in blocks of 64 rows, so that a row costs the same in any catalogue.

A Parquet file gives a row only with the tens of thousands beside it, column by column: 10 to 40 ms a song.

A file is sealed (see `sealed`): the blocks (the number of bytes unpacked, uint32, then zstd: the columns, ended by U+001D, of each
the values, ended by U+001F, a null one as U+001E), where each begins and the last one ends (uint64), then the number of rows, all
little-endian.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tenuto.catalogue.sealed import Sealed, seal

BLOCK_ROWS = 64
"""Rows of a block: 0.05 ms to unpack, four times as many take 0.16 ms and save a byte a track."""

_KIND = b"TENUTOS1"
_LEVEL = 1
"""Of zstd: level 3 takes half as long again and saves 3 %."""

_COLUMN, _NULL, _VALUE = "\x1d", "\x1e", "\x1f"
_SIGNS = "[\x1d-\x1f]"
_UNPACKED = struct.Struct("<I")
_OFFSET = struct.Struct("<QQ")
_TAIL = struct.Struct("<Q")
_BLOCKS_MAX = 256
"""Blocks kept unpacked, some 50 KB each: who asks for a song asks for the next one of the release."""


class ShelfWriter:
    """Writes the blocks of a table in the order of its rows; ends the file when the block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._offsets, self._rows = [0], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file as file:
            if kind is not None:
                return
            file.write(np.array(self._offsets, "<u8").tobytes() + _TAIL.pack(self._rows))
        seal(self._path, _KIND)

    def add(self, blocks: Iterable[bytes], rows: int) -> None:
        """The next rows; all but the last ones come in whole blocks."""
        for block in blocks:
            self._file.write(block)
            self._offsets.append(self._offsets[-1] + len(block))
        self._rows += rows


def blocks_of(columns: Sequence[pa.Array]) -> list[bytes]:
    """Columns of equal length, packed for `ShelfWriter.add`. For any thread."""
    import pyarrow.compute as pc  # noqa: PLC0415 -- for writers alone: readers begin sooner without it

    rows = len(columns[0])
    texts = [pc.cast(column, pa.string()) for column in columns]
    joined = _joined(texts, rows)
    held = np.frombuffer(joined.buffers()[2], np.uint8)[: _offsets(joined)[-1]]
    nulls = sum(text.null_count for text in texts)
    due = {_COLUMN: len(joined) * len(texts), _NULL: nulls, _VALUE: rows * len(texts)}
    if any(np.count_nonzero(held == ord(sign)) != count for sign, count in due.items()):
        joined = _joined([pc.replace_substring_regex(text, _SIGNS, " ") for text in texts], rows)
    codec, written, offsets = pa.Codec("zstd", _LEVEL), joined.buffers()[2], _offsets(joined)
    return [
        _UNPACKED.pack(end - begin) + codec.compress(written.slice(begin, end - begin), asbytes=True)
        for begin, end in pairwise(offsets)
    ]


def _offsets(texts: pa.Array) -> list[int]:
    offsets: list[int] = np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1].tolist()
    return offsets


def _joined(texts: Sequence[pa.Array], rows: int) -> pa.Array:
    """One text a block."""
    import pyarrow.compute as pc  # noqa: PLC0415

    bounds = pa.array(np.minimum(np.arange(0, rows + BLOCK_ROWS, BLOCK_ROWS), rows), pa.int32())
    columns = [pc.binary_join(pa.ListArray.from_arrays(bounds, pc.fill_null(text, _NULL)), _VALUE) for text in texts]
    return pc.binary_join_element_wise(*columns, "", f"{_VALUE}{_COLUMN}")


class Shelf:
    """Reads single rows of one table; not for several threads at a time. Raises IntegrityError where the file is damaged."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = Sealed(path, _KIND)
        self._columns = columns
        (self.rows,) = _TAIL.unpack(self._file.read(self._file.size - _TAIL.size, _TAIL.size))
        self._places = self._file.size - _TAIL.size - 8 * (-(-self.rows // BLOCK_ROWS) + 1)
        self._codec = pa.Codec("zstd")
        self._block = lru_cache(_BLOCKS_MAX)(self._read_block)

    def row(self, number: int) -> Mapping[str, str | None]:
        """The texts of the row with this number by their columns; raises IndexError where there is none."""
        if not 0 <= number < self.rows:
            raise IndexError(f"there is no row {number}, but {self.rows}")
        block, place = self._block(number // BLOCK_ROWS), number % BLOCK_ROWS
        values = {name: texts[place] for name, texts in zip(self._columns, block, strict=True)}
        return {name: None if value == _NULL else value for name, value in values.items()}

    def _read_block(self, number: int) -> list[list[str]]:
        begin, end = _OFFSET.unpack(self._file.read(self._places + 8 * number, _OFFSET.size))
        packed = self._file.read(begin, end - begin)
        (unpacked,) = _UNPACKED.unpack_from(packed)
        text: Any = self._codec.decompress(packed[_UNPACKED.size :], decompressed_size=unpacked, asbytes=True)
        return [column.split(_VALUE) for column in text.decode().split(_COLUMN)[:-1]]

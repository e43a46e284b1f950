"""What is shown of a track that was found: title, artists and release, packed in blocks beside the index.

tantivy's own document store packs with LZ4 in its Python build and takes 33 bytes a track for the same texts; zstd over the rows
of an edition, where a release's tracks lie together, takes 20 (docs/decisions/0013-search.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.model.errors import IntegrityError

BLOCK_ROWS = 256
"""Rows of a block, about 10 KB: larger ones save under a byte a track, and each hit unpacks one."""

SHOWN_MAX = 1_000
"""Characters of a text that are shown, as many as are looked at (`model.folding`); so a block stays small."""

_LEVEL = 3
_ROW, _FIELD, _ARTIST = "\x1d", "\x1f", "\x1e"
_SEPARATORS = "[\x1d-\x1f]"
_FILE, _PLACES = "shown.zst", "shown.places.npy"
_PLACE = np.dtype(
    [("first_row", "<u4"), ("rows", "<u4"), ("packed_bytes", "<u4"), ("text_bytes", "<u4"), ("offset", "<u8")]
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The texts of a track, as they stand in the catalogue."""

    title: str
    artists: tuple[str, ...]
    release: str


def lines_of(title: pa.Array, artists: pa.ListArray, release: pa.Array) -> list[str]:
    """One line of text a row, from columns of equal length without nulls."""
    people = pa.ListArray.from_arrays(artists.offsets, _cleaned(artists.values))
    joined = pc.binary_join(people, _ARTIST)
    lines: list[str] = pc.binary_join_element_wise(_cleaned(title), joined, _cleaned(release), _FIELD).to_pylist()
    return lines


class ShownWriter:
    """Writes lines in the order of their rows; the places of the blocks are written when it is closed."""

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO = (folder / _FILE).open("xb")
        self._folder = folder
        self._places: list[tuple[int, int, int, int, int]] = []
        self._codec = pa.Codec("zstd", _LEVEL)
        self._rows: list[int] = []
        self._lines: list[str] = []
        self._offset = 0
        self._last_row = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._write(self._rows, self._lines)
                np.save(self._folder / _PLACES, np.array(self._places, dtype=_PLACE))

    def add(self, rows: Sequence[int], lines: Iterable[str]) -> None:
        """The next rows; raises ValueError where their numbers do not ascend."""
        if rows and (rows[0] <= self._last_row or np.any(np.diff(np.asarray(rows, dtype=np.int64)) <= 0)):
            raise ValueError(f"track rows must ascend: {rows[0]} … came after {self._last_row}")
        self._last_row = rows[-1] if rows else self._last_row
        self._rows += rows
        self._lines += lines
        whole = len(self._rows) // BLOCK_ROWS * BLOCK_ROWS
        for begin in range(0, whole, BLOCK_ROWS):
            self._write(self._rows[begin : begin + BLOCK_ROWS], self._lines[begin : begin + BLOCK_ROWS])
        del self._rows[:whole], self._lines[:whole]

    def _write(self, rows: list[int], lines: list[str]) -> None:
        if not rows:
            return
        numbers = np.diff(np.array(rows, dtype="<u4"), prepend=np.uint32(rows[0])).astype("<u4").tobytes()
        text = numbers + _ROW.join(lines).encode()
        packed = self._codec.compress(text, asbytes=True)
        self._file.write(packed)
        self._places.append((rows[0], len(rows), len(packed), len(text), self._offset))
        self._offset += len(packed)


class ShownReader:
    """Reads what was written; blocks are read from the disk when they are asked for. Safe for many threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        try:
            self._places: npt.NDArray[np.void] = np.load(folder / _PLACES, mmap_mode="r")
            self._packed = (
                pa.memory_map(str(self._path)).read_buffer() if self._path.stat().st_size else pa.py_buffer(b"")
            )
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{folder} cannot be read ({error}); run: tenuto catalogue build") from None
        if self._places.dtype != _PLACE:
            raise IntegrityError(f"{folder / _PLACES} is not as it was written; run: tenuto catalogue build")
        self._first_rows = self._places["first_row"]

    def read(self, rows: Iterable[int]) -> dict[int, Shown]:
        """The texts of rows by their number; raises IntegrityError where a row is not there or its block is damaged."""
        wanted: dict[int, list[int]] = {}
        for row in rows:
            wanted.setdefault(int(np.searchsorted(self._first_rows, row, side="right")) - 1, []).append(row)
        try:
            return {row: shown for number, some in wanted.items() for row, shown in self._read_block(number, some)}
        except (OSError, ValueError, LookupError) as error:
            raise IntegrityError(f"{self._path} cannot be read ({error}); run: tenuto catalogue build") from None

    def _read_block(self, number: int, rows: list[int]) -> Iterator[tuple[int, Shown]]:
        first_row, count, packed_bytes, text_bytes, offset = self._places[number].item()
        packed = self._packed[offset : offset + packed_bytes]
        text = pa.Codec("zstd").decompress(packed, decompressed_size=text_bytes, asbytes=True)
        known = np.cumsum(np.frombuffer(text, dtype="<u4", count=count), dtype=np.int64) + first_row
        lines = text[4 * count :].decode().split(_ROW)
        for row in rows:
            place = int(np.searchsorted(known, row))
            if known[place] != row:
                raise LookupError(f"no track {row}")
            title, artists, release = lines[place].split(_FIELD)
            yield row, Shown(title, tuple(artists.split(_ARTIST)) if artists else (), release)


def _cleaned(texts: pa.Array) -> pa.Array:
    """Texts cut, and without our separators; the catalogue's texts hold none (`model.text.mend`), so they are only looked for."""
    if len(texts) and pc.max(pc.binary_length(texts)).as_py() > SHOWN_MAX:
        texts = pc.utf8_slice_codeunits(texts, 0, SHOWN_MAX)
    if pc.any(pc.match_substring_regex(texts, _SEPARATORS)).as_py():
        return pc.replace_substring_regex(texts, _SEPARATORS, " ")
    return texts

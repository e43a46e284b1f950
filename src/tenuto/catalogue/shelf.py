"""Single rows of an edition's tables, read where they lie: one row group of one file, its footer read once."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenuto.catalogue.edition import EDITION_NAME, Edition

_OPEN_MAX = 256
"""Files whose footers are kept: more than a catalogue of 256 M tracks has of one table."""

_GROUPS_MAX = 32
"""Row groups kept unpacked: who asks for a song asks for the next one of the release."""


class Shelf:
    """Reads rows of an edition; not for several threads at a time."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._open = lru_cache(_OPEN_MAX)(_open_file)
        self._group = lru_cache(_GROUPS_MAX)(self._read_group)

    def row(self, table: str, number: int, columns: Sequence[str]) -> dict[str, Any]:
        """The row with this number, of a table that numbers its rows; raises IndexError where it has no such row."""
        if not 0 <= number < self._edition.info.tables[table].rows:
            raise IndexError(f"{table} has no row {number}")
        file, place = self._place(table, number)
        size = self._open(file).metadata.row_group(0).num_rows
        group = self._group(file, place // size, tuple(columns))
        return {name: group.column(name)[place % size].as_py() for name in columns}

    def rows_of(self, table: str, track_row: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows that belong to a track, of a table that is ordered by `track_row`, its first column."""
        found: list[dict[str, Any]] = []
        for file, group in self._groups_with(table, track_row):
            rows = self._group(file, group, ("track_row", *columns))
            number = pa.scalar(track_row, pa.uint32())
            found += rows.filter(pc.equal(rows.column("track_row"), number)).select(list(columns)).to_pylist()
        return found

    def _place(self, table: str, number: int) -> tuple[Path, int]:
        """The file that has a row, and its place there."""
        for file in self._edition.info.tables[table].files:
            if number < file.rows:
                return self._edition.folder / file.name, number
            number -= file.rows
        raise IndexError(f"the files of {table} have fewer rows than {EDITION_NAME} says")

    def _groups_with(self, table: str, track_row: int) -> list[tuple[Path, int]]:
        """The row groups in which rows of a track may be, in order; few footers are looked at, however many files there are."""
        if not self._edition.info.tables[table].rows:
            return []
        files, found = self._edition.files(table), list[tuple[Path, int]]()
        end = bisect_right(files, track_row, key=lambda file: self._first(file, 0))
        for file in reversed(files[:end]):
            groups = range(self._open(file).num_row_groups)
            for group in reversed(groups[: bisect_right(groups, track_row, key=partial(self._first, file))]):
                found.append((file, group))
                if self._first(file, group) < track_row:
                    return found[::-1]
        return found[::-1]

    def _first(self, file: Path, group: int) -> int:
        return int(self._open(file).metadata.row_group(group).column(0).statistics.min)

    def _read_group(self, file: Path, group: int, columns: tuple[str, ...]) -> pa.Table:
        return self._open(file).read_row_group(group, list(columns), use_threads=False)


def _open_file(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, memory_map=True)

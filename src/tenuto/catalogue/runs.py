"""The rows of an edition's tables in order, a batch at a time: for what is made of an edition."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.catalogue.edition import Edition

BATCH_ROWS = 32_768
"""Rows of each batch but the last one."""


def batches(
    edition: Edition, table: str, columns: Sequence[str], rows: range | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a table that numbers them, or those in `rows`."""
    wanted = range(edition.info.tables[table].rows) if rows is None else rows
    pending: list[pa.Table] = []
    count = 0
    for part in _parts(edition, table, columns, wanted):
        pending.append(part)
        count += part.num_rows
        while count >= BATCH_ROWS:
            whole = pa.concat_tables(pending)
            yield _batch(whole.slice(0, BATCH_ROWS))
            pending, count = [whole.slice(BATCH_ROWS)], count - BATCH_ROWS
    if count:
        yield _batch(pa.concat_tables(pending))


def _batch(rows: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in rows.columns],
        names=rows.column_names,
    )


def _parts(edition: Edition, table: str, columns: Sequence[str], rows: range) -> Iterator[pa.Table]:
    begin = 0
    for info in edition.info.tables[table].files:
        if begin + info.rows > rows.start and begin < rows.stop:
            file = _opened(edition.folder / info.name)
            first = begin
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if first + count > rows.start and first < rows.stop:
                    part = file.read_row_group(group, list(columns), use_threads=False)
                    cut = max(0, rows.start - first)
                    yield part.slice(cut, min(count, rows.stop - first) - cut)
                first += count
        begin += info.rows


class Credits:
    """The artists of tracks, asked for in the order of the tracks."""

    def __init__(self, edition: Edition, first_track: int = 0) -> None:
        self._read = _credits(edition, first_track)
        self._tracks, self._artists = np.zeros(0, np.uint32), np.zeros(0, np.uint32)

    def of(self, tracks: range) -> tuple[Any, Any]:
        """For the next tracks, where the artists of each begin and the last one's end (int32), and their rows (uint32)."""
        while not len(self._tracks) or self._tracks[-1] < tracks.stop:
            more = next(self._read, None)
            if more is None:
                break
            self._tracks, self._artists = (
                np.concatenate([held, more.column(n).to_numpy()])
                for n, held in enumerate((self._tracks, self._artists))
            )
        places = np.searchsorted(self._tracks, np.arange(tracks.start, tracks.stop + 1, dtype=np.uint32))
        artists = self._artists[places[0] : places[-1]]
        self._tracks, self._artists = self._tracks[places[-1] :], self._artists[places[-1] :]
        return (places - places[0]).astype(np.int32), artists


def _credits(edition: Edition, first_track: int) -> Iterator[pa.RecordBatch]:
    for path in edition.files("credit"):
        file = _opened(path)
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(0).statistics
            if statistics is None or statistics.max >= first_track:
                yield from file.read_row_group(group, ["track_row", "artist_row"], use_threads=False).to_batches()


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, memory_map=True)

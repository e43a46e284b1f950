"""Making the index of an edition: its rows as they are shown, and where each id and code is found (`shelf`, `keys`)."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.archive.processes import processors
from tenuto.catalogue.edition import Edition
from tenuto.catalogue.keys import KeysWriter
from tenuto.catalogue.runs import Credits, batches
from tenuto.catalogue.shelf import ShelfWriter, blocks_of
from tenuto.catalogue.songs import KEYS, SHOWN
from tenuto.model.progress import Progress

_AHEAD = 3
"""Batches in work at a time, some 20 MB each."""


def write_index(edition: Edition, folder: Path, progress: Progress) -> None:
    """Write the index of an edition into an empty folder."""
    progress.begin("index", sum(edition.info.tables[table].rows for table in SHOWN), "rows")
    spans = np.zeros((edition.info.tables["release"].rows, 2), np.uint32)
    read = {"track": _tracks(edition, spans), "release": _releases(edition, spans), "artist": _artists(edition)}
    with ThreadPoolExecutor(min(2, processors())) as threads:
        for table, rows in read.items():
            _write_table(edition, table, rows, folder, threads, progress)


def _tracks(edition: Edition, spans: Any) -> Iterator[pa.RecordBatch]:
    """The columns of tracks that are shown; notes in `spans` of each release its first track and how many it has."""
    credited, first = Credits(edition), 0
    for batch in batches(edition, "track", SHOWN["track"][:-1]):
        offsets, artists = credited.of(range(first, first + batch.num_rows))
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(artists).cast(pa.string()))
        yield batch.append_column("artist_rows", pc.binary_join(lists, ","))
        _note(spans, batch.column("release_row"), first)
        first += batch.num_rows


def _note(spans: Any, releases: pa.Array, first: int) -> None:
    if releases.null_count == len(releases):
        return
    known = releases.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(known) + first
    numbers, begins, counts = np.unique(releases.drop_null().to_numpy(), return_index=True, return_counts=True)
    is_new = spans[numbers, 1] == 0
    spans[numbers[is_new], 0] = rows[begins[is_new]]
    spans[numbers, 1] += counts.astype(np.uint32)


def _releases(edition: Edition, spans: Any) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in batches(edition, "release", SHOWN["release"][:-2]):
        held = spans[first : first + batch.num_rows]
        yield batch.append_column("first_track", pa.array(held[:, 0])).append_column("tracks", pa.array(held[:, 1]))
        first += batch.num_rows


def _artists(edition: Edition) -> Iterator[pa.RecordBatch]:
    return batches(edition, "artist", SHOWN["artist"])


def _write_table(
    edition: Edition, table: str, rows: Iterator[pa.RecordBatch], folder: Path, threads: ThreadPoolExecutor, progress: Progress
) -> None:  # fmt: skip
    count, first = edition.info.tables[table].rows, 0
    with ExitStack() as closing:
        shelf = closing.enter_context(ShelfWriter(folder / f"{table}.shelf"))
        keys = {
            column: closing.enter_context(KeysWriter(folder / f"{table}.{column}.keys", count))
            for column in KEYS[table]
        }

        def work(batch: pa.RecordBatch, first: int) -> tuple[list[bytes], list[Any]]:
            found = [writer.entries_of(batch.column(column), first) for column, writer in keys.items()]
            return blocks_of(batch.columns), found

        def finish(batch_rows: int, done: Future[tuple[list[bytes], list[Any]]]) -> None:
            blocks, found = done.result()
            shelf.add(blocks, batch_rows)
            for writer, entries in zip(keys.values(), found, strict=True):
                writer.add(entries)
            progress.advance(batch_rows)

        at_work: deque[tuple[int, Future[tuple[list[bytes], list[Any]]]]] = deque()
        for batch in rows:
            at_work.append((batch.num_rows, threads.submit(work, batch, first)))
            first += batch.num_rows
            if len(at_work) > _AHEAD:
                finish(*at_work.popleft())
        while at_work:
            finish(*at_work.popleft())

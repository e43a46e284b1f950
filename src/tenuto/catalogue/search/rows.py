"""The rows of an edition as the text index takes them: names in place of row numbers, in batches, from any track on."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.catalogue.edition import Edition
from tenuto.catalogue.runs import BATCH_ROWS, Credits, batches
from tenuto.catalogue.search.columns import order_of
from tenuto.catalogue.search.tiers import TOP_FRACTION

_SAMPLED = 64
"""One track in so many says where the first tier ends."""

_CHUNKS_MAX = 16
"""Batches of releases kept: tracks lie by release, for each source anew."""


def text_rows(edition: Edition, tracks: range) -> Iterator[pa.RecordBatch]:
    """The rows of some tracks, as `build.build_index` takes them. The names of all artists are held meanwhile."""
    names, credited, releases = _artists(edition), Credits(edition, tracks.start), _Releases(edition)
    first = tracks.start
    columns = ("title", "release_row", "listens_count", "popularity", "licence")
    for batch in batches(edition, "track", columns, tracks):
        end = first + batch.num_rows
        offsets, artists = credited.of(range(first, end))
        release, year = releases.of(batch.column("release_row"))
        yield pa.record_batch({
            "track_row": pa.array(np.arange(first, end, dtype=np.uint32)), "title": batch.column("title"),
            "artists": pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(artists)).cast(pa.string())),
            "release": release, "listens": batch.column("listens_count"), "popularity": batch.column("popularity"),
            "year": year, "licence": batch.column("licence"),
        })  # fmt: skip
        first = end


def top_bound(edition: Edition) -> int:
    """The `order` from which on a track is in the first tier."""
    sampled, first = [np.zeros(0, np.uint64)], 0
    for batch in batches(edition, "track", ("listens_count", "popularity")):
        some = pa.array(np.arange(-first % _SAMPLED, batch.num_rows, _SAMPLED))
        rows = pa.array(some.to_numpy() + first)
        sampled.append(order_of(rows, *(column.take(some) for column in batch.columns)).to_numpy())
        first += batch.num_rows
    orders = np.concatenate(sampled)
    place = len(orders) // TOP_FRACTION
    return int(-np.partition(-orders.astype(np.int64), place)[place]) if len(orders) else 0


def _artists(edition: Edition) -> pa.Array:
    parts = [pc.coalesce(*batch.columns) for batch in batches(edition, "artist", ("name", "artist_id"))]
    return pa.chunked_array(parts, pa.string()).cast(pa.large_string()).combine_chunks()


class _Releases:
    """Titles and years of releases."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._chunk = lru_cache(_CHUNKS_MAX)(self._read)

    def of(self, rows: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Title and year of each release, null where there is none."""
        known = rows.is_valid().to_numpy(zero_copy_only=False)
        numbers = rows.fill_null(0).to_numpy().astype(np.int64)
        chunks = np.unique(numbers[known] // BATCH_ROWS)
        if not len(chunks):
            return pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.uint16())
        held = pa.Table.from_batches([self._chunk(chunk) for chunk in chunks.tolist()])
        places = np.searchsorted(chunks, numbers // BATCH_ROWS) * BATCH_ROWS + numbers % BATCH_ROWS
        found = held.take(pa.array(places, mask=~known))
        title, day = (column.combine_chunks() for column in found.columns)
        return title, pc.year(day).cast(pa.uint16(), safe=False)

    def _read(self, chunk: int) -> pa.RecordBatch:
        rows = range(chunk * BATCH_ROWS, (chunk + 1) * BATCH_ROWS)
        (batch,) = batches(self._edition, "release", ("title", "release_date"), rows)
        return batch

"""The answers in one file of a generated harvest, and the truth about what they say."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive import durable
from tenuto.bench.catalogue import Catalogue, NewReleases
from tenuto.bench.changes import after, appeared
from tenuto.bench.pages import artist_pages, release_pages, track_pages
from tenuto.bench.wanted import BLOCKS_A_FILE, Part, Totals, Wanted, artist_span, block_at, catalogue_of
from tenuto.model.progress import Progress

_NEW_OF_STEP = 2**44
"""Recordings of what came later are numbered apart."""


def answers(wanted: Wanted, totals: Totals, part: Part) -> Iterator[tuple[str, bytes]]:
    """Request and body of each answer in a file, in order."""
    base = catalogue_of(wanted.seed, wanted.tracks)
    catalogue, before = base, (0, 0)
    if part.step > 1:
        news = appeared(base, wanted.shares)
        catalogue = next(new for new in news if new.step == part.step)
        more = sum(new.tracks for new in news if new.step < part.step)
        before = (base.releases + more, base.tracks + more)
    else:
        files = math.ceil(base.blocks / BLOCKS_A_FILE)
        span = artist_span(base, part.number, files)
        yield from artist_pages(base.artist_columns(span.start, len(span)), totals.artists)
    for place in range(part.first, part.last):
        yield from _block_pages(wanted, totals, catalogue, place, before)


def _block_pages(
    wanted: Wanted, totals: Totals, catalogue: Catalogue, place: int, before: tuple[int, int]
) -> Iterator[tuple[str, bytes]]:
    """The pages of one block; the order of releases on them is not that of their ids."""
    block = block_at(catalogue, place)
    order = catalogue.order(block)
    tracks = catalogue.track_columns(block, order)
    releases = catalogue.release_columns(block, order, tracks.popularity)
    shares = () if isinstance(catalogue, NewReleases) else wanted.shares
    now = after(catalogue.dice, shares, tracks)
    mixed = catalogue.page_order(block, order)
    sizes = order.sizes[mixed]
    starts = (np.cumsum(order.sizes) - order.sizes)[mixed]
    rows = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(tracks.numbers))
    layout = catalogue.layout
    yield from release_pages(catalogue, releases, mixed.tolist(), before[0] + place * layout.releases, totals.releases)
    yield from track_pages(
        catalogue, tracks, now, releases.ids, rows.tolist(), before[1] + place * layout.tracks, totals.tracks
    )


def write_truth(file: Path, wanted: Wanted, progress: Progress) -> None:
    """A Parquet of `track_id` and `recording` (a number) for each track that the harvest shows."""
    schema = pa.schema([("track_id", pa.string()), ("recording", pa.uint64())])
    beside = file.with_name(f"{durable.LEFTOVER_PREFIX}{file.name}")
    base = catalogue_of(wanted.seed, wanted.tracks)
    progress.begin("write the truth", wanted.tracks, "tracks")
    with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
        for block in range(base.blocks):
            tracks = base.track_columns(block, base.order(block))
            now = after(base.dice, wanted.shares, tracks)
            rows = pa.table([now.ids, pa.array(tracks.recordings, pa.uint64())], schema=schema)
            writer.write_table(rows.filter(pa.array(now.is_there)))
            progress.advance(len(tracks.numbers))
        for new in appeared(base, wanted.shares):
            for block in range(new.blocks):
                tracks = new.track_columns(block, new.order(block))
                recordings = pa.array(tracks.recordings + new.step * _NEW_OF_STEP, pa.uint64())
                writer.write_table(pa.table([tracks.ids, recordings], schema=schema))
    beside.replace(file)

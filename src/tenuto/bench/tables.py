"""The same catalogue as tables at once, without evidence: Arrow batches in the order that the rows of an edition have."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.chance import I64
from tenuto.bench.columns import ROLES, TYPES, Artists, Order, Releases, Tracks
from tenuto.bench.figures import within
from tenuto.bench.words import CODES
from tenuto.model.tables import TABLES
from tenuto.sources.generated import LISTENS_SCOPE, PAGE

SOURCE = "generated"
FIRST_DAY = date(2026, 1, 31)
"""Of the first harvest, where nobody says another day."""

_PRECISIONS = pa.array(["year", "month", "day"])


def tables(seed: int, tracks: int, first: int = 0, count: int | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """(table, batch) for the blocks `[first, first + count)` of a catalogue, each table's batches in row order.

    Tables are `artist`, `release`, `track` and `credit`, with the columns and types of an edition (`model.tables`), as one that was
    built from the harvest of FIRST_DAY has them; evidence ids are made up, as many as there would be answers, and clusters
    are null. A block has 43,700 tracks and 10,000 releases, and its share of the artists; one block takes some 150 MB.
    """
    catalogue = Catalogue(seed, tracks)
    end = catalogue.blocks if count is None else min(catalogue.blocks, first + count)
    for block in range(first, end):
        order = catalogue.order(block)
        columns = catalogue.track_columns(block, order)
        yield "artist", artist_batch(catalogue, block)
        yield "release", release_batch(catalogue, block, order)
        yield "track", track_batch(catalogue, block, order, columns)
        yield "credit", credit_batch(catalogue, block, order)


def truth(seed: int, tracks: int, rows: I64) -> I64:
    """Which recording each track row holds: rows with the same number are the same recording, all others are not."""
    catalogue = Catalogue(seed, tracks)
    found = np.empty(len(rows), dtype=np.int64)
    blocks = rows // catalogue.layout.tracks
    for block in np.unique(blocks).tolist():
        slots = catalogue.order(block).slots
        is_here = blocks == block
        found[is_here] = catalogue.recordings(block, slots[rows[is_here] - block * catalogue.layout.tracks])
    return found


def _batch(table: str, **columns: Any) -> pa.RecordBatch:
    """The columns in the table's order and types; those that are not given are null."""
    rows = len(next(iter(columns.values())))
    made = [
        pa.nulls(rows, field.type) if (given := columns.get(field.name)) is None
        else (given if isinstance(given, pa.Array) else pa.array(given)).cast(field.type)
        for field in TABLES[table]
    ]  # fmt: skip
    return pa.record_batch(made, schema=TABLES[table])


def _constant(text: str, rows: int) -> pa.Array:
    return pa.repeat(text, rows)


def artist_batch(catalogue: Catalogue, block: int) -> pa.RecordBatch:
    """A block's share of the artists."""
    begin, stop = (catalogue.artists * number // catalogue.blocks for number in (block, block + 1))
    artists: Artists = catalogue.artist_columns(begin, stop - begin)
    rows = len(artists.ids)
    pages = (artists.first_row + np.arange(rows)) // PAGE
    return _batch(
        "artist",
        artist_row=artists.first_row + np.arange(rows),
        source=_constant(SOURCE, rows),
        artist_id=artists.ids,
        name=artists.names,
        genres=_lists(artists.genre_counts, artists.genres),
        popularity=artists.popularity,
        followers_count=artists.followers,
        evidence_id=catalogue.dice.bits("evidence of artists", pages),
    )


def release_batch(catalogue: Catalogue, block: int, order: Order) -> pa.RecordBatch:
    """The releases of a block."""
    releases: Releases = catalogue.release_columns(block, order, catalogue.popularity(block, order))
    rows = len(releases.ids)
    pages = block * catalogue.layout.releases + _release_places(catalogue, block, order)[0] // PAGE
    return _batch(
        "release",
        release_row=releases.first_row + np.arange(rows),
        source=_constant(SOURCE, rows),
        release_id=releases.ids,
        title=releases.titles,
        release_type=pa.array(TYPES).take(pa.array(releases.types)),
        label=releases.labels,
        upc=releases.upcs,
        release_date=pa.array(releases.dates.astype(np.int32)),
        release_date_precision=_PRECISIONS.take(pa.array(releases.known // 3 - 1)),
        copyright_c=releases.copyright_c,
        copyright_p=releases.copyright_p,
        popularity=releases.popularity,
        tracks_count=releases.tracks_counts,
        artist_rows=_lists(np.ones(rows, dtype=np.int64), pa.array(releases.artists)),
        evidence_id=catalogue.dice.bits("evidence of releases", pages),
    )


def track_batch(
    catalogue: Catalogue, block: int, order: Order, tracks: Tracks, clusters: pa.Array | None = None
) -> pa.RecordBatch:
    """The tracks of a block; `clusters` are their `cluster_row`."""
    rows = len(tracks.ids)
    places = _release_places(catalogue, block, order)[1][tracks.release] + order.places
    is_spoken = tracks.languages >= 0
    languages = _lists(is_spoken.astype(np.int64), pa.array(CODES).take(pa.array(tracks.languages[is_spoken])))
    return _batch(
        "track",
        track_row=tracks.first_row + np.arange(rows),
        source=_constant(SOURCE, rows),
        track_id=tracks.ids,
        title=tracks.titles,
        release_row=block * catalogue.layout.releases + tracks.release,
        disc_number=tracks.disc,
        track_number=tracks.number,
        duration_ms=tracks.duration_ms,
        is_explicit=tracks.is_explicit,
        isrc=tracks.isrcs,
        **(heard := _heard(tracks.popularity, tracks.listens, tracks.silent)),
        listens_on=pc.if_else(heard["listens_count"].is_valid(), pa.scalar(FIRST_DAY, pa.date32()), None),
        languages=languages,
        statement_rows=pa.ListArray.from_arrays(np.zeros(rows + 1, dtype=np.int32), pa.array([], pa.uint32())),
        cluster_row=clusters,
        evidence_id=catalogue.dice.bits("evidence of tracks", block * catalogue.layout.tracks + places // PAGE),
    )


def credit_batch(catalogue: Catalogue, block: int, order: Order) -> pa.RecordBatch:
    """The credits of a block's tracks."""
    counts, artists, roles = catalogue.credits(block, order)
    return _batch(
        "credit",
        track_row=np.repeat(track_rows(catalogue, block, order), counts),
        position=within(counts) + 1,
        artist_row=artists,
        role=pa.array(ROLES).take(pa.array(roles)),
    )


def history_batch(catalogue: Catalogue, block: int, order: Order) -> pa.RecordBatch:
    """What one harvest knows of how often the tracks of a block are heard."""
    rows = track_rows(catalogue, block, order)
    seen_on = pa.repeat(pa.scalar(FIRST_DAY, pa.date32()), len(rows))
    heard = _heard(*catalogue.heard(block, order))
    return _batch("history", track_row=rows, seen_on=seen_on, **heard, is_available=pa.repeat(True, len(rows)))


def link_batch(catalogue: Catalogue, block: int, order: Order, clusters: pa.Array) -> pa.RecordBatch:
    """A link of each track of a block that has a `cluster_row`: the truth's, so all are sure."""
    rows = pa.array(track_rows(catalogue, block, order)).filter(clusters.is_valid())
    score = np.ones(len(rows), dtype=np.float32)
    return _batch("link", track_row=rows, reason=_constant("title", len(rows)), score=score)


def track_rows(catalogue: Catalogue, block: int, order: Order) -> I64:
    """The rows of a block's tracks."""
    return block * catalogue.layout.tracks + np.arange(len(order.slots))


def _heard(popularity: I64, listens: I64, silent: I64) -> dict[str, pa.Array]:
    is_silent = np.zeros(len(listens), dtype=np.bool_)
    is_silent[silent] = True
    return {
        "popularity": pa.array(popularity),
        "listens_count": pa.array(listens, mask=is_silent),
        "listens_scope": pc.if_else(pa.array(is_silent), None, LISTENS_SCOPE),
    }


def _release_places(catalogue: Catalogue, block: int, order: Order) -> tuple[I64, I64]:
    """Of each release of a block its place on the pages, and that of its first track."""
    mixed = catalogue.page_order(block, order)
    places, begins = np.empty_like(mixed), np.empty_like(mixed)
    places[mixed] = np.arange(len(mixed))
    begins[mixed] = np.cumsum(order.sizes[mixed]) - order.sizes[mixed]
    return places, begins


def _lists(counts: I64, items: pa.Array) -> pa.Array:
    """Lists of so many items each; an empty one is null."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32(), mask=np.append(counts == 0, [False]))
    return pa.ListArray.from_arrays(offsets, items)

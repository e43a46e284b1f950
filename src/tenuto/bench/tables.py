"""The same catalogue as tables at once, without evidence: Arrow batches in the order that the rows of an edition have."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.chance import I64
from tenuto.bench.columns import ROLES, TYPES, Artists, Releases, Tracks
from tenuto.bench.figures import within
from tenuto.bench.words import CODES
from tenuto.model.tables import TABLES
from tenuto.sources.generated import LISTENS_SCOPE

SOURCE = "generated"
_PRECISIONS = pa.array(["year", "month", "day"])


def tables(seed: int, tracks: int, first: int = 0, count: int | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """(table, batch) for the blocks `[first, first + count)` of a catalogue, each table's batches in row order.

    Tables are `artist`, `release`, `track` and `credit`, with the columns and types of an edition (`model.tables`); what only
    evidence gives (evidence_id, listens_on, statement_rows) is null. A block has 43,700 tracks and 10,000 releases, and its
    share of the artists; one block takes some 150 MB.
    """
    catalogue = Catalogue(seed, tracks)
    end = catalogue.blocks if count is None else min(catalogue.blocks, first + count)
    for block in range(first, end):
        begin, stop = (catalogue.artists * number // catalogue.blocks for number in (block, block + 1))
        yield "artist", _artists(catalogue.artist_columns(begin, stop - begin))
        order = catalogue.order(block)
        columns = catalogue.track_columns(block, order)
        releases = catalogue.release_columns(block, order, columns.popularity)
        yield "release", _releases(releases)
        yield "track", _tracks(columns, releases.first_row)
        yield "credit", _credits(columns)


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


def _artists(artists: Artists) -> pa.RecordBatch:
    rows = len(artists.ids)
    return _batch(
        "artist",
        artist_row=artists.first_row + np.arange(rows),
        source=_constant(SOURCE, rows),
        artist_id=artists.ids,
        name=artists.names,
        genres=_lists(artists.genre_counts, artists.genres),
        popularity=artists.popularity,
        followers_count=artists.followers,
    )


def _releases(releases: Releases) -> pa.RecordBatch:
    rows = len(releases.ids)
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
    )


def _tracks(tracks: Tracks, first_release: int) -> pa.RecordBatch:
    rows = len(tracks.ids)
    is_silent = np.zeros(rows, dtype=np.bool_)
    is_silent[tracks.silent] = True
    is_spoken = tracks.languages >= 0
    languages = _lists(is_spoken.astype(np.int64), pa.array(CODES).take(pa.array(tracks.languages[is_spoken])))
    return _batch(
        "track",
        track_row=tracks.first_row + np.arange(rows),
        source=_constant(SOURCE, rows),
        track_id=tracks.ids,
        title=tracks.titles,
        release_row=first_release + tracks.release,
        disc_number=tracks.disc,
        track_number=tracks.number,
        duration_ms=tracks.duration_ms,
        is_explicit=tracks.is_explicit,
        isrc=tracks.isrcs,
        popularity=tracks.popularity,
        listens_count=pa.array(tracks.listens, mask=is_silent),
        listens_scope=pc.if_else(pa.array(is_silent), None, LISTENS_SCOPE),
        languages=languages,
    )


def _credits(tracks: Tracks) -> pa.RecordBatch:
    return _batch(
        "credit",
        track_row=np.repeat(tracks.first_row + np.arange(len(tracks.ids)), tracks.credit_counts),
        position=within(tracks.credit_counts) + 1,
        artist_row=tracks.artists,
        role=pa.array(ROLES).take(pa.array(tracks.roles)),
    )


def _lists(counts: I64, items: pa.Array) -> pa.Array:
    """Lists of so many items each; an empty one is null."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32(), mask=np.append(counts == 0, [False]))
    return pa.ListArray.from_arrays(offsets, items)

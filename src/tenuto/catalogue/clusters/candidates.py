"""Pairs of tracks that are worth a look, found by sorting: each track meets a fixed number of followers.

So no block explodes, however many tracks are called "Intro". DuckDB sorts (out of core); the sorted rows stream by. What is found
depends on their order alone, not on how they are cut into batches.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from tenuto.catalogue.clusters.score import (
    SPAN_OF_CODES_MAX_MS,
    TITLE_FLOOR,
    Columns,
    Floats,
    columns_of,
    people_likeness,
    score,
)
from tenuto.catalogue.clusters.union import Rows

BATCH_ROWS = 1_000_000
REASONS = ("title", "isrc", "spelling")
"""Title: same title, version, detail and one person. ISRC: nothing else. Spelling: same person and version, by alphabet."""
TITLE, ISRC, SPELLING = range(3)
_FOLLOWERS = {TITLE: 2, ISRC: 3, SPELLING: 2}
_FIELDS = "track_row AS row, duration_ms, isrc, name AS key, versions, detail, marks, person, people"
_BY_NAME = f"""
    SELECT hash(who, versions) AS block, t.key AS text, {_FIELDS}, who
    FROM (SELECT *, person AS who FROM clusters_track WHERE person <> 0
          UNION ALL SELECT *, unnest(others) AS who FROM clusters_track WHERE others IS NOT NULL) t
    ORDER BY block, text, duration_ms, row"""
_BY_ISRC = f"SELECT {_FIELDS}, person AS who FROM clusters_track WHERE isrc <> 0 ORDER BY isrc, duration_ms, row"
_COUNTED = re.compile(r"\b(?:\w*\d\w*|[ivxl]+)\b")

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs that are links, a < b, and of each the rule by which it was found, as a number in `REASONS`."""

    a: Rows
    b: Rows
    score: Floats
    reason: NDArray[np.uint8]


NO_LINKS = Links(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32), np.empty(0, np.uint8))


def links(con: duckdb.DuckDBPyConnection, threshold: float) -> Iterator[Links]:
    """The links that all rules find, batch by batch."""
    yield from _by_name(con, threshold)
    yield from _by_isrc(con, threshold)


def _by_name(con: duckdb.DuckDBPyConnection, threshold: float) -> Iterator[Links]:
    for rows, context in _runs(con.sql(_BY_NAME).to_arrow_reader(BATCH_ROWS)):
        columns, block, text = columns_of(rows), rows.column("block").to_numpy(), rows.column("text").combine_chunks()
        first, second = _same_name(columns, block, context)
        yield _scored(columns[first], columns[second], None, TITLE, threshold)
        first, second = _misspelt(columns, block, context)
        texts = text.take(pa.array(first)), text.take(pa.array(second))
        yield _scored(columns[first], columns[second], texts, SPELLING, threshold)


def _runs(batches: pa.RecordBatchReader) -> Iterator[tuple[pa.Table, int]]:
    """Sorted rows in tables that part no run of one block and key, however the batches do. First in each are so many rows that were
    last in the one before, its context. A run of more than `BATCH_ROWS` is parted after so many.
    """
    held, context = batches.schema.empty_table(), 0
    for batch in batches:
        held = pa.concat_tables([held, pa.Table.from_batches([batch])]).combine_chunks()
        block, key = held.column("block").to_numpy(), held.column("key").to_numpy()
        changes = np.flatnonzero((block[1:] != block[:-1]) | (key[1:] != key[:-1])) + 1
        begins = np.concatenate([[context], changes[changes > context]])
        lengths = np.diff(begins, append=len(block))
        cuts = [int(begins[-1])]
        for n in np.flatnonzero(lengths > BATCH_ROWS):
            cuts += range(int(begins[n]) + BATCH_ROWS, int(begins[n] + lengths[n]), BATCH_ROWS)
        begin = 0
        for cut in sorted(cuts):
            if cut > begin + context:
                yield held.slice(begin, cut - begin), context
                context = min(cut - begin, _FOLLOWERS[SPELLING])
                begin = cut - context
        held = held.slice(begin)
    if held.num_rows > context:
        yield held, context


def _same_name(columns: Columns, block: Hashes, context: int) -> tuple[Places, Places]:
    """Pairs of one title and detail that follow one another in length; `context` rows are left out."""
    key, detail = columns.key, columns.detail
    order = np.arange(context, len(key))
    is_run = (block[context + 1 :] == block[context:-1]) & (key[context + 1 :] == key[context:-1])
    is_mixed = is_run & (detail[context + 1 :] != detail[context:-1])
    if is_mixed.any():
        run = np.concatenate([[0], np.cumsum(~is_run)])
        mixed = np.zeros(run[-1] + 1, np.bool_)
        mixed[run[1:][is_mixed]] = True
        within = np.flatnonzero(mixed[run])
        order[within] = order[within[np.lexsort((within, detail[order[within]], run[within]))]]
    pairs = []
    for step in range(1, _FOLLOWERS[TITLE] + 1):
        a, b = order[:-step], order[step:]
        is_met = (block[a] == block[b]) & (key[a] == key[b]) & (detail[a] == detail[b])
        pairs.append((a[is_met], b[is_met]))
    return _joined(pairs)


def _misspelt(columns: Columns, block: Hashes, context: int) -> tuple[Places, Places]:
    """Pairs of nearly the same length whose titles, or details, differ and stand side by side in the alphabet."""
    key, detail, duration_ms = columns.key, columns.detail, columns.duration_ms
    pairs = []
    for step in range(1, _FOLLOWERS[SPELLING] + 1):
        one, other = slice(max(0, context - step), -step), slice(max(step, context), None)
        is_met = (block[one] == block[other]) & (np.abs(duration_ms[one] - duration_ms[other]) <= SPAN_OF_CODES_MAX_MS)
        is_met &= (duration_ms[one] > 0) & (duration_ms[other] > 0)
        is_met &= (key[one] != key[other]) | (detail[one] != detail[other])
        first = np.flatnonzero(is_met) + max(0, context - step)
        pairs.append((first, first + step))
    return _joined(pairs)


def _by_isrc(con: duckdb.DuckDBPyConnection, threshold: float) -> Iterator[Links]:
    """Where titles differ they are asked for at the end, since few do and text makes sorting dear."""
    doubts = []
    held: pa.Table | None = None
    for batch in con.sql(_BY_ISRC).to_arrow_reader(BATCH_ROWS):
        fresh = pa.Table.from_batches([batch])
        held = fresh if held is None else pa.concat_tables([held, fresh])
        columns = columns_of(held.combine_chunks())
        context = held.num_rows - batch.num_rows
        for step in range(1, _FOLLOWERS[ISRC] + 1):
            one, other = slice(max(0, context - step), -step), slice(max(step, context), None)
            first = np.flatnonzero(columns.isrc[one] == columns.isrc[other]) + max(0, context - step)
            is_same = columns.key[first] == columns.key[first + step]
            same, differs = first[is_same], first[~is_same]
            yield _scored(columns[same], columns[same + step], None, ISRC, threshold)
            best = _scored(columns[differs], columns[differs + step], None, ISRC, threshold)
            doubts.append((best.a, best.b))
        held = held.slice(max(0, held.num_rows - _FOLLOWERS[ISRC]))
    a, b = _joined(doubts)
    for begin in range(0, len(a), BATCH_ROWS):
        yield _asked(con, a[begin : begin + BATCH_ROWS], b[begin : begin + BATCH_ROWS], threshold)


def _asked(con: duckdb.DuckDBPyConnection, a: Rows, b: Rows, threshold: float) -> Links:
    """The links among pairs of one ISRC whose titles differ."""
    con.register("clusters_pair", pa.table({"place": np.arange(2 * len(a)), "track_row": np.stack([a, b], 1).ravel()}))
    rows = con.sql(f"""
        SELECT key AS text, {_FIELDS}, person AS who FROM clusters_track JOIN clusters_pair USING (track_row)
        ORDER BY place""").to_arrow_table()
    con.unregister("clusters_pair")
    columns, text = columns_of(rows), rows.column("text").combine_chunks()
    return _scored(columns[::2], columns[1::2], (text[::2], text[1::2]), ISRC, threshold)


def _joined(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b = zip(*pairs, strict=True) if pairs else ([], [])
    return np.concatenate([np.empty(0, np.uint32), *a]), np.concatenate([np.empty(0, np.uint32), *b])


def _scored(a: Columns, b: Columns, texts: tuple[pa.Array, pa.Array] | None, reason: int, threshold: float) -> Links:
    """The links among pairs; without texts their titles count as equal."""
    title = np.ones(len(a.row), np.float32)
    if texts is not None and len(differ := np.flatnonzero(a.key != b.key)):
        title[differ] = titles_likeness(texts[0].take(pa.array(differ)), texts[1].take(pa.array(differ)))
    found = score(a, b, title, people_likeness(a, b))
    is_link = found >= threshold  # a contradiction is NaN, which is no link
    low, high = np.minimum(a.row, b.row)[is_link], np.maximum(a.row, b.row)[is_link]
    return Links(low, high, found[is_link], np.full(len(low), reason, np.uint8))


def titles_likeness(a: pa.Array, b: pa.Array) -> Floats:
    """Likeness of keys of titles (0-1): Indel similarity (rapidfuzz `ratio`); 0 where their numbers differ ("Part 1", "II")."""
    left, right = a.to_pylist(), b.to_pylist()
    found: Floats = (process.cpdist(left, right, scorer=fuzz.ratio, dtype=np.float32) / 100).astype(np.float32)
    for n in np.flatnonzero(found > TITLE_FLOOR):
        if _counted(left[n]) != _counted(right[n]):
            found[n] = 0
    return found


def _counted(text: str) -> Sequence[str]:
    return _COUNTED.findall(text)

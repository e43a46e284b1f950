"""Pairs of tracks that are worth a look, found by sorting: each track meets a fixed number of followers in its block.

So no block explodes, however many tracks are called "Intro". DuckDB sorts (out of core); the sorted rows stream by.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from rapidfuzz import fuzz, process

from tenuto.catalogue.clusters.score import (
    SPAN_OF_CODES_MAX_MS,
    TITLE_FLOOR,
    Bools,
    Columns,
    Floats,
    columns_of,
    people_likeness,
    score,
)
from tenuto.catalogue.clusters.union import Rows

BATCH_ROWS = 1_000_000
_FIELDS = "track_row AS row, duration_ms, isrc, hash(key) AS key, versions, detail, marks, person, people, who"
_BY_PERSON = """(SELECT *, person AS who FROM clusters_track WHERE person <> 0
                 UNION ALL SELECT *, unnest(others) AS who FROM clusters_track WHERE others IS NOT NULL)"""
_COUNTED = re.compile(r"\b(?:\w*\d\w*|[ivxl]+)\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A rule: tracks of one block lie together in `query`, the likeliest beside one another; each meets so many followers.

    `text`, where the query has it, is the key of the title; it is asked where keys differ. `is_near` keeps to pairs of nearly the
    same length that differ in title or detail: what is equal is another rule's.
    """

    reason: str
    query: str
    neighbours: int
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs that are links, a < b."""

    a: Rows
    b: Rows
    score: Floats


def links(con: duckdb.DuckDBPyConnection, block: Block, threshold: float) -> Iterator[Links]:
    """The links that a rule finds, batch by batch."""
    tail: pa.Table | None = None
    for batch in con.sql(block.query).to_arrow_reader(BATCH_ROWS):
        table = pa.Table.from_batches([batch])
        table = table if tail is None else pa.concat_tables([tail, table])
        yield from _links_within(table.combine_chunks(), block, threshold)
        tail = table.slice(max(0, table.num_rows - block.neighbours))


def _links_within(table: pa.Table, block: Block, threshold: float) -> Iterator[Links]:
    name = table.column("block").to_numpy()
    columns = columns_of(table)
    text = table.column("text").combine_chunks() if "text" in table.column_names else None
    for step in range(1, block.neighbours + 1):
        is_met = name[:-step] == name[step:]
        if block.is_near:
            is_met &= _may_be_misspelt(columns[:-step], columns[step:])
        first = np.flatnonzero(is_met)
        a, b = columns[first], columns[first + step]
        title = np.ones(len(first), np.float32)
        differ = np.flatnonzero(a.key != b.key)
        if text is not None and len(differ):
            where = first[differ]
            title[differ] = titles_likeness(text.take(pa.array(where)), text.take(pa.array(where + step)))
        found = score(a, b, title, people_likeness(a, b))
        is_link = found >= threshold  # a contradiction is NaN, which is no link
        low, high = np.minimum(a.row, b.row)[is_link], np.maximum(a.row, b.row)[is_link]
        yield Links(low, high, found[is_link])


def _may_be_misspelt(a: Columns, b: Columns) -> Bools:
    is_near = (
        (np.abs(a.duration_ms - b.duration_ms) <= SPAN_OF_CODES_MAX_MS) & (a.duration_ms > 0) & (b.duration_ms > 0)
    )
    found: Bools = is_near & ((a.key != b.key) | (a.detail != b.detail))
    return found


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


BLOCKS = (
    Block("title", f"""SELECT hash(who, key, versions, detail) AS block, {_FIELDS} FROM {_BY_PERSON}
                       ORDER BY block, duration_ms, row""", 2),
    Block("isrc", f"""SELECT isrc AS block, key AS text, {_FIELDS} FROM (SELECT *, person AS who FROM clusters_track)
                      WHERE isrc <> 0
                      ORDER BY block, duration_ms, row""", 3),
    Block("spelling", f"""SELECT hash(who, versions) AS block, t.key AS text, {_FIELDS} FROM {_BY_PERSON} t
                          ORDER BY block, text, duration_ms, row""", 2, is_near=True),
)  # fmt: skip
"""Title: same title, version, detail and one person. ISRC: nothing else. Spelling: same person and version, by alphabet."""

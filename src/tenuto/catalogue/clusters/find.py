"""Tracks into clusters: features, links, components, what each track is linked by."""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tenuto.catalogue.clusters.candidates import BLOCKS, Links, links
from tenuto.catalogue.clusters.features import make_features
from tenuto.catalogue.clusters.score import CLASH_MARKS, SPAN_MAX_MS, SPAN_OF_CODES_MAX_MS, THRESHOLD
from tenuto.catalogue.clusters.union import Guard, Rows, components, part

_LINK = pa.schema(
    [("track_row", pa.uint32()), ("cluster_row", pa.uint32()), ("reason", pa.string()), ("score", pa.float32())]
)

_MARKS_CLASH = " OR ".join(f"bit_or(marks) & {bits} = {bits}" for bits in CLASH_MARKS)
_BROKEN = f"""
    SELECT label FROM clusters_label JOIN clusters_track USING (track_row) GROUP BY label
    HAVING max(duration_ms) - min(duration_ms) FILTER (WHERE duration_ms > 0)
           > CASE WHEN min(isrc) FILTER (WHERE isrc <> 0) <> max(isrc) THEN {SPAN_OF_CODES_MAX_MS} ELSE {SPAN_MAX_MS} END
        OR min(detail) FILTER (WHERE detail <> 0) <> max(detail) OR {_MARKS_CLASH}"""
"""Components that contradict themselves, as `Guard.joined` has it."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """`links` has a row a track in a cluster of two or more, by `track_row`: the reason and score (0-1) of its best link there;
    `cluster_row` is the least track row of its cluster, uint32, of each track row in order.
    """

    links: pa.Table
    cluster_row: pa.Array


def find_clusters(con: duckdb.DuckDBPyConnection, tracks: str, threshold: float = THRESHOLD) -> Clusters:
    """Which tracks of a relation are the same recording.

    `tracks` names a table, view or registered Arrow table: track_row (uint32, 0 to count - 1, each once, in any order), title,
    artist (names credited, in order, as a list), release_title, isrc (texts), duration_ms; all but track_row may be NULL.
    Temporary tables `clusters_*` are made in the connection and dropped; beyond a few million tracks give it a `temp_directory`
    and a `memory_limit`. The result depends on the rows alone, not on their order or on threads. Raises ValueError where
    track rows are not such.
    """
    count = _count(con, tracks)
    make_features(con, tracks)
    try:
        found, reasons = _links(con, threshold)
        label = components(count, found.a, found.b)
        _part_contradictions(con, found, reasons, label)
    finally:
        con.execute("DROP TABLE IF EXISTS clusters_track")
    return Clusters(_best_links(found, reasons, label), pa.array(label))


def _count(con: duckdb.DuckDBPyConnection, tracks: str) -> int:
    count = int(con.execute(f"SELECT count(*) FROM {tracks}").fetchall()[0][0])
    seen = np.zeros(count, np.bool_)
    for batch in con.sql(f"SELECT track_row::UBIGINT AS row FROM {tracks}").to_arrow_reader():
        rows = batch.column(0)
        if rows.null_count or (len(rows) and (found := rows.to_numpy()).max() >= count):
            raise ValueError(f"{tracks}: track_row is missing or not below the count of {count} tracks")
        if len(rows):
            seen[found] = True
    if not seen.all():
        raise ValueError(f"{tracks}: track_row {int(np.argmin(seen))} is missing, so another stands twice")
    return count


def _links(con: duckdb.DuckDBPyConnection, threshold: float) -> tuple[Links, NDArray[np.uint8]]:
    """All links of all rules, and the number of the rule of each."""
    parts = [(n, some) for n, block in enumerate(BLOCKS) for some in links(con, block, threshold)]
    a = np.concatenate([np.empty(0, np.uint32), *(some.a for _, some in parts)])
    b = np.concatenate([np.empty(0, np.uint32), *(some.b for _, some in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(some.score for _, some in parts)])
    reasons = np.concatenate([np.empty(0, np.uint8), *(np.full(len(some.a), n, np.uint8) for n, some in parts)])
    return Links(a, b, scores), reasons


def _part_contradictions(con: duckdb.DuckDBPyConnection, found: Links, reasons: NDArray[np.uint8], label: Rows) -> None:
    """Part the components that contradict themselves; `label` is changed in place."""
    is_linked = np.zeros(len(label), np.bool_)
    is_linked[found.a] = is_linked[found.b] = True
    rows = np.flatnonzero(is_linked).astype(np.uint32)
    con.register("clusters_label", pa.table({"track_row": rows, "label": label[rows]}))
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE clusters_broken AS {_BROKEN}")
        members = con.execute("""
            SELECT track_row, duration_ms, isrc, detail, marks FROM clusters_label JOIN clusters_broken USING (label)
            JOIN clusters_track USING (track_row)""").fetchall()
        con.execute("DROP TABLE clusters_broken")
    finally:
        con.unregister("clusters_label")
    guards = {
        row: Guard(ms or None, ms or None, frozenset({isrc} - {0}), frozenset({detail} - {0}), marks)
        for row, ms, isrc, detail, marks in members
    }
    is_broken = np.zeros(len(label), np.bool_)
    is_broken[list(guards)] = True
    within = np.flatnonzero(is_broken[found.a])
    order = within[np.lexsort((found.b[within], found.a[within], reasons[within], -found.score[within]))]
    pairs = list(zip(found.a[order].tolist(), found.b[order].tolist(), strict=True))
    for row, cluster in part(pairs, guards).items():
        label[row] = cluster


def _best_links(found: Links, reasons: NDArray[np.uint8], label: Rows) -> pa.Table:
    inside = np.flatnonzero(label[found.a] == label[found.b])
    best = np.full(len(label), -1, np.int32)
    for ends in (found.a, found.b):
        # Best score first, then the rule that comes first: thousandths and rule in one number.
        rank = np.rint(found.score[inside] * 1000).astype(np.int32) * 256 + (255 - reasons[inside].astype(np.int32))
        np.maximum.at(best, ends[inside], rank)
    rows = np.flatnonzero(best >= 0).astype(np.uint32)
    names = np.array([block.reason for block in BLOCKS])
    chosen = best[rows]
    return pa.table(
        [rows, label[rows], names[255 - chosen % 256], (chosen // 256 / 1000).astype(np.float32)], schema=_LINK
    )

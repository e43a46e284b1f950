"""Tracks into clusters: features, links, components, what each track is linked by."""

from dataclasses import dataclass, fields

import duckdb
import numpy as np
import pyarrow as pa

from tenuto.catalogue.clusters.candidates import NO_LINKS, REASONS, Links, links
from tenuto.catalogue.clusters.features import make_features
from tenuto.catalogue.clusters.score import CLASH_MARKS, SPAN_MAX_MS, SPAN_OF_CODES_MAX_MS, THRESHOLD
from tenuto.catalogue.clusters.union import Guard, Rows, components, part

_LINK = pa.schema(
    [("track_row", pa.uint32()), ("cluster_row", pa.uint32()), ("reason", pa.string()), ("score", pa.float32())]
)

BATCH_LINKS = 1_000_000
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
    try:
        count = make_features(con, tracks)
        found = _links(con, threshold)
        label = components(count, found.a, found.b)
        _part_contradictions(con, found, label)
    finally:
        con.execute("DROP TABLE IF EXISTS clusters_track")
    return Clusters(_best_links(found, label), pa.array(label))


def _links(con: duckdb.DuckDBPyConnection, threshold: float) -> Links:
    parts = [NO_LINKS, *links(con, threshold)]
    return Links(*(np.concatenate([getattr(some, field.name) for some in parts]) for field in fields(Links)))


def _part_contradictions(con: duckdb.DuckDBPyConnection, found: Links, label: Rows) -> None:
    """Part the components that contradict themselves; `label` is changed in place."""
    rows = _in_threes(label)
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
    order = within[np.lexsort((found.b[within], found.a[within], found.reason[within], -found.score[within]))]
    pairs = list(zip(found.a[order].tolist(), found.b[order].tolist(), strict=True))
    for row, cluster in part(pairs, guards).items():
        label[row] = cluster


def _in_threes(label: Rows) -> Rows:
    """The rows in components of three or more: a pair is a link, and no link contradicts itself."""
    joined = np.flatnonzero(label != np.arange(len(label), dtype=np.uint32)).astype(np.uint32)
    roots = label[joined]
    last = np.zeros(len(label), np.uint32)
    last[roots] = joined
    is_three = np.zeros(len(label), np.bool_)
    is_three[roots[last[roots] != joined]] = True
    return np.flatnonzero(is_three[label]).astype(np.uint32)


def _best_links(found: Links, label: Rows) -> pa.Table:
    best = np.full(len(label), -1, np.int32)
    for begin in range(0, len(found.a), BATCH_LINKS):
        some = slice(begin, begin + BATCH_LINKS)
        # Best score first, then the rule that comes first: thousandths and rule in one number.
        rank = np.rint(found.score[some] * 1000).astype(np.int32) * 256 + (255 - found.reason[some].astype(np.int32))
        rank[label[found.a[some]] != label[found.b[some]]] = -1
        for ends in (found.a[some], found.b[some]):
            better = np.flatnonzero(rank > best[ends])
            rising = better[np.argsort(rank[better])]
            best[ends[rising]] = rank[rising]  # of several for one track the last stays
    rows = np.flatnonzero(best >= 0).astype(np.uint32)
    chosen = best[rows]
    reasons = pa.DictionaryArray.from_arrays((255 - chosen % 256).astype(np.uint8), list(REASONS)).cast(pa.string())
    return pa.table([rows, label[rows], reasons, (chosen // 256 / 1000).astype(np.float32)], schema=_LINK)

"""Lists of listens: dated counts and ranks of tracks and releases, from the source that has them or from one that describes it."""

import duckdb
import pyarrow as pa

from tenuto.catalogue.descriptions import Precedence

_SPEAKING = pa.schema(
    [("field", pa.string()), ("kind", pa.string()), ("source", pa.string()), ("by_source", pa.string()), ("place", pa.int32())]
)  # fmt: skip
_LISTED = (("listens_count", "track"), ("listens_rank", "track"), ("listens_rank", "release"))


def merge_listens(con: duckdb.DuckDBPyConnection, precedence: Precedence) -> None:
    """Make `listens`, the newest count of a track, and `rank`, the place of a track or release, whose `own_id` is its id after its
    kind's first letter. What a describing source lists goes to the things that it speaks for, by `described`.
    """
    con.execute("""
        CREATE TABLE listens AS
        SELECT source, track_id, arg_max(listens_count, (counted_on, evidence_id, ordinal)) AS listens_count,
               arg_max(listens_scope, (counted_on, evidence_id, ordinal)) AS listens_scope,
               max(counted_on) AS counted_on
        FROM listens_seen WHERE is_live GROUP BY ALL""")
    con.execute("""
        CREATE TABLE rank AS
        SELECT source, coalesce('r' || release_id, 't' || track_id) AS own_id, min(listens_rank) AS listens_rank
        FROM rank_seen WHERE is_live GROUP BY ALL""")
    if precedence.describing:
        _hand_over(con, precedence)


def _hand_over(con: duckdb.DuckDBPyConnection, precedence: Precedence) -> None:
    """Move what describing sources list to the things that they describe. A list for the source itself comes first; then the order
    of sources holds, in which a source's list outranks the counts of its pages.
    """
    owners = sorted({source for one in precedence.describing.values() for source in one.sources})
    speaking = [
        {"field": field, "kind": kind, "source": owner, "by_source": source, "place": place}
        for field, kind in _LISTED
        for owner in owners
        for place, source in enumerate(precedence.ranked(kind, field, owner))
    ]
    con.register("speaking", pa.Table.from_pylist(speaking, _SPEAKING))
    con.execute("""
        INSERT INTO listens
        WITH listed AS (
            SELECT x.source, own_id, by_source, true AS is_list, listens_count, listens_scope, counted_on
            FROM described x JOIN listens l ON l.source = by_source AND l.track_id = by_id WHERE kind = 'track'
        ), asked AS (
            SELECT DISTINCT source, own_id FROM listed
        ), claim AS (
            FROM listed
            UNION ALL
            SELECT a.source, own_id, a.source, false, NULL, NULL, NULL
            FROM asked a JOIN track_merged t ON t.source = a.source AND t.track_id = own_id WHERE t.listens_count IS NOT NULL
            UNION ALL
            SELECT x.source, own_id, by_source, false, NULL, NULL, NULL
            FROM described x SEMI JOIN asked USING (source, own_id)
            JOIN track_merged d ON d.source = by_source AND d.track_id = by_id
            WHERE kind = 'track' AND d.listens_count IS NOT NULL
        ), first AS (
            SELECT claim.* FROM claim JOIN speaking USING (source, by_source) WHERE field = 'listens_count'
            QUALIFY row_number() OVER (PARTITION BY source, own_id ORDER BY place, is_list DESC) = 1
        )
        SELECT source::source_name, own_id, listens_count, listens_scope, counted_on
        FROM first ANTI JOIN listens l ON l.source = first.source AND l.track_id = own_id WHERE is_list""")
    con.execute("""
        INSERT INTO rank
        WITH listed AS (
            SELECT x.source, kind, by_source, kind[1] || x.own_id AS own_id, listens_rank
            FROM described x JOIN rank r ON r.source = by_source AND r.own_id = kind[1] || by_id
        )
        SELECT listed.source::source_name, listed.own_id, listed.listens_rank
        FROM listed ANTI JOIN rank r ON r.source = listed.source AND r.own_id = listed.own_id
        JOIN speaking s ON s.field = 'listens_rank' AND s.kind = listed.kind AND s.source = listed.source
                       AND s.by_source = listed.by_source
        QUALIFY row_number() OVER (PARTITION BY listed.source, listed.own_id ORDER BY place) = 1""")
    con.unregister("speaking")
    for table in ("listens", "rank"):
        con.execute(f"DELETE FROM {table} WHERE list_contains(?, source::VARCHAR)", [list(precedence.describing)])

"""The `history` table: what changes about a track while it stays the same track.

A row says how popular it was, how often it was heard, or that its source did not show it any more or showed it again.
"""

from collections.abc import Mapping
from datetime import date

import duckdb
import pyarrow as pa

BATCH_ROWS = 65_536
"""Rows of a table that are handed on at once."""

_DAYS = pa.schema([("source", pa.string()), ("number", pa.int32()), ("day", pa.date32())])


def load_days(con: duckdb.DuckDBPyConnection, days: Mapping[tuple[str, int], date]) -> None:
    """Make `harvest_day`: the day on which each harvest of a source began, by its number."""
    rows = [{"source": source, "number": number, "day": day} for (source, number), day in days.items()]
    con.register("days", pa.Table.from_pylist(rows, _DAYS))
    con.execute("CREATE TABLE harvest_day AS SELECT * FROM days")
    con.unregister("days")


def history_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `history` table: each day on which a track was seen with other popularity or listens than before, was not there any more
    (`is_available` false) or was back (true, and nothing else). A list of listens does not say whether a track is there (null).
    """
    [(is_simple,)] = con.execute("""
        SELECT NOT EXISTS (FROM listens_seen) AND NOT EXISTS (FROM track_often)
               AND NOT EXISTS (FROM sighting WHERE is_live AND contains(ltrim(held, '0'), '0'))""").fetchall()
    if is_simple:
        return con.sql("""
            SELECT track_row, first_seen AS seen_on, popularity, listens_count, listens_scope, true AS is_available FROM track
            WHERE popularity IS NOT NULL OR listens_count IS NOT NULL ORDER BY track_row""").to_arrow_reader(BATCH_ROWS)
    return con.sql(f"""
        WITH seen AS (
            SELECT source, track_id, first_seen AS seen_on, popularity, listens_count, listens_scope, true AS is_available
            FROM track_seen WHERE popularity IS NOT NULL OR listens_count IS NOT NULL
            UNION
            SELECT source, track_id, (counted_on || CASE length(counted_on) WHEN 4 THEN '-01-01' WHEN 7 THEN '-01' ELSE ''
                   END)::DATE, NULL, listens_count, listens_scope, NULL FROM listens_seen
        ), told AS (
            SELECT track_row, seen_on, seen.popularity, seen.listens_count, seen.listens_scope, seen.is_available
            FROM seen JOIN track USING (source, track_id)
            WINDOW before AS (PARTITION BY track_row, seen.listens_scope
                              ORDER BY seen_on, seen.popularity, seen.listens_count, seen.is_available)
            QUALIFY row_number() OVER before = 1
                 OR (seen.popularity, seen.listens_count) IS DISTINCT FROM
                    (lag(seen.popularity) OVER before, lag(seen.listens_count) OVER before)
        ), {_TURNS}
        FROM told UNION ALL
        SELECT track_row, day, NULL, NULL, NULL, is_available FROM turned JOIN track USING (source, track_id)
        ORDER BY ALL""").to_arrow_reader(BATCH_ROWS)


_TURNS = """
    held_in AS (
        SELECT source, track_id, bit_or(held::BIT)::VARCHAR AS held FROM track_seen
        WHERE contains(trim(held, '0'), '0') OR held IS NOT NULL AND hash(source, track_id) IN (FROM track_often)
        GROUP BY source, track_id HAVING contains(trim(bit_or(held::BIT)::VARCHAR, '0'), '0')
    ), turn AS (
        SELECT source, held, unnest(range(1, length(held))) AS number FROM (SELECT DISTINCT source, held FROM held_in)
    ), turned AS (
        SELECT source, track_id, day, held[number + 1] = '1' AS is_available
        FROM held_in JOIN turn USING (source, held) JOIN harvest_day USING (source, number)
        WHERE held[number + 1] <> held[number] AND contains(held[1:number], '1')
    )"""
"""The days on which tracks were gone and were back: of harvests in which nothing held that shows them, between such as did."""

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
    What others say of a track (`described`) is left out: nobody knows what they said before.
    """
    [(is_simple,)] = con.execute("""
        SELECT NOT EXISTS (FROM listens_seen) AND NOT EXISTS (FROM track_often) AND NOT EXISTS (FROM described WHERE kind = 'track')
               AND NOT EXISTS (FROM sighting WHERE is_live AND contains(ltrim(held, '0'), '0'))""").fetchall()
    if is_simple:
        return con.sql("""
            SELECT track_row, first_seen AS seen_on, popularity, listens_count, listens_scope, true AS is_available FROM track
            WHERE popularity IS NOT NULL OR listens_count IS NOT NULL ORDER BY track_row""").to_arrow_reader(BATCH_ROWS)
    return con.sql(f"""
        WITH {_COUNTED}, {_LISTED}, {_TURNS}, told AS (
            FROM counted_once UNION ALL FROM counted_often UNION ALL FROM listed UNION ALL
            SELECT source, track_id, day, NULL, NULL, NULL, is_available FROM turned
        )
        SELECT track_row, told.* EXCLUDE (source, track_id) FROM told JOIN track USING (source, track_id)
        ORDER BY ALL""").to_arrow_reader(BATCH_ROWS)


_COUNTED = """
    counted AS (
        SELECT *, hash(source, track_id) IN (FROM track_often) AS is_often
        FROM track_seen WHERE popularity IS NOT NULL OR listens_count IS NOT NULL
    ), counted_once AS (
        SELECT source, track_id, first_seen AS seen_on, popularity, listens_count, listens_scope, true AS is_available
        FROM counted WHERE NOT is_often
    ), content AS (
        SELECT * REPLACE (coalesce(held, rpad(rpad(repeat('0', oldest), coalesce(gone_in, 2), '1'), 2, '0')) AS held),
               (-fullness, evidence_id, ordinal) AS place
        FROM counted WHERE is_often
    ), changing AS (
        SELECT source, held, unnest(range(length(held))) AS number FROM (SELECT DISTINCT source, held FROM content)
    ), change AS (
        SELECT source, track_id, number, min(first_seen) FILTER (oldest = number) AS shown_on
        FROM content JOIN changing USING (source, held)
        WHERE (held[number + 1] = '1') <> (held[number] = '1') GROUP BY source, track_id, number
    ), holding AS (
        SELECT source, track_id, number, coalesce(any_value(shown_on), any_value(day)) AS seen_on,
               arg_min(popularity, place) FILTER (popularity IS NOT NULL) AS popularity,
               arg_min(listens_count, place) FILTER (listens_count IS NOT NULL) AS listens_count,
               arg_min(listens_scope, place) FILTER (listens_count IS NOT NULL) AS listens_scope
        FROM change JOIN content USING (source, track_id) JOIN harvest_day USING (source, number)
        WHERE held[number + 1] = '1' GROUP BY source, track_id, number
    ), daily AS (
        FROM holding QUALIFY row_number() OVER (PARTITION BY source, track_id, seen_on ORDER BY number DESC) = 1
    ), counted_often AS (
        SELECT source, track_id, seen_on, popularity, listens_count, listens_scope, true AS is_available FROM daily
        WINDOW before AS (PARTITION BY source, track_id ORDER BY seen_on)
        QUALIFY (popularity, listens_count, listens_scope) IS DISTINCT FROM
                (lag(popularity) OVER before, lag(listens_count) OVER before, lag(listens_scope) OVER before)
    )"""
"""What the pages of a source said of a track, whenever that changed: in each harvest in which a content began or ended to hold
(`change`) the fullest of those that held gives each count, as in merge.py; of several harvests of a day the last.
"""

_LISTED = """
    listed AS (
        SELECT source, track_id, seen_on, NULL, listens_count, listens_scope, NULL FROM (
            SELECT DISTINCT source, track_id, listens_count, listens_scope, (counted_on || CASE length(counted_on)
                   WHEN 4 THEN '-01-01' WHEN 7 THEN '-01' ELSE '' END)::DATE AS seen_on FROM listens_seen)
        QUALIFY listens_count IS DISTINCT FROM lag(listens_count) OVER (
            PARTITION BY source, track_id, listens_scope ORDER BY seen_on, listens_count)
    )"""
"""What lists of listens say, by the day of which they count."""

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

"""Where tracks are offered: each set of countries once, and which of them is a track's."""

import duckdb
import pyarrow as pa

_BATCH_ROWS = 65_536

_NUMBERED = """
    WITH offered AS (
        SELECT market_set_id, min(markets) AS markets FROM market_set_seen
        WHERE market_set_id IN (SELECT market_set_id FROM track) GROUP BY market_set_id
    ), numbered AS (
        SELECT (row_number() OVER (ORDER BY markets) - 1)::UINTEGER AS market_set_row, * FROM offered
    )"""
"""The sets of the live tracks; their ids are made of the countries, so it is the same set wherever it was seen."""


def market_set_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `market_set` table; an empty list is nowhere."""
    return con.sql(f"""
        {_NUMBERED}
        SELECT market_set_row, CASE markets WHEN '' THEN [] ELSE string_split(markets, ' ') END AS markets
        FROM numbered ORDER BY market_set_row""").to_arrow_reader(_BATCH_ROWS)


def availability_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `availability` table: the tracks whose source says where it offers them."""
    return con.sql(f"""
        {_NUMBERED}
        SELECT track_row, market_set_row FROM track JOIN numbered USING (market_set_id)
        ORDER BY track_row""").to_arrow_reader(_BATCH_ROWS)

"""Five questions that look at every track of an edition, by DuckDB over its Parquet files; two of them SQLite is asked too."""

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb

from tenuto.catalogue import Edition

GROUPINGS = {
    "tracks by year": """
        SELECT year(release_date), count(*) FROM {track} LEFT JOIN {release} USING (release_row) GROUP BY ALL ORDER BY ALL""",
    "tracks by popularity": "SELECT popularity, count(*) FROM {track} GROUP BY ALL ORDER BY ALL",
    "duration and share explicit by language": """
        SELECT languages[1], count(*), avg(duration_ms), avg(is_explicit::INTEGER) FROM {track} GROUP BY ALL ORDER BY ALL""",
    "artists with the most tracks": """
        SELECT artist_row, count(*) AS tracks FROM {credit} GROUP BY ALL ORDER BY tracks DESC, artist_row LIMIT 20""",
    "tracks by ISRC's country": "SELECT isrc[:2], count(*) FROM {track} GROUP BY ALL ORDER BY ALL",
}


def grouped(edition: Edition, name: str, memory_bytes: int, temp: Path) -> tuple[float, list[tuple[Any, ...]]]:
    """Seconds of the clock, and the rows of the answer."""
    tables = {table: edition.rows(table) for table in ("track", "release", "credit")}
    with (
        tempfile.TemporaryDirectory(dir=temp) as spill,
        duckdb.connect(config={"temp_directory": spill, "memory_limit": f"{memory_bytes}B"}) as con,
    ):
        begun = perf_counter()
        rows = con.execute(GROUPINGS[name].format(**tables)).fetchall()
        return perf_counter() - begun, rows

"""SQLite with the same rows, asked the same: the peer of an edition and its indexes."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from tenuto.bench.questions import Questions, Times, timed
from tenuto.catalogue import Edition
from tenuto.catalogue.export import write_sqlite
from tenuto.model.progress import Progress

_LIMIT = 20
_SONG = """
    SELECT tracks.*, albums.name, albums.release_date, albums.label, albums.external_id_upc,
           (SELECT group_concat(artists.name, ', ') FROM track_artists JOIN artists ON artists.rowid = artist_rowid
            WHERE track_rowid = tracks.rowid)
    FROM tracks LEFT JOIN albums ON albums.rowid = album_rowid"""
_TEXT = f"""{_SONG} WHERE tracks.rowid IN (
        SELECT f.rowid FROM tracks_fts f JOIN tracks t ON t.rowid = f.rowid WHERE tracks_fts MATCH ?
        ORDER BY t.popularity DESC, f.rowid LIMIT {_LIMIT})"""
GROUPINGS = {
    "tracks by year": """
        SELECT CAST(substr(albums.release_date, 1, 4) AS INTEGER) AS year, count(*)
        FROM tracks LEFT JOIN albums ON albums.rowid = album_rowid GROUP BY year ORDER BY year NULLS LAST""",
    "tracks by popularity": "SELECT popularity, count(*) FROM tracks GROUP BY 1 ORDER BY popularity NULLS LAST",
}
"""Those of `groupings` that it is asked too."""


def write_peer(edition: Edition, path: Path, progress: Progress) -> int:
    """Write the rows of an edition as SQLite, indexes and FTS5 included; its bytes."""
    write_sqlite(edition, path, progress)
    return path.stat().st_size


def ask_peer(path: Path, asked: Questions) -> tuple[Times, Times]:
    """Looking up by id and ISRC, and searching; words as they are typed, since it knows no typos, the last one begun."""
    with closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA mmap_size = 1099511627776")

        def answer(statement: str, key: str) -> list[Any]:
            return con.execute(statement, (key,)).fetchall()

        return (
            timed([
                *(partial(answer, f"{_SONG} WHERE tracks.id = ?", key) for key in asked.ids),
                *(partial(answer, f"{_SONG} WHERE tracks.external_id_isrc = ?", key) for key in asked.isrcs),
            ]),
            timed([partial(answer, _TEXT, _match(text)) for text in asked.texts]),
        )  # fmt: skip


def _match(text: str) -> str:
    """A query of FTS5: every word, the last one begun."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in text.split()) + "*"


def grouped_by_peer(path: Path, name: str) -> tuple[float, list[tuple[Any, ...]]]:
    """Seconds of the clock, and the rows of the answer."""
    with closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA mmap_size = 1099511627776")
        begun = perf_counter()
        rows = con.execute(GROUPINGS[name]).fetchall()
        return perf_counter() - begun, rows

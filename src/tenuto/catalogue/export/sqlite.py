"""An edition as one SQLite file: rows first, in their order, then the indexes. It is whole or absent, so nothing is journalled."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tenuto.catalogue.edition import Edition
from tenuto.catalogue.export.rows import database
from tenuto.catalogue.export.schema import EMPTY, INDEXES, TABLES, TEXT_INDEXES, TRACK_TEXTS, text_index
from tenuto.catalogue.export.target import whole_file
from tenuto.model.progress import Progress

_SETTINGS = (
    "page_size = 8192",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -131072",  # KiB; also what an index sorts in memory before it goes to SQLITE_TMPDIR
    "temp_store = FILE",
)
_BATCH_ROWS = 16_384
_INTEGER_MAX = 2**63 - 1
_STEPS = 1_000_000
"""Steps of SQLite's machine between two looks at the clock and at Ctrl-C."""


def write_sqlite(edition: Edition, path: Path, progress: Progress, *, may_replace: bool = False) -> None:
    """Write an edition as a SQLite database at `path`; the same edition and SQLite give the same bytes.

    Raises IntegrityError where a table of the edition cannot be read, OSError where the disk is full.
    """
    with (
        whole_file(path, may_replace=may_replace) as beside,
        database(edition) as con,
        _writing(beside, progress) as db,
    ):
        for setting in _SETTINGS:
            db.execute(f"PRAGMA {setting}")
        db.execute("BEGIN")
        for name in TABLES:
            _fill(db, con, edition, name, progress)
        _tell(db, edition)
        for statement in EMPTY:
            db.execute(statement)
        progress.begin("indexes", len(INDEXES) + len(TEXT_INDEXES) + 1, "indexes")
        for statement in INDEXES:
            db.execute(statement)
            progress.advance()
        db.execute(TRACK_TEXTS)
        for name in TEXT_INDEXES:
            for statement in text_index(name):
                db.execute(statement)
            progress.advance()
        db.execute("ANALYZE")
        db.execute("COMMIT")
        progress.advance()


def _fill(
    db: sqlite3.Connection, con: duckdb.DuckDBPyConnection, edition: Edition, name: str, progress: Progress
) -> None:
    table = TABLES[name]
    db.execute(table.create(name))
    progress.begin(name, edition.info.tables[table.of].rows, "rows")
    insert = table.insert(name)
    for batch in con.sql(table.select(edition.rows(table.of))).to_arrow_reader(_BATCH_ROWS):
        db.executemany(insert, zip(*map(_values, batch.columns), strict=True))
        progress.advance(batch.num_rows)


def _values(column: pa.Array) -> list[Any]:
    """Python values; an integer that SQLite has no room for is its decimal digits, as a blob that no column takes for a number."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_uint64(column.type):
        return [str(one).encode() if one is not None and one > _INTEGER_MAX else one for one in values]
    return values


def _tell(db: sqlite3.Connection, edition: Edition) -> None:
    """Where the file comes from."""
    db.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    info = edition.info
    about = {"edition": info.edition, "evidence_sha256": info.evidence_sha256,
             "newest_evidence": info.newest_evidence.isoformat()}  # fmt: skip
    db.executemany("INSERT INTO about VALUES (?, ?)", about.items())


@contextmanager
def _writing(path: Path, progress: Progress) -> Iterator[sqlite3.Connection]:
    """The database, written to by nobody else; Ctrl-C is heard within a long statement, and a full disk is said as one."""
    stopped: list[BaseException] = []

    def look() -> bool:
        try:
            progress.advance(0)
        except BaseException as error:  # noqa: BLE001 -- SQLite would swallow it
            stopped.append(error)
        return bool(stopped)

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.set_progress_handler(look, _STEPS)
        try:
            yield db
        except sqlite3.Error as error:
            if stopped:
                raise stopped[0] from None
            if (number := _FAULTS.get(error.sqlite_errorcode & 0xFF)) is None:
                raise
            raise OSError(number, os.strerror(number), str(path)) from error


_FAULTS = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO}
"""SQLite's words for what a disk does."""

"""Rows of a SQLite database that nobody here wrote: its schema may compute without end, and values larger than any file."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tenuto.model.errors import SettingsError
from tenuto.sources.table.mapping import Read

_ROW_MAX_BYTES = 64 * 2**20
"""Bytes of a row: so many among its columns, but _CELL_BYTES of each."""
_CELL_BYTES = 2**18
_ROW_MAX_S = 60.0
_STEPS = 2_000
"""Steps of SQLite's machine after which the clock is looked at."""
_COLUMNS_MAX = 2_000
_PATTERN_MAX_BYTES = 1_000


class _Clock:
    """Stops SQLite where a row takes longer than _ROW_MAX_S of processor time of the thread that reads."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._start_s = time.thread_time()

    def is_over(self) -> bool:
        return time.thread_time() - self._start_s > _ROW_MAX_S


def open_sqlite(file: Path, read: Read) -> tuple[list[str], Iterator[Any]]:
    """The columns and the rows of a table, or of a view or query that the mapping names; a text is a row that is too long.
    Raises SettingsError where the table is not there, sqlite3's errors where it cannot be read.
    """
    con = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        con.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        con.execute("PRAGMA trusted_schema = OFF")
        con.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _COLUMNS_MAX)
        con.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _PATTERN_MAX_BYTES)
        clock = _Clock()
        con.set_progress_handler(clock.is_over, _STEPS)
        if read.query:
            con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _ROW_MAX_BYTES // 8)
            cursor = con.execute(read.query)
            return [name for name, *_ in cursor.description or ()], _fetched(con, cursor, None, clock)
        select = f'SELECT * FROM "{_table(con, file, read).replace(chr(34), chr(34) * 2)}" LIMIT ?'
        columns = [name for name, *_ in con.execute(select, (0,)).description]
        con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(_CELL_BYTES, _ROW_MAX_BYTES // len(columns)))
        return columns, _fetched(con, None, f"{select} OFFSET ?", clock)
    except BaseException:
        con.close()
        raise


def _fetched(
    con: sqlite3.Connection, cursor: sqlite3.Cursor | None, select: str | None, clock: _Clock
) -> Iterator[Any]:
    """The rows of a query that runs, or of one that can be begun again behind a row that is too long."""
    count = 0
    with closing(con):
        while True:
            clock.start()
            try:
                if cursor is None:
                    cursor = con.execute(select or "", (-1, count))
                row = next(cursor, None)
            except sqlite3.DataError:
                if select is None:
                    raise
                cursor, row = None, _alone(con, select, count)
            except sqlite3.OperationalError as error:
                if not clock.is_over():
                    raise
                raise sqlite3.OperationalError(
                    f"a row behind row {count:,} takes more than {_ROW_MAX_S:.0f} s; copy what is needed into a table"
                ) from error
            if row is None:
                return
            count += 1
            yield row


def _alone(con: sqlite3.Connection, select: str, offset: int) -> Any:
    """The row there, since whoever takes a row meets the error of the one behind it; a text where it is itself too long."""
    try:
        return con.execute(select, (1, offset)).fetchone()
    except sqlite3.DataError:
        return "longer than a row may be"


def _table(con: sqlite3.Connection, file: Path, read: Read) -> str:
    """The table that is meant: the one that is named, which may be a view, else the only one."""
    found = con.execute(
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    kinds = {str(name): kind for name, kind in sorted(found)}
    tables = [name for name, kind in kinds.items() if kind in {"table", "virtual"}]
    if read.table is None and len(tables) == 1:
        return tables[0]
    if read.table not in kinds:
        views = [name for name, kind in kinds.items() if kind == "view"]
        has = f"the tables {', '.join(tables) or '(none)'}" + (f" and the views {', '.join(views)}" if views else "")
        raise SettingsError(f"{file.name} has {has}; name one: table in [read]")
    return str(read.table)

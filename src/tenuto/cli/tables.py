"""Tables for people on stdout."""

import os
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_FILE_COLUMNS = 160


class _Stdout(Console):
    """A console that leaves it to the top of the command line what a reader who has gone away means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


_console = _Stdout(highlight=False, markup=False, soft_wrap=True)


def show(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """A plain table; columns named in `right` hold numbers."""
    console = _Stdout(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _FILE_COLUMNS  # nobody reads it at a width, and a name that is broken cannot be copied
    if heading:
        console.print(heading, style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", header_style="dim", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def line(text: str = "") -> None:
    """One line of text."""
    _console.print(text)


def moment(at: str | None) -> str:
    """A moment (ISO 8601, UTC) to the minute, as people read it; `never` for none."""
    return at[:16].replace("T", " ") if at else "never"

"""Rows of a CSV that people keep, a damaged one at a time: what is wrong with one never swallows the next."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line on which it ends, its cells by column (names folded), or what is wrong with it."""

    line: int
    cells: dict[str, str]
    damage: str = ""


def read_rows(body: bytes, *, is_line_by_line: bool) -> Iterator[Row]:
    """The rows below the header. `is_line_by_line`: no cell holds a line break, so an open quote ends with its line."""
    text = io.StringIO(body.decode("utf-8-sig", "replace").replace("\0", "\ufffd"), newline=None)
    rows = _lines(text) if is_line_by_line else _records(text)
    columns: list[str] | None = None
    for line, cells in rows:
        if isinstance(cells, str):
            yield Row(line, {}, cells)
        elif columns is None:
            columns = [cell.strip().casefold() for cell in cells]
        elif cells:
            yield Row(line, dict(zip(columns, cells, strict=False)))


def _lines(text: io.StringIO) -> Iterator[tuple[int, list[str] | str]]:
    for number, line in enumerate(text, 1):
        try:
            yield number, next(csv.reader([line.rstrip("\n")], strict=True), [])
        except csv.Error as error:
            yield number, str(error)


def _records(text: io.StringIO) -> Iterator[tuple[int, list[str] | str]]:
    reader = csv.reader(text, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
        else:
            yield reader.line_num, cells

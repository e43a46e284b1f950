"""Lines and rows of delimited text (RFC 4180; of TSV the IANA's `text/tab-separated-values`, which has no quotes)."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import TextIO

LINE_MAX = 2**20
"""Characters of a line; a longer one is damage."""
_RECORD_LINES_MAX = 200
"""Lines that a row may go over in quotes; an open quote would else take all that follows."""


def lines_of(file: TextIO) -> Iterator[str]:
    """The lines with their ends; of one that is too long the beginning, with LINE_MAX characters and no end."""
    with file:
        while line := file.readline(LINE_MAX):
            yield line
            while len(line) == LINE_MAX and line[-1] not in "\r\n":
                line = file.readline(LINE_MAX)


def split_rows(lines: Iterator[str], delimiter: str, *, has_quotes: bool) -> Iterator[list[str] | str]:
    """The cells of each row; a text is a line that is none. Blank lines are no rows."""
    given_back: deque[str] = deque()
    while True:
        line = given_back.popleft() if given_back else next(lines, None)
        if line is None:
            return
        if len(line) == LINE_MAX:
            yield line[:1_000]
        elif has_quotes and '"' in line:
            yield _quoted(line, lines, given_back, delimiter)
        elif plain := line.rstrip("\r\n"):
            yield plain.split(delimiter)


def _quoted(line: str, lines: Iterator[str], given_back: deque[str], delimiter: str) -> list[str] | str:
    """The row that begins with this line; lines that turn out not to belong to it are given back."""
    taken = [line]
    row = _cells(taken, delimiter)
    is_open = line.count('"') % 2 == 1
    while row is None and is_open and len(taken) < _RECORD_LINES_MAX:
        more = given_back.popleft() if given_back else next(lines, None)
        if more is None:
            break
        taken.append(more)
        is_open ^= more.count('"') % 2 == 1
    if row is None and not is_open:
        row = _cells(taken, delimiter)
    if row is None:
        given_back.extendleft(reversed(taken[1:]))
        return line.rstrip("\r\n")
    given_back.extendleft(reversed(taken[row[1] :]))
    return row[0]


def _cells(lines: list[str], delimiter: str) -> tuple[list[str], int] | None:
    """The first row in these lines and how many of them it takes; None where there is none."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error:
        return None

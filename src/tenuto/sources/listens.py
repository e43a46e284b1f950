"""A list of listens that an operator exports: CSV with the columns id, listens, date; kept as evidence."""

import csv
from collections.abc import Iterator

from tenuto.model.answers import Answer
from tenuto.model.errors import SettingsError
from tenuto.model.records import ListensSeen, ProblemSeen, Seen
from tenuto.sources import values
from tenuto.sources.csvrows import read_rows

COLUMNS = ("id", "listens", "date")
SCOPE = "service"
"""Whose listens these are: everyone's, as the operator says."""


def check_listens(content: bytes, name: str) -> None:
    """Raise SettingsError where the file cannot be such a list at all; single bad lines become findings later."""
    try:
        header = next(csv.reader([content[:65_536].partition(b"\n")[0].decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"listens_file {name} is no CSV in UTF-8: {error}") from None
    missing = [column for column in COLUMNS if column not in [cell.strip().casefold() for cell in header]]
    if missing:
        raise SettingsError(
            f"listens_file {name} lacks the column {', '.join(missing)}; its first line should read id,listens,date "
            f"and reads {','.join(header)[:80]!r}"
        )


def parse_listens(answer: Answer) -> Iterator[Seen]:
    """The counts, a problem for each line that holds none."""
    for row in read_rows(answer.body, is_line_by_line=True):
        subject = f"line {row.line}"
        track_id = values.text(row.cells.get("id"))
        read = values.Values(subject)
        count = read.whole("listens", row.cells.get("listens"))
        counted_on = read.take("date", row.cells.get("date"), values.partial_date)
        yield from read.problems()
        if track_id is None or count is None or counted_on is None:
            yield ProblemSeen(
                code="record-invalid",
                subject=subject,
                message=row.damage or "needs an id, a count of listens and a date",
            )
        else:
            yield ListensSeen(
                track_id=track_id.strip(), listens_count=count, counted_on=counted_on, listens_scope=SCOPE
            )

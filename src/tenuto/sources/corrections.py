"""Corrections by hand: a CSV that someone keeps, harvested like any source, so that each has its evidence.

Columns: source, kind (track, release or artist), id, field, value (empty: unknown), reason, by.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenuto.model.answers import Answer, Request
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError
from tenuto.model.records import CorrectionSeen, ProblemSeen, Seen
from tenuto.sources.csvrows import read_rows

COLUMNS = ("source", "kind", "id", "field", "value", "reason", "by")


class Options(Document):
    """Corrections have no options of their own."""


class Corrections:
    """The connector: one file, read whole."""

    secrets: tuple[str, ...] = ()
    user_fields: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    robots: Request | None = None

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise SettingsError(f"corrections file {file} does not exist; mend location")
        self._file = file
        self.place = str(file)

    def first(self) -> Iterable[Request]:
        """The file."""
        return (Request("corrections"),)

    sample = first

    def follow(self, answer: Answer) -> Iterable[Request]:  # noqa: ARG002 -- the protocol's shape
        """It leads nowhere."""
        return ()

    def list_of(self, request: Request) -> str | None:  # noqa: ARG002 -- the protocol's shape
        """It has no pages."""
        return None

    def fetch(self, request: Request) -> Answer:
        """Read the file."""
        return Answer(request, self._file.read_bytes(), "text/csv", datetime.now(UTC))

    def check(self, answer: Answer) -> None:
        """Raise SettingsError where the columns are not those of corrections."""
        try:
            header = next(csv.reader(io.StringIO(answer.body.decode("utf-8-sig", "replace"))), [])
        except csv.Error as error:
            raise SettingsError(f"{self.place} is no CSV: {error}") from None
        missing = [column for column in COLUMNS if column not in [cell.strip().casefold() for cell in header]]
        if missing:
            raise SettingsError(f"{self.place} lacks the column {', '.join(missing)}; it needs {','.join(COLUMNS)}")


def parse(answer: Answer) -> Iterator[Seen]:
    """The corrections; a line without source, id, field, reason or name is a problem and is not applied."""
    for row in read_rows(answer.body, is_line_by_line=False):
        cells = {column: row.cells.get(column, "").strip() for column in COLUMNS}
        empty = [column for column in COLUMNS if column != "value" and not cells[column]]
        if row.damage or empty:
            yield ProblemSeen(
                code="record-invalid", subject=f"line {row.line}", message=row.damage or f"lacks {', '.join(empty)}"
            )
            continue
        yield CorrectionSeen(
            corrected_source=cells["source"],
            kind=cells["kind"],
            own_id=cells["id"],
            field=cells["field"],
            value=cells["value"] or None,
            reason=cells["reason"],
            corrected_by=cells["by"],
        )

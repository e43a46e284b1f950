"""A table on this machine, read from front to end: a greeting that says which file it was, then pages of rows as they are.

Every page names the columns and the mapping, so that it can be read alone, years later; another mapping is another harvest.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from tenuto.model.answers import Answer, Request
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError, SourceRefusedError
from tenuto.sources.dumps import Pages, Unchanged
from tenuto.sources.table.mapping import MappingFile, load_mapping
from tenuto.sources.table.rows import BATCH_ROWS, open_rows

GREETING = "table"
ROWS = "rows?offset="
_PAGE_MAX_BYTES = 8 * 2**20


class Options(Document):
    """The mapping: a TOML file."""

    mapping_file: str


class Table:
    """The connector; `fetch` reads, everything else is pure but for `follow`, which remembers which file the greeting saw."""

    secrets: tuple[str, ...] = ()
    user_fields: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    robots: Request | None = None

    def __init__(self, file: Path, mapping_file: Path) -> None:
        if not file.is_file():
            raise SettingsError(f"table {file} does not exist or is no file; mend location, or mount it")
        self._file = file
        self._mapping: MappingFile = load_mapping(mapping_file)
        self._columns: list[str] = []
        self._unchanged = Unchanged(file)
        self._pages = Pages(partial(_rows, file, self._mapping, self._columns), BATCH_ROWS, _PAGE_MAX_BYTES)
        self.place = str(file)

    def first(self) -> Iterable[Request]:
        """The greeting."""
        return (Request(GREETING),)

    def sample(self) -> Iterable[Request]:
        """The first rows."""
        return (Request(f"{ROWS}0"),)

    def follow(self, answer: Answer) -> Iterable[Request]:
        """From page to page, until one is empty."""
        if answer.request.key == GREETING:
            self._unchanged.expect(msgspec.json.decode(answer.body)["sha256"])
            yield Request(f"{ROWS}0")
        elif rows := answer.body.count(b"\n") - 1:
            yield Request(f"{ROWS}{_offset(answer.request) + rows}")

    def list_of(self, request: Request) -> str | None:  # noqa: ARG002 -- the protocol's shape
        """Equal pages of a file are no sign of a server that lies."""
        return None

    def fetch(self, request: Request) -> Answer:
        """Read a page. Raises SettingsError where the mapping does not fit, SkipRecordError where the file cannot be read on,
        SourceError where it has changed.
        """
        if request.key == GREETING:
            return Answer(request, self._greeting(), "application/json", datetime.now(UTC))
        self._unchanged.check()
        rows = self._pages.page(_offset(request))
        mapping = self._mapping.model_dump(exclude_defaults=True)
        head = msgspec.json.encode({"columns": self._columns, "mapping": mapping})
        return Answer(request, b"\n".join([head, *rows, b""]), "application/jsonl", datetime.now(UTC))

    def check(self, answer: Answer) -> None:
        """A file is what it is."""

    def _greeting(self) -> bytes:
        if self._pages.first() is None:
            raise SourceRefusedError(
                f"{self.place} holds no row; mend the file. What was harvested before stays as it is"
            )
        said = {"file": self._file.name, "bytes": self._file.stat().st_size, "sha256": self._unchanged.sha256(),
                "columns": self._columns}  # fmt: skip
        return msgspec.json.encode(said)


def _rows(file: Path, mapping: MappingFile, columns: list[str]) -> Iterator[bytes]:
    """The rows of a table; its columns are told by `columns`. It knows no connector, so that the file closes with the last
    that reads it. Raises SettingsError where the mapping does not fit.
    """
    columns[:], rows = open_rows(file, mapping.read)
    if columns:
        mapping.check_columns(columns, file)
    return rows


def _offset(request: Request) -> int:
    return int(request.key.removeprefix(ROWS))

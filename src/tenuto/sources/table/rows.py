"""Rows of a table as they stand in the file, each as a line of JSON: an array of cells in the order of the columns, an object
(of a JSONL), or a text: a row that cannot be read as one. What is wrong with a row takes no other with it.
"""

import codecs
import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import msgspec
import pyarrow as pa

from tenuto.model.errors import SettingsError, SkipRecordError
from tenuto.sources.table.lines import lines_of, split_rows
from tenuto.sources.table.mapping import Read
from tenuto.sources.table.of_parquet import open_parquet
from tenuto.sources.table.of_sqlite import open_sqlite

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip
BATCH_ROWS = 4_000
ROW_MAX_BYTES = 4 * 2**20
"""Bytes of a row as JSON; of one that is longer the beginning is kept, as a row that cannot be read."""
_BEGINNING = 1_000
_ENCODER = msgspec.json.Encoder(enc_hook=str)
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])

Opened = tuple[list[str], Iterator[bytes]]
"""Columns, and rows."""


def open_rows(file: Path, read: Read) -> Opened:
    """The columns of a table and its rows; raises SettingsError where it is no such table. Of a JSONL the columns are those of
    its first rows.
    """
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    format_ = read.format or FORMATS.get(suffixes[-1] if suffixes else "")
    if format_ is None:
        raise SettingsError(f"{file.name} does not say what it is; set format in [read] of the mapping: csv, tsv, jsonl, "
                            "parquet or sqlite")  # fmt: skip
    try:
        columns, rows = _OPENERS[format_](file, read)
        first = next(rows, None)
    except (OSError, EOFError, UnicodeError, LookupError, ValueError, pa.ArrowException, sqlite3.Error) as error:
        raise SettingsError(f"{file.name} cannot be read as {format_}: {error}") from None
    return columns, _told(file, rows if first is None else chain([first], rows))


def encode(row: Any) -> bytes:
    """A row as JSON; bytes that are no UTF-8 stand as lone surrogates (U+DC80 to U+DCFF), from which they can be had again.
    A row that is too long becomes a text that says so.
    """
    try:
        line = _ENCODER.encode(row)
    except (UnicodeEncodeError, OverflowError):
        line = json.dumps(row, default=str).encode()
    if len(line) <= ROW_MAX_BYTES:
        return line
    return _ENCODER.encode(f"longer than {ROW_MAX_BYTES:,} bytes: {line[:_BEGINNING].decode(errors='ignore')}")


def _told(file: Path, rows: Iterator[bytes]) -> Iterator[bytes]:
    """What breaks in the middle of the file (a disk, a cut archive, a damaged page) is told as such."""
    try:
        yield from rows
    except (OSError, EOFError, UnicodeError, ValueError, pa.ArrowException, sqlite3.Error) as error:
        raise SkipRecordError(f"{file.name} cannot be read on: {error}", is_gone=False) from None


def _delimited(file: Path, read: Read, delimiter: str, *, has_quotes: bool) -> Opened:
    quotes = has_quotes if read.quotes is None else read.quotes
    rows = split_rows(lines_of(_text(file, read)), read.delimiter or delimiter, has_quotes=quotes)
    columns: list[str] | str = list(read.columns)
    if not columns:
        columns = next(rows, "")
    if not columns or isinstance(columns, str):
        raise SettingsError(f"{file.name} does not begin with a line of column names; name them: columns in [read]")
    return [column.strip() for column in columns], map(encode, rows)


def _jsonl(file: Path, read: Read) -> Opened:
    rows = (_object(line) for line in lines_of(_text(file, read)) if line.strip())
    first = list(islice(rows, BATCH_ROWS))
    columns = list(dict.fromkeys(key for line in first if line[:1] == b"{" for key in json.loads(line)))
    if first and not columns:
        raise SettingsError(f"{file.name} is no JSONL: none of its first {len(first):,} lines is a JSON object")
    return columns, chain(first, rows)


def _object(line: str) -> bytes:
    try:
        _OBJECTS.decode(line)
        return line.strip().encode()
    except (ValueError, RecursionError):
        pass
    try:
        value = json.loads(line, strict=False)
    except (ValueError, RecursionError):
        value = None
    return encode(value if isinstance(value, dict) else line.strip())


def _parquet(file: Path, read: Read) -> Opened:  # noqa: ARG001 -- one shape
    columns, rows = open_parquet(file)
    return columns, map(encode, rows)


def _sqlite(file: Path, read: Read) -> Opened:
    columns, rows = open_sqlite(file, read)
    return columns, map(encode, rows)


def _text(file: Path, read: Read) -> TextIO:
    name = codecs.lookup(read.encoding).name
    encoding, errors = ("utf-8-sig", "surrogateescape") if name == "utf-8" else (name, "replace")
    if file.suffix.lower() == ".gz":
        return gzip.open(file, "rt", encoding=encoding, errors=errors, newline="")
    return file.open(encoding=encoding, errors=errors, newline="")


_OPENERS: dict[str, Callable[[Path, Read], Opened]] = {
    "csv": lambda file, read: _delimited(file, read, ",", has_quotes=True),
    "tsv": lambda file, read: _delimited(file, read, "\t", has_quotes=False),
    "jsonl": _jsonl,
    "parquet": _parquet,
    "sqlite": _sqlite,
}

"""An edition on disk: written once, whole; opened for reading; its tables held by canonical digests."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive import Layout, remove_leftovers
from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably, write_durably
from tenuto.archive.layout import read_pointer
from tenuto.catalogue.canonical import CanonicalDigest
from tenuto.model.documents import Document
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES
from tenuto.rights import Statement

FORMAT = "tenuto-edition-1"
EDITION_NAME = "edition.json"
_ROW_GROUP = 1_000_000
_ROWS = ("artist_row", "release_row", "track_row", "statement_row")


class TableInfo(Document):
    """One table: its rows, the SHA-256 of its file, and the canonical digest that survives other library versions."""

    rows: int
    bytes: int
    sha256: str
    canonical_sha256: str


class SourceInfo(Document):
    """What one source gave to the edition."""

    kind: str
    tracks: int
    tombstones: int


class EditionInfo(Document):
    """edition.json."""

    format: Literal["tenuto-edition-1"] = "tenuto-edition-1"
    edition: str
    evidence_sha256: str
    newest_evidence: date
    tables: dict[str, TableInfo]
    sources: dict[str, SourceInfo]
    licences: dict[str, int]
    findings: dict[str, int]


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition opened for reading."""

    folder: Path
    info: EditionInfo

    def table(self, name: str) -> Path:
        """The Parquet file of a table, to be read in place by any tool."""
        return self.folder / f"{name}.parquet"


def open_current(layout: Layout) -> Edition:
    """The current edition; raises UsageError where none was built yet."""
    name = read_pointer(layout.catalogue / "current")
    if name is None:
        raise UsageError(f"{layout.root} has no catalogue yet; run: tenuto catalogue build")
    return open_edition(layout.edition(name))


def open_edition(folder: Path) -> Edition:
    """An edition by its folder; raises IntegrityError where it is not one that this version knows, or a table is missing
    or of another size. Digests are for `damage_of`.
    """
    file = folder / EDITION_NAME
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{file} cannot be read ({error}); run: tenuto catalogue build") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        said = values.get("format") if isinstance(values, dict) else None
        raise IntegrityError(f"{file} is of format {said!r}; this version reads {FORMAT}: run tenuto catalogue build")
    try:
        edition = Edition(folder, EditionInfo.model_validate(values))
    except ValueError as error:
        raise IntegrityError(f"{file} is not as it was written ({error}); run: tenuto catalogue build") from None
    for name in TABLES:
        table = edition.table(name)
        if name not in edition.info.tables or not table.is_file():
            raise IntegrityError(f"{table} is missing; run: tenuto catalogue build")
        if (found := table.stat().st_size) != (said := edition.info.tables[name].bytes):
            raise IntegrityError(f"{table} has {found} bytes, {EDITION_NAME} says {said}; run: tenuto catalogue build")
    return edition


def damage_of(folder: Path) -> str:
    """What is wrong with an edition on disk, every byte of its tables read; empty where nothing is."""
    try:
        edition = open_edition(folder)
    except IntegrityError as error:
        return str(error).partition("; run:")[0]
    if edition.info.edition != folder.name:
        return f"{folder / EDITION_NAME} names {edition.info.edition!r}"
    for name in TABLES:
        with edition.table(name).open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != (said := edition.info.tables[name].sha256):
            return f"{edition.table(name)} has sha256 {found}, {EDITION_NAME} says {said}"
    return ""


def write_edition(
    layout: Layout, edition: str, tables: Mapping[str, Callable[[], pa.RecordBatchReader]], about: Mapping[str, Any]
) -> Edition:
    """Write an edition whole; one of that name is left as it is, unless it is damaged. `tables` give their rows in order."""
    folder = layout.edition(edition)
    if folder.exists() and damage_of(folder):
        folder.rename(layout.catalogue / f"{LEFTOVER_PREFIX}damaged-{edition}")
    if not folder.exists():
        with folder_durably(folder) as beside:
            infos = {name: _write_table(beside / f"{name}.parquet", tables[name](), TABLES[name]) for name in TABLES}
            info = EditionInfo(edition=edition, tables=infos, **about)
            document = msgspec.json.format(msgspec.json.encode(info.model_dump(mode="json")), indent=1)
            (beside / EDITION_NAME).write_bytes(document + b"\n")
    return open_edition(folder)


def make_current(layout: Layout, edition: Edition) -> None:
    """Let everything that comes behind the catalogue go by this edition."""
    write_durably(layout.catalogue / "current", f"{edition.info.edition}\n".encode())
    remove_leftovers(layout.catalogue)


def _write_table(path: Path, rows: pa.RecordBatchReader, schema: pa.Schema) -> TableInfo:
    """Write a table as its rows come."""
    numbers = [name for name in _ROWS if name == schema.names[0]]
    canonical, count = CanonicalDigest(), 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in numbers],
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    ) as writer:
        for group in _row_groups(rows, schema):
            writer.write_table(group, row_group_size=_ROW_GROUP)
            for batch in group.to_batches():
                canonical.add(batch)
            count += group.num_rows
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return TableInfo(rows=count, bytes=path.stat().st_size, sha256=sha256, canonical_sha256=canonical.hexdigest())


def _row_groups(rows: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of one row group each; bytes do not depend on the batches that they come in."""
    pending: list[pa.Table] = []
    for batch in rows:
        pending.append(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
        while sum(table.num_rows for table in pending) >= _ROW_GROUP:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, _ROW_GROUP).combine_chunks()
            pending = [whole.slice(_ROW_GROUP)]
    if sum(table.num_rows for table in pending):
        yield pa.concat_tables(pending).combine_chunks()


def load_statements(edition: Edition) -> list[Statement]:
    """The statements of an edition, by their row."""
    rows = (
        pq.read_table(edition.table("statement")).sort_by("statement_row").drop_columns(["statement_row"]).to_pylist()
    )
    return [statement_from(row) for row in rows]


def statement_from(row: Mapping[str, Any]) -> Statement:
    """A statement from a row of a table."""
    return Statement(**{**row, "territories": tuple(row["territories"] or ())})

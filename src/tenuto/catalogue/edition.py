"""An edition on disk, opened for reading: what edition.json says of it, and whether that is so (it is written by `writing`)."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES
from tenuto.model.written import Written

if TYPE_CHECKING:  # what reads and writes whole tables is loaded where one is: whoever looks one row up begins sooner
    import pyarrow.compute as pc

    from tenuto.rights import Statement

FORMAT = "tenuto-edition-1"
EDITION_NAME = "edition.json"
_FILE_NAME = re.compile(r"[a-z_]+(-[0-9]{5})?\.parquet")


class FileInfo(Written, frozen=True):
    """One file of a table."""

    name: str
    rows: int
    bytes: int
    sha256: str


class TableInfo(Written, frozen=True):
    """One table: its rows, its files in order, the SHA-256 of their bytes, and the canonical digest that survives other library
    versions.
    """

    rows: int
    bytes: int
    sha256: str
    canonical_sha256: str
    files: tuple[FileInfo, ...]


class SourceInfo(Written, frozen=True):
    """What one source gave to the edition."""

    kind: str
    tracks: int
    tombstones: int


class EditionInfo(Written, frozen=True, kw_only=True):
    """edition.json."""

    format: Literal["tenuto-edition-1"] = "tenuto-edition-1"
    edition: str
    evidence_sha256: str
    newest_evidence: date
    tables: dict[str, TableInfo]
    sources: dict[str, SourceInfo]
    licences: dict[str, int]
    findings: dict[str, int]
    precedence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition opened for reading."""

    folder: Path
    info: EditionInfo

    def files(self, name: str) -> list[Path]:
        """The Parquet files of a table, in order, to be read in place by any tool."""
        return [self.folder / file.name for file in self.info.tables[name].files]

    def rows(self, name: str) -> str:
        """A table as DuckDB reads it, in a FROM."""
        return sql_rows(*self.files(name))

    def read(self, name: str, filters: "pc.Expression | None" = None) -> pa.Table:
        """A table in memory, or those of its rows that `filters` lets through."""
        import pyarrow.parquet as pq  # noqa: PLC0415

        return pa.concat_tables([pq.read_table(file, filters=filters) for file in self.files(name)])


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
        if name not in edition.info.tables:
            raise IntegrityError(f"{file} names no table {name}; run: tenuto catalogue build")
        if sum(said.rows for said in edition.info.tables[name].files) != edition.info.tables[name].rows:
            raise IntegrityError(f"{file}: the rows of the files of {name} do not add up; run: tenuto catalogue build")
        for said in edition.info.tables[name].files:
            table = folder / said.name
            if not _FILE_NAME.fullmatch(said.name) or not table.is_file():
                raise IntegrityError(f"{table} is missing; run: tenuto catalogue build")
            if (found := table.stat().st_size) != said.bytes:
                raise IntegrityError(
                    f"{table} has {found} bytes, {EDITION_NAME} says {said.bytes}; run: tenuto catalogue build"
                )
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
        for said in edition.info.tables[name].files:
            if (found := sha256_of_all([folder / said.name])) != said.sha256:
                return f"{folder / said.name} has sha256 {found}, {EDITION_NAME} says {said.sha256}"
    return ""


def refuse_damaged(edition: Edition) -> None:
    """Raise IntegrityError where a byte of the edition is not as it was written. Whoever makes something that lasts of its tables
    asks this first: Parquet does not notice a flipped bit.
    """
    if damage := damage_of(edition.folder):
        raise IntegrityError(f"{damage}; run: tenuto catalogue build")


def sha256_of_all(files: Iterable[Path]) -> str:
    """The SHA-256 over the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as content:
            while part := content.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def sql_rows(*paths: Path, more: str = "") -> str:
    """Parquet files as DuckDB reads them, in a FROM: these files alone, and their own columns, whatever their path is."""
    return f"read_parquet([{', '.join(map(_literal, paths))}], hive_partitioning = false{more})"


def _literal(path: Path) -> str:
    plain = "".join(f"[{char}]" if char in "*?[" else char for char in str(path))
    return "'" + plain.replace("'", "''") + "'"


def load_statements(edition: Edition) -> "list[Statement]":
    """The statements of an edition, by their row."""
    rows = edition.read("statement").sort_by("statement_row").drop_columns(["statement_row"]).to_pylist()
    return [statement_from(row) for row in rows]


def statement_from(row: Mapping[str, Any]) -> "Statement":
    """A statement from a row of a table."""
    from tenuto.rights import Statement  # noqa: PLC0415

    return Statement(**{**row, "territories": tuple(row["territories"] or ())})

"""An edition on disk: written once, whole; opened for reading; its tables held by canonical digests."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from tenuto.archive import Layout, remove_leftovers
from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably, write_durably
from tenuto.archive.layout import read_pointer
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES
from tenuto.model.written import Written

if TYPE_CHECKING:  # what reads and writes whole tables is loaded where one is: whoever looks one row up begins sooner
    import pyarrow.compute as pc

    from tenuto.catalogue.canonical import CanonicalDigest
    from tenuto.rights import Statement

FORMAT = "tenuto-edition-1"
EDITION_NAME = "edition.json"
GROUP_ROWS = 32_768
"""Rows of a row group: so many are unpacked to show one of them."""

FILE_ROWS = 2**22
"""Rows of a file of a table: a reader that wants one row opens one file, whose footer stays small however large the table is."""

_BATCH_MAX_BYTES = 2**30
_WRITERS = 2
"""Tables written at a time: one is sorted while another is packed."""

_FILE_NAME = re.compile(r"[a-z_]+(-[0-9]{5})?\.parquet")
_ENCODINGS = {
    **dict.fromkeys(("artist_id", "release_id", "track_id", "isrc", "upc", "artist_id_musicbrainz", "release_id_musicbrainz",
                     "recording_id_musicbrainz", "isni", "title", "name", "fetch_id", "path"), "DELTA_LENGTH_BYTE_ARRAY"),
    **dict.fromkeys(("release_row", "cluster_row"), "DELTA_BINARY_PACKED"),
    **dict.fromkeys(("artist_row", "duration_ms", "listens_count", "bytes"), "PLAIN"),
}  # fmt: skip
"""Columns whose values seldom repeat: so written, the tables take a fifth less than with a dictionary of each."""
_NUMBERED = ("artist", "release", "track")
"""Tables that number their rows: 0, 1, 2 …"""


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
            if (found := _sha256_of([folder / said.name])) != said.sha256:
                return f"{folder / said.name} has sha256 {found}, {EDITION_NAME} says {said.sha256}"
    return ""


def refuse_damaged(edition: Edition) -> None:
    """Raise IntegrityError where a byte of the edition is not as it was written. Whoever makes something that lasts of its tables
    asks this first: Parquet does not notice a flipped bit.
    """
    if damage := damage_of(edition.folder):
        raise IntegrityError(f"{damage}; run: tenuto catalogue build")


def write_edition(
    layout: Layout,
    edition: str,
    tables: Mapping[str, Callable[[], pa.RecordBatchReader]],
    about: Mapping[str, Any],
    abandon: Callable[[Iterable[Future[TableInfo]]], object] = lambda _: None,
) -> Edition:
    """Write an edition whole; one of that name is left as it is, unless it is damaged. `tables` give their rows in order, and are
    begun in this order: what waits for something stands last. When one fails, or the user stops it, `abandon` may see to it
    that the others end soon; they are waited for.
    """
    folder = layout.edition(edition)
    if folder.exists() and damage_of(folder):
        folder.rename(layout.catalogue / f"{LEFTOVER_PREFIX}damaged-{edition}")
    if not folder.exists():
        with folder_durably(folder) as beside, ThreadPoolExecutor(_WRITERS) as threads:
            is_stopped = Event()
            try:
                begun = {
                    name: threads.submit(_write_table, beside, name, rows, is_stopped) for name, rows in tables.items()
                }
                for one in as_completed(begun.values()):
                    one.result()
            except BaseException:
                is_stopped.set()
                threads.shutdown(wait=False, cancel_futures=True)
                abandon(begun.values())
                raise
            info = EditionInfo(edition=edition, tables={name: begun[name].result() for name in TABLES}, **about)
            document = msgspec.json.format(msgspec.json.encode(info.model_dump(mode="json")), indent=1)
            (beside / EDITION_NAME).write_bytes(document + b"\n")
    return open_edition(folder)


def make_current(layout: Layout, edition: Edition) -> None:
    """Let everything that comes behind the catalogue go by this edition."""
    write_durably(layout.catalogue / "current", f"{edition.info.edition}\n".encode())
    remove_leftovers(layout.catalogue)


def _write_table(folder: Path, name: str, rows: Callable[[], pa.RecordBatchReader], is_stopped: Event) -> TableInfo:
    """Write a table as its rows come: `<name>.parquet`, or `<name>-00000.parquet` … where it is long."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    from tenuto.catalogue.canonical import CanonicalDigest  # noqa: PLC0415

    canonical, files = CanonicalDigest(), list[Path]()
    for groups in _files(_in_order(_row_groups(_until(is_stopped, rows()), TABLES[name]), name)):
        files.append(folder / f"{name}-{len(files):05d}.parquet")
        _write_file(files[-1], groups, TABLES[name], canonical)
    if len(files) == 1:
        files = [files[0].rename(folder / f"{name}.parquet")]
    infos = [
        FileInfo(
            name=file.name, rows=pq.read_metadata(file).num_rows, bytes=file.stat().st_size, sha256=_sha256_of([file])
        )
        for file in files
    ]
    return TableInfo(
        rows=sum(info.rows for info in infos),
        bytes=sum(info.bytes for info in infos),
        sha256=infos[0].sha256 if len(files) == 1 else _sha256_of(files),
        canonical_sha256=canonical.hexdigest(),
        files=tuple(infos),
    )


def _write_file(path: Path, groups: Iterable[pa.Table], schema: pa.Schema, canonical: "CanonicalDigest") -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    encodings = {name: _encoding(name, place) for place, name in enumerate(schema.names)}
    encodings = {name: encoding for name, encoding in encodings.items() if encoding}
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in encodings],
        column_encoding=encodings,
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=GROUP_ROWS)
            for batch in group.to_batches():
                canonical.add(batch)


def _encoding(name: str, place: int) -> str | None:
    """How a column is written; None: with a dictionary. Row numbers rise in the column that a table is ordered by, its first."""
    return "DELTA_BINARY_PACKED" if place == 0 and name.endswith("_row") else _ENCODINGS.get(name)


def _files(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The row groups of each file; at least one file, which may be empty."""
    first = next(groups, None)
    if first is None:
        yield iter(())
    while first is not None:
        yield chain([first], islice(groups, FILE_ROWS // GROUP_ROWS - 1))
        first = next(groups, None)


def _until(is_stopped: Event, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, as long as nobody has stopped the writing."""
    for batch in batches:
        if is_stopped.is_set():
            raise CancelledError
        yield batch


def _row_groups(rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of one row group each; bytes do not depend on the batches that they come in."""
    pending: list[pa.Table] = []
    for batch in _small(rows):
        pending.append(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
        while sum(table.num_rows for table in pending) >= GROUP_ROWS:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, GROUP_ROWS).combine_chunks()
            pending = [whole.slice(GROUP_ROWS)]
    if sum(table.num_rows for table in pending):
        yield pa.concat_tables(pending).combine_chunks()


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches whose texts Arrow's 32-bit offsets can count."""
    for batch in batches:
        if batch.nbytes > _BATCH_MAX_BYTES and batch.num_rows > 1:
            half = batch.num_rows // 2
            yield from _small((batch.slice(0, half), batch.slice(half)))
        else:
            yield batch


def _in_order(groups: Iterator[pa.Table], name: str) -> Iterator[pa.Table]:
    """The row groups, once it is sure that their rows are where their numbers say: whoever looks a row up goes by its place."""
    count = 0
    for group in groups:
        if name in _NUMBERED:
            numbers = group.column(0).to_numpy()
            if not np.array_equal(numbers, np.arange(count, count + len(numbers), dtype=np.uint32)):
                raise RuntimeError(f"the rows of {name} come out of order")
        count += group.num_rows
        yield group


def _sha256_of(files: Iterable[Path]) -> str:
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

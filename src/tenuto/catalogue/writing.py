"""Writing an edition: all tables whole or none, each as its rows come, several side by side; the same rows give the same bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from itertools import chain, islice
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive import Layout, remove_leftovers
from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably, write_durably
from tenuto.catalogue.canonical import CanonicalDigest
from tenuto.catalogue.edition import (
    EDITION_NAME,
    Edition,
    EditionInfo,
    FileInfo,
    TableInfo,
    damage_of,
    open_edition,
    sha256_of_all,
)
from tenuto.model.tables import TABLES

GROUP_ROWS = 32_768
"""Rows of a row group: so many are unpacked to show one of them."""

FILE_ROWS = 2**22
"""Rows of a file of a table: a reader that wants one row opens one file, whose footer stays small however large the table is."""

_BATCH_MAX_BYTES = 2**30
_WRITERS = 2
"""Tables written at a time: one is sorted while another is packed."""

_ENCODINGS = {
    **dict.fromkeys(("artist_id", "release_id", "track_id", "isrc", "upc", "artist_id_musicbrainz", "release_id_musicbrainz",
                     "recording_id_musicbrainz", "isni", "title", "name", "fetch_id", "path"), "DELTA_LENGTH_BYTE_ARRAY"),
    **dict.fromkeys(("release_row", "cluster_row"), "DELTA_BINARY_PACKED"),
    **dict.fromkeys(("artist_row", "duration_ms", "listens_count", "bytes"), "PLAIN"),
}  # fmt: skip
"""Columns whose values seldom repeat: so written, the tables take a fifth less than with a dictionary of each."""
_NUMBERED = ("artist", "release", "track")
"""Tables that number their rows: 0, 1, 2 …"""


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
    canonical, files = CanonicalDigest(), list[Path]()
    for groups in _files(_in_order(_row_groups(_until(is_stopped, rows()), TABLES[name]), name)):
        files.append(folder / f"{name}-{len(files):05d}.parquet")
        _write_file(files[-1], groups, TABLES[name], canonical)
    if len(files) == 1:
        files = [files[0].rename(folder / f"{name}.parquet")]
    infos = [
        FileInfo(
            name=file.name,
            rows=pq.read_metadata(file).num_rows,
            bytes=file.stat().st_size,
            sha256=sha256_of_all([file]),
        )
        for file in files
    ]
    return TableInfo(
        rows=sum(info.rows for info in infos),
        bytes=sum(info.bytes for info in infos),
        sha256=infos[0].sha256 if len(files) == 1 else sha256_of_all(files),
        canonical_sha256=canonical.hexdigest(),
        files=tuple(infos),
    )


def _write_file(path: Path, groups: Iterable[pa.Table], schema: pa.Schema, canonical: CanonicalDigest) -> None:

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

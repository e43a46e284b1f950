"""Building the text index: beside its place, and renamed when it is whole."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import tantivy

from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably
from tenuto.catalogue.search.columns import Documents, artists_of, batches_of, facts_of, order_of, texts_of
from tenuto.catalogue.search.shown import ShownWriter, lines_of
from tenuto.model.progress import Progress

VERSION = 1
"""Of fields, folding and files together: an index of another version is built anew."""

ABOUT_NAME = "search.json"

_HEAP_MIN_BYTES, _HEAP_MAX_BYTES = 15_000_000, 4_000_000_000
"""What tantivy takes for one writing thread (`MEMORY_BUDGET_NUM_BYTES_MIN` and `MAX` in its index_writer.rs)."""

_OURS_BYTES = 250_000_000
"""What the process was seen to take beside tantivy's heap: libraries, rows as they are read, names that are remembered."""


def schema() -> tantivy.Schema:
    """Titles with places, for phrases; the rest without. Nothing is stored: see `shown`."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="position")
    for name in ("artist", "release", "fact"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    builder.add_unsigned_field("order", fast=True)
    return builder.build()


def build_index(folder: Path, rows: Iterable[pa.RecordBatch], memory_bytes: int, progress: Progress) -> None:
    """Write the text index of an edition into `folder`, in place of one that is there.

    Batches have the columns track_row uint32 (ascending), title string, artists list<string> in the order of credits, release
    string, listens uint64, popularity uint8, year uint16, licence string; all but the first may be null, others are left out.
    `memory_bytes` bounds the memory of the process, from 265 MB on; pages of the index's own files, mapped while parts of it are
    merged, come on top and can be taken back. Raises ValueError where rows do not ascend.
    """
    progress.begin("text index", unit="tracks")
    with folder_durably(_made_free(folder)) as beside:
        index = tantivy.Index(schema(), path=str(beside), reuse=False)
        writer = index.writer(min(_HEAP_MAX_BYTES, max(_HEAP_MIN_BYTES, memory_bytes - _OURS_BYTES)), 1)
        try:
            tracks = _write(beside, writer, rows, progress)
            writer.commit()
        except BaseException:
            writer.rollback()
            raise
        finally:
            writer.wait_merging_threads()
        about = {"version": VERSION, "tracks": tracks}
        (beside / ABOUT_NAME).write_text(json.dumps(about) + "\n")


def _write(beside: Path, writer: tantivy.IndexWriter, rows: Iterable[pa.RecordBatch], progress: Progress) -> int:
    tracks = 0
    documents, add = Documents(), writer.add_json
    with ShownWriter(beside) as shown:
        for batch in batches_of(rows):
            title, artists, release = texts_of(batch, "title"), artists_of(batch), texts_of(batch, "release")
            numbers = batch.column("track_row")
            shown.add(numbers.to_pylist(), lines_of(title, artists, release))
            facts = facts_of(batch.column("year"), batch.column("licence"))
            order = order_of(numbers, batch.column("listens"), batch.column("popularity"))
            for document in documents.of(title, artists, release, facts, order):
                add(document)
            tracks += batch.num_rows
            progress.advance(batch.num_rows)
    return tracks


def _made_free(folder: Path) -> Path:
    """The place of the index, with nothing there: an old one, which is a cache, goes before the new one is written."""
    if folder.exists():
        away = folder.parent / f"{LEFTOVER_PREFIX}old-{folder.name}"
        shutil.rmtree(away, ignore_errors=True)
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)
    return folder

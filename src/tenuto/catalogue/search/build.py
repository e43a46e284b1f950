"""Building the text index: parts of it side by side, whose segments then lie in one."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tenuto.catalogue.search.columns import Documents, artists_of, batches_of, facts_of, order_of, texts_of
from tenuto.catalogue.search.queries import ALL
from tenuto.catalogue.search.tiers import ABOUT_NAME, TIERS, VERSION, crc_of, schema, writer_of
from tenuto.catalogue.search.vocabulary import WORDS_FOLDER, write_vocabulary

HEAP_MIN_BYTES, _HEAP_MAX_BYTES = 15_000_000, 4_000_000_000
"""What tantivy takes for one writing thread (`MEMORY_BUDGET_NUM_BYTES_MIN` and `MAX` in its index_writer.rs)."""

_TOP_HEAP_BYTES = 30_000_000
_META = "meta.json"


def build_index(folder: Path, rows: Iterable[pa.RecordBatch], heap_bytes: int = 100_000_000, bound: int = 0) -> None:
    """Write the text index of these rows into an empty folder, in this process.

    Batches have the columns track_row uint32, title string, artists list<string> in the order of credits, release string, listens
    uint64, popularity uint8, year uint16, licence string; all but the first may be null. Tracks whose `order` (see `order_of`) is
    at least `bound` make the first tier. Raises OSError where the disk is full.
    """
    part = folder / "part"
    part.mkdir()
    join_parts(folder, [part], write_part(part, rows, heap_bytes, bound, lambda _: None))


def write_part(
    folder: Path, rows: Iterable[pa.RecordBatch], heap_bytes: int, bound: int, advance: Callable[[int], object]
) -> int:
    """Write an index for each tier into an empty folder; returns how many tracks it has."""
    tracks, documents = 0, Documents()
    top_bytes, rest_bytes = _TOP_HEAP_BYTES, min(_HEAP_MAX_BYTES, max(HEAP_MIN_BYTES, heap_bytes - _TOP_HEAP_BYTES))
    fields = schema()
    with (
        writer_of(folder / TIERS[0], fields, top_bytes) as top,
        writer_of(folder / TIERS[1], fields, rest_bytes) as rest,
    ):
        for batch in batches_of(rows):
            title, artists, release = texts_of(batch, "title"), artists_of(batch), texts_of(batch, "release")
            facts = facts_of(batch.column("year"), batch.column("licence"))
            order = order_of(batch.column("track_row"), batch.column("listens"), batch.column("popularity"))
            lines = documents.of(title, artists, release, facts, order)
            is_top = order.to_numpy() >= np.uint64(bound)
            for number in np.flatnonzero(is_top).tolist():
                top.add_json(lines[number])
                lines[number] = ""
            for line in filter(None, lines):
                rest.add_json(line)
            tracks += batch.num_rows
            advance(batch.num_rows)
    return tracks


def join_parts(folder: Path, parts: Sequence[Path], tracks: int) -> None:
    """Make one index of parts that lie in `folder`, by moving their files: a segment knows nothing of its index. Then the words."""
    for tier in TIERS:
        metas = [json.loads((part / tier / _META).read_bytes()) for part in parts]
        metas[0]["segments"] = [segment for meta in metas for segment in meta["segments"]]
        metas[0]["opstamp"] = max(meta["opstamp"] for meta in metas)
        (folder / tier).mkdir()
        for part in parts:
            for file in (part / tier).iterdir():
                if file.name != _META and not file.name.startswith("."):
                    file.rename(folder / tier / file.name)
                else:
                    file.unlink()
            (part / tier).rmdir()
        (folder / tier / _META).write_text(json.dumps(metas[0]))
    for part in parts:
        part.rmdir()
    write_vocabulary(folder / WORDS_FOLDER, [folder / tier for tier in TIERS], ALL)
    for file in folder.glob("*/.*"):  # locks, and what only a writer asks for
        file.unlink()
    files = {str(file.relative_to(folder)): (file.stat().st_size, crc_of(file)) for file in folder.glob("*/*")}
    about = {"version": VERSION, "tracks": tracks, "files": dict(sorted(files.items()))}
    (folder / ABOUT_NAME).write_text(json.dumps(about))  # nothing behind it: a cut file is none

"""The tables of a plan: each track with its decision, each crate draft."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from tenuto.selection.candidates import Candidates
from tenuto.selection.choice import Choice
from tenuto.selection.drafts import Draft
from tenuto.selection.tiers import original_bytes

TRACKS = pa.schema(
    [("track_row", pa.uint32()), ("source", pa.string()), ("track_id", pa.string()), ("band", pa.string()),
     ("tier", pa.string()), ("access", pa.string()), ("original_bytes", pa.uint64()), ("planned_bytes", pa.uint64()),
     ("listens_count", pa.uint64()), ("value", pa.float64()), ("status", pa.string()), ("reason", pa.string()),
     ("draft", pa.uint32())]
)  # fmt: skip
DRAFTS = pa.schema(
    [("draft", pa.uint32()), ("crate", pa.string()), ("band", pa.string()), ("seq", pa.uint32()),
     ("access", pa.string()), ("recordings", pa.uint32()), ("bytes", pa.uint64()), ("digest", pa.string())]
)  # fmt: skip


def track_table(tracks: Candidates, choice: Choice, drafts: list[Draft], bands: list[str]) -> pa.Table:
    """tracks.parquet: every live track with what was decided, so that anyone can recompute the plan."""
    draft = np.full(len(tracks), -1, dtype=np.int64)
    for number, entry in enumerate(drafts):
        draft[list(entry.rows)] = number
    originals = original_bytes(tracks)
    columns = [
        tracks.table.column("track_row"),
        tracks.table.column("source"),
        tracks.table.column("track_id"),
        [bands[number] for number in choice.band],
        choice.tier,
        ["open" if given else "dark" for given in tracks.may_give_out],
        [int(size) if size >= 0 else None for size in originals],
        [int(size) if taken else None for size, taken in zip(choice.size, choice.chosen, strict=True)],
        tracks.table.column("listens_count"),
        choice.value,
        choice.status,
        choice.reason,
        [int(number) if number >= 0 else None for number in draft],
    ]
    arrays = [
        (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else pa.array(column)).cast(field.type)
        for column, field in zip(columns, TRACKS, strict=True)
    ]
    return pa.table(arrays, schema=TRACKS)


def draft_table(drafts: list[Draft]) -> pa.Table:
    """drafts.parquet: one row a crate to be."""
    rows = [{"draft": number, **asdict(draft)} for number, draft in enumerate(drafts)]
    return pa.Table.from_pylist([{name: row[name] for name in DRAFTS.names} for row in rows], DRAFTS)

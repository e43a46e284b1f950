"""A made-up edition written at once, without evidence: what 256 million tracks are looked up in.

It is the edition that `catalogue build` makes of the same harvest, but for what it could not know: evidence ids are made up, and
clusters are the true ones.
"""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenuto.archive import Layout
from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.bench.catalogue import Catalogue
from tenuto.bench.chance import I64
from tenuto.bench.changes import after
from tenuto.bench.columns import Order
from tenuto.bench.markets import market_sets
from tenuto.bench.tables import (
    FIRST_DAY,
    SOURCE,
    artist_batch,
    credit_batch,
    history_batch,
    link_batch,
    release_batch,
    track_batch,
)
from tenuto.catalogue.edition import Edition
from tenuto.catalogue.writing import make_current, write_edition
from tenuto.model.ids import short_digest
from tenuto.model.progress import Progress
from tenuto.model.tables import TABLES

_ALONE = np.uint32(2**32 - 1)
"""No row: a track that is the only one of its recording."""

_AT_ONCE = 2**22

_Maker = Callable[[int, Order], pa.RecordBatch]


def write_tables(layout: Layout, seed: int, tracks: int, progress: Progress, changed: float = 0.0) -> Edition:
    """Write the edition of a catalogue into an archive and make it current. Two tables are made at a time, each block by block, so
    memory does not grow; 5 bytes a track lie in a file meanwhile.

    Of the share `changed` of the tracks half have another popularity and a fifth another id, as at a later harvest; the rest stay,
    so that all rows keep their numbers.
    """
    catalogue = Catalogue(seed, tracks)
    about = f"made up, seed {seed}, {tracks} tracks, changed {changed!r}"
    with tempfile.TemporaryDirectory(prefix=f"{LEFTOVER_PREFIX}clusters-", dir=layout.root) as place:
        progress.begin("lay out clusters", catalogue.blocks, "blocks")
        clusters = _true_clusters(catalogue, Path(place), progress)
        progress.begin("write tables", tracks, "tracks")
        makers, stopped = _makers(catalogue, clusters, changed, progress), threading.Event()
        readers = {name: partial(_reader, name, catalogue, makers.get(name), stopped) for name in TABLES}
        try:
            edition = write_edition(layout, f"{FIRST_DAY.isoformat()}-{short_digest([about])}", readers, {
                "evidence_sha256": hashlib.sha256(about.encode()).hexdigest(),
                "newest_evidence": FIRST_DAY,
                "sources": {SOURCE: {"kind": SOURCE, "tracks": tracks, "tombstones": 0}},
                "licences": {"unknown": tracks},
                "findings": {},
            })  # fmt: skip
        finally:
            stopped.set()  # Ctrl-C may leave writers at work, who would go on to the end
    make_current(layout, edition)
    return edition


def _makers(
    catalogue: Catalogue, clusters: npt.NDArray[np.uint32], changed: float, progress: Progress
) -> dict[str, _Maker]:
    """How a block of each table is made; what the others have of a track is drawn again, which is cheaper than to keep it."""

    def cluster_rows(recordings: I64) -> pa.Array:
        found = clusters[recordings]
        return pa.array(found, mask=found == _ALONE)

    def tracks(block: int, order: Order) -> pa.RecordBatch:
        columns = catalogue.track_columns(block, order)
        if changed:
            now = after(catalogue.dice, (changed,), columns)
            columns = replace(columns, ids=now.ids, popularity=now.popularity, listens=now.listens)
        progress.advance(len(columns.ids))
        return track_batch(catalogue, block, order, columns, cluster_rows(columns.recordings))

    def links(block: int, order: Order) -> pa.RecordBatch:
        return link_batch(catalogue, block, order, cluster_rows(catalogue.recordings(block, order.slots)))

    sets = market_sets(catalogue)
    return {
        "market_set": lambda block, _: sets.batch().slice(0, 0 if block else None),  # all of it with the first block
        "availability": partial(sets.availability_batch, catalogue),
        "artist": lambda block, _: artist_batch(catalogue, block),
        "release": partial(release_batch, catalogue),
        "track": tracks,
        "link": links,
        "credit": partial(credit_batch, catalogue),
        "history": partial(history_batch, catalogue),
    }


def _reader(name: str, catalogue: Catalogue, make: _Maker | None, stopped: threading.Event) -> pa.RecordBatchReader:
    """The rows of a table, block after block; a table that nothing is made up for is empty."""

    def batches(make: _Maker) -> Iterator[pa.RecordBatch]:
        for block in range(catalogue.blocks):
            if stopped.is_set():
                raise KeyboardInterrupt
            yield make(block, catalogue.order(block))

    return pa.RecordBatchReader.from_batches(TABLES[name], batches(make) if make else ())


def _true_clusters(catalogue: Catalogue, place: Path, progress: Progress) -> npt.NDArray[np.uint32]:
    """By the number of a recording the least row of its tracks, or _ALONE; in a file, since a catalogue's may be 1 GB."""
    size = catalogue.blocks * catalogue.layout.tracks
    least = np.memmap(place / "least", np.uint32, "w+", shape=(size,))
    count = np.memmap(place / "count", np.uint8, "w+", shape=(size,))
    for block in range(catalogue.blocks):
        slots = catalogue.order(block).slots
        recordings = catalogue.recordings(block, slots)
        rows = np.arange(len(slots), dtype=np.uint32) + np.uint32(block * catalogue.layout.tracks)
        is_new = count[recordings] == 0
        least[recordings[is_new][::-1]] = rows[is_new][::-1]  # of several, the last one written stays: the least
        np.add.at(count, recordings, np.uint8(1))
        progress.advance()
    for begin in range(0, size, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        least[part][count[part] < 2] = _ALONE  # noqa: PLR2004 -- two tracks make a cluster
    return least

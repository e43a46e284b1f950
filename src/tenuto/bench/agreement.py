"""How far the clusters of an edition agree with the truth of the generator, pair by pair."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.chance import I64, Bools, Dice
from tenuto.catalogue import Edition
from tenuto.model.errors import UsageError

_TRACKS_AT_ONCE = 5_000_000
"""About so many tracks are looked at; of a larger catalogue a share of the clusters and of the recordings, each whole."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairs of tracks in one cluster that are one recording, as shares of the pairs in one cluster (`precision`) and of the pairs
    of one recording (`recall`); 1 where there are no pairs. One in `every` was looked at.
    """

    precision: float
    recall: float
    every: int


def agreement(edition: Edition, seed: int, tracks: int, tracks_at_once: int = _TRACKS_AT_ONCE) -> Agreement:
    """Of an edition that was built from the first harvest of this catalogue. Raises UsageError where it has another number of
    tracks: then its rows are not the catalogue's.
    """
    if (rows := edition.info.tables["track"].rows) != tracks:
        raise UsageError(f"{edition.folder} has {rows:,} tracks, the catalogue {tracks:,}: it is of another harvest")
    catalogue, every = Catalogue(seed, tracks), -(-tracks // tracks_at_once)
    found = _clusters(edition)
    by_cluster, by_recording = list[I64](), list[I64]()
    for block in range(catalogue.blocks):
        slots = catalogue.order(block).slots
        first = block * catalogue.layout.tracks
        recordings, clusters = catalogue.recordings(block, slots), found[first : first + len(slots)]
        pairs = np.stack([clusters, recordings])
        by_cluster.append(pairs[:, _drawn(clusters, every)])
        by_recording.append(pairs[:, _drawn(recordings, every)])
    precision = _share(np.concatenate(by_cluster, axis=1), 0)
    return Agreement(precision, _share(np.concatenate(by_recording, axis=1), 1), every)


def _clusters(edition: Edition) -> I64:
    """The cluster of each track; one that is alone is its own."""
    columns = [pq.read_table(file, columns=["cluster_row"]).column(0) for file in edition.files("track")]
    known = [pc.fill_null(column.cast("int64"), -1).to_numpy() for column in columns]
    found: I64 = np.concatenate(known)
    return np.where(found < 0, np.arange(len(found)), found)


def _drawn(numbers: I64, every: int) -> Bools:
    """Which of the groups with these numbers are looked at: whole ones."""
    drawn: Bools = Dice(0).bits("looked at", numbers) % np.uint64(every) == 0
    return drawn


def _share(pairs: npt.NDArray[np.int64], axis: int) -> float:
    """The pairs of tracks that agree in both, of those that agree in one."""
    of_one = _pairs(pairs[axis])
    return _pairs((pairs[0] << np.int64(32)) | pairs[1]) / of_one if of_one else 1.0


def _pairs(groups: I64) -> int:
    """How many pairs there are in groups of equal numbers."""
    _, counts = np.unique(groups, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())

"""What happens between two harvests of a generated catalogue: a function of seed, harvest and share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench import figures
from tenuto.bench.catalogue import Catalogue, NewReleases
from tenuto.bench.chance import I64, Bools, Dice
from tenuto.bench.columns import Tracks
from tenuto.bench.identifiers import random_ids

STAYS, POPULARITY, VANISHED, RENAMED = 0, 1, 2, 3
"""What one step does to a track."""

_BOUNDS = np.array([0.55, 0.80])
"""Of the tracks that change, more than half have another popularity, a quarter is gone, a fifth has another id (ours)."""

_NEW_SHARE = 0.25
"""Of the number of tracks that change, so many new ones appear: as many as vanish."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The tracks of a block as a later harvest shows them; `is_there` tells which of them are still there."""

    ids: pa.Array
    popularity: I64
    listens: I64
    is_there: Bools


def kinds(dice: Dice, step: int, share: float, tracks: I64) -> I64:
    """What step `step` (2, 3 …) does to each track, by its number."""
    is_changed = dice.unit(f"change {step}", tracks) < share
    kind = 1 + np.searchsorted(_BOUNDS, dice.unit(f"change {step} kind", tracks), side="right")
    return np.where(is_changed, kind, STAYS)


def after(dice: Dice, shares: Sequence[float], tracks: Tracks) -> Changed:
    """The tracks of a block after the steps 2, 3 …, each with its share of changes."""
    ids, popular, listens = tracks.ids, tracks.popularity, tracks.listens
    is_there = np.ones(len(tracks.numbers), dtype=np.bool_)
    for step, share in enumerate(shares, 2):
        kind = kinds(dice, step, share, tracks.numbers)
        is_there &= kind != VANISHED
        moved = 1 + dice.below(f"change {step} by", tracks.numbers, 5)
        changed = np.where(popular >= 50, popular - moved, popular + moved)  # noqa: PLR2004 -- never out of 0 … 100
        is_moved = kind == POPULARITY
        popular = np.where(is_moved, changed, popular)
        listens = np.where(is_moved, figures.listens(dice, tracks.numbers, popular)[0], listens)
        ids = pc.if_else(pa.array(kind == RENAMED), random_ids(dice, f"track {step}", tracks.numbers), ids)
    return Changed(ids, popular, listens, is_there)


def appeared(catalogue: Catalogue, shares: Sequence[float]) -> list[NewReleases]:
    """The singles that each step added."""
    counts = [round(catalogue.tracks * share * _NEW_SHARE) for share in shares]
    return [NewReleases(catalogue, count, step) for step, count in enumerate(counts, 2) if count]


def planned(catalogue: Catalogue, shares: Sequence[float]) -> dict[str, list[str]]:
    """The ids of tracks by what the last step does to them: `popularity`, `vanished`, `renamed` (old ids), `back` (their
    new ones), `appeared`. Held in memory: for tests and small catalogues.
    """
    found: dict[str, list[str]] = {"popularity": [], "vanished": [], "renamed": [], "back": [], "appeared": []}
    step = len(shares) + 1
    for block in range(catalogue.blocks):
        tracks = catalogue.track_columns(block, catalogue.order(block))
        before = after(catalogue.dice, shares[:-1], tracks)
        now = after(catalogue.dice, shares, tracks)
        kind = np.where(before.is_there, kinds(catalogue.dice, step, shares[-1], tracks.numbers), STAYS)
        for name, wanted, ids in (("popularity", POPULARITY, before.ids), ("vanished", VANISHED, before.ids),
                                  ("renamed", RENAMED, before.ids), ("back", RENAMED, now.ids)):  # fmt: skip
            found[name] += ids.filter(pa.array(kind == wanted)).to_pylist()
    for new in appeared(catalogue, shares):
        for block in range(new.blocks if new.step == step else 0):
            found["appeared"] += new.track_columns(block, new.order(block)).ids.to_pylist()
    return found

"""What is to be generated, and how it is cut into files: values that say all before a byte is written."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.chance import I64, step_through
from tenuto.bench.changes import VANISHED, appeared, kinds
from tenuto.evidence.harvests import MANIFEST_NAME
from tenuto.model.ids import harvest_id, harvest_time
from tenuto.sources.generated import PAGE

STARTED_NAME = "started.json"
BLOCKS_A_FILE = 4
"""About 175,000 tracks and 20 MB a file; small enough that a killed run loses seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be generated; `shares` are those of the changes before harvest 2, 3 …, `on` is the day of this harvest."""

    seed: int
    tracks: int
    shares: tuple[float, ...] = ()
    on: date

    @property
    def harvest(self) -> str:
        """The name of the harvest."""
        return harvest_id(self.at, 0)

    @property
    def at(self) -> datetime:
        """The moment at which every page was answered."""
        return datetime.combine(self.on, time(), UTC)

    def document(self) -> dict[str, str]:
        """What started.json holds."""
        return {"source": f"seed {self.seed}, {self.tracks} tracks", "changes": " ".join(map(repr, self.shares)),
                "started_at": self.at.isoformat(timespec="seconds")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Begun:
    """A harvest that was begun before: its day, the changes up to it, and whether it was finished."""

    on: date
    shares: tuple[float, ...]
    is_finished: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One WARC file: places `[first, last)` in the order of the pages, of the catalogue (step 1) or of what a later step
    added; its number, and how many answers and tracks are in it.
    """

    number: int
    step: int
    first: int
    last: int
    answers: int
    tracks: int


@dataclass(frozen=True, slots=True)
class Totals:
    """How many artists, releases and tracks the pages say that there are."""

    artists: int
    releases: int
    tracks: int


def begun(folder: Path) -> list[Begun]:
    """The generated harvests in an evidence folder, oldest first."""
    found = []
    for file in sorted(folder.glob(f"*/{STARTED_NAME}")):
        shares = tuple(map(float, started(file).get("changes", "").split()))
        day = harvest_time(file.parent.name).date()
        found.append(Begun(day, shares, (file.parent / MANIFEST_NAME).exists()))
    return found


def started(file: Path) -> dict[str, str]:
    """What a started.json says; nothing where it is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def parts_of(wanted: Wanted) -> list[Part]:
    """The files of a harvest, in order."""
    base = catalogue_of(wanted.seed, wanted.tracks)
    parts: list[Part] = []
    for step, catalogue in ((1, base), *((new.step, new) for new in appeared(base, wanted.shares))):
        files = math.ceil(catalogue.blocks / BLOCKS_A_FILE)
        for number in range(files):
            first, last = number * BLOCKS_A_FILE, min(catalogue.blocks, (number + 1) * BLOCKS_A_FILE)
            tracks, pages = 0, _pages(artist_span(catalogue, number, files)) if step == 1 else 0
            for place in range(first, last):
                order = catalogue.order(block_at(catalogue, place))
                tracks += len(order.slots)
                pages += _pages(range(len(order.slots))) + _pages(range(len(order.releases)))
            parts.append(Part(len(parts), step, first, last, pages, tracks))
    return parts


def totals_of(wanted: Wanted) -> Totals:
    """What there is at this harvest."""
    base = catalogue_of(wanted.seed, wanted.tracks)
    new = sum(catalogue.tracks for catalogue in appeared(base, wanted.shares))
    gone = 0
    for block in range(base.blocks if wanted.shares else 0):
        numbers = block * base.layout.tracks + (
            base.order(block).slots if block == base.blocks - 1 else np.arange(base.layout.tracks))  # fmt: skip
        is_gone = np.zeros(len(numbers), dtype=np.bool_)
        for step, share in enumerate(wanted.shares, 2):
            is_gone |= kinds(base.dice, step, share, numbers) == VANISHED
        gone += int(is_gone.sum())
    return Totals(base.artists, base.releases + new, wanted.tracks - gone + new)


def block_at(catalogue: Catalogue, place: int) -> int:
    """Which block stands at a place of the pages; the last one, which may be cut off, stands last."""
    whole = catalogue.blocks - 1
    if place >= whole:
        return place
    return (place * step_through(whole) + catalogue.seed) % whole


def artist_span(catalogue: Catalogue, number: int, files: int) -> range:
    """The artists in a file: whole pages."""
    pages = math.ceil(catalogue.artists / PAGE)
    first, last = (pages * one // files * PAGE for one in (number, number + 1))
    return range(first, min(last, catalogue.artists))


def _pages(items: range | I64) -> int:
    return math.ceil(len(items) / PAGE)


@lru_cache(maxsize=4)
def catalogue_of(seed: int, tracks: int) -> Catalogue:
    """The catalogue of a seed, laid out once."""
    return Catalogue(seed, tracks)

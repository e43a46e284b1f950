"""What a catalogue is asked, drawn from its edition: ids and ISRCs, of which it lacks some, and words as people type them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.bench.chance import Dice
from tenuto.bench.identifiers import random_ids
from tenuto.catalogue.lookup import Catalogue

_ABSENT_EVERY = 10
_COLUMNS = ["track_row", "track_id", "isrc", "title", "popularity"]
_BEGUN_MIN = 3


@dataclass(frozen=True, slots=True)
class Questions:
    """Ids and ISRCs, one in ten of which the edition has not; texts. All in an order by chance."""

    ids: list[str]
    isrcs: list[str]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Times:
    """Of one answer, in ms: by the clock and by the processor."""

    p50_ms: float
    p95_ms: float
    cpu_p95_ms: float


def draw(catalogue: Catalogue, count: int, seed: int = 1) -> Questions:
    """So many of each kind, each from a part of the track table drawn by chance. Texts lean to what is popular (the cube of the
    chance, by popularity within the part) and are, in equal numbers: a title; title and first artist; two words of
    these; two thirds of a title; a title in which two neighbouring letters were swapped.
    """
    chance = random.Random(seed)  # noqa: S311 -- no secret
    files = [pq.ParquetFile(file) for file in catalogue.edition.files("track") if pq.read_metadata(file).num_rows]
    weights = [file.metadata.num_rows for file in files]
    ids, isrcs, texts = list[str](), list[str](), list[str]()
    absent = random_ids(Dice(seed), "absent", np.arange(count)).to_pylist()
    while files and min(len(ids), len(isrcs), len(texts)) < count:
        [file] = chance.choices(files, weights)
        group = file.read_row_group(chance.randrange(file.num_row_groups), _COLUMNS)
        row = group.slice(chance.randrange(group.num_rows), 1).to_pylist()[0]
        ids.append(absent[len(ids) % count] if len(ids) % _ABSENT_EVERY == 0 else row["track_id"])
        if row["isrc"] is not None:
            isrcs.append(f"ZZ{chance.randrange(10**10):010}" if len(isrcs) % _ABSENT_EVERY == 0 else row["isrc"])
        popular = _popular(group, chance)
        if popular["title"]:
            artist = next(iter(catalogue.song(popular["track_row"]).artists), "")
            texts.append(_typed(len(texts), popular["title"], artist, chance))
    return Questions(*(chance.sample(some[:count], min(count, len(some))) for some in (ids, isrcs, texts)))


def _popular(group: pa.Table, chance: random.Random) -> dict[str, Any]:
    known = group.column("popularity").fill_null(0).to_numpy().astype(np.int64)
    order = np.argsort(-known, kind="stable")
    place = int(order[int(chance.random() ** 3 * len(order))])
    found: dict[str, Any] = group.slice(place, 1).to_pylist()[0]
    return found


def _typed(number: int, title: str, artist: str, chance: random.Random) -> str:
    """What somebody types who looks for this track."""
    words = f"{title} {artist}".split()
    place = chance.randrange(max(1, len(title) - 1))
    kinds = (
        title,
        f"{title} {artist}",
        " ".join(chance.sample(words, min(2, len(words)))),
        title[: max(_BEGUN_MIN, len(title) * 2 // 3)],
        title[:place] + title[place + 1 : place + 2] + title[place : place + 1] + title[place + 2 :],
    )
    return kinds[number % len(kinds)]


def timed(asks: Sequence[Callable[[], object]]) -> Times:
    """Every question is asked twice, in turn over all of them; the second time counts: what is read lies in memory then."""
    for ask in asks:
        ask()
    clock, processor = list[float](), list[float]()
    for ask in asks:
        begun, begun_cpu = perf_counter(), thread_time()
        ask()
        processor.append((thread_time() - begun_cpu) * 1e3)
        clock.append((perf_counter() - begun) * 1e3)
    return Times(_percentile(clock, 50), _percentile(clock, 95), _percentile(processor, 95))


def _percentile(values: Sequence[float], share: int) -> float:
    return float(np.percentile(values, share)) if values else 0.0

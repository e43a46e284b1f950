"""How much two tracks speak for being one recording: a weighted sum of title, people and duration, moved by the ISRC.

A contradiction has no score at all (NaN). The weights are our own; what they give is measured in docs/decisions/0012-clusters.md.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

THRESHOLD = 0.85
"""The least score of a link."""
SPAN_MAX_MS = 10_000
"""Longest and shortest track of a cluster are no further apart."""
SPAN_OF_CODES_MAX_MS = 4_000
"""The same for tracks of different ISRCs."""
SAME_LENGTH_MS = 1_000
"""What whole seconds and encoders' padding change about a duration: no evidence against."""
CLASH_MARKS = (3, 12)
"""Bits of `marks` that are not to stand together: clean and explicit, mono and stereo."""

TITLE_WEIGHT, PEOPLE_WEIGHT, DURATION_WEIGHT = 0.5, 0.2, 0.3
TITLE_FLOOR = 0.7
"""Likeness of titles that speaks for nothing: two different titles reach it."""
SHARED_PERSON = 0.9
"""Likeness of people of whom one is the same."""
UNKNOWN_DURATION = 0.4
"""What a missing duration speaks for: alone with title and people it is below the threshold."""
SAME_CODE_DOUBT = 0.25
"""An equal ISRC leaves a quarter of the doubt."""
OTHER_CODES_COST = 0.05
"""Reissues get new ISRCs, so different ones cost little where the durations agree."""
UNSAID_DETAIL_COST = 0.12
""""Live" and "Live at Wembley" may be one recording; with two ISRCs they are not."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Tracks as columns of one length; 0 is "unknown" in all but `row`, `versions` and `marks`. Texts are 64-bit hashes.

    `people` is everybody credited, `person` the first of them, `who` the one by whom the track was looked up.
    """

    row: NDArray[np.uint32]
    duration_ms: NDArray[np.int64]
    isrc: NDArray[np.uint64]
    key: NDArray[np.uint64]
    versions: NDArray[np.uint16]
    detail: NDArray[np.uint64]
    marks: NDArray[np.uint8]
    person: NDArray[np.uint64]
    who: NDArray[np.uint64]
    people: NDArray[np.uint64]

    def __getitem__(self, which: Any) -> Self:
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))


def columns_of(batch: pa.RecordBatch | pa.Table) -> Columns:
    """The columns of the same names, of which none holds a null."""
    arrays = {field.name: batch.column(field.name).to_numpy() for field in fields(Columns)}
    arrays["duration_ms"] = arrays["duration_ms"].astype(np.int64)
    return Columns(**arrays)


def contradicts(a: Columns, b: Columns) -> Bools:
    """What no likeness makes good: another version, opposite marks, lengths too far apart."""
    clash = (a.versions != b.versions) | ((a.detail != b.detail) & (a.detail != 0) & (b.detail != 0))
    marks = a.marks | b.marks
    for bits in CLASH_MARKS:
        clash |= (marks & bits) == bits
    is_other_code = (a.isrc != b.isrc) & (a.isrc != 0) & (b.isrc != 0)
    span_max_ms = np.where(is_other_code, SPAN_OF_CODES_MAX_MS, SPAN_MAX_MS)
    is_known = (a.duration_ms > 0) & (b.duration_ms > 0)
    found: Bools = clash | (is_known & (np.abs(a.duration_ms - b.duration_ms) > span_max_ms))
    return found


def people_likeness(a: Columns, b: Columns) -> Floats:
    """1 for the same people, `SHARED_PERSON` where one's first is looked up in the other, else 0: two may share a guest."""
    is_shared = (a.who == b.who) & (a.who != 0) & ((a.who == a.person) | (b.who == b.person))
    is_same = (a.people == b.people) & (a.people != 0)
    found: Floats = np.where(is_same, 1, np.where(is_shared, SHARED_PERSON, 0)).astype(np.float32)
    return found


def score(a: Columns, b: Columns, title: Floats, people: Floats) -> Floats:
    """The score of pairs (0-1, three decimals; NaN where they contradict one another) from likenesses of title and people (0-1)."""
    span_ms = np.abs(a.duration_ms - b.duration_ms)
    nearness = 1 - np.clip((span_ms - SAME_LENGTH_MS) / (SPAN_MAX_MS - SAME_LENGTH_MS), 0, 1)
    duration = np.where((a.duration_ms > 0) & (b.duration_ms > 0), nearness, UNKNOWN_DURATION)
    alike = np.clip((title - TITLE_FLOOR) / (1 - TITLE_FLOOR), 0, 1)
    found = TITLE_WEIGHT * alike + PEOPLE_WEIGHT * people + DURATION_WEIGHT * duration
    found -= UNSAID_DETAIL_COST * ((a.detail == 0) != (b.detail == 0))
    is_coded = (a.isrc != 0) & (b.isrc != 0)
    found = np.where(is_coded & (a.isrc == b.isrc), 1 - SAME_CODE_DOUBT * (1 - found), found)
    found -= OTHER_CODES_COST * (is_coded & (a.isrc != b.isrc))
    found[contradicts(a, b)] = np.nan
    rounded: Floats = np.round(found, 3).astype(np.float32)
    return rounded

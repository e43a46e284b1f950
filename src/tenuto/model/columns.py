"""Records of one kind as columns, and back: what a connector says, without an object for each record and a step for each value."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from operator import attrgetter, is_not
from typing import Any, NamedTuple

import msgspec

from tenuto.model.records import CreditSeen, Seen, TrackSeen

OF_CREDITS = {"credit_artists": "artist_id", "credit_roles": "role"}
"""A track's credits are two columns of lists."""


class Lists(NamedTuple):
    """A column of lists of texts: how long each is, and the texts of all."""

    counts: Sequence[int]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Columns:
    """`count` records, one after the other; a field that is silent in all of them is left out."""

    record: type[Seen]
    count: int
    values: dict[str, Sequence[Any] | Lists]


def columns_of(record: type[Seen], count: int, values: dict[str, Sequence[Any] | Lists]) -> Columns:
    """Columns without those that are silent."""
    return Columns(record, count, {name: column for name, column in values.items() if _speaks(column)})


def as_columns(records: Iterable[Seen]) -> Iterator[Columns]:
    """Records as columns, each run of one kind."""
    for _, run in groupby(records, type):
        items = list(run)
        record = type(items[0])
        fields = zip(record.__struct_fields__, zip(*map(msgspec.structs.astuple, items), strict=True), strict=True)
        values: dict[str, Sequence[Any] | Lists] = {}
        for name, column in fields:
            if name == "credits":
                counts, flat = [len(one) for one in column], list(chain.from_iterable(column))
                values |= {to: Lists(counts, list(map(attrgetter(of), flat))) for to, of in OF_CREDITS.items()}
            elif isinstance(column[0], tuple):
                values[name] = Lists([len(one) for one in column], list(chain.from_iterable(column)))
            else:
                values[name] = column
        yield columns_of(record, len(items), values)


def as_records(columns: Columns) -> Iterator[Seen]:
    """The records of which these are the columns."""
    values = {name: list(_each(column)) for name, column in columns.values.items()}
    if columns.record is TrackSeen and values.keys() >= OF_CREDITS.keys():
        named = zip(*map(values.pop, OF_CREDITS), strict=True)
        values["credits"] = [
            tuple(CreditSeen(artist_id=artist_id, role=role) for artist_id, role in zip(artists, roles, strict=True))
            for artists, roles in named
        ]
    for row in range(columns.count):
        yield columns.record(**{name: column[row] for name, column in values.items()})


def _speaks(column: Sequence[Any] | Lists) -> bool:
    if isinstance(column, Lists):
        return bool(column.texts)
    return column[0] is not None or any(map(is_not, column, repeat(None)))


def _each(column: Sequence[Any] | Lists) -> Iterator[Any]:
    if not isinstance(column, Lists):
        yield from column
        return
    end = 0
    for count in column.counts:
        yield tuple(column.texts[end : end + count])
        end += count

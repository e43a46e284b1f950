"""Records of connectors as columns: what was seen in which answer, before anything is merged.

A batch of records becomes an Arrow batch, a column at a time. Texts are mended here, once for all connectors; a mended text is a
problem of its record.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa

from tenuto.model.records import (
    ArtistSeen,
    CorrectionSeen,
    LicenceFileSeen,
    ListensSeen,
    OfferSeen,
    ProblemSeen,
    RankSeen,
    ReleaseSeen,
    Seen,
    TrackSeen,
)
from tenuto.model.text import mend

_NAMES = pa.list_(pa.string())
_OFFER = pa.struct(
    [("fetch_id", pa.string()), ("path", pa.string()), ("bytes", pa.uint64()), ("mime", pa.string()),
     ("codec", pa.string()), ("bit_rate_bps", pa.uint32()), ("sample_rate_hz", pa.uint32()),
     ("channels_count", pa.uint16()), ("is_lossless", pa.bool_())]
)  # fmt: skip
_TYPES: dict[str, pa.DataType] = {
    "popularity": pa.uint8(), "followers_count": pa.uint64(), "releases_count": pa.uint32(),
    "tracks_count": pa.uint32(), "disc_number": pa.uint32(), "track_number": pa.uint32(), "duration_ms": pa.uint32(),
    "is_explicit": pa.bool_(), "listens_count": pa.uint64(), "listens_rank": pa.uint32(), "genres": _NAMES,
    "languages": _NAMES, "artist_ids": _NAMES, "credit_artists": _NAMES, "credit_roles": _NAMES, "offer": _OFFER,
    **{field.name: field.type for field in _OFFER if field.type != pa.string()},
}  # fmt: skip
_PLACE = (("record", pa.int32()), ("ordinal", pa.int32()), ("fullness", pa.int32()))
_BATCH_ROWS = 65_536
_IDS = frozenset({"artist_id", "release_id", "track_id", "own_id", "artist_ids", "credit_artists", "path", "fetch_id"})
"""What names things stays to the letter: two files may differ in the normalisation of their names alone."""

_OF_CREDITS = {"credit_artists": "artist_id", "credit_roles": "role"}

KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "artist": (ArtistSeen, ArtistSeen.__struct_fields__),
    "release": (ReleaseSeen, ReleaseSeen.__struct_fields__),
    "track": (TrackSeen, (*(name for name in TrackSeen.__struct_fields__ if name != "credits"), *_OF_CREDITS)),
    "listens": (ListensSeen, ListensSeen.__struct_fields__),
    "rank": (RankSeen, RankSeen.__struct_fields__),
    "licence_file": (LicenceFileSeen, LicenceFileSeen.__struct_fields__),
    "correction": (CorrectionSeen, CorrectionSeen.__struct_fields__),
    "problem": (ProblemSeen, ProblemSeen.__struct_fields__),
}
"""Kind -> the records of which it is, and its columns; the first is the thing's own id."""


def schema_of(kind: str) -> pa.Schema:
    """The columns of a kind: what was seen, the number of the answer (`record`), the place in it, and how much is known."""
    _, names = KINDS[kind]
    return pa.schema([*((name, _TYPES.get(name, pa.string())) for name in names), *_PLACE])


class Rows:
    """Gathers records and hands them on as Arrow batches: `take(kind, batch)`."""

    def __init__(self, take: Callable[[str, pa.RecordBatch], None]) -> None:
        self._take = take
        self._kind_of = {record: kind for kind, (record, _) in KINDS.items()}
        self._pending: dict[str, tuple[list[Any], list[int], list[int]]] = {kind: ([], [], []) for kind in KINDS}

    def add(self, record: int, seen: Iterable[Seen]) -> None:
        """What one answer says; `record` is its number."""
        kind_of, pending = self._kind_of, self._pending
        for ordinal, item in enumerate(seen):
            kind = kind_of.get(type(item))
            if kind is None:
                continue
            items, records, ordinals = pending[kind]
            items.append(item)
            records.append(record)
            ordinals.append(ordinal)
            if len(items) >= _BATCH_ROWS:
                self._pack(kind)

    def close(self) -> None:
        """Hand on what is left; problems last, since packing the others makes some."""
        for kind in sorted(KINDS, key=lambda kind: kind == "problem"):
            if self._pending[kind][0]:
                self._pack(kind)

    def _pack(self, kind: str) -> None:
        (items, records, ordinals), names = self._pending[kind], KINDS[kind][1]
        self._pending[kind] = ([], [], [])
        mended: dict[int, str] = {}
        columns = [_column(name, items, mended) for name in names]
        fullness = np.sum([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=0)
        place = [pa.array(values, pa.int32()) for values in (records, ordinals, fullness)]
        self._take(kind, pa.record_batch([*columns, *place], schema=schema_of(kind)))
        if kind == "problem":
            return
        for row, kept in mended.items():
            subject = str(columns[0][row].as_py())[:200]
            problem = ProblemSeen(code="text-mended", subject=subject, message=f"read as {kept[:200]!r}")
            for values, value in zip(self._pending["problem"], (problem, records[row], ordinals[row]), strict=True):
                values.append(value)


def _column(name: str, items: Sequence[Any], mended: dict[int, str]) -> pa.Array:
    """One field of all records; empty lists are null. `mended` gets the first text of a record that had to be."""
    read = _kept if name in _IDS else _text
    if name in _OF_CREDITS:
        get = attrgetter(_OF_CREDITS[name])
        return _lists([[get(credit) for credit in item.credits] for item in items], read, mended)
    values = list(map(attrgetter(name), items))
    kind = _TYPES.get(name, pa.string())
    if name == "offer":
        return _offers(values, mended)
    if kind == _NAMES:
        return _lists(values, read, mended)
    return pa.array(_texts(values, read, mended) if kind == pa.string() else values, kind)


def _offers(offers: Sequence[OfferSeen | None], mended: dict[int, str]) -> pa.Array:
    is_null = [offer is None for offer in offers]
    if all(is_null):
        return pa.nulls(len(offers), _OFFER)
    none = OfferSeen(fetch_id="")
    some = [none if offer is None else offer for offer in offers]
    columns = [_column(field.name, some, mended) for field in _OFFER]
    return pa.StructArray.from_arrays(columns, fields=list(_OFFER), mask=pa.array(is_null))


def _lists(lists: Sequence[Sequence[str]], read: "_Read", mended: dict[int, str]) -> pa.Array:
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    if not counts.any():
        return pa.nulls(len(lists), _NAMES)
    flat: list[str | None] = list(chain.from_iterable(lists))
    owners = np.repeat(np.arange(len(lists)), counts)
    within: dict[int, str] = {}
    values = pa.array(_texts(flat, read, within), pa.string())
    for place, kept in within.items():
        mended.setdefault(int(owners[place]), kept)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(counts == 0))


_Read = Callable[[str, Callable[[str], None]], str]
"""Takes a text as its column holds it, and notes where it had to be mended."""


def _texts(values: list[str | None], read: _Read, mended: dict[int, str]) -> list[str | None]:
    """The texts of a column; only those that are not plain ASCII cost more than a look."""
    odd = [
        row
        for row, value in enumerate(values)
        if value is not None and not (value.isascii() and value.isprintable() and value[:1] != " " != value[-1:])
    ]
    for row in odd:
        values[row] = read(values[row], lambda kept, row=row: mended.setdefault(row, kept))  # type: ignore[arg-type, misc]
    return values


def _kept(text: str, note: Callable[[str], None]) -> str:
    """An id or path to the letter; lone surrogates, which no table can hold, are written out."""
    if text.isascii():
        return text
    kept = text.encode("utf-8", "backslashreplace").decode()
    if kept != text:
        note(kept)
    return kept


def _text(text: str, note: Callable[[str], None]) -> str:
    if text.isascii() and text.isprintable():
        return text.strip()
    kept, is_mended = mend(text)
    if is_mended:
        note(kept)
    return kept

"""Records of connectors as columns: what was seen in which answer, before anything is merged.

A batch of records becomes an Arrow batch, a column at a time. Texts are mended here, once for all connectors; a mended text is a
problem of its record.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby
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
_READ_MAX_BYTES = 2**28
_SPACE, _TILDE = np.uint8(0x20), np.uint8(0x7E)
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
        self._record, self._ordinal, self._read_bytes = -1, 0, 0
        self._pending: dict[str, tuple[list[Any], list[int], list[int]]] = {kind: ([], [], []) for kind in KINDS}

    def add(self, record: int, seen: Iterable[Seen]) -> None:
        """What one answer says, or the next of it; `record` is its number."""
        if record != self._record:
            self._record, self._ordinal = record, 0
        for type_, run in groupby(seen, type):
            found = list(run)
            items, records, ordinals = self._pending[kind := self._kind_of[type_]]
            items += found
            records += [record] * len(found)
            ordinals += range(self._ordinal, self._ordinal + len(found))
            self._ordinal += len(found)
            if len(items) >= _BATCH_ROWS:
                self._pack(kind)

    def came_from(self, size_bytes: int) -> None:
        """So many bytes of an answer were read: what much was read from is handed on early, so that memory is bounded."""
        self._read_bytes += size_bytes
        if self._read_bytes > _READ_MAX_BYTES:
            self.close()

    def close(self) -> None:
        """Hand on what is left; problems last, since packing the others makes some."""
        self._read_bytes = 0
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
        of_items = list(map(attrgetter("credits"), items))
        flat = list(map(attrgetter(_OF_CREDITS[name]), chain.from_iterable(of_items)))
        return _lists(of_items, flat, read, mended)
    values = list(map(attrgetter(name), items))
    kind = _TYPES.get(name, pa.string())
    if name == "offer":
        return _offers(values, mended)
    if kind == _NAMES:
        return _lists(values, list(chain.from_iterable(values)), read, mended)
    return _texts(values, read, mended) if kind == pa.string() else pa.array(values, kind)


def _offers(offers: Sequence[OfferSeen | None], mended: dict[int, str]) -> pa.Array:
    is_null = [offer is None for offer in offers]
    if all(is_null):
        return pa.nulls(len(offers), _OFFER)
    none = OfferSeen(fetch_id="")
    some = [none if offer is None else offer for offer in offers]
    columns = [_column(field.name, some, mended) for field in _OFFER]
    return pa.StructArray.from_arrays(columns, fields=list(_OFFER), mask=pa.array(is_null))


def _lists(lists: Sequence[Sequence[Any]], flat: list[str | None], read: "_Read", mended: dict[int, str]) -> pa.Array:
    """Lists of texts, which `flat` has one after the other."""
    if not flat:
        return pa.nulls(len(lists), _NAMES)
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    within: dict[int, str] = {}
    values = _texts(flat, read, within)
    if within:
        owners = np.repeat(np.arange(len(lists)), counts)
        for place, kept in within.items():
            mended.setdefault(int(owners[place]), kept)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(counts == 0))


_Read = Callable[[str, Callable[[str], None]], str]
"""Takes a text as its column holds it, and notes where it had to be mended."""


def _texts(values: list[str | None], read: _Read, mended: dict[int, str]) -> pa.Array:
    """The texts of a column; those that are plain ASCII, most, cost a look at their bytes."""
    odd: Iterable[int]
    try:
        array = pa.array(values, pa.string())
        odd = _odd(array)
    except (UnicodeEncodeError, pa.ArrowException):  # a lone surrogate, or more than Arrow has room for
        odd = range(len(values))
    is_same = True
    for row in odd:
        text = values[row]
        if text is None:
            continue
        kept = read(text, lambda kept, row=row: mended.setdefault(row, kept))  # type: ignore[arg-type, misc]
        if kept is not text:
            values[row], is_same = kept, False
    return array if is_same else pa.array(values, pa.string())


def _odd(array: pa.Array) -> "list[int]":
    """The rows whose text has another byte than printable ASCII, or begins or ends with a space."""
    _, offsets_, content = array.buffers()
    if content is None or not content.size:
        return []
    offsets = np.frombuffer(offsets_, np.int32)[array.offset : array.offset + len(array) + 1]
    held = np.frombuffer(content, np.uint8)
    begins, ends = offsets[:-1], offsets[1:]
    is_full = ends > begins
    odd = np.zeros(len(array), bool)
    odd[is_full] = (held[begins[is_full]] == _SPACE) | (held[ends[is_full] - 1] == _SPACE)
    foreign = np.flatnonzero(
        (held[: offsets[-1]] - _SPACE) > _TILDE - _SPACE
    )  # uint8: what is below the space wraps round
    odd[np.searchsorted(ends, foreign, "right")] = True
    rows: list[int] = np.flatnonzero(odd).tolist()
    return rows


def _kept(text: str, note: Callable[[str], None]) -> str:
    """An id or path to the letter; lone surrogates, which no table can hold, are written out."""
    if text.isascii():
        return text
    kept = text.encode("utf-8", "backslashreplace").decode()
    if kept != text:
        note(kept)
    return kept


def _text(text: str, note: Callable[[str], None]) -> str:
    kept, is_mended = mend(text)
    if is_mended:
        note(kept)
    return kept

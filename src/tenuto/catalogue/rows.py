"""What connectors see, as Arrow tables: what was seen in which answer, before anything is merged.

Columns become Arrow arrays as they are. Texts are mended here, once for all connectors; a mended text is a
problem of its record.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from tenuto.model.columns import OF_CREDITS, Columns, Lists, as_columns, as_records
from tenuto.model.records import (
    ArtistSeen,
    CorrectionSeen,
    LicenceFileSeen,
    ListensSeen,
    MarketSetSeen,
    OfferSeen,
    ProblemSeen,
    RankSeen,
    ReleaseSeen,
    TrackSeen,
)
from tenuto.model.text import TEXT_MAX, is_clean, mend

_NAMES = pa.list_(pa.string())
_OFFER = pa.struct(
    [("fetch_id", pa.string()), ("path", pa.string()), ("bytes", pa.uint64()), ("mime", pa.string()),
     ("codec", pa.string()), ("bit_rate_bps", pa.uint32()), ("sample_rate_hz", pa.uint32()),
     ("channels_count", pa.uint16()), ("is_lossless", pa.bool_())]
)  # fmt: skip
_TYPES: dict[str, pa.DataType] = {
    "popularity": pa.uint8(), "followers_count": pa.uint64(), "releases_count": pa.uint32(),
    "tracks_count": pa.uint32(), "disc_number": pa.uint32(), "track_number": pa.uint32(), "duration_ms": pa.uint32(),
    "is_explicit": pa.bool_(), "market_set_id": pa.uint64(), "listens_count": pa.uint64(), "listens_rank": pa.uint32(),
    "genres": _NAMES,
    "languages": _NAMES, "artist_ids": _NAMES, "credit_artists": _NAMES, "credit_roles": _NAMES, "offer": _OFFER,
    **{field.name: field.type for field in _OFFER if field.type != pa.string()},
}  # fmt: skip
_PLACE = (("record", pa.int32()), ("ordinal", pa.int32()), ("fullness", pa.int32()))
_BATCH_ROWS, _GROUP_ROWS = 2_048, 65_536
"""Rows that are packed while the processor has them at hand, and that are handed on."""

_READ_MAX_BYTES = 2**26
"""Of answers; what is made of these has room in an Arrow array (2 GiB), mended texts of thrice the bytes included."""

_MARKET_SETS_MAX = 65_536
_RUN = 64
"""Texts that are looked at together: mostly none of them has to be mended."""

_SPACE, _TILDE = np.uint8(0x20), np.uint8(0x7E)
_IDS = frozenset({"artist_id", "release_id", "track_id", "own_id", "artist_ids", "credit_artists", "path", "fetch_id"})
"""What names things stays to the letter: two files may differ in the normalisation of their names alone."""

KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "artist": (ArtistSeen, ArtistSeen.__struct_fields__),
    "release": (ReleaseSeen, ReleaseSeen.__struct_fields__),
    "track": (TrackSeen, (*(name for name in TrackSeen.__struct_fields__ if name != "credits"), *OF_CREDITS)),
    "market_set": (MarketSetSeen, MarketSetSeen.__struct_fields__),
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
    """Gathers what is seen and hands it on as Arrow tables: `take(kind, table)`."""

    def __init__(self, take: Callable[[str, pa.Table], None]) -> None:
        self._take = take
        self._kind_of = {record: kind for kind, (record, _) in KINDS.items()}
        self._record, self._ordinal, self._read_bytes = -1, 0, 0
        self._pending = {kind: _Pending() for kind in KINDS}
        self._packed: dict[str, list[pa.Table]] = {kind: [] for kind in KINDS}
        self._market_sets: set[int] = set()

    def add(self, record: int, columns: Columns) -> None:
        """What one answer says, or the next of it; `record` is its number."""
        if record != self._record:
            self._record, self._ordinal = record, 0
        first, self._ordinal = self._ordinal, self._ordinal + columns.count
        if columns.record is MarketSetSeen:
            columns = self._new_market_sets(columns)
        if not columns.count:
            return
        pending = self._pending[kind := self._kind_of[columns.record]]
        pending.add(record, first, columns)
        if pending.count >= _BATCH_ROWS:
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
            if self._pending[kind].count:
                self._pack(kind)
            self._hand_on(kind)

    def _new_market_sets(self, columns: Columns) -> Columns:
        """Those that were not seen before: a set is the same wherever it is named, and most pages name the same."""
        ids: Any = columns.values["market_set_id"]
        if self._market_sets.issuperset(ids):
            return Columns(MarketSetSeen, 0, {})
        if len(self._market_sets) > _MARKET_SETS_MAX:
            self._market_sets.clear()
        seen = [one for one in as_records(columns) if isinstance(one, MarketSetSeen)]
        new = [one for one in seen if one.market_set_id not in self._market_sets]
        self._market_sets.update(one.market_set_id for one in new)
        return next(as_columns(new), Columns(MarketSetSeen, 0, {}))

    def _pack(self, kind: str) -> None:
        """Pack what is pending while the processor still has it at hand."""
        pending, self._pending[kind] = self._pending[kind], _Pending()
        names, mended = KINDS[kind][1], dict[int, str]()
        columns = [_column(name, pending, mended) for name in names]
        place = [pa.array(numbers, pa.int32()) for numbers in (*pending.places(), _known_counts(columns))]
        self._packed[kind].append(pa.table([*columns, *place], schema=schema_of(kind)))
        if sum(table.num_rows for table in self._packed[kind]) >= _GROUP_ROWS:
            self._hand_on(kind)
        if kind == "problem":
            return
        for row, kept in mended.items():
            subject = str(columns[0][row].as_py())[:200]
            problem = ProblemSeen(code="text-mended", subject=subject, message=f"read as {kept[:200]!r}")
            [columns_] = as_columns([problem])
            self._pending["problem"].add(place[0][row].as_py(), place[1][row].as_py(), columns_)

    def _hand_on(self, kind: str) -> None:
        if self._packed[kind]:
            self._take(kind, pa.concat_tables(self._packed[kind]))
            self._packed[kind] = []


class _Pending:
    """Columns of one kind that are not packed yet."""

    def __init__(self) -> None:
        self.count = 0
        self._given: dict[str, list[tuple[int, Sequence[Any] | Lists]]] = {}
        self._runs: list[tuple[int, int, int]] = []

    def add(self, record: int, ordinal: int, columns: Columns) -> None:
        """The next, which stand in the answer of this number from a place on."""
        for name, column in columns.values.items():
            self._given.setdefault(name, []).append((self.count, column))
        self._runs.append((record, ordinal, columns.count))
        self.count += columns.count

    def places(self) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
        """Of each row the number of its answer, and its place there."""
        records, ordinals, counts = np.array(self._runs, np.int64).T
        begins = np.cumsum(counts) - counts
        return np.repeat(records, counts), np.arange(self.count) + np.repeat(ordinals - begins, counts)

    def values(self, name: str) -> list[Any]:
        """A field of all rows."""
        return _joined(self._given.get(name, ()), self.count, None)

    def lists(self, name: str) -> Lists:
        """A field of all rows that is a list of texts."""
        given: Any = self._given.get(name, ())
        counts = _joined([(start, lists.counts) for start, lists in given], self.count, 0)
        return Lists(counts, list(chain.from_iterable(lists.texts for _, lists in given)))

    def is_silent(self, name: str) -> bool:
        """Whether no row has this field."""
        return name not in self._given


def _joined(parts: Iterable[tuple[int, Any]], count: int, silence: int | None) -> list[Any]:
    """Values of `count` rows, of which each part begins at a row; what no part gives is silent."""
    values: list[Any] = []
    for start, part in parts:
        values += [silence] * (start - len(values))
        values += part
    return values + [silence] * (count - len(values))


def _known_counts(columns: Sequence[pa.Array]) -> "np.ndarray[Any, Any]":
    """How many values of each row are known."""
    partly = [column for column in columns if 0 < column.null_count < len(column)]
    whole = sum(not column.null_count for column in columns)
    known = np.full(len(columns[0]), whole, np.int32)
    for column in partly:
        known += np.asarray(column.is_valid())
    return known


def _column(name: str, pending: _Pending, mended: dict[int, str]) -> pa.Array:
    """One field of all records; empty lists are null. `mended` gets the first text of a record that had to be."""
    kind = _TYPES.get(name, pa.string())
    if pending.is_silent(name):
        return pa.nulls(pending.count, kind)
    if kind == _NAMES:
        return _lists(pending.lists(name), _reader(name), mended)
    if name == "offer":
        return _offers(pending.values(name), mended)
    return _plain(name, pending.values(name), mended)


def _plain(name: str, values: list[Any], mended: dict[int, str]) -> pa.Array:
    kind = _TYPES.get(name, pa.string())
    return _texts(values, _reader(name), mended) if kind == pa.string() else pa.array(values, kind)


def _offers(offers: Sequence[OfferSeen | None], mended: dict[int, str]) -> pa.Array:
    none = OfferSeen(fetch_id="")
    some = [none if offer is None else offer for offer in offers]
    columns = [_plain(field.name, [getattr(one, field.name) for one in some], mended) for field in _OFFER]
    is_null = pa.array([offer is None for offer in offers])
    return pa.StructArray.from_arrays(columns, fields=list(_OFFER), mask=is_null)


def _lists(lists: Lists, read: "_Read", mended: dict[int, str]) -> pa.Array:
    counts = np.array(lists.counts, np.int64)
    within: dict[int, str] = {}
    values = _texts(list(lists.texts), read, within)
    if within:
        owners = np.repeat(np.arange(len(counts)), counts)
        for place, kept in within.items():
            mended.setdefault(int(owners[place]), kept)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(counts == 0))


def _reader(name: str) -> "_Read":
    return _kept if name in _IDS else _text


_Read = Callable[[str, Callable[[str], None]], str]
"""Takes a text as its column holds it, and notes where it had to be mended."""


def _texts(values: list[str | None], read: _Read, mended: dict[int, str]) -> pa.Array:
    """The texts of a column; those that are plain ASCII, most, cost a look at their bytes."""
    array, odd = None, list(range(len(values)))
    with suppress(UnicodeEncodeError):  # a lone surrogate
        array = pa.array(values, pa.string())
        odd = [] if read is _kept else _odd(array)
    for begin in range(0, len(odd), _RUN):
        rows = [row for row in odd[begin : begin + _RUN] if values[row] is not None]
        if is_clean([values[row] or "" for row in rows]):
            continue
        for row in rows:
            text = values[row] or ""
            kept = read(text, lambda kept, row=row: mended.setdefault(row, kept))  # type: ignore[arg-type, misc]
            if kept is not text:
                values[row], array = kept, None
    return pa.array(values, pa.string()) if array is None else array


def _odd(array: pa.Array) -> "list[int]":
    """The rows whose text has another byte than printable ASCII, begins or ends with a space, or is long."""
    _, offsets_, content = array.buffers()
    if content is None or not content.size:
        return []
    offsets = np.frombuffer(offsets_, np.int32)[array.offset : array.offset + len(array) + 1]
    held = np.frombuffer(content, np.uint8)
    begins, ends = offsets[:-1], offsets[1:]
    is_full = ends > begins
    odd = ends - begins > TEXT_MAX
    odd[is_full] |= (held[begins[is_full]] == _SPACE) | (held[ends[is_full] - 1] == _SPACE)
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

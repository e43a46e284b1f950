"""Records of connectors as columns: what was seen, by whom and when, before it is merged.

One Arrow table for each kind of record. Texts are mended here, once for all connectors; a mended text is a finding.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import pyarrow as pa

from tenuto.catalogue.evidence import Effective, Sighting
from tenuto.model.findings import Finding
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
_STAMP = (
    ("source", pa.string()), ("newest", pa.int32()), ("is_live", pa.bool_()), ("first_seen", pa.date32()),
    ("last_seen", pa.date32()), ("evidence_id", pa.uint64()),
)  # fmt: skip
_PLACE = (("sighting", pa.int32()), ("fullness", pa.int32()), ("ordinal", pa.int32()))
_BATCH_ROWS = 50_000
_IDS = frozenset({"artist_id", "release_id", "track_id", "own_id", "artist_ids", "credit_artists", "path", "fetch_id"})
"""What names things stays to the letter: two files may differ in the normalisation of their names alone."""

KINDS: dict[type, tuple[str, ...]] = {
    ArtistSeen: ArtistSeen.__struct_fields__,
    ReleaseSeen: ReleaseSeen.__struct_fields__,
    TrackSeen: (*(name for name in TrackSeen.__struct_fields__ if name != "credits"), "credit_artists", "credit_roles"),
    ListensSeen: ListensSeen.__struct_fields__,
    RankSeen: RankSeen.__struct_fields__,
    LicenceFileSeen: LicenceFileSeen.__struct_fields__,
    CorrectionSeen: CorrectionSeen.__struct_fields__,
}


class _Batches:
    """Records of one kind: those of late as lists, one a column, the others as Arrow already.

    Of a record's stamp only the number of its sighting is kept: sightings go on changing while evidence is read.
    """

    def __init__(self, kind: type) -> None:
        self._readers = [_reader(name) for name in KINDS[kind]]
        self._schema = pa.schema([*((name, _TYPES.get(name, pa.string())) for name in KINDS[kind]), *_PLACE])
        self._batches: list[pa.RecordBatch] = []
        self._pending: list[list[Any]] = [[] for _ in self._schema]

    def add(self, item: Seen, sighting: int, ordinal: int, note: Callable[[str], None]) -> Any:
        """Take over one record; returns its id."""
        values = [read(item, note) for read in self._readers]
        own_id = values[0]
        values += (sighting, len(values) - values.count(None), ordinal)
        for column, value in zip(self._pending, values, strict=True):
            column.append(value)
        if len(self._pending[0]) >= _BATCH_ROWS:
            self._pack()
        return own_id

    def table(self) -> pa.Table:
        """All that was added."""
        self._pack()
        return pa.Table.from_batches(self._batches, self._schema)

    def _pack(self) -> None:
        arrays = [pa.array(column, field.type) for column, field in zip(self._pending, self._schema, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        for column in self._pending:
            column.clear()


class Rows:
    """Gathers records; `table` gives those of one kind once all evidence was read."""

    def __init__(self) -> None:
        self._batches = {kind: _Batches(kind) for kind in KINDS}
        self._sightings: list[tuple[str, Sighting]] = []
        self._problems: list[tuple[str, Sighting, str, str, str]] = []

    def add(self, effective: Effective, seen: Iterable[Seen]) -> None:
        """Take over what one answer said."""
        self._sightings.append((effective.source, effective.sighting))
        for ordinal, item in enumerate(seen):
            if isinstance(item, ProblemSeen):
                self._problem(effective, item.code, item.subject, item.message)
            elif type(item) in KINDS:
                self._record(effective, item, ordinal)

    def findings(self) -> list[Finding]:
        """What was wrong with answers that still hold."""
        return [
            Finding(code=code, subject=subject, message=message, source=source, evidence_id=sighting.evidence_id)
            for source, sighting, code, subject, message in self._problems
            if sighting.is_live
        ]

    def table(self, kind: type) -> pa.Table:
        """All records of a kind, with the stamp of their evidence."""
        records = self._batches[kind].table()
        stamps = pa.table(
            {
                name: pa.array(
                    [source if name == "source" else getattr(sighting, name) for source, sighting in self._sightings],
                    type_,
                )
                for name, type_ in _STAMP
            }
        )
        stamped = stamps.take(records.column("sighting"))
        for name, _ in _STAMP:
            records = records.append_column(name, stamped.column(name))
        return records.drop_columns("sighting")

    def _record(self, effective: Effective, item: Seen, ordinal: int) -> None:
        mended: list[str] = []
        own_id = self._batches[type(item)].add(item, len(self._sightings) - 1, ordinal, mended.append)
        if mended:
            self._problem(effective, "text-mended", str(own_id)[:200], f"read as {mended[0][:200]!r}")

    def _problem(self, effective: Effective, code: str, subject: str, message: str) -> None:
        self._problems.append((effective.source, effective.sighting, code, mend(subject)[0], mend(message)[0]))


_Reader = Callable[[Any, Callable[[str], None]], Any]
"""Takes one value out of a record as its column holds it: empty lists are None, texts are mended and noted."""


def _reader(name: str) -> _Reader:
    if name in _OF_CREDITS:
        field, read = _OF_CREDITS[name]
        return lambda item, note: [read(getattr(credit, field), note) for credit in item.credits] or None
    get = attrgetter(name)
    if name == "offer":
        return lambda item, note: _offer(get(item), note)
    if _TYPES.get(name) == _NAMES:
        read = _identity if name in _IDS else _text
        return lambda item, note: [read(part, note) for part in get(item)] or None
    if name in _TYPES:
        return lambda item, _note: get(item)
    return _text_reader(get, _identity if name in _IDS else _text)


def _text_reader(get: Callable[[Any], Any], read: Callable[[str, Callable[[str], None]], str]) -> _Reader:
    def taken(item: Any, note: Callable[[str], None]) -> str | None:
        value = get(item)
        return None if value is None else read(value, note)

    return taken


def _offer(offer: OfferSeen | None, note: Callable[[str], None]) -> dict[str, Any] | None:
    return None if offer is None else {name: read(offer, note) for name, read in _OFFER_READERS}


def _identity(text: str, note: Callable[[str], None]) -> str:
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


_OF_CREDITS = {"credit_artists": ("artist_id", _identity), "credit_roles": ("role", _text)}
_OFFER_READERS = [(name, _reader(name)) for name in OfferSeen.__struct_fields__]

"""Records of connectors as columns: what was seen, by whom and when, before it is merged.

One Arrow table for each kind of record. Texts are mended here, once for all connectors; a mended text is a finding.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import fields
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
}  # fmt: skip
_STAMP = (
    ("source", pa.string()), ("newest", pa.int32()), ("is_live", pa.bool_()), ("first_seen", pa.date32()),
    ("last_seen", pa.date32()), ("fullness", pa.int32()), ("evidence_id", pa.uint64()),
)  # fmt: skip
KINDS: dict[type, tuple[str, ...]] = {
    ArtistSeen: tuple(field.name for field in fields(ArtistSeen)),
    ReleaseSeen: tuple(field.name for field in fields(ReleaseSeen)),
    TrackSeen: (*(f.name for f in fields(TrackSeen) if f.name != "credits"), "credit_artists", "credit_roles"),
    ListensSeen: tuple(field.name for field in fields(ListensSeen)),
    RankSeen: tuple(field.name for field in fields(RankSeen)),
    LicenceFileSeen: tuple(field.name for field in fields(LicenceFileSeen)),
    CorrectionSeen: tuple(field.name for field in fields(CorrectionSeen)),
}


class Rows:
    """Gathers records; `table` gives those of one kind once all evidence was read."""

    def __init__(self) -> None:
        self._values: dict[type, list[tuple[Any, ...]]] = defaultdict(list)
        self._stamps: dict[type, list[tuple[str, Sighting, int]]] = defaultdict(list)
        self._problems: list[tuple[str, Sighting, str, str, str]] = []

    def add(self, effective: Effective, seen: Iterable[Seen]) -> None:
        """Take over what one answer said."""
        for item in seen:
            if isinstance(item, ProblemSeen):
                self._problem(effective, item.code, item.subject, item.message)
            elif type(item) in KINDS:
                self._record(effective, item)

    def findings(self) -> list[Finding]:
        """What was wrong with answers that still hold."""
        return [
            Finding(code=code, subject=subject, message=message, source=source, evidence_id=sighting.evidence_id)
            for source, sighting, code, subject, message in self._problems
            if sighting.is_live
        ]

    def table(self, kind: type) -> pa.Table:
        """All records of a kind, with the stamp of their evidence."""
        names = KINDS[kind]
        columns = list(zip(*self._values[kind], strict=True)) or [()] * len(names)
        arrays = [pa.array(column, _TYPES.get(name, pa.string())) for name, column in zip(names, columns, strict=True)]
        stamps = [
            (
                source,
                sighting.newest,
                sighting.is_live,
                sighting.first_seen,
                sighting.last_seen,
                fullness,
                sighting.evidence_id,
            )
            for source, sighting, fullness in self._stamps[kind]
        ]
        stamped = list(zip(*stamps, strict=True)) or [()] * len(_STAMP)
        arrays += [pa.array(column, type_) for (_, type_), column in zip(_STAMP, stamped, strict=True)]
        return pa.table(arrays, names=[*names, *(name for name, _ in _STAMP)])

    def _record(self, effective: Effective, item: Seen) -> None:
        mended: list[str] = []
        values = tuple(_column(item, name, mended.append) for name in KINDS[type(item)])
        self._values[type(item)].append(values)
        fullness = sum(value is not None for value in values)
        self._stamps[type(item)].append((effective.source, effective.sighting, fullness))
        if mended:
            self._problem(effective, "text-mended", str(values[0])[:200], f"read as {mended[0][:200]!r}")

    def _problem(self, effective: Effective, code: str, subject: str, message: str) -> None:
        self._problems.append((effective.source, effective.sighting, code, mend(subject)[0], mend(message)[0]))


def _column(item: Any, name: str, note: Callable[[str], None]) -> Any:
    """One value of a record as its column holds it: empty lists are None, texts are mended and noted."""
    if name == "credit_artists":
        return [_text(credit.artist_id, note) for credit in item.credits] or None
    if name == "credit_roles":
        return [_text(credit.role, note) for credit in item.credits] or None
    value = getattr(item, name)
    if isinstance(value, str):
        return _text(value, note)
    if isinstance(value, tuple):
        return [_text(part, note) for part in value] or None
    if isinstance(value, OfferSeen):
        return {field.name: _plain(getattr(value, field.name), note) for field in fields(OfferSeen)}
    return value


def _plain(value: Any, note: Callable[[str], None]) -> Any:
    return _text(value, note) if isinstance(value, str) else value


def _text(text: str, note: Callable[[str], None]) -> str:
    if text.isascii() and text.isprintable():
        return text.strip()
    kept, is_mended = mend(text)
    if is_mended:
        note(kept)
    return kept

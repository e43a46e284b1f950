"""The tables of an edition: names, columns, types, order (docs/format.md, Catalogue).

`*_row` is a row number in the named table; a source's own ids stand once, in the table of the thing itself.
"""

import pyarrow as pa

_DATE = pa.date32()
_NAMES = pa.list_(pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


ARTIST = _schema(
    artist_row=pa.uint32(), source=pa.string(), artist_id=pa.string(), name=pa.string(), sort_name=pa.string(),
    genres=_NAMES, popularity=pa.uint8(), followers_count=pa.uint64(), releases_count=pa.uint32(),
    artist_id_musicbrainz=pa.string(), isni=pa.string(), evidence_id=pa.uint64(),
)  # fmt: skip
RELEASE = _schema(
    release_row=pa.uint32(), source=pa.string(), release_id=pa.string(), title=pa.string(), release_type=pa.string(),
    label=pa.string(), upc=pa.string(), release_date=_DATE, release_date_precision=pa.string(),
    copyright_c=pa.string(), copyright_p=pa.string(), popularity=pa.uint8(), tracks_count=pa.uint32(), genres=_NAMES,
    release_id_musicbrainz=pa.string(), artist_rows=pa.list_(pa.uint32()), evidence_id=pa.uint64(),
)  # fmt: skip
TRACK = _schema(
    track_row=pa.uint32(), source=pa.string(), track_id=pa.string(), title=pa.string(), release_row=pa.uint32(),
    disc_number=pa.uint32(), track_number=pa.uint32(), duration_ms=pa.uint32(), is_explicit=pa.bool_(),
    isrc=pa.string(), recording_id_musicbrainz=pa.string(), popularity=pa.uint8(), listens_count=pa.uint64(),
    listens_scope=pa.string(), listens_on=_DATE, listens_rank=pa.uint32(), genres=_NAMES, languages=_NAMES,
    licence=pa.string(), licence_url=pa.string(), statement_rows=pa.list_(pa.uint32()), cluster_row=pa.uint32(),
    evidence_id=pa.uint64(),
)  # fmt: skip
LINK = _schema(track_row=pa.uint32(), reason=pa.string(), score=pa.float32())
CREDIT = _schema(track_row=pa.uint32(), position=pa.uint16(), artist_row=pa.uint32(), role=pa.string())
OFFER = _schema(
    track_row=pa.uint32(), fetch_id=pa.string(), path=pa.string(), bytes=pa.uint64(), mime=pa.string(),
    codec=pa.string(), bit_rate_bps=pa.uint32(), sample_rate_hz=pa.uint32(), channels_count=pa.uint16(),
    is_lossless=pa.bool_(),
)  # fmt: skip
MARKET_SET = _schema(market_set_row=pa.uint32(), markets=_NAMES)
AVAILABILITY = _schema(track_row=pa.uint32(), market_set_row=pa.uint32())
STATEMENT = _schema(
    statement_row=pa.uint32(), basis=pa.string(), licence=pa.string(), licence_text=pa.string(),
    licence_url=pa.string(), may_keep=pa.bool_(), may_give_out=pa.bool_(), may_mine=pa.bool_(), territories=_NAMES,
    valid_until=_DATE, attribution=pa.string(), evidence_id=pa.uint64(),
)  # fmt: skip
HISTORY = _schema(
    track_row=pa.uint32(), seen_on=_DATE, popularity=pa.uint8(), listens_count=pa.uint64(), listens_scope=pa.string(),
    is_available=pa.bool_(),
)  # fmt: skip
TOMBSTONE = _schema(
    source=pa.string(), kind=pa.string(), own_id=pa.string(), title=pa.string(), reason=pa.string(),
    successor_id=pa.string(), first_seen_on=_DATE, last_seen_on=_DATE, evidence_id=pa.uint64(),
)  # fmt: skip
CORRECTION = _schema(
    source=pa.string(), kind=pa.string(), own_id=pa.string(), field=pa.string(), value=pa.string(),
    reason=pa.string(), corrected_by=pa.string(), evidence_id=pa.uint64(),
)  # fmt: skip
DESCRIPTION = _schema(
    kind=pa.string(), row_number=pa.uint32(), source=pa.string(), own_id=pa.string(), matched_by=pa.string(),
    evidence_id=pa.uint64(),
)  # fmt: skip
FINDING = _schema(
    code=pa.string(), source=pa.string(), subject=pa.string(), message=pa.string(), evidence_id=pa.uint64(),
)  # fmt: skip

TABLES = {
    "artist": ARTIST, "release": RELEASE, "track": TRACK, "link": LINK, "credit": CREDIT, "offer": OFFER, "market_set": MARKET_SET,
    "availability": AVAILABILITY, "statement": STATEMENT,
    "history": HISTORY, "tombstone": TOMBSTONE, "correction": CORRECTION, "description": DESCRIPTION, "finding": FINDING,
}  # fmt: skip
"""Every table of an edition."""

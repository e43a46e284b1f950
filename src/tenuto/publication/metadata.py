"""Crates of metadata: an edition as it may be given out, without any path of a source, sealed like recordings are."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.catalogue import Edition
from tenuto.catalogue.edition import refuse_damaged
from tenuto.crates import compose
from tenuto.crates.reader import WITHDRAWN_NAME
from tenuto.crates.seal import Item, item, lay_out, seal, torrent_beside
from tenuto.crates.tables import encode_table
from tenuto.model.ids import track_key
from tenuto.sources import READS_FILES

KIND = "metadata"
_GIVEN_OUT = (
    "artist",
    "release",
    "track",
    "link",
    "credit",
    "offer",
    "market_set",
    "availability",
    "statement",
    "history",
    "tombstone",
    "correction",
    "description",
)
"""Findings are for the operator: their words hold paths."""

_IDS = {
    "artist": ("artist_id",),
    "release": ("release_id",),
    "track": ("track_id",),
    "tombstone": ("own_id", "successor_id"),
    "correction": ("own_id",),
    "description": ("own_id",),
}
_PATHS = ("fetch_id", "path")
OPAQUE = "key:"
"""What stands before the digest of an id that was a path."""


def metadata_crate(layout: Layout, settings: Settings, edition: Edition) -> Path:
    """The crate of an edition's metadata, sealed if it is not there yet."""
    path = layout.crates / metadata_name(settings, edition)
    if not (path.is_file() and torrent_beside(path).is_file()):
        seal_metadata(path, settings, edition)
    return path


def metadata_name(settings: Settings, edition: Edition) -> str:
    """The file name of an edition's metadata crate."""
    return f"{settings.archive.name}-{KIND}-{edition.info.edition}.zip"


def seal_metadata(path: Path, settings: Settings, edition: Edition) -> None:
    """Seal an edition's metadata as `path`, which has its name; the same edition gives the same bytes wherever that is."""
    refuse_damaged(edition)
    crate = path.stem
    info = compose.bag_info(
        archive=settings.archive.name, contact=settings.archive.contact, crate=crate, kind=KIND, access="open", band="",
        edition=edition.info.edition, plan="", dated=edition.info.newest_evidence, count=0,
    )  # fmt: skip
    about = {
        "edition": edition.info.edition,
        "newest_evidence": edition.info.newest_evidence.isoformat(),
        "tracks": edition.info.tables["track"].rows,
        "sources": {name: source.model_dump() for name, source in edition.info.sources.items()},
        "licences": edition.info.licences,
    }
    tail = [
        item("data/edition.json", json.dumps(about, sort_keys=True, indent=1).encode() + b"\n"),
        item(WITHDRAWN_NAME, compose.withdrawn_json(0, [])),
        item(compose.CHECKER_NAME, compose.checker()),
    ]
    seal(path, lay_out(crate, _tables(edition)), tail, info)


def _tables(edition: Edition) -> Sequence[Item]:
    speaking = {name for name, source in edition.info.sources.items() if source.kind not in READS_FILES}
    tables = ((name, edition.read(name)) for name in _GIVEN_OUT)
    return [item(f"{compose.CATALOGUE_FOLDER}/{name}.parquet", encode_table(public_table(name, table, speaking)))
            for name, table in tables]  # fmt: skip


def public_table(name: str, table: pa.Table, speaking: Collection[str]) -> pa.Table:
    """A table of an edition as it may be given out: no path of a source.

    Ids stay of the sources that are `speaking`, those whose ids are no paths; of all others they become their digest.
    """
    for column in _PATHS:
        if name == "offer" and column in table.column_names:
            place = table.column_names.index(column)
            table = table.set_column(place, table.schema.field(column), pa.nulls(table.num_rows, pa.string()))
    for column in _IDS.get(name, ()):
        place = table.column_names.index(column)
        pairs = zip(table["source"].to_pylist(), table[column].to_pylist(), strict=True)
        opaque = [
            f"{OPAQUE}{track_key(source, own)}" if own and source not in speaking else own for source, own in pairs
        ]
        table = table.set_column(place, table.schema.field(column), pa.array(opaque, pa.string()))
    return table

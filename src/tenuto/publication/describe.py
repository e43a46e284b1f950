"""What a publication says of itself: status, feed, page; made from what is given out, nothing else. Pure."""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from tenuto.archive import Settings
from tenuto.catalogue import Edition
from tenuto.model.ids import track_key
from tenuto.model.statuses import KEPT
from tenuto.publication.documents import DarkCrate, IndexCrate, Location
from tenuto.publication.feed import FeedEntry, render_feed
from tenuto.publication.giving import OpenCrate
from tenuto.publication.page import CrateLine, render_publication
from tenuto.rights.withdrawals import Log

TORRENT_TYPE = "application/x-bittorrent"

STATUS = pa.schema(
    [("key", pa.string()), ("status", pa.string()), ("reason", pa.string()), ("band", pa.string()), ("tier", pa.string()),
     ("crate", pa.string()), ("sha256", pa.string()), ("listens_count", pa.uint64())]
)  # fmt: skip
"""status.parquet; `key` is the track key."""


def public_status(status: pa.Table, given_out: Collection[str]) -> pa.Table:
    """status.parquet: each live track with its status; where a recording lies only of those that are given out."""
    rows = [
        {
            "key": row["key"],
            "status": row["status"],
            "reason": row["reason"] or "",
            "band": row["band"],
            "tier": row["tier"],
            "crate": row["crate"] if row["status"] == KEPT and row["crate"] in given_out else None,
            "sha256": row["sha256"] if row["status"] == KEPT and row["crate"] in given_out else None,
            "listens_count": row["listens_count"],
        }
        for row in status.to_pylist()
    ]
    return pa.Table.from_pylist(rows, STATUS)


def locations(crates: Sequence[OpenCrate]) -> dict[str, list[Location]]:
    """Where each recording lies, by track key and by SHA-256."""
    found: dict[str, dict[Location, None]] = {}
    for crate in crates:
        names = ("source", "track_id", "path", "offset", "bytes", "sha256")
        for source, track_id, path, offset, size, sha256 in zip(
            *(crate.recordings[name].to_pylist() for name in names), strict=True
        ):
            place = Location(crate=crate.file.crate, path=path, offset=offset, bytes=size, sha256=sha256)
            for key in (track_key(source, track_id), sha256):
                found.setdefault(key, {})[place] = None
    return {key: list(places) for key, places in found.items()}


def feed(
    settings: Settings, edition: Edition, entries: Sequence[IndexCrate], dated: Mapping[str, str], log: Log
) -> bytes:
    """The feed, newest first: crates by the day that they are of (`dated`), withdrawals by theirs."""
    name = settings.archive.name
    lines = [
        (dated[one.crate], FeedEntry(
            id=f"urn:x-tenuto:{name}:{one.crate}:r{one.revision}", title=one.crate, updated=f"{dated[one.crate]}T00:00:00Z",
            summary=f"{one.kind} {one.band}: {one.recordings} recordings, {one.bytes} bytes, revision {one.revision}",
            href=one.torrent.path, enclosure_bytes=one.torrent.bytes, enclosure_type=TORRENT_TYPE))
        for one in entries
    ]  # fmt: skip
    lines += [
        (one.on.isoformat(), FeedEntry(
            id=f"urn:x-tenuto:{name}:withdrawal:{one.seq}", title=f"withdrawal {one.seq}", updated=f"{one.on}T00:00:00Z",
            summary=f"{one.reason}: {one.key}", href="withdrawals.jsonl", enclosure_bytes=None, enclosure_type=""))
        for one in log.entries
    ]  # fmt: skip
    lines.sort(key=lambda line: line[0], reverse=True)
    newest = lines[0][0] if lines else edition.info.newest_evidence.isoformat()
    return render_feed(name, settings.archive.contact, f"{newest}T00:00:00Z", [entry for _, entry in lines])


def page(
    settings: Settings, edition: Edition, statuses: Mapping[str, int], entries: Sequence[IndexCrate],
    dark: Sequence[DarkCrate], log: Log,
) -> bytes:  # fmt: skip
    """The web root's own page."""
    lines = [
        CrateLine(
            crate=one.crate, kind=one.kind, band=one.band, access="open", recordings=one.recordings, bytes=one.bytes,
            revision=one.revision, torrent=one.torrent.path, address=one.addresses[0], magnet=_magnet(one),
            infohash_v2=one.infohash_v2)
        for one in entries
    ]  # fmt: skip
    lines += [
        CrateLine(one.crate, "recordings", one.band, "dark", one.recordings, one.bytes, 0, "", "", "", "")
        for one in dark
    ]
    return render_publication(settings.archive.name, settings.archive.contact, edition.info.edition, sum(statuses.values()),
                              statuses, edition.info.licences, lines, len(log.entries), settings.keys.signing_public)  # fmt: skip


def _magnet(crate: IndexCrate) -> str:
    """A magnet link of a hybrid torrent (BEP 9; `btmh` as BEP 52 has it, a multihash of SHA-256)."""
    return f"magnet:?xt=urn:btih:{crate.infohash_v1}&xt=urn:btmh:1220{crate.infohash_v2}&dn={crate.crate}.zip"

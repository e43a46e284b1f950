"""Publishing: the web root made anew from the crates, the catalogue and the log; what has not changed is not touched.

Everything is written before the index that refers to it; what no index refers to is removed after.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenuto.archive import Layout, Settings, remove_leftovers, write_durably
from tenuto.archive.durable import make_folder, sync_folder
from tenuto.archive.keys import load_signing_key
from tenuto.catalogue import Edition, open_current
from tenuto.crates.holdings import holdings_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.status import counts, track_statuses
from tenuto.crates.tables import encode_table
from tenuto.crates.wanted import load_log
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress
from tenuto.model.statuses import DARK, WITHDRAWN
from tenuto.publication import describe, shards
from tenuto.publication.answers import evidence_crates
from tenuto.publication.documents import (
    INDEX_NAME,
    SIGNATURE_NAME,
    DarkCrate,
    Index,
    IndexCrate,
    Shards,
    WithdrawalsRef,
    encode_index,
    parse_index,
    shard_name,
    sign,
)
from tenuto.publication.gate import Gate, Refused
from tenuto.publication.giving import OpenCrate, give_out, open_crate, write_once
from tenuto.publication.metadata import metadata_crate
from tenuto.rights.withdrawals import Log
from tenuto.selection.plan import load_newest

PUBLIC_KEY_NAME = "signing.pub.pem"


@dataclass(slots=True)
class Published:
    """What stands in the publication now. `withheld` are crates that lie here open and may not be given out as they are."""

    index: Index
    is_new: bool
    withheld: dict[str, list[Refused]] = field(default_factory=dict)


def publish(layout: Layout, settings: Settings, progress: Progress, *, today: date | None = None) -> Published:
    """Bring the publication up to date; what is published already stays as it is.

    Raises UsageError where there is no catalogue, SettingsError where the signing key is missing or another's.
    """
    key = load_signing_key(layout.operator_path(settings.keys.folder), settings.keys.signing_public)
    edition, log = open_current(layout), load_log(layout)
    for folder in (layout.publication, layout.crates):
        remove_leftovers(folder)
    status = _status(layout, settings, edition)
    described = [metadata_crate(layout, settings, edition), *evidence_crates(layout, settings, _all_open(status))]
    crates, withheld = _admitted(layout, settings, edition, log, described, today or datetime.now(UTC).date(), progress)
    progress.begin("publish", len(crates), "crates")
    entries = []
    for crate in crates:
        entries.append(give_out(layout.publication, crate))
        progress.advance()
    index, is_new = _index(layout, settings, edition, log, status, crates, tuple(entries))
    if is_new:
        content = encode_index(index)
        write_durably(layout.publication / SIGNATURE_NAME, sign(content, key))
        write_durably(layout.publication / INDEX_NAME, content)
        write_durably(layout.publication / PUBLIC_KEY_NAME, _public_pem(key))
    _remove_stale(layout.publication, index)
    return Published(index, is_new, withheld)


def _status(layout: Layout, settings: Settings, edition: Edition) -> pa.Table:
    """Every live track with its status; a plan of another edition says nothing of this one."""
    plan = load_newest(layout)
    return track_statuses(layout, settings, edition, plan if plan and plan.edition == edition.info.edition else None)


def _all_open(status: pa.Table) -> dict[str, bool]:
    """Source -> whether none of its tracks is dark, withdrawn or of a kind that may not be given out."""
    found: dict[str, bool] = {}
    for source, said in zip(status["source"].to_pylist(), status["status"].to_pylist(), strict=True):
        found[source] = found.get(source, True) and said not in {DARK, WITHDRAWN, "not_permitted"}
    return found


def _admitted(
    layout: Layout,
    settings: Settings,
    edition: Edition,
    log: Log,
    described: Sequence[Path],
    today: date,
    progress: Progress,
) -> tuple[list[OpenCrate], dict[str, list[Refused]]]:
    """The open crates that may be given out as they are, metadata first; and those that may not, with why."""
    gate = Gate(edition, log, settings.archive.territory, today)
    crates, withheld = [open_crate(layout, settings, path) for path in described], {}
    known = {crate.file.path for crate in crates}
    paths = [path for path in sorted(layout.crates.glob("*.zip")) if path not in known]
    progress.begin("look through the gate", len(paths), "crates")
    for path in paths:
        crate = open_crate(layout, settings, path)
        progress.advance()
        if crate.file.kind != "recordings":
            continue  # of an older edition, or no longer permitted
        refused = gate.refused(crate.file.crate, crate.recordings)
        if refused:
            withheld[crate.file.crate] = refused
        else:
            crates.append(crate)
    return crates, withheld


def _index(
    layout: Layout, settings: Settings, edition: Edition, log: Log, status: pa.Table, crates: Sequence[OpenCrate],
    entries: tuple[IndexCrate, ...],
) -> tuple[Index, bool]:  # fmt: skip
    """The index, and whether it differs from the one that is published; all that it refers to is written."""
    root = layout.publication
    dated = {crate.file.crate: crate.file.info.get("Bagging-Date", "") for crate in crates}
    public = describe.public_status(status, {crate.file.crate for crate in crates})
    statuses = counts(public, "status")
    digits, files = shards.cut(describe.locations(crates))
    for prefix, content in files.items():
        write_once(root, shard_name(prefix, content), content)
    withdrawals = write_once(root, "withdrawals.jsonl", log.encode())
    feed = write_once(root, "feed.atom", describe.feed(settings, edition, entries, dated, log))
    dark = tuple(_dark(layout, settings))
    write_once(root, "index.html", describe.page(settings, edition, statuses, entries, dark, log))
    index = Index(
        format="tenuto-index-1", archive=settings.archive.name, contact=settings.archive.contact,
        territory=settings.archive.territory,
        sequence=0, published_at="1970-01-01T00:00:00Z", signing_public=settings.keys.signing_public,
        edition=edition.info.edition, tracks=public.num_rows, statuses=statuses, crates=entries, dark=dark,
        shards=Shards(digits=digits, sha256={prefix: hashlib.sha256(content).hexdigest() for prefix, content in files.items()}),
        status=write_once(root, "status.parquet", encode_table(public)),
        withdrawals=WithdrawalsRef(**withdrawals.model_dump(), entries=len(log.entries)), feed=feed,
    )  # fmt: skip
    return _numbered(root, index)


def _numbered(root: Path, index: Index) -> tuple[Index, bool]:
    """The index with its place in time; the published one where nothing has changed since."""
    now = datetime.now(UTC)
    before = _published(root)
    if before is not None:
        same = {"sequence": before.sequence, "published_at": before.published_at}
        if index.model_copy(update=same) == before and (root / SIGNATURE_NAME).is_file():
            return before, False
    # A publication that was lost and made again goes on above the old one: mirrors refuse a lower number.
    sequence = max(before.sequence + 1 if before else 1, int(now.timestamp()))
    return index.model_copy(update={"sequence": sequence, "published_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")}), True


def _published(root: Path) -> Index | None:
    try:
        return parse_index((root / INDEX_NAME).read_bytes())
    except (FileNotFoundError, IntegrityError):
        return None


def _remove_stale(root: Path, index: Index) -> None:
    """Delete what the index does not refer to: superseded shards, torrents and layers, crates that are given out no more."""
    kept = {one.path for crate in index.crates for one in (crate.torrent, crate.layers)}
    kept |= {address for crate in index.crates for address in crate.addresses}
    kept |= {f"recordings/{prefix}-{sha256[:8]}.json" for prefix, sha256 in index.shards.sha256.items()}
    for folder in ("recordings", "torrents", "layers", "crates"):
        for path in (root / folder).glob("*"):
            if f"{folder}/{path.name}" not in kept:
                path.unlink()
        make_folder(root / folder)
        sync_folder(root / folder)


def _dark(layout: Layout, settings: Settings) -> list[DarkCrate]:
    """The crates that are kept and not given out: that they are there."""
    found = []
    for path in sorted(layout.dark.glob("*.zip")):
        file = CrateFile(path)
        count = holdings_of(layout, settings, path).num_rows
        found.append(DarkCrate(crate=file.crate, band=file.band, recordings=count, bytes=file.size))
    return found


def _public_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem

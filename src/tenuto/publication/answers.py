"""Crates of evidence: what a source answered, given out word for word where its operator permits that."""

import hashlib
import zlib
from collections.abc import Collection
from datetime import date
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.crates import compose
from tenuto.crates.reader import WITHDRAWN_NAME
from tenuto.crates.seal import Item, item, lay_out, seal, torrent_beside
from tenuto.evidence import HarvestManifest, finished_harvests, read_records
from tenuto.evidence.harvests import MANIFEST_NAME
from tenuto.model.errors import SettingsError
from tenuto.rights import Permission, parse_permission
from tenuto.sources import PERMISSION_KEY

KIND = "evidence"
_PART_BYTES = 2**20


def evidence_crates(layout: Layout, settings: Settings, open_sources: Collection[str]) -> list[Path]:
    """The crates of the harvests that may be given out, sealed where they are not there yet.

    Answers name every track of a source, so a source with a recording that is dark or withdrawn gives none:
    `open_sources` are those that have none (law 5: unknown is dark). The newest permission must allow it, and the harvest's own.
    """
    found = []
    for source in sorted(set(settings.sources) & set(open_sources)):
        harvests = finished_harvests(layout.harvests(source))
        if harvests and _is_permitted(layout, harvests[-1]):
            found += [_crate(layout, settings, one) for one in harvests if _is_permitted(layout, one)]
    return found


def _crate(layout: Layout, settings: Settings, harvest: HarvestManifest) -> Path:
    crate = f"{settings.archive.name}-{KIND}-{harvest.source}-{harvest.harvest}"
    path = layout.crates / f"{crate}.zip"
    if path.is_file() and torrent_beside(path).is_file():
        return path
    folder = layout.harvests(harvest.source) / harvest.harvest
    files = [_item(folder / name) for name in sorted([*(file.name for file in harvest.files), MANIFEST_NAME])]
    info = compose.bag_info(
        archive=settings.archive.name, contact=settings.archive.contact, crate=crate, kind=KIND, access="open", band="",
        edition="", plan="", dated=date.fromisoformat(harvest.finished_at[:10]), count=0,
    )  # fmt: skip
    tail = [item(WITHDRAWN_NAME, compose.withdrawn_json(0, [])), item(compose.CHECKER_NAME, compose.checker())]
    seal(path, lay_out(crate, files), tail, info)
    return path


def _is_permitted(layout: Layout, harvest: HarvestManifest) -> bool:
    """Whether the permission that was kept with the harvest lets its answers be given out."""
    granted = _permission(layout, harvest)
    return granted is not None and granted.harvest.may_give_out_evidence


def _permission(layout: Layout, harvest: HarvestManifest) -> Permission | None:
    if harvest.permission is None:
        return None
    for file in harvest.files:
        for record in read_records(layout.harvests(harvest.source) / harvest.harvest / file.name):
            if record.answer is not None and record.answer.request.key == PERMISSION_KEY:
                try:
                    return parse_permission(record.answer.body.decode("utf-8-sig", "replace"), PERMISSION_KEY)
                except SettingsError:
                    return None
    return None


def _item(file: Path) -> Item:
    sha256, crc32, size = hashlib.sha256(), 0, 0
    with file.open("rb") as content:
        while part := content.read(_PART_BYTES):
            sha256.update(part)
            crc32, size = zlib.crc32(part, crc32), size + len(part)
    return Item(f"data/evidence/{file.name}", file, size, crc32, sha256.hexdigest())

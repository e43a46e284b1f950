"""The harvests of a source: `harvest.json` is written last, so a folder without it is one to resume."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from tenuto.archive import durable
from tenuto.model.documents import Document
from tenuto.model.errors import IntegrityError

MANIFEST_NAME = "harvest.json"
FORMAT = "tenuto-harvest-1"
_RESTORE = "restore it from a copy, or move its folder away"


class EvidenceFile(Document):
    """One WARC file of a finished harvest."""

    name: str
    bytes: int
    sha256: str
    records: int


class RobotsRead(Document):
    """robots.txt as it was read, and what follows."""

    http_status: int
    sha256: str
    is_allowed: bool
    is_outranked: bool


class TermsRead(Document):
    """A source's terms of use, and what the operator of the archive read in them."""

    place: str
    sha256: str
    is_permitted: bool
    is_outranked: bool


class PermissionRead(Document):
    """The permission that the harvest went by; the file itself is a record of the harvest."""

    grantor: str
    ground: str
    granted_on: str
    sha256: str
    evidence_id: int


class Reconciled(Document):
    """Independent counts of one thing."""

    what: str
    said: dict[str, int]
    found: int


class HarvestManifest(Document):
    """All that is to be known of a harvest without opening its WARC files."""

    format: Literal["tenuto-harvest-1"] = "tenuto-harvest-1"
    archive: str
    source: str
    kind: str
    harvest: str
    started_at: str
    finished_at: str
    user_agent: str = ""
    permission: PermissionRead | None = None
    robots: RobotsRead | None = None
    terms: TermsRead | None = None
    outcomes: dict[str, int] = {}
    cut: dict[str, int] = {}
    reconciled: tuple[Reconciled, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    files: tuple[EvidenceFile, ...] = ()


def finished_harvests(folder: Path) -> list[HarvestManifest]:
    """The finished harvests of a source, oldest first."""
    if not folder.is_dir():
        return []
    return [read_manifest(file) for file in sorted(folder.glob(f"*/{MANIFEST_NAME}"))]


def all_harvests(evidence: Path) -> dict[str, list[HarvestManifest]]:
    """The finished harvests of each source that has some, oldest first."""
    folders = sorted(evidence.iterdir()) if evidence.is_dir() else ()
    found = {folder.name: finished_harvests(folder) for folder in folders if folder.is_dir()}
    return {source: manifests for source, manifests in found.items() if manifests}


def unfinished_harvest(folder: Path) -> Path | None:
    """The newest harvest folder if it was not finished, else None."""
    harvests = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return harvests[-1] if harvests and not (harvests[-1] / MANIFEST_NAME).exists() else None


def read_manifest(file: Path) -> HarvestManifest:
    """One harvest.json; raises IntegrityError where it is not one that this version knows."""
    try:
        values = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{file} is not JSON ({error}); {_RESTORE}") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        said = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise IntegrityError(f"{file} is of format {said!r}; this version reads {FORMAT}")
    try:
        manifest = HarvestManifest.model_validate(values)
    except ValueError as error:
        raise IntegrityError(f"{file} is not as a harvest writes it ({error}); {_RESTORE}") from None
    for name in (manifest.harvest, *(item.name for item in manifest.files)):
        if not _is_plain(name):
            raise IntegrityError(f"{file} names {name!r}, which is no plain file name; {_RESTORE}")
    return manifest


def _is_plain(name: str) -> bool:
    """Whether a name from a file may be joined to a path."""
    return bool(name) and not name.startswith(".") and not any(mark in name for mark in "/\\\0")


def write_manifest(folder: Path, manifest: HarvestManifest) -> None:
    """Finish a harvest: from here on it is evidence."""
    document = msgspec.json.format(msgspec.json.encode(manifest.model_dump(mode="json")), indent=1)
    durable.write_durably(folder / MANIFEST_NAME, document + b"\n")

"""Publishing: the web root made anew from the crates, the catalogue and the log; what has not changed is not touched.

Everything is written before the index that refers to it; what no index refers to is removed after.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from tenuto.archive import Layout, Settings, remove_leftovers, write_durably
from tenuto.archive.keys import load_signing_key
from tenuto.catalogue import Edition, open_current
from tenuto.crates.holdings import RECORDINGS_KIND, Survey, count_of, survey
from tenuto.crates.moving import BAND
from tenuto.crates.reader import CrateFile
from tenuto.crates.revise import finish_revisions
from tenuto.crates.status import counts, held_table, track_statuses
from tenuto.crates.tables import RECORDINGS, encode_table
from tenuto.crates.withdrawn import TakenBack, known_log, load_whole
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress
from tenuto.model.statuses import DARK, NOT_PERMITTED, WITHDRAWN
from tenuto.publication import describe, shards
from tenuto.publication.answers import evidence_crates
from tenuto.publication.documents import (
    INDEX_NAME,
    PUBLIC_KEY_NAME,
    SIGNATURE_NAME,
    DarkCrate,
    Index,
    IndexCrate,
    Shards,
    WithdrawalsRef,
    encode_index,
    parse_index,
    public_pem,
    shard_name,
    sign,
    verify_index,
)
from tenuto.publication.gate import Gate, Refused
from tenuto.publication.giving import OpenCrate, give_out, open_crate, remove_stale, say_unnamed, write_once
from tenuto.publication.metadata import metadata_crate
from tenuto.rights.withdrawals import Log
from tenuto.selection.plan import load_newest

__all__ = ["Published", "known_log", "publish", "refused_now"]

PAGE_NAME = "index.html"
_SEQUENCE_MAX = 2**53
"""No clock comes there; what says so was not written by this program."""


@dataclass(slots=True)
class Published:
    """What stands in the publication now.

    `withheld` are crates that lie here open and may not be given out as they are, `damaged` those that cannot be, and why.
    """

    index: Index
    is_new: bool
    withheld: dict[str, list[Refused]] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


def publish(layout: Layout, settings: Settings, progress: Progress, *, today: date | None = None) -> Published:
    """Bring the publication up to date; what is published already stays as it is.

    A crate that may not be given out, or is damaged, is left out and named; all others are published.
    Raises UsageError where there is no catalogue, SettingsError where the signing key is missing or another's,
    IntegrityError where the log of withdrawals has lost what the publication or a crate says of it.
    """
    key = load_signing_key(layout.operator_path(settings.keys.folder), settings.keys.signing_public)
    edition, taken = open_current(layout), load_whole(layout)
    for folder in (layout.publication, layout.crates, layout.dark):
        remove_leftovers(folder)
    finish_revisions(layout)
    looked, before = survey(layout, settings), _published(layout.publication, settings)
    gate = Gate(edition, taken.log, settings.archive.territory, today or datetime.now(UTC).date(), taken)
    plan = load_newest(layout)
    current = (
        plan if plan and plan.edition == edition.info.edition else None
    )  # one of another edition says nothing of this
    status = track_statuses(layout, settings, edition, current, looked)
    described = [
        metadata_crate(layout, settings, edition),
        *evidence_crates(layout, settings, gate.open_sources() - _shut(layout, looked, status)),
    ]
    crates, damaged = _opened(layout, settings, looked, described)
    withheld = gate.refused({crate.file.crate: crate.recordings for crate in crates}, _dark_tables(layout, looked))
    admitted = [crate for crate in crates if crate.file.crate not in withheld]
    given_out = _give_out(layout.publication, admitted, before, damaged, progress)
    index, is_new = _numbered(
        _index(layout, settings, edition, taken.log, status, given_out, tuple(_dark(layout, looked))),
        before, layout.publication,
    )  # fmt: skip
    write_once(layout.publication, PUBLIC_KEY_NAME, public_pem(settings.keys.signing_public))
    if is_new:
        content = encode_index(index)
        write_durably(layout.publication / SIGNATURE_NAME, sign(content, key))
        write_durably(layout.publication / INDEX_NAME, content)
    remove_stale(layout.publication, index, progress)
    public = layout.publication / "crates"
    say_unnamed(
        layout.publication, [one.crate for one in index.crates if not (public / f"{one.crate}.zip").exists()], progress
    )
    return Published(index, is_new, withheld, damaged)


def refused_now(
    layout: Layout, settings: Settings, edition: Edition, taken: TakenBack, looked: Survey, today: date | None
) -> dict[str, list[Refused]]:
    """Crate -> the tracks in open crates that may not be given out today."""
    gate = Gate(edition, taken.log, settings.archive.territory, today or datetime.now(UTC).date(), taken)
    tables = {path.stem: table for path, table in looked.found if path.parent == layout.crates}
    return gate.refused(tables, _dark_tables(layout, looked))


def _dark_tables(layout: Layout, looked: Survey) -> list[pa.Table]:
    return [table for path, table in looked.found if path.parent == layout.dark]


def _shut(layout: Layout, looked: Survey, status: pa.Table) -> set[str]:
    """The sources with a track that is kept dark, or whose keeping is forbidden: their answers are not given out."""
    shut = {source for source, said in zip(status["source"].to_pylist(), status["status"].to_pylist(), strict=True)
            if said in {DARK, WITHDRAWN, NOT_PERMITTED}}  # fmt: skip
    held = held_table(layout, looked)
    if {path.stem for path in looked.unread if CrateFile(path).band != BAND} - set(held["crate"].to_pylist()):
        shut |= set(status["source"].to_pylist())  # nobody here knows what is in that dark crate
    return shut | set(held.filter(held["is_dark"])["source"].to_pylist())


def _opened(
    layout: Layout, settings: Settings, looked: Survey, described: Sequence[Path]
) -> tuple[list[OpenCrate], dict[str, str]]:
    """The open crates, metadata first; and those that are damaged, with what is wrong."""
    tables = {path: RECORDINGS.empty_table() for path in described}
    # Metadata of older editions, and evidence that is not given out any more, stay in the archive alone.
    tables |= {path: table for path, table in looked.found
               if path.parent == layout.crates and path not in tables and CrateFile(path).kind == RECORDINGS_KIND}  # fmt: skip
    crates: list[OpenCrate] = []
    damaged = {path.stem: said for path, said in looked.damaged.items()}
    for path, table in tables.items():
        try:
            crates.append(open_crate(path, table))
        except IntegrityError as error:
            damaged[path.stem] = str(error)
    bands = [band.name for band in settings.selection.bands]
    crates.sort(key=lambda crate: _rank(crate, bands))
    return crates, damaged


def _rank(crate: OpenCrate, bands: Sequence[str]) -> tuple[bool, int]:
    """What comes first in the index, and so on mirrors: metadata, evidence, then the bands from the most popular down."""
    band = crate.file.band
    return crate.file.kind == RECORDINGS_KIND, bands.index(band) if band in bands else len(bands)


def _give_out(
    root: Path, crates: Sequence[OpenCrate], before: Index | None, damaged: dict[str, str], progress: Progress
) -> list[tuple[OpenCrate, IndexCrate]]:
    """Put the crates into the web root; one that proves to be damaged is noted in `damaged`."""
    known = {crate.crate: crate for crate in before.crates} if before else {}
    progress.begin("publish", len(crates), "crates")
    found = []
    for crate in crates:
        try:
            found.append((crate, give_out(root, crate, known)))
        except IntegrityError as error:
            damaged[crate.file.crate] = str(error)
        progress.advance()
    return found


def _index(
    layout: Layout, settings: Settings, edition: Edition, log: Log, status: pa.Table,
    given_out: Sequence[tuple[OpenCrate, IndexCrate]], dark: tuple[DarkCrate, ...],
) -> Index:  # fmt: skip
    """The index, but for its place in time; all that it refers to is written."""
    root = layout.publication
    crates, entries = [crate for crate, _ in given_out], tuple(entry for _, entry in given_out)
    dated = {crate.file.crate: crate.file.info.get("Bagging-Date", "") for crate in crates}
    public = describe.public_status(status, {crate.file.crate for crate in crates})
    statuses = counts(public, "status")
    digits, files = shards.cut(describe.locations(crates))
    for prefix, content in files.items():
        write_once(root, shard_name(prefix, content), content)
    withdrawals = write_once(root, "withdrawals.jsonl", log.encode())
    feed = write_once(root, "feed.atom", describe.feed(settings, edition, entries, dated, log))
    page = write_once(root, PAGE_NAME, describe.page(settings, edition, statuses, entries, dark, log))
    return Index(
        format="tenuto-index-1", archive=settings.archive.name, contact=settings.archive.contact,
        territory=settings.archive.territory,
        sequence=0, published_at="1970-01-01T00:00:00Z", signing_public=settings.keys.signing_public,
        edition=edition.info.edition,
        sources=tuple(sorted(edition.info.sources)), tracks=public.num_rows, statuses=statuses, crates=entries, dark=dark,
        shards=Shards(digits=digits, sha256={prefix: hashlib.sha256(content).hexdigest() for prefix, content in files.items()}),
        status=write_once(root, "status.parquet", encode_table(public)),
        withdrawals=WithdrawalsRef(**withdrawals.model_dump(), entries=len(log.entries)), feed=feed, page=page,
    )  # fmt: skip


def _numbered(index: Index, before: Index | None, root: Path) -> tuple[Index, bool]:
    """The index with its place in time, and whether it is a new one: the published one stays where nothing has changed since."""
    now = datetime.now(UTC)
    if before is not None:
        same = {"sequence": before.sequence, "published_at": before.published_at}
        if index.model_copy(update=same) == before:
            return before, False
    # Milliseconds: a publication that was lost and made again goes on above the old one, since mirrors refuse a lower number.
    sequence = max(_sequence_in(root) + 1, int(now.timestamp() * 1000))
    return index.model_copy(update={"sequence": sequence, "published_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")}), True


def _sequence_in(root: Path) -> int:
    """The number of the index that lies there, whoever signed it; 0 where it is none, or no number can follow it."""
    try:
        found = parse_index((root / INDEX_NAME).read_bytes()).sequence
    except (OSError, IntegrityError):
        return 0
    return found if found < _SEQUENCE_MAX else 0


def _published(root: Path, settings: Settings) -> Index | None:
    """The index that is published, if its signature is by this archive's key: a kill between the two leaves it without."""
    try:
        content = (root / INDEX_NAME).read_bytes()
        verify_index(content, (root / SIGNATURE_NAME).read_bytes(), settings.keys.signing_public)
        return parse_index(content)
    except (OSError, IntegrityError):
        return None


def _dark(layout: Layout, looked: Survey) -> list[DarkCrate]:
    """The crates that are kept and not given out: that they are there. What they say of themselves needs no identity."""
    paths = [path for path, _ in looked.found if path.parent == layout.dark] + looked.unread
    files = [CrateFile(path) for path in sorted(paths)]
    return [DarkCrate(crate=file.crate, band=file.band, recordings=count_of(file), bytes=file.size) for file in files]

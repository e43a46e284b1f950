"""One harvest of one source: ask, keep, follow, until nothing is left to ask.

What an interrupted harvest kept is replayed through the same code as fresh answers, so resuming is no special case.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import write_durably
from tenuto.evidence import EvidenceWriter, HarvestManifest, unfinished_harvest
from tenuto.evidence.harvests import PermissionRead, RobotsRead, write_manifest
from tenuto.harvest.finish import survey
from tenuto.harvest.opening import OpenSource, asker_of, check_robots, open_politely
from tenuto.harvest.walk import Walk
from tenuto.model.answers import OK, Answer
from tenuto.model.ids import evidence_id, harvest_id, harvest_time, record_uuid, short_digest
from tenuto.model.progress import Progress
from tenuto.model.records import Seen
from tenuto.sources import PERMISSION_KEY, parse

STARTED_NAME = "started.json"


@dataclass(frozen=True, slots=True)
class HarvestOptions:
    """What the caller decides: the clock, and whether an interrupted harvest is left behind."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    is_fresh: bool = False


def harvest(
    layout: Layout, settings: Settings, name: str, progress: Progress, options: HarvestOptions | None = None
) -> HarvestManifest:
    """Harvest a source into evidence, going on where an interrupted harvest stopped.

    Raises RightsError where asking is not permitted, SourceRefusedError where the source does not let us in and
    SourceDownError where it is gone; what was answered until then is kept and the next call resumes.
    """
    options = options or HarvestOptions()
    with open_politely(layout, settings, name, options.clock) as opened:
        folder = _harvest_folder(layout, name, opened, options, progress)
        info = {"operator": f"{settings.archive.name}; {settings.archive.contact}", "isPartOf": folder.name}
        with EvidenceWriter(folder, name, opened.settings.kind, info, options.clock) as writer:
            robots = _collect(opened, settings, folder, writer, progress)
    counted = survey(folder, name, opened.settings.kind, opened.source.list_of)
    manifest = HarvestManifest(
        archive=settings.archive.name,
        source=name,
        kind=opened.settings.kind,
        harvest=folder.name,
        started_at=_started_at(folder),
        finished_at=options.clock().isoformat(timespec="seconds"),
        user_agent=opened.agent,
        permission=_permission_read(opened),
        robots=robots,
        terms=opened.operator.terms,
        **counted,
    )
    write_manifest(folder, manifest)
    return manifest


def sample(layout: Layout, settings: Settings, name: str, progress: Progress) -> list[tuple[Answer, list[Seen]]]:
    """A page or so of a source, mapped; nothing is kept."""
    with open_politely(layout, settings, name, lambda: datetime.now(UTC)) as opened:
        asker, _, _ = check_robots(opened, asker_of(opened, settings, progress))
        answers = [asker.ask(request, is_demanded=True) for request in opened.source.sample()]
    return [(answer, list(parse(opened.settings.kind, answer)) if answer.outcome == OK else []) for answer in answers]


def _harvest_folder(layout: Layout, name: str, opened: OpenSource, options: HarvestOptions, progress: Progress) -> Path:
    """The interrupted harvest if it asked the same source, else a new one; an abandoned one stays, never read."""
    chosen = opened.settings
    digest = short_digest([chosen.kind, chosen.location, repr(sorted(chosen.options.items()))])
    harvests = layout.harvests(name)
    folder = unfinished_harvest(harvests)
    if folder is not None and not options.is_fresh and _started(folder).get("source") == digest:
        return folder
    started_at = options.clock()
    folder = harvests / _next_name(harvests, started_at, progress)
    started = {"source": digest, "started_at": started_at.isoformat(timespec="seconds")}
    write_durably(folder / STARTED_NAME, msgspec.json.encode(started))
    return folder


def _next_name(harvests: Path, now: datetime, progress: Progress) -> str:
    """A name after all others: harvests are ordered by name, also where an earlier one ran under a clock in the future."""
    taken = sorted(path.name for path in harvests.iterdir() if path.is_dir()) if harvests.is_dir() else []
    name = next(new for n in range(100) if (new := harvest_id(now, n)) not in taken)
    if taken and name < taken[-1]:
        progress.say(
            f"harvest {taken[-1]} is from the future: this machine's clock is, or was, wrong; this one is named after it"
        )
        name = harvest_id(harvest_time(taken[-1]) + timedelta(seconds=1), 0)
    return name


def _started(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / STARTED_NAME).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _started_at(folder: Path) -> str:
    return _started(folder).get("started_at", "")


def _collect(
    opened: OpenSource, settings: Settings, folder: Path, writer: EvidenceWriter, progress: Progress
) -> RobotsRead | None:
    """Ask all there is to ask; returns robots.txt as read."""
    asker, robots_answer, robots = check_robots(opened, asker_of(opened, settings, progress))
    walk = Walk(opened, asker, writer, progress)
    walk.replay(folder)
    for answer in (*opened.operator.answers, *([robots_answer] if robots_answer else [])):
        walk.keep(answer)
    walk.run(opened.settings.concurrency or settings.politeness.concurrency)
    return robots


def _permission_read(opened: OpenSource) -> PermissionRead | None:
    granted = opened.operator.permission
    if granted is None:
        return None
    digest = hashlib.sha256(opened.operator.answers[0].body).hexdigest()
    return PermissionRead(
        grantor=granted.grantor,
        ground=granted.ground,
        granted_on=granted.granted_on.isoformat(),
        sha256=digest,
        evidence_id=evidence_id(record_uuid(opened.name, PERMISSION_KEY, digest)),
    )

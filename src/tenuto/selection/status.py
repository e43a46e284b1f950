"""The state of an archive in numbers that add up: edition and newest plan joined (design, section 4)."""

from typing import Any

from tenuto.archive import Layout, Settings
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import Edition, open_current
from tenuto.evidence import finished_harvests, unfinished_harvest
from tenuto.evidence.harvests import MANIFEST_NAME
from tenuto.model.statuses import UNPLANNED
from tenuto.selection.plan import Plan, load_newest, policy_of


def archive_status(layout: Layout, settings: Settings) -> dict[str, Any]:
    """All of `tenuto status` as one document; `statuses` adds up to `tracks`, tombstones are counted apart."""
    edition = open_current(layout) if read_pointer(layout.catalogue / "current") else None
    plan = load_newest(layout)
    is_current = plan is not None and edition is not None and plan.edition == edition.info.edition
    tracks = edition.info.tables["track"].rows if edition else 0
    return {
        "archive": settings.archive.name,
        "tracks": tracks,
        "tombstones": edition.info.tables["tombstone"].rows if edition else 0,
        "recordings": 0,
        "statuses": plan.statuses if plan and is_current else ({UNPLANNED: tracks} if tracks else {}),
        "licences": edition.info.licences if edition else {},
        "crates": len(list(layout.crates.glob("*.zip"))),
        "edition": edition.info.edition if edition else None,
        "plan": plan.plan if plan else None,
        "plan_is_current": is_current,
        "sources": _sources(layout, settings, edition),
        "findings": edition.info.findings if edition else {},
        "next": _next(layout, settings, edition, plan, is_current=is_current),
    }


def _sources(layout: Layout, settings: Settings, edition: Edition | None) -> dict[str, dict[str, Any]]:
    sources = {}
    for name in dict.fromkeys((*settings.sources, *(edition.info.sources if edition else ()))):
        harvests = finished_harvests(layout.harvests(name))
        known = edition.info.sources.get(name) if edition else None
        chosen = settings.sources.get(name)
        granted = harvests[-1].permission if harvests else None
        sources[name] = {
            "kind": chosen.kind if chosen else (known.kind if known else ""),
            "tracks": known.tracks if known else 0,
            "tombstones": known.tombstones if known else 0,
            "last_harvest": harvests[-1].finished_at if harvests else None,
            "is_interrupted": unfinished_harvest(layout.harvests(name)) is not None,
            "permission": f"{granted.grantor} ({granted.granted_on})" if granted else None,
            "is_removed": chosen is None,
        }
    return sources


def _next(layout: Layout, settings: Settings, edition: Edition | None, plan: Plan | None, *, is_current: bool) -> str:
    """The command that the archive waits for."""
    if not settings.sources:
        return "tenuto source add KIND LOCATION --name NAME [--permission FILE]"
    interrupted = [name for name in settings.sources if unfinished_harvest(layout.harvests(name)) is not None]
    if interrupted:
        return f"tenuto harvest {' '.join(interrupted)} (it was interrupted and goes on where it stopped)"
    if not any(finished_harvests(layout.harvests(name)) for name in settings.sources):
        return "tenuto harvest"
    if edition is None or _is_newer_than_edition(layout):
        return "tenuto catalogue build"
    if plan is None or not is_current:
        return "tenuto plan"
    if _without_budget(plan.policy) != _without_budget(policy_of(settings)):
        return "tenuto plan (the settings have changed since the newest plan)"
    return "tenuto harvest, to see what has changed"


def _is_newer_than_edition(layout: Layout) -> bool:
    """Whether a harvest was finished since the last build, which always writes `current`."""
    built_at = (layout.catalogue / "current").stat().st_mtime_ns
    return any(file.stat().st_mtime_ns > built_at for file in layout.evidence.glob(f"*/*/{MANIFEST_NAME}"))


def _without_budget(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy but for its budget, which `tenuto plan --budget` may set for one plan."""
    return {name: value for name, value in policy.items() if name != "budget"}

"""The plan: a frozen choice of what to keep, made from an edition and a policy alone, written once, never changed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow.parquet as pq

from tenuto.archive import Layout, Settings, remove_leftovers, write_durably
from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import Edition
from tenuto.model.documents import Document
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import short_digest
from tenuto.model.statuses import STATUSES
from tenuto.model.units import parse_bytes, parse_share
from tenuto.selection.candidates import Bools, Candidates, load_candidates
from tenuto.selection.choice import Choice, choose
from tenuto.selection.drafts import Draft, cut
from tenuto.selection.tables import draft_table, track_table
from tenuto.selection.tiers import original_bytes

FORMAT = "tenuto-plan-1"
PLAN_NAME = "plan.json"


class Group(Document):
    """A line of the plan's table: what is planned of one band in one tier."""

    band: str
    tier: str
    access: str
    tracks: int
    bytes: int
    listens: int | None


class Plan(Document):
    """plan.json: what was decided, by which policy, and what it amounts to."""

    format: Literal["tenuto-plan-1"] = "tenuto-plan-1"
    plan: str
    number: int
    edition: str
    policy: dict[str, Any]
    tracks: int
    statuses: dict[str, int]
    reasons: dict[str, int]
    original_bytes: int
    budget_bytes: int
    plan_bytes: int
    value_kept_frac: float | None
    value_bound_frac: float | None
    listens: int | None
    listens_kept_frac: float | None
    listens_note: str
    drafts: int
    drafts_dark: int
    groups: tuple[Group, ...]


def policy_of(settings: Settings, budget: str | None = None) -> dict[str, Any]:
    """The part of the settings that a plan depends on, `budget` overriding theirs."""
    selection = settings.selection.model_dump(mode="json")
    if budget is not None:
        selection["budget"] = budget
    return {**selection, "territory": settings.archive.territory, "crates": settings.crates.model_dump(mode="json")}


def make_plan(layout: Layout, settings: Settings, edition: Edition, budget: str | None = None) -> Plan:
    """Decide, write the plan and make it the newest; the same edition and policy give the same plan."""
    policy = policy_of(settings, budget)
    name = f"{edition.info.edition}-{short_digest([FORMAT, json.dumps(policy, sort_keys=True)])}"
    folder = layout.plan(name)
    remove_leftovers(layout.plans)
    if not _is_readable(folder):
        number = _next_number(layout)
        if folder.exists():
            folder.rename(layout.plans / f"{LEFTOVER_PREFIX}damaged-{name}")
        tracks = load_candidates(edition, settings.archive.territory, edition.info.newest_evidence)
        base = _budget_bytes(str(policy["budget"]), tracks)
        choice = choose(tracks, settings.selection, base)
        drafts = _drafts(tracks, choice, settings, f"{settings.archive.name}-{number}")
        plan = _plan(name, number, edition, policy, tracks, choice, drafts, base)
        with folder_durably(folder) as beside:
            names = [band.name for band in settings.selection.bands]
            pq.write_table(track_table(tracks, choice, drafts, names), beside / "tracks.parquet", compression="zstd")
            pq.write_table(draft_table(drafts), beside / "drafts.parquet", compression="zstd")
            document = msgspec.json.format(msgspec.json.encode(plan.model_dump(mode="json")), indent=1)
            (beside / PLAN_NAME).write_bytes(document + b"\n")
    write_durably(layout.plans / "newest", f"{name}\n".encode())
    remove_leftovers(layout.plans)
    return load_plan(folder)


def load_newest(layout: Layout) -> Plan | None:
    """The newest plan, or None where none was made."""
    name = read_pointer(layout.plans / "newest")
    return load_plan(layout.plan(name)) if name else None


def load_plan(folder: Path) -> Plan:
    """A plan by its folder; raises IntegrityError where it is not one that this version knows."""
    try:
        values_ = json.loads((folder / PLAN_NAME).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise IntegrityError(f"plan {folder.name} cannot be read ({error}); run: tenuto plan") from None
    if not isinstance(values_, dict) or values_.get("format") != FORMAT:
        raise IntegrityError(f"plan {folder.name} is not of format {FORMAT}; run: tenuto plan")
    try:
        return Plan.model_validate(values_)
    except ValueError as error:
        raise IntegrityError(f"plan {folder.name} is not as it was written ({error}); run: tenuto plan") from None


def _is_readable(folder: Path) -> bool:
    try:
        load_plan(folder)
    except IntegrityError:
        return False
    return True


def _next_number(layout: Layout) -> int:
    """A number above that of every plan; one that cannot be read counts as a plan, though its number is not known."""
    folders = [path for path in layout.plans.iterdir() if path.is_dir()] if layout.plans.is_dir() else []
    return 1 + max([len(folders), *(load_plan(folder).number for folder in folders if _is_readable(folder))])


def _budget_bytes(budget: str, tracks: Candidates) -> int:
    """The budget in bytes; a share is one of the originals of all live tracks."""
    if "%" not in budget:
        return parse_bytes(budget)
    originals = original_bytes(tracks)
    return round(parse_share(budget) * int(originals[tracks.is_offered & (originals > 0)].sum()))


def _drafts(tracks: Candidates, choice: Choice, settings: Settings, prefix: str) -> list[Draft]:
    table = tracks.table
    sources, ids = table.column("source").to_pylist(), table.column("track_id").to_pylist()
    names = [f"{source} {own} {tier}" for source, own, tier in zip(sources, ids, choice.tier, strict=True)]
    return cut(
        choice.chosen, choice.band, [band.name for band in settings.selection.bands], tracks.may_give_out,
        tracks.release_row, choice.size, names, prefix=prefix, target_bytes=settings.crates.target_bytes,
        recordings_max=settings.crates.recordings_max,
    )  # fmt: skip


def _plan(
    name: str, number: int, edition: Edition, policy: dict[str, Any], tracks: Candidates, choice: Choice,
    drafts: list[Draft], budget_bytes: int,
) -> Plan:  # fmt: skip
    total = float(choice.value.sum())
    listens, kept, note = _listens(tracks, choice.chosen)
    originals = original_bytes(tracks)
    return Plan(
        plan=name,
        number=number,
        edition=edition.info.edition,
        policy=policy,
        tracks=len(tracks),
        statuses={status: count for status in STATUSES if (count := choice.status.count(status))},
        reasons=dict(sorted(Counter(choice.reason).items(), key=lambda item: (-item[1], item[0]))[:100]),
        original_bytes=int(originals[originals > 0].sum()),
        budget_bytes=budget_bytes,
        plan_bytes=int(choice.size[choice.chosen].sum()),
        value_kept_frac=float(choice.value[choice.chosen].sum()) / total if total else None,
        value_bound_frac=min(1.0, choice.bound / total) if total else None,
        listens=listens,
        listens_kept_frac=kept,
        listens_note=note,
        drafts=len(drafts),
        drafts_dark=sum(draft.access == "dark" for draft in drafts),
        groups=_groups(tracks, choice, policy),
    )


def _listens(tracks: Candidates, chosen: Bools) -> tuple[int | None, float | None, str]:
    """All listens, the share of them that the plan keeps, and what that share rests on."""
    counted = tracks.listens >= 0
    if not counted.any():
        basis = "only an order by listens" if (tracks.rank > 0).any() else "no listens"
        return None, None, f"the sources give {basis}, so there is no share of listens"
    total = int(tracks.listens[counted].sum())
    scopes = sorted({scope for scope in tracks.table.column("listens_scope").to_pylist() if scope})
    note = f"listens as counted by: {', '.join(scopes)}"
    if not counted.all():
        note += f"; {int((~counted).sum()):,} tracks have no count and are not in the share"
        if (tracks.assumed_listens > tracks.listens).any():
            note += " (taken as unheard where their source counts others)"
    kept = int(tracks.listens[counted & chosen].sum())
    return total, (kept / total if total else None), note


def _groups(tracks: Candidates, choice: Choice, policy: dict[str, Any]) -> tuple[Group, ...]:
    names = [band["name"] for band in policy["bands"]]
    keys: dict[tuple[int, str, str], list[int]] = {}
    for row in np.flatnonzero(choice.chosen):
        access = "open" if tracks.may_give_out[row] else "dark"
        keys.setdefault((int(choice.band[row]), choice.tier[row], access), []).append(int(row))
    groups = []
    for (band, tier, access), rows in sorted(keys.items(), key=lambda item: (item[0][0], item[0][1], item[0][2])):
        heard = tracks.listens[rows]
        groups.append(
            Group(band=names[band], tier=tier, access=access, tracks=len(rows), bytes=int(choice.size[rows].sum()),
                  listens=int(heard[heard >= 0].sum()) if (heard >= 0).any() else None)
        )  # fmt: skip
    return tuple(groups)

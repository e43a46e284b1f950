"""The state of an archive in numbers that add up: edition, newest plan, crates, journals and withdrawals joined (design, law 6)."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import Edition, open_current
from tenuto.catalogue.edition import sql_rows
from tenuto.crates.held import planned_for
from tenuto.crates.holdings import Survey, count_of, crate_files, survey
from tenuto.crates.journal import UNAVAILABLE, read_journal
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.supplement import load_supplements
from tenuto.crates.wanted import is_sealed, load_drafts
from tenuto.crates.withdrawn import known_log
from tenuto.evidence import finished_harvests, unfinished_harvest
from tenuto.evidence.harvests import MANIFEST_NAME
from tenuto.model.statuses import DARK, FAILED, KEPT, PLANNED, UNPLANNED, WITHDRAWN
from tenuto.selection.plan import Plan, load_newest, policy_of

_CHECK = "tenuto check"
_HELD = pa.schema(
    [("source", pa.string()), ("track_id", pa.string()), ("crate", pa.string()), ("is_dark", pa.bool_()),
     ("sha256", pa.string()), ("tier", pa.string()), ("bytes", pa.uint64())]
)  # fmt: skip
_FAILED = pa.schema([("key", pa.string()), ("code", pa.string())])
_WITHDRAWN = pa.schema([("key", pa.string()), ("reason", pa.string())])


def track_statuses(
    layout: Layout, settings: Settings, edition: Edition, plan: Plan | None, looked: Survey | None = None,
    track_rows: Sequence[int] | None = None,
) -> pa.Table:  # fmt: skip
    """Each live track, or those in `track_rows`, with its one status: key, source, track_id, status, reason, band, tier, crate,
    sha256, bytes, listens_count.

    `crate`, `sha256` and `bytes` are of the recording that is held; an open crate goes before a dark one. Of a dark crate that
    cannot be read here they are null: which tracks it holds is taken from its plan. `looked` is what the crates were found to hold.
    """
    with duckdb.connect(config={"threads": 2}) as con:
        looked = looked or survey(layout, settings)
        con.register("held", held_table(layout, looked))
        con.register("sealed", _sealed(looked))
        con.register("pending", _pending(layout, plan))
        con.register("failed", _failures(layout, plan))
        con.register("withdrawn", _withdrawals(layout))
        asked = "" if track_rows is None else f"WHERE track_row IN ({', '.join(map(str, track_rows)) or 'NULL'})"
        if plan is not None:
            tracks, drafts = (layout.plan(plan.plan) / f"{name}.parquet" for name in ("tracks", "drafts"))
            planned = f"""SELECT track_row, t.band, tier, status, reason,
                       crate IN (FROM sealed) AND track_row NOT IN (FROM pending) AS is_lost
                FROM {sql_rows(tracks)} t LEFT JOIN {sql_rows(drafts)} d USING (draft) {asked}"""
        else:
            planned = "SELECT NULL::UINTEGER track_row, NULL band, NULL tier, NULL status, NULL reason, false is_lost WHERE false"
        return con.sql(f"""
            WITH best AS (
                SELECT source, track_id, arg_min(struct_pack(crate, is_dark, sha256, tier, bytes), (is_dark, crate)) AS h
                FROM held GROUP BY source, track_id),
            track AS (
                SELECT *, sha256(source || chr(10) || track_id) AS key FROM {edition.rows("track")} {asked})
            SELECT track.track_row, track.key, track.source, track.track_id, track.title,
                   CASE WHEN w.key IS NOT NULL THEN '{WITHDRAWN}' WHEN h.is_dark THEN '{DARK}' WHEN h IS NOT NULL THEN '{KEPT}'
                        WHEN (f.key IS NOT NULL OR p.is_lost) AND p.status = '{PLANNED}' THEN '{FAILED}'
                        ELSE coalesce(p.status, '{UNPLANNED}') END AS status,
                   coalesce(w.reason, CASE WHEN h IS NOT NULL THEN '' END,
                        CASE WHEN (f.key IS NOT NULL OR p.is_lost) AND p.status = '{PLANNED}'
                             THEN coalesce(f.code, '{UNAVAILABLE}') END, p.reason, '') AS reason,
                   p.band, coalesce(h.tier, p.tier) AS tier, h.crate, h.is_dark, h.sha256, h.bytes, track.listens_count
            FROM track LEFT JOIN best USING (source, track_id) LEFT JOIN ({planned}) p ON p.track_row = track.track_row
                 LEFT JOIN failed f ON f.key = track.key LEFT JOIN withdrawn w ON w.key = track.key
            ORDER BY track.track_row""").to_arrow_table()


def current_plan(layout: Layout, edition: Edition) -> Plan | None:
    """The newest plan, if it was made from this edition."""
    plan = load_newest(layout)
    return plan if plan is not None and plan.edition == edition.info.edition else None


def held_table(layout: Layout, looked: Survey) -> pa.Table:
    """What lies in the crates: one row a track and crate."""
    parts = [_HELD.empty_table()]
    for path, table in looked.found:
        count = table.num_rows
        held = table.select(["source", "track_id", "sha256", "tier", "bytes"])
        held = held.append_column("crate", pa.array([path.stem] * count, pa.string()))
        is_dark = pa.array([path.parent == layout.dark] * count, pa.bool_())
        parts.append(held.append_column("is_dark", is_dark).select(_HELD.names))
    for path in looked.unread:
        rows = [{"source": source, "track_id": track_id, "crate": path.stem, "is_dark": True}
                for source, track_id in planned_for(layout, path)]  # fmt: skip
        parts.append(pa.Table.from_pylist(rows, _HELD))
    return pa.concat_tables(parts)


def _sealed(looked: Survey) -> pa.Table:
    """The crates that stand whole and can be read: what their plan put into them and nobody holds has failed.

    None where a crate is damaged: what it holds is not known.
    """
    crates = [] if looked.damaged else [path.stem for path, _ in looked.found if torrent_beside(path).is_file()]
    return pa.table({"crate": pa.array(crates, pa.string())})


def _pending(layout: Layout, plan: Plan | None) -> pa.Table:
    """The tracks that a supplement asks for which is not sealed yet."""
    drafts = load_supplements(layout, plan) if plan is not None else []
    rows = {row for draft in drafts if not is_sealed(layout, draft) for row in draft.track_rows}
    return pa.table({"track_row": pa.array(sorted(rows), pa.uint32())})


def _failures(layout: Layout, plan: Plan | None) -> pa.Table:
    rows: dict[str, str] = {}
    for draft in [*load_drafts(layout, plan), *load_supplements(layout, plan)] if plan is not None else []:
        for file in (layout.journals / f"{draft.crate}.jsonl", layout.drafts / draft.crate / "journal.jsonl"):
            for outcome in read_journal(file):
                rows[outcome.key] = outcome.code
    return pa.Table.from_pylist([{"key": key, "code": code} for key, code in rows.items() if code], _FAILED)


def _withdrawals(layout: Layout) -> pa.Table:
    rows = [{"key": key, "reason": one.reason} for key, one in known_log(layout).by_key().items()]
    return pa.Table.from_pylist(rows, _WITHDRAWN)


def counts(table: pa.Table, column: str) -> dict[str, int]:
    """How many rows have each value of a column, the most frequent first."""
    found = {row["values"]: row["counts"] for row in table[column].value_counts().to_pylist()}
    return dict(sorted(found.items(), key=lambda one: (-one[1], str(one[0]))))


def archive_status(layout: Layout, settings: Settings) -> dict[str, Any]:
    """All of `tenuto status` as one document; `statuses` adds up to `tracks`, tombstones are counted apart."""
    edition = open_current(layout) if read_pointer(layout.catalogue / "current") else None
    plan = load_newest(layout)
    is_current = plan is not None and edition is not None and plan.edition == edition.info.edition
    looked = survey(layout, settings)
    statuses = (
        counts(track_statuses(layout, settings, edition, plan if is_current else None, looked), "status")
        if edition
        else {}
    )
    held = pa.concat_tables([table.select(["sha256", "bytes"]) for _, table in looked.found] or [_HELD.empty_table()])
    sizes = dict(zip(held["sha256"].to_pylist(), held["bytes"].to_pylist(), strict=True))
    files = crate_files(layout)
    return {
        "archive": settings.archive.name,
        "tracks": edition.info.tables["track"].rows if edition else 0,
        "tombstones": sum(one.tombstones for one in edition.info.sources.values()) if edition else 0,
        "recordings": len(sizes) + sum(count_of(CrateFile(path)) for path in looked.unread),
        "recordings_bytes": sum(sizes.values()),
        "statuses": statuses,
        "licences": edition.info.licences if edition else {},
        "crates": len(files),
        "crates_dark": sum(path.parent == layout.dark for path in files),
        "crates_unread": [path.stem for path in looked.unread],
        "crates_damaged": [path.stem for path in looked.damaged],
        "withdrawn": len(known_log(layout).by_key()),
        "edition": edition.info.edition if edition else None,
        "plan": plan.plan if plan else None,
        "plan_is_current": is_current,
        "sources": _sources(layout, settings, edition),
        "findings": edition.info.findings if edition else {},
        "next": _CHECK
        if looked.damaged
        else _next(layout, settings, edition, plan, statuses, looked, is_current=is_current),
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


def _next(
    layout: Layout, settings: Settings, edition: Edition | None, plan: Plan | None, statuses: dict[str, int], looked: Survey, *,
    is_current: bool,
) -> str:  # fmt: skip
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
    if statuses.get(PLANNED):
        return "tenuto keep"
    return "tenuto harvest, to see what has changed" if _is_published(layout, edition, looked) else "tenuto publish"


def _is_published(layout: Layout, edition: Edition, looked: Survey) -> bool:
    """Whether the publication is of this edition, has all withdrawals, and gives out every crate of recordings as it is now."""
    given_out = layout.publication / "crates"
    log = layout.publication / layout.withdrawals.name
    has_log = not layout.withdrawals.exists() or (log.is_file() and log.read_bytes() == layout.withdrawals.read_bytes())
    crates = [path for path, table in looked.found if path.parent == layout.crates and table.num_rows]
    return (
        has_log
        and any(path.name.endswith(f"-{edition.info.edition}.zip") for path in given_out.glob("*-metadata-*.zip"))
        and all((given_out / path.name).is_file() and (given_out / path.name).samefile(path) for path in crates)
    )


def _is_newer_than_edition(layout: Layout) -> bool:
    """Whether a harvest was finished since the last build, which always writes `current`."""
    built_at = (layout.catalogue / "current").stat().st_mtime_ns
    return any(file.stat().st_mtime_ns > built_at for file in layout.evidence.glob(f"*/*/{MANIFEST_NAME}"))


def _without_budget(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy but for its budget, which `tenuto plan --budget` may set for one plan."""
    return {name: value for name, value in policy.items() if name != "budget"}

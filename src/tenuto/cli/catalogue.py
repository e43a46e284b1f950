"""`tenuto catalogue …`: build, info, diff, gc."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, memory_bytes, open_archive, print_json, reading, working
from tenuto.cli.tables import line, show

_SHOWN_MAX = 60
"""Characters of a text in a table."""

_DIFF_LINES = (
    ("rows_a", "in A", ""), ("appeared", "appeared", "+"), ("came_back", "came back", "+"), ("successors", "took a place", "+"),
    ("gone", "gone", "-"), ("rows_b", "in B", ""), ("missing", "told missing", ""), ("vanished", "told vanished", ""),
    ("replaced", "told replaced", ""), ("absent", "absent", ""), ("changed", "changed", ""), ("counted", "counted", ""),
)  # fmt: skip
"""Of a diff: what is counted, its name, and its sign where it adds up to the rows of B."""


def build(
    *,
    memory: Annotated[
        str | None, Parameter(help="A ceiling for merging: 8GB; at least 2GB. What does not fit goes to --temp.")
    ] = None,
    temp: Annotated[Path | None, Parameter(help="A folder on a disk with room; else the archive's state/.")] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Build the edition of all finished harvests and make it the current one. The same evidence gives the same bytes."""
    from tenuto.catalogue.build import Limits
    from tenuto.catalogue.build import build as build_edition
    from tenuto.catalogue.descriptions import Precedence
    from tenuto.cli.progress import TerminalProgress

    limits = Limits(memory_bytes(memory) if memory is not None else None, _folder(temp))
    with working(archive, "catalogue build") as (layout, settings), TerminalProgress() as progress:
        built = build_edition(layout, progress, limits, Precedence.of(settings))
    damaged = built.edition.info.findings.get("evidence-damaged", 0)
    code = 9 if damaged else 0
    if built.damage:
        print(f"tenuto: the edition was damaged and is written anew: {built.damage}", file=sys.stderr)
    if json:
        print_json({**_document(built.edition), "is_new": built.is_new})
        return code
    there = "" if built.is_new or built.damage else " (there already: nothing new in the evidence)"
    line(f"edition {built.edition.info.edition}{there}")
    _render(built.edition)
    if damaged:
        line(f"Evidence is damaged ({damaged:,} findings evidence-damaged): restore it from a copy, or harvest again")
    line("Next: tenuto plan")
    return code


def _folder(temp: Path | None) -> Path | None:
    from tenuto.model.errors import UsageError

    if temp is not None and not temp.is_dir():
        raise UsageError(f"--temp: {temp} is no folder")
    return temp


def info(*, archive: Archive = HERE, json: Json = False) -> None:
    """Show what is in the current edition."""
    from tenuto.catalogue import open_current

    layout, _ = open_archive(archive)
    edition = open_current(layout)
    if json:
        print_json(_document(edition))
        return
    line(f"edition {edition.info.edition}")
    _render(edition)


def _document(edition: Any) -> dict[str, Any]:
    document: dict[str, Any] = edition.info.model_dump(mode="json")
    tombstones = sum(source.tombstones for source in edition.info.sources.values())
    counts = {"tracks": edition.info.tables["track"].rows, "tombstones": tombstones}
    return {**document, **counts, "path": str(edition.folder)}


def _render(edition: Any) -> None:
    from tenuto.model.units import format_bytes

    filled = {name: table for name, table in edition.info.tables.items() if table.rows}
    show("", ("table", "rows", "bytes", "sha256"),
         [(name, f"{table.rows:,}", format_bytes(table.bytes), table.sha256[:16]) for name, table in filled.items()],
         right=("rows", "bytes"))  # fmt: skip
    if edition.info.findings:
        line()
        show(
            "findings (finding.parquet has each with its evidence)",
            ("code", "count"),
            edition.info.findings.items(),
            right=("count",),
        )


def diff(
    a: str,
    b: str,
    /,
    *,
    limit: Annotated[int, Parameter(help="Examples of each change and field.")] = 3,
    into: Annotated[Path | None, Parameter(help="A new folder for the whole tables, as Parquet.")] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Say what changed between two editions: what appeared, is gone, came back, has another id, and what is said otherwise.

    Parameters
    ----------
    a
        The older edition: its name or the beginning of it, its folder, or `current` or `previous`.
    b
        The newer one.

    """
    from tenuto.archive import Layout
    from tenuto.catalogue.diff import compare
    from tenuto.catalogue.editions import find_edition
    from tenuto.model.errors import UsageError

    if limit < 0:
        raise UsageError("--limit is 0 or more")
    if into is not None and into.exists():
        raise UsageError(f"--into: {into} is there already; name a folder that is not")
    older, newer = find_edition(archive, a), find_edition(archive, b)
    state = Layout(archive.expanduser().absolute()).state
    with compare(older, newer, state if state.is_dir() else None) as found:
        if into is not None:
            found.write(into.expanduser())
        counts, rows, fields, (things, said) = found.counts(), found.rows(), found.fields(), found.examples(limit)
    if json:
        print_json({"a": older.info.edition, "b": newer.info.edition, "counts": counts, "rows": rows, "fields": fields,
                    "things": things, "examples": said, "into": str(into) if into else None})  # fmt: skip
        return
    line(f"from {older.info.edition} to {newer.info.edition}")
    _render_diff(counts, rows, fields, things, said)
    if into is not None:
        line(f"all of it: {into}/things.parquet, {into}/fields.parquet")


def _render_diff(counts: Any, rows: Any, fields: Any, things: Any, said: Any) -> None:
    found = {kind: counts[kind] | rows[kind] for kind in counts}
    show("", ("", *(f"{kind}s" for kind in found)),
         [(name, *(f"{sign}{found[kind][way]:,}" for kind in found)) for way, name, sign in _DIFF_LINES],
         right=[f"{kind}s" for kind in found])  # fmt: skip
    if any(fields.values()):
        line()
        show("what is said otherwise", ("kind", "field", "times"),
             [(kind, field, f"{times:,}") for kind in fields for field, times in fields[kind].items()],
             right=("times",))  # fmt: skip
    if things:
        line()
        show("of these", ("kind", "change", "source", "id", "title", "now"),
             [(row["kind"], row["change"].replace("_", " "), row["source"], row["own_id"], (row["title"] or "")[:_SHOWN_MAX],
               row["successor_id"] or "") for row in things])  # fmt: skip
    if said:
        line()
        show("and", ("kind", "field", "source", "id", "before", "after"),
             [(row["kind"], row["field"], row["source"], row["own_id"], (row["before"] or "")[:_SHOWN_MAX],
               (row["after"] or "")[:_SHOWN_MAX]) for row in said])  # fmt: skip


def gc(
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Delete nothing; say what would be.")] = False,
    keep: Annotated[int, Parameter(help="Editions to keep, the newest, beside those that are needed.")] = 2,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Delete editions that nothing needs, and caches that belong to nothing. Current, planned and published editions stay."""
    from tenuto.catalogue.gc import delete, sort_out
    from tenuto.model.errors import UsageError
    from tenuto.model.units import format_bytes

    if keep < 0:
        raise UsageError("--keep is 0 or more")
    with (reading if dry_run else working)(archive, "catalogue gc") as (layout, _):
        found = sort_out(layout, keep)
        if not dry_run:
            delete(layout, found)
    freed = sum(one.bytes for one in found.rubbish)
    if json:
        rubbish = [{"what": one.what, "name": one.path.name, "bytes": one.bytes} for one in found.rubbish]
        print_json({"is_deleted": not dry_run, "bytes": freed, "deleted": rubbish, "kept": found.kept})
        return
    show("", ("edition", "stays, since"), [(name, why) for name, why in found.kept.items()])
    if found.rubbish:
        line()
        show("to be deleted" if dry_run else "deleted", ("what", "name", "bytes"),
             [(one.what, one.path.name, format_bytes(one.bytes)) for one in found.rubbish], right=("bytes",))  # fmt: skip
    line(f"{format_bytes(freed)} {'would be' if dry_run else 'are'} free")

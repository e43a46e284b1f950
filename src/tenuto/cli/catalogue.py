"""`tenuto catalogue …`: build, info."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json, working
from tenuto.cli.tables import line, show

_MEMORY_MIN_BYTES = 2 * 10**9


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
    from tenuto.cli.progress import TerminalProgress

    limits = Limits(_memory_bytes(memory), _folder(temp))
    with working(archive, "catalogue build") as (layout, _), TerminalProgress() as progress:
        built = build_edition(layout, progress, limits)
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


def _memory_bytes(memory: str | None) -> int | None:
    from tenuto.model.errors import UsageError
    from tenuto.model.units import parse_bytes

    if memory is None:
        return None
    try:
        size = parse_bytes(memory)
    except ValueError as error:
        raise UsageError(f"--memory: {error}") from None
    if size < _MEMORY_MIN_BYTES:
        raise UsageError(f"--memory: {memory} is too little to build with; give 2GB or more")
    return size


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
    counts = {"tracks": edition.info.tables["track"].rows, "tombstones": edition.info.tables["tombstone"].rows}
    return {**document, **counts, "path": str(edition.folder)}


def _render(edition: Any) -> None:
    from tenuto.model.units import format_bytes

    show("", ("table", "rows", "bytes", "sha256"),
         [(name, f"{table.rows:,}", format_bytes(table.bytes), table.sha256[:16]) for name, table in edition.info.tables.items()],
         right=("rows", "bytes"))  # fmt: skip
    if edition.info.findings:
        line()
        show(
            "findings (finding.parquet has each with its evidence)",
            ("code", "count"),
            edition.info.findings.items(),
            right=("count",),
        )

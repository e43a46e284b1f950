"""`tenuto catalogue …`: build, info."""

import sys
from typing import Any

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json, working
from tenuto.cli.tables import line, show


def build(*, archive: Archive = HERE, json: Json = False) -> int:
    """Build the edition of all finished harvests and make it the current one. The same evidence gives the same bytes."""
    from tenuto.catalogue.build import build as build_edition
    from tenuto.cli.progress import TerminalProgress

    with working(archive, "catalogue build") as (layout, _), TerminalProgress() as progress:
        built = build_edition(layout, progress)
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

"""`tenuto plan`."""

import shutil
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line, show


def plan(
    *,
    budget: Annotated[
        str | None, Parameter(help='Overrides the settings: "500 GB", or "60%" of the originals.')
    ] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Decide what is kept within the budget: each track gets one status with a reason. Nothing is fetched."""
    from tenuto.archive.settings import check_budget
    from tenuto.catalogue import open_current
    from tenuto.model.errors import UsageError
    from tenuto.selection import make_plan

    if budget is not None:
        try:
            check_budget(budget)
        except ValueError as error:
            raise UsageError(f"--budget: {error}") from None
    with working(archive, "plan") as (layout, settings):
        made = make_plan(layout, settings, open_current(layout), budget)
    free_bytes = shutil.disk_usage(layout.crates if layout.crates.exists() else layout.root).free
    if json:
        print_json({**made.model_dump(mode="json"), "path": str(layout.plan(made.plan)), "free_bytes": free_bytes,
                    "is_room": made.plan_bytes <= free_bytes})  # fmt: skip
        return
    _render(made, layout.plan(made.plan), free_bytes)


def _render(made: Any, folder: Path, free_bytes: int) -> None:
    from tenuto.model.units import counted, format_bytes, format_share

    line(f"plan {made.plan}")
    line()
    show("what will be kept", ("band", "tier", "access", "tracks", "bytes", "of the listens"),
         [(g.band, g.tier, g.access, f"{g.tracks:,}", format_bytes(g.bytes), _share(g.listens, made.listens)) for g in made.groups],
         right=("tracks", "bytes", "of the listens"))  # fmt: skip
    line()
    show(
        "every track has one status",
        ("status", "tracks"),
        [(s, f"{n:,}") for s, n in made.statuses.items()],
        right=("tracks",),
    )
    line()
    line(
        f"budget     {format_bytes(made.budget_bytes)} of {format_bytes(made.original_bytes)} of originals; "
        f"planned {format_bytes(made.plan_bytes)} in {counted(made.drafts, 'crate')}, {made.drafts_dark} dark"
    )
    line(
        f"value      {format_share(made.value_kept_frac)} kept; no choice of the same tiers can keep more than "
        f"{format_share(made.value_bound_frac)}"
    )
    line(
        f"listens    {format_share(made.listens_kept_frac)} kept; {made.listens_note}"
        if made.listens_kept_frac is not None
        else f"listens    {made.listens_note}"
    )
    line(
        f"disk       {format_bytes(free_bytes)} free: "
        + (
            "enough"
            if made.plan_bytes <= free_bytes
            else f"{format_bytes(made.plan_bytes - free_bytes)} TOO LITTLE; free some, lower the budget, or move the archive"
        )
    )
    line(f"per track  {folder / 'tracks.parquet'}")
    line("Next: tenuto keep")


def _share(part: int | None, whole: int | None) -> str:
    from tenuto.model.units import format_share

    return format_share(part / whole) if part is not None and whole else "-"

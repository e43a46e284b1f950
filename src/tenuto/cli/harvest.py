"""`tenuto harvest`."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.archive import Layout, Settings
from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line, show
from tenuto.model.progress import Progress


def harvest(
    *names: str,
    fresh: Annotated[bool, Parameter(negative="", help="Leave an interrupted harvest behind and begin anew.")] = False,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Ask sources what they have; what they answer is kept as evidence. An interrupted harvest goes on.

    Parameters
    ----------
    names
        The sources; all of them if none is named.

    """
    from tenuto.cli.progress import TerminalProgress

    with working(archive, "harvest") as (layout, settings), TerminalProgress() as progress:
        done, failed = ask_sources(layout, settings, names, progress, is_fresh=fresh)
    if json:
        print_json({"harvests": done, "failed": [{"source": name, "error": error, "exit_code": code}
                                                 for name, error, code in failed]})  # fmt: skip
    else:
        _render(done)
    return _exit_code(done, failed)


def ask_sources(
    layout: Layout, settings: Settings, names: Sequence[str], progress: Progress, *, is_fresh: bool = False,
    stops: Callable[[Exception], bool] = lambda _: False,
) -> tuple[list[dict[str, Any]], list[tuple[str, str, int]]]:  # fmt: skip
    """Harvest one source after the other, all if none is named; a fault of one does not hold up the next.

    Returns the finished harvests as JSON has them, and of each source that failed its name, why, and the exit code. Raises
    SettingsError where there is no source, and the faults of which `stops` says so.
    """
    from tenuto.harvest import HarvestOptions
    from tenuto.harvest import harvest as harvest_source
    from tenuto.model.errors import SettingsError, TenutoError, fault_said

    done: list[dict[str, Any]] = []
    failed: list[tuple[str, str, int]] = []
    wanted = names or tuple(settings.sources)
    if not wanted:
        raise SettingsError("no source yet; add one with: tenuto source add KIND LOCATION --name NAME")
    for name in wanted:
        try:
            manifest = harvest_source(layout, settings, name, progress, HarvestOptions(is_fresh=is_fresh))
        except (TenutoError, OSError) as error:
            if stops(error):
                raise
            code, said = fault_said(error)
            print(f"tenuto: {name}: {said}", file=sys.stderr)
            failed.append((name, said, code))
        else:
            done.append(_document(manifest))
    return done, failed


def has_failed_items(done: Sequence[dict[str, Any]]) -> bool:
    """Whether a harvest that was finished could not get all that it asked for."""
    return any(h["outcomes"].get("failed") or h["outcomes"].get("missing") for h in done)


def _document(manifest: Any) -> dict[str, Any]:
    codes: dict[str, int] = {}
    for finding in manifest.findings:
        codes[finding["code"]] = codes.get(finding["code"], 0) + 1
    return {
        "source": manifest.source,
        "harvest": manifest.harvest,
        "tracks_found": manifest.reconciled[0].found if manifest.reconciled else 0,
        "records": sum(file.records for file in manifest.files),
        "bytes": sum(file.bytes for file in manifest.files),
        "outcomes": manifest.outcomes,
        "cut": manifest.cut,
        "reconciled": [counts.model_dump() for counts in manifest.reconciled],
        "findings": codes,
        "messages": [f"{finding['code']}: {finding['subject']}: {finding['message']}" for finding in manifest.findings],
    }


def _render(done: list[dict[str, Any]]) -> None:
    from tenuto.model.units import format_bytes

    if done:
        show("", ("source", "harvest", "tracks", "answers", "evidence", "findings"),
             [(h["source"], h["harvest"], f"{h['tracks_found']:,}", f"{h['records']:,}", format_bytes(h["bytes"]),
               sum(h["findings"].values())) for h in done], right=("tracks", "answers", "evidence", "findings"))  # fmt: skip
    for harvested in done:
        for message in harvested["messages"][:10]:
            line(f"  {message}")
        if len(harvested["messages"]) > 10:  # noqa: PLR2004 -- one screen
            line(f"  … and {len(harvested['messages']) - 10} more in harvest.json")
    if done:
        line("Next: tenuto catalogue build")


def _exit_code(done: list[dict[str, Any]], failed: list[tuple[str, str, int]]) -> int:
    """The fault's own code where nothing went well; 9 where some things did and others did not."""
    codes = {code for _, _, code in failed}
    if failed and not done and len(codes) == 1:
        return codes.pop()
    return 9 if failed or has_failed_items(done) else 0

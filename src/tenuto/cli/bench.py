"""`tenuto bench …`: generate."""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import Json, print_json, working
from tenuto.cli.tables import line, show

_DAYS_APART = 30


def generate(
    *,
    tracks: Annotated[int, Parameter(name="--tracks")],
    seed: Annotated[int, Parameter(name="--seed")],
    into: Annotated[Path, Parameter(name="--into")],
    harvest: int = 1,
    changed: float | None = None,
    on: date | None = None,
    truth: Path | None = None,
    compare: Path | None = None,
    workers: Annotated[int | None, Parameter(help="Processes; default: one a core.")] = None,
    keys: Annotated[Path | None, Parameter(help="Of a new archive: where the secrets go; default INTO-keys.")] = None,
    json: Json = False,
) -> None:
    """Make up a catalogue: a source called generated, with a finished harvest that every other verb reads. Stopped, it goes on.

    Parameters
    ----------
    tracks
        How many tracks the catalogue has at its first harvest.
    seed
        What it is made from: the same tracks and seed give the same bytes.
    into
        The archive; made if there is none.
    harvest
        Which harvest of the same catalogue: 2 is a later one, and needs the first.
    changed
        Of a later harvest: the share of tracks that changed since the one before (0 to 0.5, default 0.01).
    on
        The day of the harvest: by default 2026-01-31, and 30 days after the one before.
    truth
        A Parquet to write beside: track_id and the number of its recording.
    compare
        A folder of Discogs dumps (*artists.xml.gz, *releases.xml.gz): prints bytes of each field beside real ones.

    """
    from tenuto.bench.answers import write_truth
    from tenuto.bench.archives import add_source, make_missing
    from tenuto.bench.entropy import compared
    from tenuto.bench.generate import generate as write_harvest
    from tenuto.bench.wanted import Wanted
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import UsageError

    if tracks < 1 or seed < 0 or harvest < 1 or (workers is not None and workers < 1):
        raise UsageError("--tracks, --harvest and --workers are 1 or more, --seed is 0 or more")
    if changed is not None and (harvest == 1 or not 0 <= changed <= 0.5):  # noqa: PLR2004 -- half of all is much already
        raise UsageError("--changed is a share from 0 to 0.5, and of a later harvest: --harvest 2")
    make_missing(into, keys)
    with working(into, "bench generate") as (layout, settings), TerminalProgress() as progress:
        add_source(layout, settings, seed, tracks)
        folder = layout.harvests("generated")
        wanted = _wanted(folder, seed, tracks, harvest, changed, on)
        manifest = write_harvest(folder, settings.archive.name, wanted, workers or os.cpu_count() or 1, progress)
        if truth is not None:
            write_truth(truth, wanted, progress)
    fields = compared(Wanted(seed=seed, tracks=tracks, on=wanted.on), compare) if compare is not None else None
    document = _document(manifest, fields)
    if json:
        print_json({"archive": str(layout.root), **document, "truth": str(truth) if truth else None})
    else:
        _render(document, fields, compare)


def _wanted(folder: Path, seed: int, tracks: int, number: int, changed: float | None, on: date | None) -> Any:
    """What is to be made, with the changes of the harvests before it."""
    from tenuto.bench.tables import FIRST_DAY
    from tenuto.bench.wanted import Wanted, begun
    from tenuto.model.errors import UsageError

    before = begun(folder)
    if number > len(before) + 1 or (number <= len(before) and not all(one.is_finished for one in before[: number - 1])):
        raise UsageError(
            f"there are {len(before)} harvests of generated; harvest {number} needs those before it, finished"
        )
    if number <= len(before):
        there = before[number - 1]
        if on not in {None, there.on}:
            raise UsageError(
                f"harvest {number} of generated is of {there.on}; it is there already, or goes on under that day"
            )
        shares = there.shares[:-1] + ((changed,) if changed is not None else there.shares[-1:])
        return Wanted(seed=seed, tracks=tracks, shares=shares, on=there.on)
    last = before[-1] if before else None
    if last is not None and not last.is_finished:
        raise UsageError(f"harvest {number - 1} of generated is not finished; make that first")
    shares = (*last.shares, 0.01 if changed is None else changed) if last else ()
    day = on or (last.on + timedelta(days=_DAYS_APART) if last else FIRST_DAY)
    if last is not None and day <= last.on:
        raise UsageError(f"harvest {number - 1} is of {last.on}; a later one needs a later day than {day}")
    return Wanted(seed=seed, tracks=tracks, shares=shares, on=day)


def _document(manifest: Any, fields: Any) -> dict[str, Any]:
    return {
        "source": manifest.source,
        "harvest": manifest.harvest,
        "tracks": manifest.reconciled[0].found,
        "records": sum(file.records for file in manifest.files),
        "files": len(manifest.files),
        "bytes": sum(file.bytes for file in manifest.files),
        "fields": None if fields is None else [field.document() for field in fields],
    }


def _render(document: dict[str, Any], fields: Any, compare: Path | None) -> None:
    from tenuto.model.units import format_bytes

    show("", ("source", "harvest", "tracks", "answers", "evidence"),
         [(document["source"], document["harvest"], f"{document['tracks']:,}", f"{document['records']:,}",
           format_bytes(document["bytes"]))], right=("tracks", "answers", "evidence"))  # fmt: skip
    if fields is not None:
        line()
        show("bytes a value in Parquet with zstd, as many values of each", ("field", "values", "generated", "real", "as noted"),
             [(f.name, f"{f.values:,}", f"{f.generated_bytes:.1f}", "-" if f.real_bytes is None else f"{f.real_bytes:.1f}",
               "-" if f.noted_bytes is None else f"{f.noted_bytes:.1f}") for f in fields],
             right=("values", "generated", "real", "as noted"))  # fmt: skip
        if all(field.real_bytes is None for field in fields):
            line(f"The comparison was not made: {compare} holds no dumps")
    line("Next: tenuto catalogue build")

"""`tenuto bench …`: tables, catalogue."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import Json, memory_bytes, print_json, working
from tenuto.cli.tables import line, show

_TRACKS_MAX = 2**32 - 2**20
"""Rows are numbers of 32 bits, and a block may begin before the last one."""


def tables(
    *,
    tracks: Annotated[int, Parameter(name="--tracks")],
    seed: Annotated[int, Parameter(name="--seed")],
    into: Annotated[Path, Parameter(name="--into")],
    changed: float = 0.0,
    keys: Annotated[Path | None, Parameter(help="Where the archive's secrets go; default INTO-keys.")] = None,
    json: Json = False,
) -> None:
    """Make up an edition at once, without evidence: a new archive in which every verb that reads a catalogue finds it.

    Parameters
    ----------
    tracks
        How many tracks it has.
    seed
        What it is made from: the same tracks and seed give the same tables.
    into
        The archive; it must not be there yet, but for one that was stopped here.
    changed
        The share of tracks that have another popularity or id, to compare editions (0 to 0.5).

    """
    from tenuto.bench.archives import add_source, make_missing, refuse_used
    from tenuto.bench.editions import write_tables
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import UsageError

    _check(tracks, seed)
    if not 0 <= changed <= 0.5:  # noqa: PLR2004 -- half of all is much already
        raise UsageError(f"--changed {changed} is no share from 0 to 0.5")
    refuse_used(into)
    make_missing(into, keys)
    with working(into, "bench tables") as (layout, settings), TerminalProgress() as progress:
        add_source(layout, settings, seed, tracks)
        edition = write_tables(layout, seed, tracks, progress, changed)
    size = sum(table.bytes for table in edition.info.tables.values())
    document = {"archive": str(layout.root), "edition": edition.info.edition, "tracks": tracks, "bytes": size,
                "bytes_per_track": size / tracks}  # fmt: skip
    if json:
        print_json(document)
        return
    show("", ("edition", "tracks", "bytes a track"), [(edition.info.edition, f"{tracks:,}", f"{size / tracks:.1f}")],
         right=("tracks", "bytes a track"))  # fmt: skip
    line(f"Next: tenuto bench catalogue --tables {into}")


def catalogue(
    *,
    tracks: int | None = None,
    tables: Annotated[Path | None, Parameter(help="Ask this archive's current edition, and build none.")] = None,
    seed: int = 1,
    stream: Annotated[bool, Parameter(negative="", help="Delete evidence as it is read.")] = False,
    temp: Annotated[Path | None, Parameter(help="A folder on a disk with room; else the system's.")] = None,
    memory: Annotated[str, Parameter(help="A ceiling for merging and grouping.")] = "8GB",
    no_text: Annotated[bool, Parameter(negative="", help="Make no text index, and do not search.")] = False,
    sqlite: Annotated[bool, Parameter(negative="", help="The same rows in SQLite, asked the same.")] = False,
    json: Json = False,
) -> None:
    """Make up a catalogue in a temporary folder, build, index and ask it, and say what that took; the folder goes afterwards.

    Parameters
    ----------
    tracks
        How many tracks the catalogue has.
    seed
        What it is made from.

    """
    from tenuto.bench.measure import Asked, measure, measure_there
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import UsageError

    if (tracks is None) == (tables is None):
        raise UsageError("give either --tracks N, or --tables FOLDER of an archive that has an edition")
    if temp is not None and not temp.is_dir():
        raise UsageError(f"--temp: {temp} is no folder")
    if tables is not None and (stream or temp is not None or sqlite):
        raise UsageError("--tables asks an edition that is there: leave out --stream, --temp and --sqlite")
    ceiling_bytes = memory_bytes(memory)
    with TerminalProgress() as progress:
        if tables is not None:
            document = measure_there(tables, ceiling_bytes, progress, has_text=not no_text)
        else:
            _check(tracks or 0, seed)
            document = measure(
                Asked(tracks=tracks or 0, seed=seed, is_streamed=stream, has_text=not no_text, has_peer=sqlite,
                      memory_bytes=ceiling_bytes, temp=temp), progress)  # fmt: skip
    if json:
        print_json(document)
    else:
        _render(document)


def _check(tracks: int, seed: int) -> None:
    from tenuto.model.errors import UsageError

    if not 1 <= tracks <= _TRACKS_MAX or seed < 0:
        raise UsageError(f"--tracks is from 1 to {_TRACKS_MAX:,}, --seed is 0 or more")


_FIGURES = (
    ("build_tracks_per_s", "built, tracks/s", 0), ("build_cpu_us_per_track", "built, µs of processor a track", 1),
    ("bytes_per_track", "tables, bytes a track", 1), ("id_index_bytes_per_track", "id index, bytes a track", 1),
    ("id_keys_bytes_per_track", "of these its keys", 1),
    ("index_tracks_per_s", "text index, tracks/s", 0), ("index_cpu_us_per_track", "text index, µs of processor a track", 1),
    ("index_bytes_per_track", "text index, bytes a track", 1), ("lookup_p50_ms", "lookup, p50 ms", 2),
    ("lookup_p95_ms", "lookup, p95 ms", 2), ("lookup_cpu_p95_ms", "lookup, p95 ms of processor", 2),
    ("text_p50_ms", "words, p50 ms", 2), ("text_p95_ms", "words, p95 ms", 2),
    ("text_cpu_p95_ms", "words, p95 ms of processor", 2), ("cold_start_ms", "new process to answer, ms", 0),
    ("clusters_precision", "clusters, precision", 4), ("clusters_recall", "clusters, recall", 4),
)  # fmt: skip


def _render(document: dict[str, Any]) -> None:
    from tenuto.model.units import format_bytes

    peer = document.get("sqlite")
    of_peer = {} if peer is None else {
        "build_tracks_per_s": None, "bytes_per_track": peer["bytes_per_track"], "lookup_p50_ms": peer["lookup_p50_ms"],
        "lookup_p95_ms": peer["lookup_p95_ms"], "text_p50_ms": peer["text_p50_ms"], "text_p95_ms": peer["text_p95_ms"],
    }  # fmt: skip
    show(f"{document['tracks']:,} tracks", ("what", "tenuto", *(("SQLite",) if peer else ())),
         [(name, _said(document.get(key), digits), *((_said(of_peer.get(key), digits),) if peer else ()))
          for key, name, digits in _FIGURES], right=("tenuto", "SQLite"))  # fmt: skip
    line()
    show("", ("question to all tracks", "seconds"),
         [(name, f"{taken:.2f}") for name, taken in document["grouping_s"].items()], right=("seconds",))  # fmt: skip
    if peer is not None:
        line()
        show("", ("in SQLite", "seconds"), [("all rows, indexes and FTS5", f"{peer['build_s']:.2f}"),
             *((name, f"{taken['sqlite_s']:.2f}") for name, taken in peer["grouping"].items())], right=("seconds",))  # fmt: skip
    line()
    show("", ("phase", "seconds", "of processors", "most memory"),
         [(name, f"{phase['seconds']:.1f}", f"{phase['cpu_s']:.1f}", format_bytes(phase["peak_bytes"]))
          for name, phase in document["phases"].items()], right=("seconds", "of processors", "most memory"))  # fmt: skip


def _said(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"

"""A made-up catalogue built, indexed and asked, in a folder that is gone afterwards: what each step takes, and what comes out.

The edition is made as `catalogue build` makes it, of evidence as a harvest leaves it. Where evidence is streamed, some files of it
are made, read and deleted before the next ones: so it never lies on the disk whole, and making it is told apart from reading it.
"""

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tenuto import __version__
from tenuto.archive import ArchiveLock, Layout, load_settings
from tenuto.archive.processes import processors
from tenuto.bench.agreement import agreement
from tenuto.bench.archives import add_source, make_missing
from tenuto.bench.asking import ask_all, beside_peer
from tenuto.bench.generate import manifest_of, write_files
from tenuto.bench.tables import FIRST_DAY, SOURCE
from tenuto.bench.wanted import Wanted, parts_of, totals_of
from tenuto.bench.watch import Watch
from tenuto.catalogue import Edition, open_current
from tenuto.catalogue.build import Limits, build_read
from tenuto.catalogue.lookup import Catalogue
from tenuto.catalogue.reading import Read, read_all
from tenuto.evidence import HarvestManifest
from tenuto.model.errors import UsageError
from tenuto.model.progress import Progress
from tenuto.model.units import format_bytes
from tenuto.sources import check_options

FILES_AT_ONCE = 48
"""Of streamed evidence: 8.4 M tracks, 1.1 GB; many enough that no processor waits long for the last file."""

BUILDING = ("read", "merge", "id index")
_NOT_OURS = ("generate", "compare clusters", "sqlite")
"""Phases whose memory is that of making up, of comparing and of the peer."""

_BYTES_OF = {"evidence": 140, "rest": 330, "sqlite": 800}
"""Of a track on the disk at most: parts, tables, indexes and what the database spills are the rest."""

_LIBRARIES = ("duckdb", "pyarrow", "tantivy", "msgspec", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be measured; `temp` is the folder in which a folder for it is made, None the system's."""

    tracks: int
    seed: int = 1
    is_streamed: bool = False
    has_text: bool = True
    has_peer: bool = False
    memory_bytes: int = 8 * 10**9
    temp: Path | None = None
    files_at_once: int = FILES_AT_ONCE


def measure(asked: Asked, progress: Progress) -> dict[str, Any]:
    """All figures of one catalogue (docs/cli.md). Raises UsageError where the disk has too little room."""
    watch = Watch()
    with _folder(asked) as place:
        layout = _archive(place / "archive", asked)
        with ArchiveLock(layout.lock, "bench catalogue"):
            harvests, read = read_evidence(layout, asked, watch, progress)
            with watch.phase("merge"):
                built = build_read(layout, harvests, read, progress, Limits(asked.memory_bytes, place))
        with watch.phase("id index"):
            Catalogue.open(layout.root, progress)
        figures = _of_building(built.edition, asked.tracks, watch)
        answers = ask_all(layout, watch, progress, asked.memory_bytes, has_text=asked.has_text)
        with watch.phase("compare clusters"):
            found = agreement(built.edition, asked.seed, asked.tracks)
        figures |= {"clusters_precision": found.precision, "clusters_recall": found.recall,
                    "clusters_looked_at": 1 / found.every}  # fmt: skip
        peer = beside_peer(layout, watch, place, progress, asked.memory_bytes) if asked.has_peer else None
    return {
        "tracks": asked.tracks,
        "seed": asked.seed,
        "is_streamed": asked.is_streamed,
        **figures,
        **answers,
        "sqlite": peer,
        **of_watch(watch),
    }


def of_watch(watch: Watch) -> dict[str, Any]:
    """Memory, phases, and on what they were measured."""
    peaks = [phase.peak_bytes for name, phase in watch.phases.items() if name not in _NOT_OURS]
    return {
        "peak_rss_bytes": max(peaks, default=0) or None,
        "phases": {name: asdict(phase) for name, phase in watch.phases.items()},
        "machine": {
            "processors": processors(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": platform.platform(),
        },
        "versions": {
            "tenuto": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
            "sqlite": sqlite3.sqlite_version,
        },
    }


@contextmanager
def _folder(asked: Asked) -> Iterator[Path]:
    """A folder with room, which goes with all that is in it."""
    home = asked.temp or Path(tempfile.gettempdir())
    evidence = 0 if asked.is_streamed else _BYTES_OF["evidence"]
    need = asked.tracks * (evidence + _BYTES_OF["rest"] + (_BYTES_OF["sqlite"] if asked.has_peer else 0))
    if (free := shutil.disk_usage(home).free) < need:
        raise UsageError(f"{home} has {format_bytes(free)} free, {asked.tracks:,} tracks may take {format_bytes(need)}; name a "
                         "folder with more room: --temp DIR, or take fewer tracks")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="tenuto-bench-", dir=home) as place:
        yield Path(place)


def _archive(root: Path, asked: Asked) -> Layout:
    make_missing(root, None)
    layout = Layout(root)
    add_source(layout, load_settings(layout.settings, check_options), asked.seed, asked.tracks)
    return layout


def read_evidence(
    layout: Layout, asked: Asked, watch: Watch, progress: Progress
) -> tuple[dict[str, list[HarvestManifest]], Read]:
    """The evidence made and read; streamed, it is deleted meanwhile."""
    wanted = Wanted(seed=asked.seed, tracks=asked.tracks, on=FIRST_DAY)
    harvest = layout.harvests(SOURCE) / wanted.harvest
    harvest.mkdir(parents=True)
    with watch.phase("generate"):
        parts, totals = parts_of(wanted), totals_of(wanted)
    read: Read = {SOURCE: [[]]}
    at_once = asked.files_at_once if asked.is_streamed else len(parts)
    for begin in range(0, len(parts), at_once):
        some = parts[begin : begin + at_once]
        with watch.phase("generate"):
            files = write_files(harvest, wanted, totals, some, processors(), progress)
        manifest = manifest_of("bench", wanted, totals, some, files)
        with watch.phase("read"):
            found = read_all(layout.evidence, {SOURCE: [manifest]}, layout.parts, progress)
        read[SOURCE][0] += found[SOURCE][0]
        if asked.is_streamed:
            for file in files:
                (harvest / file.name).unlink()
    whole = manifest_of("bench", wanted, totals, parts, tuple(file for file, _ in read[SOURCE][0]))
    return {SOURCE: [whole]}, read


def _of_building(edition: Edition, tracks: int, watch: Watch) -> dict[str, Any]:
    phases = [watch.phases[name] for name in BUILDING]
    return {
        "build_tracks_per_s": tracks / sum(phase.seconds for phase in phases),
        "build_cpu_us_per_track": sum(phase.cpu_s for phase in phases) * 1e6 / tracks,
        "bytes_per_track": _bytes_per_track(edition),
    }


def measure_there(folder: Path, memory_bytes: int, progress: Progress, *, has_text: bool) -> dict[str, Any]:
    """The figures of asking the current edition of an archive, which stays as it is; indexes that it lacks are made, and stay."""
    layout, watch = Layout.find(folder), Watch()
    edition = open_current(layout)
    tracks = edition.info.tables["track"].rows
    if not tracks:
        raise UsageError(f"{edition.folder} has no tracks: there is nothing to ask")
    with watch.phase("id index"):
        Catalogue.open(layout.root, progress)
    answers = ask_all(layout, watch, progress, memory_bytes, has_text=has_text)
    return {"tracks": tracks, "bytes_per_track": _bytes_per_track(edition), **answers, **of_watch(watch)}


def _bytes_per_track(edition: Edition) -> float:
    return sum(table.bytes for table in edition.info.tables.values()) / edition.info.tables["track"].rows

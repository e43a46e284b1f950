"""Asking a catalogue that is there: looking up, searching, grouping, from a new process; and the same of SQLite beside it."""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from tenuto.archive import Layout
from tenuto.bench.groupings import GROUPINGS, grouped
from tenuto.bench.peer import GROUPINGS as OF_PEER
from tenuto.bench.peer import ask_peer, grouped_by_peer, write_peer
from tenuto.bench.questions import Times, draw, timed
from tenuto.bench.watch import Watch
from tenuto.catalogue.lookup import Catalogue
from tenuto.model.errors import IntegrityError, TenutoError
from tenuto.model.progress import Progress

QUESTIONS = 500
"""Of each kind: ids, ISRCs, texts."""

_STARTS = 5


def ask_all(
    layout: Layout, watch: Watch, progress: Progress, memory_bytes: int, *, has_text: bool, questions: int = QUESTIONS
) -> dict[str, Any]:
    """Everything that an edition with its indexes is asked; the text index is made where it is missing."""
    with Catalogue.open(layout.root, progress) as catalogue:
        edition = catalogue.edition
        tracks = max(1, edition.info.tables["track"].rows)
        progress.begin("draw questions")
        asked = draw(catalogue, questions)
        progress.begin("look up")
        with watch.phase("look up"):
            found = timed([*(partial(catalogue.by_id, key) for key in asked.ids),
                           *(partial(catalogue.by_isrc, key) for key in asked.isrcs)])  # fmt: skip
        figures: dict[str, Any] = _times("lookup", found)
        figures["id_index_bytes_per_track"] = _bytes(layout, "*") / tracks
        figures["id_keys_bytes_per_track"] = _bytes(layout, "*.keys") / tracks
        if has_text:
            figures |= _text(catalogue, layout, watch, asked.texts, tracks)
        progress.begin("start anew")
        with watch.phase("cold start"):
            figures |= _cold_start(layout, [key for key in asked.isrcs if not key.startswith("ZZ")][:_STARTS])
        progress.begin("group", len(GROUPINGS), "questions")
        groupings = dict[str, float]()
        for name in GROUPINGS:
            with watch.phase("group"):
                groupings[name], _ = grouped(edition, name, memory_bytes, layout.state)
            progress.advance()
    return {**figures, "grouping_s": groupings}


def beside_peer(
    layout: Layout, watch: Watch, place: Path, progress: Progress, memory_bytes: int, questions: int = QUESTIONS
) -> dict[str, Any]:
    """The same rows in SQLite: its size, its seconds, the same questions. Raises IntegrityError where it counts otherwise."""
    path = place / "catalogue.sqlite"
    with Catalogue.open(layout.root, progress) as catalogue:
        edition, asked = catalogue.edition, draw(catalogue, questions)
    with watch.phase("sqlite"):
        begun = perf_counter()
        size = write_peer(edition, path, progress)
        taken = perf_counter() - begun
        lookup, text = ask_peer(path, asked)
        groupings = dict[str, dict[str, float]]()
        for name in OF_PEER:
            peer_s, theirs = grouped_by_peer(path, name)
            ours_s, ours = grouped(edition, name, memory_bytes, place)
            if theirs != ours:
                raise IntegrityError(
                    f"SQLite counts other {name} than {edition.folder} does: one of them lacks rows; report it"
                )
            groupings[name] = {"sqlite_s": peer_s, "tenuto_s": ours_s}
    tracks = edition.info.tables["track"].rows
    return {
        "bytes_per_track": size / tracks,
        "build_s": taken,
        "tracks_per_s": tracks / taken,
        **_times("lookup", lookup),
        **_times("text", text),
        "grouping": groupings,
    }


def _text(catalogue: Catalogue, layout: Layout, watch: Watch, texts: Sequence[str], tracks: int) -> dict[str, Any]:
    is_there = _bytes(layout, "text/**/*") > 0
    with watch.phase("text index"):
        catalogue.search("a", 1)  # makes the index where it is missing
    with watch.phase("search"):
        found = timed([partial(catalogue.search, text) for text in texts])
    made = watch.phases["text index"]
    return {
        "index_bytes_per_track": _bytes(layout, "text/**/*") / tracks,
        "index_tracks_per_s": None if is_there else tracks / made.seconds,
        "index_cpu_us_per_track": None if is_there else made.cpu_s * 1e6 / tracks,
        **_times("text", found),
    }


def _cold_start(layout: Layout, isrcs: Sequence[str]) -> dict[str, float | None]:
    """The median of new processes that find an ISRC each; one before them is not counted. Raises TenutoError where one fails."""
    taken, taken_cpu = list[float](), list[float]()
    for isrc in [*isrcs[:1], *isrcs]:
        begun, begun_cpu = perf_counter(), os.times()
        words = [sys.executable, "-m", "tenuto", "find", "--isrc", isrc, "--archive", str(layout.root), "--json"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 -- our own words
        ended_cpu = os.times()
        if done.returncode or isrc.encode() not in done.stdout:
            said = done.stderr.decode(errors="replace").strip()
            raise TenutoError(f"tenuto find --isrc {isrc} did not find it: {said}")
        taken.append(perf_counter() - begun)
        taken_cpu.append(
            ended_cpu.children_user + ended_cpu.children_system - begun_cpu.children_user - begun_cpu.children_system
        )
    return {
        "cold_start_ms": statistics.median(taken[1:]) * 1e3 if isrcs else None,
        "cold_start_cpu_ms": statistics.median(taken_cpu[1:]) * 1e3 if isrcs else None,
    }


def _times(name: str, found: Times) -> dict[str, float]:
    return {f"{name}_{key}": value for key, value in asdict(found).items()}


def _bytes(layout: Layout, pattern: str) -> int:
    """The bytes of files of the one index that an archive has."""
    return sum(file.stat().st_size for file in (layout.state / "lookup").glob(f"*/{pattern}") if file.is_file())

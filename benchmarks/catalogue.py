"""Catalogues of growing size, built, indexed and asked: what a track costs, relative to the smallest; beside SQLite.

python benchmarks/catalogue.py [--tracks 1000000,10000000] [--large] [--memory 8GB] [--temp DIR] [--write]

Each size is a `tenuto bench catalogue` of its own. SQLite takes part, with the same rows, up to 10 million tracks. Two editions of
the largest of these sizes, one track in a hundred changed, are compared. `--large` adds 50 million, whose evidence is deleted
as it is read, and 256 million as tables at once, of which lookup, search and groupings are measured. `--write` puts the tables
into docs/performance.md, in place of those of the run before.

Seconds of the processors stand beside those of the clock, which other work on the machine makes longer.
"""

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring import show

from tenuto.archive import Layout
from tenuto.bench.watch import Phase, Watch
from tenuto.catalogue import open_current
from tenuto.catalogue.diff import compare

DOCUMENT = Path(__file__).parents[1] / "docs/performance.md"
HEADING = "## Catalogues at size"
LARGE, AT_ONCE = 50_000_000, 256_000_000
PEER_MAX = 10_000_000
FIGURES = (
    ("build, tracks/s", "build_tracks_per_s", 0), ("build, µs of processor a track", "build_cpu_us_per_track", 2),
    ("tables, bytes a track", "bytes_per_track", 2), ("id index, bytes a track", "id_index_bytes_per_track", 2),
    ("of these its keys", "id_keys_bytes_per_track", 2),
    ("text index, bytes a track", "index_bytes_per_track", 2), ("text index, tracks/s", "index_tracks_per_s", 0),
    ("text index, µs of processor a track", "index_cpu_us_per_track", 2), ("lookup p50, ms", "lookup_p50_ms", 2),
    ("lookup p95, ms", "lookup_p95_ms", 2), ("lookup p95, ms of processor", "lookup_cpu_p95_ms", 2),
    ("words p50, ms", "text_p50_ms", 2), ("words p95, ms", "text_p95_ms", 2),
    ("words p95, ms of processor", "text_cpu_p95_ms", 2), ("new process to answer, ms", "cold_start_ms", 0),
    ("the same, ms of processor", "cold_start_cpu_ms", 0), ("clusters, precision", "clusters_precision", 4),
    ("clusters, recall", "clusters_recall", 4),
)  # fmt: skip
OF_PEER = ("tracks_per_s", "bytes_per_track", "lookup_p50_ms", "lookup_p95_ms", "text_p50_ms", "text_p95_ms")


def tenuto(*words: str) -> dict[str, Any]:
    """What a verb says with --json; raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "tenuto", *words, "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def said(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def relative(runs: Sequence[dict[str, Any]], key: str, digits: int) -> list[str]:
    """A figure of each run, and how much that is of the first one's where it is a cost."""
    first = runs[0].get(key)
    is_cost = key.endswith(("_us_per_track", "bytes_per_track", "_ms"))
    return [
        said(run.get(key), digits) + (f" ({run[key] / first:.2f})" if n and is_cost and run.get(key) and first else "")
        for n, run in enumerate(runs)
    ]


def show_all(runs: Sequence[dict[str, Any]]) -> None:
    """The tables."""
    sizes = [f"{run['tracks']:,}" for run in runs]
    rows = [(title, *relative(runs, key, digits)) for title, key, digits in FIGURES]
    rows.append(("most memory, GB", *(said((run["peak_rss_bytes"] or 0) / 1e9) for run in runs)))
    show("In brackets: relative to the first.", ("tracks", *sizes), rows)
    phases = list(dict.fromkeys(name for run in runs for name in run["phases"]))
    taken = [[run["phases"].get(name) for run in runs] for name in phases]
    cells = [["-" if one is None else f"{one['seconds']:,.1f} ({one['cpu_s']:,.1f})" for one in some] for some in taken]
    show(
        "Seconds (of processors).", ("phase", *sizes), [(name, *some) for name, some in zip(phases, cells, strict=True)]
    )
    show("All tracks, seconds.", ("question", *sizes),
         [(name, *(said(run["grouping_s"][name]) for run in runs)) for name in runs[0]["grouping_s"]])  # fmt: skip
    beside = [run for run in runs if run.get("sqlite")]
    if beside:
        show("SQLite, the same rows, indexes and FTS5.", ("tracks", *(f"{run['tracks']:,}" for run in beside)), [
            *((key, *(said(run["sqlite"][key]) for run in beside)) for key in OF_PEER),
            *((f"{name}, s (tenuto)", *(f"{one['sqlite_s']:.2f} ({one['tenuto_s']:.2f})" for run in beside
               for one in [run["sqlite"]["grouping"][name]])) for name in beside[0]["sqlite"]["grouping"]),
        ])  # fmt: skip


def measured(tracks: int, memory: str, temp: Path, *, is_large: bool) -> dict[str, Any]:
    """One size."""
    words = ["bench", "catalogue", "--tracks", str(tracks), "--memory", memory, "--temp", str(temp)]
    return tenuto(*words, *(["--stream"] if is_large else []), *(["--sqlite"] if tracks <= PEER_MAX else []))


def at_once(tracks: int, memory: str, temp: Path) -> dict[str, Any]:
    """An edition written without evidence, and asked."""
    with tempfile.TemporaryDirectory(prefix="tenuto-bench-", dir=temp) as place:
        folder = f"{place}/archive"
        tenuto("bench", "tables", "--tracks", str(tracks), "--seed", "1", "--into", folder)
        return tenuto("bench", "catalogue", "--tables", folder, "--memory", memory)


def compared(tracks: int, temp: Path) -> tuple[Phase, dict[str, int]]:
    """Two editions, one track in a hundred changed: what it takes to compare them, and what was found of tracks."""
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="tenuto-bench-", dir=temp) as place:
        editions = []
        for name, changed in (("before", "0"), ("after", "0.01")):
            words = ("--tracks", str(tracks), "--seed", "1", "--changed", changed, "--into", f"{place}/{name}")
            tenuto("bench", "tables", *words)
            editions.append(open_current(Layout.find(Path(place) / name)))
        with watch.phase("compare"), compare(*editions, home=Path(place)) as found:
            counts = found.counts()["track"]
    return watch.phases["compare"], counts


def write(text: str) -> None:
    """Put the section in place of the one before, or at the end."""
    document = DOCUMENT.read_text(encoding="utf-8")
    kept = re.sub(rf"^{HEADING}\n.*?(?=^## |\Z)", "", document, flags=re.MULTILINE | re.DOTALL).rstrip()
    DOCUMENT.write_text(f"{kept}\n\n{text.strip()}\n", encoding="utf-8")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tracks", default="1000000,10000000", help="sizes, the smallest first")
    options.add_argument("--large", action="store_true", help="50 and 256 million tracks too")
    options.add_argument("--memory", default="8GB")
    options.add_argument("--temp", type=Path, default=Path(tempfile.gettempdir()))
    options.add_argument("--write", action="store_true", help="into docs/performance.md")
    given = options.parse_args()
    sizes = [int(size) for size in given.tracks.split(",")]
    runs = [measured(size, given.memory, given.temp, is_large=False) for size in sizes]
    if given.large:
        runs.append(measured(LARGE, given.memory, given.temp, is_large=True))
        runs.append(at_once(AT_ONCE, given.memory, given.temp))
    pair = max(run["tracks"] for run in runs if "build_tracks_per_s" in run)
    phase, counts = compared(pair, given.temp)
    machine = runs[0]["machine"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        print(f"{HEADING}\n")
        print(f"{datetime.now(UTC).date()}, `benchmarks/catalogue.py --tracks {given.tracks}{' --large' if given.large else ''}`; "
              f"{machine['processors']} processors, {machine['memory_bytes'] / 1e9:.0f} GB, {given.memory} given. "
              + ", ".join(f"{name} {number}" for name, number in runs[0]["versions"].items()) + ".")  # fmt: skip
        show_all(runs)
        show("Two editions compared.", ("tracks", "seconds", "of processors", "most memory, GB", "found"),
             [(f"{pair:,}", said(phase.seconds), said(phase.cpu_s), said(phase.peak_bytes / 1e9),
               ", ".join(f"{count:,} {change}" for change, count in counts.items() if count))])  # fmt: skip
    print(printed.getvalue())
    if given.write:
        write(printed.getvalue())


if __name__ == "__main__":
    main()

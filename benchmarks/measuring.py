"""What every benchmark needs: medians, memory, a cold cache, rows of a table."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PEAK = """
import pathlib, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's, where that is larger
    print("peak", int(status.partition("VmHWM:")[2].split()[0]) * 1024, file=sys.stderr)
"""


def seconds(work: Callable[[], object], times: int = 5, before: Callable[[], object] | None = None) -> float:
    """The median of so many runs, `before` each of them not counted."""
    taken = []
    for _ in range(times):
        if before:
            before()
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def seconds_in_turns(works: Sequence[Callable[[], object]], times: int = 5) -> list[float]:
    """The medians of works that are compared: they take turns, so that a slow minute of the machine meets all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, found in zip(works, taken, strict=True):
            found.append(seconds(work, 1))
    return [statistics.median(found) for found in taken]


def peak_bytes() -> int:
    """The most memory that this process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_bytes_of(script: Path, *words: str) -> int:
    """The most memory that a script holds in a process of its own; raises CalledProcessError where it fails."""
    command = [sys.executable, "-c", _PEAK, str(script), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return int(done.stderr.rpartition("peak ")[2])


def forget(path: Path) -> None:
    """Drop a file from the page cache, so that the next reader reads the disk."""
    with path.open("rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a Markdown table, which is also one for people."""
    cells = [[str(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")

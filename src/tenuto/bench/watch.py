"""Watching long work: seconds of the clock and of the processors, and the memory of the process and all that it started."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

_EVERY_S = 0.2
_PROCESSES = Path("/proc")


@dataclass(slots=True)
class Phase:
    """What one phase took, its rounds together: `cpu_s` with the processes that ended by then, `peak_bytes` 0 if nobody knows."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0


class Watch:
    """The phases of a measurement, by name, in the order in which they began."""

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block as part of a phase; several blocks of one name add up."""
        found = self.phases.setdefault(name, Phase())
        begun, begun_cpu = perf_counter(), _cpu_s()
        with _looking(found):
            try:
                yield
            finally:
                found.seconds += perf_counter() - begun
                found.cpu_s += _cpu_s() - begun_cpu


@contextmanager
def _looking(phase: Phase) -> Iterator[None]:
    """Look at the memory five times a second, and at the end."""
    end = threading.Event()

    def look() -> None:
        while not end.wait(_EVERY_S):
            phase.peak_bytes = max(phase.peak_bytes, tree_bytes(phase.peak_bytes))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        phase.peak_bytes = max(phase.peak_bytes, tree_bytes(phase.peak_bytes))


def tree_bytes(above: int = 0) -> int:
    """Memory of this process and all that descend from it, what several share counted once, mapped files apart; 0 where the
    system does not tell, or where it is surely not more than `above`: what is resident is told at once, and is no less; each
    process's share of it takes the kernel 10 ms for each GB.
    """
    processes = list(_family(os.getpid()))
    if sum(_kilobytes(pid, "status", ("RssAnon", "RssShmem")) for pid in processes) * 1024 <= above:
        return 0
    return sum(_kilobytes(pid, "smaps_rollup", ("Pss_Anon", "Pss_Shmem")) for pid in processes) * 1024


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    with suppress(OSError):
        for task in (_PROCESSES / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _kilobytes(pid: int, file: str, names: tuple[str, ...]) -> int:
    """The sum of some lines of a process; one that ended by now has none."""
    with suppress(OSError):
        lines = (_PROCESSES / str(pid) / file).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.partition(":")[0] in names)
    return 0


def _cpu_s() -> float:
    """Seconds of processors, of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

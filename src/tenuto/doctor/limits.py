"""What the system lets one process have: open files, memory, cores."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from tenuto.doctor.result import Result
from tenuto.model.units import counted, format_bytes

_TOPIC = "limits"
_DESCRIPTORS_OWN = 56
"""Of the program itself: its libraries, its log, its lock."""

DESCRIPTORS_WANTED = _DESCRIPTORS_OWN + 200
"""To seed any number of crates: libtorrent keeps few files open at a time (with 1,500 crates at most 53 descriptors were seen), and
has up to 200 connections.
"""

MEMORY_MIN_BYTES = 1_000_000_000
_MEMORY_A_WORKER_BYTES = 400_000_000
"""A crate of 20,000 recordings took 384 MB to keep (docs/performance.md)."""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, slots=True)
class Limits:
    """`descriptors` may be raised to `descriptors_most` by the user; -1 is without end."""

    descriptors: int
    descriptors_most: int
    memory_bytes: int
    cores: int


def measure() -> Limits:
    """What this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(soft, hard, _memory_bytes(), len(os.sched_getaffinity(0)))


def look(limits: Limits) -> list[Result]:
    """Whether that is enough to keep and to seed."""
    return [_descriptors(limits), _memory(limits)]


def _descriptors(limits: Limits) -> Result:
    wanted, may = DESCRIPTORS_WANTED, limits.descriptors
    if may == resource.RLIM_INFINITY or may >= wanted:
        said = "as many open files as one likes" if may == resource.RLIM_INFINITY else f"{may:,} open files"
        return Result(_TOPIC, "ok", f"a process may have {said}; to seed takes about {wanted:,}, however many crates")
    message = f"a process may have {may:,} open files; to seed takes about {wanted:,}, however many crates"
    if limits.descriptors_most == resource.RLIM_INFINITY or limits.descriptors_most >= wanted:
        return Result(
            _TOPIC, "warning", message, f"before seeding: ulimit -n {wanted} (in a systemd unit: LimitNOFILE={wanted})"
        )
    remedy = f"LimitNOFILE={wanted} in the systemd unit, or `* hard nofile {wanted}` in /etc/security/limits.conf"
    return Result(_TOPIC, "warning", f"{message}, and more than {limits.descriptors_most:,} it may not ask for", remedy)


def _memory(limits: Limits) -> Result:
    said = f"{limits.memory_bytes / 1e9:.1f} GB of memory, {counted(limits.cores, 'core')}"
    if limits.memory_bytes and limits.memory_bytes < MEMORY_MIN_BYTES:
        return Result(_TOPIC, "warning", f"only {said}", "keep with one process: tenuto keep --workers 1; and add swap")
    if limits.memory_bytes and limits.memory_bytes < limits.cores * _MEMORY_A_WORKER_BYTES:
        workers = max(1, limits.memory_bytes // _MEMORY_A_WORKER_BYTES)
        message = f"{said}: a process for each core may want more ({format_bytes(_MEMORY_A_WORKER_BYTES)} each)"
        return Result(_TOPIC, "warning", message, f"tenuto keep --workers {workers}")
    return Result(
        _TOPIC,
        "ok",
        said if limits.memory_bytes else f"{counted(limits.cores, 'core')}; how much memory cannot be seen",
    )


def _memory_bytes() -> int:
    """The machine's memory, or what its container is given of it; 0 where nobody says."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        found = 0
    for file in _CGROUP_LIMITS:
        try:
            most = int(file.read_text())
        except (OSError, ValueError):  # no such group, or `max`
            continue
        found = min(found or most, most)
    return found

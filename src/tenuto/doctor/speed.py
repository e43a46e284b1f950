"""How fast this machine hashes, writes and reads, measured in about a second, and what that means for a check of all crates."""

import contextlib
import hashlib
import mmap
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.doctor.result import Result
from tenuto.model.units import format_bytes

_TOPIC = "speed"
_HASH_S = 0.05
_WRITE_S = 0.4
_READ_S = 0.4
_BLOCK_BYTES = 2**20
_FILE_MAX_BYTES = 64 * 2**20
_FREE_MIN_BYTES = 20 * _FILE_MAX_BYTES
_SLOW_BYTES_PER_S = 20_000_000
"""A disk below that is an old stick or card, or one that fails."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Bytes a second; None where it was not measured. `is_cached`: the read may have come from memory."""

    sha256: float
    write: float | None = None
    read: float | None = None
    is_cached: bool = False
    fault: str = ""


def measure(folder: Path | None) -> Speed:
    """Hash a block for 50 ms; write and read a file of 64 MiB at most in `folder`, which has no name and stays nowhere."""
    sha256 = _hashed()
    if folder is None:
        return Speed(sha256)
    try:
        if shutil.disk_usage(folder).free < _FREE_MIN_BYTES:
            return Speed(sha256, fault=f"less than {format_bytes(_FREE_MIN_BYTES)} are free")
        with _file_without_name(folder) as handle:
            size, seconds = _written(handle)
            read, is_cached = _read(handle, size)
    except OSError as error:
        return Speed(sha256, fault=str(error.strerror or error))
    return Speed(sha256, size / seconds, read, is_cached)


def look(speed: Speed, crates_bytes: int | None) -> list[Result]:
    """`crates_bytes` are what a check has to read; None outside of any archive."""
    hashed = f"SHA-256 {format_bytes(speed.sha256)}/s on one core"
    if crates_bytes is None:
        return [Result(_TOPIC, "ok", hashed)]
    if speed.write is None or speed.read is None:
        message = f"{hashed}; the disk was not measured: {speed.fault or 'nobody knows why'}"
        return [Result(_TOPIC, "note", message, "tenuto doctor measures it once that is mended")]
    cached = " (perhaps from memory)" if speed.is_cached else ""
    figures = f"{hashed}; disk: writes {format_bytes(speed.write)}/s, reads {format_bytes(speed.read)}/s{cached}"
    message = f"{figures}; {_meaning(crates_bytes, min(speed.sha256, speed.read))}"
    if min(speed.write, speed.read) < _SLOW_BYTES_PER_S:
        remedy = "see whether the disk is well (sudo smartctl -a DEVICE) and not busy; crates want a disk of 100 MB/s"
        return [Result(_TOPIC, "warning", f"the disk is slow: {message}", remedy)]
    return [Result(_TOPIC, "ok", message)]


def _meaning(count: int, bytes_per_s: float) -> str:
    if not count:
        return f"a check of 1 TB would take about {_duration(1e12 / bytes_per_s)}"
    return f"a check of the {format_bytes(count)} here takes about {_duration(count / bytes_per_s)}"


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {name}" if seconds < 10 * size else f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds" if seconds >= 1.5 else "a second"  # noqa: PLR2004 -- rounded


def _hashed() -> float:
    block, digest, count, begun = bytes(_BLOCK_BYTES), hashlib.sha256(), 0, time.perf_counter()
    while (seconds := time.perf_counter() - begun) < _HASH_S:
        digest.update(block)
        count += _BLOCK_BYTES
    return count / seconds


@contextlib.contextmanager
def _file_without_name(folder: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- Iterator[int]
    """A file whose name is taken away at once: whatever happens, the system frees it."""
    handle, name = tempfile.mkstemp(prefix=f"{LEFTOVER_PREFIX}doctor-", dir=folder)
    try:
        Path(name).unlink()
        yield handle
    finally:
        os.close(handle)


def _written(handle: int) -> tuple[int, float]:
    """Write and sync ever larger parts until the time is over: no part takes much longer than all before it."""
    block = os.urandom(_BLOCK_BYTES)
    size, part, begun = 0, 1, time.perf_counter()
    while size < _FILE_MAX_BYTES and (not size or time.perf_counter() - begun < _WRITE_S):
        for _ in range(min(part, (_FILE_MAX_BYTES - size) // _BLOCK_BYTES)):
            size += os.write(handle, block)
        os.fsync(handle)
        part = max(1, size // _BLOCK_BYTES)
    return size, time.perf_counter() - begun


def _read(handle: int, size: int) -> tuple[float, bool]:
    """Bytes a second, past the page cache where the file system allows it; whether it does not."""
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        direct = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return _read_all(handle, size), True
    try:
        return _read_all(direct, size), False
    except OSError:
        return _read_all(handle, size), True
    finally:
        os.close(direct)


def _read_all(handle: int, size: int) -> float:
    with mmap.mmap(-1, 4 * _BLOCK_BYTES) as buffer:  # aligned as O_DIRECT wants it
        at, begun = 0, time.perf_counter()
        while at < size and time.perf_counter() - begun < _READ_S:
            count = os.preadv(handle, [buffer], at)
            if not count:
                break
            at += count
        return at / max(time.perf_counter() - begun, 1e-9)

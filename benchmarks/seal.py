"""How fast a draft is sealed, beside copying the same bytes and beside hashing them.

python benchmarks/seal.py [--bytes 2000000000] [--files 400] [--times 5] [--small 500000000] [--folder .cache/bench]

Copying is the faster of a Python loop and `cp --reflink=never`, one file out, with fsync. Hashing is SHA-256 of the files,
BEP 52 leaves and SHA-1 pieces of buffers that are in memory, two threads that share all of it. The slower of both is the
limit. Every run is a process of its own, and the runs take turns. Cold: the draft is not in the page cache (the host of a
virtual machine may still have it).

Before each run memory is touched and freed: a virtual machine that gives free memory back to its host gets it again at
400 MB/s only, which would measure neither the disk nor us.
"""

import argparse
import hashlib
import itertools
import json
import mmap
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from measuring import forget, show

from tenuto.crates.bag import BagInfo
from tenuto.crates.merkle import leaves_of, piece_length, pieces_of
from tenuto.crates.seal import Item, item, lay_out, seal, torrent_beside

CHECKOUT = Path(__file__).resolve().parents[1]
CRATE = "bench-1-core-0001-0a1b2c3d"
INFO = BagInfo(archive="bench", contact="bench@archive.invalid", crate=CRATE, description="bench", dated=date(2026, 1, 2),
               kind="recordings", access="open", band="core", edition="e", plan="p")  # fmt: skip
STEP_BYTES = 8 * 2**20
COPY_BYTES = 2**20
WANTED_FRAC = 0.8
WANTED_PEAK_BYTES = 500_000_000
MB = 1_000_000


def make(folder: Path, size: int, count: int) -> None:
    """A draft of so many files of random bytes, from a fifth to nine fifths of the mean, and the same bytes as one file."""
    folder.mkdir()
    chance = random.Random(1)  # noqa: S311 -- lengths, the same in each run
    weights = [chance.uniform(0.2, 1.8) for _ in range(count)]
    lengths = [int(size * weight / sum(weights)) for weight in weights]
    noted = []
    with (folder / "whole").open("xb") as whole:
        for number, length in enumerate(lengths):
            digest, crc32 = hashlib.sha256(), 0
            path = folder / f"{number:06d}.part"
            with path.open("xb") as file:
                for at in range(0, length, STEP_BYTES):
                    part = os.urandom(min(STEP_BYTES, length - at))
                    digest.update(part)
                    crc32 = zlib.crc32(part, crc32)
                    file.write(part)
                    whole.write(part)
                file.flush()
                os.fsync(file.fileno())
            noted.append((path.name, length, crc32, digest.hexdigest()))
        whole.flush()
        os.fsync(whole.fileno())
    (folder / "noted.json").write_text(json.dumps(noted))


def draft(folder: Path) -> list[Item]:
    """The files of a draft that `make` made."""
    noted = json.loads((folder / "noted.json").read_text())
    return [
        Item(f"data/audio/{name}", folder / name, size, crc32, sha256, is_aligned=True)
        for name, size, crc32, sha256 in noted
    ]


def by_seal(folder: Path, target: Path) -> None:
    """Ours, crate and torrent."""
    seal(target, lay_out(CRATE, draft(folder)), [item("data/attribution.txt", b"nobody\n")], INFO)


def by_loop(folder: Path, target: Path) -> None:
    """Read and write, file after file, and fsync."""
    buffer = memoryview(bytearray(COPY_BYTES))
    with target.open("xb", buffering=0) as out:
        for path in sorted(folder.glob("*.part")):
            with path.open("rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    out.write(buffer[:count])
        os.fsync(out.fileno())


def by_cp(folder: Path, target: Path) -> None:
    """The same bytes from one file by cp, and fsync."""
    subprocess.run(["cp", "--reflink=never", "--sparse=never", folder / "whole", target], check=True)
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def by_hashing(folder: Path, _: Path) -> None:
    """All digests of as many bytes, whichever thread is free; nothing is read or written."""
    size = (folder / "whole").stat().st_size
    buffers = itertools.cycle(BUFFERS)
    with ThreadPoolExecutor(2) as threads:
        done: list[Future[Any]] = []
        for at in range(0, size, STEP_BYTES):
            content = next(buffers)[: size - at]
            done += [
                threads.submit(leaves_of, content),
                threads.submit(pieces_of, content, piece_length(size)),
                threads.submit(hashlib.sha256, content),
            ]
        for one in done:
            one.result()


BUFFERS: list[memoryview] = []
WORKS: dict[str, Callable[[Path, Path], None]] = {
    "seal": by_seal, "loop": by_loop, "cp": by_cp, "hashing": by_hashing,
}  # fmt: skip


def serve(work: str, folder: Path, target: Path) -> None:
    """In a process of its own: say that it is ready, wait for a line, work, say the seconds and the peak."""
    if work == "hashing":
        BUFFERS.extend(memoryview(os.urandom(STEP_BYTES)) for _ in range(8))
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    WORKS[work](folder, target)
    print(json.dumps([time.perf_counter() - begin, own_peak_bytes()]), flush=True)


def own_peak_bytes() -> int:
    """The most memory of this process; `ru_maxrss` would be that of whoever started it, where that had more."""
    said = Path("/proc/self/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024


def timed(work: str, folder: Path, processes: int = 1, *, is_cold: bool = False) -> tuple[float, int]:
    """Seconds until so many processes have each done the work once, and the peak of the largest."""
    for path in folder.iterdir():
        (forget if is_cold else keep)(path)
    targets = [folder.parent / f"made-{number}" / "crate.zip" for number in range(processes)]
    started = []
    for target in targets:
        target.parent.mkdir(exist_ok=True)
        command = [sys.executable, __file__, "--work", work, "--folder", str(folder), "--target", str(target)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for one in started:
        assert one.stdout
        one.stdout.readline()
    warm(sum(path.stat().st_size for path in folder.glob("*.part")) * processes)
    for one in started:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    said = [json.loads(one.communicate()[0]) for one in started]
    for target in targets:
        target.unlink(missing_ok=True)
        torrent_beside(target).unlink(missing_ok=True)
    return max(seconds for seconds, _ in said), max(peak for _, peak in said)


def keep(path: Path) -> None:
    """Bring a file into the page cache."""
    buffer = bytearray(STEP_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def warm(size: int) -> None:
    """Have the memory that the next run may use."""
    page = b"x" * 2**20
    with mmap.mmap(-1, size + len(page), flags=mmap.MAP_PRIVATE) as memory:
        for at in range(0, size, len(page)):
            memory[at : at + len(page)] = page


def measure(folder: Path, size: int, times: int, what: str) -> list[list[str]]:
    """Rows of one draft: ours warm, cold and two at once, and the limits, all in turns."""
    runs: list[tuple[str, str, int, bool]] = [
        ("read and write in a loop, fsync", "loop", 1, False),
        ("cp --reflink=never, fsync", "cp", 1, False),
        ("hashing alone, two threads", "hashing", 1, False),
        ("Tenuto seal, warm cache", "seal", 1, False),
        ("Tenuto seal, cold cache", "seal", 1, True),
        ("Tenuto seal, two processes at once", "seal", 2, False),
    ]
    found: list[list[tuple[float, int]]] = [[] for _ in runs]
    for _ in range(times):
        for (_, work, processes, is_cold), taken in zip(runs, found, strict=True):
            taken.append(timed(work, folder, processes, is_cold=is_cold))
    # A busy moment of the machine meets neighbours, so ratios are made within each round.
    limits = [max(min(loop[0], cp[0]), hashed[0]) for loop, cp, hashed in zip(*found[:3], strict=True)]
    rows = []
    for (name, work, processes, _), taken in zip(runs, found, strict=True):
        speed = processes * size / statistics.median(seconds for seconds, _ in taken) / MB
        frac = statistics.median(processes * limit / seconds for limit, (seconds, _) in zip(limits, taken, strict=True))
        peak = f"{max(peak for _, peak in taken) / MB:.0f} MB" if work == "seal" else ""
        rows.append([f"{name}, {what}", f"{speed:.0f} MB/s", f"{frac:.0%}", peak])
        if work == "seal" and frac < WANTED_FRAC:
            print(f"{name}, {what}: {frac:.0%} of the limit, wanted are {WANTED_FRAC:.0%}")
        if work == "seal" and max(peak for _, peak in taken) > WANTED_PEAK_BYTES:
            print(f"{name}, {what}: more memory than {WANTED_PEAK_BYTES / MB:.0f} MB")
    return rows


def main() -> None:
    """Measure, print a table and rows for docs/performance.md."""
    words = argparse.ArgumentParser(description="Sealing beside copying and hashing of the same bytes.")
    words.add_argument("--bytes", type=int, default=2_000_000_000)
    words.add_argument("--files", type=int, default=400)
    words.add_argument(
        "--small", type=int, default=500_000_000, help="a second draft, to see that memory is flat; 0: none"
    )
    words.add_argument("--times", type=int, default=5)
    words.add_argument("--folder", type=Path, default=CHECKOUT / ".cache/bench")
    words.add_argument("--work", help=argparse.SUPPRESS)
    words.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    chosen = words.parse_args()
    if chosen.work:
        serve(chosen.work, chosen.folder, chosen.target)
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[str]] = []
    with tempfile.TemporaryDirectory(prefix="seal-", dir=chosen.folder) as name:
        for size, times in ((chosen.bytes, chosen.times), (chosen.small, 1)):
            if size:
                count = max(1, chosen.files * size // chosen.bytes)
                folder = Path(name) / str(size)
                make(folder, size, count)
                rows += measure(folder, size, times, f"{size / 1e9:g} GB in {count:,} files")
    show(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, python benchmarks/seal.py --bytes {chosen.bytes} "
        f"--files {chosen.files} --times {chosen.times}; 100 % is the slower of copying and hashing",
        ("work", "median", "of the limit", "peak"),
        rows,
    )


if __name__ == "__main__":
    main()

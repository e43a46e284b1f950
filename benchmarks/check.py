"""How fast a crate is checked, beside what the processor and the disk can give, and beside bagit.py.

python benchmarks/check.py [--bytes 2000000000] [--times 5]
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from measuring import forget, peak_bytes_of, seconds, seconds_in_turns, show

from tenuto.crates.bag import BagInfo
from tenuto.crates.seal import Item, item, lay_out, seal
from tenuto.crates.verify import verify_crate

CRATE = "bench-1-core-0001-0a1b2c3d"
SONG_BYTES = 8_123_457
STEP_BYTES = 8 * 2**20


def make(folder: Path, size: int) -> Path:
    """A dark crate of random bytes: it needs no tables, and its bytes are checked like any other's."""
    files: list[Item] = []
    for number in range(max(1, size // SONG_BYTES)):
        content = os.urandom(SONG_BYTES)
        made = item(f"data/recordings/{number + 1:06d}.age", content)
        path = folder / f"{number}.part"
        path.write_bytes(content)
        files.append(Item(made.path, path, made.bytes, made.crc32, made.sha256))
    said = b'{"format": "tenuto-withdrawn-1", "revision": 0, "withdrawn": []}'
    tail = [item("data/tables/recordings.age", b"age-encryption.org/v1"), item("data/withdrawn.json", said)]
    info = BagInfo(archive="bench", contact="bench@archive.invalid", crate=CRATE, description="bench", dated=date(2026, 1, 2),
                   kind="recordings", access="dark", band="core", edition="e", plan="p")  # fmt: skip
    seal(folder / f"{CRATE}.zip", lay_out(CRATE, files), tail, info)
    for file in files:
        Path(str(file.content)).unlink()
    return folder / f"{CRATE}.zip"


def halves(path: Path, work: Callable[[int, int], object]) -> None:
    """Two threads, half of the file each."""
    middle = path.stat().st_size // 2 // STEP_BYTES * STEP_BYTES
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, 0, middle), pool.submit(work, middle, path.stat().st_size)]:
            done.result()


def bare(path: Path, *updates: Callable[[], Any]) -> None:
    """Digests of the bytes of a file, read into one buffer a thread, and nothing else."""

    def work(first: int, end: int) -> None:
        digests = [made() for made in updates]
        buffer = memoryview(bytearray(STEP_BYTES))
        with path.open("rb", buffering=0) as file:
            file.seek(first)
            while first < end and (count := file.readinto(buffer[: end - first])):
                for digest in digests:
                    digest.update(buffer[:count])
                first += count

    halves(path, work)


def read(path: Path) -> None:
    """Read a file and do nothing with it."""
    buffer = bytearray(STEP_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


class Crc32:
    """CRC-32 with the manners of hashlib."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, content: memoryview) -> None:
        """Go on with these bytes."""
        self.value = zlib.crc32(content, self.value)


def whole(path: Path, *, is_thorough: bool = False) -> None:
    """Check, and stop where something is found."""
    found = verify_crate(path, is_thorough=is_thorough).findings
    if found:
        raise SystemExit(f"the bench's crate is not whole: {found[:3]}")


def bagit_seconds(path: Path, folder: Path, times: int) -> float | None:
    """`bagit.py --validate --processes 2` on the unpacked bag, None where it cannot be had."""
    place = folder / "bagit"
    try:
        subprocess.run([sys.executable, "-m", "venv", place], check=True, capture_output=True)
        subprocess.run(
            [place / "bin/pip", "install", "--quiet", "bagit", "setuptools<81"],
            check=True,
            capture_output=True,
            timeout=120,
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"bagit.py could not be installed here, so it is left out ({type(error).__name__})")
        return None
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    command = [
        str(place / "bin/python"),
        "-m",
        "bagit",
        "--validate",
        "--processes",
        "2",
        str(folder / "unpacked" / CRATE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"bagit.py did not run here, so it is left out: {done.stderr.strip()[-200:]}")
        return None
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True), times)


def main() -> None:
    """Make a crate, measure, print, delete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.check:
        whole(words.check, is_thorough=words.all)
        return
    folder = Path(tempfile.mkdtemp(prefix="tenuto-bench-"))
    try:
        measure(make(folder, words.bytes), folder, words.times)
    finally:
        shutil.rmtree(folder)


def measure(path: Path, folder: Path, times: int) -> None:
    """Measure one crate file and print what was found."""
    size = path.stat().st_size
    sha256, sha1 = hashlib.sha256, hashlib.sha1
    default, two, every, three, four = seconds_in_turns(
        [lambda: whole(path), lambda: bare(path, sha256), lambda: whole(path, is_thorough=True),
         lambda: bare(path, sha256, sha256, sha1), lambda: bare(path, sha256, sha256, sha1, Crc32)], times,
    )  # fmt: skip
    cold = seconds(lambda: whole(path), times, lambda: forget(path))
    disk = seconds(lambda: read(path), times, lambda: forget(path))
    bagit = bagit_seconds(path, folder, times)
    rows = [
        ("check, in cache", default, two, "SHA-256 on two threads"),
        ("check --all, in cache", every, three, "SHA-256 twice and SHA-1 on two threads"),
        ("check --all, in cache", every, four, "the same and CRC-32"),
        ("check, from the disk", cold, disk, "reading the disk"),
        *([("check --all, in cache", every, bagit, "bagit.py --processes 2")] if bagit else []),
    ]
    show(
        f"checking a crate of {size:,} bytes, median of {times}",
        ("what", "s", "MB/s", "beside", "s", "share of its speed"),
        [(what, f"{took:.3f}", f"{size / took / 1e6:,.0f}", name, f"{other:.3f}", f"{other / took:.0%}")
         for what, took, other, name in rows],
    )  # fmt: skip
    peak = peak_bytes_of(Path(__file__), "--check", str(path))
    peak_all = peak_bytes_of(Path(__file__), "--check", str(path), "--all")
    print(f"\npeak memory: {peak / 1e6:,.0f} MB, --all {peak_all / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()

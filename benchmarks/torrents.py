"""How fast a torrent is made of one file, ours (v1 and v2) beside torf, libtorrent and mktorrent.

python benchmarks/torrents.py [--bytes 2000000000] [--times 5] [--folder .cache/bench]

All take pieces of 1 MiB, the file is in the page cache, every run is a process of its own and the runs take turns; the start
of the process counts. torf is installed in .cache/bench-venv; what cannot be had is left out. v1 is SHA-1 alone, a hybrid is
SHA-1 and SHA-256, so the fair neighbours are libtorrent (one thread) for us, torf and mktorrent for one another.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from measuring import show

CHECKOUT = Path(__file__).resolve().parents[1]
TORF = "torf==4.3.0"
PIECE_POWER = 20
STEP_BYTES = 8 * 2**20
MB = 1_000_000

# Each gets the file, the torrent, the bytes of a piece, and says the peak of its memory last (`ru_maxrss` would be that of
# whoever started it, where that had more).
PEAK = """
said = open("/proc/self/status").read()
print(said.partition("VmHWM:")[2].split()[0])
"""
OURS = """
import sys
from pathlib import Path
from tenuto.crates.hashing import hash_file, metainfo_of
path, torrent, piece = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
leaves, pieces = hash_file(path, piece)
torrent.write_bytes(metainfo_of(path.name, path.stat().st_size, piece, leaves, pieces).encode())
"""
LIBTORRENT = """
import sys
from pathlib import Path
import libtorrent
path, torrent, piece = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
made = libtorrent.create_torrent([libtorrent.create_file_entry(path.name, path.stat().st_size)], piece)
libtorrent.set_piece_hashes(made, str(path.parent))
torrent.write_bytes(libtorrent.bencode(made.generate()))
"""
TORF_MAKES = """
import sys
import torf
torrent = torf.Torrent(path=sys.argv[1], piece_size=int(sys.argv[3]))
torrent.generate(threads=2)
torrent.write(sys.argv[2])
"""
HASHES = """
import sys, libtorrent
info = libtorrent.bdecode(open(sys.argv[1], "rb").read())
print(info[b"info"][b"pieces"], info[b"info"][b"file tree"], info[b"piece layers"])
"""


def makers(folder: Path, path: Path) -> dict[str, list[str]]:
    """What makes torrents here, and the command that does; each is given where its torrent goes."""
    words = [str(path), str(folder / "made.torrent"), str(1 << PIECE_POWER)]
    found = {
        "Tenuto, hybrid, two threads": [sys.executable, "-c", OURS + PEAK, *words],
        "libtorrent, hybrid, one thread": [sys.executable, "-c", LIBTORRENT + PEAK, *words],
    }
    if python := torf_python():
        found["torf 4.3, v1, two threads"] = [python, "-c", TORF_MAKES + PEAK, *words]
    if program := shutil.which("mktorrent"):
        found["mktorrent, v1, two threads"] = [
            program, "-t", "2", "-l", str(PIECE_POWER), "-a", "http://tracker.invalid/", "-o", words[1], words[0],
        ]  # fmt: skip
    else:
        print("mktorrent is not installed: not measured")
    return found


def torf_python() -> str | None:
    """The Python of the environment that has torf, None where it cannot be had."""
    place = CHECKOUT / ".cache/bench-venv"
    python = place / "bin/python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
        if subprocess.run([str(python), "-c", "import torf"], check=False, capture_output=True).returncode:
            command = [str(python), "-m", "pip", "install", "--quiet", TORF]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"torf could not be installed here, so it is left out ({type(error).__name__})")
        return None
    return str(python)


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Seconds that a command takes, and the last line it prints."""
    (folder / "made.torrent").unlink(missing_ok=True)
    begin = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - begin, said.strip().rpartition("\n")[2]


def hashes_agree(commands: dict[str, list[str]], folder: Path) -> bool:
    """Whether our torrent has the pieces, root and layer of libtorrent's."""
    made = []
    for command in list(commands.values())[:2]:
        timed(command, folder)
        reading = [sys.executable, "-W", "ignore", "-c", HASHES, str(folder / "made.torrent")]
        made.append(subprocess.run(reading, check=True, capture_output=True, text=True).stdout)
    return made[0] == made[1]


def main() -> None:
    """Measure, print a table and rows for docs/performance.md."""
    words = argparse.ArgumentParser(description="Making a torrent of one file, beside other makers.")
    words.add_argument("--bytes", type=int, default=2_000_000_000)
    words.add_argument("--times", type=int, default=5)
    words.add_argument("--folder", type=Path, default=CHECKOUT / ".cache/bench")
    chosen = words.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="torrents-", dir=chosen.folder) as name:
        folder = Path(name)
        path = folder / "one.zip"
        with path.open("xb") as file:
            for at in range(0, chosen.bytes, STEP_BYTES):
                file.write(os.urandom(min(STEP_BYTES, chosen.bytes - at)))
            file.flush()
            os.fsync(file.fileno())
        commands = makers(folder, path)
        if not hashes_agree(commands, folder):
            raise SystemExit("bench: libtorrent finds other hashes than Tenuto does")
        found: dict[str, list[tuple[float, str]]] = {what: [] for what in commands}
        for _ in range(chosen.times):
            for what, command in commands.items():
                found[what].append(timed(command, folder))
    ours = [seconds for seconds, _ in next(iter(found.values()))]
    rows = []
    for what, taken in found.items():
        speed = chosen.bytes / statistics.median(seconds for seconds, _ in taken) / MB
        # Neighbours in one round meet the same machine.
        times = statistics.median(seconds / of_ours for (seconds, _), of_ours in zip(taken, ours, strict=True))
        peaks = [int(said) * 1024 for _, said in taken if said.isdigit()]
        rows.append([what, f"{speed:.0f} MB/s", f"{times:.2f}", f"{max(peaks) / MB:.0f} MB" if peaks else ""])
    show(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, python benchmarks/torrents.py --bytes {chosen.bytes} "
        f"--times {chosen.times}; one file, warm cache, pieces of 1 MiB",
        ("work", "median", "time, ours = 1", "peak"),
        rows,
    )


if __name__ == "__main__":
    main()

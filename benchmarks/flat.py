"""Whether `tenuto seed` and `tenuto mirror --seed` stay as large as they are, for minutes, with 1,500 crates: memory, open files.

python benchmarks/flat.py [--minutes 5] [--crates 1500] [--folder .cache/flat] [--json]

A real archive of so many small crates is made (once; it is kept in the folder), a seed and a mirror of it are started, and while
both are looked at every second, others come and go: mirrors that fetch a few crates, and peers that ask for some and hang up
half-way. Tracks are withdrawn meanwhile, each of which is a new publication. Growth is counted from the end of the warm-up, a
fifth of the time, to the end: medians of a tenth of the time each.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import libtorrent
import mutagen
import numpy as np
import soundfile
from measuring import show

CHECKOUT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000
SOURCE = "shelf"
PERMISSION = """\
format = "tenuto-permission-1"
grantor = "The shelf's owner"
ground = "owner"
granted_on = 2026-01-31
[[grant]]
may_keep = true
may_give_out = true
licence = "CC0-1.0"
"""
READY_TIMEOUT_S = 900
WARM_UP_FRAC, WINDOW_FRAC = 0.2, 0.1
REPUBLICATIONS = 8
VISITORS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at a moment, `at_s` since both were at rest for the first time."""

    at_s: float
    rss_bytes: int
    peak_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """A process over the whole time; growth is after the warm-up."""

    process: str
    crates: int
    warm_bytes: int
    end_bytes: int
    peak_bytes: int
    descriptors_warm: int
    descriptors_max: int
    descriptors_end: int
    samples: tuple[Sample, ...]

    @property
    def growth_frac(self) -> float:
        """How much larger it is in the end."""
        return self.end_bytes / self.warm_bytes - 1


def tenuto(*words: str | Path) -> list[str]:
    """The command line as a process's words."""
    return [sys.executable, "-m", "tenuto", *map(str, words)]


def make_archive(folder: Path, count: int) -> Path:
    """A real archive with so many crates of one recording each, published; what is there already is taken."""
    archive = folder / "archive"
    if (folder / "ready").exists():
        return archive
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(count):
        _sound(folder / f"music/Album {number // 10}/{number:04d} Song.flac", number)
    named = ["--name", "flat", "--contact", "flat@archive.invalid"]
    words = tenuto("init", archive, *named, "--keys", folder / "keys")
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    settings = archive / "tenuto.toml"
    text = settings.read_text().replace('"10 GB" ', "20000 ").replace('"opus-75"', '"original"')
    settings.write_text(text.replace('budget = "100%"', 'budget = "10 GB"'))
    permission = folder / "permission.toml"
    permission.write_text(PERMISSION)
    source = ["source", "add", "folder", folder / "music", "--name", SOURCE, "--permission", permission]
    for verb in (source, ["harvest"], ["catalogue", "build"], ["plan"], ["keep"], ["publish"]):
        print(f"making the archive: {verb[0]}", file=sys.stderr)
        subprocess.run(tenuto(*verb, "--archive", archive), check=True, stdout=subprocess.DEVNULL)
    (folder / "ready").touch()
    return archive


def _sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = int(RATE_HZ * (0.5 + seed % 50 / 50))  # of many lengths: files are told apart by them
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, count), RATE_HZ)
    tags = mutagen.File(path, easy=True)
    tags["title"], tags["artist"], tags["album"] = f"Song {seed}", f"Anna {seed % 40}", path.parent.name
    tags.save()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


class _SmallFiles(SimpleHTTPRequestHandler):
    """The publication without its crates: they come from peers alone."""

    def do_GET(self) -> None:
        if self.path.startswith("/crates/"):
            self.send_error(404)
        else:
            super().do_GET()

    do_HEAD = do_GET  # noqa: N815 -- its name there

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def small_files(root: Path) -> Iterator[str]:
    """Serve a publication without its crates."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_SmallFiles, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def started(words: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that says what it does into a file; it is ended with the block."""
    with log.open("wb") as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(log: Path, words: str, process: "subprocess.Popen[bytes]") -> None:
    """Until a process has said something; raises RuntimeError where it ends before, or takes too long."""
    end = time.monotonic() + READY_TIMEOUT_S
    while words not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"no {words!r} from {process.args!r}:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)


def sample(pid: int, at_s: float) -> Sample:
    """What the kernel says of a process."""
    said = Path(f"/proc/{pid}/status").read_text()
    rss, peak, threads = (int(said.partition(f"{key}:")[2].split()[0]) for key in ("VmRSS", "VmHWM", "Threads"))
    return Sample(round(at_s, 1), rss * 1024, peak * 1024, len(os.listdir(f"/proc/{pid}/fd")), threads)  # noqa: PTH208


class Guests:
    """Those who come and go, in threads, until the end."""

    def __init__(self, archive: Path, folder: Path, url: str, ports: tuple[int, int]) -> None:
        self._archive, self._folder, self._url, self._ports = archive, folder, url, ports
        self._is_over = threading.Event()
        self._chance = random.Random(1)  # noqa: S311 -- no secret
        self.visits = self.hang_ups = self.fetched = self.withdrawn = 0
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._mirrors)]
        self._threads += [threading.Thread(target=self._hang_up) for _ in range(VISITORS_AT_ONCE - 1)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)

    def withdraw(self, tracks: list[str]) -> None:
        """A new publication without one track more."""
        track = tracks.pop()
        words = tenuto("withdraw", f"{SOURCE}:{track}", "--reason", "other", "--json", "--archive", self._archive)
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            self.faults.append(f"withdraw {track}: {done.stderr[-500:]}")
        else:
            self.withdrawn += 1

    def _mirrors(self) -> None:
        """Small mirrors, one after the other, each of a few crates by its own salt."""
        while not self._is_over.wait(1):
            into = self._folder / "guest"
            peers = [word for port in self._ports for word in ("--peer", f"127.0.0.1:{port}")]
            near = ["--reach", "peers", "--listen", "127.0.0.1:0", *peers]
            words = tenuto("mirror", self._url, "--into", into, "--space", "400KB", *near, "--json")
            done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                self.faults.append(f"a guest ended with {done.returncode}: {done.stderr[-500:]}")
            else:
                self.visits += 1
                self.fetched += json.loads(done.stdout)["received"]["swarm"]
            shutil.rmtree(into, ignore_errors=True)

    def _hang_up(self) -> None:
        """A client that asks for some crates and is gone before it has them all."""
        torrents = sorted((self._archive / "publication/torrents").glob("*.torrent"))
        while not self._is_over.wait(self._chance.uniform(0.1, 1)):
            options: Any = {"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                       "enable_natpmp": False, "download_rate_limit": 100_000}  # fmt: skip
            session: Any = libtorrent.session(options)
            with tempfile.TemporaryDirectory() as folder:
                for path in self._chance.sample(torrents, min(20, len(torrents))):
                    if not path.exists():  # withdrawn meanwhile
                        continue
                    asked: Any = libtorrent.load_torrent_file(str(path))
                    asked.save_path, asked.peers = folder, [("127.0.0.1", port) for port in self._ports]
                    session.add_torrent(asked)
                self._is_over.wait(self._chance.uniform(0.5, 8))
                del session
            self.hang_ups += 1


def watch(minutes: float, guests: Guests, pids: dict[str, int], tracks: list[str]) -> dict[str, list[Sample]]:
    """Look at the processes every second while others come and go and the publication changes."""
    found: dict[str, list[Sample]] = {name: [] for name in pids}
    begun, total_s, changes = time.monotonic(), minutes * 60, 0
    change: threading.Thread | None = None
    while (at_s := time.monotonic() - begun) < total_s:
        for name, pid in pids.items():
            found[name].append(sample(pid, at_s))
        is_changing = change is not None and change.is_alive()
        if at_s > total_s * (changes + 0.5) / REPUBLICATIONS and not is_changing:
            changes += 1
            change = threading.Thread(target=guests.withdraw, args=(tracks,))
            change.start()
        if int(at_s) % 60 == 0:
            last = {
                name: f"{samples[-1].rss_bytes / 1e6:.1f} MB, {samples[-1].descriptors} fd"
                for name, samples in found.items()
            }
            print(f"{at_s:6.0f} s  {last}", file=sys.stderr)
        time.sleep(1)
    if change is not None:
        change.join()
    return found


def grown(name: str, crates: int, samples: list[Sample]) -> Growth:
    """What the samples of a process say."""
    window = max(1, int(len(samples) * WINDOW_FRAC))
    after = samples[int(len(samples) * WARM_UP_FRAC) :]
    first, last = after[:window], after[-window:]
    return Growth(
        name, crates,
        int(statistics.median(one.rss_bytes for one in first)), int(statistics.median(one.rss_bytes for one in last)),
        samples[-1].peak_bytes, int(statistics.median(one.descriptors for one in first)),
        max(one.descriptors for one in samples), int(statistics.median(one.descriptors for one in last)), tuple(samples),
    )  # fmt: skip


def measure(minutes: float, count: int, folder: Path) -> tuple[list[Growth], Guests, float]:
    """Run it all; also who came, and how long the mirror took to hold everything, in seconds."""
    archive = make_archive(folder, count)
    with tempfile.TemporaryDirectory(dir=folder) as made, contextlib.ExitStack() as closing:
        work = Path(made)
        own = work / "archive"
        subprocess.run(["cp", "-a", "--reflink=auto", str(archive), str(own)], check=True)
        for second in own.glob("publication/crates/*.zip"):  # `cp` of the whole keeps them one file
            if not second.samefile(own / "crates" / second.name):
                raise RuntimeError(f"{second} is no second name")
        tracks = [place["path"] for place in _tracks(own)]
        port, other = free_port(), free_port()
        url = closing.enter_context(small_files(own / "publication"))
        say, mirror_says = work / "seed.log", work / "mirror.log"
        words: list[str | Path] = ["seed", "--reach", "peers", "--listen", f"127.0.0.1:{port}", "--archive", own]
        seed = closing.enter_context(started(tenuto(*words), say))
        wait_for(say, "Ctrl-C ends it", seed)
        begun = time.monotonic()
        words = ["mirror", url, "--into", work / "mirror", "--space", "10GB", "--reach", "peers", "--listen", f"127.0.0.1:{other}",
                 "--peer", f"127.0.0.1:{port}", "--seed", "--every", "15s", "--json"]  # fmt: skip
        mirror = closing.enter_context(started(tenuto(*words), mirror_says))
        wait_for(mirror_says, "Ctrl-C ends it", mirror)
        took_s = time.monotonic() - begun
        print(f"the mirror holds all after {took_s:.0f} s", file=sys.stderr)
        with Guests(own, work, url, (port, other)) as guests:
            found = watch(minutes, guests, {"tenuto seed": seed.pid, "tenuto mirror --seed": mirror.pid}, tracks)
        for process, log in ((seed, say), (mirror, mirror_says)):
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended:\n{log.read_text()[-2000:]}")
        return [grown(name, count, samples) for name, samples in found.items()], guests, took_s


def _tracks(archive: Path) -> list[dict[str, Any]]:
    """Some tracks that can be withdrawn, from their place in the shelf."""
    music = archive.parents[1] / "music"
    return [
        {"path": str(path.relative_to(music))} for path in sorted(music.rglob("*.flac"))[:: max(1, REPUBLICATIONS // 2)]
    ]


def main() -> int:
    """Measure and print; exit 1 where somebody who came could not be served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--crates", type=int, default=1500)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / ".cache/flat")
    parser.add_argument("--json", action="store_true", help="all samples as JSON")
    asked = parser.parse_args()
    folder = asked.folder.absolute() / str(asked.crates)
    growths, guests, took_s = measure(asked.minutes, asked.crates, folder)
    if asked.json:
        print(json.dumps({
            "processes": [asdict(one) for one in growths], "first_round_s": took_s, "visits": guests.visits,
            "hang_ups": guests.hang_ups, "fetched_bytes": guests.fetched, "withdrawn": guests.withdrawn, "faults": guests.faults,
        }))  # fmt: skip
        return 0
    marks = sorted({0.0, *(float(minute) for minute in range(10, int(asked.minutes), 10)), asked.minutes})
    for one in growths:
        rows = [_row(minute, min(one.samples, key=lambda found: abs(found.at_s - minute * 60))) for minute in marks]
        show(f"{one.process}, {one.crates} crates: {one.growth_frac:+.1%} after the warm-up, peak {one.peak_bytes / 1e6:.0f} MB,"
             f" at most {one.descriptors_max} files open",
             ("minute", "memory, MB", "peak so far, MB", "open files", "threads"), rows)  # fmt: skip
    print(f"\n{guests.visits} mirrors came and took {guests.fetched / 1e6:.1f} MB, {guests.hang_ups} clients hung up, "
          f"{guests.withdrawn} publications; the mirror held all after {took_s:.0f} s")  # fmt: skip
    for fault in guests.faults:
        print(fault, file=sys.stderr)
    return 1 if guests.faults else 0


def _row(minute: float, found: Sample) -> tuple[str, ...]:
    return (f"{minute:g}", f"{found.rss_bytes / 1e6:.1f}", f"{found.peak_bytes / 1e6:.1f}", str(found.descriptors),
            str(found.threads))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

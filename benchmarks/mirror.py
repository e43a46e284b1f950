"""How fast a crate comes by `tenuto mirror`, beside a bare libtorrent session and aria2, and what repair and revisions cost.

python benchmarks/mirror.py [--bytes 500000000] [--times 3] [--clients tenuto,bare,own,aria2] [--folder .cache/bench]

An archive of noise in FLAC files is made by the verbs, published, and given out by `tenuto seed`, a process of its own, on
loopback. Its small files come from a web server that has no crates, so crates come from the swarm alone. Clients take turns, each a
new process with an empty folder, and ratios are made within each round; one run before them is not counted, since the seeder
proves each piece when it is first asked for:

- tenuto: the verb `tenuto mirror`, which also follows the signed index, fetches the metadata crate and inspects what came.
- bare: libtorrent's defaults but TCP alone, no DHT; the crate's torrent, the same seeder; fsync and rename at the end.
- own: the same with the settings of Tenuto's session.
- aria2: by a torrent of the v1 side, which has another info-hash, so it is given out by bare libtorrent with our settings.

"Whole" counts from the start of the process until the crate has its final name, which it gets after fsync (aria2: until the
process has ended, and fsync of what it left). "Transfer" counts from the first to the last block of the file that the system has,
both seen from outside. Memory is VmHWM, seen from outside every few ms.
"""

import argparse
import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtorrent
import numpy as np
import soundfile
from measuring import show
from seal import keep, warm

from tenuto.archive import Layout
from tenuto.archive.settings import SwarmSettings
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.swarm.session import _options

CHECKOUT = Path(__file__).resolve().parents[1]
TENUTO = (sys.executable, "-m", "tenuto")
CLIENTS = ("tenuto", "bare", "own", "aria2")
WANTED_FRAC = 0.9
LOOK_EVERY_S = 0.004
RUN_MAX_S = 30.0
SLOWEST_BYTES_PER_S = 20 * 10**6
"""A client that is slower than this has lost its seeder."""
RATE_HZ = 192_000
FRAME_BYTES = 6  # 24 bits, two channels
SONG_BYTES = 25_000_000
BLOCK_BYTES = 512  # of st_blocks
MB = 1_000_000
PERMISSION = """\
format = "tenuto-permission-1"
grantor = "The bench"
ground = "owner"
granted_on = 2026-01-31
[[grant]]
path = ["open/*"]
may_keep = true
may_give_out = true
licence = "CC0-1.0"
"""
HERE = "127.0.0.1"
_BARE = """
import json, os, sys
import libtorrent as lt
about = json.loads(sys.argv[1])
session = lt.session(about["options"])
asked = lt.load_torrent_file(about["torrent"])
asked.save_path, asked.trackers = about["folder"], []
asked.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if about["is_seed"]:
    asked.flags |= lt.torrent_flags.seed_mode
else:
    asked.peers = [("127.0.0.1", about["port"])]
handle = session.add_torrent(asked)
print("giving out" if about["is_seed"] else "fetching", flush=True)
while about["is_seed"] or not handle.status().is_seeding:
    session.wait_for_alert(100)
    session.pop_alerts()
session.remove_torrent(handle)
while not any(isinstance(alert, lt.torrent_removed_alert) for alert in session.pop_alerts()):
    session.wait_for_alert(100)
coming = os.path.join(about["folder"], os.path.basename(about["final"]))
with open(coming, "rb") as file:
    os.fsync(file.fileno())
os.rename(coming, about["final"])
"""
"""The plainest program that gives out or fetches; in a process of its own, with nothing imported that it does not need."""


def tenuto(*words: object) -> str:
    """Run a verb; its stdout."""
    done = subprocess.run([*TENUTO, *map(str, words)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tenuto {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def make(folder: Path, size: int) -> Path:
    """A published archive with one crate of about so many bytes; returns the archive."""
    music = folder / "music/open/Noise"
    music.mkdir(parents=True)
    chance = np.random.default_rng(1)
    for number in range(max(2, round(size / SONG_BYTES))):
        noise = chance.integers(-(2**31), 2**31, (SONG_BYTES // FRAME_BYTES, 2), dtype=np.int32)
        soundfile.write(music / f"{number:04d} Noise.flac", noise, RATE_HZ, subtype="PCM_24")
    (folder / "permission.toml").write_text(PERMISSION)
    archive = folder / "archive"
    tenuto("init", archive, "--name", "bench", "--contact", "bench@archive.invalid", "--keys", folder / "keys")
    settings = archive / "tenuto.toml"
    text = (
        settings.read_text()
        .replace('"opus-75"', '"original"')
        .replace('target_bytes = "10 GB"', 'target_bytes = "64 GB"')
    )
    settings.write_text(text.replace('budget = "100%"', 'budget = "1 TB"'))
    at = ("--archive", archive)
    tenuto(
        "source", "add", "folder", folder / "music", "--name", "shelf", "--permission", folder / "permission.toml", *at
    )
    for verb in ("harvest", "catalogue build", "plan", "keep", "publish"):
        tenuto(*verb.split(), *at)
    shutil.rmtree(folder / "music")
    return archive


def crate_of(archive: Path) -> Path:
    """The crate with the recordings."""
    (path,) = (path for path in (archive / "crates").glob("*.zip") if CrateFile(path).kind == "recordings")
    return path


class Web(http.server.ThreadingHTTPServer):
    """A web server of a publication, its crates by ranges or not at all, which counts; at /announce a tracker with one peer."""

    daemon_threads = True

    def __init__(self, root: Path, *, gives_crates: bool, peer: tuple[str, int] = (HERE, 0)) -> None:
        self.root = root
        self.gives_crates = gives_crates
        self.peer = peer
        self.sent_bytes = 0
        super().__init__((HERE, 0), _Answer)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{HERE}:{self.server_address[1]}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: in two, Nagle and a late ACK cost 40 ms an answer

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        if path == "announce":
            host, port = self.server.peer
            compact = socket.inet_aton(host) + port.to_bytes(2, "big")
            self._give(200, b"d8:intervali60e5:peers6:" + compact + b"e", {})
            return
        try:
            if path.startswith("crates/") and not self.server.gives_crates:
                raise FileNotFoundError(path)
            file = (self.server.root / path).open("rb")
        except OSError:
            self._give(404, b"", {})
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked:
                first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
                file.seek(first)
                self._give(206, file.read(last + 1 - first), {"Content-Range": f"bytes {first}-{last}/{size}"})
            else:
                self._give(200, file.read(), {})

    def _give(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked has enough
            self.wfile.write(content)
            self.server.sent_bytes += len(content)

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def web(root: Path, *, gives_crates: bool, peer: tuple[str, int] = (HERE, 0)) -> Iterator[Web]:
    """A web server that runs meanwhile."""
    with Web(root, gives_crates=gives_crates, peer=peer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def seeding(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A seeder that runs meanwhile; it is there once its port can be connected to."""
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.create_server((HERE, 0))) as one:
        port: int = one.getsockname()[1]
    return port


def await_seeder(log: Path) -> None:
    """Until a seeder says that it gives out."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if "giving out" in log.read_text():
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing is given out: {log.read_text()}")


def peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a running process held so far; 0 where it has ended."""
    try:
        said = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", said)
    return int(found[1]) * 1024 if found else 0


@dataclass
class Run:
    """One run of a client. Seconds."""

    whole_s: float = 0.0
    before_s: float = 0.0
    """From the start of the process to the first block."""
    transfer_s: float = 0.0
    after_s: float = 0.0
    """From the last block to the name."""
    peak: int = 0


def watched(command: Sequence[str], coming: Path, final: Path | None, size: int, log: Path) -> Run:
    """Run a client and look at its file; `final` is the name that the whole crate gets, None: it has it, and is fsynced here."""
    run, first, last = Run(), 0.0, 0.0
    begin = time.perf_counter()
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        while process.poll() is None:
            run.peak = max(run.peak, peak_bytes(process))
            if not last:
                try:
                    blocks = coming.stat().st_blocks * BLOCK_BYTES
                except OSError:
                    blocks = 0
                now = time.perf_counter()
                first = first or (now if blocks else 0.0)
                last = now if blocks >= size else 0.0
            if time.perf_counter() - begin > RUN_MAX_S + size / SLOWEST_BYTES_PER_S:
                process.kill()
            if final is not None and not run.whole_s and final.exists():
                run.whole_s = time.perf_counter() - begin
            time.sleep(LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{log.read_text()}")
    if final is None:
        with coming.open("rb") as file:
            os.fsync(file.fileno())
    run.whole_s = run.whole_s or time.perf_counter() - begin
    last = last or begin + run.whole_s
    run.before_s, run.transfer_s, run.after_s = first - begin, last - first, begin + run.whole_s - last
    return run


def bare_command(what: str, torrent: Path, folder: Path, port: int, final: Path | None = None) -> list[str]:
    """The command line of libtorrent alone: it fetches by its defaults, or by our options ("own"), or gives out ("seed")."""
    is_seed, lt = what == "seed", libtorrent
    own = _options(lt, SwarmSettings(reach="peers"))
    options = {} if what == "bare" else own
    about = {
        "torrent": str(torrent),
        "folder": str(folder),
        "port": port,
        "is_seed": is_seed,
        "final": str(final or ""),
    }
    about["options"] = options | {
        "listen_interfaces": f"{HERE}:{port if is_seed else 0}", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": int(lt.alert_category.status | lt.alert_category.storage),
    }  # fmt: skip
    return [sys.executable, "-c", _BARE, json.dumps(about)]


def v1_only(torrent: Path, made: Path, tracker: str) -> None:
    """The v1 side of a hybrid torrent of one file."""
    lt: Any = libtorrent
    whole = lt.bdecode(torrent.read_bytes())
    info = {name: whole[b"info"][name] for name in (b"name", b"length", b"piece length", b"pieces")}
    made.write_bytes(lt.bencode({b"announce": tracker.encode(), b"info": info}))


@dataclass
class Bench:
    """What all measures need: the archive that is given out, and where."""

    archive: Path
    crate: Path
    size: int
    scratch: Path
    port: int
    place: str
    web: Web
    """Gives crates too."""
    v1: Path
    found: dict[str, list[Run]] = field(default_factory=dict)

    def mirror_words(self, folder: Path, place: str | None = None) -> list[str]:
        """`tenuto mirror`, from the seed alone."""
        return ["mirror", place or self.place, "--into", str(folder), "--space", "1TB", "--reach", "peers", "--listen", f"{HERE}:0",
                "--peer", f"{HERE}:{self.port}", "--json"]  # fmt: skip

    def run(self, client: str) -> Run:
        """One run of a client in an empty folder."""
        folder = self.scratch / client
        folder.mkdir()
        keep(self.crate)
        warm(self.size + self.size // 2)
        log, name = self.scratch / f"{client}.log", self.crate.name
        torrent, final = torrent_beside(self.crate), folder / "whole" / name
        final.parent.mkdir()
        try:
            if client == "tenuto":
                words = [*TENUTO, *self.mirror_words(folder / "mirror")]
                layout = Layout(folder / "mirror")
                run = watched(words, layout.incoming / name, layout.crates / name, self.size, log)
                received = json.loads(log.read_text().splitlines()[-1])["received"]
                if received["swarm"] < self.size:
                    raise SystemExit(f"not all of it came from the swarm: {received}")
                return run
            if client == "aria2":
                words = ["aria2c", "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false", "--file-allocation=none",
                         f"--listen-port={free_port()}", "--no-conf", "--quiet", f"--dir={folder}", str(self.v1)]  # fmt: skip
                return watched(words, folder / name, None, self.size, log)
            return watched(
                bare_command(client, torrent, folder, self.port, final), folder / name, final, self.size, log
            )
        finally:
            shutil.rmtree(folder)


def speeds(bench: Bench, clients: Sequence[str], times: int) -> list[list[str]]:
    """Rows of the clients, in turns."""
    bench.run("bare")
    for _ in range(times):
        for client in clients:
            bench.found.setdefault(client, []).append(bench.run(client))

    def middle(taken: list[Run], of: Callable[[Run], float]) -> float:
        return statistics.median(of(run) for run in taken)

    rows = []
    limits = bench.found.get("bare")
    for client, taken in bench.found.items():
        said = ["", ""]
        if limits:
            pairs = list(zip(limits, taken, strict=True))
            said = [
                f"{statistics.median(limit.whole_s / run.whole_s for limit, run in pairs):.0%}",
                f"{statistics.median(limit.transfer_s / run.transfer_s for limit, run in pairs):.0%}",
            ]
            frac = float(said[0].rstrip("%")) / 100
            if client == "tenuto" and frac < WANTED_FRAC:
                print(f"tenuto mirror: {frac:.0%} of bare libtorrent, wanted are {WANTED_FRAC:.0%}")
        whole, transfer = middle(taken, lambda run: run.whole_s), middle(taken, lambda run: run.transfer_s)
        rows.append([client, f"{bench.size / whole / MB:.0f} MB/s", said[0], f"{bench.size / transfer / MB:.0f} MB/s", said[1],
                     f"{middle(taken, lambda run: run.before_s):.2f} s", f"{middle(taken, lambda run: run.after_s):.2f} s",
                     f"{max(run.peak for run in taken) / MB:.0f} MB"])  # fmt: skip
    return rows


def flip(path: Path) -> None:
    """Damage one byte in the middle."""
    with path.open("r+b", buffering=0) as file:
        at = path.stat().st_size // 2
        (was,) = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([was ^ 1]), at)


def tail_bytes(path: Path) -> int:
    """What stands behind the recordings of a crate: its tables, leaves, bag, directory."""
    crate = CrateFile(path)
    return path.stat().st_size - crate.leaves.header_offset


def wire(bench: Bench) -> list[list[str]]:
    """Rows of what repair and a move to a revision receive, from peers and from a web server with ranges."""
    rows = []
    mirrors = {"swarm": (bench.scratch / "m-swarm", bench.place), "web": (bench.scratch / "m-web", bench.web.address)}
    piece = int(json.loads((bench.archive / "publication/index.json").read_text())["crates"][-1]["piece_length"])
    for folder, _ in mirrors.values():
        tenuto(*bench.mirror_words(folder))

    def row(what: str, received: int, sent: int) -> None:
        now = crate_of(bench.archive)
        rows.append([what, f"{received:,}", f"{sent:,}" if sent else "", f"{received / piece:.2f}", f"{tail_bytes(now):,}",
                     f"{now.stat().st_size:,}"])  # fmt: skip

    swarm, _ = mirrors["swarm"]
    flip(swarm / "crates" / bench.crate.name)
    said = json.loads(tenuto("repair", "--archive", swarm, "--peer", f"{HERE}:{bench.port}", "--json"))
    row("repair of one byte, by the swarm", said["received_bytes"], 0)
    folder, _ = mirrors["web"]
    flip(folder / "crates" / bench.crate.name)
    before = bench.web.sent_bytes
    said = json.loads(tenuto("repair", "--archive", folder, "--from", bench.web.address, "--json"))
    row("repair of one byte, by a web server with ranges", said["received_bytes"], bench.web.sent_bytes - before)

    track = CrateFile(bench.crate).recordings().slice(1, 1).to_pylist()[0]
    tenuto("withdraw", f"shelf:{track['track_id']}", "--reason", "rightsholder", "--archive", bench.archive)
    time.sleep(3)  # the seeder follows
    for name, (folder, place) in mirrors.items():
        before = bench.web.sent_bytes
        words = bench.mirror_words(folder, place)
        if name == "web":
            words[words.index("--peer") + 1] = f"{HERE}:1"
        said = json.loads(tenuto(*words).splitlines()[-1])["received"]
        row(f"the revision after a withdrawal of {track['bytes'] / MB:.0f} MB, by the {name}: crates", said["swarm"],
            bench.web.sent_bytes - before)  # fmt: skip
        row("the same: index and small files", said["place"], 0)
    return rows


def main() -> None:
    """Measure, print tables and rows for docs/performance.md."""
    words = argparse.ArgumentParser(description="Mirroring beside a bare libtorrent session and aria2.")
    words.add_argument("--bytes", type=int, default=500_000_000)
    words.add_argument("--times", type=int, default=3)
    words.add_argument("--clients", default=",".join(CLIENTS))
    words.add_argument("--no-wire", action="store_true", help="leave out repair and revision")
    words.add_argument("--folder", type=Path, default=CHECKOUT / ".cache/bench")
    words.add_argument("--archive", type=Path, help="one that was made before; it is changed")
    chosen = words.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    clients = [one for one in chosen.clients.split(",") if one != "aria2" or shutil.which("aria2c")]
    with ExitStack() as closing_:
        scratch = Path(closing_.enter_context(tempfile.TemporaryDirectory(prefix="mirror-", dir=chosen.folder)))
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = str(scratch / "home")
        archive = chosen.archive or make(scratch / "made", chosen.bytes)
        crate, ports = crate_of(archive), (free_port(), free_port())
        seed = [*TENUTO, "seed", "--archive", str(archive), "--reach", "peers", "--listen", f"{HERE}:{ports[0]}"]
        seeder = closing_.enter_context(seeding(seed, scratch / "seed.log"))
        small = closing_.enter_context(web(archive / "publication", gives_crates=False, peer=(HERE, ports[1])))
        ranged = closing_.enter_context(web(archive / "publication", gives_crates=True))
        v1 = scratch / "v1.torrent"
        v1_only(torrent_beside(crate), v1, f"{small.address}/announce")
        closing_.enter_context(seeding(bare_command("seed", v1, crate.parent, ports[1]), scratch / "seed-v1.log"))
        for name in ("seed.log", "seed-v1.log"):
            await_seeder(scratch / name)
        bench = Bench(archive, crate, crate.stat().st_size, scratch, ports[0], small.address, ranged, v1)
        rows = speeds(bench, clients, chosen.times)
        peak = peak_bytes(seeder)
        wired = [] if chosen.no_wire else wire(bench)
    show(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, python benchmarks/mirror.py --bytes {chosen.bytes} "
        f"--times {chosen.times}; a crate of {bench.size:,} bytes; the peak of tenuto seed: {peak / MB:.0f} MB",
        ("client", "whole", "of bare", "transfer", "of bare", "before it", "after it", "peak"),
        rows,
    )
    if wired:
        show("received, bytes", ("what", "received", "sent by the web server", "pieces", "tail", "crate"), wired)


if __name__ == "__main__":
    main()

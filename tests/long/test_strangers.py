"""Other people's BitTorrent programs take crates from `tenuto seed`, and give them back to `tenuto mirror` when we are gone.

qBittorrent knows both halves of our hybrid torrents, rTorrent only the first (v1). Of Debian 12's other two, aria2 1.36 computes
a wrong info-hash for hybrids and Transmission 3.00 refuses them.
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import libtorrent
import pytest

from published_maker import Shelf
from support import need_program, tenuto
from swarming import (
    crates_of,
    digests_in,
    free_port,
    large_shelf,
    running,
    says,
    served,
    small_files,
    stop,
    tenuto_words,
    wait_for,
)

FETCH_TIMEOUT_S = 120.0
"""rTorrent asks its tracker again after that many seconds at the earliest, should the first answer come to nothing."""

QBITTORRENT = """\
[LegalNotice]
Accepted=true

[Preferences]
WebUI\\Address=127.0.0.1
WebUI\\Port={web}
WebUI\\LocalHostAuth=false

[Network]
PortForwardingEnabled=false

[BitTorrent]
Session\\Port={port}
Session\\InterfaceAddress={host}
Session\\DefaultSavePath={files}
Session\\DHTEnabled=false
Session\\PeXEnabled=false
Session\\LSDEnabled=false
Session\\AddTrackersEnabled=false
Session\\QueueingSystemEnabled=false
"""


def own_address() -> str:
    """This machine's own address: some programs ignore peers on 127.0.0.1."""
    shown = json.loads(subprocess.run(["ip", "-j", "-4", "addr"], check=True, capture_output=True).stdout)
    for link in shown:
        for one in link["addr_info"]:
            if one["scope"] == "global" and "UP" in link["flags"]:
                return str(one["local"])
    pytest.skip("this machine has no address but 127.0.0.1, which strangers ignore")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Three crates of 6 to 8 MB, and the metadata."""
    return large_shelf(tmp_path_factory.mktemp("shelf"), songs=12, target_bytes=7_000_000)


class Tracker(BaseHTTPRequestHandler):
    """Names one peer to everybody who asks (BEP 3 and 23)."""

    peer = b""

    def do_GET(self) -> None:
        parse_qs(urlsplit(self.path).query)
        body = b"d8:intervali30e12:min intervali15e5:peers6:" + type(self).peer + b"e"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def qbittorrent(shelf: Shelf, folder: Path, host: str, seed_port: int) -> Iterator[int]:
    """qBittorrent with all torrents of a publication, told of a peer; its port."""
    need_program("qbittorrent-nox")
    port, web, files = free_port(host), free_port(), folder / "files"
    files.mkdir()
    settings = folder / "profile/qBittorrent/config/qBittorrent.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(QBITTORRENT.format(web=web, port=port, host=host, files=files))
    log = folder / "qbittorrent.log"
    words = ["qbittorrent-nox", f"--profile={folder / 'profile'}"]
    with running(words, log, {"HOME": str(folder)}), httpx.Client(base_url=f"http://127.0.0.1:{web}/api/v2") as api:

        def is_there() -> bool:
            try:
                return api.get("/app/version").text.startswith("v")
            except httpx.TransportError:
                return False

        wait_for(is_there, "qBittorrent answers", 30, log)
        torrents = sorted((shelf.publication / "torrents").glob("*.torrent"))
        for path in torrents:
            added = api.post("/torrents/add", files={"torrents": path.read_bytes()}, data={"savepath": str(files)})
            assert added.text == "Ok.", added.text
        wait_for(lambda: len(api.get("/torrents/info").json()) == len(torrents), "all torrents are taken", 30, log)
        hashes = "|".join(one["hash"] for one in api.get("/torrents/info").json())
        told = api.post("/torrents/addPeers", data={"hashes": hashes, "peers": f"{host}:{seed_port}"})
        assert all(one == {"added": 1, "failed": 0} for one in told.json().values()), told.text
        yield port


@contextmanager
def rtorrent(shelf: Shelf, folder: Path, host: str, seed_port: int) -> Iterator[int]:
    """rTorrent with all torrents of a publication, and a tracker that names a peer: it takes peers from nobody else."""
    need_program("rtorrent")
    port, files, session, torrents = free_port(host), folder / "files", folder / "session", folder / "torrents"
    for made in (files, session, torrents):
        made.mkdir()

    class Ours(Tracker):
        peer = socket.inet_aton(host) + seed_port.to_bytes(2, "big")

    options = {
        "system.daemon.set": "true", "network.bind_address.set": host, "network.local_address.set": host,
        "network.port_range.set": f"{port}-{port}", "network.port_random.set": "no", "dht.mode.set": "disable",
        "protocol.pex.set": "no", "trackers.use_udp.set": "no", "directory.default.set": str(files),
        "session.path.set": str(session), "protocol.encryption.set": "allow_incoming",
    }  # fmt: skip
    settings = folder / "rtorrent.rc"
    settings.write_text("".join(f"{name} = {value}\n" for name, value in options.items()))
    with served(Ours, host) as tracker:
        for path in (shelf.publication / "torrents").glob("*.torrent"):
            content = libtorrent.bdecode(path.read_bytes())
            content[b"announce"] = f"{tracker}/announce".encode()  # beside `info`, so the info-hash stays
            (torrents / path.name).write_bytes(libtorrent.bencode(content))
        words = ["rtorrent", "-n", "-o", f"import={settings}", *map(str, sorted(torrents.iterdir()))]
        with running(words, folder / "rtorrent.log", {"HOME": str(folder), "TERM": "dumb"}):
            yield port


STRANGERS = {"qbittorrent": qbittorrent, "rtorrent": rtorrent}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_takes_crates_from_our_seed_and_gives_them_to_our_mirror_when_we_are_gone(
    stranger: str, shelf: Shelf, tmp_path: Path
) -> None:
    need_program("ip")
    host, wanted = own_address(), crates_of(shelf)
    port, log = free_port(host), tmp_path / "seed.log"
    assert len(wanted) >= 4
    with ExitStack() as closing:
        words = ["seed", "--reach", "peers", "--listen", f"{host}:{port}", "--archive", shelf.root]
        seed = closing.enter_context(running(tenuto_words(*words), log))
        wait_for(says(log, f"on port {port}"), "our seed listens", 30, log)
        its_port = closing.enter_context(STRANGERS[stranger](shelf, tmp_path, host, port))
        files, its_log = tmp_path / "files", tmp_path / f"{stranger}.log"
        wait_for(lambda: digests_in(files) == wanted, f"{stranger} has it all", FETCH_TIMEOUT_S, log, its_log)

        stop(seed)
        assert seed.returncode is not None
        url = closing.enter_context(served(small_files(shelf.publication)))
        into = tmp_path / "mirror"
        words = ["mirror", url, "--into", into, "--space", "1GB", "--key", shelf.settings.keys.signing_public, "--reach", "peers",
                 "--listen", f"{host}:0", "--peer", f"{host}:{its_port}", "--patience", "60s", "--json"]  # fmt: skip
        done = json.loads(tenuto(*words, timeout_s=FETCH_TIMEOUT_S).stdout)
    assert digests_in(into / "crates") == wanted
    total = sum(crate.bytes for crate in shelf.index().crates)
    assert done["received"]["swarm"] >= total, "the site gives no crates: they are from the stranger"
    assert done["received"]["place"] < total / 10
    tenuto("check", "--all", "--archive", into)

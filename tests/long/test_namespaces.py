"""Mirrors that reach one another only over a slow network that loses packets: namespaces, joined by a wire with delay and loss.

The publisher goes away for good, a mirror is destroyed, a link is down for a while; what is left restores what was lost.
Kernels without `tc netem` have TAP interfaces, so the delay and the loss are made in `wire.py`.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import swarming
import wire
from published_maker import Shelf
from support import need_program, tenuto
from swarming import crates_of, digests_in, forget, large_shelf, running, says, stop, tell, tenuto_words, wait_for

DELAY_MS, LOSS_PCT = 40, 1.5
"""One way; a round trip has twice the delay, and is lost so often on either way."""

PARTITION_S = float(os.environ.get("TENUTO_PARTITION_S", "15"))
FETCH_TIMEOUT_S = 180.0
WEB_PORT, PORT = 8000, 6881


@dataclass
class Net:
    """Namespaces by their names; each has the address 10.77.0.N."""

    folder: Path
    namespaces: dict[str, str]
    closing: ExitStack
    started: dict[str, list["subprocess.Popen[bytes]"]] = field(default_factory=dict)

    def address(self, name: str) -> str:
        return f"10.77.0.{1 + list(self.namespaces).index(name)}"

    def inside(self, name: str, words: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.namespaces[name], *words]

    def start(self, name: str, words: list[str], log: Path) -> "subprocess.Popen[bytes]":
        """A program in a namespace; it ends with the net, or before."""
        process = self.closing.enter_context(running(self.inside(name, words), log))
        self.started.setdefault(name, []).append(process)
        return process

    def serve(self, name: str, publication: Path) -> str:
        """A site with the small files of a publication, and none of its crates."""
        host = self.address(name)
        words = [sys.executable, str(Path(swarming.__file__)), str(publication), host, str(WEB_PORT)]
        self.start(name, words, self.folder / f"{name}-site.log")
        return f"http://{host}:{WEB_PORT}"

    def mirror_words(self, name: str, url: str, *words: str | Path) -> list[str]:
        """`tenuto mirror`, which is told of all the others."""
        peers = [
            word for other in self.namespaces if other != name for word in ("--peer", f"{self.address(other)}:{PORT}")
        ]
        return tenuto_words("mirror", url, "--into", self.folder / name, "--space", "1GB", "--reach", "peers",
                            "--listen", f"{self.address(name)}:{PORT}", *peers, "--json", *words)  # fmt: skip

    def link(self, name: str, state: str) -> None:
        """Take a namespace's link down, or up again."""
        subprocess.run(["ip", "-n", self.namespaces[name], "link", "set", wire.INTERFACE, state], check=True)

    def sent_bytes(self, name: str) -> int:
        """What a namespace put on the wire, with all that TCP sent again."""
        words = ["ip", "-j", "-s", "-n", self.namespaces[name], "link", "show", wire.INTERFACE]
        return int(
            json.loads(subprocess.run(words, check=True, capture_output=True).stdout)[0]["stats64"]["tx"]["bytes"]
        )

    def stop_all(self, name: str) -> None:
        for process in self.started.pop(name, []):
            stop(process)

    def destroy(self, name: str) -> None:
        """Nothing of it is left: its programs are dead, and its namespace is gone."""
        self.stop_all(name)
        self.link(name, "down")
        subprocess.run(["ip", "netns", "del", self.namespaces[name]], check=True)


@contextmanager
def net_of(folder: Path, *names: str) -> Iterator[Net]:
    """Namespaces with a wire between them; nothing of them is left behind. Skips where the kernel does not let us."""
    need_program("ip")
    with ExitStack() as closing:
        namespaces = {name: f"tenuto{os.getpid()}-{name}" for name in names}
        for namespace in namespaces.values():
            made = subprocess.run(["ip", "netns", "add", namespace], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespace can be made here: {made.stderr.strip() or made.returncode}")
            closing.callback(subprocess.run, ["ip", "netns", "del", namespace], check=False, capture_output=True)
        net = Net(folder, namespaces, closing)
        for namespace in namespaces.values():  # the same everywhere, whatever this machine's own choice is
            words = [
                "ip",
                "netns",
                "exec",
                namespace,
                "sh",
                "-c",
                "echo reno > /proc/sys/net/ipv4/tcp_congestion_control",
            ]
            subprocess.run(words, check=False, capture_output=True)
        pairs = [word for name in names for word in (namespaces[name], net.address(name))]
        words = [sys.executable, str(Path(wire.__file__)), str(DELAY_MS), str(LOSS_PCT), *pairs]
        laid = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        closing.callback(laid.communicate, timeout=20)  # its stdin ends
        assert laid.stdout is not None
        assert laid.stderr is not None
        if laid.stdout.readline() != "ready\n":
            pytest.skip(f"no TAP interface can be laid here: {laid.stderr.read().strip()[-300:]}")
        with ExitStack() as programs:
            net.closing = programs
            yield net


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Five crates of some 4 MB, and the metadata."""
    return large_shelf(tmp_path_factory.mktemp("shelf"), songs=10, target_bytes=4_000_000)


def total_bytes(shelf: Shelf) -> int:
    return sum(crate.bytes for crate in shelf.index().crates)


def seed_words(net: Net, name: str, shelf: Shelf, *words: str) -> list[str]:
    return tenuto_words(
        "seed", "--reach", "peers", "--listen", f"{net.address(name)}:{PORT}", "--archive", shelf.root, *words
    )


def rounds_in(log: Path) -> list[dict]:  # type: ignore[type-arg]
    """What a mirror said of its rounds."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def shown_bytes(log: Path) -> int:
    """How far a mirror says that it is."""
    shown = re.findall(r"^mirror: ([0-9,]+) of", log.read_text(), re.MULTILINE)
    return int(shown[-1].replace(",", "")) if shown else 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_mirrors_restore_the_third_when_the_publisher_is_gone_for_good(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, total, mirrors = crates_of(shelf), total_bytes(shelf), ("alma", "bela", "cora")
    key = shelf.settings.keys.signing_public
    with net_of(tmp_path, "publisher", *mirrors) as net:
        url = net.serve("publisher", shelf.publication)
        rate = ("--upload-rate", "600KB")  # a home's, so that to give to one another is worth it
        words = seed_words(net, "publisher", shelf, *rate)
        net.start("publisher", words, tmp_path / "seed.log")
        logs = {name: tmp_path / f"{name}.log" for name in mirrors}
        wait_for(says(tmp_path / "seed.log", "on port"), "the seed listens", 30, tmp_path / "seed.log")
        begun = time.monotonic()
        for name in mirrors:
            net.start(name, net.mirror_words(name, url, "--key", key, "--seed", "--every", "5s"), logs[name])
        for log in logs.values():
            wait_for(says(log, "Ctrl-C ends it"), "the mirror has done its round", FETCH_TIMEOUT_S, *logs.values())
        took_s, sent = time.monotonic() - begun, net.sent_bytes("publisher")
        for name, log in logs.items():
            assert digests_in(tmp_path / name / "crates") == wanted
            assert rounds_in(log)[0]["received"]["swarm"] >= total, "the site gives no crates"
        assert sent < 2.7 * total, "three copies came to be of less: they gave to one another"
        assert sum(net.sent_bytes(name) for name in mirrors) > total / 4

        net.destroy("publisher")
        net.stop_all("cora")
        forget(tmp_path / "cora")
        url = net.serve("alma", tmp_path / "alma" / "publication")
        before = {name: net.sent_bytes(name) for name in ("alma", "bela")}
        wait_for(
            says(logs["bela"], "going on with the index that is here"),
            "the others see that it is gone, and go on",
            90,
            logs["bela"],
        )
        again = time.monotonic()
        log = tmp_path / "cora-again.log"
        cora = net.start("cora", net.mirror_words("cora", url, "--key", key), log)
        wait_for(lambda: cora.poll() is not None, "the third mirror is there again", FETCH_TIMEOUT_S, log)
        assert cora.returncode == 0, log.read_text()
        restored_s = time.monotonic() - again
        gave = {name: net.sent_bytes(name) - before[name] for name in before}
        assert digests_in(tmp_path / "cora" / "crates") == wanted
        assert all(one > total / 20 for one in gave.values()), "both gave to it"
        for name in mirrors:
            if name == "cora":
                continue
            net.stop_all(name)
    for name in mirrors:
        tenuto("check", "--all", "--archive", tmp_path / name)
    from_whom = ", ".join(f"{name} {sent / 1e6:.1f} MB" for name, sent in gave.items())
    tell(
        capsys,
        f"{total / 1e6:.1f} MB over {2 * DELAY_MS} ms and {LOSS_PCT} % loss: three mirrors in {took_s:.0f} s, "
        f"{3 * total / took_s / 1e6:.2f} MB/s together, of which the publisher sent {sent / 1e6:.1f} MB; "
        f"the third restored in {restored_s:.0f} s, {total / restored_s / 1e6:.2f} MB/s, from {from_whom}",
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_mirror_whose_link_is_down_in_mid_download_goes_on_when_it_is_up_again(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, total = crates_of(shelf), total_bytes(shelf)
    with net_of(tmp_path, "publisher", "alma") as net:
        url = net.serve("publisher", shelf.publication)
        net.start("publisher", seed_words(net, "publisher", shelf), tmp_path / "seed.log")
        wait_for(says(tmp_path / "seed.log", "on port"), "the seed listens", 30, tmp_path / "seed.log")
        log = tmp_path / "alma.log"
        words = net.mirror_words("alma", url, "--key", shelf.settings.keys.signing_public, "--download-rate", "1MB")
        mirror = net.start("alma", words, log)

        wait_for(lambda: shown_bytes(log) > total / 4, "a part has come", FETCH_TIMEOUT_S, log)
        net.link("alma", "down")
        time.sleep(PARTITION_S)
        assert mirror.poll() is None, log.read_text()
        net.link("alma", "up")
        up = time.monotonic()
        wait_for(lambda: mirror.poll() is not None, "the mirror has it all", FETCH_TIMEOUT_S, log)
        assert mirror.returncode == 0, log.read_text()
        took_s = time.monotonic() - up
        done = rounds_in(log)[0]
    assert digests_in(tmp_path / "alma" / "crates") == wanted
    assert done["received"]["swarm"] < 1.5 * total, "what had come is not fetched again"
    tenuto("check", "--all", "--archive", tmp_path / "alma")
    received = f"{done['received']['swarm'] / 1e6:.1f} of {total / 1e6:.1f} MB received"
    tell(capsys, f"the link {PARTITION_S:.0f} s down: all is here {took_s:.0f} s after it was up again, {received}")

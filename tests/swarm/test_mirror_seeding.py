"""`tenuto mirror --seed`: it gives out what is here, follows each new index, and ends when it is told to."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror_maker import CRATES, Holder, Peer, World, tail_bytes, wait_until
from publication_maker import answer, serving
from swarming import free_port

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("at_home")]  # processes, and waiting for them

ALL = tuple(CRATES)


@contextmanager
def following(holder: Holder, log: Path, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A mirror that follows every second, as a process."""
    words = ["mirror", holder.of, "--into", str(holder.root), "--space", "1GB", "--seed", "--every", "1s"]
    words += [] if "--patience" in more else ["--patience", "3s"]
    words += ["--reach", "peers", *more]
    words += [] if "--listen" in more else ["--listen", "127.0.0.1:0"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenuto", *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": str(log.parent / "state")},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def port_in(log: Path) -> str:
    def found() -> str:
        text = log.read_text(errors="replace")
        return text.split(" on port ")[1].split(";")[0] if " on port " in text else ""

    wait_until(found, f"a port in {log}: {log.read_text(errors='replace')}", 15.0)
    return f"127.0.0.1:{found()}"


def test_it_gives_out_follows_moves_and_ends(world: World, holder: Holder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    peer = Peer()
    with following(holder, log) as process:
        address = port_in(log)
        (tmp_path / "got").mkdir()
        got = peer.fetch(world.torrent("heard-b"), tmp_path / "got", address)
        wait_until(lambda: got.status().is_seeding, "a crate from the mirror")
        old, before = world.torrent("heard-a"), world.whole("heard-a")
        world.withdraw("heard-a", 2)
        wait_until(lambda: (holder.layout.crates / "heard-a.zip").exists()
                   and (holder.layout.crates / "heard-a.zip").read_bytes() == world.whole("heard-a"), "the revision")  # fmt: skip
        (tmp_path / "stale").mkdir()
        (tmp_path / "fresh").mkdir()
        stale = peer.fetch(old, tmp_path / "stale", address)
        fresh = peer.fetch(world.torrent("heard-a"), tmp_path / "fresh", address)
        wait_until(lambda: fresh.status().is_seeding, "the revision from the mirror")
        assert stale.status().total_payload_download == 0
        assert tail_bytes(before, world.whole("heard-a")) > 0
        world.drop("heard-b")
        wait_until(lambda: "heard-b" not in holder.crates(), "that it goes")
        process.send_signal(signal.SIGTERM)
        assert process.wait(8.0) == 130, log.read_text()
    peer.close()
    assert "Traceback" not in log.read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    holder.assert_holds(world, *(set(ALL) - {"heard-b"}))


def test_it_gives_out_what_is_here_while_a_crate_is_waited_for_and_follows_a_new_index_meanwhile(
    world: World, holder: Holder, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    (world.folder / "crates/heard-a.zip").unlink()
    holder(patience_s=0.5)
    holder.assert_holds(world, *(set(ALL) - {"heard-a"}))
    peer, address = Peer(), f"127.0.0.1:{free_port()}"
    with following(holder, log, "--patience", "60s", "--listen", address) as process:
        (tmp_path / "got").mkdir()

        def is_up() -> bool:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1.0),
            ):
                return True
            return False

        wait_until(is_up, "that it listens", 15.0)
        got = peer.fetch(world.torrent("rare-c"), tmp_path / "got", address)
        wait_until(lambda: got.status().is_seeding, "a crate that is held", 12.0)
        world.drop("heard-b")
        wait_until(
            lambda: "heard-b" not in holder.crates(), "that what left the index goes, though a crate is waited for"
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(8.0) == 130, log.read_text()
    peer.close()


def test_a_place_that_goes_away_and_comes_back_is_followed_again(world: World, holder: Holder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with following(holder, log) as process:
        port_in(log)
        away = world.folder.rename(tmp_path / "away")
        wait_until(lambda: "going on with the index that is here" in log.read_text(), "that it is said")
        away.rename(world.folder)
        world.drop("heard-b")
        wait_until(lambda: "heard-b" not in holder.crates(), "that it follows")
        process.send_signal(signal.SIGINT)
        assert process.wait(8.0) == 130


def test_what_is_held_is_given_out_though_the_place_fails_from_the_start_and_is_followed_when_it_is_well(
    world: World, tmp_path: Path
) -> None:
    log, peer = tmp_path / "log", Peer()
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        holder()
        world.add("rare-e", (50_000,))
        site.lie(world.crate("rare-e").torrent.path, answer(500))
        address = f"127.0.0.1:{free_port()}"
        with following(holder, log, "--listen", address) as process:
            (tmp_path / "got").mkdir()
            wait_until(lambda: "giving out 5 crates" in log.read_text(), "that it gives out at once", 15.0)
            got = peer.fetch(world.torrent("heard-b"), tmp_path / "got", address)
            wait_until(lambda: got.status().is_seeding, "a crate that is held")
            wait_until(lambda: "it is tried again in" in log.read_text(), "that the first round failed", 15.0)
            assert process.poll() is None
            site.lies.clear()
            wait_until(lambda: "rare-e" in holder.crates(), "that it follows", 15.0)
            process.send_signal(signal.SIGTERM)
            assert process.wait(8.0) == 130, log.read_text()
        peer.close()
        world.key = Ed25519PrivateKey.generate()
        world.sign()
        with following(holder, log) as process:
            assert process.wait(15.0) == 7, "another key at its start ends it"

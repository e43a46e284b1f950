"""The session by itself: what it says, whom it calls, and that it gives out no crate that has rotted."""

import contextlib
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from crate_maker import Made, make_crate, withdraw_by_hand
from mirror_maker import Peer, Said, World, wait_until
from publication_maker import answer, serving
from tenuto.archive.settings import SwarmSettings
from tenuto.crates.follow import follow
from tenuto.crates.reader import CrateFile
from tenuto.swarm import hosts as hosts_module
from tenuto.swarm import session as under_test
from tenuto.swarm.session import Session

HERE = SwarmSettings(listen="127.0.0.1:0", reach="peers")


def test_a_whole_crate_of_this_revision_keeps_its_tail(tmp_path: Path) -> None:
    made = make_crate(tmp_path, (1, 2**20 + 77, 40_001))
    made = withdraw_by_hand(Made(made.path, made.metainfo, made.songs), [made.songs[1]])
    before = made.path.read_bytes()
    follow(made.path, [(one.offset, one.bytes) for one in CrateFile(made.path).withdrawn()], len(before))
    assert made.path.read_bytes() == before


def test_a_crate_that_rotted_is_given_out_no_more_and_that_is_said(world: World, tmp_path: Path) -> None:
    crate = max(world.index.crates, key=lambda one: one.bytes).crate
    held, coming, said = tmp_path / "held", tmp_path / "coming", Said()
    held.mkdir()
    coming.mkdir()
    shutil.copy(world.file(crate), held)
    path = held / f"{crate}.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with Session(HERE, said.say) as seeder:
        seeder.seed(world.torrent(crate), held)
        asking = HERE.model_copy(update={"peers": (f"127.0.0.1:{seeder.port}",)})
        with Session(asking) as other:
            other.fetch(world.torrent(crate), coming)

            def is_out() -> bool:
                seeder.step(0.05)
                other.step(0.05)
                return not seeder.is_here(f"{crate}.zip")

            wait_until(is_out, "that it is given out no more")
    assert f"tenuto repair {crate}" in said.text
    assert path.read_bytes() == content, "nothing was written into it"


def test_a_web_seed_that_fails_is_said_in_words(world: World, tmp_path: Path) -> None:
    crate, said = world.index.crates[0].crate, Said()
    with serving(world.folder) as site, Session(HERE, said.say) as session:
        site.lie(f"crates/{crate}.zip", answer(404, b"no"))
        session.fetch(world.torrent(crate), tmp_path, [f"{site.url}/crates/{crate}.zip"])

        def is_said() -> bool:
            session.step(0.1)
            return bool(said.text)

        wait_until(is_said, "that the web seed failed")
    assert "object at" not in said.text
    assert crate in said.text


def test_of_many_messages_of_a_kind_one_a_minute_is_said_with_the_number_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, now = Said(), [1000.0]
    with Session(HERE, said.say) as session:
        monkeypatch.setattr(under_test.time, "monotonic", lambda: now[0])
        for number in range(5):
            session._say_seldom("disk", f"fault {number}")
        now[0] += 61
        session._say_seldom("disk", "fault 5")
        monkeypatch.undo()
    assert said.text.splitlines() == ["fault 0", "fault 5 (and 4 more like it before)"]


def test_who_hangs_up_is_called_ever_less_often_and_soon_again_when_crates_are_fetched_anew(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    one, other = world.torrent("heard-a"), world.torrent("heard-b")

    def pause_s(after_s: float) -> int:
        now[0] += after_s
        session.step(0.0)
        return int(session._session.get_settings()["min_reconnect_time"])

    with Session(HERE) as session:
        monkeypatch.setattr(under_test.time, "monotonic", lambda: now[0])
        assert pause_s(3.0) == 60
        session.fetch(one, tmp_path)
        assert [pause_s(after_s) for after_s in (0.1, 3.0, 6.0, 21.0, 90.0, 900.0)] == [2, 2, 6, 20, 60, 60]
        session.fetch(other, tmp_path)
        assert pause_s(3.0) == 60, "others have been waited for all the time"
        session.remove(one.name)
        session.remove(other.name)
        session.fetch(one, tmp_path)
        assert pause_s(0.1) == 2
        session.remove(one.name)
        assert pause_s(3.0) == 60
        monkeypatch.undo()


@pytest.mark.long
def test_who_takes_the_call_and_hangs_up_is_not_called_once_a_second(world: World, tmp_path: Path) -> None:
    called = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()
                    called.append(time.monotonic() - begun)

        begun = time.monotonic()
        threading.Thread(target=hang_up, daemon=True).start()
        asking = HERE.model_copy(update={"peers": (f"127.0.0.1:{server.getsockname()[1]}",)})
        with Session(asking) as session:
            session.fetch(world.torrent("heard-a"), tmp_path)
            while time.monotonic() - begun < 20.0:
                session.step(0.2)
    assert 3 <= len(called) <= 6, called
    assert [at for at in called if 1.5 < at < 5.0], "soon again"


@pytest.mark.long
def test_who_was_away_at_first_is_called_again(world: World, tmp_path: Path) -> None:
    peer = Peer()
    port = int(peer.address.rpartition(":")[2])
    peer.session.apply_settings({"listen_interfaces": ""})
    with Session(HERE.model_copy(update={"peers": (f"127.0.0.1:{port}",)})) as session:
        fetch = session.fetch(world.torrent("heard-b"), tmp_path)
        end = time.monotonic() + 12.0
        while time.monotonic() < end:
            session.step(0.2)
        peer.session.apply_settings({"listen_interfaces": f"127.0.0.1:{port}"})
        peer.seed(world.torrent("heard-b"), world.root / "crates")
        wait_until(lambda: (session.step(0.2), fetch.state == "done")[1], "that it comes", 60.0)
    peer.close()


def test_a_name_server_that_is_slow_is_asked_once_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def slow(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        time.sleep(1.0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(hosts_module.socket, "getaddrinfo", slow)
    monkeypatch.setattr(hosts_module, "_FIRST_LOOK_UP_S", 0.1)
    hosts = hosts_module.Hosts()
    begun = time.monotonic()
    found = [hosts.addresses("mirror.invalid:6881") for _ in range(50)]
    assert time.monotonic() - begun < 0.9
    assert found[-1] == []
    wait_until(lambda: hosts.addresses("mirror.invalid:6881") == [("127.0.0.1", 6881)], "that its address is known")
    assert asked == ["mirror.invalid"]
    assert hosts.addresses("[2001:db8::7]:6881") == [("2001:db8::7", 6881)]

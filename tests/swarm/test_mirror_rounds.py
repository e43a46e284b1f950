"""Rounds that take long, or go wrong: what is followed meanwhile, what is given up and when, what is said of it."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror_maker import CRATES, Holder, Peer, Said, World, wait_until, without_crates
from publication_maker import Asked, Handler, serving
from tenuto.archive import load_settings
from tenuto.cli import _run
from tenuto.swarm.status import mirror_status

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("alone")]  # processes, and waiting for them

ALL = set(CRATES)


@contextmanager
def beside(work: Callable[[], Any], timeout_s: float = 15.0) -> Iterator[None]:
    """Do it in a thread, which must be at its end soon after the block."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(timeout_s)
    assert not thread.is_alive(), f"it goes on {timeout_s} s later"
    assert faults == []


def dripping(handler: Handler, asked: Asked, content: bytes) -> None:
    """All of it, in half a minute."""
    handler.close_connection = True
    handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode())
    for at in range(0, len(content), len(content) // 300):
        handler.wfile.write(content[at : at + len(content) // 300])
        time.sleep(0.1)


# -- what is followed while crates come


def test_an_index_that_comes_while_crates_are_fetched_is_followed_without_seeding_too(
    world: World, holder: Holder
) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder.of = site.url
        begun = time.monotonic()
        with beside(lambda: holder(patience_s=6.0, every_s=0.3)):
            wait_until(lambda: any(one.path.endswith(".zip") for one in site.log), "that it fetches")
            world.take_out("heard-b")
            wait_until(lambda: holder.rounds, "that the round ends", 4.0)
        assert time.monotonic() - begun < 20
    first, last = holder.rounds
    assert first.is_overtaken
    assert "heard-b" not in last.left
    assert (last.index.sequence, last.is_overtaken) == (8, False)


def test_a_slow_place_holds_up_neither_other_crates_nor_the_look_at_the_index(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenuto.swarm.fetching.LONELY_S", 0.5)
    monkeypatch.setattr("tenuto.swarm.session.CALL_AGAIN_S", 0.5)
    peer = Peer()
    whole = world.whole("heard-a")
    with serving(world.folder, gives_ranges=False) as site:
        for crate in ALL - {"heard-a"}:
            (world.folder / f"crates/{crate}.zip").unlink()
        site.lie("heard-a.zip", dripping)
        holder.of = site.url
        asked = threading.Event()
        with beside(lambda: holder(patience_s=30.0, every_s=0.5, peers=[peer.address]), 12.0):
            wait_until(lambda: [one for one in site.log if one.path.endswith("heard-a.zip") and one.range is None],
                       "that the place is asked for it")  # fmt: skip
            asked.set()
            for crate in ALL - {"heard-a"}:
                peer.seed(world.torrent(crate), world.root / "crates")
            wait_until(lambda: holder.crates() == ALL - {"heard-a"}, "the other crates", 12.0)
            world.take_out("heard-a")
    peer.close()
    assert [one.is_overtaken for one in holder.rounds] == [True, False]
    part = (holder.layout.incoming / "heard-a.zip").read_bytes()
    assert len(part) <= len(whole)
    holder.assert_holds(world, *(ALL - {"heard-a"}))


def test_ctrl_c_ends_it_soon_though_the_place_says_nothing_any_more(world: World, holder: Holder) -> None:
    asked_whole = threading.Event()

    def stalling(handler: Handler, asked: Asked, content: bytes) -> None:
        if asked.range is not None:
            handler.reply(200, content)
            return
        asked_whole.set()
        time.sleep(20)

    with serving(world.folder, gives_ranges=False) as site:
        words = ["mirror", site.url, "--into", str(holder.root), "--space", "1GB", "--patience", "1s", "--reach", "peers",
                 "--listen", "127.0.0.1:0"]  # fmt: skip
        site.lie(".zip", stalling)
        process = subprocess.Popen([sys.executable, "-m", "tenuto", *words], stderr=subprocess.PIPE)
        try:
            assert asked_whole.wait(15.0)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=8.0)[1].count(b"Traceback") == 0
            assert process.returncode == 130
        finally:
            process.kill()
            process.wait()


# -- another INDEX


@pytest.mark.parametrize("what", ["nothing", "another key", "older"])
def test_another_index_is_written_down_only_once_it_was_read_and_believed(
    world: World, holder: Holder, tmp_path: Path, what: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if what == "older":
        holder(of=world.folder)
        for name in ("index.json", "index.json.sig"):
            (elsewhere / name).write_bytes((world.folder / name).read_bytes())
        world.take_out("heard-b")
    holder()
    before = holder.layout.settings.read_bytes()
    if what == "another key":
        key, folder, index = world.key, world.root, world.index
        world.root, world.key = elsewhere, Ed25519PrivateKey.generate()
        elsewhere = world.folder
        elsewhere.mkdir()
        world.sign()
        world.root, world.key, world.index = folder, key, index
    words = ["mirror", str(elsewhere), "--into", str(holder.root), "--listen", "127.0.0.1:0", "--reach", "peers"]
    assert _run(words) == (5 if what == "nothing" else 7)
    assert holder.layout.settings.read_bytes() == before
    assert _run([words[0], *words[2:]]) == 0


def test_another_index_that_is_believed_is_followed(world: World, holder: Holder) -> None:
    with serving(world.folder) as site:
        holder()
        holder(of=site.url)
        settings = load_settings(holder.layout.settings).mirror
        assert settings is not None
        assert settings.of == site.url


# -- what is given up, and when


def test_a_crate_that_the_disk_refuses_is_left_and_the_others_come(world: World, holder: Holder) -> None:
    (holder.root / ".tenuto").mkdir(parents=True)
    holder.layout.incoming.mkdir(parents=True)
    (holder.layout.incoming / "heard-a.zip").mkdir()
    (holder.root / "state").rename(holder.root / ".tenuto-state")
    holder(bands=("unheard",))
    (holder.root / ".tenuto-state/incoming/heard-a.zip").rename(holder.layout.incoming / "heard-a.zip")
    done = holder(bands=("heard", "unheard"))
    assert set(done.left) == {"heard-a"}
    assert "directory" in done.left["heard-a"]
    holder.assert_holds(world, *(ALL - {"heard-a"}))


def test_with_little_patience_the_place_is_asked_all_the_same(world: World, holder: Holder) -> None:
    with serving(world.folder, gives_ranges=False) as site:
        assert holder(of=site.url, patience_s=1.0).left == {}
    holder.assert_holds(world, *ALL)


def test_where_nobody_is_the_rest_is_given_up_at_once_but_what_the_place_has_comes(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenuto.swarm.fetching.AT_ONCE", 1)
    for number in range(12):
        world.add(f"more-{number:02}", (20_000,), band="heard")
    last = (world.folder / "crates/rare-d.zip").read_bytes()
    without_crates(world)
    (world.folder / "crates/rare-d.zip").write_bytes(last)
    with serving(world.folder, gives_ranges=False) as site:
        begun = time.monotonic()
        done = holder(of=site.url, patience_s=2.0)
        took_s = time.monotonic() - begun
    assert took_s < 13 * 2.0, "each of 13 crates had its two seconds"
    assert done.fetched == ["rare-d"]
    assert len(done.left) == 16
    assert sum("no peer was there" in why for why in done.left.values()) >= 12


# -- what is said


class Counting(Said):
    """What a bar would show."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[tuple[str, int | None]] = []
        self.counts: list[int] = []

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        self.begun.append((label, total))
        self.counts.append(0)

    def advance(self, done: int = 1, total: int | None = None) -> None:
        self.counts[-1] += done


@pytest.mark.parametrize("kind", ["folder", "web"])
def test_a_round_is_one_task_that_ends_at_its_total(world: World, tmp_path: Path, kind: str) -> None:
    said = Counting()
    with serving(world.folder, gives_ranges=False) as site:
        Holder(tmp_path / "mirror", site.url if kind == "web" else str(world.folder), said)(patience_s=2.0)
    total = sum(crate.bytes for crate in world.index.crates)
    assert said.begun[-1] == ("mirror", total)
    assert [label for label, _ in said.begun] == ["small files", "mirror"]
    assert said.counts[-1] == total


def test_a_crate_that_is_no_longer_published_rests_and_is_not_begun(
    world: World, holder: Holder, capfd: pytest.CaptureFixture[str]
) -> None:
    holder()
    world.drop("heard-b")
    holder()
    status = mirror_status(holder.layout, load_settings(holder.layout.settings))
    assert (status["incoming"], status["resting"]) == ([], ["heard-b"])
    assert _run(["status", "--archive", str(holder.root)]) == 0
    shown = capfd.readouterr().out
    assert "resting heard-b: no longer published, not given out; deleted when room is needed" in shown
    assert "--seed" in shown


def test_the_key_is_known_to_this_machine_from_then_on(world: World, holder: Holder, tmp_path: Path) -> None:
    holder()
    path = tmp_path / "state/tenuto/known.json"
    seen = {"archive": "testing", "signing_public": world.public, "sequence": 7}
    assert json.loads(path.read_text())["places"] == {str(world.folder): seen}
    Holder(tmp_path / "second", str(holder.layout.publication))()
    assert list(json.loads(path.read_text())["places"]) == [str(world.folder)], "one's own folder needs no note"


def test_without_into_no_folder_becomes_a_mirror(
    world: World, holder: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    quiet = ["--listen", "127.0.0.1:0", "--reach", "peers"]
    assert _run(["mirror", str(world.folder), "--space", "1GB", *quiet]) == 2
    assert f"tenuto mirror {world.folder} --into DIR --space" in capfd.readouterr().err
    assert list((tmp_path / "here").iterdir()) == []
    holder()
    monkeypatch.chdir(holder.root)
    assert _run(["mirror", *quiet]) == 0
    assert _run(["mirror", "example.org/music", *quiet]) == 2
    assert "with https:// before it, if it is an address" in capfd.readouterr().err

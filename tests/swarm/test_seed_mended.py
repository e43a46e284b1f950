"""A crate that rotted while it was given out is counted no more, and given out again once its file was mended."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenuto.swarm.seeding
from mirror_maker import Peer, wait_until
from repair_maker import Place, flip, mirror
from tenuto.archive import load_settings
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.swarm.seeding import Seeder, described
from tenuto.swarm.session import Session

OTHERS = {"crate-b", "crate-c"}


class Giving:
    """A mirror that gives out, stepped by the test."""

    def __init__(self, place: Place) -> None:
        self.place, self.said = place, list[str]()
        self.settings = load_settings(place.layout.settings)
        self.session = Session(self.settings.swarm, self.said.append)
        self.seeder = Seeder(place.layout, self.settings, self.session, self.said.append)
        self.seeder.refresh()

    @property
    def given_out(self) -> set[str]:
        self.session.step(0.02)
        self.seeder.refresh()
        return set(self.seeder.given_out)

    def ask(self, folder: Path, is_so: object) -> None:
        """Somebody asks for crate-a until it is so."""
        folder.mkdir()
        peer = Peer()
        torrent = read_metainfo(torrent_beside(self.place.file()).read_bytes(), "crate-a")
        got = peer.fetch(torrent, folder, f"127.0.0.1:{self.session.port}")
        try:
            wait_until(lambda: is_so(got), f"it; {self.said}", 15.0)  # type: ignore[operator]
        finally:
            peer.close()


@pytest.fixture
def giving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Giving]:
    monkeypatch.setattr(tenuto.swarm.seeding, "_MENDING_S", 0.3)
    one = Giving(mirror(tmp_path))
    yield one
    one.session.__exit__(None, None, None)


def rot(giving: Giving, folder: Path) -> None:
    """Damage in crate-a, as a disk does it, which a peer finds."""
    before = giving.place.file().stat()
    flip(giving.place.file(), 3, 100_000)
    os.utime(giving.place.file(), ns=(before.st_atime_ns, before.st_mtime_ns))
    giving.ask(folder, lambda _: giving.given_out == OTHERS)


def test_a_crate_that_rotted_is_counted_no_more_and_given_out_again_once_it_is_mended(
    giving: Giving, tmp_path: Path
) -> None:
    assert giving.given_out == {"crate-a", *OTHERS}
    rot(giving, tmp_path / "first")
    assert "2 crates" in described(giving.seeder, giving.settings)
    assert any("crate-a.zip is damaged on this disk" in line for line in giving.said)
    giving.seeder.refresh(is_forced=True)
    assert giving.given_out == OTHERS, "it is as it was"
    assert giving.place.repair(places=[giving.place.copies]).left == []
    wait_until(lambda: giving.given_out == {"crate-a", *OTHERS}, "that it is given out again")
    giving.ask(tmp_path / "second", lambda got: (giving.given_out, got.status().is_seeding)[1])
    assert (tmp_path / "second/crate-a.zip").read_bytes() == giving.place.whole()


def test_a_crate_is_not_given_out_while_somebody_writes_to_it(
    giving: Giving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rot(giving, tmp_path / "first")
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        giving.place.file().touch()
        assert giving.given_out == OTHERS
    wait_until(lambda: giving.given_out == {"crate-a", *OTHERS}, "that it is tried again")
    monkeypatch.setattr(tenuto.swarm.seeding, "_MENDING_S", 60.0)
    giving.ask(tmp_path / "second", lambda _: giving.given_out == OTHERS)


def test_a_crate_that_was_mended_before_its_fall_was_noted_is_given_out_again(giving: Giving, tmp_path: Path) -> None:
    flip(giving.place.file(), 3, 100_000)
    giving.ask(
        tmp_path / "first", lambda _: (giving.session.step(0.02), giving.session.is_here("crate-a.zip"))[1] is False
    )
    giving.place.repair(places=[giving.place.copies])
    assert giving.given_out == OTHERS
    wait_until(lambda: giving.given_out == {"crate-a", *OTHERS}, "that it is given out again")


def test_what_changed_and_may_not_be_given_out_is_not_asked_for_each_time(
    giving: Giving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rot(giving, tmp_path / "first")
    torrent = torrent_beside(giving.place.file())
    away = torrent.rename(tmp_path / "away")
    giving.place.file().touch()
    wait_until(
        lambda: (giving.seeder.refresh(), "crate-a" not in giving.seeder._lost)[1], "that its file was looked at"
    )
    assert not any(giving.seeder.refresh() for _ in range(40))
    away.rename(torrent)
    wait_until(lambda: giving.given_out == {"crate-a", *OTHERS}, "that it is given out once it may be")


def test_a_crate_that_is_put_back_by_a_round_is_given_out_at_once(giving: Giving, tmp_path: Path) -> None:
    rot(giving, tmp_path / "first")
    torrent = read_metainfo(torrent_beside(giving.place.file()).read_bytes(), "crate-a")
    giving.seeder.add("crate-a", torrent)
    assert giving.given_out == {"crate-a", *OTHERS}


def test_a_crate_that_left_the_index_is_not_given_out_however_its_file_changes(giving: Giving, tmp_path: Path) -> None:
    rot(giving, tmp_path / "first")
    torrent_beside(giving.place.file()).unlink()
    giving.place.file().touch()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert giving.given_out == OTHERS

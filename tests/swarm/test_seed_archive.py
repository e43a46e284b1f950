"""`tenuto seed` in an archive of one's own: what the index does not name, and what may not be given out today, is in no swarm."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror_maker import Peer, wait_until
from published_maker import ALONE, SOURCE, Shelf, a_shelf
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.model.errors import UsageError
from tenuto.swarm.seeding import Seeder, watch
from tenuto.swarm.session import Session


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = a_shelf(tmp_path / "shelf")
    with made.layout.settings.open("a") as file:
        file.write('\n[swarm]\nlisten = "127.0.0.1:0"\nreach = "peers"\n')
    made("publish")
    return made


class Seeding:
    """The archive's seeder in a thread."""

    def __init__(self, shelf: Shelf, names: tuple[str, ...] = ()) -> None:
        self.said: list[str] = []
        self.is_over = threading.Event()
        self.session = Session(shelf.settings.swarm, self.said.append)
        self.seeder = Seeder(shelf.layout, shelf.settings, self.session, self.said.append, names)
        self.seeder.refresh()
        arguments = (self.session, self.seeder, shelf.settings, self.said.append, self.is_over.is_set)
        self.thread = threading.Thread(target=watch, args=arguments)
        self.address = f"127.0.0.1:{self.session.port}"

    def end(self) -> None:
        self.is_over.set()
        self.thread.join(10.0)
        assert not self.thread.is_alive()
        self.session.__exit__(None, None, None)


@contextmanager
def seeding(shelf: Shelf, *names: str) -> Iterator[Seeding]:
    one = Seeding(shelf, names)
    one.thread.start()
    try:
        yield one
    finally:
        one.end()


def torrent(path: Path) -> Metainfo:
    return read_metainfo(torrent_beside(path).read_bytes(), path.name)


def fetched(address: str, metainfo: Metainfo, folder: Path, timeout_s: float = 6.0) -> int:
    """How many bytes somebody gets of a crate; returns as soon as it is whole."""
    folder.mkdir(exist_ok=True)
    peer = Peer()
    handle = peer.fetch(metainfo, folder, address)
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not handle.status().is_seeding:
        time.sleep(0.05)
    found: int = handle.status().total_payload_download
    peer.close()
    return found


def test_all_that_is_published_is_given_out_and_no_dark_crate(shelf: Shelf, tmp_path: Path) -> None:
    with seeding(shelf) as one:
        named = {crate.crate for crate in shelf.index().crates}
        assert set(one.seeder.given_out) == named
        assert not {path.stem for path in shelf.layout.dark.glob("*.zip")} & named
        (path,) = shelf.crates_with(ALONE)
        assert fetched(one.address, torrent(path), tmp_path / "got") == path.stat().st_size
    assert (tmp_path / "got" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("broken", ["", "catalogue"])
@pytest.mark.parametrize("is_named", [False, True], ids=["all", "one that is named"])
def test_what_is_withdrawn_is_out_of_the_swarm_within_seconds(
    shelf: Shelf, tmp_path: Path, broken: str, is_named: bool
) -> None:
    (path,) = shelf.crates_with(ALONE)
    before = torrent(path)
    with seeding(shelf, *([path.stem] if is_named else [])) as one:
        assert one.session.is_here(path.name)
        gone: dict[str, Any] = {}

        def look() -> None:
            sequence = shelf.index().sequence
            while not gone and not one.is_over.is_set():
                index = shelf.index()
                if index.sequence != sequence and before.infohash_v2 not in {
                    crate.infohash_v2 for crate in index.crates
                }:
                    gone["published"] = time.monotonic()
                time.sleep(0.01)

        looking = threading.Thread(target=look)
        looking.start()
        if broken:
            next(iter(shelf.layout.catalogue.rglob("track.parquet"))).write_bytes(b"junk")
        shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", code=None)
        looking.join(0.0 if broken else 10.0)
        gone.setdefault("published", time.monotonic())  # without a catalogue nothing can be published

        def is_out() -> bool:
            found = one.seeder.given_out.get(path.stem)
            return found is None or found.infohash_v2 != before.infohash_v2

        wait_until(is_out, f"out of the swarm; {one.said}", 6.0)
        took_s = time.monotonic() - gone["published"]
        assert took_s < 6.0
        assert fetched(one.address, before, tmp_path / "got", 1.5) == 0
        print(f"out of the swarm {took_s:.1f} s after the publish")  # noqa: T201


def test_a_licence_that_ended_is_not_given_out_though_the_index_names_it(shelf: Shelf) -> None:
    (path,) = shelf.crates_with(ALONE)
    shelf.permit("", '[[grant]]\npath = ["open/Lonely/*"]\nmay_give_out = false')
    assert path.stem in {crate.crate for crate in shelf.index().crates}, "nobody has published since"
    with seeding(shelf) as one:
        assert path.stem not in one.seeder.given_out
        assert any(path.stem in line and "is not given out" in line for line in one.said)
        assert one.seeder.given_out


def test_a_crate_that_is_not_published_is_refused_by_name(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="the publication names no crate nothing"):
        Seeding(shelf, ("nothing",))
    assert "names no crate" in shelf("seed", "nothing", code=2)[1]


def test_nothing_published_is_said(tmp_path: Path) -> None:
    made = a_shelf(tmp_path / "shelf")
    assert "tenuto publish" in made("seed", "--listen", "127.0.0.1:0", "--reach", "peers", code=2)[1]


def test_a_crate_that_rotted_is_not_given_out_and_not_written_to(shelf: Shelf, tmp_path: Path) -> None:
    """A peer that asks finds the damage; the archive's own file is for repair to mend, which says what it does."""
    (path,) = shelf.crates_with(ALONE)
    whole, metainfo = path.read_bytes(), torrent(path)
    good_folder = tmp_path / "good"
    good_folder.mkdir()
    (good_folder / path.name).write_bytes(whole)
    good = Peer()
    good.seed(metainfo, good_folder)
    text = shelf.layout.settings.read_text()
    shelf.layout.settings.write_text(text + f'peers = ["{good.address}"]\n')
    rotten = bytes(byte ^ 0xFF for byte in whole[:50_000]) + whole[50_000:]
    with path.open("r+b") as file:
        file.write(rotten)
    with seeding(shelf) as one:
        fetched(one.address, metainfo, tmp_path / "got", 3.0)
        assert path.read_bytes() == rotten
    good.close()
    assert (tmp_path / "got").is_dir()


def test_a_crate_file_that_goes_while_it_is_given_out_is_not_made_anew(shelf: Shelf, tmp_path: Path) -> None:
    (path,) = shelf.crates_with(ALONE)
    metainfo = torrent(path)
    with seeding(shelf) as one:
        path.unlink()
        assert fetched(one.address, metainfo, tmp_path / "got", 2.0) == 0
        assert not path.exists()


def test_two_seeders_in_one_archive_are_one_too_many(shelf: Shelf) -> None:
    from tenuto.archive import ArchiveLock  # noqa: PLC0415

    with ArchiveLock(shelf.layout.seeding_lock, "seed"):
        shelf("seed", code=8)

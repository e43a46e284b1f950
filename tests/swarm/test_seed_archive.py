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
from repair_maker import mirror
from tenuto.archive import load_settings
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.model.errors import UsageError
from tenuto.publication.known import Known, KnownPlaces
from tenuto.swarm import seeding as seeding_module
from tenuto.swarm.seeding import Seeder, watch
from tenuto.swarm.session import Session

pytestmark = pytest.mark.long  # processes, and waiting for them


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


# -- what cannot be asked is not given out


def test_a_publication_that_is_gone_ends_all_at_once_until_it_is_back(shelf: Shelf) -> None:
    away = shelf.root / "away"
    with seeding(shelf) as one:
        every = set(one.seeder.given_out)
        assert every
        shelf.publication.rename(away)
        wait_until(lambda: not one.seeder.given_out, f"nothing given out; {one.said}", 4.0)
        assert not any(one.session.is_here(f"{crate}.zip") for crate in every)
        wait_until(lambda: any("nothing is given out any more" in line for line in one.said), "that it is said", 1.0)
        assert one.thread.is_alive()
        away.rename(shelf.publication)
        wait_until(lambda: set(one.seeder.given_out) == every, f"all is back; {one.said}", 8.0)


@pytest.mark.parametrize("name", ["index.json", "index.json.sig"])
def test_an_index_that_cannot_be_verified_ends_all_after_a_grace(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(seeding_module, "_INDEX_GRACE_S", 3.0)
    monkeypatch.setattr(seeding_module, "_TRY_AGAIN_S", 0.1)
    monkeypatch.setattr(seeding_module, "_ASK_AGAIN_S", 0.1)  # a signature's file is no part of the stamp
    before = (shelf.publication / name).read_bytes()
    with seeding(shelf) as one:
        every = set(one.seeder.given_out)
        (shelf.publication / name).write_bytes(bytes(64))
        wait_until(lambda: any("cannot be told now" in line for line in one.said), f"that it is said; {one.said}")
        assert set(one.seeder.given_out) == every, "publishing may take a moment"
        wait_until(lambda: not one.seeder.given_out, f"nothing given out; {one.said}")
        wait_until(lambda: any("nothing is given out any more" in line for line in one.said), "that it is said", 1.0)
        assert sum("cannot be told now" in line for line in one.said) == 1
        (shelf.publication / name).write_bytes(before)
        wait_until(lambda: set(one.seeder.given_out) == every, f"all is back; {one.said}")


@pytest.mark.parametrize("broken", ["edition.json", "a table", "current", "all of it"])
def test_a_gate_that_cannot_be_asked_ends_all_after_a_grace(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(seeding_module, "_GATE_GRACE_S", 2.0)
    monkeypatch.setattr(seeding_module, "_TRY_AGAIN_S", 0.1)
    monkeypatch.setattr(seeding_module, "_ASK_AGAIN_S", 0.1)
    catalogue, away = shelf.layout.catalogue, shelf.root / "away"
    with seeding(shelf) as one:
        every = set(one.seeder.given_out)
        if broken == "all of it":
            there = catalogue
        elif broken == "current":
            there = catalogue / "current"
        else:
            edition = catalogue / (catalogue / "current").read_text().strip()
            there = edition / ("track.parquet" if broken == "a table" else broken)
        there.rename(away)
        if broken in {"edition.json", "a table"}:
            there.write_bytes(b"junk")
        wait_until(lambda: any("cannot be told now" in line for line in one.said), f"that it is said; {one.said}")
        assert set(one.seeder.given_out) == every
        wait_until(lambda: not one.seeder.given_out, f"nothing given out; {one.said}")
        wait_until(lambda: any("nothing is given out any more" in line for line in one.said), "that it is said", 1.0)
        assert one.thread.is_alive()
        away.replace(there)
        wait_until(lambda: set(one.seeder.given_out) == every, f"all is back; {one.said}")


def test_the_graces_are_as_the_manual_says() -> None:
    said = (seeding_module._INDEX_GRACE_S, seeding_module._GATE_GRACE_S)
    assert said == (10.0, 60.0)


def test_a_mirror_that_is_behind_gives_out_nothing_beyond_what_it_did(tmp_path: Path) -> None:
    place, said = mirror(tmp_path), list[str]()
    settings = load_settings(place.layout.settings)
    with Session(settings.swarm) as session:
        seeder = Seeder(place.layout, settings, session, said.append)
        seeder.refresh()
        assert set(seeder.given_out) == {"crate-a", "crate-b", "crate-c"}
        seen = Known(archive="testing", signing_public=place.publication.public, sequence=8)
        KnownPlaces(place.layout.known).note("https://archive.invalid", seen)
        seeder.drop("crate-a")
        for _ in range(2):
            seeder.refresh(is_forced=True)
            assert set(seeder.given_out) == {"crate-b", "crate-c"}
        later = Seeder(place.layout, settings, session, said.append)
        later.refresh()
        assert later.given_out == {}
    assert sum("a newer index was seen" in line for line in said) == 2, "once by each of the two"


def test_a_torrent_that_did_not_change_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, read = mirror(tmp_path), list[str]()
    settings = load_settings(place.layout.settings)

    def counted(content: bytes, what: str) -> Metainfo:
        read.append(what)
        return read_metainfo(content, what)

    monkeypatch.setattr(seeding_module, "read_metainfo", counted)
    with Session(settings.swarm) as session:
        seeder = Seeder(place.layout, settings, session, print)
        seeder.refresh()
        assert len(read) == 3
        seeder.refresh(is_forced=True)
        assert len(read) == 3
        beside = torrent_beside(place.file("crate-b"))
        content = beside.read_bytes()
        beside.unlink()
        seeder.refresh(is_forced=True)
        assert set(seeder.given_out) == {"crate-a", "crate-c"}
        beside.write_bytes(content)
        seeder.refresh(is_forced=True)
        assert read[3:] == ["crate-b.torrent"]
        assert len(seeder.given_out) == 3

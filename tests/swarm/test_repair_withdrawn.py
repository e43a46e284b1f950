"""Repair of what something was withdrawn from, archive or mirror: older copies mend what they can, and never bring it back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from published_maker import OPEN, Shelf
from repair_maker import Place, flip, mirror
from tenuto.crates.seal import torrent_beside
from tenuto.publication.known import Known, KnownPlaces


def repair(shelf: Shelf, *places: Path, code: int = 0) -> Any:
    words = [word for place in places for word in ("--from", str(place))]
    return json.loads(shelf("repair", *words, "--json", code=code)[0])


def test_an_older_backup_mends_what_did_not_change_and_the_next_place_the_rest(shelf: Shelf, tmp_path: Path) -> None:
    (path,) = shelf.crates_with(OPEN[0])
    old, new = Path(shutil.copytree(shelf.root, tmp_path / "old")), tmp_path / "new"
    shelf.withdraw(OPEN[0])
    shutil.copytree(shelf.root, new)
    revised, torrent = path.read_bytes(), torrent_beside(path).read_bytes()
    flip(path, 100_000, -200)
    found = repair(shelf, old, new)
    assert path.read_bytes() == revised
    assert set(found["mended"][0]["received"]) == {str(old), str(new)}

    shutil.copy(old / "crates" / torrent_beside(path).name, torrent_beside(path))
    assert repair(shelf, old)["is_whole"]
    assert torrent_beside(path).read_bytes() == torrent

    for one in (path, torrent_beside(path), shelf.publication / "crates" / path.name):
        one.unlink()
    found = repair(shelf, old, new, code=7)
    assert path.read_bytes() == revised
    assert [one["message"] for one in found["findings"]] == ["it is missing; run: tenuto publish"]
    shelf("publish")
    assert repair(shelf)["is_whole"]


def test_a_crate_that_a_backup_put_back_with_its_torrent_is_for_publish_to_revise(shelf: Shelf, tmp_path: Path) -> None:
    (path,) = shelf.crates_with(OPEN[0])
    old = Path(shutil.copytree(shelf.root, tmp_path / "old"))
    shelf.withdraw(OPEN[0])
    revised = path.read_bytes()
    for one in (path, torrent_beside(path)):
        shutil.copy(old / "crates" / one.name, one)
    found = repair(shelf, old, code=7)
    assert "of another revision than the index names; run: tenuto publish" in found["left"][path.stem]["why"]
    shelf("publish")
    assert path.read_bytes() == revised
    assert repair(shelf)["is_whole"]


# -- a mirror that has seen a newer index than the one it shows: a round died in the middle


def a_mirror_that_is_behind(folder: Path) -> Place:
    place = mirror(folder)
    seen = Known(
        archive="testing", signing_public=place.publication.public, sequence=place.publication.index.sequence + 1
    )
    KnownPlaces(place.layout.known).note("https://archive.invalid", seen)
    return place


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_mirror_that_is_behind_brings_no_crate_back(tmp_path: Path, is_linked: bool) -> None:
    place = a_mirror_that_is_behind(tmp_path)
    public = place.layout.publication / "crates/crate-a.zip"
    for one in (place.file(), torrent_beside(place.file()), *([] if is_linked else [public])):
        one.unlink()
    (one,) = place.repair("crate-a", places=[place.copies, tmp_path / "made"]).left
    assert "a newer index was seen" in one.why
    assert "run: tenuto mirror first" in one.why
    assert not place.file().exists()
    assert not torrent_beside(place.file()).exists()
    assert public.exists() == is_linked


def test_a_mirror_that_is_behind_mends_damage_and_neither_links_nor_fetches_anything_else(tmp_path: Path) -> None:
    place = a_mirror_that_is_behind(tmp_path)
    flip(place.file(), 5)
    public, feed = place.layout.publication / "crates/crate-b.zip", place.layout.publication / "feed.atom"
    public.unlink()
    feed.write_bytes(b"newer")
    torrent = place.layout.publication / "torrents/crate-c.r0.torrent"
    torrent.unlink()
    done = place.repair(places=[place.copies, tmp_path / "made"])
    assert done.left == []
    assert place.is_whole()
    assert not public.exists()
    assert not torrent.exists()
    assert feed.read_bytes() == b"newer"
    assert {one.subject for one in done.findings} == {
        "publication/feed.atom",
        "publication/torrents/crate-c.r0.torrent",
    }
    assert all("run: tenuto mirror" in one.message for one in done.findings)


def test_a_mirror_that_is_behind_asks_no_swarm(tmp_path: Path) -> None:
    place = a_mirror_that_is_behind(tmp_path)
    flip(place.file(), 5)
    (one,) = place.repair("crate-a", peers=["127.0.0.1:9"], patience_s=30.0).left
    assert "the swarm is not asked: a newer index was seen" in one.why

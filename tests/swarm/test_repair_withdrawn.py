"""Repair of an archive from which something was withdrawn: older copies mend what they can, and never bring it back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from published_maker import OPEN, Shelf, a_shelf
from repair_maker import SWARM, flip
from tenuto.crates.seal import torrent_beside


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = a_shelf(tmp_path)
    with made.layout.settings.open("a") as file:
        file.write(f"\n{SWARM}")
    made("publish")
    return made


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

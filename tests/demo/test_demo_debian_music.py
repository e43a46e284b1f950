"""Packages out of the cache, and without apt; the network is never used here."""

import shutil
from pathlib import Path

import pytest

from demo import debian_music
from demo.running import DemoError


def unpacked(cache: Path, name: str) -> Path:
    root = cache / name
    for file in ("music/b.ogg", "music/a.mp3", "music/cover.png", "sounds/click.ogg"):
        place = root / "usr/share/games/game" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    (root / "usr/share/doc" / name).mkdir(parents=True)
    (root / "usr/share/doc" / name / "copyright").write_text("")
    return root


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise AssertionError("a program was started")

    monkeypatch.setattr(debian_music, "run", fail)


@pytest.mark.usefixtures("no_programs")
def test_an_unpacked_package_is_read_without_any_program(tmp_path: Path) -> None:
    root = unpacked(tmp_path, "game-data")
    said: list[str] = []
    (package,) = debian_music.fetch(tmp_path, said.append, ["game-data"])
    base = root / "usr/share/games/game/music"
    assert package.music == (base / "a.mp3", base / "b.ogg")
    assert (package.base, package.copyright) == (base, root / "usr/share/doc/game-data/copyright")
    assert said == []


@pytest.mark.usefixtures("no_programs")
def test_without_apt_it_says_so_and_gives_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    unpacked(tmp_path, "game-data")
    said: list[str] = []
    found = debian_music.fetch(tmp_path, said.append, ["game-data", "other-data"])
    assert [package.name for package in found] == ["game-data"]
    assert said == ["no apt-get and dpkg here (not a Debian), so without other-data"]


def test_a_package_that_cannot_be_had_is_said_and_the_others_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play_apt(command: list[str], *, cwd: Path, **_: object) -> str:
        if command[0] == "dpkg":
            unpacked(Path(command[-1]).parent, Path(command[-1]).name)
        elif command[-1] == "missing-data":
            raise DemoError("missing-data: apt-get ended with 100: E: Unable to locate package missing-data")
        elif command[-1] != "update":
            (cwd / f"{command[-1]}_1.0_all.deb").write_bytes(b"")
        return ""

    monkeypatch.setattr(debian_music, "run", play_apt)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    said: list[str] = []
    found = debian_music.fetch(tmp_path, said.append, ["missing-data", "game-data"])
    assert [package.name for package in found] == ["game-data"]
    assert any("Unable to locate package missing-data" in line for line in said)
    assert [file.name for file in tmp_path.iterdir()] == ["game-data"]


@pytest.mark.usefixtures("no_programs")
def test_a_package_without_a_copyright_file_is_said_and_left_out(tmp_path: Path) -> None:
    (unpacked(tmp_path, "game-data") / "usr/share/doc/game-data/copyright").unlink()
    said: list[str] = []
    assert debian_music.fetch(tmp_path, said.append, ["game-data"]) == []
    assert "no copyright file" in said[0]

"""The folder of music that the service shows."""

import os
from pathlib import Path

import pytest

from demo import music_folder
from demo.debian_music import Package
from demo.running import DemoError


def write(file: Path, content: bytes = b"sound") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def shown(music_root: Path) -> list[str]:
    return sorted(file.relative_to(music_root).as_posix() for file in music_root.rglob("*") if file.is_file())


def test_files_lie_below_the_name_of_their_package_as_hard_links(tmp_path: Path) -> None:
    base = tmp_path / "game" / "usr/share/game/music"
    song = write(base / "disc 1" / "song.ogg")
    chorale = write(tmp_path / "rendered" / "01.flac")
    game = Package("game-data", tmp_path / "game", base, (song,), tmp_path / "copyright")
    music_root = music_folder.assemble(tmp_path / "service", [game], [chorale])
    assert shown(music_root) == ["chorales/01.flac", "game-data/disc 1/song.ogg"]
    assert (music_root / "game-data/disc 1/song.ogg").samefile(song)


def test_files_are_copied_with_their_times_where_links_are_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    chorale = write(tmp_path / "01.flac")
    os.utime(chorale, (1, 1))
    monkeypatch.setattr(os, "link", refuse)
    copy = music_folder.assemble(tmp_path / "service", [], [chorale]) / "chorales/01.flac"
    assert not copy.samefile(chorale)
    assert (copy.read_bytes(), copy.stat().st_mtime) == (b"sound", 1)


def test_assembling_again_removes_what_is_no_longer_given(tmp_path: Path) -> None:
    first, second = write(tmp_path / "01.flac"), write(tmp_path / "02.flac")
    music_folder.assemble(tmp_path / "service", [], [first])
    write(tmp_path / "service/music.part/left by a kill.flac")
    assert shown(music_folder.assemble(tmp_path / "service", [], [second])) == ["chorales/02.flac"]
    assert first.read_bytes() == b"sound"


def test_the_readers_own_folder_is_shown_as_it_is_but_for_what_is_no_music(tmp_path: Path) -> None:
    song = write(tmp_path / "Artist" / "Álbum\u00a01" / "song.MP3")
    write(tmp_path / "Artist" / "cover.jpg")
    write(tmp_path / ".trash" / "old.mp3")
    (tmp_path / "link.mp3").symlink_to(song)
    (tmp_path / os.fsdecode(b"latin-\xe9.mp3")).write_bytes(b"sound")
    package = music_folder.own(tmp_path)
    assert package.music == (song,)
    assert str(music_folder.service_path(package, song)) == "own/Artist/Álbum\u00a01/song.MP3"


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_an_own_folder_without_music_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DemoError, match=rf"MUSIC=.*{name}.*give"):
        music_folder.own(tmp_path / name)

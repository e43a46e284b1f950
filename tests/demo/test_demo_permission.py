"""The operator's permission out of copyright files."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from demo.debian_music import Package
from demo.music_folder import assemble, own
from demo.permission import permission
from tenuto.rights.permission import grant_for, parse_permission

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2002 The Game's Authors
License: GPL-2+

Files: data/music/*
Copyright: 2007, Àlex Almarza <alex@example.org>
License: Free-Art-License-1.2

Files: music/odd.ogg music/odd\\?.ogg
Copyright: Paul "Odd" Leach
License: ETHYMONICS-FREE-MUSIC-LICENSE

Files: sounds/menu.ogg debian/*
Copyright: A Packager
License: CC0-1.0
"""
INSTALLED = "usr/share/games/game/music"


def package(root: Path, *names: str, text: str = COPYRIGHT) -> Package:
    base = root / INSTALLED
    base.mkdir(parents=True)
    music = tuple(base / name for name in names)
    for file in music:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
    copyright_file = root / "copyright"
    copyright_file.write_text(text, encoding="utf-8")
    return Package("game-data", root, base, music, copyright_file)


def grants(text: str) -> list[dict[str, Any]]:
    return tomllib.loads(text).get("grant", [])


def test_each_licence_and_holder_gets_one_grant_with_its_paths(tmp_path: Path) -> None:
    game = package(tmp_path / "game", "menu.ogg", "odd.ogg", "training.ogg")
    free, unknown = grants(permission([game], tmp_path))
    assert free == {
        "path": ["game-data/menu.ogg", "game-data/training.ogg"],
        "may_keep": True,
        "may_give_out": True,
        "may_mine": True,
        "territories": ["worldwide"],
        "licence": "LAL-1.2",
        "attribution": "Àlex Almarza (Debian package game-data)",
    }
    assert unknown["path"] == ["game-data/odd.ogg"]
    assert unknown["licence"] == "LicenseRef-ETHYMONICS-FREE-MUSIC-LICENSE"
    assert unknown["attribution"] == 'Paul "Odd" Leach (Debian package game-data)'
    assert "may_give_out" not in unknown


def test_the_head_says_who_grants_what_and_when(tmp_path: Path) -> None:
    document = tomllib.loads(permission([], tmp_path, source="server", grantor='The "Operator"', contact="a@b.invalid"))
    assert document["format"] == "tenuto-permission-1"
    assert (document["source"], document["grantor"], document["contact"]) == ("server", 'The "Operator"', "a@b.invalid")
    assert (document["ground"], str(document["granted_on"])) == ("licence", "2026-01-01")
    assert document["harvest"] == {"metadata": True}
    assert document["statement"].startswith("I run this music service")


def test_names_with_wildcards_and_quotes_are_granted_as_they_are(tmp_path: Path) -> None:
    game = package(tmp_path / "game", "disc [1]/what?*.ogg", 'Àlex "live" \\ \x7f.ogg')
    (grant,) = grants(permission([game], tmp_path))
    assert grant["path"] == [r"game-data/disc [1]/what\?\*.ogg", 'game-data/Àlex "live" \\\\ \x7f.ogg']


def test_tenuto_reads_it_and_finds_the_grant_of_each_file(tmp_path: Path) -> None:
    names = ("menu.ogg", "odd.ogg", "odd?.ogg", "[live] what?*\\.ogg")
    text = permission([package(tmp_path / "game", *names)], tmp_path)
    parsed = parse_permission(text, "permission.toml")
    found = [grant_for(parsed, track="1", path=f"game-data/{name}", release=(), artists=()) for name in names]
    assert found == [0, 1, 1, 0]
    assert grant_for(parsed, track="1", path="game-data/[live] whatever\\.ogg", release=(), artists=()) is None
    assert [grant.statement(1).may_give_out for grant in parsed.grant] == [True, None]


@pytest.mark.parametrize(
    "text",
    ["In prose: do what you like.\n", COPYRIGHT.replace("Files: *", "Files: src/*").replace("data/music/*", "art/*")],
)
def test_a_file_for_which_no_stanza_speaks_gets_no_grant(tmp_path: Path, text: str) -> None:
    assert grants(permission([package(tmp_path / "game", "menu.ogg", text=text)], tmp_path)) == []


def test_the_chorales_have_a_grant_of_their_own(tmp_path: Path) -> None:
    chorale = tmp_path / "01 Wachet auf.flac"
    chorale.write_bytes(b"sound")
    (grant,) = grants(permission([], assemble(tmp_path / "service", [], [chorale])))
    assert grant["path"] == ["chorales/01 Wachet auf.flac"]
    assert (grant["licence"], grant["may_give_out"]) == ("CC0-1.0", True)


def test_the_readers_own_music_may_be_kept_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"sound")
    (grant,) = grants(permission([own(tmp_path)], tmp_path / "music"))
    assert grant["path"] == ["own/song.mp3"]
    assert grant["may_keep"] is True
    assert not {"may_give_out", "licence"} & set(grant)

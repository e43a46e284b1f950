"""Where things lie, and pointers that name one thing beside them."""

from pathlib import Path

import pytest

from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.model.errors import SettingsError, UsageError


@pytest.mark.parametrize(
    "content",
    [b"../x", b"/etc", b"a/b", b".", b"..", b".making-x", b"", b"\n", b"a\nb", b"a\x00b", b"\xff\xfe", b"a b", b"-x"],
)
def test_a_pointer_that_holds_anything_but_one_name_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "current").write_bytes(content)
    with pytest.raises(SettingsError, match=r"should hold one name, it holds .*; delete it and build again"):
        read_pointer(tmp_path / "current")


@pytest.mark.parametrize("name", ["2026-11-20-a1016666", "2026-11-20-a1016666-0badc0de"])
def test_a_pointer_names_one_thing(tmp_path: Path, name: str) -> None:
    (tmp_path / "current").write_text(f"{name}\n")
    assert read_pointer(tmp_path / "current") == name


def test_no_pointer_is_none(tmp_path: Path) -> None:
    assert read_pointer(tmp_path / "current") is None
    assert read_pointer(tmp_path / "nowhere/current") is None


def test_a_folder_without_settings_is_no_archive_and_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no archive at .*: it holds no tenuto\.toml; run: tenuto init "):
        Layout.find(tmp_path)


def test_all_places_of_an_archive_lie_inside_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    places = [
        layout.settings,
        layout.lock,
        layout.harvests("a"),
        layout.edition("e"),
        layout.plan("p"),
        layout.crates,
        layout.state,
    ]
    assert len(set(places)) == len(places)
    assert all(place.is_relative_to(tmp_path) for place in places)
    assert not layout.lock.is_relative_to(layout.state)


def test_a_path_of_the_operator_is_relative_to_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    layout = Layout(tmp_path / "archive")
    assert layout.operator_path("p.toml") == tmp_path / "archive/p.toml"
    assert layout.operator_path("/etc/p.toml") == Path("/etc/p.toml")
    assert layout.operator_path("~/p.toml") == tmp_path / "home/p.toml"

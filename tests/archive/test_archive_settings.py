"""tenuto.toml: read once, all its mistakes together, each with the word that was meant."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.archive import Settings, load_settings
from tenuto.archive.create import create
from tenuto.archive.keys import PublicKeys
from tenuto.archive.settings import check_budget, parse_settings
from tenuto.archive.template import settings_text, with_source, without_source
from tenuto.model.errors import SettingsError, UsageError
from tenuto.sources import check_options

KEYS = PublicKeys("0" * 64, "age1test")
FRESH = settings_text("demo", "me@x.example", "/keys", KEYS)


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "tenuto.toml", check_options)
    return str(caught.value)


def with_line(line: str, table: str) -> str:
    """The fresh settings with a line first in a table, in place of one for the same key."""
    key = line.partition("=")[0].strip()
    lines = FRESH.splitlines()
    start = next(number for number, text in enumerate(lines) if text.startswith(f"[{table}]"))
    end = next((n for n, text in enumerate(lines) if n > start and text.startswith("[")), len(lines))
    body = [text for text in lines[start + 1 : end] if text.partition("=")[0].strip() != key]
    return "\n".join([*lines[: start + 1], line, *body, *lines[end:]])


# --- reading


def test_what_init_writes_is_read_and_says_the_defaults() -> None:
    written = parse_settings(FRESH, "tenuto.toml", check_options)
    least = Settings.model_validate(
        {"format": 1, "archive": {"name": "demo", "contact": "me@x.example"},
         "keys": {"folder": "/keys", "signing_public": "0" * 64, "age_recipients": ["age1test"]}}
    )  # fmt: skip
    assert written == least


@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1).filter(
        lambda t: t.strip() and t.isprintable()
    )
)
def test_any_contact_can_be_written_and_read(contact: str) -> None:
    text = settings_text("demo", contact, contact, KEYS)
    assert parse_settings(text, "tenuto.toml").archive.contact == contact.strip()
    assert parse_settings(text, "tenuto.toml").keys.folder == contact


def test_many_mistakes_are_said_together_those_in_options_of_sources_too() -> None:
    text = (
        FRESH.replace("tries = 5", "trys = 5")
        .replace('budget = "100%"', 'budget = "a lot"')
        .replace("format = 1", "format = 2")
        + """
[sources.good]
kind = "folder"
location = "/music"

[sources."Bad Name"]
kind = "folder"
location = "/music"

[sources.server]
kind = "subsonic"
location = "https://me:secret123@x.example"
permision = "p.toml"
options = { logn = "token", login = "magic" }

[sources.odd]
kind = "gramophone"
location = "/music"
rate_per_s = -1
"""
    )
    said = complaint(text)
    lines = [line.removeprefix("  - ") for line in said.splitlines()[1:-1]]
    for start in (
        "format: ",
        "politeness.trys: no such setting; did you mean tries?",
        "selection.budget: 'a lot' is no size; write it like 500 GB, 24MB or 10 GiB",
        "sources.Bad Name.[key]: a name has 1-40 lower-case letters, digits and hyphens",
        "sources.server.permision: no such setting; did you mean permission?",
        "sources.server.location: an address stops at the path",
        "sources.server.options.logn: ",
        "sources.server.options.login: ",
        "sources.odd.kind: 'gramophone' is none; there are corrections, discogs, folder, generated, subsonic, table",
        "sources.odd.rate_per_s: ",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, (start, lines)
    assert said.startswith("tenuto.toml has 10 mistakes:")
    assert "secret123" not in said


@pytest.mark.parametrize(
    ("table", "line", "near"),
    [
        ("archive", 'contct = "x"', "contact"),
        ("archive", 'teritory = "DE"', "territory"),
        ("politeness", "rate_per_sec = 1", "rate_per_s"),
        ("politeness", "timeout = 1", "timeout_s"),
        ("selection", "lossy_to_lossi = true", "lossy_to_lossy"),
        ("crates", 'target_byte = "1 GB"', "target_bytes"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_right_one(table: str, line: str, near: str) -> None:
    key = line.partition(" ")[0]
    assert f"{table}.{key}: no such setting; did you mean {near}?" in complaint(with_line(line, table))


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("archive", 'name = "Demo"'),
        ("archive", 'name = "../x"'),
        ("archive", 'contact = ""'),
        ("archive", 'contact = "a\\nb"'),
        ("archive", 'territory = "Germany"'),
        ("archive", 'territory = "de"'),
        ("keys", 'signing_public = "00"'),
        ("politeness", "rate_per_s = 0"),
        ("politeness", "rate_per_s = inf"),
        ("politeness", "rate_per_s = nan"),
        ("politeness", "concurrency = 65"),
        ("politeness", "tries = 0"),
        ("selection", 'budget = "101%"'),
        ("selection", 'budget = "-1 GB"'),
        ("selection", "budget = true"),
        ("selection", 'value = "taste"'),
        ("selection", "value_cap_s = 0"),
        ("selection", 'lossy_to_lossy = "perhaps"'),
        ("crates", 'target_bytes = "0"'),
        ("crates", 'target_bytes = "10 PIECES"'),
        ("crates", "recordings_max = 20001"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_place(table: str, line: str) -> None:
    assert f"  - {table}.{line.partition(' ')[0]}: " in complaint(with_line(line, table))


@pytest.mark.parametrize("budget", ["500 GB", "24MB", "10 GiB", "60%", "0", "1000000", 5_000_000])
def test_a_budget_is_a_size_or_a_share(budget: str | int) -> None:
    assert check_budget(budget) == str(budget)


# --- bands


def bands(*lows: tuple[int, int], tier: str = "original", names: Iterator[str] | None = None) -> dict[str, Any]:
    named = names or (f"band-{n}" for n in range(9))
    return {"bands": [{"name": next(named), "popularity_min": p, "listens_min": n, "tier": tier} for p, n in lows]}


def settings_with(selection: dict[str, Any]) -> Settings:
    return Settings.model_validate({**tomllib.loads(FRESH), "selection": selection})


@pytest.mark.parametrize("lows", [((0, 0),), ((50, 100), (0, 0)), ((50, 0), (0, 10), (0, 0)), ((1, 1), (0, 0))])
def test_bands_may_go_down(lows: tuple[tuple[int, int], ...]) -> None:
    assert len(settings_with(bands(*lows)).selection.bands) == len(lows)


@pytest.mark.parametrize(
    "lows", [((0, 0), (50, 100)), ((50, 100),), ((50, 100), (60, 0), (0, 0)), ((1, 0), (0, 1)), ()]
)
def test_bands_that_go_up_or_leave_something_out_are_refused(lows: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="bands"):
        settings_with(bands(*lows))


def test_two_bands_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="each band needs a name of its own"):
        settings_with(bands((1, 1), (0, 0), names=iter(["a", "a"])))


@pytest.mark.parametrize("tier", ["original", "none", "opus-6", "opus-75", "opus-510"])
def test_a_tier_is(tier: str) -> None:
    assert settings_with(bands((0, 0), tier=tier)).selection.bands[0].tier == tier


@pytest.mark.parametrize(
    "tier",
    [
        "",
        "opus",
        "opus-",
        "opus-5",
        "opus-511",
        "opus-7.5",
        "mp3-128",
        "Original",
        "opus-075",
        "opus-\u0667\u0665",
        "opus-\u00b2",
    ],
)
def test_no_tier_is(tier: str) -> None:
    with pytest.raises(ValueError, match="a tier is original, none, or opus-N"):
        settings_with(bands((0, 0), tier=tier))


# --- the file


def test_settings_in_another_encoding_are_a_mistake_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "tenuto.toml").write_bytes(FRESH.replace("demo", "dem\xf6").encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load_settings(tmp_path / "tenuto.toml")


def test_settings_saved_on_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "tenuto.toml").write_bytes(b"\xef\xbb\xbf" + FRESH.replace("\n", "\r\n").encode())
    assert load_settings(tmp_path / "tenuto.toml") == parse_settings(FRESH, "tenuto.toml")


def test_an_archive_is_not_made_twice(tmp_path: Path) -> None:
    create(tmp_path / "a", "demo", "me@x.example", tmp_path / "keys", {})
    before = (tmp_path / "a/tenuto.toml").read_bytes()
    with pytest.raises(UsageError, match="is an archive already"):
        create(tmp_path / "a", "demo", "me@x.example", tmp_path / "other", {})
    assert (tmp_path / "a/tenuto.toml").read_bytes() == before
    assert not (tmp_path / "other").exists()


# --- edits


BY_HAND = (
    FRESH
    + """
# the server in the cellar
[sources.cellar]   # since 2019
kind = "folder"    # of files
location = "/music"

[sources.cellar.options]
listens_file = "l.csv"
# counted by hand

# the one upstairs
[sources.upstairs]
kind = "folder"
location = "/other"
# the end
"""
)


def comments(text: str) -> set[str]:
    return {line.partition("#")[2].strip() for line in text.splitlines() if "#" in line}


def test_adding_and_removing_a_source_leaves_every_other_line_as_it_was() -> None:
    added = with_source(
        BY_HAND, "new", {"kind": "folder", "location": "/n", "permission": None, "options": {"listens_file": "x"}}
    )
    assert added.startswith(BY_HAND.rstrip("\n"))
    assert tomllib.loads(added)["sources"]["new"] == {
        "kind": "folder",
        "location": "/n",
        "options": {"listens_file": "x"},
    }
    assert "options" not in with_source(FRESH, "new", {"kind": "folder", "location": "/n", "options": {}})
    removed = without_source(added, "new")
    assert tomllib.loads(removed) == tomllib.loads(BY_HAND)
    assert comments(removed) == comments(BY_HAND)


def test_replacing_a_source_keeps_the_comments_round_it() -> None:
    text = with_source(BY_HAND, "cellar", {"kind": "folder", "location": "/moved"})
    assert tomllib.loads(text)["sources"]["cellar"] == {"kind": "folder", "location": "/moved"}
    assert tomllib.loads(text)["sources"]["upstairs"] == tomllib.loads(BY_HAND)["sources"]["upstairs"]
    assert comments(BY_HAND) - comments(text) == {"since 2019", "of files"}


def test_removing_a_source_keeps_the_comments_of_the_next() -> None:
    text = without_source(BY_HAND, "cellar")
    assert set(tomllib.loads(text)["sources"]) == {"upstairs"}
    assert {"the one upstairs", "the end", "counted by hand"} <= comments(text)


@pytest.mark.parametrize(
    "sources",
    [
        '[sources]\na = { kind = "folder", location = "/x" }\nb = { kind = "folder", location = "/y" }\n',
        '[sources]\na.kind = "folder"\na.location = "/x"\nb.kind = "folder"\nb.location = "/y"\n',
        '[ sources . "a" ]\nkind = "folder"\nlocation = "/x"\n[sources.b]\nkind = "folder"\nlocation = """\n[sources.a]\n"""\n',
        '[sources.ab]\nkind = "folder"\n[sources.a]\nkind = "folder"\nlocation = "/x"\n[sources.b]\nkind="folder"\nlocation="/y"',
        '[sources.a]\nkind = "folder"\nlocation = "/x"\n[extra]\nk = [\n["a"],\n["b"]]\n[sources.b]\nkind = "folder"\n',
    ],
)  # fmt: skip
def test_a_source_is_edited_right_however_it_was_written(sources: str) -> None:
    wanted = tomllib.loads(sources)
    new = {"kind": "folder", "location": "/new"}
    assert tomllib.loads(with_source(sources, "a", new)) == {**wanted, "sources": {**wanted["sources"], "a": new}}
    assert tomllib.loads(with_source(sources, "c", new)) == {**wanted, "sources": {**wanted["sources"], "c": new}}
    del wanted["sources"]["a"]
    assert tomllib.loads(without_source(sources, "a")) == wanted


def test_a_source_that_is_not_there_cannot_be_removed() -> None:
    for text in (FRESH, BY_HAND):
        with pytest.raises(KeyError):
            without_source(text, "nobody")


def test_the_last_source_can_be_removed_and_one_added_again() -> None:
    one = with_source(FRESH, "a", {"kind": "folder", "location": "/x"})
    none = without_source(one, "a")
    assert parse_settings(none, "t").sources == {}
    assert parse_settings(with_source(none, "b", {"kind": "folder", "location": "/x"}), "t").sources.keys() == {"b"}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)),
        max_size=8,
    )
)
def test_any_row_of_edits_ends_in_what_they_say(edits: list[tuple[str, str | None]]) -> None:
    text, wanted = FRESH, {}
    for name, location in edits:
        if location is not None:
            wanted[name] = {"kind": "folder", "location": location}
            text = with_source(text, name, wanted[name])
        elif name in wanted:
            del wanted[name]
            text = without_source(text, name)
    assert tomllib.loads(text).get("sources", {}) == wanted
    assert comments(FRESH) <= comments(text)

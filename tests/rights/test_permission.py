"""The file by which an operator grants: every mistake said at once, and of the grants that fit the last one holds."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.model.errors import SettingsError
from tenuto.rights import Action, Grant, Permission, may, parse_permission
from tenuto.rights.permission import TEMPLATE, grant_for

HEAD = """
format = "tenuto-permission-1"
grantor = "The Label"
ground = "owner"
granted_on = 2026-01-31
"""


def permission(*grants: str) -> Permission:
    return parse_permission(HEAD + "".join(f"\n[[grant]]\n{grant}\n" for grant in grants), "p.toml")


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_permission(text, "p.toml")
    return str(caught.value)


def held(found: Permission, **about: Any) -> int | None:
    facts = {"track": "t-1", "path": "a/b.ogg", "release": ("r-1", "The Release"), "artists": ("a-1", "Björk"), **about}
    return grant_for(found, **facts)


# --- the file


def test_every_mistake_is_said_at_once() -> None:
    said = complaint("""
        format = "tenuto-permission-2"
        ground = "because"
        granted_on = "soon"
        grantr = "X"
        [harvest]
        rate_per_s = 0
        [[grant]]
        may_keep = "perhaps"
        territories = ["Germany", "DE", "de"]
        untill = 2030-01-01
        [[grant]]
        may_giveout = true
        until = "2030-02-30"
        """)
    lines = said.splitlines()
    assert lines[0] == "p.toml has 12 mistakes:"
    places = sorted(line.removeprefix("  - ").partition(": ")[0] for line in lines[1:-1])
    assert places == [
        "format", "grant.0.may_keep", "grant.0.territories.0", "grant.0.territories.2", "grant.0.untill",
        "grant.1.may_giveout", "grant.1.until", "granted_on", "grantor", "grantr", "ground", "harvest.rate_per_s",
    ]  # fmt: skip
    assert "grantor: is missing" in said
    assert "grantr: no such setting; did you mean grantor?" in said
    assert "grant.1.may_giveout: no such setting; did you mean may_give_out?" in said
    assert "'Germany' is no territory; write worldwide or two capital letters (ISO 3166-1)" in said


@pytest.mark.parametrize("line", ["", 'format = "tenuto-permission-9"\n'])
def test_a_version_that_nobody_here_knows_is_refused(line: str) -> None:
    assert "format: " in complaint(HEAD.replace('format = "tenuto-permission-1"\n', line))


def test_template_says_that_evidence_is_published_with_the_permission_and_its_names() -> None:
    (line,) = [line for line in TEMPLATE.splitlines() if "may_give_out_evidence" in line]
    assert "with them this permission, with the names in it" in line


def test_the_template_is_a_permission_once_the_grantor_is_filled_in() -> None:
    assert complaint(TEMPLATE).startswith("p.toml has 1 mistake:\n  - grantor: ")
    read = parse_permission(TEMPLATE.replace('grantor = ""', 'grantor = "The Label"'), "p.toml")
    (only,) = read.grant
    assert (only.may_keep, only.may_give_out, only.may_mine) == (True, None, None)


def test_the_template_with_all_its_options_is_a_permission() -> None:
    options = TEMPLATE.replace('grantor = ""', 'grantor = "The Label"')
    for option in ("rate_per_s", "may_give_out", "may_mine", "until", "licence", "attribution"):
        assert f"\n# {option} = " in options
        options = options.replace(f"\n# {option} = ", f"\n{option} = ")
    first, _, second = options.partition("# [[grant]]")
    read = parse_permission(first + "[[grant]]" + second.replace("\n# ", "\n"), "p.toml")
    assert [grant.path for grant in read.grant] == [(), ("compilations/*",)]
    assert read.grant[0].until == date(2036, 12, 31)
    assert read.grant[1].may_give_out is False
    assert read.harvest.rate_per_s == 5


@pytest.mark.parametrize("selector", ["artist", "release", "track", "path"])
@pytest.mark.parametrize("empty", ["[]", '""', '[""]', '["a", ""]'])
def test_an_empty_selector_is_refused_since_without_one_a_grant_is_for_all(selector: str, empty: str) -> None:
    assert f"grant.0.{selector}" in complaint(f"{HEAD}\n[[grant]]\nmay_keep = true\n{selector} = {empty}\n")


def test_no_territory_at_all_is_refused_and_not_taken_for_worldwide() -> None:
    assert "grant.0.territories" in complaint(f"{HEAD}\n[[grant]]\nmay_give_out = true\nterritories = []\n")


def test_a_selector_may_be_one_name_or_many() -> None:
    assert permission('artist = "A"').grant[0].artist == ("A",)
    assert permission('artist = ["A", "B"]').grant[0].artist == ("A", "B")


# --- which grant holds


def test_of_the_grants_that_fit_the_last_one_holds() -> None:
    found = permission("may_keep = true", 'artist = "Björk"', 'track = "t-1"', 'track = "t-9"')
    assert held(found) == 2
    assert held(found, track="t-2") == 1
    assert held(found, track="t-2", artists=()) == 0
    assert held(permission('track = "t-1"', "may_keep = true")) == 1


def test_without_a_grant_that_fits_there_is_none() -> None:
    assert held(permission()) is None
    assert held(permission('track = "t-9"')) is None


@pytest.mark.parametrize(
    "grant",
    [
        "may_keep = true",
        'track = "t-1"',
        'track = ["x", "t-1"]',
        'release = "r-1"',
        'release = "THE  RELEASE"',
        'artist = "a-1"',
        'artist = "bjo\u0308rk"',
        'path = "a/*"',
        'path = ["x/*", "*/b.ogg"]',
        'artist = "Björk"\nrelease = "r-1"\ntrack = "t-1"\npath = "*"',
    ],
)
def test_a_grant_is_for_what_its_selectors_name(grant: str) -> None:
    assert held(permission(grant)) == 0


@pytest.mark.parametrize(
    "grant",
    [
        'track = "T-1"',  # ids are ids, to the letter
        'track = "b.ogg"',
        'release = "Release"',
        'artist = "Bjork"',
        'artist = "The Release"',
        'path = "a"',
        'path = "A/*"',
        'path = "b.ogg"',
        'artist = "Björk"\ntrack = "t-2"',  # every selector must fit
        'path = "a/*"\nrelease = "r-2"',
    ],
)
def test_a_grant_is_not_for_anything_else(grant: str) -> None:
    assert held(permission(grant)) is None


def test_a_grant_by_path_is_not_for_a_track_without_a_path() -> None:
    assert held(permission('path = "*"'), path=None) is None


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a/*", "a/b/c.ogg"),
        ("a/?.ogg", "a/b.ogg"),
        ("*", ""),
        (r"a/what\?.ogg", "a/what?.ogg"),
        (r"a/\*.ogg", "a/*.ogg"),
        (r"a\\b", r"a\b"),
        ("a[1].ogg", "a[1].ogg"),
        ("a+(b).ogg", "a+(b).ogg"),
        ("*.ogg", "a\nb.ogg"),
        ("𝄞/*", "𝄞/ü.ogg"),
    ],
)
def test_a_path_pattern_means(pattern: str, path: str) -> None:
    assert held(permission(f"path = '{pattern}'"), path=path) == 0


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (r"a/what\?.ogg", "a/whatx.ogg"),
        (r"a/\*.ogg", "a/b.ogg"),
        ("a/?.ogg", "a/.ogg"),
        ("a.ogg", "a+ogg"),
        ("a[1].ogg", "a1.ogg"),
        ("a/*", "b/a/c"),
        ("a", "a\n"),
    ],
)
def test_a_path_pattern_does_not_mean(pattern: str, path: str) -> None:
    assert held(permission(f"path = '{pattern}'"), path=path) is None


@given(st.text(min_size=1, max_size=20))
def test_an_escaped_path_means_itself_alone(path: str) -> None:
    escaped = "".join(f"\\{char}" if char in "*?\\" else char for char in path)
    made = Permission.model_validate(
        {"format": "tenuto-permission-1", "grantor": "x", "ground": "law", "granted_on": date(2026, 1, 1),
         "grant": [{"path": [escaped]}]}
    )  # fmt: skip
    assert held(made, path=path) == 0
    assert held(made, path=path + "x") is None


# --- what it says


def grant(**values: Any) -> Grant:
    return Grant.model_validate(values)


@pytest.mark.parametrize(
    ("values", "give_out", "mine"),
    [
        ({}, None, None),
        ({"may_keep": True}, None, None),
        ({"licence": "CC-BY-SA-4.0"}, True, True),
        ({"licence": "http://creativecommons.org/licenses/by-nc-nd/3.0/de/"}, True, None),
        ({"licence": "All rights reserved"}, False, None),
        ({"licence": "The Label's Own Licence"}, None, None),
        ({"licence": "The Label's Own Licence", "may_give_out": True}, True, None),
        ({"licence": "CC-BY-SA-4.0", "may_give_out": False}, False, True),
        ({"licence": "CC-BY-SA-4.0", "may_mine": False}, True, False),
        ({"licence": "All rights reserved", "may_give_out": True}, True, None),
    ],
)
def test_what_a_grant_leaves_open_is_taken_from_its_licence_if_that_is_known(
    values: dict[str, Any], give_out: bool | None, mine: bool | None
) -> None:
    said = grant(**values).statement(7)
    assert (said.may_give_out, said.may_mine, said.evidence_id) == (give_out, mine, 7)
    assert said.may_keep is values.get("may_keep")


def test_a_licence_that_nobody_knows_stays_word_for_word() -> None:
    said = grant(licence="The Label's Own Licence").statement(1)
    assert (said.licence, said.licence_text, said.licence_url) == (None, "The Label's Own Licence", None)


def test_a_grant_holds_to_its_last_day_and_in_its_countries() -> None:
    said = [grant(may_give_out=True, until=date(2030, 12, 31), territories=("DE", "AT")).statement(1)]
    allowed = {
        (territory, day)
        for territory in ("DE", "AT", "FR", "worldwide")
        for day in (date(2026, 1, 1), date(2030, 12, 31), date(2031, 1, 1))
        if may(said, Action.GIVE_OUT, territory, day).is_allowed
    }
    assert allowed == {(t, d) for t in ("DE", "AT") for d in (date(2026, 1, 1), date(2030, 12, 31))}

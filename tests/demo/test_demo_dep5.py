"""Patterns of a source package against the paths of installed files."""

import pytest

from demo import dep5

MENU = "usr/share/games/amoebax/music/menu.ogg"
REVIVAL = "usr/share/games/trackballs/music/c64revival.ogg"


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*", MENU),
        ("data/music/*", MENU),
        ("music/*", MENU),
        ("share/music/c64revival.ogg", REVIVAL),
        ("music/c64revival.ogg", REVIVAL),
        ("share/music/c64*.ogg", REVIVAL),
        ("share/music/c64reviva?.ogg", REVIVAL),
        ("c64revival.ogg", REVIVAL),
        ("data/music/*", "usr/share/game/music/disc 1/menu.ogg"),
        (r"music/what\?.ogg", "usr/share/game/music/what?.ogg"),
    ],
)
def test_a_pattern_matches_the_installed_file_it_means(pattern: str, path: str) -> None:
    assert dep5.matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("debian/*", MENU),  # must not be stripped to `*`
        ("data/*", MENU),
        ("data/*/*", MENU),  # nor to `*/*`
        ("data/*/menu.ogg", MENU),  # nor begin with a wildcard
        ("sounds/*", MENU),
        ("sounds/menu.ogg", MENU),  # an effect of the same name in another folder
        ("share/music/c64revival", REVIVAL),
        ("usic/*", MENU),  # whole folder names only
        (r"music/what\?.ogg", "usr/share/game/music/whatx.ogg"),
        ("music/a.ogg", "usr/share/game/music/a+ogg"),  # a dot is a dot
    ],
)
def test_a_pattern_does_not_match_what_only_looks_alike(pattern: str, path: str) -> None:
    assert not dep5.matches(pattern, path)


def stanza(*patterns: str, licence: str) -> dep5.Stanza:
    return dep5.Stanza(patterns, dep5.Terms(licence, "A. Holder"))


def test_the_last_matching_stanza_decides_even_when_it_is_the_general_one() -> None:
    general, special = stanza("*", licence="GPL-2+"), stanza("data/music/*", licence="CC0-1.0")
    assert dep5.terms_of(MENU, [general, special]) == special.terms
    assert dep5.terms_of(MENU, [special, general]) == general.terms


def test_a_file_without_a_matching_stanza_has_no_terms() -> None:
    assert dep5.terms_of(MENU, [stanza("sounds/*", licence="CC0-1.0")]) is None


def test_a_copyright_file_in_prose_has_no_stanzas() -> None:
    assert dep5.parse("This package was debianised by somebody.\nIt may be copied under the GPL.\n") == []


def test_a_holder_is_named_without_years_and_addresses() -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\n"
        "Copyright: 2007-2011, Àlex Almarza <alex@example.org>\n"
        "           (c) 2008-present Will Savino (http://will.example)\n"
        "           99 Voices\n"
        "License: MIT\n"
    )
    (only,) = dep5.parse(text)
    assert only.terms.holder == "Àlex Almarza; Will Savino (http://will.example); 99 Voices"

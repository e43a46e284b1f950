"""Copyright files of Debian packages: which stanza speaks for which installed file, and when none does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import debian_music
from tenuto.rights import read_licence
from tenuto.rights.dep5 import CopyrightFile, Stanza, is_meant_as_dep5, nearest, parse_copyright

CACHE = Path(__file__).parents[2] / ".cache/demo"
FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
MENU = "usr/share/games/amoebax/music/menu.ogg"
REVIVAL = "usr/share/games/trackballs/music/c64revival.ogg"


def stanza(patterns: str, licence: str = "GPL-2+", holder: str = "2001 A. Holder") -> str:
    return f"Files: {patterns}\nCopyright: {holder}\nLicense: {licence}\n\n"


def parsed(*stanzas: str, path: str = "copyright") -> CopyrightFile:
    found = parse_copyright(path, FORMAT + "".join(stanzas))
    assert found is not None
    return found


def licence_of(file: CopyrightFile, path: str) -> str | None:
    found = file.match(path)
    return found.licence if found else None


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*", MENU),
        ("*", "top.ogg"),
        ("*.ogg", MENU),
        ("usr/*", MENU),
        ("data/music/*", MENU),
        ("./data/music/*", MENU),
        ("music/*", MENU),
        ("share/music/c64revival.ogg", REVIVAL),
        ("a/b/c/music/c64revival.ogg", REVIVAL),
        ("share/music/c64*.ogg", REVIVAL),
        ("share/music/c64reviva?.ogg", REVIVAL),
        ("c64revival.ogg", REVIVAL),
        ("data/music/*", "usr/share/game/music/disc 1/menu.ogg"),
        (r"music/what\?.ogg", "usr/share/game/music/what?.ogg"),
        (r"music/\*.ogg", "usr/share/game/music/*.ogg"),
        ("music/größe.ogg", "usr/share/game/music/größe.ogg"),
        ("music/*", "music/a\nb.ogg"),
    ],
)
def test_a_pattern_speaks_for_the_installed_file_that_it_means(pattern: str, path: str) -> None:
    assert CopyrightFile("", None, (Stanza((pattern,), "MIT", ""),)).match(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("debian/*", MENU),  # must not be stripped to `*`
        ("data/*", MENU),
        ("data/*/*", MENU),  # nor to `*/*`
        ("data/*/menu.ogg", MENU),  # nor begin with a wildcard
        ("data/m?sic/*", MENU),
        ("src/*.ogg", MENU),
        ("sounds/*", MENU),
        ("sounds/menu.ogg", MENU),  # an effect of the same name in another folder
        ("music", MENU),
        ("share/music/c64revival", REVIVAL),
        ("usic/*", MENU),  # whole folder names only
        ("enu.ogg", MENU),
        ("MUSIC/*", MENU),
        (r"music/what\?.ogg", "usr/share/game/music/whatx.ogg"),
        (r"music/\*.ogg", "usr/share/game/music/a.ogg"),
        ("music/a.ogg", "usr/share/game/music/a+ogg"),  # a dot is a dot
        (r"music/a\b.ogg", "usr/share/game/music/a\\b.ogg"),  # an escape that the format does not know
        ("music/[ab].ogg", "usr/share/game/music/a.ogg"),  # nor does it know classes
    ],
)
def test_a_pattern_does_not_speak_for_what_only_looks_alike(pattern: str, path: str) -> None:
    assert CopyrightFile("", None, (Stanza((pattern,), "MIT", ""),)).match(path) is None


def test_the_last_stanza_that_matches_decides() -> None:
    file = parsed(stanza("*", "GPL-2+"), stanza("music/*", "CC-BY-3.0"), stanza("music/a.ogg", "non-free"))
    assert licence_of(file, "usr/share/g/music/a.ogg") == "non-free"
    assert licence_of(file, "usr/share/g/music/b.ogg") == "CC-BY-3.0"
    assert licence_of(file, "usr/share/g/other/b.ogg") == "GPL-2+"


def test_the_last_stanza_decides_even_where_it_is_the_general_one() -> None:
    file = parsed(stanza("music/*", "CC-BY-3.0"), stanza("*", "GPL-2+"))
    assert licence_of(file, "usr/share/g/music/a.ogg") == "GPL-2+"


def test_a_file_for_which_no_stanza_speaks_has_no_licence() -> None:
    assert licence_of(parsed(stanza("sounds/*")), "music/a.ogg") is None


def test_patterns_folded_over_lines_are_all_read() -> None:
    file = parsed("Files: music/a.ogg\n       music/b.ogg\n\tmusic/c.ogg music/d.ogg\nCopyright: X\nLicense: MIT\n")
    assert [licence_of(file, f"music/{name}.ogg") for name in "abcde"] == ["MIT", "MIT", "MIT", "MIT", None]


def test_patterns_that_begin_on_the_line_below_are_read() -> None:
    file = parsed("Files:\n music/a.ogg\nCopyright: X\nLicense: MIT\n")
    assert licence_of(file, "music/a.ogg") == "MIT"


def test_the_short_name_is_the_licence_and_not_its_text() -> None:
    file = parsed(
        "Files: *\nCopyright: X\nLicense: non-free\n You may use it under CC-BY-4.0 on Sundays.\n .\n Not else.\n"
    )
    assert licence_of(file, "a.ogg") == "non-free"


def test_a_stanza_without_a_licence_hides_the_general_one() -> None:
    file = parsed(stanza("*", "MIT"), "Files: music/*\nCopyright: X\n\n")
    assert licence_of(file, "music/a.ogg") == ""


def test_holders_are_kept_in_their_own_words() -> None:
    file = parsed("Files: *\nCopyright: 2007-2011, Àlex <a@x.example>\n           2012 B\nLicense: MIT\n")
    found = file.match("a")
    assert found is not None
    assert found.holders == "2007-2011, Àlex <a@x.example> 2012 B"


def test_a_stanza_of_a_licence_alone_speaks_for_no_file() -> None:
    file = parsed(stanza("music/*", "CC-BY-3.0"), "License: GPL-2+\n text\n")
    assert len(file.stanzas) == 1


# --- whole files, good and bad


@pytest.mark.parametrize(
    "head",
    [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        "Format: http://www.debian.org/doc/packaging-manuals/copyright-format/1.0",
        "format: http://dep.debian.net/deps/dep5",
        "\n\nFormat: http://anonscm.debian.org/viewvc/dep/web/deps/dep5.mdwn?revision=174",
    ],
)
def test_every_spelling_of_the_format_is_known(head: str) -> None:
    found = parse_copyright("copyright", f"{head}\nSource: x\n\n{stanza('*', 'MIT')}")
    assert found is not None
    assert licence_of(found, "a.ogg") == "MIT"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00" * 100,
        "This package was debianised by somebody. It may be copied under the GPL.\n\nFiles: *\nLicense: MIT\n",
        "Format: something else\n\nFiles: *\nCopyright: x\nLicense: MIT\n",
        "\udcff\udcfe",
    ],
)
def test_what_is_not_machine_readable_is_none(text: str) -> None:
    assert parse_copyright("music/copyright", text) is None


@pytest.mark.parametrize(
    "body",
    [
        "Files: *\nCopyright: X\nLicense: MIT\n\nthis line is broken\n",
        "Files *\nCopyright: X\n",
        "Files: \nCopyright: X\nLicense: MIT\n",
        "Copyright: X\n\nLicense:\n",
        "Files: music/\\x *\nCopyright: X\nLicense: MIT\n",
        "Files: *\n" * 50,
        ": : :\n",
        "-----BEGIN PGP SIGNED MESSAGE-----\n",
    ],
)
def test_a_broken_file_raises_nothing_and_opens_nothing_but_what_it_says(body: str) -> None:
    found = parse_copyright("copyright", FORMAT + body)
    assert found is None or licence_of(found, "music/a.ogg") in {None, "", "MIT"}


def test_text_in_a_broken_encoding_leaves_patterns_and_licence_readable() -> None:
    for errors in ("replace", "surrogateescape"):
        text = (FORMAT + stanza("music/*", "CC-BY-3.0", "M\xfcller")).encode("latin-1").decode("utf-8", errors)
        found = parse_copyright("copyright", text)
        assert found is not None
        assert licence_of(found, "music/a.ogg") == "CC-BY-3.0"


@given(st.text(max_size=200))
def test_any_text_is_parsed_without_a_fault(body: str) -> None:
    for head in ("", FORMAT):
        found = parse_copyright("usr/share/doc/p/copyright", head + body)
        assert found is not None
        found.match("usr/share/p/music/a.ogg")


# --- which file speaks for a path


@pytest.mark.parametrize(
    ("path", "root", "package"),
    [
        ("copyright", "", None),
        ("a/b/copyright", "a/b", None),
        ("a/debian/copyright", "a", None),
        ("debian/copyright", "", None),
        ("usr/share/doc/amoebax-data/copyright", "", "amoebax-data"),
        ("a/usr/share/doc/amoebax-data/copyright", "a", "amoebax-data"),
        ("usr/share/doc/a/b/copyright", "usr/share/doc/a/b", None),
        ("xusr/share/doc/a/copyright", "xusr/share/doc/a", None),
    ],
)
def test_a_copyright_file_speaks_for_its_folder_and_an_installed_one_for_its_system(
    path: str, root: str, package: str | None
) -> None:
    file = parsed(stanza("*"), path=path)
    assert (file.root, file.package) == (root, package)


def test_the_deepest_folder_speaks() -> None:
    top, inner = parsed(stanza("*"), path="copyright"), parsed(stanza("*"), path="a/copyright")
    assert nearest([top, inner], "a/x.ogg") is inner
    assert nearest([inner, top], "b/x.ogg") is top
    assert nearest([inner], "b/x.ogg") is None
    assert nearest([inner], "ab/x.ogg") is None


def installed(package: str, *stanzas: str) -> CopyrightFile:
    return parsed(*(stanzas or (stanza("*", package),)), path=f"usr/share/doc/{package}/copyright")


def test_of_packages_side_by_side_the_one_speaks_whose_folder_it_is() -> None:
    files = [installed("amoebax-data"), installed("trackballs-data"), installed("trackballs")]
    found = nearest(files[:2], MENU)
    assert found is not None
    assert found.package == "amoebax-data"
    # `trackballs` and `trackballs-data` both may mean the folder `trackballs`: undecided is nobody
    assert nearest(files, REVIVAL) is None
    assert nearest(files, "usr/share/games/other/music/a.ogg") is None


def test_a_package_is_not_known_by_a_folder_that_all_use() -> None:
    files = [installed("games-data"), installed("share-common"), installed("asc-music")]
    assert nearest(files, "usr/share/games/other/music/a.ogg") is None
    found = nearest(files, "usr/share/games/asc/sound/a.ogg")
    assert found is not None
    assert found.package == "asc-music"


@pytest.mark.parametrize("text", ["All rights reserved by B.", FORMAT + "broken", FORMAT.replace("1.0", "9"), ""])
def test_a_package_whose_copyright_file_cannot_be_read_is_not_spoken_for_by_its_neighbour(text: str) -> None:
    good = installed("amoebax-data")
    bad = parse_copyright("usr/share/doc/trackballs-data/copyright", text)
    assert bad is not None
    found = nearest([good, bad], REVIVAL)
    assert found is bad
    assert found.match(REVIVAL) is None


@pytest.mark.parametrize(
    "path", ["home/me/Music/private.flac", "srv/foo/a.flac", "usr/share/bar/music/a.ogg", "usr/a.ogg"]
)
def test_a_package_alone_does_not_speak_for_what_it_did_not_install(path: str) -> None:
    for root in ("", "foo/"):
        file = parsed(stanza("*"), path=f"{root}usr/share/doc/foo-data/copyright")
        assert nearest([file], root + path) is None


def test_a_package_alone_speaks_for_its_own_folder_and_for_what_it_names() -> None:
    file = parsed(stanza("*"), stanza("music/*"), path="usr/share/doc/foo-data/copyright")
    assert nearest([file], "usr/share/games/foo/a.ogg") is file
    assert nearest([file], "opt/foo-data/a.ogg") is file
    assert nearest([file], "usr/share/bar/music/a.ogg") is file
    assert nearest([file], "usr/share/bar/sounds/a.ogg") is None
    assert nearest([file], "home/foo/music/a.ogg") is None


# --- what is written against the format


@pytest.mark.parametrize("patterns", ["a.ogg, b.ogg", "a.ogg,\n b.ogg", "a.ogg , b.ogg,"])
def test_commas_between_patterns_are_not_part_of_them(patterns: str) -> None:
    file = parsed(stanza(patterns, "MIT"))
    assert [licence_of(file, name) for name in ("a.ogg", "b.ogg", "c.ogg")] == ["MIT", "MIT", None]


def test_a_line_may_be_one_name_with_spaces_but_no_wildcard() -> None:
    file = parsed(stanza("music/*", "MIT"), stanza("music/My Song.ogg", "non-free"), stanza("x/a *.mp3\n x/b", "MIT"))
    assert licence_of(file, "music/My Song.ogg") == "non-free"
    assert file.stanzas[2].patterns == ("x/a", "*.mp3", "x/b")


def test_a_byte_order_mark_and_a_late_format_line_do_not_hide_the_format() -> None:
    for head in ("\ufeff" + FORMAT, "Upstream-Name: x\n" + FORMAT):
        found = parse_copyright("copyright", head + stanza("*", "MIT"))
        assert found is not None
        assert licence_of(found, "a.ogg") == "MIT"


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [(FORMAT + "broken", True), ("\ufeff\nUpstream-Name: x\nformat: 7\n", True), ("Format of the disc\n", False),
     ("All rights reserved.\n\nFormat: CD\n", False), ("", False)],
)  # fmt: skip
def test_a_text_that_names_its_format_first_is_meant_to_be_machine_readable(text: str, is_meant: bool) -> None:
    assert is_meant_as_dep5(text) is is_meant


def test_a_format_that_is_not_known_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    parse_copyright("copyright", "Format: http://example.org/dep5/9\n\n" + stanza("*"))
    assert capfd.readouterr() == ("", "")


# --- the demo's packages, by a table made by hand from reading their copyright files

SOUNDS_CC0 = [
    "seen-troll",
    "seen-kraken",
    "explosion",
    "orb-frog",
    "mousesqueak",
    "click",
    "pickup-mirror",
    "message-roar",
    "opengate",
    "steamhiss",
    "seen-frog1",
    "seen-frog2",
    "seen-frog3",
    "elementalgem",
    "die-kraken",
]
SOUNDS_CC_BY = [
    "trapdoor",
    "nervous",
    "splash2",
    "splash1",
    "seen-water",
    "seen-ghost",
    "closegate",
    "message-troll",
    "hit-orbsword",
    "bull",
    "apple",
    "levelup",
]
BY_HAND: dict[str, dict[str, str | None]] = {
    "amoebax-data": {
        f"usr/share/games/amoebax/music/{name}.ogg": "LAL-1.2"
        for name in ("AngusBackground", "Congratulations", "K.QuitaBackground", "KerberosBackground",
                     "Mr.BonesBackground", "PenBackground", "SpikeBackground", "menu", "training")
    },
    "asc-music": {
        "usr/share/games/asc/music/frontiers.mp3": "GPL-2.0-or-later",
        "usr/share/games/asc/music/machine_wars.mp3": "GPL-2.0-or-later",
        "usr/share/games/asc/music/time_to_strike.mp3": "GPL-2.0-or-later",
    },
    "hyperrogue-music": {
        f"usr/share/hyperrogue/music/{name}.ogg": "CC-BY-SA-3.0"
        for name in ("hr-domina-hunting", "hr-domina-mountain", "hr-savino-caribbean", "hr-savino-ivory",
                     "hr-savino-ocean", "hr-savino-palace", "hr3-caves", "hr3-crossroads", "hr3-desert", "hr3-graveyard",
                     "hr3-hell", "hr3-icyland", "hr3-jungle", "hr3-laboratory", "hr3-mirror", "hr3-motion", "hr3-rlyeh")
    }
    | {f"usr/share/hyperrogue/sounds/{name}.ogg": "CC0-1.0" for name in SOUNDS_CC0}
    | {f"usr/share/hyperrogue/sounds/{name}.ogg": "CC-BY-3.0" for name in SOUNDS_CC_BY}
    | {f"usr/share/hyperrogue/sounds/{name}.ogg": "CC-BY-SA-4.0" for name in ("die-fairy", "storm", "tada", "orb-mind")},
    "trackballs-data": {
        "usr/share/games/trackballs/music/c64revival.ogg": None,
        "usr/share/games/trackballs/music/crazy.ogg": None,
        "usr/share/games/trackballs/music/eurovision.ogg": None,
        "usr/share/games/trackballs/music/tb_design.ogg": "GPL-2.0-or-later",
        "usr/share/games/trackballs/music/tb_genesis.ogg": "GPL-2.0-or-later",
        "usr/share/games/trackballs/music/tb_hrluebke.ogg": "GPL-2.0-or-later",
        "usr/share/games/trackballs/music/tb_plinkeplanke.ogg": "GPL-2.0-or-later",
        "usr/share/games/trackballs/music/tb_schizophrenia.ogg": "GPL-2.0-or-later",
        "usr/share/games/trackballs/music/tb_sorrow.ogg": "GPL-2.0-or-later",
    },
}  # fmt: skip


def package(name: str) -> debian_music.Package:
    """A package out of the demo's cache; nothing is downloaded."""
    if not (CACHE / name).is_dir():
        pytest.skip(f"{name} is not in .cache/demo; `make demo` fetches it")
    (found,) = debian_music.fetch(CACHE, lambda _: None, [name])
    return found


def copyright_of(found: debian_music.Package, below: str = "") -> CopyrightFile:
    assert found.copyright is not None
    text = found.copyright.read_text(encoding="utf-8")
    parsed_file = parse_copyright(below + found.copyright.relative_to(found.root).as_posix(), text)
    assert parsed_file is not None
    return parsed_file


@pytest.mark.parametrize("name", debian_music.NAMES)
def test_the_files_of_a_demo_package_have_the_licences_of_the_table_made_by_hand(name: str) -> None:
    found = package(name)
    file = copyright_of(found)
    read = {}
    for path in BY_HAND[name]:
        assert (found.root / path).is_file(), path
        speaks = nearest([file], path)
        licence = read_licence(licence_of(file, path) or "") if speaks is file else None
        read[path] = licence.spdx if licence else None
    assert read == BY_HAND[name]
    assert {file.relative_to(found.root).as_posix() for file in found.music} <= BY_HAND[name].keys()


def test_demo_packages_installed_into_one_system_keep_their_licences_apart() -> None:
    files = [copyright_of(package(name)) for name in debian_music.NAMES]
    for name, table in BY_HAND.items():
        for path, spdx in table.items():
            speaks = nearest(files, path)
            assert speaks is not None
            assert speaks.package == name
            licence = read_licence(licence_of(speaks, path) or "")
            assert (licence.spdx if licence else None) == spdx, path

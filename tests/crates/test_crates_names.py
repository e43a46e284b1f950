"""Names within a crate: whatever a title holds, a path that every file system takes, and no two that fold alike."""

import re
import unicodedata
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenuto.crates.names import COMPONENT_MAX_BYTES, PATH_MAX_UNITS, Names, component

LONGEST = f"{'a' * 40}-1234-{'b' * 40}-12345-0a1b2c3d"
HARD = st.one_of(
    st.text(max_size=300),
    st.text(
        alphabet='aA.e\u0301\u200d\u200c\u202e\u200e %/\\:*?"<>|~$-\u00ad\ufeff\uff21Å\u212bßSﬁ\u0130i\u0131\u0345\U0001f3b5\ud800',
        max_size=80,
    ),
    st.sampled_from(
        ["con", "PRN ", "aux.flac", "nul . x", "COM1", "lpt9.", "com¹", "CONIN$", "...", "  ", "", "..", "~", "-rf"]
    ),
    st.text(alphabet="e\u0301\u0323\u0300", min_size=50, max_size=200),
    st.text(alphabet="あ🎵", min_size=30, max_size=120),
)
DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
FORBIDDEN = set('%\\/:*?"<>|')


def check_component(name: str) -> None:
    assert name
    assert name == unicodedata.normalize("NFC", name)
    assert len(name.encode()) <= COMPONENT_MAX_BYTES
    assert not set(name) & FORBIDDEN
    assert not {char for char in name if unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert not {char for char in name if unicodedata.category(char) == "Cf"} - {"\u200c", "\u200d"}
    assert name[0] not in " .\u200d\u200c"
    assert name[-1] not in " .\u200d\u200c"
    assert not DEVICES.fullmatch(name)


def fold(path: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def digest(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


@given(HARD)
@example("e\u200e\u0301")
@example("con\u200e")
@example("\u200daux")
@example("a\u200d ")
@example("com1 .txt")
def test_component_is_safe_and_stays_what_it_is_when_made_again(text):
    name = component(text)
    check_component(name)
    assert component(name) == name


@given(HARD, st.integers(8, COMPONENT_MAX_BYTES))
def test_component_fits_whatever_room_there_is(text, room):
    name = component(text, room)
    check_component(name)
    assert len(name.encode()) <= room
    assert component(name, room) == name


SUFFIXES = st.sampled_from(["flac", "mp3", "opus", "m4a", "bin", "abcdefghijkl", "OGG"])


@given(
    st.lists(
        st.tuples(HARD, HARD, st.sampled_from(["", "01", "2-07", "123"]), HARD, st.integers(0, 3), SUFFIXES),
        max_size=12,
    ),
    st.sampled_from(["a-1-b-0001-0a1b2c3d", LONGEST]),
)
def test_paths_are_safe_short_enough_and_never_equal_when_folded(songs, crate):
    names, seen, folders = Names(crate), set(), {}
    for artist, release, number, title, content, suffix in songs:
        path = names.path(artist, release, number, title, digest(content), suffix)
        top, audio, *parts = path.split("/")
        assert (top, audio, len(parts)) == ("data", "audio", 3)
        for part in parts:
            check_component(part)
        assert len(f"{crate}/{path}".encode("utf-16-le")) // 2 <= PATH_MAX_UNITS
        assert fold(path) not in seen
        seen.add(fold(path))
        for depth in (3, 4):
            folder = "/".join(path.split("/")[:depth])
            assert folders.setdefault(fold(folder), folder) == folder
        assert f"[{digest(content)[:8]}]" in path


def test_folders_that_differ_by_case_width_or_normalisation_have_the_first_spelling():
    names = Names("a-1-b-0001-0a1b2c3d")
    spelled = ["Ärger", "A\u0308rger", "ÄRGER", "\uff21\u0308rger", "Är\u200dger"]
    paths = [names.path(artist, "Straße" if number % 2 else "STRASSE", "01", "x", digest(number), "flac")
             for number, artist in enumerate(spelled)]  # fmt: skip
    assert {path.split("/")[2] for path in paths} == {"Ärger"}
    assert {path.split("/")[3] for path in paths} == {"STRASSE"}
    assert len(set(paths)) == len(spelled)


TITLES = ("Lied", "LIED", "lied", "x" * 300, "X" * 300)


def test_titles_that_differ_by_case_with_the_same_first_digits_are_told_apart():
    names = Names("a-1-b-0001-0a1b2c3d")
    paths = [
        names.path("A", "B", "01", title, "0a1b2c3d" + "0" * 56, "flac")
        for title in ("Lied", "LIED", "lied", "x" * 300, "X" * 300)
    ]
    assert len({path.casefold() for path in paths}) == 5
    for path in paths:
        check_component(path.rsplit("/", 1)[1])


def test_a_title_of_marks_alone_still_has_a_name():
    names = Names("a-1-b-0001-0a1b2c3d")
    for title in ("e" + "\u0301" * 200, "\u0301" * 200, "\u202e", "...", "%", "\u200d"):
        for _ in range(2):
            path = names.path(title, title, "", title, digest(1), "flac")
            for part in path.split("/"):
                check_component(part)


@pytest.mark.parametrize("text", ["a\u202eb", "\ufeffa", "a\u00adb", "a\u2066b\u2069"])
def test_characters_that_hide_or_turn_text_are_left_out(text):
    assert set(component(text)) <= {"a", "b"}


def test_twenty_thousand_recordings_of_one_name_have_paths_of_their_own_quickly():
    names = Names(LONGEST)
    paths = {names.path("Anna", "Album", "01", "Lied", digest(number), "flac") for number in range(20_000)}
    assert len(paths) == 20_000

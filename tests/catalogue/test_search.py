"""The text index finds names as people type them, the best match first."""
# ruff: noqa: RUF001 -- names of many scripts

import errno
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_maker import MEMORY_BYTES, Made, batches, bound_of, make_index, row

from tenuto.catalogue.search import find
from tenuto.catalogue.search.build import build_index, join_parts, write_part
from tenuto.catalogue.search.pieces import pieced
from tenuto.catalogue.search.tiers import system_error_of
from tenuto.catalogue.search.vocabulary import Vocabulary
from tenuto.catalogue.search.words import Names, fold, named, wanted
from tenuto.model.errors import IntegrityError

ROWS = [
    row("Yesterday", "The Beatles", "Help!", listens=900_000, year=1965, licence="CC-BY-4.0"),
    row("Yesterday Once More", "Carpenters", "Now & Then", listens=5_000_000, year=1973),
    row("Yesterday - Remastered 2009", "The Beatles", "Help! (Remastered)", listens=9_000_000, year=1965),
    row("All My Yesterdays", "Somebody", listens=99_000_000),
    row("Army of Me", "Björk", "Post", listens=5_000, year=1995),
    row("Thunderstruck", "AC/DC", "The Razors Edge", listens=8_000_000, year=1990),
    row("Hoppípolla", "Sigur Rós", "Takk...", listens=70_000),
    row("So What", "P!nk", "Funhouse", listens=600_000),
    row("Чёрный ворон", "Хор Пятницкого", "Русские песни", listens=400),
    row("上を向いて歩こう", "坂本九", "九ちゃんの歌", listens=80_000),
    row("ヒカルの歌", "宇多田 ヒカル", "First Love", listens=70_000),
    row("甜蜜蜜", "鄧麗君", "甜蜜蜜", listens=60_000),
    row("봄날 이야기", "방탄소년단", "윙스", listens=50_000),
    row("รักเธอเสมอ", "คาราบาว", "เพลงไทย", listens=40_000),
    row("أَنْتَ عُمْري", "أُمّ كُلْثوم", "الأغاني", listens=30_000),
    row("יְרוּשָׁלַיִם שֶׁל זָהָב", "נעמי שמר", "שירים", listens=20_000),
    row("Ｆｕｌｌ Ｗｉｄｔｈ", "ＡＢＣ", "Wide", listens=10),
    row("Straße nach Norden", "Die Sänger", listens=10),
    row("Ζορμπάς", "Μίκης Θεοδωράκης", listens=10),
    row("Mustafa Işık", "İbrahim", listens=10),
    row("Don't Stop Me Now", "Queen", "Jazz", listens=3_000_000, popularity=80),
    row("Bohemian Rhapsody", "Queen", "A Night at the Opera", listens=30_000_000, year=1975),
    row("???", "!!!", "÷", listens=1),
    row("E.T.", "R.E.M.", listens=1),
    row("Blackbird", "ACDC Tribute Band", listens=2),
    row("Pink Floyd", "Nobody", listens=3),
    row("Money", "Pink Floyd", "The Dark Side of the Moon", listens=700_000),
    row("Time", ["Pink Floyd", "A Guest"], "The Dark Side of the Moon", listens=800_000),
    row("Floyd Is Pink", "Another", listens=90_000_000),
    row("東京 Tower Love", "くるり", listens=5),
    row("Mississippi Goddam", "Nina Simone", listens=5),
    row("Same", "One", listens=7),
    row("Same", "Two", listens=7),
    row("Same", "Three", popularity=90),
    row('Say "Yes\\No"', 'Quo"te', "Back\\slash", listens=4),
    row(None, None, None),
    row("", [], ""),
    row("Intermezzo für die Königin (feat. Jürgen)", "Ñandú", listens=4, licence="LicenseRef-own words"),
]
TITLES = [one["title"] for one in ROWS]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_index(tmp_path_factory.mktemp("search") / "index", ROWS)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("bjork", "Army of Me"),
        ("BJÖRK army", "Army of Me"),
        ("Bjo\u0308rk", "Army of Me"),
        ("ac/dc", "Thunderstruck"),
        ("acdc", "Thunderstruck"),
        ("ac dc", "Thunderstruck"),
        ("AC-DC thunder", "Thunderstruck"),
        ("sigur ros", "Hoppípolla"),
        ("hoppipolla", "Hoppípolla"),
        ("p!nk so", "So What"),
        ("pink so what", "So What"),
        ("черный ворон", "Чёрный ворон"),
        ("ЧЁРНЫЙ", "Чёрный ворон"),
        ("上を向いて", "上を向いて歩こう"),
        ("歩こう", "上を向いて歩こう"),
        ("歩", "上を向いて歩こう"),
        ("向いて 坂本", "上を向いて歩こう"),
        ("宇多田ヒカル", "ヒカルの歌"),
        ("宇多田 ひかる", "ヒカルの歌"),
        ("ﾋｶﾙ", "ヒカルの歌"),
        ("蜜蜜", "甜蜜蜜"),
        ("鄧麗", "甜蜜蜜"),
        ("봄날이야기", "봄날 이야기"),
        ("이야", "봄날 이야기"),
        ("소년단", "봄날 이야기"),
        ("เธอ", "รักเธอเสมอ"),
        ("รักเธอ คาราบาว", "รักเธอเสมอ"),
        ("انت عمري", "أَنْتَ عُمْري"),
        ("ام كلثوم", "أَنْتَ عُمْري"),
        ("ירושלים של זהב", "יְרוּשָׁלַיִם שֶׁל זָהָב"),
        ("נעמי", "יְרוּשָׁלַיִם שֶׁל זָהָב"),
        ("full width abc", "Ｆｕｌｌ Ｗｉｄｔｈ"),
        ("strasse", "Straße nach Norden"),
        ("ζορμπας", "Ζορμπάς"),
        ("isik", "Mustafa Işık"),
        ("ibrahim", "Mustafa Işık"),
        ("dont stop", "Don't Stop Me Now"),
        ("don’t stop me now", "Don't Stop Me Now"),
        ("???", "???"),
        ("!!!", "???"),
        ("r.e.m.", "E.T."),
        ("rem et", "E.T."),
        ("r e m", "E.T."),
        ("black bird", "Blackbird"),
        ("tokyo tower", "東京 Tower Love"),
        ("東京 love", "東京 Tower Love"),
        ("京 tower", "東京 Tower Love"),
        ("上 を向いて", "上を向いて歩こう"),
        ("天 上を向いて", None),
        ('"yes\\no"', 'Say "Yes\\No"'),
        ("intermezzo konigin jurgen", "Intermezzo für die Königin (feat. Jürgen)"),
        ("the mississippi goddam by nina simone", None),
    ],
)
def test_what_is_typed_finds_first(index: Made, typed: str, first: str | None) -> None:
    hits = index.search(typed)
    if typed == "tokyo tower":  # nothing is translated
        assert [hit.title for hit in hits] == []
    elif first is None:
        assert hits == []
    else:
        assert hits
        assert hits[0].title == first
        assert TITLES[hits[0].track_row] == first


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("yestreday", "Yesterday - Remastered 2009"),
        ("yesterdya beatles", "Yesterday - Remastered 2009"),
        ("beetles", "Yesterday - Remastered 2009"),
        ("bohemain rapsody", "Bohemian Rhapsody"),
        ("thunderstrcuk", "Thunderstruck"),
        ("thundersturkc", "Thunderstruck"),
        ("misisipi godam", None),
        ("missisipi goddam", "Mississippi Goddam"),
        ("mony", "Money"),
        ("hoppipola", "Hoppípolla"),
        ("чорный ворон", "Чёрный ворон"),
    ],
)
def test_a_typo_is_forgiven(index: Made, typed: str, first: str | None) -> None:
    hits = index.search(typed)
    assert (hits[0].title if hits else None) == first


def test_short_words_are_taken_as_they_are_typed(index: Made) -> None:
    assert index.search("xet") == []
    assert index.search("bjxxk") == []


def test_typos_are_not_looked_for_where_there_are_enough_exact_hits(tmp_path: Path) -> None:
    found = make_index(
        tmp_path / "index", [*(row("Beatles", str(n)) for n in range(6)), row("Beetles", "x", listens=9)]
    )
    assert {hit.title for hit in found.search("beatles")} == {"Beatles"}
    assert {hit.title for hit in found.search("beetles")} == {"Beetles", "Beatles"}


@pytest.mark.parametrize(
    "typed",
    [
        "boh",
        "bohem",
        "bohemian r",
        "bohemian rh",
        "bohemian rhapsody qu",
        "queen boh",
        "queen a night at the op",
        "rhapsody bohe",
    ],
)
def test_the_last_word_may_be_begun(index: Made, typed: str) -> None:
    assert index.search(typed)[0].title == "Bohemian Rhapsody"


def test_only_the_last_word_may_be_begun(index: Made) -> None:
    assert index.search("boh rhapsody") == []


def test_whole_titles_come_before_phrases_and_these_before_scattered_words(index: Made) -> None:
    hits = index.search("pink floyd")
    assert [hit.title for hit in hits] == ["Pink Floyd", "Time", "Money", "Floyd Is Pink"]
    assert [int(hit.score) for hit in hits] == [10, 9, 9, 7]


def test_among_equal_matches_what_is_listened_to_more_comes_first(index: Made) -> None:
    hits = index.search("yesterday")
    assert [hit.title for hit in hits] == [
        "Yesterday - Remastered 2009",
        "Yesterday",
        "Yesterday Once More",
        "All My Yesterdays",
    ]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_words_may_be_spread_over_title_artist_and_release(index: Made) -> None:
    assert [hit.track_row for hit in index.search("yesterday beatles help")] == [2, 0]
    assert [hit.track_row for hit in index.search("beatles yesterday")] == [2, 0]
    assert [hit.title for hit in index.search("dark side moon")] == ["Time", "Money"]


def test_a_tie_is_broken_by_the_row(index: Made) -> None:
    assert [hit.artist for hit in index.search("same")] == ["Three", "One", "Two"]


def test_filters_narrow_what_is_found(index: Made) -> None:
    assert [hit.track_row for hit in index.search("yesterday", artist="beatles")] == [2, 0]
    assert [hit.track_row for hit in index.search("yesterday", licence="CC-BY-4.0")] == [0]
    assert [hit.track_row for hit in index.search("queen", year=1975)] == [21]
    assert [hit.track_row for hit in index.search("pink", title="time")] == [27]
    assert [hit.track_row for hit in index.search("intermezzo", licence="LicenseRef-own words")] == [37]
    assert index.search("queen", year=1800) == []


def test_filters_alone_list_what_passes(index: Made) -> None:
    assert [hit.title for hit in index.search("", artist="queen")] == ["Bohemian Rhapsody", "Don't Stop Me Now"]
    assert [hit.title for hit in index.search("", year=1965)] == ["Yesterday - Remastered 2009", "Yesterday"]


def test_the_limit_is_kept(index: Made) -> None:
    assert [len(index.search("yesterday", limit=limit)) for limit in (-1, 0, 1, 3)] == [0, 0, 1, 3]
    assert index.search("yesterday", limit=2) == index.search("yesterday")[:2]


HOSTILE = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff yesterday",
    "title:(",
    "*",
    "**",
    '"',
    '"unclosed',
    "AND",
    "OR NOT",
    "yesterday AND",
    "a OR b",
    "(((",
    "[1 TO 5]",
    "^",
    "~",
    "~2",
    "\\",
    "/.*/",
    "title:yesterday~2",
    "+-+",
    "-yesterday",
    "{!x}",
    "%s%n",
    "'; DROP TABLE",
    "yesterday\nbeatles",
    "?" * 5_000,
    "é" * 100_000,
    "a " * 500_000,
    "x" * 1_000_000,
    "歌" * 100_000,
    "\u0301" * 9_999,
    "__",
    "_",
    "\u202eabc",
    "\U0001f600",
    "n1 y1965",
]


@pytest.mark.parametrize("typed", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_input_is_answered(index: Made, typed: str) -> None:
    index.search(typed)
    index.search("yesterday", title=typed, artist=typed, licence=typed)
    index.search("", title=typed)


def test_words_of_a_query_language_are_words(index: Made) -> None:
    assert index.search("title:(yesterday)") == []
    assert index.search('"yesterday"')[0].title == "Yesterday - Remastered 2009"
    assert index.search("yesterday*")[0].title == "Yesterday - Remastered 2009"


@given(st.text(max_size=40) | st.text(st.sampled_from('aé歌봄 AC/DC"\\()*~:^[]{}!-+\0\ud800\u0301_รא٣'), max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_text_is_answered_twice_alike(index: Made, typed: str) -> None:
    assert index.search(typed) == index.search(typed)


def _all_say_the_same(texts: list[str]) -> None:
    each = [named(fold(text)) for text in texts]
    assert list(Names().of(texts)) == [
        (" ".join((*one.words, *one.more)), len(one.words), one.core_count) for one in each
    ]
    words, kinds = pieced(pa.array(texts, pa.string()), Names())
    assert [json.loads(f'"{text}"').split() for text in words.to_pylist()] == [
        " ".join((*one.words, *one.more)).split() for one in each
    ]
    assert kinds.to_pylist() == [
        f"n{len(one.words)}" + (f" n{one.core_count}" if one.core_count < len(one.words) else "") for one in each
    ]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=30)
        | st.text(st.sampled_from("aéÀ歌봄 ́ʼ½¨ßİſنْ(feat. /'-&+\t\n#♭cd.$!"), max_size=30),
        max_size=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_taking_any_names_apart_is_taking_each(texts: list[str]) -> None:
    _all_say_the_same(texts)


TRICKY = """(x) (x) y|- (x) (y)|c # d|c #|# c|rock + roll|+ x +|e.t. & co.|봄 날 (feat. 歌)|歌 歌|½ x
a - b (live)|feat x|x feat|x ft. y|... (y)
AC/DC/AC - a-b|don't (can't)|s̈ x ́|نْ أَن|!!! & ???|' - '|x"y"""


def test_taking_tricky_names_apart_is_taking_each() -> None:
    texts = [*TRICKY.replace("\n", "|").split("|"), " a  (b) ", "\x1ca\x85b", "long " * 300, "é" * 2_000, ""]
    _all_say_the_same(texts)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_any_title_is_indexed_and_found(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    rows = [row(text, [text, text], text, year=1, licence=text) for text in texts]
    found = make_index(tmp_path_factory.mktemp("any") / "index", rows)
    assert [hit.track_row for hit in found.search("", year=1)] == list(range(len(texts)))
    for number, text in enumerate(texts):
        assert not wanted(text) or number in [hit.track_row for hit in found.search(text)]


@pytest.mark.parametrize("top", [0.0, 0.05, 0.5, 0.999])
def test_answers_do_not_depend_on_batches_and_tiers(index: Made, tmp_path: Path, top: float) -> None:
    again = make_index(tmp_path / "index", ROWS, size=3, top=top)
    for typed in ("yesterday", "same", "pink floyd", "歌", "queen", "the", "beetles", "a", "yesterd", "black bird"):
        for limit in (1, 3, 20):
            assert again.search(typed, limit) == index.search(typed, limit)
    assert again.search("", artist="queen") == index.search("", artist="queen")


@pytest.mark.parametrize("top", [0.0, 0.1, 0.5])
def test_fewer_hits_are_the_first_of_more(tmp_path: Path, top: float) -> None:
    found = make_index(tmp_path / "index", ROWS, top=top)
    for typed in ("yesterday", "pink floyd", "the beatles", "queen", "same", "floyd pink", "th", "yesterda", "歌"):
        hits = found.search(typed, 100)
        assert hits
        for limit in range(1, len(hits)):
            assert found.search(typed, limit) == hits[:limit], typed


def _edits(one: str, other: str) -> int:
    """Optimal string alignment: letters put in, left out, taken for another, or two neighbours exchanged."""
    rows = [list(range(len(other) + 1))]
    for n, letter in enumerate(one, 1):
        rows.append([n])
        for m, others in enumerate(other, 1):
            ways = [rows[n - 1][m] + 1, rows[n][m - 1] + 1, rows[n - 1][m - 1] + (letter != others)]
            if n > 1 and m > 1 and one[n - 2 : n] == other[m - 2 : m][::-1]:
                ways.append(rows[n - 2][m - 2] + 1)
            rows[n].append(min(ways))
    return rows[-1][-1]


def test_words_like_another_are_all_so_many_edits_away_and_the_frequent_ones_first(tmp_path: Path) -> None:
    chance = random.Random(3)
    words = {"".join(chance.choices("abé", k=chance.randint(3, 9))) for _ in range(300)}
    counts = {word: 1 + number % 7 for number, word in enumerate(sorted(words))}
    make_index(tmp_path / "index", [row(f"{fold(word)} x") for word, count in counts.items() for _ in range(count)])
    vocabulary, often = Vocabulary(tmp_path / "index/words"), Counter[str]()
    for word, count in counts.items():
        often[fold(word)] += count
    for typed in ["".join(chance.choices("abe", k=8)) for _ in range(40)]:
        for edits in (1, 2):
            near = sorted(
                (word for word in often if _edits(typed, word) <= edits), key=lambda word: (-often[word], word)
            )
            found = vocabulary.like(typed, edits)
            assert [often[word] for word in found] == [often[word] for word in near][:64]
            assert set(found) <= set(near)


def test_an_exact_hit_of_three_words_needs_no_typos(tmp_path: Path) -> None:
    rows = [row("A Long Wandering Melody", listens=1), row("A Long Wondering Melody", listens=9)]
    found = make_index(tmp_path / "index", rows)
    assert [hit.title for hit in found.search("a long wandering melody")] == ["A Long Wandering Melody"]
    assert {hit.title for hit in found.search("wandering melody")} == {one["title"] for one in rows}


def test_parts_make_the_same_index_as_the_whole(index: Made, tmp_path: Path) -> None:
    made = batches(ROWS, 10)
    parts = [tmp_path / "index" / f"part-{n}" for n in range(len(made))]
    for part, batch in zip(parts, made, strict=True):
        part.mkdir(parents=True)
        write_part(part, [batch], MEMORY_BYTES, bound_of(made, 0.2), lambda _: None)
    join_parts(tmp_path / "index", parts, len(ROWS))
    assert sorted(one.name for one in (tmp_path / "index").iterdir()) == ["rest", "search.json", "top", "words"]
    joined = Made(tmp_path / "index", ROWS)
    for typed in ("yesterday", "same", "pink floyd", "歌", "queen", "the", "beetles", "a", "yesterd", "acdc"):
        assert joined.search(typed) == index.search(typed)


def test_rows_may_have_gaps(tmp_path: Path) -> None:
    numbers = [0, 5, 6, 4_000_000_000, 2**32 - 1]
    found = make_index(tmp_path / "index", [{"track_row": n, **row(f"song {n}")} for n in numbers])
    assert [(hit.track_row, hit.title) for hit in found.search("song")] == [(n, f"song {n}") for n in numbers]


def test_a_huge_title_is_found_by_its_beginning(tmp_path: Path) -> None:
    found = make_index(tmp_path / "index", [row("é " + "long " * 200_000 + "end"), row("short")])
    assert [hit.track_row for hit in found.search("e long", limit=1)] == [0]
    assert [hit.track_row for hit in found.search("short")] == [1]


def test_an_empty_catalogue_has_an_index(tmp_path: Path) -> None:
    assert make_index(tmp_path / "index", []).search("yesterday") == []


def test_more_rows_than_a_batch_are_found_each(tmp_path: Path) -> None:
    rows = [row(f"number{n}", f"artist {n % 7}", popularity=n % 101) for n in range(1_000)]
    found = make_index(tmp_path / "index", rows, size=77)
    for n in range(0, 1_000, 83):
        assert [(hit.track_row, hit.title) for hit in found.search(f"number{n}", limit=1)] == [(n, f"number{n}")]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != ".tantivy-meta.lock")


def _put(file: Path, content: bytes | None) -> None:
    """In a file of its own: the one before may still be mapped."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)


def test_a_cut_or_missing_file_is_said(tmp_path: Path) -> None:
    make_index(tmp_path / "index", ROWS)
    for file in _files(tmp_path / "index"):
        content = file.read_bytes()
        for damaged in (content[:-1], content[: len(content) // 2], None):
            _put(file, damaged)
            with pytest.raises(IntegrityError, match="delete the folder"):
                Made(tmp_path / "index", ROWS)
        _put(file, content)
    assert Made(tmp_path / "index", ROWS).search("yesterday")


def test_a_flipped_byte_is_said(tmp_path: Path) -> None:
    make_index(tmp_path / "index", ROWS)
    _flip_each(tmp_path / "index", lambda: pytest.raises(IntegrityError, match="delete the folder"))


def test_a_flipped_byte_in_a_large_index_gives_an_error_or_an_answer_but_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(tmp_path / "index", ROWS)
    monkeypatch.setattr(find, "_READ_MAX_BYTES", 0)
    _flip_each(tmp_path / "index", lambda: suppress(IntegrityError))


def _flip_each(folder: Path, expected: Callable[[], AbstractContextManager[object]]) -> None:
    """Some bytes of each file in turn."""
    chance = random.Random(5)
    for file in _files(folder):
        content = file.read_bytes()
        for _ in range(4):
            damaged = bytearray(content)
            damaged[chance.randrange(len(content))] ^= 0xFF
            _put(file, bytes(damaged))
            with expected():
                Made(folder, ROWS).index.search("yestreday beatles")
        _put(file, content)


@pytest.mark.parametrize(
    "content", ['{"version": 99, "tracks": 1, "files": {}}', '{"version": 3}', "[]", "", "[" * 10_000]
)
def test_an_index_of_another_version_is_refused(tmp_path: Path, content: str) -> None:
    make_index(tmp_path / "index", ROWS)
    (tmp_path / "index/search.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"version 99|search\.json"):
        Made(tmp_path / "index", ROWS)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    refused = ValueError("An IO error occurred: 'No space left on device (os error 28)'")
    assert system_error_of(refused) == errno.ENOSPC
    assert system_error_of(ValueError("os errors")) is None


def test_an_error_in_the_rows_is_told_as_it_is(tmp_path: Path) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from batches([row("a")])
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        build_index(tmp_path, rows(), MEMORY_BYTES)

"""What a source no longer shows: missing, vanished, replaced or back again, each said when it is known and not before."""

from datetime import timedelta

import pyarrow as pa
import pytest

import evidence_maker as made
from support import make_archive
from tenuto.catalogue.descriptions import Described, Precedence
from tenuto.publication.metadata import public_table

A, B, C, D, E = (f"DEAB1230000{number}" for number in range(5))


def _day(number):
    return made.DAY + timedelta(days=number)


def _song(own, title=None, artist=None, **fields):
    """An album of one track; `artist` is its artist's id and name."""
    named = {"artists": [{"id": artist, "name": artist}]} if artist else {}
    return made.album(f"r-{own}", [made.song(own, **({"title": title} if title else {}), **named, **fields)])


LATE = _song("late", isrc=[A])
"""Goes last: what has its code appeared before that."""

SHARED = _song("shared-live", isrc=[B])
GONE = [
    _song("early"), _song("flickers"), _song("code-old", isrc=[A]), _song("shared-old", isrc=[B]),
    _song("near-old", isrc=[C], duration=100), _song("wide-old", isrc=[E], duration=100), _song("late-old", isrc=[D]),
    _song("name-old", "Blüe  Song!", "Röyal", duration=200), _song("far-old", "Far", "X", duration=200),
    _song("stray-old", "Stray", "X", duration=200), _song("nobody-old", "Nobody", duration=200),
]  # fmt: skip
NEW = [
    _song("code-new", isrc=[A]), _song("near-b", isrc=[C], duration=101), _song("near-a", isrc=[C], duration=99),
    _song("near-c", isrc=[C], duration=103), _song("name-new", "blue song", "ROYAL", duration=202),
    _song("far-new", "Far", "X", duration=203), _song("stray-new", "Stray", "Y", duration=200),
    _song("nobody-new", "Nobody", duration=200), _song("wide-a", isrc=[E], duration=90), _song("wide-b", isrc=[E], duration=104),
]  # fmt: skip
REPLACED = {"code-old": "code-new", "near-old": "near-a", "wide-old": "wide-b", "name-old": "name-new"}


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """After one, two and three harvests: most go in the second, one in the third, one comes back."""
    layout = make_archive(tmp_path_factory.mktemp("vanished"))
    found = []
    for number, said in enumerate((
        [SHARED, LATE, *GONE],
        [SHARED, LATE, *NEW],
        [SHARED, _song("flickers"), _song("late-new", isrc=[D]), *NEW],
    )):  # fmt: skip
        made.keep(layout, "shop", said, _day(number * 5))
        found.append(made.edition_of(layout))
    return found


def _stones(edition, kind="track"):
    return {row["own_id"]: row for row in made.rows(edition, "tombstone") if row["kind"] == kind}


def test_first_harvest_buries_nothing(editions):
    assert made.rows(editions[0], "tombstone") == []


def test_one_harvest_without_a_track_does_not_say_that_it_vanished(editions):
    reasons = {own: row["reason"] for own, row in _stones(editions[1]).items() if own not in REPLACED}
    silent = {"early", "flickers", "shared-old", "late-old", "far-old", "stray-old", "nobody-old"}
    assert reasons == dict.fromkeys(silent, "missing")


def test_second_harvest_in_a_row_without_a_track_says_that_it_vanished(editions):
    reasons = {own: row["reason"] for own, row in _stones(editions[2]).items()}
    vanished = dict.fromkeys(("early", "shared-old", "far-old", "stray-old", "nobody-old"), "vanished")
    assert reasons == {**vanished, **dict.fromkeys((*REPLACED, "late-old"), "replaced"), "late": "missing"}


def test_replaced_track_names_its_successor_by_code_then_by_names_and_the_nearest_duration(editions):
    for edition, more in ((editions[1], {}), (editions[2], {"late-old": "late-new"})):
        named = {own: row["successor_id"] for own, row in _stones(edition).items() if row["successor_id"]}
        assert named == {**REPLACED, **more}


def test_days_of_a_tombstone_are_those_of_its_first_and_last_sighting(editions):
    assert {
        (row["first_seen_on"], row["last_seen_on"]) for own, row in _stones(editions[2]).items() if own != "late"
    } == {(_day(0), _day(0))}
    assert _stones(editions[2])["late"]["last_seen_on"] == _day(5)


def test_releases_and_artists_that_are_gone_have_tombstones_too(editions):
    assert _stones(editions[2], "release")["r-early"]["reason"] == "vanished"
    assert {own: row["reason"] for own, row in _stones(editions[1], "artist").items()} == {"Röyal": "missing"}
    assert editions[1].info.sources["shop"].tombstones == len(_stones(editions[1]))


def test_history_dates_that_a_track_was_gone_and_that_it_was_back(editions):
    rows = {row["track_id"]: row["track_row"] for row in made.rows(editions[2], "track")}
    history = made.rows(editions[2], "history")
    told = [(row["seen_on"], row["is_available"]) for row in history if row["track_row"] == rows["flickers"]]
    assert told == [(_day(5), False), (_day(10), True)]
    assert len(history) == len(told)
    assert made.rows(editions[1], "history") == []


def test_code_that_only_a_correction_tells_finds_the_successor(tmp_path):
    layout = make_archive(tmp_path)
    lines = [("shop", "track", own, "isrc", A) for own in ("old", "new")] + [
        ("shop", "track", "old", "title", "Mended")
    ]
    made.keep(layout, "hand", [made.corrections(*lines)], kind="corrections")
    for number, said in enumerate((_song("old", "Mendet"), _song("new", "Other"))):
        made.keep(layout, "shop", [said], _day(number))
    edition = made.edition_of(layout)
    stone = _stones(edition)["old"]
    assert (stone["reason"], stone["successor_id"], stone["title"]) == ("replaced", "new", "Mended")
    assert made.findings(edition, "reference-missing") == []


def test_code_that_only_a_describing_source_tells_finds_the_successor(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "dump", [_song("old", isrc=[A]), _song("new", isrc=[A])])
    for number, own in enumerate(("old", "new")):
        made.keep(layout, "shop", [_song(own)], _day(number))
    edition = made.edition_of(layout, Precedence({"dump": Described(("shop",), ("id",))}))
    stone = _stones(edition)["old"]
    assert (stone["reason"], stone["successor_id"]) == ("replaced", "new")
    assert [row["own_id"] for row in made.rows(edition, "description") if row["kind"] == "track"] == ["new"]


def test_harvest_that_could_not_say_is_no_second_sighting(tmp_path):
    layout = make_archive(tmp_path)
    x, y = _song("x"), _song("y")
    for number, said in enumerate(([x, y], [x], [x, made.failed(y)])):
        made.keep(layout, "shop", said, _day(number))
    assert _stones(made.edition_of(layout))["y"]["reason"] == "missing"
    made.keep(layout, "shop", [x], _day(3))
    assert _stones(made.edition_of(layout))["y"]["reason"] == "vanished"


def test_harvest_after_the_second_without_a_track_changes_nothing(tmp_path):
    layout = make_archive(tmp_path)
    for number, names in enumerate((("x", "y"), ("x",), ("x",))):
        made.keep(layout, "shop", map(_song, names), _day(number))
    sums = made.sha256s(made.edition_of(layout).folder)
    made.keep(layout, "shop", [_song("x")], _day(3))
    again = made.built(layout)
    assert not again.is_new
    assert made.sha256s(again.edition.folder) == sums


def test_track_that_another_page_shows_meanwhile_was_not_gone(tmp_path):
    layout = make_archive(tmp_path)
    x = made.song("x", playCount=3)
    pages = made.album("a", [x]), made.search([x])
    for number, said in enumerate((pages[:1], pages[1:], pages[:1], [made.artists(z="Z")], pages[1:])):
        made.keep(layout, "shop", said, _day(number))
    history = [
        (row["seen_on"], row["listens_count"], row["is_available"])
        for row in made.rows(made.edition_of(layout), "history")
    ]
    assert history == [(_day(0), 3, True), (_day(3), None, False), (_day(4), None, True)]


def test_count_of_a_list_of_listens_does_not_say_that_the_track_was_there(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [_song("x"), made.listens([("x", 7, "2025-12-24")])])
    (row,) = made.rows(made.edition_of(layout), "history")
    assert (row["listens_count"], row["is_available"]) == (7, None)


def test_tombstone_that_is_given_out_names_no_path_of_a_source():
    row = {"source": "shelf", "own_id": "a/old.flac", "successor_id": "a/new.flac"}
    table = pa.Table.from_pylist([row, {**row, "successor_id": None}])
    given_out = public_table("tombstone", table, speaking=set()).to_pylist()
    assert all(one["own_id"].startswith("key:") for one in given_out)
    assert given_out[0]["successor_id"].startswith("key:")
    assert given_out[1]["successor_id"] is None
    assert public_table("tombstone", table, speaking={"shelf"}).to_pylist()[0] == row

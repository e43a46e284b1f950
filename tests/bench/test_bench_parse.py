"""Pages of a generated source, also hostile ones: what cannot be is a problem, and nothing is made up."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.changes import after
from tenuto.bench.pages import artist_pages, release_pages, track_pages
from tenuto.model.answers import Answer, Request
from tenuto.model.records import ArtistSeen, CountSeen, CreditSeen, ProblemSeen, ReleaseSeen, TrackSeen
from tenuto.sources import check_options, parse
from tenuto.sources.generated.patient import odd_records

ID = "2X9HaJz0iVbARut2lRaEgo"


def seen(document: Any, key: str = "tracks?offset=0") -> list[Any]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return list(
        parse("generated", Answer(Request(key), body, "application/json", datetime(2026, 1, 31, tzinfo=UTC), 200))
    )


def of(kind: type, found: list[Any]) -> list[Any]:
    return [item for item in found if isinstance(item, kind)]


def test_a_track_is_read_whole() -> None:
    track = {"id": ID, "title": "A", "isrc": "QM61Y2345836", "duration_ms": 1, "explicit": False, "popularity": 100, "listens": 0,
             "disc_number": 1, "track_number": 2, "release_id": "r",
             "credits": [{"artist_id": "a", "role": "artist"}, {"artist_id": "b"}], "languages": ["es"], "markets": 0}  # fmt: skip
    assert seen({"total": 5, "tracks": [track], "market_sets": [["DE"]]}) == [
        TrackSeen(track_id=ID, title="A", isrc="QM61Y2345836", duration_ms=1, is_explicit=False, popularity=100, listens_count=0,
                  listens_scope="service", disc_number=1, track_number=2, release_id="r", languages=("es",),
                  credits=(CreditSeen(artist_id="a"), CreditSeen(artist_id="b"))),
        CountSeen(what="track", of="total", count=5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("date", "precision", "known"),
    [
        ("2019-03-02", "day", "2019-03-02"),
        ("2019-03-02", "month", "2019-03"),
        ("2019-03-02", "year", "2019"),
        ("2019", "day", "2019"),
        ("2019", None, "2019"),
        ("2019-03-02", "week", "2019-03-02"),
        ("0000", "year", None),
    ],
)
def test_of_a_date_only_what_is_known_is_kept(date: str, precision: str | None, known: str | None) -> None:
    found = seen(
        {"releases": [{"id": "r", "release_date": date, "release_date_precision": precision}]}, "releases?offset=0"
    )
    assert of(ReleaseSeen, found)[0].release_date == known
    assert bool(of(ProblemSeen, found)) == (precision == "week" or known is None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("isrc", "12"), ("isrc", 5), ("duration_ms", -1), ("duration_ms", 0), ("duration_ms", 10**30), ("duration_ms", 1.5),
        ("popularity", 101), ("popularity", -1), ("popularity", True), ("listens", -3), ("listens", 2**60), ("explicit", "no"),
        ("title", ["x"]), ("title", {}), ("track_number", 10**6), ("disc_number", "two"), ("release_id", {}), ("release_id", "  "),
        ("credits", {"a": 1}), ("credits", [5]), ("credits", [{"role": "x"}]), ("credits", [{"artist_id": " "}]),
        ("languages", "es"), ("languages", [None]), ("languages", [" "]),
    ],
)  # fmt: skip
def test_an_odd_value_is_a_problem_and_the_rest_of_the_page_is_kept(field: str, value: Any) -> None:
    page = {"tracks": [{"id": "x", "title": "T", field: value}, {"id": "y", "title": "U", "popularity": 3}]}
    found = seen(page)
    tracks = of(TrackSeen, found)
    assert [track.track_id for track in tracks] == ["x", "y"]
    assert tracks[1].popularity == 3
    [problem] = of(ProblemSeen, found)
    assert (problem.code, problem.subject) == ("value-odd", "x")
    name = {"explicit": "is_explicit", "listens": "listens_count"}.get(field, field)
    assert getattr(tracks[0], name) in (None, ())


@pytest.mark.parametrize("identity", [None, "", "  ", {}, [], True])
def test_a_record_without_an_id_is_left_out(identity: Any) -> None:
    for key in ("artists", "releases", "tracks"):
        found = seen({key: [{"id": identity, "title": "T", "name": "N"}, {"id": "y"}]})
        assert len(found) == 2
        assert [problem.code for problem in of(ProblemSeen, found)] == ["record-invalid"]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"5", b'{"tracks": 5}', b'{"tracks": {"a": 1}}', b"[" * 100_000, b'{"tracks": [' + b'{"a":' * 50_000,
     b"\xff\xfe", b'{"tracks": [{"id": "a"'],
)  # fmt: skip
def test_a_page_that_is_none_is_one_problem(body: bytes) -> None:
    found = seen(body)
    assert [problem.code for problem in found] == ["answer-invalid"]


def test_broken_characters_do_not_lose_the_record() -> None:
    found = seen(b'{"tracks": [{"id": "a", "title": "x\xff\\ud800y\x00"}]}')
    assert [track.track_id for track in of(TrackSeen, found)] == ["a"]


def test_a_blank_title_is_none() -> None:
    assert [track.title for track in seen({"tracks": [{"id": "a", "title": " "}, {"id": "b", "title": ""}]})] == [
        None,
        None,
    ]


def test_records_that_are_no_objects_are_problems() -> None:
    found = seen({"artists": [None, 5, "x", [], {"id": "a", "name": 7}]})
    assert of(ArtistSeen, found) == [ArtistSeen(artist_id="a", name="7")]
    assert len(of(ProblemSeen, found)) == 4


KEYS = st.sampled_from(["id", "artist_id", "x"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["id", "title", "isrc", "duration_ms", "explicit", "popularity", "listens", "credits", "languages", "release_id", "upc",
          "release_date", "release_date_precision", "genres", "artist_ids", "tracks_count", "name"]  # fmt: skip


RECORDS = st.lists(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=5), max_size=3)
LISTS = st.sampled_from(["artists", "releases", "tracks", "total"])


@given(st.dictionaries(LISTS, ANY | RECORDS, max_size=3))
def test_no_page_raises(document: Any) -> None:
    seen(document)


def test_both_ways_of_reading_agree() -> None:
    catalogue = Catalogue(2, 600)
    order = catalogue.order(0)
    tracks = catalogue.track_columns(0, order)
    releases = catalogue.release_columns(0, order, tracks.popularity)
    now = after(catalogue.dice, (), tracks)
    pages = [
        *artist_pages(catalogue.artist_columns(0, catalogue.artists), catalogue.artists),
        *release_pages(catalogue, releases, range(catalogue.releases), 0, catalogue.releases),
        *track_pages(catalogue, tracks, now, releases.ids, range(600), 0, 600),
    ]
    for key, body in pages:
        assert seen(body, key) == list(odd_records(body))
        assert not of(ProblemSeen, seen(body, key))


def test_its_options_are_checked() -> None:
    assert check_options("generated", "made up", {"seed": 1, "tracks": 5}) == ()
    assert len(check_options("generated", "made up", {"seed": -1})) == 2

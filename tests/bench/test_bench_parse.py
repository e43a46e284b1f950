"""Pages of a generated source, also hostile ones: what cannot be is a problem, and nothing is made up."""

import hashlib
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
from tenuto.model.columns import Columns, as_columns, as_records
from tenuto.model.records import ArtistSeen, CountSeen, CreditSeen, MarketSetSeen, ProblemSeen, ReleaseSeen, TrackSeen
from tenuto.sources import check_options, parse, parse_columns
from tenuto.sources.generated.patient import odd_columns

ID = "2X9HaJz0iVbARut2lRaEgo"
GERMANY = MarketSetSeen(market_set_id=int(hashlib.sha256(b"DE").hexdigest()[:16], 16), markets="DE")


def columns(document: Any, key: str = "tracks?offset=0") -> list[Columns]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = Answer(Request(key), body, "application/json", datetime(2026, 1, 31, tzinfo=UTC), 200)
    found = list(parse_columns("generated", answer))
    assert list(parse("generated", answer)) == [item for one in found for item in as_records(one)]
    return found


def seen(document: Any, key: str = "tracks?offset=0") -> list[Any]:
    return [item for one in columns(document, key) for item in as_records(one)]


def of(kind: type, found: list[Any]) -> list[Any]:
    return [item for item in found if isinstance(item, kind)]


def test_a_track_is_read_whole() -> None:
    track = {"id": ID, "title": "A", "isrc": "QM61Y2345836", "duration_ms": 1, "explicit": False, "popularity": 100, "listens": 0,
             "disc_number": 1, "track_number": 2, "release_id": "r",
             "credits": [{"artist_id": "a", "role": "artist"}, {"artist_id": "b"}], "languages": ["es"], "markets": 0}  # fmt: skip
    assert seen({"total": 5, "tracks": [track], "market_sets": [["DE"]]}) == [
        GERMANY,
        TrackSeen(track_id=ID, title="A", isrc="QM61Y2345836", duration_ms=1, is_explicit=False, popularity=100, listens_count=0,
                  listens_scope="service", disc_number=1, track_number=2, release_id="r", languages=("es",),
                  market_set_id=GERMANY.market_set_id,
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
        ("languages", "es"), ("languages", [None]), ("languages", [" "]), ("title", "  "), ("markets", 0), ("markets", -1),
        ("markets", "x"), ("markets", True), ("markets", [0]), ("markets", 10**30), ("isrc", "DEAB1234567é"),
        ("isrc", "DEAB1234567"), ("isrc", "DE--AB123456"), ("isrc", "D1AB12345678"),
        ("isrc", "DEAB1234567X"), ("isrc", "DEaé12345678"),
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
    name = {"explicit": "is_explicit", "listens": "listens_count", "markets": "market_set_id"}.get(field, field)
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
    found = seen({"tracks": [{"id": "a", "title": " "}, {"id": "b", "title": ""}]})
    assert [track.title for track in of(TrackSeen, found)] == [None, None]
    assert [problem.subject for problem in of(ProblemSeen, found)] == ["a"]


def test_records_that_are_no_objects_are_problems() -> None:
    found = seen({"artists": [None, 5, "x", [], {"id": "a", "name": 7}]})
    assert of(ArtistSeen, found) == [ArtistSeen(artist_id="a", name="7")]
    assert len(of(ProblemSeen, found)) == 4


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (["US", "DE", "DE"], "DE US"),
        (["de"], "DE"),
        ([], ""),
        (["XX" for _ in range(600)], "XX"),
        (["DE", 5], None), (["DE", "DEU"], None), (["ÄÖ"], None), (["DE "], None), ("DE", None), ({"DE": 1}, None), (5, None),
        (["DE"] * 10_000, None), (["D" * 5_000], None), (None, None), ([["DE"]], None),
    ],
)  # fmt: skip
def test_a_set_of_markets_is_taken_whole_or_not_at_all(given: Any, known: str | None) -> None:
    tracks = [{"id": "a", "markets": 1}, {"id": "b", "markets": 0}, {"id": "c"}]
    found = seen({"tracks": tracks, "market_sets": [["DE"], given]})
    markets = {one.market_set_id: one.markets for one in of(MarketSetSeen, found)}
    assert [markets.get(track.market_set_id) for track in of(TrackSeen, found)] == [known, "DE", None]
    assert [problem.subject for problem in of(ProblemSeen, found)] == ([] if known is not None else ["page"])


@pytest.mark.parametrize("given", [5, "DE", {"0": ["DE"]}, [["DE"]] * 3])
def test_sets_of_markets_that_are_none_or_named_by_nobody_lose_no_track(given: Any) -> None:
    found = seen({"tracks": [{"id": "a"}, {"id": "b", "markets": 7}], "market_sets": given})
    assert [track.market_set_id for track in of(TrackSeen, found)] == [None, None]
    assert [problem.subject for problem in of(ProblemSeen, found)] == (
        ["b"] if isinstance(given, list) else ["b", "page"]
    )


KEYS = st.sampled_from(["id", "artist_id", "x"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["id", "title", "isrc", "duration_ms", "explicit", "popularity", "listens", "credits", "languages", "release_id", "upc",
          "release_date", "release_date_precision", "genres", "artist_ids", "tracks_count", "name", "markets"]  # fmt: skip


RECORDS = st.lists(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=5), max_size=3)
LISTS = st.sampled_from(["artists", "releases", "tracks", "total", "market_sets"])


@given(st.dictionaries(LISTS, ANY | RECORDS, max_size=3))
def test_no_page_raises(document: Any) -> None:
    seen(document)


WELL = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "é", "x y"])},
    optional={
        "title": st.text(min_size=1, max_size=3).filter(str.strip), "isrc": st.just("DEAB12345678"), "upc": st.just("12345678"),
        "credits": st.lists(st.fixed_dictionaries({"artist_id": st.just("p")}, optional={"role": st.just("q")}), max_size=3),
        "release_date": st.sampled_from(["2019", "2019-03", "2019-03-31"]), "languages": st.lists(st.just("es"), max_size=2),
        "release_date_precision": st.sampled_from(["year", "month", "day"]), "listens": st.integers(0, 2**53),
        "popularity": st.integers(0, 100), "genres": st.lists(st.just("g"), max_size=2), "markets": st.integers(0, 1),
        "explicit": st.booleans(), "duration_ms": st.integers(1, 10**6),
    },
)  # fmt: skip


@given(st.fixed_dictionaries({name: st.lists(WELL, max_size=3) for name in ("artists", "releases", "tracks")}))
def test_a_page_reads_the_same_both_ways(lists: Any) -> None:
    body = json.dumps({"total": 3, "market_sets": [["US", "DE"], []], **lists}).encode()
    assert columns(body) == list(odd_columns(body))


RELEASED = st.builds(
    ReleaseSeen,
    release_id=st.text(max_size=2),
    title=st.none() | st.text(max_size=2),
    genres=st.lists(st.text(), max_size=2).map(tuple),
)
CREDITED = st.builds(CreditSeen, artist_id=st.text(max_size=2), role=st.text(max_size=2))
TRACKED = st.builds(TrackSeen, track_id=st.text(max_size=2), popularity=st.none() | st.integers(0, 9),
                    credits=st.lists(CREDITED, max_size=2).map(tuple))  # fmt: skip


@given(st.lists(RELEASED | TRACKED, max_size=5))
def test_columns_hold_all_that_records_say(records: list[Any]) -> None:
    assert [item for one in as_columns(records) for item in as_records(one)] == records


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
        assert columns(body, key) == list(odd_columns(body))
        assert not of(ProblemSeen, seen(body, key))


def test_its_options_are_checked() -> None:
    assert check_options("generated", "made up", {"seed": 1, "tracks": 5}) == ()
    assert len(check_options("generated", "made up", {"seed": -1})) == 2

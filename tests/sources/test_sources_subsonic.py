"""OpenSubsonic: what saved pages mean, what follows from them, and which errors mean what."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lying_server import API_KEY, PASSWORD, USER, LyingServer, subsonic_error
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import RetriableError, SettingsError, SkipRecordError, SourceRefusedError
from tenuto.model.records import (
    ArtistSeen,
    CountSeen,
    CreditSeen,
    OfferSeen,
    ProblemSeen,
    RankSeen,
    ReleaseSeen,
    Seen,
    TrackSeen,
)
from tenuto.sources import parse
from tenuto.sources.credentials import Credentials
from tenuto.sources.http import Http
from tenuto.sources.subsonic import Options, Subsonic
from tenuto.sources.subsonic.connector import USER_FIELDS
from tenuto.sources.subsonic.replies import WORDS

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NOWHERE = Http("tenuto/test", 1)
GIVEN = Credentials(USER, PASSWORD)

# A song as OpenSubsonic's documentation shows it (opensubsonic.netlify.app, "Child"), all its fields given.
SONG = {
    "id": "ce2f",
    "parent": "e8a0",
    "isDir": False,
    "title": "Polly",
    "sortName": "polly",
    "album": "MTV",
    "artist": "Nirvana, Meat Puppets",
    "track": 7,
    "year": 1994,
    "genre": "Rock",
    "coverArt": "mf-1",
    "size": 7_654_321,
    "contentType": "audio/flac",
    "suffix": "flac",
    "duration": 196,
    "bitRate": 880,
    "bitDepth": 16,
    "samplingRate": 44_100,
    "channelCount": 2,
    "path": "Nirvana/MTV/07 Polly.flac",
    "isVideo": False,
    "playCount": 12,
    "discNumber": 1,
    "created": "2026-01-01T00:00:00Z",
    "albumId": "e8a0",
    "artistId": "ar-1",
    "type": "music",
    "mediaType": "song",
    "bpm": 120,
    "comment": "live",
    "musicBrainzId": "8B882575-08a5-4452-a7a7-cbb8a1531f9e",
    "isrc": ["", "us-rc1-76-07839", "DEA123456789"],
    "genres": [{"name": "Rock"}, {"name": "Grunge"}],
    "artists": [{"id": "ar-1", "name": "Nirvana"}, {"id": "ar-2", "name": "Meat Puppets"}],
    "displayArtist": "Nirvana & Meat Puppets",
    "contributors": [
        {"role": "composer", "artist": {"id": "ar-3", "name": "K. Cobain"}},
        {"role": "performer", "subRole": "cello", "artist": {"id": "ar-4", "name": "L. Goldston"}},
    ],
    "moods": ["calm"],
    "explicitStatus": "clean",
    "replayGain": {
        "trackGain": -6.5,
        "albumGain": -7,
        "trackPeak": 0.98,
        "albumPeak": 1,
        "baseGain": 0,
        "fallbackGain": 0,
    },
}
ALBUM = {
    "id": "e8a0",
    "name": "MTV",
    "artist": "Nirvana",
    "artistId": "ar-1",
    "songCount": 1,
    "duration": 196,
    "created": "2026",
    "year": 1993,
    "genre": "Rock",
    "recordLabels": [{"name": "DGC"}],
    "releaseTypes": ["Album", "Live"],
    "musicBrainzId": "nonsense",
    "artists": [{"id": "ar-1", "name": "Nirvana"}],
    "releaseDate": {"year": 1994, "month": 11},
    "originalReleaseDate": {"year": 1993},
    "song": [SONG],
}


def reply(call: str, content: Any, query: str = "f=json", status: int = 200, **envelope: Any) -> Answer:
    document = {
        "subsonic-response": {
            "status": "ok",
            "version": "1.16.1",
            **(content if isinstance(content, dict) else {}),
            **envelope,
        }
    }
    body = content if isinstance(content, bytes) else json.dumps(document).encode()
    return Answer(
        Request(f"{call}?{query}", f"http://h/rest/{call}.view?{query}"), body, "application/json", NOW, status
    )


def seen(call: str, content: Any, query: str = "f=json") -> list[Seen]:
    return list(parse("subsonic", reply(call, content, query)))


def source(**more: Any) -> Subsonic:
    return Subsonic("shop", "http://h", Options(**more), GIVEN, NOWHERE)


def of(kind: type, items: list[Seen]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def test_a_full_song_is_read_whole() -> None:
    found = seen("search3", {"searchResult3": {"song": [SONG]}})
    assert of(TrackSeen, found) == [
        TrackSeen(
            track_id="ce2f",
            title="Polly",
            release_id="e8a0",
            disc_number=1,
            track_number=7,
            duration_ms=196_000,
            is_explicit=False,
            isrc="USRC17607839",
            recording_id_musicbrainz="8b882575-08a5-4452-a7a7-cbb8a1531f9e",
            listens_count=12,
            listens_scope="user",
            genres=("Rock", "Grunge"),
            credits=(
                CreditSeen(artist_id="ar-1"),
                CreditSeen(artist_id="ar-2"),
                CreditSeen(artist_id="ar-3", role="composer"),
                CreditSeen(artist_id="ar-4", role="performer"),
            ),
            offer=OfferSeen(
                fetch_id="ce2f",
                path="Nirvana/MTV/07 Polly.flac",
                bytes=7_654_321,
                mime="audio/flac",
                codec="flac",
                bit_rate_bps=880_000,
                sample_rate_hz=44_100,
                channels_count=2,
                is_lossless=True,
            ),
        )
    ]
    assert {(a.artist_id, a.name) for a in of(ArtistSeen, found)} == {
        ("ar-1", "Nirvana"),
        ("ar-2", "Meat Puppets"),
        ("ar-3", "K. Cobain"),
        ("ar-4", "L. Goldston"),
    }
    assert of(ProblemSeen, found) == []


def test_a_full_album_is_read_with_the_date_as_far_as_it_is_known() -> None:
    found = seen("getAlbum", {"album": ALBUM})
    [release] = of(ReleaseSeen, found)
    assert (release.title, release.release_type, release.label, release.release_date) == (
        "MTV",
        "Album, Live",
        "DGC",
        "1994-11",
    )
    assert (release.tracks_count, release.artist_ids, release.release_id_musicbrainz) == (1, ("ar-1",), None)
    assert of(CountSeen, found) == [CountSeen(what="track", of="album e8a0", count=1)]
    assert [problem.message for problem in of(ProblemSeen, found)] == ["musicBrainzId is 'nonsense', which cannot be"]
    assert len(of(TrackSeen, found)) == 1


def test_an_old_server_without_open_subsonic_fields_is_read_too() -> None:
    song = {
        "id": 7,
        "title": "A",
        "artist": "X",
        "artistId": 3,
        "albumId": 9,
        "duration": "61",
        "suffix": "MP3",
        "track": "2",
        "year": 0,
    }
    found = seen("search3", {"searchResult3": {"song": song}})
    [track] = of(TrackSeen, found)
    assert (track.track_id, track.release_id, track.duration_ms, track.track_number) == ("7", "9", 61_000, 2)
    assert track.credits == (CreditSeen(artist_id="3"),)
    assert (track.offer.codec, track.offer.is_lossless, track.listens_count, track.listens_scope) == (
        "mp3",
        False,
        None,
        None,
    )


def test_the_frequent_list_gives_ranks_and_never_counts() -> None:
    found = seen(
        "getAlbumList2",
        {"albumList2": {"album": [ALBUM, {"id": "b"}, {"name": "no id"}]}},
        "type=frequent&size=2&offset=500&f=json",
    )
    assert found == [RankSeen(listens_rank=501, release_id="e8a0"), RankSeen(listens_rank=502, release_id="b")]


@pytest.mark.parametrize(
    "call", ["getArtists", "getArtist", "getAlbum", "getAlbumList2", "search3", "getScanStatus", "ping"]
)
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"artists": None, "album": [], "searchResult3": 7, "albumList2": "", "scanStatus": None, "artist": []},
        b"",
        b"null",
        b"[]",
        b'{"subsonic-response":[]}',
        b"\xff",
        b'{"subsonic-response"',
    ],
)
def test_an_empty_or_broken_page_is_no_exception(call: str, content: Any) -> None:
    assert of(TrackSeen, seen(call, content, "type=x&offset=0&songOffset=0&f=json")) == []
    assert list(source().follow(reply(call, content, "type=x&offset=0&songOffset=0&f=json"))) == []


def test_a_record_without_an_id_is_a_problem_and_the_next_is_read() -> None:
    songs = [{"title": "no id"}, {"id": "", "title": "blank"}, {"id": None}, {"id": ["x"]}, 7, None, {"id": "good"}]
    found = seen("search3", {"searchResult3": {"song": songs}})
    assert [track.track_id for track in of(TrackSeen, found)] == ["good"]
    assert [problem.code for problem in of(ProblemSeen, found)] == ["record-invalid"] * 4


def test_folders_and_videos_are_no_tracks() -> None:
    assert (
        seen("search3", {"searchResult3": {"song": [{"id": "1", "isDir": True}, {"id": "2", "isVideo": True}]}}) == []
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(WORDS)), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(SONG)), JSON),
    st.sampled_from(["search3", "getAlbum", "getArtist", "getArtists", "getAlbumList2"]),
)
def test_no_song_whatever_its_values_makes_the_reader_or_what_follows_raise(values: dict[str, Any], call: str) -> None:
    item = {**ALBUM, **values, "song": [{**SONG, **values}], "album": [values]}
    content = {
        "searchResult3": item,
        "album": item,
        "artist": item,
        "albumList2": item,
        "artists": {"index": [{"artist": [values]}]},
    }
    answer = reply(call, content, "type=frequent&offset=0&songOffset=0&f=json")
    assert all(
        track.duration_ms is None or track.duration_ms > 0 for track in of(TrackSeen, list(parse("subsonic", answer)))
    )
    assert all(request.key.isascii() for request in source().follow(answer))


def test_following_leads_to_every_album_artist_and_next_page() -> None:
    def keys(call: str, content: Any, query: str) -> list[str]:
        return [request.key for request in source().follow(reply(call, content, query))]

    page = "type=alphabeticalByName&size=500&offset=500&f=json"
    assert keys("getAlbumList2", {"albumList2": {"album": [{"id": "a"}, {"id": 7}]}}, page) == [
        "getAlbum?id=a&f=json",
        "getAlbum?id=7&f=json",
        "getAlbumList2?type=alphabeticalByName&size=500&offset=502&f=json",
    ]
    assert keys("getAlbumList2", {"albumList2": {"album": []}}, page) == []
    search = "query=&songCount=500&songOffset=3&albumCount=0&artistCount=0&f=json"
    assert keys("search3", {"searchResult3": {"song": [{"id": "s", "albumId": "a b&c"}]}}, search) == [
        "getAlbum?id=a+b%26c&f=json",
        "search3?query=&songCount=500&songOffset=4&albumCount=0&artistCount=0&f=json",
    ]
    artists = {
        "artists": {
            "index": [{"artist": [{"id": "x"}, {"name": "none"}, {"id": None}, {"id": []}]}, {"artist": {"id": 3}}]
        }
    }
    assert keys("getArtists", artists, "f=json") == ["getArtist?id=x&f=json", "getArtist?id=3&f=json"]


# What an answer means


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ({"code": 0}, RetriableError),
        ({"code": "0"}, RetriableError),
        ({"code": 20}, SourceRefusedError),
        ({"code": 30}, SourceRefusedError),
        ({"code": 40, "message": "Wrong username or password"}, SourceRefusedError),
        ({"code": "40"}, SourceRefusedError),
        ({"code": 41}, SourceRefusedError),
        ({"code": 44}, SourceRefusedError),
        ({"code": 60}, SourceRefusedError),
        ({"code": 10}, SkipRecordError),
        ({"code": 50}, SkipRecordError),
        ({"code": 70}, SkipRecordError),
        ({"code": 999}, SkipRecordError),
        ({"code": None}, SkipRecordError),
        ({"code": []}, SkipRecordError),
        ({"code": {}}, SkipRecordError),
        (None, SkipRecordError),
        ("text", SkipRecordError),
        ([], SkipRecordError),
    ],
)
def test_an_error_inside_a_success_is_an_error(error: Any, raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught:
        source().check(reply("getAlbum", {"error": error, "status": "failed"}))
    if raised is SourceRefusedError:
        assert "TENUTO_SHOP_PASSWORD" in str(caught.value)


def test_only_what_the_service_says_it_does_not_have_is_gone() -> None:
    for code, is_gone in ((70, True), (50, False), (10, False)):
        with pytest.raises(SkipRecordError) as caught:
            source().check(reply("getAlbum", {"error": {"code": code}, "status": "failed"}))
        assert caught.value.is_gone is is_gone


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"subsonic-response":7}', b"[1]", b'{"subsonic-response":{"status":"ok"']
)
def test_an_answer_that_is_no_reply_may_be_asked_again(body: bytes) -> None:
    with pytest.raises(RetriableError, match="not with a Subsonic reply"):
        source().check(reply("getAlbum", body))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_http_says_what_to_set(status: int) -> None:
    with pytest.raises(SourceRefusedError, match="TENUTO_SHOP_USER"):
        source().check(reply("getAlbum", {}, status=status))


def test_a_count_that_plain_users_may_not_see_is_no_fault_but_a_server_in_need_is() -> None:
    source().check(reply("getScanStatus", {"status": "failed", "error": {"code": 50}}))
    source().check(reply("getScanStatus", b"<html>", status=404))
    with pytest.raises(RetriableError):
        source().check(reply("getScanStatus", b"", status=503))


# Logins


def logged_in(server: LyingServer, given: Credentials, **options: Any) -> tuple[Subsonic, Http]:
    http = Http("tenuto/test", 2)
    return Subsonic("shop", server.url, Options(**options), given, http), http


@pytest.mark.parametrize(
    ("service", "option", "given", "ways"),
    [
        ("token", "auto", GIVEN, ["t"]),
        ("password", "auto", GIVEN, ["t", "p"]),
        ("enc", "auto", GIVEN, ["t", "p"]),
        ("api_key", "auto", Credentials(api_key=API_KEY), ["apiKey"]),
        ("token", "token", GIVEN, ["t"]),
        ("password", "password", GIVEN, ["p"]),
        ("api_key", "api_key", Credentials(USER, PASSWORD, API_KEY), ["apiKey"]),
    ],
)
def test_the_login_that_the_service_takes_is_found_and_kept_to(
    service: str, option: str, given: Credentials, ways: list[str]
) -> None:
    with LyingServer(login=service) as server:
        one, http = logged_in(server, given, login=option)
        greeting, *rest = one.first()
        for request in (greeting, *rest):
            one.check(one.fetch(request))
        http.close()
        sent = [next(name for name in ("t", "p", "apiKey") if name in asked.query) for asked in server.log]
        assert sent == [*ways, *[ways[-1]] * len(rest)]
        assert all("s" in asked.query for asked in server.log if "t" in asked.query)
        assert not any("u" in asked.query for asked in server.log if "apiKey" in asked.query)
        assert all(asked.query["v"] == "1.16.1" and asked.query["c"].startswith("tenuto-") for asked in server.log)


def test_a_login_that_was_taken_once_is_not_given_up_for_one_that_tells_more() -> None:
    with LyingServer(login="token") as server:
        one, http = logged_in(server, GIVEN)
        greeting, *rest = one.first()
        one.fetch(greeting)
        server.lie(subsonic_error(10))
        for request in rest:
            one.fetch(request)
        http.close()
        assert not any("p" in asked.query for asked in server.log)


def test_every_secret_that_is_sent_is_known_to_be_cut() -> None:
    for login, way in ((GIVEN, "password"), (Credentials(api_key=API_KEY), "api_key")):
        with LyingServer(login=way) as server:
            one, http = logged_in(server, login)
            one.fetch(next(iter(one.first())))
            http.close()
            assert server.secrets_sent() <= set(one.secrets)
            assert USER not in one.secrets


def test_the_salt_is_new_each_time() -> None:
    assert len({secret for _ in range(20) for secret in source().secrets if len(secret) == 16}) >= 20


def test_fields_of_the_user_are_no_words_of_the_service() -> None:
    assert not USER_FIELDS & WORDS


@pytest.mark.parametrize("location", ["", "h", "ftp://h", "http://", "/a/b", "http://[::1"])
def test_a_location_that_is_no_address_is_an_error_of_the_settings(location: str) -> None:
    with pytest.raises(SettingsError, match="no address"):
        Subsonic("shop", location, Options(), GIVEN, NOWHERE)


@pytest.mark.parametrize("given", [Credentials(), Credentials("u", ""), Credentials("", "p")])
def test_half_a_login_is_none(given: Credentials) -> None:
    with pytest.raises(SettingsError, match="TENUTO_SHOP_USER"):
        Subsonic("shop", "http://h", Options(), given, NOWHERE)
    assert PASSWORD not in repr(GIVEN)


@pytest.mark.parametrize("location", ["http://h", "http://h/", "http://h/rest", "http://h/rest/"])
def test_an_address_is_the_same_however_it_is_written(location: str) -> None:
    one = Subsonic("shop", location, Options(), GIVEN, NOWHERE)
    assert next(iter(one.first())).uri == "http://h/rest/ping.view?f=json"
    assert one.robots == Request("robots.txt", "http://h/robots.txt")


def test_an_artist_without_an_id_is_credited_by_name() -> None:
    items = seen("search3", {"searchResult3": {"song": [{"id": "1", "title": "A", "artist": "Björk"}]}})
    [track] = of(TrackSeen, items)
    assert [credit.artist_id for credit in track.credits] == ["name:björk"]
    assert [artist.name for artist in of(ArtistSeen, items)] == ["Björk"]


@pytest.mark.parametrize("code", [0, 10, 70])
def test_a_list_that_is_only_a_second_way_may_be_missing(code: int) -> None:
    failed = {"status": "failed", "error": {"code": code, "message": "no such thing"}}
    body = json.dumps({"subsonic-response": failed}).encode()
    extra = ("getAlbumList2?type=frequent&size=500&offset=0&f=json", "search3?query=&songCount=500&songOffset=0&f=json")
    for key in extra:
        source().check(Answer(Request(key), body, "application/json", datetime.now(UTC), 200))
    with pytest.raises((RetriableError, SkipRecordError)):
        source().check(Answer(Request("getAlbum?id=1&f=json"), body, "application/json", datetime.now(UTC), 200))


def test_the_password_itself_is_tried_unasked_only_where_nobody_listens_in() -> None:
    for address, ways in (("http://music.example", 1), ("https://music.example", 2), ("http://127.0.0.1:4040", 2)):
        with_login = Subsonic("s", address, Options(), Credentials("me", "sesame"), Http("tests", 1.0))
        assert len(with_login._logins) == ways, address

"""A service that fails, lies or goes away in mid-harvest: what was answered is kept, and nobody is asked twice."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lying_server as lying
from harvesting import (
    KEY_LOGIN,
    NAME,
    answers,
    codes,
    evidence_set,
    folders,
    leaks,
    manifest_of,
    run,
    shop,
)
from lying_server import API_KEY, PASSWORD, LyingServer
from tenuto.model.answers import FAILED, MISSING, OK

Undisturbed = Callable[..., set[tuple[str, str, str]]]

MAY_COME_TWICE = {"robots.txt", "ping?f=json"}
"""The rules are read at the start of every run, and the greeting tells whether a source that failed is still there."""


@pytest.fixture(autouse=True)
def _no_secret_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever a test here does to a harvest, afterwards no file of the archive and nothing printed holds a login."""
    servers: list[LyingServer] = []
    enter = LyingServer.__enter__

    def noting(server: LyingServer) -> LyingServer:
        servers.append(server)
        return enter(server)

    monkeypatch.setattr(LyingServer, "__enter__", noting)
    yield
    printed = capfd.readouterr()
    sent = set().union(*(server.secrets_sent() for server in servers))
    assert sent, "no login was ever sent, so this test shows nothing"
    for root in tmp_path.rglob("archive"):
        assert leaks(root, {PASSWORD, API_KEY} | sent, printed.out, printed.err) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The evidence of a harvest of the same catalogue that nobody disturbed; each is made once."""
    made: dict[str, set[tuple[str, str, str]]] = {}

    def evidence(**server: object) -> set[tuple[str, str, str]]:
        if repr(server) not in made:
            with LyingServer(**server) as quiet:  # type: ignore[arg-type]
                layout = shop(tmp_path_factory.mktemp("quiet"), quiet)
                assert run(layout) == 0
                made[repr(server)] = evidence_set(folders(layout)[-1])
        return made[repr(server)]

    return evidence


def asked_twice(server: LyingServer) -> set[str]:
    """What was answered to the last byte more than once."""
    return {key for key, count in Counter(server.requests(answered=True)).items() if count > 1} - MAY_COME_TWICE


def test_an_undisturbed_harvest_keeps_every_answer_once(tmp_path: Path) -> None:
    with LyingServer(albums=7, songs=3, page_max=2) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        manifest = manifest_of(layout)
        assert manifest.findings == ()
        assert manifest.reconciled[0].found == 21
        assert set(manifest.reconciled[0].said.values()) == {21}
        assert set(answers(folders(layout)[0])) == set(server.requests())
        assert len(server.requests()) == len(set(server.requests()))


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 9, 14])
def test_a_harvest_goes_on_after_the_source_was_down_and_asks_for_nothing_twice(
    tmp_path: Path, undisturbed: Undisturbed, after: int, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = undisturbed(albums=5, songs=2, page_max=2)
    with LyingServer(albums=5, songs=2, page_max=2) as server:
        layout = shop(tmp_path, server)
        server.go_down(after=after)
        assert run(layout) == 5
        assert "again to go on" in capfd.readouterr().err
        assert not list(layout.harvests(NAME).glob("*/harvest.json"))
        server.come_back()
        if after == 0:  # so that a login was sent at all
            run(layout)
        assert run(layout) == 0
        assert len(folders(layout)) == (2 if after == 0 else 1)
        assert evidence_set(folders(layout)[0]) == whole
        if after:
            assert asked_twice(server) == set()


def test_a_harvest_comes_to_its_end_however_often_the_source_goes_down(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    whole = undisturbed(albums=3, songs=1, page_max=2)
    with LyingServer(albums=3, songs=1, page_max=2) as server:
        layout = shop(tmp_path, server)
        ends = []
        while not ends or ends[-1] == 5:
            server.come_back()
            server.go_down(after=3)
            ends.append(run(layout))
            assert len(ends) < 30
        assert ends[-1] == 0
        assert len(ends) > 4
        assert evidence_set(folders(layout)[0]) == whole
        assert asked_twice(server) == set()


def test_a_source_that_is_down_for_a_moment_costs_a_retry_and_nothing_else(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    whole = undisturbed()
    with LyingServer() as server:
        for trick in (lying.drop, lying.truncate, lying.answer(503), lying.answer(500), lying.stall(0.7)):
            server.lie(trick, times=1)
        server.lie(lying.subsonic_error(0), call="ping", times=2)
        server.lie(lying.html_page, call="getAlbum", times=3)
        layout = shop(tmp_path, server, politeness={"tries": 9, "timeout_s": 0.4})
        assert run(layout) == 0
        assert evidence_set(folders(layout)[0]) == whole
        assert manifest_of(layout).findings == ()


def test_a_request_that_failed_all_its_tries_is_asked_once_more_at_the_end(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    whole = undisturbed()
    with LyingServer() as server:
        server.lie(lying.answer(500), call="getAlbum", own_id="al-0002", times=2)  # as many as the tries of one round
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        assert evidence_set(folders(layout)[0]) == whole


@pytest.mark.parametrize(
    ("trick", "outcome"),
    [
        (lying.answer(500, b"boom"), FAILED),
        (lying.html_page, FAILED),
        (lying.drop, FAILED),
        (lying.truncate, FAILED),
        (lying.stall(0.2), FAILED),
        (lying.subsonic_error(0), FAILED),
        (lying.answer(404), MISSING),
        (lying.subsonic_error(70), MISSING),
        (lying.subsonic_error("70"), MISSING),
        (lying.subsonic_error(50), FAILED),
        (lying.subsonic_error([]), FAILED),
        (lying.subsonic_error({"a": 1}), FAILED),
        (lying.answer(403), FAILED),
        (lying.subsonic_error(40), FAILED),
        (lying.redirect("http://elsewhere.invalid/?{login}"), FAILED),
        (lying.redirect("http://[::1"), FAILED),
        (lying.gzip_bomb(), FAILED),
    ],
    ids=[
        "500",
        "html",
        "drop",
        "truncate",
        "stall",
        "error 0",
        "404",
        "error 70",
        "error as text",
        "error 50",
        "error list",
        "error object",
        "403",
        "error 40",
        "elsewhere",
        "no address",
        "bomb",
    ],
)
def test_one_thing_that_cannot_be_had_is_a_finding_and_the_rest_is_whole(
    tmp_path: Path, undisturbed: Undisturbed, trick: lying.Trick, outcome: str
) -> None:
    whole = undisturbed()
    with LyingServer() as server:
        server.lie(trick, call="getAlbum", own_id="al-0003")
        layout = shop(tmp_path, server, politeness={"timeout_s": 0.1 if "stall" in str(trick) else 2.0})
        assert run(layout) == 9
        found = evidence_set(folders(layout)[0])
        assert {item for item in found if "al-0003" not in item[0]} == {
            item for item in whole if "al-0003" not in item[0]
        }
        kept = answers(folders(layout)[0])["getAlbum?id=al-0003&f=json"]
        assert kept.outcome == outcome
        assert manifest_of(layout).outcomes == {OK: len(whole) - 1, outcome: 1}
        [finding] = [f for f in manifest_of(layout).findings if f["code"] in {"request-failed", "record-unavailable"}]
        assert finding["subject"] == "getAlbum?id=al-0003&f=json"


def test_many_things_that_fail_for_ever_do_not_keep_a_harvest_from_its_end(tmp_path: Path) -> None:
    with LyingServer(albums=9) as server:
        for number in (2, 3, 4, 5, 8):
            server.lie(lying.answer(500) if number % 2 else lying.drop, call="getAlbum", own_id=f"al-{number:04d}")
        layout = shop(tmp_path, server)
        assert run(layout) == 9
        assert manifest_of(layout).outcomes[FAILED] == 5
        assert manifest_of(layout).reconciled[0].said["by getAlbum"] == 12


def test_a_service_that_answers_its_greeting_alone_ends_with_findings_and_no_hang(tmp_path: Path) -> None:
    with LyingServer() as server:
        for call in ("getArtists", "getAlbumList2", "search3", "getAlbum", "getScanStatus"):
            server.lie(lying.answer(503), call=call)
        layout = shop(tmp_path, server)
        assert run(layout) == 9
        assert manifest_of(layout).reconciled[0].found == 0
        assert "request-failed" in codes(layout)


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ({"is_same_page_for_ever": True}, "pages-repeat"),
        ({"is_same_page_for_ever": True, "is_noisy": True}, "pages-repeat"),
        ({"cut_at": 2}, "counts-differ"),
    ],
    ids=["same page", "same page with the time in it", "cut"],
)
def test_a_list_that_lies_is_a_finding_and_comes_to_an_end(
    tmp_path: Path, manner: dict[str, object], code: str
) -> None:
    with LyingServer(albums=6, songs=2, page_max=4, **manner) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        assert code in codes(layout)
        assert len(server.requests()) < 60
        if code == "counts-differ":
            [finding] = [f for f in manifest_of(layout).findings if f["code"] == code]
            assert "found 12 tracks" in finding["message"]
            assert "by search3: 2" in finding["message"]


def test_a_count_of_the_service_that_is_larger_than_what_it_gives_is_a_finding(tmp_path: Path) -> None:
    with LyingServer(scan_count=10_000) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        assert codes(layout) == {"counts-differ"}


@pytest.mark.parametrize(
    "manner",
    [
        {"is_single_object": True, "albums": 1, "songs": 1},
        {"is_number_text": True},
        {"mangle": lambda body: body.replace(b"Song 1", b"Song \\ud800 1")},
        {"mangle": lambda body: body.replace(b"Song 1", b"Song \xff\xc3 1")},
        {"mangle": lambda body: body.replace(b"Song 1", b"Song \x00 1")},
        {"media_type": "text/html"},
        {
            "song": {
                "duration": -5,
                "year": 0,
                "isrc": ["x"],
                "track": "x",
                "size": [],
                "genre": {},
                "artists": None,
                "contributors": 7,
            }
        },
        {"song": {"id": 7, "albumId": 9}, "albums": 1, "songs": 1},
        {"sets_cookie": True, "echoes_login": True, "gives_user_fields": True},
    ],
    ids=[
        "single object",
        "numbers as text",
        "lone surrogate",
        "broken UTF-8",
        "NUL",
        "wrong type",
        "odd values",
        "numbers as ids",
        "echo",
    ],
)
def test_odd_answers_are_harvested_and_their_tracks_are_found(tmp_path: Path, manner: dict[str, object]) -> None:
    with LyingServer(**manner) as server:  # type: ignore[arg-type]
        layout = shop(tmp_path, server)
        assert run(layout) in ({0} if "song" not in manner else {0, 9})
        assert manifest_of(layout).reconciled[0].found == len(server.songs)


@pytest.mark.parametrize("bad", ["\\ud800", "\\u0000", "..%2f..%2fetc", '\\"', "a b&c=d#e?f", "日本", "x" * 3000])
def test_an_album_whose_id_is_odd_is_asked_for_and_nothing_breaks(tmp_path: Path, bad: str) -> None:
    with LyingServer(albums=3, mangle=lambda body: body.replace(b"al-0001", bad.encode())) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 9  # the service does not know its own id, once it is written in an address
        assert manifest_of(layout).outcomes == {OK: manifest_of(layout).outcomes[OK], MISSING: 1}
        assert manifest_of(layout).reconciled[0].found == 9


def test_user_fields_are_cut_and_counted_and_nothing_of_them_is_on_disk(tmp_path: Path) -> None:
    with LyingServer(albums=2, songs=2, gives_user_fields=True) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        cut = manifest_of(layout).cut
        assert set(cut) == {"field:starred", "field:userRating", "field:played", "field:username"}
        assert len(set(cut.values())) == 1
        assert cut["field:starred"] > 10
        assert leaks(layout.root, {"2026-01-02T03:04:05Z", "2026-02-03T04:05:06Z", '"userRating"', '"starred"'}) == []


@pytest.mark.parametrize("login", ["any", "password", "enc", "token", "api_key"])
@pytest.mark.parametrize("is_echoed", [False, True])
def test_every_login_works_and_leaves_nothing_behind_even_if_it_is_echoed(
    tmp_path: Path, login: str, is_echoed: bool
) -> None:
    with LyingServer(albums=2, login=login, echoes_login=is_echoed, sets_cookie=True) as server:
        layout = shop(tmp_path, server)
        assert run(layout, login=KEY_LOGIN if login == "api_key" else None) == 0
        cut = manifest_of(layout).cut
        assert cut["header:set-cookie"] == manifest_of(layout).files[0].records
        assert ("secret" in cut) is is_echoed
        assert leaks(layout.root, {"c00kie-5e55ion"}) == []
        pinged = [asked.query for asked in server.log if asked.call == "ping"]
        assert len(pinged) == (2 if login in {"password", "enc"} else 1)
        if login in {"any", "token"}:
            assert not any("p" in asked.query for asked in server.log)  # the login that tells least is enough


def test_calls_that_count_as_listening_or_change_something_are_never_made(tmp_path: Path) -> None:
    with LyingServer() as server:
        assert run(shop(tmp_path, server)) == 0
        assert {asked.call for asked in server.log} == {
            "robots.txt",
            "ping",
            "getScanStatus",
            "getArtists",
            "getArtist",
            "getAlbumList2",
            "getAlbum",
            "search3",
        }

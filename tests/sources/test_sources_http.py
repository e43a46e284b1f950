"""The HTTP seam: limits, redirects, pauses, and every fault of the client translated without a secret in it."""

import gzip
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lying_server import LyingServer, drip, drop, gzip_bomb, redirect, stall, truncate
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import RetriableError, SettingsError, SkipRecordError, SourceError
from tenuto.sources import http as seam
from tenuto.sources.http import Http, check_robots_status, check_status, retry_after_s, user_agent

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = {"u": "jo", "p": "s3cr3t-pässword"}
ASKED = Request("ping", "http://shop.invalid/rest/ping.view?f=json")


def client(handler: Callable[[httpx.Request], httpx.Response], **more: object) -> Http:
    return Http("tenuto/test", 5, lambda: NOW, transport=httpx.MockTransport(handler), **more)  # type: ignore[arg-type]


def subclasses(kind: type) -> Iterator[type]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


CLIENT_FAULTS = sorted({*subclasses(httpx.HTTPError), httpx.InvalidURL, UnicodeError}, key=lambda kind: kind.__name__)


def fault(kind: type, said: str) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://x")
        return httpx.HTTPStatusError(said, request=request, response=httpx.Response(500, request=request))
    return kind(said)


def test_the_list_of_the_clients_faults_is_the_one_that_was_looked_at() -> None:
    assert {kind.__name__ for kind in CLIENT_FAULTS} == {
        "CloseError",
        "ConnectError",
        "ConnectTimeout",
        "DecodingError",
        "HTTPError",
        "HTTPStatusError",
        "InvalidURL",
        "LocalProtocolError",
        "NetworkError",
        "PoolTimeout",
        "ProtocolError",
        "ProxyError",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "RequestError",
        "TimeoutException",
        "TooManyRedirects",
        "TransportError",
        "UnicodeError",
        "UnsupportedProtocol",
        "WriteError",
        "WriteTimeout",
    }


@pytest.mark.parametrize("kind", CLIENT_FAULTS)
def test_a_fault_of_the_client_is_translated_and_tells_no_secret(kind: type) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise fault(kind, f"cannot reach {request.url}")

    expected = {
        httpx.InvalidURL: SkipRecordError,
        UnicodeError: SettingsError,
        httpx.UnsupportedProtocol: SkipRecordError,
    }
    with pytest.raises(expected.get(kind, RetriableError)) as caught:
        client(broken).get(ASKED, SECRET)
    told = "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value.args)
    assert quote(SECRET["p"]) not in told
    assert SECRET["p"] not in told
    assert "shop.invalid" in str(caught.value)


def test_a_login_is_signed_in_and_never_stands_in_the_answer() -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}", headers={"Content-Type": "application/json"})

    got = client(handler).get(ASKED, SECRET)
    assert dict(seen[0].url.params) == {"f": "json", **SECRET}
    assert seen[0].headers["User-Agent"] == "tenuto/test"
    assert seen[0].headers["Accept-Encoding"] == "gzip, deflate"
    assert (got.request, got.body, got.http_status, got.fetched_at) == (ASKED, b"{}", 200, NOW)
    assert "s3cr3t" not in repr(got)


@pytest.mark.parametrize(
    "address", ["http://a..b/x", "http://[::1/x", "gopher://x/", "/relative", "http://", "http://\u2603.invalid\x00/"]
)
def test_an_address_that_cannot_be_asked_is_an_error_of_the_settings(address: str) -> None:
    http = Http("tenuto/test", 1)
    with pytest.raises(SettingsError, match="no address that can be asked"):
        http.get(Request("x", address))
    http.close()


# Redirects


def redirecting(locations: dict[str, str]) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        location = locations.get(request.url.path)
        return (
            httpx.Response(302, headers={"Location": location})
            if location is not None
            else httpx.Response(200, content=str(request.url).encode())
        )

    return handler


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.invalid/rest/ping.view",
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x",
        "http://localhost/x",
        "//10.0.0.1/x",
        "http://shop.invalid.evil.invalid/x",
        "http://shop.invalid@evil.invalid/x",
        "file:///etc/passwd",
        "ftp://shop.invalid/x",
        "javascript:alert(1)",
        "http://[::1",
        "http://shop.invalid:port/x",
        "http://a\x00b/",
    ],
)
def test_a_redirect_to_anywhere_else_is_not_followed(location: str) -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": location.replace("\x00", "%00")})

    with pytest.raises((SkipRecordError, RetriableError), match=r"redirects|Invalid URL in location"):
        client(handler).get(ASKED, SECRET)
    assert asked == ["shop.invalid"]


def test_a_redirect_may_not_lose_encryption_but_may_win_it() -> None:
    up = client(redirecting({"/a": "https://shop.invalid/b"})).get(Request("x", "http://shop.invalid/a"))
    assert up.body == b"https://shop.invalid/b"
    with pytest.raises(SkipRecordError, match="is not followed"):
        client(redirecting({"/a": "http://shop.invalid/b"})).get(Request("x", "https://shop.invalid/a"))


def test_a_redirect_that_repeats_the_login_is_signed_anew_once() -> None:
    got = client(redirecting({"/a": "/b?p=old&u=jo&keep=1"})).get(
        Request("x", "http://shop.invalid/a"), {"u": "jo", "p": "new"}
    )
    assert got.body == b"http://shop.invalid/b?keep=1&u=jo&p=new"


def test_a_redirect_without_end_is_given_up() -> None:
    count = []

    def handler(request: httpx.Request) -> httpx.Response:
        count.append(1)
        return httpx.Response(302, headers={"Location": f"/{len(count)}"})

    with pytest.raises(SkipRecordError, match="more than 5 times"):
        client(handler).get(ASKED)
    assert len(count) == 5


def test_every_redirected_request_waits_for_its_place_in_time() -> None:
    waits: list[int] = []
    http = client(redirecting({"/a": "/b", "/b": "/c"}), before_each=lambda: waits.append(1))
    http.get(Request("x", "http://shop.invalid/a"))
    assert len(waits) == 3


# Bodies


def test_an_answer_larger_than_the_limit_is_refused_before_it_is_whole() -> None:
    sent = []

    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                sent.append(1)
                yield bytes(1000)

    with pytest.raises(SkipRecordError, match="more than 5000 bytes"):
        client(lambda request: httpx.Response(200, stream=Stream()), max_bytes=5000).get(ASKED)
    assert len(sent) < 10


def test_an_answer_as_large_as_the_limit_is_taken() -> None:
    assert len(client(lambda request: httpx.Response(200, content=bytes(5000)), max_bytes=5000).get(ASKED).body) == 5000


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip,deflate", "x-unknown"])
def test_a_packing_that_was_not_asked_for_is_refused_unopened(coding: str) -> None:
    with pytest.raises(SkipRecordError, match="packed as"):
        client(
            lambda request: httpx.Response(200, headers={"Content-Encoding": coding}, stream=httpx.ByteStream(b"x"))
        ).get(ASKED)


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress), ("", bytes)]
)
def test_a_packed_answer_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    got = client(
        lambda request: httpx.Response(
            200, headers={"Content-Encoding": coding}, stream=httpx.ByteStream(pack(b"hello"))
        )
    ).get(ASKED)
    assert got.body == b"hello"


def test_a_gzip_bomb_is_refused() -> None:
    with LyingServer() as server:
        server.lie(gzip_bomb(size=80 * 2**20))
        with pytest.raises(SkipRecordError, match="more than 67108864 bytes"):
            ask(server)
        server.lies.clear()
        server.lie(gzip_bomb("gzip, gzip"))
        with pytest.raises(SkipRecordError, match="packed as"):
            ask(server)


def ask(server: LyingServer, timeout_s: float = 0.3) -> Answer:
    http = Http("tenuto/test", timeout_s)
    try:
        return http.get(Request("ping", f"{server.url}/rest/ping.view?f=json"), SECRET)
    finally:
        http.close()


@pytest.mark.parametrize("trick", [drop, truncate, stall(0.6)], ids=["drop", "truncate", "stall"])
def test_an_answer_that_does_not_come_whole_may_be_asked_for_again(trick: object) -> None:
    with LyingServer() as server:
        server.lie(trick)  # type: ignore[arg-type]
        with pytest.raises(RetriableError) as caught:
            ask(server)
        assert "s3cr3t" not in str(caught.value)
        assert server.url in str(caught.value)


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "_PATIENCE", 1)
    with LyingServer() as server:
        server.lie(drip)
        with pytest.raises(RetriableError, match="did not answer in time"):
            ask(server, timeout_s=0.4)


def test_a_server_that_is_not_there_may_be_asked_again() -> None:
    with LyingServer() as server:
        pass
    with pytest.raises(RetriableError, match="refused"):
        ask(server)


def test_cookies_of_a_server_reach_no_other_source() -> None:
    with LyingServer(sets_cookie=True) as server:
        ask(server)
        ask(server)
        assert all("Cookie" not in asked.headers for asked in server.log)


def test_a_redirect_on_the_same_host_is_followed_over_the_wire() -> None:
    with LyingServer() as server:
        server.lie(redirect("/rest/ping?again=1&{login}"), call="ping", times=1)
        assert b'"ok"' in ask(server).body
        assert server.requests() == ["ping?f=json", "ping?again=1"]
        assert [asked.query["p"] for asked in server.log] == [SECRET["p"]] * 2


# Statuses and pauses


def status(code: int, **headers: str) -> Answer:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(ASKED, b"", "", NOW, code, named)


@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_a_success_raises_nothing(code: int) -> None:
    check_status(status(code))


@pytest.mark.parametrize("code", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 524, 599])
def test_a_fault_of_the_server_may_be_asked_again(code: int) -> None:
    with pytest.raises(RetriableError, match=f"HTTP {code}") as caught:
        check_status(status(code, Retry_After="7"))
    assert caught.value.retry_after_s == 7
    with pytest.raises(RetriableError):
        check_robots_status(status(code))


@pytest.mark.parametrize("code", [300, 302, 304, 400, 401, 403, 404, 410, 418, 451])
def test_what_is_gone_is_skipped(code: int) -> None:
    with pytest.raises(SkipRecordError, match=f"HTTP {code}"):
        check_status(status(code))
    check_robots_status(status(code))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("1e3", None),
        ("²", None),
        ("٣", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), 0),
        ("Fri, 02 Jan 2026 04:05:05 +0100", 60),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60),
        ("Fri Jan  2 03:05:05 2026", 60),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", None),
        ("Mon, 32 Jan 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_nonsense_is_nothing(
    value: str, expected: float | None
) -> None:
    assert retry_after_s({"retry-after": value}, NOW) == expected


@given(st.text(max_size=40))
@example("Mon, 01 Jan 0000 00:00:00 GMT")
@example("9" * 400)
@example("1 Jan 1 1:1:1 -9999")
def test_no_retry_after_raises(value: str) -> None:
    found = retry_after_s({"retry-after": value}, NOW)
    assert found is None or found >= 0


def test_the_user_agent_says_who_asks_in_plain_ascii() -> None:
    assert user_agent("müsik", "a@b.invalid").startswith("tenuto/")
    assert user_agent("müsik", "a@b.invalid").endswith("(m?sik; a@b.invalid)")
    assert user_agent("x", "Ω").isascii()


def test_the_seam_is_used_by_many_threads_at_once() -> None:
    with LyingServer(delay_s=0.02) as server:
        http, faults = Http("tenuto/test", 5), []

        def work() -> None:
            try:
                for _ in range(5):
                    http.get(Request("ping", f"{server.url}/rest/ping.view"), SECRET)
            except SourceError as error:
                faults.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        http.close()
        assert faults == []
        until = time.monotonic() + 5  # the server notes an answer when it has written it: the client may have it before
        while len(server.requests(answered=True)) < 40 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(server.requests(answered=True)) == 40

"""The one place that speaks HTTP: an honest client with limits, its faults translated.

It does not retry, pause or decide: those wrap round it in `harvest`. Redirects stay on the host that the operator typed.
"""

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import httpx

from tenuto import __version__
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import RetriableError, SettingsError, SkipRecordError

ANSWER_MAX_BYTES = 64 * 2**20
"""An answer is metadata; a larger one is a mistake or an attack (audio has its own way)."""

_REDIRECTS_MAX = 5
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""What bodies may be packed with: others, and one packing in another, unpack to a million times their size."""

_GONE = frozenset({404, 410})
"""Not found, gone (RFC 9110): any other status leaves open whether there is such a thing."""

_PATIENCE = 10
"""An answer that drips takes at most so many time-outs."""

_SLOWEST_BYTES_PER_S = 1024
"""A download that has had its patience goes on while it brings more than this."""

_PART_BYTES = 256 * 1024
"""Bytes that are read at once while downloading."""

_RETRIABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524})


def user_agent(archive: str, contact: str) -> str:
    """Who asks, and how to reach them."""
    return f"tenuto/{__version__} ({archive}; {contact})".encode("ascii", "replace").decode()


class StopDownload(Exception):  # noqa: N818 -- no error: a sink that has enough raises it
    """Raised by a sink that wants no more bytes; the download then ends well."""


class Http:
    """GET with a byte limit; `before_each` is called before every request that goes out, redirected ones too."""

    def __init__(self, agent: str, timeout_s: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC),
                 transport: httpx.BaseTransport | None = None, max_bytes: int = ANSWER_MAX_BYTES,
                 before_each: Callable[[], None] = lambda: None) -> None:  # fmt: skip
        self._clock = clock
        self._max_bytes = max_bytes
        self._before_each = before_each
        self._timeout_s = timeout_s
        headers = {"User-Agent": agent, "Accept-Encoding": "gzip, deflate"}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, follow_redirects=False, transport=transport)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, request: Request, secret: Mapping[str, str] | None = None,
            accept: str = "application/json") -> Answer:  # fmt: skip
        """The answer, whatever its status; raises RetriableError where none came, SkipRecordError where it is too
        large or leads elsewhere. `secret` (a login) is added to the parameters of each request; no message holds it.
        """
        address = request.address()
        for _ in range(_REDIRECTS_MAX):
            self._before_each()
            answer, onward = self._once(request, address, secret or {}, accept)
            if onward is None:
                return answer
            _check_redirect(address, onward)
            address = onward
        raise SkipRecordError(f"{request.address()} redirects more than {_REDIRECTS_MAX} times", is_gone=False)

    def download(
        self, request: Request, sink: Callable[[bytes], None], *, max_bytes: int, secret: Mapping[str, str] | None = None,
        accept: str = "*/*", first: int | None = None, last: int | None = None, is_fresh: bool = False,
    ) -> Answer:  # fmt: skip
        """Stream a body to `sink`, as it is; the answer has status and headers, and no body. `first` and `last` ask for a
        range of bytes (RFC 9110, 14.2), which a server may ignore; `is_fresh` asks caches on the way for what the server has now
        (RFC 9111, 5.2.1.4). Raises as `get` does; what went to `sink` until then is a part of the body.
        """
        address = request.address()
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if is_fresh:
            headers["Cache-Control"] = "no-cache"
        if first is not None:
            headers["Range"] = f"bytes={first}-{'' if last is None else last}"
        for _ in range(_REDIRECTS_MAX):
            self._before_each()
            with self._stream(request, address, secret or {}, headers) as response:
                location = response.headers.get("Location") if response.is_redirect else None
                if location is None:
                    self._pour(response, request, sink, max_bytes)
                    return Answer(request, b"", response.headers.get("Content-Type", ""), self._clock(),
                                  response.status_code, tuple(response.headers.multi_items()))  # fmt: skip
                onward = _onward(address, location, secret or {})
            _check_redirect(address, onward)
            address = onward
        raise SkipRecordError(f"{request.address()} redirects more than {_REDIRECTS_MAX} times", is_gone=False)

    def _pour(self, response: httpx.Response, request: Request, sink: Callable[[bytes], None], max_bytes: int) -> None:
        if response.headers.get("Content-Encoding", "").strip().casefold() not in {"", "identity"}:
            raise SkipRecordError(f"{request.address()} answers packed, which was not asked for", is_gone=False)
        size, begun = 0, time.monotonic()
        for part in response.iter_raw(_PART_BYTES):
            size += len(part)
            if size > max_bytes:
                raise SkipRecordError(
                    f"{request.address()} answers with more than {max_bytes:,} bytes; it was cut off there",
                    is_gone=False,
                )
            waited_s = time.monotonic() - begun
            if waited_s > _PATIENCE * self._timeout_s and size < waited_s * _SLOWEST_BYTES_PER_S:
                raise httpx.ReadTimeout(f"after {size} bytes")
            try:
                sink(part)
            except StopDownload:
                return

    @contextmanager
    def _stream(
        self, request: Request, address: str, secret: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """One request; what the client raises, translated. No message holds a secret."""
        try:
            with self._client.stream("GET", _signed(address, secret), headers=dict(headers)) as response:
                yield response
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise SkipRecordError(f"{address} redirects to what is no address", is_gone=False) from None
        except UnicodeError:
            raise _no_address(address) from None
        except httpx.TimeoutException as error:
            raise RetriableError(f"{request.address()} did not answer in time ({type(error).__name__})") from None
        except httpx.ConnectError as error:
            raise RetriableError(
                f"{request.address()} cannot be reached ({_plain(error)}): is the address right, and is its server up?"
            ) from None
        except httpx.HTTPError as error:
            raise RetriableError(f"{request.address()}: {_plain(error)}") from None

    def _once(
        self, request: Request, address: str, secret: Mapping[str, str], accept: str
    ) -> tuple[Answer, str | None]:
        with self._stream(request, address, secret, {"Accept": accept}) as response:
            body = self._body(response, request)
            answer = Answer(request, body, response.headers.get("Content-Type", ""), self._clock(),
                            response.status_code, tuple(response.headers.multi_items()))  # fmt: skip
            location = response.headers.get("Location") if response.is_redirect else None
            return answer, _onward(address, location, secret) if location else None

    def _body(self, response: httpx.Response, request: Request) -> bytes:
        coding = response.headers.get("Content-Encoding", "").strip().casefold()
        if coding not in _CODINGS:
            raise SkipRecordError(
                f"{request.address()} answers packed as {coding[:40]!r}, which was not asked for", is_gone=False
            )
        parts, size, patience_until = [], 0, time.monotonic() + _PATIENCE * self._timeout_s
        for part in response.iter_bytes():
            size += len(part)
            if size > self._max_bytes:
                raise SkipRecordError(
                    f"{request.address()} answers with more than {self._max_bytes} bytes",
                    is_gone=False,
                )
            if time.monotonic() > patience_until:
                raise httpx.ReadTimeout(f"after {size} bytes")
            parts.append(part)
        return b"".join(parts)


def check_status(answer: Answer) -> None:
    """Raise what an HTTP status means for the harvest; 2xx raises nothing."""
    status = answer.http_status
    if 200 <= status < 300:  # noqa: PLR2004 -- success (RFC 9110)
        return
    said = f"{answer.request.address()} answers with HTTP {status}"
    if status in _RETRIABLE or status >= 500:  # noqa: PLR2004 -- server faults
        raise RetriableError(
            said, retry_after_s({name.casefold(): value for name, value in answer.headers}, answer.fetched_at)
        )
    raise SkipRecordError(said, is_gone=status in _GONE)


def check_robots_status(answer: Answer) -> None:
    """Raise RetriableError where robots.txt may be had later; any other status is an answer (RFC 9309, 2.3.1)."""
    if answer.http_status in _RETRIABLE or answer.http_status >= 500:  # noqa: PLR2004 -- server faults
        check_status(answer)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The pause that Retry-After asks for, in seconds or as a date (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def _signed(address: str, secret: Mapping[str, str]) -> httpx.URL:
    """The address with the login in its parameters; raises SettingsError where it is none that can be asked."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise _no_address(address) from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise _no_address(address)
    return url.copy_merge_params(secret) if secret else url


def _no_address(address: str) -> SettingsError:
    return SettingsError(f"{address!r} is no address that can be asked; it begins with http:// or https://")


def _check_redirect(address: str, onward: str) -> None:
    """An address that an answer names must be on the host that the operator typed, and may not lose encryption."""
    here, there = urlsplit(address), urlsplit(onward)
    is_weaker = here.scheme == "https" and there.scheme != "https"
    if there.hostname != here.hostname or is_weaker or there.scheme not in {"http", "https"}:
        raise SkipRecordError(
            f"{address} redirects to {there.scheme}://{there.hostname}, which is not followed; "
            "if that is where the source lives now, change its location", is_gone=False)  # fmt: skip


def _onward(address: str, location: str, secret: Mapping[str, str]) -> str:
    """A redirect's address without the secrets that it repeats: they are signed anew."""
    try:
        url = httpx.URL(urljoin(address, location))
        for name in secret:
            url = url.copy_remove_param(name)
        return str(url.copy_with(userinfo=b""))
    except (ValueError, httpx.InvalidURL):
        raise SkipRecordError(f"{address} redirects to what is no address", is_gone=False) from None


def _plain(error: httpx.HTTPError) -> str:
    """What went wrong without the address, which may hold a login."""
    words = str(error).split("http://")[0].split("https://")[0].strip()
    return words or type(error).__name__

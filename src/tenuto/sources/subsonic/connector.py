"""Asking an OpenSubsonic server: which calls, in which order, with which login.

Several routes lead to the same songs (lists of albums, artists, search): a server that cuts one of them short is found
out, since the counts are held against each other. `scrobble` is never called; nothing here counts as a listen.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from tenuto import __version__
from tenuto.model.answers import Answer, Request
from tenuto.model.documents import Document
from tenuto.model.errors import RetriableError, SettingsError, SkipRecordError, SourceRefusedError
from tenuto.sources import values
from tenuto.sources.credentials import Credentials, how_to_give
from tenuto.sources.http import Http, check_robots_status, check_status
from tenuto.sources.subsonic.replies import (
    WORDS,
    artists_in,
    call_of,
    code_in,
    document_of,
    envelope,
    objects,
    xml_error,
)

PAGE = 500
"""The largest page that the API allows."""

USER_FIELDS = frozenset(
    {"starred", "userRating", "played", "lastPlayed", "bookmarkPosition", "username", "owner", "allowedUser", "email"}
)
_API_VERSION = "1.16.1"
_OPTIONAL = frozenset({"getScanStatus"})
"""Calls that only add a count: servers refuse them to plain users."""

_COME_AGAIN = frozenset({429, 503})
_NOT_BUILT = frozenset({404, 405, 410, 501})
_NOT_OFFERED = frozenset({0, 10, 70})
"""How servers answer a list that they do not have: statuses, and error codes in the reply."""

_REFUSED = frozenset({20, 30, 40, 41, 42, 43, 44, 60})
"""Error codes after which nothing goes on: protocol version, login, trial over."""

_NOT_FOUND = 70
_PASSWORD_INSTEAD = frozenset({10, 30, 40, 41, 42})
"""Error codes with which servers that know no token answer one."""


class Options(Document):
    """The connector's own options."""

    login: Literal["auto", "password", "token", "api_key"] = "auto"


class Subsonic:
    """The connector; `fetch` asks, everything else is pure."""

    user_fields = USER_FIELDS
    words = WORDS

    def __init__(self, name: str, location: str, options: Options, credentials: Credentials, http: Http) -> None:
        try:
            parts = urlsplit(location)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(
                f"sources.{name}.location {location!r} is no address; it begins with http:// or https://"
            )
        if not credentials.is_given():
            raise SettingsError(f"source {name} needs a login: {how_to_give(name)}")
        self._name = name
        self._base = location.rstrip("/").removesuffix("/rest")
        self._http = http
        is_guarded = (
            parts.scheme == "https" or parts.hostname == "localhost" or parts.hostname.startswith(("127.", "::1"))
        )
        self._logins = _logins(options.login, credentials, may_send_password=is_guarded)
        is_token_only = "t" in self._logins[-1]
        self._hint = "; if the server knows no tokens: --option login=password" if is_token_only else ""
        self.place = self._base
        self.secrets = tuple({value for login in self._logins for key, value in login.items() if key != "u"}
                             | {secret for secret in (credentials.password, credentials.api_key) if secret})  # fmt: skip
        self.robots: Request | None = Request("robots.txt", f"{parts.scheme}://{parts.netloc}/robots.txt")

    def first(self) -> Iterable[Request]:
        """The greeting, then the first page of each list."""
        yield self._request("ping")
        yield self._request("getScanStatus")
        yield self._request("getArtists")
        yield self._page("getAlbumList2", 0, type="alphabeticalByName")
        yield self._page("search3", 0, query="")
        yield self._page("getAlbumList2", 0, type="frequent")

    def sample(self) -> Iterable[Request]:
        """A page of songs, and a page of albums with the first one's songs."""
        return (
            self._request("ping"),
            self._page("search3", 0, query=""),
            self._page("getAlbumList2", 0, type="newest"),
        )

    def follow(self, answer: Answer) -> Iterable[Request]:
        """The next page of a list that is not at its end, and each album and artist that is named."""
        call, query = call_of(answer.request.key)
        document = document_of(answer.body)
        if call == "getArtists":
            artists = (values.text(artist.get("id")) for artist in artists_in(document))
            yield from (self._request("getArtist", id=artist_id) for artist_id in artists if artist_id)
        elif call == "getArtist":
            yield from self._albums(objects(document.get("artist"), "album"), "id")
        elif call == "getAlbumList2":
            albums = objects(document.get("albumList2"), "album")
            yield from self._albums(albums, "id")
            if albums:
                yield self._page(call, int(query["offset"]) + len(albums), type=query["type"])
        elif call == "search3":
            songs = objects(document.get("searchResult3"), "song")
            yield from self._albums(songs, "albumId")
            if songs:
                yield self._page(call, int(query["songOffset"]) + len(songs), query="")

    def list_of(self, request: Request) -> str | None:
        """Lists are paged by album or by search."""
        call, query = call_of(request.key)
        return f"{call} {query.get('type', '')}".strip() if call in {"getAlbumList2", "search3"} else None

    def fetch(self, request: Request) -> Answer:
        """Ask with the login that the server takes; the greeting finds out which."""
        if request == self.robots:
            return self._http.get(request, accept="text/plain")
        answer = self._http.get(request, self._login())
        reply = document_of(answer.body)
        if len(logins := self._logins) > 1 and code_in(reply) in _PASSWORD_INSTEAD:
            self._logins = logins[1:]
            answer = self._http.get(request, self._login())
        elif reply.get("status") == "ok":
            self._logins = self._logins[:1]
        return answer

    def check(self, answer: Answer) -> None:
        """HTTP 200 is not success: the envelope says whether it is."""
        if self.robots is not None and answer.request.key == self.robots.key:
            check_robots_status(answer)
            return
        if answer.http_status in {401, 403}:
            raise SourceRefusedError(
                f"{self.place} refuses {self._name}: HTTP {answer.http_status}; {how_to_give(self._name)}"
            )
        call, _ = call_of(answer.request.key)
        if call in _OPTIONAL and answer.http_status not in _COME_AGAIN:
            return
        if _is_extra(answer.request.key) and (
            answer.http_status in _NOT_BUILT or code_in(document_of(answer.body)) in _NOT_OFFERED
        ):
            return
        check_status(answer)
        reply = envelope(answer.body)
        if reply is None:
            raise RetriableError(f"{call}: {self.place} answers with {answer.media_type or 'no type'} that begins "
                                 f"{answer.body[:40]!r}, not with a Subsonic reply")  # fmt: skip
        if reply.get("status") == "ok":
            return
        error = reply.get("error")
        code = code_in(reply)
        message = error.get("message", "no message") if isinstance(error, dict) else "nothing more"
        said = f"{call}: {self.place} answers with error {code}: {message}"
        if code in _REFUSED:
            raise SourceRefusedError(f"{said}; {how_to_give(self._name)}{self._hint}")
        if code == 0:
            raise RetriableError(said)
        raise SkipRecordError(said, is_gone=code == _NOT_FOUND)

    def original(self, fetch_id: str) -> Request:
        """`download` gives the file as it is, never transcoded; it counts as no listen."""
        return self._request("download", id=fetch_id)

    def download(self, request: Request, sink: Callable[[bytes], None], max_bytes: int) -> Answer:
        """Ask for the file with the login that the greeting found."""
        return self._http.download(request, sink, max_bytes=max_bytes, secret=self._login())

    def check_original(self, answer: Answer, head: bytes) -> None:
        """An error comes as a reply in JSON or XML, also with HTTP 200."""
        said = replace(answer, body=head)
        error = xml_error(head)
        if error is not None:
            said = replace(answer, body=error)
        if envelope(said.body) is not None or answer.http_status in {401, 403}:
            self.check(said)
            raise RetriableError(f"download: {self.place} answers with a reply instead of a recording")
        check_status(answer)
        if answer.media_type.partition(";")[0].strip() in {
            "text/html",
            "application/json",
            "text/xml",
            "application/xml",
        }:
            raise RetriableError(f"download: {self.place} answers with {answer.media_type}, not with a recording")

    def state_of(self, fetch_id: str) -> str:  # noqa: ARG002 -- the protocol's shape
        """The API cannot tell."""
        return ""

    def _login(self) -> Mapping[str, str]:
        return {**self._logins[0], "v": _API_VERSION, "c": f"tenuto-{__version__}"}

    def _albums(self, items: list[dict[str, Any]], field: str) -> Iterator[Request]:
        yield from (self._request("getAlbum", id=item[field]) for item in items if values.text(item.get(field)))

    def _request(self, call: str, **query: str) -> Request:
        written = urlencode({**query, "f": "json"}, errors="replace")
        return Request(f"{call}?{written}", f"{self._base}/rest/{call}.view?{written}")

    def _page(self, call: str, offset: int, **query: str) -> Request:
        if call == "search3":
            paging = {"songCount": PAGE, "songOffset": offset, "albumCount": 0, "artistCount": 0}
        else:
            paging = {"size": PAGE, "offset": offset}
        return self._request(call, **query, **{name: str(value) for name, value in paging.items()})


def _is_extra(key: str) -> bool:
    """Whether a list is only a second way: the most heard, and search for everything, which not all servers offer."""
    call, query = call_of(key)
    return query.get("type") == "frequent" or (call == "search3" and query.get("songOffset") == "0")


def _logins(way: str, given: Credentials, *, may_send_password: bool) -> list[dict[str, str]]:
    """The logins to try, the one that tells least first: key; token and salt; the password in hexadecimal.

    The last is tried unasked only where nobody listens in: by https, or on this machine.
    """
    salt = secrets.token_hex(8)
    token = hashlib.md5((given.password + salt).encode(), usedforsecurity=False).hexdigest()
    ways = {
        "api_key": {"apiKey": given.api_key},
        "token": {"u": given.user, "t": token, "s": salt},
        "password": {"u": given.user, "p": f"enc:{given.password.encode().hex()}"},
    }
    if way != "auto":
        return [ways[way]]
    if given.api_key:
        return [ways["api_key"]]
    return [ways["token"], *([ways["password"]] if may_send_password else [])]

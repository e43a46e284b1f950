"""A music service on this machine that lies on request: Subsonic JSON over a catalogue that is made up.

It writes down every request with its time, so that a test can ask what it was really asked.
"""

import gzip
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

USER, PASSWORD, API_KEY = "archivist", "Zx9-väult+%7/$(q", "k3y_9f8e7d6c5b4a"
LOGIN = frozenset({"u", "p", "t", "s", "apiKey", "v", "c"})
OK_HEAD = {"status": "ok", "version": "1.16.1", "type": "lying", "serverVersion": "1", "openSubsonic": True}


@dataclass(slots=True)
class Asked:
    """One request as it came: `key` is its path and query without the login."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float
    is_answered: bool = False

    @property
    def call(self) -> str:
        return self.path.rpartition("/")[2].removesuffix(".view")

    @property
    def key(self) -> str:
        kept = {name: value for name, value in self.query.items() if name not in LOGIN}
        return f"{self.call}?{urlencode(kept)}" if kept else self.call


Trick = Callable[["_Handler", Asked], None]
"""Answers a request in place of the truth."""


@dataclass(slots=True)
class _Lie:
    trick: Trick
    call: str | None
    own_id: str | None
    left: int | None


@dataclass(slots=True)
class Manner:
    """How the service speaks when it tells the truth; each can be changed while it runs."""

    login: str = "any"
    delay_s: float = 0.0
    page_max: int = 500
    cut_at: int | None = None
    is_same_page_for_ever: bool = False
    is_noisy: bool = False
    is_single_object: bool = False
    is_number_text: bool = False
    echoes_login: bool = False
    gives_user_fields: bool = False
    sets_cookie: bool = False
    media_type: str = "application/json"
    robots: tuple[int, bytes] = (404, b"")
    song: dict[str, Any] = field(default_factory=dict)
    album: dict[str, Any] = field(default_factory=dict)
    mangle: Callable[[bytes], bytes] = bytes
    scan_count: int | None = None


class LyingServer:
    """The service while the `with` block lasts, on 127.0.0.1."""

    def __init__(self, albums: int = 6, songs: int = 3, **manner: Any) -> None:
        self.manner = Manner(**manner)
        self.albums = [_album(number, songs) for number in range(albums)]
        self.songs = {song["id"]: song for album in self.albums for song in album["song"]}
        self.log: list[Asked] = []
        self.lies: list[_Lie] = []
        self.lock = threading.Lock()
        self.is_down = threading.Event()
        self.down_after: int | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def lie(self, trick: Trick, call: str | None = None, own_id: str | None = None, times: int | None = None) -> None:
        """Answer `times` requests (None: all from now on) of this call and id with a trick."""
        self.lies.append(_Lie(trick, call, own_id, times))

    def go_down(self, after: int | None = None) -> None:
        """Answer nobody any more: at once, or once `after` more calls were answered."""
        if after is None:
            self.is_down.set()
        else:
            self.down_after = sum(asked.is_answered for asked in self.log) + after

    def come_back(self) -> None:
        self.down_after = None
        self.is_down.clear()

    def forget(self) -> list[Asked]:
        """Empty the log, and give what stood in it."""
        with self.lock:
            log, self.log = self.log, []
        return log

    def requests(self, *, answered: bool = False) -> list[str]:
        """What was asked (or only what was answered to the last byte), in order."""
        with self.lock:
            return [asked.key for asked in self.log if asked.is_answered or not answered]

    def times(self) -> list[float]:
        with self.lock:
            return [asked.at for asked in self.log]

    def secrets_sent(self) -> set[str]:
        """Every login that ever came, in every part: passwords, tokens, salts, keys."""
        with self.lock:
            return {
                asked.query[name] for asked in self.log for name in ("p", "t", "s", "apiKey") if name in asked.query
            }

    def trick_for(self, asked: Asked) -> Trick | None:
        with self.lock:
            for lie in self.lies:
                if (
                    lie.left == 0
                    or lie.call not in {None, asked.call}
                    or lie.own_id not in {None, asked.query.get("id")}
                ):
                    continue
                if lie.left is not None:
                    lie.left -= 1
                return lie.trick
        return None

    def document(self, asked: Asked) -> dict[str, Any]:
        """The truth, as the manner of the service has it."""
        refused = self._refusal(asked.query)
        if refused is not None:
            return {**OK_HEAD, "status": "failed", "error": {"code": refused, "message": "Wrong username or password"}}
        content = self._content(asked.call, asked.query)
        if content is None:
            return {**OK_HEAD, "status": "failed", "error": {"code": 70, "message": "not found"}}
        noise = {"answeredAt": time.time()} if self.manner.is_noisy else {}
        echo = {"youSent": dict(asked.query), "line": f"?{urlencode(asked.query)}"} if self.manner.echoes_login else {}
        return {**OK_HEAD, **noise, **echo, **content}

    def _refusal(self, query: dict[str, str]) -> int | None:
        way, token = self.manner.login, hashlib.md5((PASSWORD + query.get("s", "")).encode()).hexdigest()
        right = {
            "any": True,
            "nobody": False,
            "password": query.get("p") in {PASSWORD, f"enc:{PASSWORD.encode().hex()}"},
            "enc": query.get("p") == f"enc:{PASSWORD.encode().hex()}",
            "token": query.get("t") == token,
            "api_key": query.get("apiKey") == API_KEY and "u" not in query,
        }[way]
        if right:
            return None
        return 10 if way in {"password", "enc"} and "p" not in query else 40

    def _content(self, call: str, query: dict[str, str]) -> dict[str, Any] | None:
        match call:
            case "ping":
                return {}
            case "getScanStatus":
                count = len(self.songs) if self.manner.scan_count is None else self.manner.scan_count
                return {"scanStatus": {"scanning": False, "count": count}}
            case "getArtists":
                artists = {album["artistId"]: album["artist"] for album in self.albums}
                listed = [{"id": own, "name": name} for own, name in artists.items()]
                return {"artists": {"index": [{"name": "A", "artist": listed}]}}
            case "getArtist":
                albums = [self._short(album) for album in self.albums if album["artistId"] == query["id"]]
                return {"artist": {"id": query["id"], "name": albums[0]["artist"], "album": albums}} if albums else None
            case "getAlbum":
                found = next((album for album in self.albums if album["id"] == query.get("id")), None)
                return None if found is None else {"album": self._whole(found)}
            case "getAlbumList2":
                page = self._page([self._short(album) for album in self.albums], query, "offset", "size")
                return {"albumList2": {"album": page}}
            case "search3":
                page = self._page([self._song(song) for song in self.songs.values()], query, "songOffset", "songCount")
                return {"searchResult3": {"song": page}}
        return None

    def _page(self, items: list[Any], query: dict[str, str], offset: str, size: str) -> Any:
        first = 0 if self.manner.is_same_page_for_ever else int(query[offset])
        items = items[: self.manner.cut_at]
        page = items[first : first + min(int(query[size]), self.manner.page_max)]
        return page[0] if self.manner.is_single_object and len(page) == 1 else page

    def _short(self, album: dict[str, Any]) -> dict[str, Any]:
        return {**{name: value for name, value in album.items() if name != "song"}, **self.manner.album, **self._user()}

    def _whole(self, album: dict[str, Any]) -> dict[str, Any]:
        songs = [self._song(song) for song in album["song"]]
        is_lone = self.manner.is_single_object and len(songs) == 1
        return {**self._short(album), "song": songs[0] if is_lone else songs}

    def _song(self, song: dict[str, Any]) -> dict[str, Any]:
        told = {**song, **self.manner.song, **self._user()}
        if self.manner.is_number_text:
            told = {name: str(value) if isinstance(value, int) else value for name, value in told.items()}
        return told

    def _user(self) -> dict[str, Any]:
        if not self.manner.gives_user_fields:
            return {}
        return {"starred": "2026-01-02T03:04:05Z", "userRating": 5, "played": "2026-02-03T04:05:06Z", "username": USER}


def _album(number: int, songs: int) -> dict[str, Any]:
    own, artist = f"al-{number:04d}", f"ar-{number % 3}"
    title, name = f"Album №{number}: 第{number}輯", f"Künstler {number % 3}"
    return {
        "id": own, "name": title, "artist": name, "artistId": artist, "songCount": songs, "year": 1990 + number,
        "song": [
            {"id": f"so-{number:04d}-{n}", "title": f"Song {n} of {number} 🎵", "album": title, "albumId": own,
             "artist": name, "artistId": artist, "track": n + 1, "duration": 60 + n, "size": 1_000_000 + n,
             "suffix": "flac", "contentType": "audio/flac", "path": f"{name}/{title}/{n}.flac", "isDir": False}
            for n in range(songs)
        ],
    }  # fmt: skip


class _Server(ThreadingHTTPServer):
    service: LyingServer
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """The log is kept elsewhere."""

    def do_GET(self) -> None:
        service, parts = self.server.service, urlsplit(self.path)
        asked = Asked(
            parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), dict(self.headers), time.monotonic()
        )
        with service.lock:
            answered = sum(one.is_answered for one in service.log)
            if service.down_after is not None and answered >= service.down_after:
                service.is_down.set()
            service.log.append(asked)
        if service.is_down.is_set():
            drop(self, asked)
            return
        if service.manner.delay_s:
            time.sleep(service.manner.delay_s)
        trick = service.trick_for(asked)
        if trick is not None:
            trick(self, asked)
        elif asked.call == "robots.txt":
            status, body = service.manner.robots
            self.reply(asked, body, status, "text/plain")
        else:
            body = service.manner.mangle(json.dumps({"subsonic-response": service.document(asked)}).encode())
            self.reply(asked, body, 200, service.manner.media_type)

    def reply(self, asked: Asked, body: bytes, status: int, media_type: str, **headers: str) -> None:
        """Send one answer; it counts as given once its last byte is out."""
        service = self.server.service
        named = {"Content-Type": media_type, "Content-Length": str(len(body))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if service.manner.sets_cookie:
            named["Set-Cookie"] = "session=c00kie-5e55ion; Path=/"
        if service.manner.echoes_login:
            named["X-You-Sent"] = urlsplit(self.path).query
        head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.wfile.write(head.encode("latin-1", "replace") + b"\r\n" + body)
        self.wfile.flush()
        with service.lock:
            asked.is_answered = True


def answer(status: int, body: bytes = b"", media_type: str = "text/plain", **headers: str) -> Trick:
    """Any answer at all; `Retry_After="2"` becomes a header."""
    return lambda handler, asked: handler.reply(asked, body, status, media_type, **headers)


def html_page(handler: "_Handler", asked: Asked) -> None:
    """An error page that calls itself a success."""
    handler.reply(asked, b"<!doctype html><title>Oops</title><p>All is well.", 200, "text/html")


def subsonic_error(code: Any) -> Trick:
    """An error inside a success."""
    failed = {**OK_HEAD, "status": "failed", "error": {"code": code, "message": "no"}}
    body = json.dumps({"subsonic-response": failed}).encode()
    return lambda handler, asked: handler.reply(asked, body, 200, "application/json")


def drop(handler: "_Handler", asked: Asked) -> None:
    """Close the connection without a word, as a service that is killed does."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def truncate(handler: "_Handler", asked: Asked) -> None:
    """Half of the body that was announced, then the end."""
    handler.close_connection = True
    body = json.dumps({"subsonic-response": handler.server.service.document(asked)}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    handler.wfile.write(head.encode() + body[: len(body) // 2])
    handler.wfile.flush()


def stall(seconds: float) -> Trick:
    """Take the request and say nothing for so long."""

    def trick(handler: "_Handler", asked: Asked) -> None:
        time.sleep(seconds)
        drop(handler, asked)

    return trick


def drip(handler: "_Handler", asked: Asked) -> None:
    """A body that comes byte by byte and never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def redirect(location: str) -> Trick:
    """Send elsewhere; `{login}` in the location is the login that came."""

    def trick(handler: "_Handler", asked: Asked) -> None:
        login = urlencode({name: value for name, value in asked.query.items() if name in LOGIN})
        handler.reply(asked, b"", 302, "text/plain", Location=location.replace("{login}", login))

    return trick


def gzip_bomb(coding: str = "gzip", size: int = 80 * 2**20) -> Trick:
    """A small body that unpacks to `size` bytes, packed once for each coding named."""
    body = bytes(size)
    for _ in coding.split(","):
        body = gzip.compress(body, 1 if len(body) > 2**20 else 9)
    return lambda handler, asked: handler.reply(asked, body, 200, "application/json", Content_Encoding=coding)

"""A small client of the Subsonic API, as an ordinary player uses it."""

import http.client
import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from .running import DemoError

API_VERSION = "1.12.0"  # the highest that Supysonic 0.7.9 knows
PAGE_SONGS = 500
TIMEOUT_S = 30


class Client:
    """One connection, kept open, to the service on this machine; a context manager that closes it."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._login = {"u": user, "p": password, "v": API_VERSION, "c": "listener", "f": "json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, view: str, **parameters: str | int) -> dict[str, Any]:
        """Call `/rest/<view>` and return its `subsonic-response`; DemoError if that is a failure."""
        body = self._get(view, parameters, {})
        try:
            answer: dict[str, Any] = json.loads(body)["subsonic-response"]
        except (ValueError, KeyError) as error:
            raise DemoError(f"{view}: the service answered {body[:80]!r}; see its server.log") from error
        if answer["status"] != "ok":
            raise DemoError(f"{view}: the service says {answer['error']}; see its server.log")
        return answer

    def songs(self) -> Iterator[dict[str, Any]]:
        """Page through every song of the service, by `search3` with an empty query."""
        offset = 0
        while songs := self._page(offset):
            yield from songs
            offset += len(songs)

    def _page(self, offset: int) -> list[dict[str, Any]]:
        counts = {"artistCount": 0, "albumCount": 0, "songCount": PAGE_SONGS, "songOffset": offset}
        songs: list[dict[str, Any]] = self.ask("search3", query="", **counts)["searchResult3"].get("song", [])
        return songs

    def stream(self, song_id: str, first_bytes: int) -> bytes:
        """Begin to play a song: its first bytes, as a player asks for them that buffers."""
        return self._get("stream", {"id": song_id}, {"Range": f"bytes=0-{first_bytes - 1}"})

    def _get(self, view: str, parameters: dict[str, str | int], headers: dict[str, str]) -> bytes:
        self._connection.request(
            "GET", f"/rest/{view}.view?{urlencode({**self._login, **parameters})}", headers=headers
        )
        with self._connection.getresponse() as response:
            body = response.read()
        if response.status not in {http.client.OK, http.client.PARTIAL_CONTENT}:
            raise DemoError(f"{view}: the service answered HTTP {response.status}; see its server.log")
        return body

"""A publication on a web server.

It may send all of a file where a part was asked for (RFC 9110, 14.2); all parts are then taken out of one answer, and what lies
before and between them is received and dropped. It may also lie, stall and break off: each has its own error, and what is
retried begins anew.
"""

import re
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar
from urllib.parse import quote, urlsplit

from tenuto.model.answers import Answer, Request
from tenuto.model.errors import IntegrityError, RetriableError, SkipRecordError, UsageError
from tenuto.model.units import format_bytes
from tenuto.publication.places.protocol import STEP_BYTES, Collected, Part, Sink, missing, nobody, too_long, too_short
from tenuto.sources.http import Http, StopDownload, check_status, user_agent

TIMEOUT_S = 30.0
PAUSES_S = (0.5, 2.0)
"""Between the tries; a server's own wish counts, up to the longest."""

LONGEST_PAUSE_S = 20.0
_REPLACED = frozenset({"index.json", "index.json.sig"})
"""Files that become others in their place: a cache on the way is to ask their server."""

_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_Found = TypeVar("_Found")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.IGNORECASE)


class WebPlace:
    """A publication on a web server, with byte ranges or without. Whole files may be read by several threads at a time."""

    def __init__(self, address: str, http: Http | None = None, pause: Callable[[float], None] = time.sleep) -> None:
        self.name = _root_address(address)
        self.received_bytes = 0
        self._http = http or Http(user_agent("a reader of publications", "for get or mirror"), TIMEOUT_S)
        self._pause = pause
        self._gives_ranges: bool | None = None
        self._has_said = False
        self._counting = Lock()
        self.unanswered = ""

    def count(self, received_bytes: int) -> None:
        """So many bytes came."""
        with self._counting:
            self.received_bytes += received_bytes

    def again(self) -> "WebPlace":
        """The same place once more, for another thread; they share their connections, and nothing else."""
        return WebPlace(self.name, self._http, self._pause)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """See Place."""
        if (count or 0) > max_bytes:
            raise too_long(f"{self.name}/{path}", max_bytes)
        taken = Collected()
        if count is None:
            self._retried(lambda: self._whole(path, taken, offset, max_bytes))
        else:
            self.stream(path, taken, offset, count)
        return bytes(taken.content)

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """See Place."""
        self.gather(path, [Part(offset, count, sink)])

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = nobody) -> None:
        """See Place."""
        for part in parts:
            if part.count == 0:
                part.sink.begin()
        left = [part for part in parts if part.count]
        while left:
            has_come = self._retried(lambda: self._by_range(path, left[0]))
            if not has_come:
                break
            del left[0]
        if left:
            end = max(part.end for part in left)
            if not self._has_said and end > STEP_BYTES:
                say(f"{self.name} sends whole files where a part is asked for; {format_bytes(end)} will be received")
                self._has_said = True
            self._retried(lambda: self._in_one_pass(path, left, end))

    def gives_ranges(self, path: str) -> bool:
        """Whether the server sends a part of a file alone where one is asked for; asked once. False where it has no such file,
        and where it does not answer now, with why in `unanswered`.
        """
        if self._gives_ranges is None:
            self.unanswered = ""
            try:
                self._gives_ranges = self._asked_for_range(path, Collected(), 0, 1)
            except (IntegrityError, SkipRecordError, RetriableError) as error:
                self.unanswered = str(error) if isinstance(error, RetriableError) else ""
                return False
        return self._gives_ranges

    def _retried(self, once: Callable[[], _Found]) -> _Found:
        for pause_s in PAUSES_S:
            try:
                return once()
            except RetriableError as error:
                self._pause(min(max(pause_s, error.retry_after_s or 0.0), LONGEST_PAUSE_S))
        return once()

    def _by_range(self, path: str, part: Part) -> bool:
        """The part, if the server gives ranges; whether this one came."""
        gives_ranges = self._gives_ranges
        if gives_ranges is None and part.count > STEP_BYTES:  # a small part costs no more than asking
            gives_ranges = self._asked_for_range(path, Collected(), part.offset, 1)
        if gives_ranges is not False:
            gives_ranges = self._asked_for_range(path, part.sink, part.offset, part.count)
        self._gives_ranges = gives_ranges
        return gives_ranges

    def _asked_for_range(self, path: str, sink: Sink, offset: int, count: int) -> bool:
        """Whether the server gave the range; where not, what `sink` took is void."""
        flow = _Flow(self, sink, 0, count, is_whole=False)
        last = offset + count - 1
        answer = self._http.download(
            self._request(path), flow, max_bytes=count + 2 * STEP_BYTES, first=offset, last=last
        )
        if answer.http_status == _OK:
            return False
        self._check(answer, path, offset, count)
        _check_range(answer, offset, last)
        self._check_length(path, flow, offset, count)
        return True

    def _in_one_pass(self, path: str, parts: Sequence[Part], end: int) -> None:
        """The parts of a file that is sent from its beginning; the connection is closed behind the last."""
        taken = _Pass(self, parts, end)
        answer = self._http.download(self._request(path), taken, max_bytes=end + 2 * STEP_BYTES)
        self._check(answer, path, parts[0].offset, parts[0].count)
        if answer.http_status != _OK:
            raise IntegrityError(f"{self.name}/{path} answers HTTP {answer.http_status} to a request for all of it")
        cut = next((part for part in parts if part.end > taken.received), None)
        if cut is not None:  # the answer ended well: there is no more of the file
            raise too_short(f"{self.name}/{path}", cut.offset, cut.count, taken.received)

    def _whole(self, path: str, sink: Sink, offset: int, max_bytes: int) -> None:
        """From `offset` to the end of the file, whose length nobody said."""
        flow = _Flow(self, sink, offset, max_bytes + 1, is_whole=True)
        limit_bytes = offset + max_bytes + 2 * STEP_BYTES
        is_fresh = path in _REPLACED
        answer = self._http.download(self._request(path), flow, max_bytes=limit_bytes, is_fresh=is_fresh)
        self._check(answer, path, offset, max_bytes)
        if flow.taken > max_bytes:
            raise too_long(f"{self.name}/{path}", max_bytes)
        if answer.http_status != _OK:
            raise IntegrityError(f"{self.name}/{path} answers HTTP {answer.http_status} to a request for all of it")

    def _request(self, path: str) -> Request:
        return Request(path, f"{self.name}/{quote(path)}")

    def _check(self, answer: Answer, path: str, offset: int, count: int) -> None:
        if answer.http_status in {404, 410}:
            raise missing(self.name, path)
        if answer.http_status == _UNSATISFIABLE:
            raise too_short(f"{self.name}/{path}", offset, count, None)
        check_status(answer)

    def _check_length(self, path: str, flow: "_Flow", offset: int, count: int) -> None:
        if flow.taken == count and not flow.has_more:
            return
        if flow.has_more:
            raise IntegrityError(
                f"{self.name}/{path} sends more than the {count:,} bytes from {offset:,} on that it says it sends"
            )
        raise RetriableError(
            f"{self.name}/{path} sent {flow.taken:,} of the {count:,} bytes from {offset:,} on, then broke off"
        )


class _Flow:
    """Hands a part of what comes to a sink, and stops behind it."""

    def __init__(self, place: WebPlace, sink: Sink, skip: int, count: int, *, is_whole: bool) -> None:
        self._place = place
        self._sink = sink
        self._skip = skip
        self._count = count
        self._is_whole = is_whole
        self.taken = 0
        self.received = 0
        self.has_more = False
        sink.begin()

    def __call__(self, part: bytes) -> None:
        """The next bytes of the body."""
        self._place.count(len(part))
        begin = max(0, self._skip - self.received)
        self.received += len(part)
        wanted = part[begin : begin + self._count - self.taken]
        if wanted:
            self.taken += len(wanted)
            self._sink.write(wanted)
        behind = self.received - self._skip - self._count
        if behind > 0 and not self._is_whole:
            self.has_more = True
        if behind > 0 or (behind == 0 and self._is_whole):
            raise StopDownload


class _Pass:
    """Hands the parts of a whole file to their sinks as it comes, and stops behind the last."""

    def __init__(self, place: WebPlace, parts: Sequence[Part], end: int) -> None:
        self._place = place
        self._parts = parts
        self._end = end
        self.received = 0
        for part in parts:
            part.sink.begin()

    def __call__(self, content: bytes) -> None:
        """The next bytes of the body."""
        here = self.received
        self._place.count(len(content))
        self.received += len(content)
        for part in self._parts:
            begin, end = max(part.offset - here, 0), min(part.end - here, len(content))
            if begin < end:
                part.sink.write(content[begin:end])
        if self.received >= self._end:
            raise StopDownload


def _root_address(address: str) -> str:
    """The web root's address without its last slash; raises UsageError where it is none."""
    try:
        parts = urlsplit(address)
        is_plain = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
        has_login = parts.username is not None or parts.password is not None
        _ = parts.port
    except ValueError:
        is_plain = has_login = False
    if has_login:
        raise UsageError(
            "an address with a login in it is not taken: it would stand in messages; a publication needs none"
        )
    if not is_plain:
        raise UsageError(
            f"{address!r} is no web root; it is written like https://archive.example/music, without ? and #, "
            "and is the folder that holds index.json"
        )
    path = parts.path.removesuffix("index.json").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _check_range(answer: Answer, first: int, last: int) -> None:
    """Raise where a 206 is not of the bytes that were asked for."""
    address = answer.request.address()
    said = next((value for name, value in answer.headers if name.casefold() == "content-range"), "")
    if answer.http_status != _PARTIAL:
        raise IntegrityError(f"{address} answers HTTP {answer.http_status} to a request for bytes {first}-{last}")
    match = _CONTENT_RANGE.fullmatch(said.strip())
    if match is None or int(match[1]) != first or int(match[2]) > last:
        raise IntegrityError(f"{address} was asked for bytes {first}-{last} and answers with {said[:60]!a}")
    if int(match[2]) < last:
        if match[3].isdigit() and int(match[3]) <= last:
            raise too_short(address, first, last - first + 1, int(match[3]))
        raise IntegrityError(f"{address} was asked for bytes {first}-{last} and answers with {said[:60]!a}")

"""Where a publication is read from: a folder, or a web root. Only bytes are read here; whether they are right is proven later.

A web server may send all of a file where a part was asked for (RFC 9110, 14.2); all parts are then taken out of one answer, and
what lies before and between them is received and dropped. It may also lie, stall and break off: each has its own error, and what
is retried begins anew.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from tenuto.model.answers import Answer, Request
from tenuto.model.errors import IntegrityError, RetriableError, SkipRecordError, UsageError
from tenuto.model.units import format_bytes
from tenuto.sources.http import Http, StopDownload, check_status, user_agent

TRIES = 3
TIMEOUT_S = 30.0
PAUSES_S = (0.5, 2.0)
"""Between the tries; a server's own wish counts, up to the longest."""

LONGEST_PAUSE_S = 20.0
_STEP_BYTES = 256 * 1024
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.IGNORECASE)


class Sink(Protocol):
    """What takes bytes as they come."""

    def begin(self) -> None:
        """The first byte comes next; what was taken before is void (a try failed)."""

    def write(self, part: bytes) -> None:
        """The next bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a file, and what takes it."""

    offset: int
    count: int
    sink: Sink

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.count


def _nobody(_: str) -> None:
    """Tell it to nobody."""


class Place(Protocol):
    """A publication's root. Paths are relative addresses as its documents have them.

    `name` is what messages call it; `received_bytes` counts all that really came, what was dropped included.
    """

    name: str
    received_bytes: int

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """Exactly `count` bytes from `offset` on, or all to the end of the file.

        Raises SkipRecordError where there is no such file, IntegrityError where it is too short, or has more than `max_bytes`.
        """

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """Exactly `count` bytes from `offset` on, in parts; raises as `read` does."""

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = _nobody) -> None:
        """Several ranges of one file, each to its sink, the file received at most once; raises as `read` does.

        `say` is told where much more will come than was asked for.
        """


class Collected:
    """A sink that keeps what it takes."""

    def __init__(self) -> None:
        self.content = bytearray()

    def begin(self) -> None:
        """Forget what was taken."""
        self.content.clear()

    def write(self, part: bytes) -> None:
        """Keep it."""
        self.content += part


def open_place(text: str, pause: Callable[[float], None] = time.sleep) -> "FolderPlace | WebPlace":
    """The publication at an address (http, https) or in a folder; raises UsageError where it can be neither."""
    if "://" in text:
        return WebPlace(text, pause=pause)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{text} is no folder; a publication is the folder that holds index.json, or its http address")
    if not (folder / "index.json").exists() and (folder / "publication" / "index.json").exists():
        raise UsageError(f"{text} is an archive, its publication lies within; say --from {folder / 'publication'}")
    return FolderPlace(folder)


class FolderPlace:
    """A publication in a folder; nothing outside of it is read, wherever its links lead."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = str(self.root)
        self.received_bytes = 0

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """See Place."""
        with self._open(path) as file:
            size = os.fstat(file.fileno()).st_size
            wanted = max(0, size - offset) if count is None else count
            if wanted > max_bytes:
                raise _too_long(f"{self.name}/{path}", max_bytes)
            taken = Collected()
            self._copy(file, path, taken, offset, wanted)
        return bytes(taken.content)

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """See Place."""
        self.gather(path, [Part(offset, count, sink)])

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = _nobody) -> None:  # noqa: ARG002 -- see Place
        """See Place."""
        with self._open(path) as file:
            for part in parts:
                self._copy(file, path, part.sink, part.offset, part.count)

    def _copy(self, file: BinaryIO, path: str, sink: Sink, offset: int, count: int) -> None:
        size = os.fstat(file.fileno()).st_size
        if offset + count > size:
            raise _too_short(f"{self.name}/{path}", offset, count, size)
        file.seek(offset)
        sink.begin()
        left = count
        while left and (part := self._part(file, path, min(left, _STEP_BYTES))):
            self.received_bytes += len(part)
            left -= len(part)
            sink.write(part)
        if left:
            raise _too_short(f"{self.name}/{path}", offset, count, offset + count - left)

    def _part(self, file: BinaryIO, path: str, count: int) -> bytes:
        try:
            return file.read(count)
        except OSError as error:
            raise SkipRecordError(
                f"{self.name}/{path} cannot be read: {error.strerror or error}", is_gone=False
            ) from None

    def _open(self, path: str) -> BinaryIO:
        try:
            target = (self.root / path).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(self.name, path) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise IntegrityError(f"{self.name}: {path} cannot be opened ({error})") from None
        if not target.is_relative_to(self.root):
            raise IntegrityError(f"{self.name}: {path} leads out of the publication, to {target}; it is not read")
        try:
            handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # it was removed just now
            raise _missing(self.name, path) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise IntegrityError(f"{self.name}: {path} is no plain file; it is not read")
        return os.fdopen(handle, "rb", buffering=0)


class WebPlace:
    """A publication on a web server, with byte ranges or without."""

    def __init__(self, address: str, http: Http | None = None, pause: Callable[[float], None] = time.sleep) -> None:
        self.name = _root_address(address)
        self.received_bytes = 0
        self._http = http or Http(user_agent("tenuto get", "takes one recording"), TIMEOUT_S)
        self._pause = pause
        self._gives_ranges: bool | None = None
        self._has_said = False

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """See Place."""
        if (count or 0) > max_bytes:
            raise _too_long(f"{self.name}/{path}", max_bytes)
        taken = Collected()
        if count is None:
            self._retried(lambda: self._whole(path, taken, offset, max_bytes))
        else:
            self.stream(path, taken, offset, count)
        return bytes(taken.content)

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """See Place."""
        self.gather(path, [Part(offset, count, sink)])

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = _nobody) -> None:
        """See Place."""
        for part in parts:
            if part.count == 0:
                part.sink.begin()
        left = [part for part in parts if part.count]
        while left and self._gives_ranges is not False:
            self._retried(lambda: self._by_range(path, left[0]))
            if self._gives_ranges:
                del left[0]
        if left:
            end = max(part.end for part in left)
            if not self._has_said and end > _STEP_BYTES:
                say(f"{self.name} sends whole files where a part is asked for; {format_bytes(end)} will be received")
                self._has_said = True
            self._retried(lambda: self._in_one_pass(path, left, end))

    def _retried(self, once: Callable[[], None]) -> None:
        for pause_s in PAUSES_S:
            try:
                return once()
            except RetriableError as error:
                self._pause(min(max(pause_s, error.retry_after_s or 0.0), LONGEST_PAUSE_S))
        return once()

    def _by_range(self, path: str, part: Part) -> None:
        """The part, if the server gives ranges; whether it does is known behind this."""
        if self._gives_ranges is None and part.count > _STEP_BYTES:  # a small part costs no more than asking
            self._gives_ranges = self._asked_for_range(path, Collected(), part.offset, 1)
        if self._gives_ranges is not False:
            self._gives_ranges = self._asked_for_range(path, part.sink, part.offset, part.count)

    def _asked_for_range(self, path: str, sink: Sink, offset: int, count: int) -> bool:
        """Whether the server gave the range; where not, what `sink` took is void."""
        flow = _Flow(self, sink, 0, count, is_whole=False)
        last = offset + count - 1
        answer = self._http.download(
            self._request(path), flow, max_bytes=count + 2 * _STEP_BYTES, first=offset, last=last
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
        answer = self._http.download(self._request(path), taken, max_bytes=end + 2 * _STEP_BYTES)
        self._check(answer, path, parts[0].offset, parts[0].count)
        if answer.http_status != _OK:
            raise IntegrityError(f"{self.name}/{path} answers HTTP {answer.http_status} to a request for all of it")
        cut = next((part for part in parts if part.end > taken.received), None)
        if cut is not None:  # the answer ended well: there is no more of the file
            raise _too_short(f"{self.name}/{path}", cut.offset, cut.count, taken.received)

    def _whole(self, path: str, sink: Sink, offset: int, max_bytes: int) -> None:
        """From `offset` to the end of the file, whose length nobody said."""
        flow = _Flow(self, sink, offset, max_bytes + 1, is_whole=True)
        answer = self._http.download(self._request(path), flow, max_bytes=offset + max_bytes + 2 * _STEP_BYTES)
        self._check(answer, path, offset, max_bytes)
        if flow.taken > max_bytes:
            raise _too_long(f"{self.name}/{path}", max_bytes)
        if answer.http_status != _OK:
            raise IntegrityError(f"{self.name}/{path} answers HTTP {answer.http_status} to a request for all of it")

    def _request(self, path: str) -> Request:
        return Request(path, f"{self.name}/{quote(path)}")

    def _check(self, answer: Answer, path: str, offset: int, count: int) -> None:
        if answer.http_status in {404, 410}:
            raise _missing(self.name, path)
        if answer.http_status == _UNSATISFIABLE:
            raise _too_short(f"{self.name}/{path}", offset, count, None)
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
        self._place.received_bytes += len(part)
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
        self._place.received_bytes += len(content)
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
            raise _too_short(address, first, last - first + 1, int(match[3]))
        raise IntegrityError(f"{address} was asked for bytes {first}-{last} and answers with {said[:60]!a}")


def _missing(name: str, path: str) -> SkipRecordError:
    if path.startswith("index.json"):
        return SkipRecordError(
            f"{name} holds no {path}; is it the root of a publication? Give the address or folder that holds index.json"
        )
    return SkipRecordError(
        f"{name} holds no {path}, which its index names; tell its operator, or take it from another mirror with --from"
    )


def _too_short(what: str, offset: int, count: int, size: int | None) -> IntegrityError:
    has = "ends before that" if size is None else f"has {size:,} bytes"
    return IntegrityError(f"{what} is cut off: bytes {offset:,} to {offset + count:,} are promised, it {has}")


def _too_long(what: str, max_bytes: int) -> IntegrityError:
    return IntegrityError(f"{what} has more than the {max_bytes:,} bytes that it may have; it was not read further")

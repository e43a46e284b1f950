"""Writing evidence: WARC 1.1 (ISO 28500:2017), one gzip member a record, files rolled at 1 GB.

A record is in the file whole or not at all: after a kill the torn last member is cut off (`whole_length`). The caller
sets the clock; the same answer always gives the same record id.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from tenuto import __version__
from tenuto.archive import durable
from tenuto.evidence.reader import whole_length
from tenuto.model.answers import Answer
from tenuto.model.ids import record_uuid

ROLL_BYTES = 1_000_000_000
SYNC_EVERY_S = 2.0
"""A power cut loses at most this much harvesting; a killed process loses none."""

_LEVEL = 6
_HOP_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "content-encoding"})


class EvidenceWriter:
    """Appends answers to the WARC files of one harvest; goes on where an interrupted one stopped."""

    def __init__(self, folder: Path, source: str, kind: str, info: dict[str, str],
                 clock: Callable[[], datetime], roll_bytes: int = ROLL_BYTES) -> None:  # fmt: skip
        self._folder = folder
        self._source = source
        self._kind = kind
        self._info = info
        self._clock = clock
        self._roll_bytes = roll_bytes
        self._number = 0
        self._handle = -1
        self._size = 0
        self._synced_at = time.monotonic()

    def __enter__(self) -> Self:
        durable.make_folder(self._folder)
        files = sorted(self._folder.glob("*.warc.gz"))
        if files:
            self._number = len(files) - 1
            os.truncate(files[-1], whole_length(files[-1]))
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, answer: Answer) -> UUID:
        """Append one answer, already redacted; returns the id of its record."""
        if self._size >= self._roll_bytes:
            self._close()
            self._number += 1
            self._open()
        record = record_uuid(self._source, answer.request.key, hashlib.sha256(answer.body).hexdigest())
        self._append(_record(answer, record, self._source, self._kind))
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            os.fsync(self._handle)
            self._synced_at = time.monotonic()
        return record

    def _open(self) -> None:
        path = self._folder / f"{self._source}-{self._folder.name}-{self._number:05d}.warc.gz"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = os.fstat(self._handle).st_size
        if self._size == 0:
            self._append(_warcinfo(path.name, self._info, self._clock()))

    def _close(self) -> None:
        if self._handle >= 0:
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = -1
            durable.sync_folder(self._folder)

    def _append(self, record: bytes) -> None:
        member = memoryview(_packed(record, _LEVEL))
        while member:
            written = os.write(self._handle, member)
            member = member[written:]
            self._size += written


def _record(answer: Answer, record: UUID, source: str, kind: str) -> bytes:
    block = _http_head(answer) + answer.body if answer.http_status else answer.body
    media_type = "application/http; msgtype=response" if answer.http_status else answer.media_type
    cut = ", ".join(f"{name}={count}" for name, count in answer.cut)
    return _compose(
        [
            ("WARC-Type", "response" if answer.http_status else "resource"),
            ("WARC-Record-ID", f"<{record.urn}>"),
            ("WARC-Date", _date(answer.fetched_at)),
            ("WARC-Target-URI", answer.request.address()),
            ("WARC-Payload-Digest", _digest(answer.body)),
            ("WARC-Block-Digest", _digest(block)),
            ("Tenuto-Source", source),
            ("Tenuto-Kind", kind),
            ("Tenuto-Request", answer.request.key),
            ("Tenuto-Outcome", answer.outcome),
            *([("Tenuto-Cut", cut)] if cut else []),
            ("Content-Type", media_type),
        ],
        block,
    )


def _warcinfo(name: str, info: dict[str, str], when: datetime) -> bytes:
    fields = {"software": f"tenuto/{__version__}", "format": "WARC File Format 1.1", **info}
    block = "".join(f"{key}: {_one_line(value)}\r\n" for key, value in fields.items()).encode()
    record = record_uuid("warcinfo", name, hashlib.sha256(block).hexdigest())
    return _compose(
        [
            ("WARC-Type", "warcinfo"),
            ("WARC-Record-ID", f"<{record.urn}>"),
            ("WARC-Date", _date(when)),
            ("WARC-Filename", name),
            ("Content-Type", "application/warc-fields"),
        ],
        block,
    )


def _compose(headers: list[tuple[str, str]], block: bytes) -> bytes:
    lines = "".join(f"{name}: {_one_line(value)}\r\n" for name, value in headers)
    return f"WARC/1.1\r\n{lines}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def _http_head(answer: Answer) -> bytes:
    """Status line and headers; the body is kept decoded, so what spoke of its coding is renamed, and its length new."""
    lines = [f"HTTP/1.1 {answer.http_status} {'OK' if answer.http_status < 400 else 'Error'}"]  # noqa: PLR2004
    for name, value in answer.headers:
        kept = f"X-Archive-Orig-{name}" if name.casefold() in _HOP_HEADERS else name
        lines.append(f"{kept}: {_one_line(value)}")
    lines.append(f"Content-Length: {len(answer.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _one_line(value: str) -> str:
    return " ".join(value.split()) if any(char in value for char in "\r\n\0") else value


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _date(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def packed_answer(answer: Answer, source: str, kind: str, level: int) -> bytes:
    """The gzip member that `EvidenceWriter.write` appends for an answer, packed at zlib's `level`."""
    record = record_uuid(source, answer.request.key, hashlib.sha256(answer.body).hexdigest())
    return _packed(_record(answer, record, source, kind), level)


def packed_warcinfo(name: str, info: dict[str, str], when: datetime, level: int) -> bytes:
    """The gzip member with which a file called `name` begins."""
    return _packed(_warcinfo(name, info, when), level)


def _packed(record: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(record) + packer.flush()

"""Reading evidence back: every record is held against its digest; what is damaged is reported and passed over."""

import hashlib
import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from fastwarc.warc import ArchiveIterator, HeaderMap, WarcRecord, WarcRecordType
from zlib_ng import zlib_ng

from tenuto.model.answers import Answer, Request
from tenuto.model.ids import evidence_id

MEMBER_MAX_BYTES = 2**28
"""A record that unpacks to more is damage or an attack: answers have 64 MiB at most, tag blocks 16."""

_PackedError: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its stub takes the class for an instance
_FIRST_CHUNK, _CHUNK = 1 << 14, 1 << 20
_MAGIC = b"\x1f\x8b\x08"
_PLAIN = b"WARC/"
_ANSWERS = WarcRecordType.response | WarcRecordType.resource


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One record: where it lies and what it holds; `damage` says why `answer` is None."""

    file: str
    offset: int
    uuid: UUID | None = None
    kind: str = ""
    answer: Answer | None = None
    damage: str = ""

    @property
    def evidence_id(self) -> int:
        """What tables refer to it by; 0 where the damage reaches its header."""
        return evidence_id(self.uuid) if self.uuid else 0


def read_records(path: Path) -> Iterator[EvidenceRecord]:
    """The answers in a WARC file, in order; each damaged stretch is one record with `damage`, then reading goes on."""
    with path.open("rb") as file:
        is_plain = file.read(len(_PLAIN)) == _PLAIN
        file.seek(0)
        if is_plain:
            yield from _parsed(path.name, 0, file)
            return
    for member in _members(path):
        if member.content is None:
            yield EvidenceRecord(path.name, member.offset,
                                 damage=f"{path.name} is damaged at byte {member.offset}: {member.damage}")  # fmt: skip
        else:
            yield from _parsed(path.name, member.offset, io.BytesIO(member.content))


def whole_length(path: Path) -> int:
    """Bytes of the file up to the end of its last whole gzip member: what a torn write left behind it is no record."""
    return max((member.end for member in _members(path) if member.content is not None), default=0)


@dataclass(frozen=True, slots=True)
class _Member:
    """One gzip member at `[offset, end)`; `content` is None where it is damaged, `end` is then unknown."""

    offset: int
    end: int = 0
    content: bytes | None = None
    damage: str = ""


def _members(path: Path) -> Iterator[_Member]:
    """The gzip members of a file; after a damaged one it goes on at the next that holds a WARC record."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place: int | None = 0
        while place is not None and place < len(content):
            try:
                member = _member(content, place)
            except _PackedError as error:
                yield _Member(place, damage=str(error))
                place = _next_member(content, place + 1)
            else:
                yield member
                place = member.end


def _member(content: mmap.mmap, offset: int) -> _Member:
    unpacker, parts, size, place, step = zlib_ng.decompressobj(31), [], 0, offset, _FIRST_CHUNK
    while not unpacker.eof:
        chunk = content[place : place + step]
        if not chunk:
            raise _PackedError(f"it is cut off after {place - offset} bytes")
        parts.append(unpacker.decompress(chunk, MEMBER_MAX_BYTES - size + 1))
        size += len(parts[-1])
        if size > MEMBER_MAX_BYTES:
            raise _PackedError(f"it unpacks to more than {MEMBER_MAX_BYTES} bytes")
        place, step = place + len(chunk), _CHUNK
    return _Member(offset, place - len(unpacker.unused_data), b"".join(parts))


def _next_member(content: mmap.mmap, start: int) -> int | None:
    """Where the next gzip member that holds a WARC record begins, or None."""
    place = content.find(_MAGIC, start)
    while place >= 0:
        try:
            if zlib_ng.decompressobj(31).decompress(content[place : place + 256], len(_PLAIN)) == _PLAIN:
                return place
        except _PackedError:
            pass
        place = content.find(_MAGIC, place + 1)
    return None


def _parsed(file: str, offset: int, content: BinaryIO) -> Iterator[EvidenceRecord]:
    """The answers among the WARC records in a stream that begins at `offset` of the file."""
    count, place = 0, 0
    try:
        for record in ArchiveIterator(content, parse_http=True, auto_decode="none"):
            count, place = count + 1, record.stream_pos
            if record.record_type & _ANSWERS:
                yield _record(file, offset + place, record)
    except (OSError, ValueError) as error:
        yield EvidenceRecord(file, offset + place, damage=f"{file} is damaged at byte {offset + place}: {error}")
        return
    if not count:
        yield EvidenceRecord(file, offset, damage=f"{file}, byte {offset}: there is no WARC record")


def _record(file: str, place: int, record: WarcRecord) -> EvidenceRecord:
    headers = record.headers
    body = record.reader.read()
    try:
        uuid = UUID(str(headers.get("WARC-Record-ID")).strip("<>"))
        answer = _answer(record, body)
    except (ValueError, TypeError) as error:
        return EvidenceRecord(file, place, damage=f"{file}, byte {place}: not a record of ours: {error}")
    kind = headers.get("Tenuto-Kind") or ""
    promised = (headers.get("WARC-Payload-Digest") or "").removeprefix("sha256:")
    found = hashlib.sha256(body).hexdigest()
    if promised != found:
        damage = f"{file}, byte {place}: sha256 of the answer is {found[:12]}…, the record says {promised[:12]}…"
        return EvidenceRecord(file, place, uuid, kind, damage=damage)
    return EvidenceRecord(file, place, uuid, kind, answer)


def _answer(record: WarcRecord, body: bytes) -> Answer:
    headers = record.headers
    http = record.http_headers if record.record_type == WarcRecordType.response else None
    key = headers.get("Tenuto-Request")
    date = headers.get("WARC-Date")
    if key is None or date is None:
        raise ValueError("it names no request or no date")
    address = headers.get("WARC-Target-URI")
    return Answer(
        request=Request(key, None if address == f"urn:x-tenuto:{key}" else address),
        body=body,
        media_type=(http.get("Content-Type") if http else headers.get("Content-Type")) or "",
        fetched_at=datetime.fromisoformat(date),
        http_status=(http.status_code or 0) if http else 0,
        headers=_headers(http) if http else (),
        outcome=headers.get("Tenuto-Outcome") or "ok",
        cut=_cut(headers.get("Tenuto-Cut") or ""),
    )


def _headers(http: HeaderMap) -> tuple[tuple[str, str], ...]:
    """The headers as they were written; the reader's own text of them takes UTF-8 for Latin-1."""
    return tuple(
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in http.items_bytes()
    )


def _cut(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (part.strip().rpartition("=") for part in text.split(",") if part.strip())
    return tuple((name, int(count)) for name, _, count in pairs)

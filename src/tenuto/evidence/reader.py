"""Reading evidence back: every record is held against its digest; what is damaged is reported and passed over."""

import hashlib
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from tenuto.model.answers import Answer, Request
from tenuto.model.ids import evidence_id

_CHUNK = 1 << 20
_MEMBER = b"\x1f\x8b\x08"


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
    """The answers in a WARC file, in order; a damaged stretch is one record with `damage`, then reading goes on."""
    wanted = WarcRecordType.response | WarcRecordType.resource
    start: int | None = 0
    with path.open("rb") as file:
        while start is not None:
            file.seek(start)
            place, is_read = start, False
            try:
                for record in ArchiveIterator(file, parse_http=True, auto_decode="none"):
                    place, is_read = start + record.stream_pos, False
                    if record.record_type & wanted:
                        yield _record(path.name, place, record)
                    is_read = True
            except (OSError, ValueError) as error:
                if not is_read:
                    yield EvidenceRecord(path.name, place, damage=f"{path.name} is damaged at byte {place}: {error}")
                start = _next_member(path, place + 1)
            else:
                return


def whole_length(path: Path) -> int:
    """Bytes of the file up to the end of its last whole gzip member: what a torn write left behind it is no record."""
    whole = 0
    with path.open("rb") as file:
        unpacker, read = zlib.decompressobj(31), 0
        while chunk := file.read(_CHUNK):
            while chunk:
                try:
                    unpacker.decompress(chunk)
                except zlib.error:
                    return whole
                read += len(chunk) - len(unpacker.unused_data)
                chunk = unpacker.unused_data
                if not unpacker.eof:
                    break
                whole, unpacker = read, zlib.decompressobj(31)
    return whole


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
        headers=http.to_tuples() if http else (),
        outcome=headers.get("Tenuto-Outcome") or "ok",
        cut=_cut(headers.get("Tenuto-Cut") or ""),
    )


def _cut(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (part.strip().rpartition("=") for part in text.split(",") if part.strip())
    return tuple((name, int(count)) for name, _, count in pairs)


def _next_member(path: Path, start: int) -> int | None:
    """Where the next gzip member that holds a WARC record begins, or None."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_MEMBER, start)
        while place >= 0:
            try:
                if zlib.decompressobj(31).decompress(content[place : place + 256], 5) == b"WARC/":
                    return place
            except zlib.error:
                pass
            place = content.find(_MEMBER, place + 1)
    return None

"""How things are named: pure functions from content to id (design, section 1)."""

import hashlib
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

NAMESPACE = uuid.UUID("6d7a2e0c-3c55-5f0b-9a55-7e7a0c1d5e10")
"""Our own UUIDv5 namespace: fixed for ever, since record ids derive from it (docs/format.md, Evidence)."""

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a source and an archive may be called: it becomes part of paths and ids."""

_HARVEST_TIME = "%Y%m%dT%H%M%SZ"


def record_uuid(source: str, request: str, answer_sha256: str) -> uuid.UUID:
    """The id of an evidence record: the same source, request and answer always give the same UUIDv5."""
    return uuid.uuid5(NAMESPACE, f"{source}\n{request}\n{answer_sha256}")


def evidence_id(record: uuid.UUID) -> int:
    """The uint64 that tables carry for an evidence record: the last eight bytes of its UUID, big-endian."""
    return int.from_bytes(record.bytes[8:], "big")


def harvest_id(started_at: datetime, counter: int) -> str:
    """A harvest's name: UTC start to the second and a counter, so that names sort by time."""
    return f"{started_at.astimezone(UTC).strftime(_HARVEST_TIME)}-{counter:02d}"


def harvest_time(harvest: str) -> datetime:
    """The moment in a harvest's name; raises ValueError where it is none."""
    return datetime.strptime(harvest.rpartition("-")[0], _HARVEST_TIME).replace(tzinfo=UTC)


def short_digest(parts: Iterable[str]) -> str:
    """Eight hexadecimal digits of the SHA-256 over the parts, each ended by a newline."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:8]


def track_key(source: str, track_id: str) -> str:
    """What stands for a track where its own id may say too much: SHA-256 over source, LF, id; 64 hex digits."""
    return hashlib.sha256(f"{source}\n{track_id}".encode()).hexdigest()

"""Finding a recording: the index, signed and not older than one seen before, and the shard that it promises."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.ids import SOURCE_NAME, track_key
from tenuto.publication.documents import (
    INDEX_NAME,
    SIGNATURE_BYTES,
    SIGNATURE_NAME,
    FileRef,
    Index,
    Location,
    parse_index,
    parse_shard,
    shard_address,
    verify_index,
)
from tenuto.publication.places import Place

INDEX_MAX_BYTES = 64 * 2**20
"""An entry of a crate has about 800 bytes: 80,000 crates, 5 PB."""

SHARD_MAX_BYTES = 4 * 2**20
"""Shards aim at 32 KiB; with all their digits used up they may be larger."""

_PAUSES_S = (0.0, 0.3)
"""Between index and signature that do not fit, and reading both once more: they are replaced one right after the other."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class OtherKeyError(IntegrityError):
    """An index is signed by `found`, which is not the key that is `pinned`."""

    def __init__(self, place: str, found: str, pinned: str, way_on: str = "") -> None:
        self.place, self.found, self.pinned = place, found, pinned
        way_on = way_on or (
            "(by --key, or by the tenuto.toml beside it). Somebody else may speak in its name: ask the archive for its key, then "
            "give it with --key"
        )
        super().__init__(f"{place} is signed by the key {found}, and {pinned} is pinned {way_on}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: `key` in the shards, the SHA-256 of the recording where `is_sha256`, else its track's."""

    said: str
    key: str
    is_sha256: bool


def parse_wanted(what: str, sources: Sequence[str]) -> list[Wanted]:
    """What the operator may mean, the likeliest first: the SHA-256 of a recording, `SOURCE:TRACK_ID`, or the id that a track
    has in one of the `sources`; raises UsageError where it can be none of them.
    """
    if _SHA256.fullmatch(what):
        return [Wanted(what, what.lower(), is_sha256=True)]
    source, colon, track_id = what.partition(":")
    tracks = [(source, track_id)] if colon and track_id and SOURCE_NAME.fullmatch(source) else []
    tracks += [(name, what) for name in sources] if what else []
    if not tracks:
        raise UsageError(
            f"{what!r} names no recording; give its SHA-256 (64 hexadecimal digits) or SOURCE:TRACK_ID, "
            "the name of a source and its own id of the track"
        )
    return [Wanted(what, track_key(*track), is_sha256=False) for track in tracks]


@dataclass(frozen=True, slots=True)
class Signed:
    """An index, and the bytes that were signed."""

    index: Index
    content: bytes
    signature: bytes


def read_index(place: Place, pinned: str | None, known_sequence: int) -> Index:
    """The index of a publication; see `read_signed`."""
    return read_signed(place, pinned, known_sequence).index


def read_signed(place: Place, pinned: str | None, known_sequence: int) -> Signed:
    """The index of a publication, signed; raises OtherKeyError where it is not signed by `pinned` (None: by the key that it names
    itself), IntegrityError where it is not signed at all, or is of a lower sequence than `known_sequence`.
    """
    signed, fault = _index(place)
    for pause_s in _PAUSES_S if fault is not None else ():
        time.sleep(pause_s)
        signed, fault = _index(place)
        if fault is None:
            break
    if fault is not None:
        raise fault
    index = signed.index
    if pinned is not None and index.signing_public != pinned:
        raise OtherKeyError(place.name, index.signing_public, pinned)
    if index.sequence < known_sequence:
        raise IntegrityError(
            f"{place.name} gives an older index: number {index.sequence} of archive {index.archive}, and number "
            f"{known_sequence} was seen there before. It was put back, or somebody shows an old state: ask its operator"
        )
    return signed


def find(place: Place, index: Index, wanted: Wanted) -> tuple[Location, ...]:
    """Where the shards say that it lies, in the order to be tried; nothing where they do not name it.

    Raises IntegrityError where they name another recording under its SHA-256.
    """
    prefix = wanted.key[: index.shards.digits]
    promised = index.shards.sha256.get(prefix)
    if promised is None:
        return ()
    path = shard_address(prefix, promised)
    content = place.read(path, max_bytes=SHARD_MAX_BYTES)
    check_digest(f"{place.name}/{path}", content, promised)
    shard = parse_shard(content)
    if shard.prefix != prefix:
        raise IntegrityError(f"{place.name}/{path} is the shard of {shard.prefix!r}, not of {prefix!r}")
    found = shard.entries.get(wanted.key, ())
    for location in found if wanted.is_sha256 else ():
        if location.sha256 != wanted.key:
            raise IntegrityError(
                f"under {wanted.key} the publication names a recording of sha256 {location.sha256}, which is not the one "
                "asked for (if these digits are a track's key, ask for SOURCE:TRACK_ID)"
            )
    return found


def read_file(place: Place, file: FileRef) -> bytes:
    """A file that the index names; raises IntegrityError where it is not as promised."""
    content = place.read(file.path, max_bytes=file.bytes)
    check_digest(f"{place.name}/{file.path}", content, file.sha256)
    return content


def check_digest(what: str, content: bytes, promised: str) -> None:
    """Raise IntegrityError where bytes do not have the SHA-256 that was promised."""
    found = hashlib.sha256(content).hexdigest()
    if found != promised:
        raise IntegrityError(
            f"{what} has sha256 {found} ({len(content):,} bytes, beginning with {content[:16]!r}), the index promises {promised}"
        )


def _index(place: Place) -> tuple[Signed, IntegrityError | None]:
    """The index, and what is wrong with its signature."""
    content = place.read(INDEX_NAME, max_bytes=INDEX_MAX_BYTES)
    try:
        index = parse_index(content)
    except IntegrityError as error:
        raise IntegrityError(f"{place.name}: {error}") from None
    signature = place.read(SIGNATURE_NAME, max_bytes=SIGNATURE_BYTES)
    try:
        verify_index(content, signature, index.signing_public)
    except IntegrityError as error:
        fault = IntegrityError(f"{place.name}: {error}; ask its operator, or take it from another mirror")
        return Signed(index, content, signature), fault
    return Signed(index, content, signature), None

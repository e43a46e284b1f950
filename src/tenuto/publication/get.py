"""Taking one recording from a publication: found by its key, read by range, proven to the signed root, then written.

What is read is bounded by what the signed index promises. Nothing has its name before it is proven, and no file is replaced.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of
from tenuto.crates.names import component
from tenuto.model.errors import IntegrityError, SkipRecordError, SourceError, UsageError
from tenuto.model.ids import SOURCE_NAME, track_key
from tenuto.model.progress import Progress
from tenuto.publication import documents as d
from tenuto.publication.documents import Index, IndexCrate, Location
from tenuto.publication.places import Place
from tenuto.publication.proof import Span, bytes_to_read, check_location, check_pieces, span_of, split_layers

INDEX_MAX_BYTES = 64 * 2**20
"""A publication of 100,000 crates has an index of about 60 MB."""

SHARD_MAX_BYTES = 4 * 2**20
"""Shards aim at 32 KiB; with all their digits used up they may be larger."""

LAYERS_MAX_BYTES = 64 * 2**20
"""A crate of 64 GB has 0.5 MB of layer, and 2 kB of closing leaves for each MB of its describing tail."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Taken:
    """A recording that was proven and written; `received` counts bytes by what they were for."""

    path: Path
    recording: Location
    received: dict[str, int]
    index: Index
    pieces: int = 0
    was_there: bool = False

    @property
    def overhead_bytes(self) -> int:
        """What was received beyond the recording's own bytes."""
        return max(0, sum(self.received.values()) - (0 if self.was_there else self.recording.bytes))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: `key` in the shards; by its SHA-256 where `is_sha256`, else by its track."""

    said: str
    key: str
    is_sha256: bool


@dataclass(slots=True)
class _Counted:
    """A place, and what came from it by purpose."""

    place: Place
    received: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def of(self, purpose: str) -> Iterator[Place]:
        before = self.place.received_bytes
        try:
            yield self.place
        finally:
            self.received[purpose] = self.received.get(purpose, 0) + self.place.received_bytes - before


def parse_wanted(what: str) -> Wanted:
    """What the operator asks for: the SHA-256 of a recording, or `SOURCE:TRACK_ID`; raises UsageError for anything else."""
    if _SHA256.fullmatch(what):
        return Wanted(what, what.lower(), is_sha256=True)
    source, colon, track_id = what.partition(":")
    if colon and track_id and SOURCE_NAME.fullmatch(source):
        return Wanted(what, track_key(source, track_id), is_sha256=False)
    raise UsageError(
        f"{what!r} names no recording; give its SHA-256 (64 hexadecimal digits) or SOURCE:TRACK_ID, "
        "the name of a source and its own id of the track, as the crates' recordings.parquet has them"
    )


def take(
    place: Place, what: str, out: Path, *, pinned: str | None, known_sequence: int, progress: Progress,
    on_index: Callable[[Index], None] = lambda _: None,
) -> Taken:  # fmt: skip
    """Take one recording; `out` is the file to make, or a folder, in which it gets the name that it has in its crate.

    `pinned` is the hex of the public key that the index must be signed by, None: the one it names itself. An index of a
    sequence below `known_sequence` is refused. `on_index` is told of an index that passed. Raises UsageError, SourceError
    (the publication has no such recording, or does not answer) or IntegrityError; then there is no file.
    """
    wanted = parse_wanted(what)
    counted = _Counted(place)
    with counted.of("index") as index_place:
        index = read_index(index_place, pinned, known_sequence)
    on_index(index)
    locations = _locations(counted, index, wanted)
    target = _target(out, locations[0])
    if os.path.lexists(target):
        return _already(target, locations, index, counted)
    failures: list[SourceError | IntegrityError] = []
    for crate, address, location in _candidates(index, locations, failures):
        try:
            taking = _Taking(counted, crate, address, location, progress)
            return Taken(target, location, counted.received, index, pieces=taking.write(target))
        except (SourceError, IntegrityError) as error:
            failures.append(error)
            progress.say(f"{error}")
    worst = next((one for one in failures if isinstance(one, IntegrityError)), failures[0])
    if len(failures) > 1:
        raise type(worst)(f"{worst}; none of {len(failures)} places that should have {what} gave it whole")
    raise worst


def read_index(place: Place, pinned: str | None, known_sequence: int) -> Index:
    """The index of a publication, its signature and sequence checked.

    A mismatch is looked at twice: the index and its signature are replaced one after the other.
    """
    try:
        return _read_index(place, pinned, known_sequence)
    except IntegrityError:
        return _read_index(place, pinned, known_sequence)


def _read_index(place: Place, pinned: str | None, known_sequence: int) -> Index:
    signature = place.read(d.SIGNATURE_NAME, max_bytes=d.SIGNATURE_BYTES)
    content = place.read(d.INDEX_NAME, max_bytes=INDEX_MAX_BYTES)
    try:
        index = d.parse_index(content)
    except IntegrityError as error:
        raise IntegrityError(f"{place.name}: {error}") from None
    if pinned is not None and index.signing_public != pinned:
        raise IntegrityError(
            f"{place.name} is signed by the key {index.signing_public}, and {pinned} is pinned (by --key, or since it was "
            "first seen). Somebody else may speak in its name: ask the archive for its key, then give it with --key"
        )
    try:
        d.verify_index(content, signature, index.signing_public)
    except IntegrityError as error:
        raise IntegrityError(f"{place.name}: {error}; take it from another mirror, or ask its operator") from None
    if index.sequence < known_sequence:
        raise IntegrityError(
            f"{place.name} gives an older index: number {index.sequence} of archive {index.archive}, and {known_sequence} "
            "was seen there before. It was put back, or somebody shows an old state; take it from another mirror"
        )
    return index


def find(place: Place, index: Index, key: str) -> tuple[Location, ...]:
    """Where the index's shards say that a key's recordings lie; nothing where they do not name it."""
    prefix = key[: index.shards.digits]
    promised = index.shards.sha256.get(prefix)
    if promised is None:
        return ()
    path = d.shard_address(prefix, promised)
    content = place.read(path, max_bytes=SHARD_MAX_BYTES)
    _check_digest(place, path, content, promised)
    shard = d.parse_shard(content)
    if shard.prefix != prefix:
        raise IntegrityError(f"{place.name}/{path} is the shard of {shard.prefix!r}, not of {prefix!r}")
    return shard.entries.get(key, ())


def _locations(counted: _Counted, index: Index, wanted: Wanted) -> tuple[Location, ...]:
    with counted.of("shard") as place:
        found = find(place, index, wanted.key)
    if not found:
        raise SkipRecordError(
            f"{wanted.said} is not in the publication of {index.archive} (index {index.sequence}): it never was, is kept "
            f"dark, or was withdrawn; {place.name}/{index.status.path} says what became of each track"
        )
    for location in found:
        if wanted.is_sha256 and location.sha256 != wanted.key:
            raise IntegrityError(
                f"under {wanted.key} the publication names a recording of sha256 {location.sha256}; that is not the one "
                "asked for (if the digits are the key of a track, ask for SOURCE:TRACK_ID)"
            )
    return found


def _candidates(
    index: Index, locations: tuple[Location, ...], failures: list[SourceError | IntegrityError]
) -> Iterator[tuple[IndexCrate, str, Location]]:
    """Every address of every crate that is to hold the recording; what cannot be is put to `failures`."""
    crates = {crate.crate: crate for crate in index.crates}
    for location in locations:
        crate = crates.get(location.crate)
        try:
            if crate is None:
                raise IntegrityError(f"a shard names the crate {location.crate}, and the index does not")
            check_location(crate, location)
        except IntegrityError as error:
            failures.append(error)
            continue
        for address in crate.addresses:
            yield crate, address, location


class _Taking:
    """One try at one recording from one address of one crate; a sink for its blocks."""

    def __init__(
        self, counted: _Counted, crate: IndexCrate, address: str, location: Location, progress: Progress
    ) -> None:
        self._counted = counted
        self._crate = crate
        self._address = address
        self._location = location
        self._span = span_of(crate, location)
        self._progress = progress
        self._file: BinaryIO | None = None
        self.begin()

    def write(self, part: bytes) -> None:
        """The next bytes (a sink's)."""
        wanted = part[: self._left]
        if self._file is not None:
            self._file.write(wanted)
        self._digest.update(wanted)
        self._left -= len(wanted)
        self._rest += part
        whole = len(self._rest) // BLOCK_BYTES * BLOCK_BYTES
        self._leaves += leaves_of(self._rest[:whole])
        self._rest = self._rest[whole:]
        self._progress.advance(len(part))

    def begin(self) -> None:
        """The first byte comes next (a sink's)."""
        self._digest = hashlib.sha256()
        self._left = self._location.bytes
        self._leaves = bytearray()
        self._rest = b""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._progress.begin(f"taking {self._location.path.rpartition('/')[2]}", self._location.bytes, "bytes")

"""Taking one recording from a publication: found by its key, read by range, proven to the signed root, then written.

What is read is bounded by what the signed index promises. Nothing has its name before it is proven, and no file is replaced.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of
from tenuto.crates.names import component
from tenuto.model.errors import IntegrityError, SkipRecordError, SourceError, UsageError
from tenuto.model.progress import Progress
from tenuto.publication.documents import Index, IndexCrate, Location
from tenuto.publication.lookup import find, parse_wanted, read_file, read_index
from tenuto.publication.places import Collected, Part, Place
from tenuto.publication.proof import bytes_to_read, check_location, check_pieces, span_of, split_layers

LAYERS_MAX_BYTES = 64 * 2**20
"""A crate of 64 GB has 0.5 MB of layer, and 2 kB of closing leaves for each MB of its describing tail."""

RISES_MAX = 3
"""So often an index that was replaced meanwhile is followed: somebody who publishes all the time keeps no reader for ever."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A recording that was proven and written; `received` counts bytes by what they were for.

    `pieces` of its crate were proven; none where the file `was_there` before.
    """

    path: Path
    recording: Location
    received: dict[str, int]
    index: Index | None = None
    pieces: int = 0
    was_there: bool = False

    @property
    def overhead_bytes(self) -> int:
        """What was received beyond the recording's own bytes."""
        own = 0 if self.was_there else self.recording.bytes
        return max(0, sum(self.received.values()) - own)


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
            self._count(purpose, self.place.received_bytes - before)

    def was_for(self, purpose: str, count: int, counted_as: str) -> None:
        """So many of the bytes that were `counted_as` something else were for `purpose`."""
        self._count(purpose, count)
        self._count(counted_as, -count)

    def _count(self, purpose: str, count: int) -> None:
        self.received[purpose] = self.received.get(purpose, 0) + count


class _Recording:
    """A sink for the blocks of a recording: writes its bytes, takes its SHA-256 and its leaves. Memory stays flat."""

    def __init__(self, file: BinaryIO, location: Location, progress: Progress) -> None:
        self._file = file
        self._location = location
        self._progress = progress
        progress.begin(location.path.rpartition("/")[2], location.bytes, "bytes")
        self._left = location.bytes
        self.begin()

    def begin(self) -> None:
        """Forget what was taken."""
        if taken := self._location.bytes - self._left:
            self._progress.advance(-taken)
        self._file.seek(0)
        self._file.truncate()
        self._left = self._location.bytes
        self._digest = hashlib.sha256()
        self._leaves = bytearray()
        self._rest = bytearray()

    def write(self, part: bytes) -> None:
        """The next bytes; those behind the recording's end are hashed only."""
        wanted = part[: self._left]
        self._file.write(wanted)
        self._digest.update(wanted)
        self._left -= len(wanted)
        self._rest += part
        whole = len(self._rest) // BLOCK_BYTES * BLOCK_BYTES
        self._leaves += leaves_of(self._rest[:whole])
        del self._rest[:whole]
        self._progress.advance(len(wanted))

    def leaves(self) -> bytes:
        """Its leaves, the last block as short as it is."""
        return bytes(self._leaves) + leaves_of(self._rest)

    def sha256(self) -> str:
        """Of the recording alone."""
        return self._digest.hexdigest()


def take(
    place: Place, what: str, out: Path, *, pinned: str | None, known_sequence: int, progress: Progress,
    on_index: Callable[[Index], None] = lambda _: None,
) -> Taken:  # fmt: skip
    """Take one recording; `out` is the file to make, or a folder, in which it gets the name that it has in its crate.

    `pinned` and `known_sequence` are as `read_index` has them; `on_index` is told of an index that passed. Raises UsageError
    (a file is in the way), SourceError (there is no such recording, or no answer) or IntegrityError; then nothing is written.
    """
    counted = _Counted(place)
    with counted.of("index"):
        index = read_index(place, pinned, known_sequence)
    for _ in range(RISES_MAX):
        on_index(index)
        try:
            return _take_by(index, counted, what, out, progress)
        except (IntegrityError, SkipRecordError) as error:
            newer = _newer(counted, index)
            if newer is None:
                raise
            progress.say(
                f"{error}; meanwhile {index.archive} has published anew (index number {newer.sequence}): once more"
            )
            index = newer
    on_index(index)
    return _take_by(index, counted, what, out, progress)


def _newer(counted: _Counted, index: Index) -> Index | None:
    """The index, if its sequence has risen since: what the older one names may be gone, or be another revision."""
    try:
        with counted.of("index") as place:
            found = read_index(place, index.signing_public, index.sequence)
    except (IntegrityError, SourceError):
        return None
    return found if found.sequence > index.sequence else None


def _take_by(index: Index, counted: _Counted, what: str, out: Path, progress: Progress) -> Taken:
    """Take the recording as this index has it."""
    place = counted.place
    with counted.of("shard"):
        found = (find(place, index, wanted) for wanted in parse_wanted(what, index.sources))
        locations: tuple[Location, ...] = next(filter(None, found), ())
    if not locations:
        raise SkipRecordError(
            f"{what} is not in the publication of {index.archive} (index number {index.sequence}): it never was, is kept "
            f"dark, was withdrawn, or its crate is being written anew (then it is back soon); {place.name}/{index.status.path} "
            "says what became of each track"
        )
    target = target_of(out, locations[0])
    if os.path.lexists(target):
        return Taken(target, already_there(target, locations), counted.received, index, was_there=True)
    failures: list[SourceError | IntegrityError] = []
    for crate, address, location in _candidates(index, locations, failures):
        if failures:
            progress.say(f"{failures[-1]}; trying {address}")
        try:
            with new_file(target) as file:
                recording = _Recording(file, location, progress)
                pieces = _take_from(counted, crate, address, location, recording, progress.say)
            return Taken(target, location, counted.received, index, pieces)
        except (SourceError, IntegrityError) as error:
            failures.append(error)
    raise _worst(failures)


def target_of(out: Path, location: Location) -> Path:
    """The file to make: `out`, or in the folder `out` one with the recording's own name, made safe."""
    if not out.is_dir():
        return out
    return out / component(location.path.rpartition("/")[2])


def already_there(target: Path, locations: tuple[Location, ...]) -> Location:
    """Which of the recordings the file in the way is; raises UsageError where it is none of them."""
    if target.is_file():
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        for location in locations:
            if location.sha256 == found:
                return location
        raise UsageError(f"{target} is there and is another file (sha256 {found}); give another name with --out")
    raise UsageError(f"{target} is there and is no file; give another name with --out")


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A file to fill; when the block ends well it is durable and called `target`, which never replaces another file."""
    make_folder(target.parent)
    beside = target.parent / f"{LEFTOVER_PREFIX}{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(target.parent)


def _name(beside: Path, target: Path) -> None:
    try:
        os.link(beside, target, follow_symlinks=False)
    except FileExistsError:
        raise UsageError(f"{target} came to be meanwhile; give another name with --out") from None
    except OSError as error:  # a file system without hard links (FAT)
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS} or os.path.lexists(target):
            raise
        beside.rename(target)


def _candidates(
    index: Index, locations: tuple[Location, ...], failures: list[SourceError | IntegrityError]
) -> Iterator[tuple[IndexCrate, str, Location]]:
    """Every address of every crate that is to hold the recording; a location that cannot be is put to `failures`."""
    crates = {crate.crate: crate for crate in index.crates}
    for location in locations:
        try:
            crate = _crate_of(crates, location)
        except IntegrityError as error:
            failures.append(error)
            continue
        for address in crate.addresses:
            yield crate, address, location


def _crate_of(crates: dict[str, IndexCrate], location: Location) -> IndexCrate:
    if location.crate not in crates:
        raise IntegrityError(f"a shard names the crate {location.crate}, the index does not")
    check_location(crates[location.crate], location)
    return crates[location.crate]


def _take_from(
    counted: _Counted, crate: IndexCrate, address: str, location: Location, recording: _Recording,
    say: Callable[[str], None],
) -> int:  # fmt: skip
    """Fill `recording`, and how many pieces prove it; raises IntegrityError where they do not."""
    span = span_of(crate, location)
    if crate.layers.bytes > LAYERS_MAX_BYTES:
        raise IntegrityError(
            f"{crate.layers.path} has {crate.layers.bytes:,} bytes, which is more than any crate needs"
        )
    with counted.of("layers") as place:
        layer, closing = split_layers(crate, read_file(place, crate.layers))
    before, behind = _Leaves(crate, closing, span.begin, span.first), _Leaves(crate, closing, span.past, span.end)
    counted.was_for("leaves", 0, counted_as="recording")  # in this order, also where they come in one pass
    own = Part(location.offset, bytes_to_read(crate, location), recording)
    with counted.of("recording") as place:
        place.gather(address, [before.part, behind.part, own], say)
    counted.was_for("leaves", before.part.count + behind.part.count, counted_as="recording")
    pieces = check_pieces(crate, span, before.all() + recording.leaves() + behind.all(), layer)
    if recording.sha256() != location.sha256:
        raise IntegrityError(
            f"crate {crate.crate}: the {location.bytes:,} bytes from {location.offset:,} on are the crate's own, and have sha256 "
            f"{recording.sha256()}; the shard promises {location.sha256}, so the shard is wrong"
        )
    return pieces


class _Leaves:
    """The leaves of some blocks: `part` of `leaves.bin` as far as it has them, then from the closing leaves."""

    def __init__(self, crate: IndexCrate, closing: bytes, first: int, past: int) -> None:
        count = crate.leaves.count
        inside = max(0, min(past, count) - first)
        self._taken = Collected()
        self._closing = closing[max(0, first - count) * HASH_BYTES : max(0, past - count) * HASH_BYTES]
        self.part = Part(crate.leaves.offset + first * HASH_BYTES, inside * HASH_BYTES, self._taken)

    def all(self) -> bytes:
        """They, once the part was taken."""
        return bytes(self._taken.content) + self._closing


def _worst(failures: list[SourceError | IntegrityError]) -> SourceError | IntegrityError:
    """The one to end with: wrong bytes before absent ones; how many others there were is said."""
    worst = next((one for one in failures if isinstance(one, IntegrityError)), failures[0])
    if len(failures) == 1:
        return worst
    return type(worst)(f"{worst} (and {len(failures) - 1} more of the places that should have it failed)")

"""A revision: the same crate with some recordings taken out, every other byte where it was (docs/format.md, Revisions)."""

import contextlib
import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import LEFTOVER_PREFIX, sync_folder, write_durably
from tenuto.crates import compose, zipform
from tenuto.crates.bag import BagInfo, parse_manifest
from tenuto.crates.hashing import metainfo_of
from tenuto.crates.holdings import note_holdings, read_holdings, read_sealed_catalogue
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of, pieces_of, root_of
from tenuto.crates.reader import CrateFile, Withdrawn, closing_leaves, read_table
from tenuto.crates.seal import (
    LEAVES_NAME,
    MANIFEST_NAME,
    TAG_MANIFEST_NAME,
    Item,
    closing_files,
    item,
    tail_of,
    torrent_beside,
)
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.crates.zipform import NEUTRAL_FOLDER, Entry, zeros_crc32
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import track_key

_NEXT_SUFFIX = ".torrent-next"
_SHA1_BYTES = 20
_PART_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Removal:
    """What is taken out: a track's recordings, or the one with this SHA-256; and what the crate says in its place."""

    key: str
    reason: str
    on: date
    sha256: str | None = None


def _rows_of(table: pa.Table, removals: Sequence[Removal]) -> dict[int, Removal]:
    """The rows of a crate's table that are taken out, each with why."""
    by_key = {one.key: one for one in removals if one.sha256 is None}
    by_digest = {one.sha256: one for one in removals if one.sha256 is not None}
    found = {}
    for row, (source, track_id, sha256) in enumerate(
        zip(*(table[name].to_pylist() for name in ("source", "track_id", "sha256")), strict=True)
    ):
        one = by_digest.get(sha256) or by_key.get(track_key(source, track_id))
        if one is not None:
            found[row] = one
    return found


def revise(layout: Layout, settings: Settings, path: Path, removals: Sequence[Removal]) -> Metainfo | None:
    """Write the crate file anew without these recordings; None where it holds none of them.

    Killed at any moment, it leaves the crate as it was or as it becomes; `finish_revision` then mends its torrent.
    """
    finish_revision(path)
    crate = CrateFile(path)
    table = read_holdings(crate, layout, settings)
    rows = _rows_of(table, removals)
    if not rows:
        return None
    left = table.take(pa.array([row for row in range(table.num_rows) if row not in rows], pa.int64()))
    before = read_metainfo(torrent_beside(path).read_bytes(), str(torrent_beside(path)))
    gone = _gone(crate, table, rows, left)
    beside = path.parent / f"{LEFTOVER_PREFIX}{path.name}"
    beside.unlink(missing_ok=True)
    try:
        with path.open("rb", buffering=0) as old, beside.open("x+b", buffering=0) as new:
            _copy_around(old, new, crate, gone)
            leaves = _leaves(new, crate, gone)
            new.seek(crate.leaves.header_offset)
            for part in _tail(layout, settings, crate, left, gone, leaves, before):
                _write(new, part)
            size = new.truncate()
            metainfo = _metainfo(new, size, before, crate, gone, leaves)
            os.fsync(new.fileno())
        write_durably(_next_torrent(path), metainfo.encode())
        beside.replace(path)
        sync_folder(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    finish_revision(path)
    with contextlib.suppress(OSError):  # only a cache, and the crate is written: a full disk is no hindrance any more
        note_holdings(layout, path, left)
    return metainfo


def finish_revisions(layout: Layout) -> None:
    """Finish every revision that was cut off between the crate and its torrent; a damaged crate is left for `check`."""
    for folder in (layout.crates, layout.dark):
        for coming in sorted(folder.glob(f"*{_NEXT_SUFFIX}")):
            path = coming.with_suffix(".zip")
            with contextlib.suppress(IntegrityError):
                if path.is_file():
                    finish_revision(path)


def finish_revision(path: Path) -> None:
    """Give a crate the torrent of the revision that it is, after a kill between the two."""
    coming = _next_torrent(path)
    if not coming.exists():
        return
    if pieces_root(CrateFile(path), coming) == read_metainfo(coming.read_bytes(), str(coming)).pieces_root:
        coming.replace(torrent_beside(path))
    else:
        coming.unlink()
    sync_folder(path.parent)


def pieces_root(crate: CrateFile, torrent: Path) -> bytes:
    """The root that the crate's own leaves and its closing bytes lead to."""
    piece = read_metainfo(torrent.read_bytes(), str(torrent)).piece_length
    return root_of(crate.read(LEAVES_NAME) + closing_leaves(crate), piece)


def _next_torrent(path: Path) -> Path:
    return torrent_beside(path).with_suffix(_NEXT_SUFFIX)


def _gone(
    crate: CrateFile, table: pa.Table, rows: Mapping[int, Removal], left: pa.Table
) -> list[tuple[Entry, Withdrawn]]:
    """The entries to be taken out: those that no track needs any more."""
    kept = set(left["path"].to_pylist())
    found: dict[str, tuple[Entry, Withdrawn]] = {}
    for row, removal in sorted(rows.items()):
        path = table["path"][row].as_py()
        if path not in kept:
            entry = crate.entries[path]
            taken = Withdrawn(
                removal.key, removal.reason, removal.on.isoformat(), entry.header_offset, entry.offset, entry.bytes
            )
            found[path] = (entry, taken)
    return sorted(found.values(), key=lambda one: one[0].header_offset)


def _copy_around(old: BinaryIO, new: BinaryIO, crate: CrateFile, gone: Sequence[tuple[Entry, Withdrawn]]) -> None:
    """All bytes before `leaves.bin` but those of the withdrawn: their headers say nothing, their data are a hole."""
    at = 0
    for entry, _ in gone:
        _copy(old, new, at, entry.header_offset)
        new.seek(entry.header_offset)
        _write(new, zipform.neutral_header(entry, f"{crate.crate}/{NEUTRAL_FOLDER}/", zeros_crc32(entry.bytes)))
        at = entry.end
    _copy(old, new, at, crate.leaves.header_offset)
    new.truncate(crate.leaves.header_offset)


def _copy(old: BinaryIO, new: BinaryIO, first: int, end: int) -> None:
    """Copy a range, holes staying holes; within one file system the kernel may share the blocks."""
    while first < end:
        begin, stop = _data_from(old, first, end)
        while begin < stop:
            count = _copy_part(old, new, begin, stop - begin)
            if not count:
                raise IntegrityError(f"{old.name} ends at byte {begin:,}, it should go on to {stop:,}")
            begin += count
        first = max(stop, begin)


def _data_from(old: BinaryIO, first: int, end: int) -> tuple[int, int]:
    """The next range of data; all of it where the file system cannot tell holes, none where only a hole is left."""
    try:
        begin = min(end, os.lseek(old.fileno(), first, os.SEEK_DATA))
        return begin, min(end, os.lseek(old.fileno(), begin, os.SEEK_HOLE)) if begin < end else end
    except OSError as error:
        return (end, end) if error.errno == errno.ENXIO else (first, end)


def _copy_part(old: BinaryIO, new: BinaryIO, at: int, count: int) -> int:
    """Copy some of the bytes at a place; returns how many."""
    try:
        return os.copy_file_range(old.fileno(), new.fileno(), count, at, at)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
        return os.pwrite(new.fileno(), os.pread(old.fileno(), min(count, _PART_BYTES), at), at)


def _leaves(new: BinaryIO, crate: CrateFile, gone: Sequence[tuple[Entry, Withdrawn]]) -> bytes:
    """The leaves as they become: those of the blocks that changed are taken from the new file."""
    leaves = bytearray(crate.read(LEAVES_NAME))
    covered = len(leaves) // HASH_BYTES * BLOCK_BYTES
    for first, end in _changed(gone, BLOCK_BYTES):
        for at in range(first, min(end, covered), _PART_BYTES):
            content = os.pread(new.fileno(), min(_PART_BYTES, min(end, covered) - at), at)
            found = leaves_of(content)
            place = at // BLOCK_BYTES * HASH_BYTES
            leaves[place : place + len(found)] = found
    return bytes(leaves)


def _changed(gone: Sequence[tuple[Entry, Withdrawn]], step: int) -> list[tuple[int, int]]:
    """The ranges that changed, widened to multiples of `step`."""
    return [(entry.header_offset // step * step, -(-entry.end // step) * step) for entry, _ in gone]


def _tail(
    layout: Layout, settings: Settings, crate: CrateFile, left: pa.Table, gone: Sequence[tuple[Entry, Withdrawn]], leaves: bytes,
    before: Metainfo,
) -> list[bytes]:  # fmt: skip
    withdrawn = sorted([*crate.withdrawn(), *(one for _, one in gone)], key=lambda one: one.header_offset)
    info = _info(crate, before, withdrawn, left.num_rows)
    tail = _describing(layout, settings, crate, left, info, withdrawn)
    dropped = {entry.header_offset for entry, _ in gone}
    front = {path: entry for path, entry in crate.entries.items() if entry.end <= crate.leaves.header_offset
             and entry.header_offset not in dropped}  # fmt: skip
    digests = {**parse_manifest(crate.read(TAG_MANIFEST_NAME)), **parse_manifest(crate.read(MANIFEST_NAME))}
    described = [(path, entry.bytes, digests[path]) for path, entry in front.items()]
    sealed = item(LEAVES_NAME, leaves)
    files = [sealed, *tail, *closing_files(described, tail, sealed, info)]
    return tail_of(crate.crate, list(front.values()), crate.leaves, files)


def _describing(
    layout: Layout, settings: Settings, crate: CrateFile, left: pa.Table, info: BagInfo, withdrawn: Sequence[Withdrawn]
) -> list[Item]:
    if crate.is_dark:
        tables = compose.narrowed(read_sealed_catalogue(crate, layout, settings), left)
        return compose.dark_tail(left, tables, info, settings.keys.age_recipients, withdrawn)
    folder = f"{compose.CATALOGUE_FOLDER}/"
    names = [path for path in crate.entries if path.startswith(folder) and path.endswith(".parquet")]
    tables = {
        path[len(folder) : -len(".parquet")]: read_table(crate.read(path), f"{crate.path}: {path}") for path in names
    }
    return compose.open_tail(left, compose.narrowed(tables, left), info, withdrawn)


def _info(crate: CrateFile, before: Metainfo, withdrawn: Sequence[Withdrawn], left: int) -> BagInfo:
    said = crate.info
    access = "dark" if crate.is_dark else "open"
    info = BagInfo(
        archive=said.get("Source-Organization", ""), contact=said.get("Contact-Email") or said.get("Contact-Name", ""),
        crate=crate.crate, description=compose.description(crate.kind, crate.band, left, access),
        dated=max(date.fromisoformat(one.on) for one in withdrawn) if withdrawn else date.fromisoformat(said["Bagging-Date"]),
        kind=crate.kind, access=access, band=crate.band, edition=said.get("Tenuto-Edition", ""), plan=said.get("Tenuto-Plan", ""),
    )  # fmt: skip
    return replace(info, revision=crate.revision + 1, predecessor=before.infohash_v2)


def _metainfo(
    new: BinaryIO, size: int, before: Metainfo, crate: CrateFile, gone: Sequence[tuple[Entry, Withdrawn]], leaves: bytes
) -> Metainfo:
    """The torrent of the revision: pieces that did not change keep the hash that they were sealed with."""
    piece = before.piece_length
    pieces = bytearray(before.pieces)
    del pieces[-(-size // piece) * _SHA1_BYTES :]
    pieces.extend(bytes(-(-size // piece) * _SHA1_BYTES - len(pieces)))
    for first, end in [*_changed(gone, piece), (crate.leaves.header_offset // piece * piece, size)]:
        for at in range(first, min(end, size), piece):
            place = at // piece * _SHA1_BYTES
            pieces[place : place + _SHA1_BYTES] = pieces_of(os.pread(new.fileno(), piece, at), piece)
    covered = len(leaves) // HASH_BYTES * BLOCK_BYTES
    closing = [leaves_of(os.pread(new.fileno(), _PART_BYTES, at)) for at in range(covered, size, _PART_BYTES)]
    return metainfo_of(crate.path.name, size, piece, leaves + b"".join(closing), bytes(pieces))


def _write(file: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]

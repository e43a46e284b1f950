"""Sealing: a crate file written once, in order, whole or not at all (docs/format.md, Crate).

All sizes are known before the first byte is written, so no header is ever patched.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder, write_durably
from tenuto.crates import bag, zipform
from tenuto.crates.bag import BagInfo
from tenuto.crates.hashing import HashedWriter, leaves_bytes
from tenuto.crates.merkle import piece_length
from tenuto.crates.torrent import Metainfo
from tenuto.crates.zipform import Entry
from tenuto.model.progress import Progress, Silent

BAGIT_NAME = "bagit.txt"
LEAVES_NAME = "leaves.bin"
INFO_NAME = "bag-info.txt"
MANIFEST_NAME = "manifest-sha256.txt"
TAG_MANIFEST_NAME = "tagmanifest-sha256.txt"


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be put in: `path` from the bag's folder on; its bytes, or the file that holds them."""

    path: str
    content: bytes | Path
    bytes: int
    crc32: int
    sha256: str
    is_aligned: bool = False


def item(path: str, content: bytes, *, is_aligned: bool = False) -> Item:
    """An item of bytes in memory."""
    return Item(path, content, len(content), zlib.crc32(content), hashlib.sha256(content).hexdigest(), is_aligned)


@dataclass(frozen=True, slots=True)
class Front:
    """Everything before the describing tail and where it lies, known before anything is written."""

    crate: str
    files: tuple[Item, ...]
    entries: tuple[Entry, ...]
    leaves: Entry

    def entry_of(self) -> dict[str, Entry]:
        """Path from the bag's folder on -> its entry."""
        return {file.path: entry for file, entry in zip(self.files, self.entries, strict=True)}


def lay_out(crate: str, files: Sequence[Item]) -> Front:
    """Place `bagit.txt`, the aligned files in their order, and the room for their leaves."""
    every = (item(BAGIT_NAME, bag.BAGIT_TXT), *(replace(file, is_aligned=True) for file in files))
    entries = _place(crate, every, 0)
    at = entries[-1].end
    leaves = zipform.place(f"{crate}/{LEAVES_NAME}", at, leaves_bytes(at), 0, is_aligned=True)
    return Front(crate, every, tuple(entries), leaves)


def closing_files(
    described: Sequence[tuple[str, int, str]], tail: Sequence[Item], leaves: Item, info: BagInfo
) -> list[Item]:
    """The bag's own last files; `described` are path, bytes and SHA-256 of the files before `leaves`, `bagit.txt` first."""
    every = [*described, *((one.path, one.bytes, one.sha256) for one in tail)]
    payload = [(path, size, sha256) for path, size, sha256 in every if path.startswith(bag.PAYLOAD)]
    about = item(INFO_NAME, info.encode(sum(size for _, size, _ in payload), len(payload)))
    listed = item(MANIFEST_NAME, bag.manifest((path, sha256) for path, _, sha256 in payload))
    tags = [(path, sha256) for path, _, sha256 in every if not path.startswith(bag.PAYLOAD)]
    tags += [(one.path, one.sha256) for one in (leaves, about, listed)]
    return [about, listed, item(TAG_MANIFEST_NAME, bag.manifest(tags))]


def tail_of(crate: str, kept: Sequence[Entry], leaves: Entry, files: Sequence[Item]) -> list[bytes]:
    """All bytes from `leaves.bin`'s header to the end of the crate, in parts, given its leaves as the first of `files`.

    `kept` are the entries before it that the central directory names.
    """
    entries = [*kept, replace(leaves, crc32=files[0].crc32)]
    parts = [zipform.local_header(entries[-1]), _content(files[0])]
    entries += _place(crate, files[1:], leaves.end)
    for file, entry in zip(files[1:], entries[len(kept) + 1 :], strict=True):
        parts += [zipform.local_header(entry), _content(file)]
    return [*parts, zipform.directory(entries, entries[-1].end)]


def seal(path: Path, front: Front, tail: Sequence[Item], info: BagInfo, progress: Progress | None = None) -> Metainfo:
    """Write the crate file at `path` and its torrent beside it; returns what the torrent says.

    `tail` are the describing files, in memory; the bag's own are added. Raises IntegrityError where a file no longer has the
    bytes that were noted when it was fetched; then nothing is at `path`.
    """
    progress = progress or Silent()
    make_folder(path.parent)
    beside = path.parent / f"{LEFTOVER_PREFIX}{path.name}"
    beside.unlink(missing_ok=True)
    try:
        with beside.open("xb", buffering=0) as file:
            metainfo = _write(
                HashedWriter(file, piece_length(_size(front, tail, info))), front, tail, info, progress, path.name
            )
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    write_durably(torrent_beside(path), metainfo.encode())
    return metainfo


def torrent_beside(crate_file: Path) -> Path:
    """Where the torrent of a crate file lies in the archive."""
    return crate_file.with_name(f"{crate_file.name.removesuffix('.zip')}.torrent")


def _write(
    writer: HashedWriter, front: Front, tail: Sequence[Item], info: BagInfo, progress: Progress, name: str
) -> Metainfo:
    with writer:
        for file, entry in zip(front.files, front.entries, strict=True):
            writer.write(zipform.local_header(entry))
            if isinstance(file.content, Path):
                writer.copy(file.content, file.bytes, file.sha256)
            else:
                writer.write(file.content)
            progress.advance(file.bytes)
        writer.check()
        for part in _tail(front, tail, info, writer.leaves()):
            writer.write(part)
        return writer.finish(name)


def _tail(front: Front, tail: Sequence[Item], info: BagInfo, leaves: bytes) -> list[bytes]:
    sealed = item(LEAVES_NAME, leaves)
    described = [(file.path, file.bytes, file.sha256) for file in front.files]
    return tail_of(
        front.crate, front.entries, front.leaves, [sealed, *tail, *closing_files(described, tail, sealed, info)]
    )


def _size(front: Front, tail: Sequence[Item], info: BagInfo) -> int:
    """How long the crate file will be: leaves have their length before they have their values."""
    return front.leaves.header_offset + sum(map(len, _tail(front, tail, info, bytes(front.leaves.bytes))))


def _place(crate: str, files: Sequence[Item], at: int) -> list[Entry]:
    entries = []
    for file in files:
        entries.append(zipform.place(f"{crate}/{file.path}", at, file.bytes, file.crc32, is_aligned=file.is_aligned))
        at = entries[-1].end
    return entries


def _content(file: Item) -> bytes:
    if isinstance(file.content, Path):
        raise TypeError(f"{file.path}: the describing tail is made in memory")
    return file.content

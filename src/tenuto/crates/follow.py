"""Moving a copy of a crate to a later revision without its maker: what the signed index and the old file tell is written here.

The withdrawn recordings become zeros, their headers neutral, `leaves.bin` what it then is. Only the describing tail is left to be
fetched (docs/format.md, Revisions). The file is changed in place; what comes out is proven by the new torrent, as any download.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tenuto.crates import zipform
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.zipform import NEUTRAL_FOLDER, Entry, zeros_crc32
from tenuto.model.errors import IntegrityError

Range = tuple[int, int]
"""Offset and length in bytes."""

_PART_BYTES = 8 * 2**20
_CRC_OFFSET = 14
"""In a local header (APPNOTE 4.3.7)."""


def follow(path: Path, redacted: Sequence[Range], size: int) -> None:
    """Change a crate file, or part of one, into what can be known of the revision that has `size` bytes and these zeros.

    Done twice, or on a file that is no whole crate any more, it does what is left to do.
    """
    entries = _entries(path)
    path.touch()
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        gone = [entry for entry in entries if (entry.offset, entry.bytes) in set(redacted)]
        for entry in gone:
            name = f"{entry.name.partition('/')[0]}/{NEUTRAL_FOLDER}/"
            _write(descriptor, zipform.neutral_header(entry, name, zeros_crc32(entry.bytes)), entry.header_offset)
        for offset, count in redacted:
            _make_zeros(descriptor, offset, count)
        leaves = next((entry for entry in entries if entry.name.endswith("/leaves.bin")), None)
        if leaves is not None and gone:
            _renew_leaves(descriptor, leaves, gone)
            os.ftruncate(descriptor, min(leaves.end, size))  # the old tail still names what was withdrawn
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(path: Path) -> list[Entry]:
    """Where things lie in the old revision; nothing where the file is not whole."""
    try:
        return list(CrateFile(path).entries.values())
    except (IntegrityError, OSError):
        return []


def _make_zeros(descriptor: int, offset: int, count: int) -> None:
    """Write zeros over what is none; what lies behind the end, or in a hole, is none written."""
    end = min(offset + count, os.fstat(descriptor).st_size)
    for at in range(offset, end, _PART_BYTES):
        content = os.pread(descriptor, min(_PART_BYTES, end - at), at)
        if any(content):
            _write(descriptor, bytes(len(content)), at)


def _renew_leaves(descriptor: int, leaves: Entry, gone: Iterable[Entry]) -> None:
    """The leaves of the blocks that changed, and the CRC-32 of all of them in their header."""
    covered = leaves.bytes // HASH_BYTES * BLOCK_BYTES
    for entry in gone:
        first, end = (
            entry.header_offset // BLOCK_BYTES * BLOCK_BYTES,
            min(-(-entry.end // BLOCK_BYTES) * BLOCK_BYTES, covered),
        )
        for at in range(first, end, _PART_BYTES):
            found = leaves_of(os.pread(descriptor, min(_PART_BYTES, end - at), at))
            _write(descriptor, found, leaves.offset + at // BLOCK_BYTES * HASH_BYTES)
    crc32 = 0
    for at in range(leaves.offset, leaves.end, _PART_BYTES):
        crc32 = zlib.crc32(os.pread(descriptor, min(_PART_BYTES, leaves.end - at), at), crc32)
    _write(descriptor, struct.pack("<I", crc32), leaves.header_offset + _CRC_OFFSET)


def _write(descriptor: int, content: bytes, at: int) -> None:
    view = memoryview(content)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done

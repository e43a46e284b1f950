"""The bytes of a ZIP archive as crates have it (docs/format.md, Crate): stored, aligned, no data descriptors. Pure.

Fields and signatures: APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14-4.3.16 (end), 4.5.3
(ZIP64).
"""

import struct
import zlib
from dataclasses import dataclass

from tenuto.crates.merkle import BLOCK_BYTES

LOCAL_BYTES = 30
PADDING_ID = 0x6E54
"""Our extra field: zeros that bring the data of an entry to a multiple of 16 KiB."""

NEUTRAL_FOLDER = "withdrawn"
"""Where the local headers of withdrawn entries say that they are."""

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<IIQI")
_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE, _END_SIGNATURE = 0x04034B50, 0x02014B50, 0x06054B50
_END64_SIGNATURE, _LOCATOR64_SIGNATURE = 0x06064B50, 0x07064B50
_UTF8 = 1 << 11
_DATE_1980 = (1 << 5) | 1
_MODE = 0o100644 << 16
_UNIX = 3 << 8
_PLAIN, _ZIP64 = 10, 45
_LIMIT = 0xFFFFFFFF
_ENTRIES_LIMIT = 0xFFFF
_ZEROS_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: where its local header and its data begin, what the data are."""

    name: str
    header_offset: int
    offset: int
    bytes: int
    crc32: int

    @property
    def end(self) -> int:
        """The first byte behind its data."""
        return self.offset + self.bytes


def place(name: str, header_offset: int, size: int, crc32: int, *, is_aligned: bool) -> Entry:
    """Where an entry lies whose local header begins at `header_offset`."""
    least = header_offset + LOCAL_BYTES + len(name.encode()) + (20 if size >= _LIMIT else 0)
    offset = least if not is_aligned else -(-(least + 4) // BLOCK_BYTES) * BLOCK_BYTES
    return Entry(name, header_offset, offset, size, crc32)


def local_header(entry: Entry) -> bytes:
    """The local header, its padding included: as long as `place` left room for."""
    name = entry.name.encode()
    is_large = entry.bytes >= _LIMIT
    extra = struct.pack("<HHQQ", 1, 16, entry.bytes, entry.bytes) if is_large else b""
    room = entry.offset - entry.header_offset - LOCAL_BYTES - len(name) - len(extra)
    if room:
        extra += struct.pack("<HH", PADDING_ID, room - 4) + bytes(room - 4)
    said = _LIMIT if is_large else entry.bytes
    version = _ZIP64 if is_large else _PLAIN
    head = _LOCAL.pack(
        _LOCAL_SIGNATURE, version, _UTF8, 0, 0, _DATE_1980, entry.crc32, said, said, len(name), len(extra)
    )
    return head + name + extra


def neutral_header(entry: Entry, neutral_name: str, zeros_crc32: int) -> bytes:
    """The local header of a withdrawn entry: of the same length, with a name that says nothing and the CRC of zeros."""
    was = len(entry.name.encode())
    name = neutral_name[:was].ljust(was, "_")
    return local_header(Entry(name, entry.header_offset, entry.offset, entry.bytes, zeros_crc32))


def directory(entries: list[Entry], offset: int) -> bytes:
    """The central directory and the end records, for a directory that begins at `offset`."""
    central = b"".join([_central(entry) for entry in entries])
    count, size = len(entries), len(central)
    end64 = b""
    if count >= _ENTRIES_LIMIT or offset >= _LIMIT or size >= _LIMIT:
        record = _END64.pack(
            _END64_SIGNATURE, _END64.size - 12, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, offset
        )
        end64 = record + _LOCATOR64.pack(_LOCATOR64_SIGNATURE, 0, offset + size, 1)
    count, size, offset = min(count, _ENTRIES_LIMIT), min(size, _LIMIT), min(offset, _LIMIT)
    return central + end64 + _END.pack(_END_SIGNATURE, 0, 0, count, count, size, offset, 0)


def _central(entry: Entry) -> bytes:
    name = entry.name.encode()
    large = [value for value in (entry.bytes, entry.bytes, entry.header_offset) if value >= _LIMIT]
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size, offset = min(entry.bytes, _LIMIT), min(entry.header_offset, _LIMIT)
    version = _ZIP64 if large else _PLAIN
    head = _CENTRAL.pack(_CENTRAL_SIGNATURE, _UNIX | version, version, _UTF8, 0, 0, _DATE_1980, entry.crc32, size, size,
                         len(name), len(extra), 0, 0, 0, _MODE, offset)  # fmt: skip
    return head + name + extra


def zeros_crc32(count: int) -> int:
    """The CRC-32 of so many zeros."""
    crc32, part = 0, bytes(min(count, _ZEROS_BYTES))
    while count:
        crc32 = zlib.crc32(memoryview(part)[:count], crc32)
        count -= min(count, len(part))
    return crc32

"""Files of an index that tell their own damage: what is read of them is checked, page by page, however long they are.

Behind the bytes stands a CRC-32 of each 4 KB of them (uint32), then what the file is (8 bytes) and how many bytes it has (uint64),
all little-endian.
"""

import mmap
import struct
import zlib
from array import array
from pathlib import Path

from tenuto.model.errors import IntegrityError

PAGE_BYTES = 4096
_AT_ONCE_BYTES = 256 * PAGE_BYTES
_TRAILER = struct.Struct("<8sQ")
_CHECK = struct.Struct("<I")


def seal(path: Path, kind: bytes) -> None:
    """End a file that was written with its checks; `kind`, of 8 bytes, names what it is and its version."""
    checks, size = array("I"), 0
    with path.open("r+b") as file:
        while part := memoryview(file.read(_AT_ONCE_BYTES)):
            checks.extend(zlib.crc32(part[at : at + PAGE_BYTES]) for at in range(0, len(part), PAGE_BYTES))
            size += len(part)
        file.write(b"".join(map(_CHECK.pack, checks)) + _TRAILER.pack(kind, size))


class Sealed:
    """A sealed file, opened for reading. Raises IntegrityError where it is cut, or is of another kind."""

    def __init__(self, path: Path, kind: bytes) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # an empty file cannot be mapped
            raise self.damage("is missing or empty") from None
        if len(self._bytes) < _TRAILER.size:
            raise self.damage("is cut")
        found, self.size = _TRAILER.unpack_from(self._bytes, len(self._bytes) - _TRAILER.size)
        if found != kind:
            raise self.damage(f"is of kind {found!r}, not {kind!r}")
        if len(self._bytes) != self.size + _CHECK.size * -(-self.size // PAGE_BYTES) + _TRAILER.size:
            raise self.damage("is cut")

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from a place on. Raises IntegrityError where they are not those that were written."""
        if not 0 <= offset <= offset + size <= self.size:
            raise self.damage(f"has no {size} bytes at {offset}")
        first, end = offset // PAGE_BYTES, -(-(offset + size) // PAGE_BYTES)
        pages = memoryview(self._bytes)[first * PAGE_BYTES : min(self.size, end * PAGE_BYTES)]
        for page in range(first, end):
            begin = (page - first) * PAGE_BYTES
            (due,) = _CHECK.unpack_from(self._bytes, self.size + _CHECK.size * page)
            if zlib.crc32(pages[begin : begin + PAGE_BYTES]) != due:
                raise self.damage(f"is damaged at byte {page * PAGE_BYTES}")
        begin = offset - first * PAGE_BYTES
        return bytes(pages[begin : begin + size])

    def damage(self, what: str) -> IntegrityError:
        """An error that says what is wrong with the file, and what to do."""
        return IntegrityError(f"{self._path} {what}; delete the folder {self._path.parent}, it is made again")

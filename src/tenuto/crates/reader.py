"""Reading a crate file, ours or a stranger's: what lies where, and the describing files; links and odd entries are refused."""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.crates.bag import FORMAT, parse_info
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of
from tenuto.crates.seal import INFO_NAME, LEAVES_NAME
from tenuto.crates.zipform import LOCAL_BYTES, Entry
from tenuto.model.errors import IntegrityError

RECORDINGS_NAME = "data/recordings.parquet"
WITHDRAWN_NAME = "data/withdrawn.json"
SEALED_RECORDINGS_NAME = "data/tables/recordings.age"
SEALED_CATALOGUE_NAME = "data/tables/catalogue.age"

_DIRECTORY_MAX_BYTES = 256 * 2**20
_ENDS_BYTES = 56 + 20 + 22
"""ZIP64 end record, its locator, end record (APPNOTE 4.3.14-4.3.16)."""

_DESCRIBING_MAX_BYTES = 512 * 2**20
"""20,000 recordings describe themselves in some 20 MB; more than this is an attack."""


_NO_ZIP = (zipfile.BadZipFile, OSError, ValueError, struct.error, EOFError, NotImplementedError)
"""What zipfile raises at a file that is no crate: the last where an entry asks for a version of ZIP that it does not know."""

_PART_BYTES = 8 * 2**20
_ROWS_MAX = 2_000_000
_UNPACKED_MAX_BYTES = 2**31


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """One recording that a revision took out: its key, why, when, and the bytes that are zeros now."""

    key: str
    reason: str
    on: str
    header_offset: int
    offset: int
    bytes: int


class CrateFile:
    """A crate file opened for reading; raises IntegrityError where it is none that this version knows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        try:
            entries = list(_entries(path))
        except _NO_ZIP as error:
            raise IntegrityError(f"{path} is no crate: {error}") from None
        tops = {entry.name.partition("/")[0] for entry in entries}
        if len(tops) != 1:
            raise IntegrityError(f"{path} is no crate: it has {len(tops)} top folders instead of one")
        self.crate = tops.pop()
        self.entries = {entry.name.partition("/")[2]: entry for entry in entries}
        if self.info.get("Tenuto-Format") != FORMAT:
            said = self.info.get("Tenuto-Format")
            raise IntegrityError(f"{path} is of format {said!r}; this version reads {FORMAT}")

    @cached_property
    def info(self) -> dict[str, str]:
        """The labels of bag-info.txt."""
        return parse_info(self.read(INFO_NAME))

    @property
    def is_dark(self) -> bool:
        """Whether its recordings are age files."""
        return self.info.get("Tenuto-Access") != "open"

    @property
    def kind(self) -> str:
        """recordings, metadata or evidence."""
        return self.info.get("Tenuto-Kind", "")

    @property
    def band(self) -> str:
        """The band of its recordings."""
        return self.info.get("Tenuto-Band", "")

    @property
    def revision(self) -> int:
        """0 for the first."""
        said = self.info.get("Tenuto-Revision", "0")
        return int(said) if said.isascii() and said.isdigit() else 0

    @property
    def leaves(self) -> Entry:
        """Where `leaves.bin` lies."""
        return self._entry(LEAVES_NAME)

    def read(self, path: str) -> bytes:
        """A describing file, its CRC-32 checked."""
        entry = self._entry(path)
        if entry.bytes > _DESCRIBING_MAX_BYTES:
            raise IntegrityError(f"{self.path}: {path} has {entry.bytes:,} bytes, which is more than it can need")
        content = self.read_range(entry.offset, entry.bytes)
        if zlib.crc32(content) != entry.crc32:
            raise IntegrityError(
                f"{self.path}: {path} has other bytes than its CRC-32 says; run: tenuto check {self.crate}"
            )
        return content

    def read_range(self, offset: int, count: int) -> bytes:
        """Bytes of the crate file; fewer at its end."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)

    def recordings(self) -> pa.Table:
        """`recordings.parquet` of an open crate."""
        return read_table(self.read(RECORDINGS_NAME), f"{self.path}: {RECORDINGS_NAME}")

    def withdrawn(self) -> list[Withdrawn]:
        """What was withdrawn from it."""
        return parse_withdrawn(self.read(WITHDRAWN_NAME), f"{self.path}: {WITHDRAWN_NAME}")

    def _entry(self, path: str) -> Entry:
        if path not in self.entries:
            raise IntegrityError(f"{self.path} is no crate: it holds no {path}")
        return self.entries[path]


def closing_leaves(crate: CrateFile) -> bytes:
    """The leaves of the blocks that `leaves.bin` does not cover."""
    first = crate.leaves.bytes // HASH_BYTES * BLOCK_BYTES
    return b"".join(
        [
            leaves_of(crate.read_range(at, min(_PART_BYTES, crate.size - at)))
            for at in range(first, crate.size, _PART_BYTES)
        ]
    )


def read_table(content: bytes, what: str) -> pa.Table:
    """A Parquet table from bytes; raises IntegrityError where they are none, or would unpack to more than a crate's."""
    try:
        _check_size(pq.ParquetFile(pa.BufferReader(content)).metadata)
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(f"{what} is no Parquet table ({error})") from None


def _check_size(about: pq.FileMetaData) -> None:
    unpacked = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    if about.num_rows > _ROWS_MAX or unpacked > _UNPACKED_MAX_BYTES:
        raise ValueError(f"{about.num_rows:,} rows of {unpacked:,} bytes are more than a crate's table has")


def parse_withdrawn(content: bytes, what: str) -> list[Withdrawn]:
    """The entries of a `withdrawn.json`."""
    try:
        values: Any = json.loads(content)
        return [Withdrawn(**one) for one in values["withdrawn"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{what} is not as a crate has it ({error})") from None


def _entries(path: Path) -> Iterator[Entry]:
    """The entries by the central directory, in the order of the file."""
    with path.open("rb") as file:
        if _directory_bytes(file) > _DIRECTORY_MAX_BYTES:
            raise ValueError("its central directory is larger than any crate's")
        archive = zipfile.ZipFile(file)
        for info in sorted(archive.infolist(), key=lambda one: one.header_offset):
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 0x9:
                raise ValueError(f"{info.filename} is packed or encrypted, or has no sizes in its header")
            if (info.external_attr >> 16) & 0o170000 not in {0, 0o100000} or not _is_safe(info.filename):
                raise ValueError(f"{info.filename!r} is no plain file below one folder")
            head = os.pread(file.fileno(), LOCAL_BYTES, info.header_offset)
            name, extra = struct.unpack("<HH", head[26:30])
            offset = info.header_offset + LOCAL_BYTES + name + extra
            yield Entry(info.filename, info.header_offset, offset, info.file_size, info.CRC)


def _directory_bytes(file: BinaryIO) -> int:
    """How long the central directory says it is (crates have no comment, so the end record is where it must be)."""
    size = file.seek(0, os.SEEK_END)
    tail = os.pread(file.fileno(), _ENDS_BYTES, max(0, size - _ENDS_BYTES))
    if tail[-22:-18] != b"PK\x05\x06":
        raise ValueError("it does not end as a ZIP archive without comment does")
    said: int = struct.unpack("<I", tail[-10:-6])[0]
    if said == 0xFFFFFFFF and tail[-98:-94] == b"PK\x06\x06":  # noqa: PLR2004 -- the ZIP64 record holds it
        said = struct.unpack("<Q", tail[-58:-50])[0]
    return said


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return (
        len(parts) > 1 and "\\" not in name and "\0" not in name and all(part not in {"", ".", ".."} for part in parts)
    )

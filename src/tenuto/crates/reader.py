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
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.crates.bag import FORMAT, parse_info
from tenuto.crates.seal import INFO_NAME, LEAVES_NAME
from tenuto.crates.zipform import LOCAL_BYTES, Entry
from tenuto.model.errors import IntegrityError

RECORDINGS_NAME = "data/recordings.parquet"
WITHDRAWN_NAME = "data/withdrawn.json"
SEALED_RECORDINGS_NAME = "data/tables/recordings.age"
SEALED_CATALOGUE_NAME = "data/tables/catalogue.age"

_DIRECTORY_MAX_BYTES = 256 * 2**20
_DESCRIBING_MAX_BYTES = 512 * 2**20
"""20,000 recordings describe themselves in some 20 MB; more than this is an attack."""


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
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, EOFError, NotImplementedError) as error:
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


def read_table(content: bytes, what: str) -> pa.Table:
    """A Parquet table from bytes; raises IntegrityError where they are none."""
    try:
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(f"{what} is no Parquet table ({error})") from None


def parse_withdrawn(content: bytes, what: str) -> list[Withdrawn]:
    """The entries of a `withdrawn.json`."""
    try:
        values: Any = json.loads(content)
        return [Withdrawn(**one) for one in values["withdrawn"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{what} is not as a crate has it ({error})") from None


def _entries(path: Path) -> Iterator[Entry]:
    """The entries by the central directory, in the order of the file."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        if path.stat().st_size - archive.start_dir > _DIRECTORY_MAX_BYTES:
            raise ValueError("its central directory is larger than any crate's")
        for info in sorted(archive.infolist(), key=lambda one: one.header_offset):
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 0x9:
                raise ValueError(f"{info.filename} is packed or encrypted, or has no sizes in its header")
            if (info.external_attr >> 16) & 0o170000 not in {0, 0o100000} or not _is_safe(info.filename):
                raise ValueError(f"{info.filename!r} is no plain file below one folder")
            head = os.pread(file.fileno(), LOCAL_BYTES, info.header_offset)
            name, extra = struct.unpack("<HH", head[26:30])
            offset = info.header_offset + LOCAL_BYTES + name + extra
            yield Entry(info.filename, info.header_offset, offset, info.file_size, info.CRC)


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return (
        len(parts) > 1 and "\\" not in name and "\0" not in name and all(part not in {"", ".", ".."} for part in parts)
    )

"""From an id, ISRC, UPC or MBID to the rows that have it: one file a column, of which a lookup reads two places.

A key's digest of 64 bits says where to look: its first bits name a bucket of about eight entries, the next 32 tell these apart.
What is found may, rarely, be another key's row: whoever asks looks at the row itself. The cost does not grow with the table.

A file is sealed (see `sealed`): the entries by their digests (uint64: 32 bits of the digest, then the row), where each bucket
begins (uint32), then the number of entries, of bucket bits, and the seed of the digests (uint64 each), all little-endian.
"""

import hashlib
import math
import os
import struct
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tenuto.catalogue.sealed import Sealed, seal

_KIND = b"TENUTOK2"
_TAIL = struct.Struct("<QQQ")
_ENTRIES_PER_BUCKET = 8
_SORTED_ROWS = 2**22
"""Entries sorted at a time, in some 150 MB."""

_HASHED_BYTES = 128
"""Bytes of a key up to which keys of one length are mixed together; there is no other key as long as that."""

_FOUND = np.dtype([("digest", "<u8"), ("row", "<u4")])
_STEPS = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))
"""Multipliers of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)."""


class KeysWriter:
    """Gathers the keys of a column and writes them when the block ends well; entries wait in parts by their first bits."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        self._seed = int.from_bytes(os.urandom(8), "little")  # so that nobody can make up ids that meet in one bucket
        self._part_bits = max(0, math.ceil(math.log2(max(1, rows) / _SORTED_ROWS)))
        self._count = 0
        self._closing = ExitStack()
        self._parts = [
            self._closing.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115 -- closed together
            for _ in range(1 << self._part_bits)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing:
            if kind is None:
                self._write()

    def entries_of(self, texts: pa.Array, first_row: int) -> Any:
        """The entries of rows from `first_row` on, for `add`; null keys are left out. For any thread."""
        found = np.empty(len(texts) - texts.null_count, _FOUND)
        found["row"] = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)) + first_row
        found["digest"] = _digests(texts.drop_null(), self._seed)
        return found

    def add(self, found: Any) -> None:
        """Keep entries until the end."""
        self._count += len(found)
        if not self._part_bits:
            self._parts[0].write(found.tobytes())
            return
        parts = _first_bits(found["digest"], self._part_bits)
        order = np.argsort(parts)
        ends = np.searchsorted(parts[order], np.arange(len(self._parts) + 1))
        found = found[order]
        for number, part in enumerate(self._parts):
            part.write(found[ends[number] : ends[number + 1]].tobytes())

    def _write(self) -> None:
        bits = max(self._part_bits, math.ceil(math.log2(max(1, self._count) / _ENTRIES_PER_BUCKET)))
        sizes = np.zeros(1 << bits, np.uint32)
        with self._path.open("wb") as file:
            for part in self._parts:
                part.seek(0)
                found = np.frombuffer(part.read(), _FOUND)
                if not len(found):
                    continue
                order = np.argsort(found["digest"])
                digests, rows = found["digest"][order], found["row"][order]
                buckets = _first_bits(digests, bits)
                counts = np.bincount(buckets - buckets[0])  # a part's buckets lie together
                sizes[buckets[0] : buckets[0] + len(counts)] += counts.astype(np.uint32)
                file.write(((_rest(digests, bits) << np.uint64(32)) | rows).astype("<u8").tobytes())
            file.write(np.concatenate([[0], np.cumsum(sizes, dtype=np.uint64)]).astype("<u4").tobytes())
            file.write(_TAIL.pack(self._count, bits, self._seed))
        seal(self._path, _KIND)


class Keys:
    """The keys of one column, opened for lookups. Raises IntegrityError where the file is not whole."""

    def __init__(self, path: Path) -> None:
        self._file = Sealed(path, _KIND)
        self._starts = self._file.size - _TAIL.size
        self._count, self._bits, self._seed = _TAIL.unpack(self._file.read(self._starts, _TAIL.size))
        self._starts -= 4 * ((1 << self._bits) + 1)
        if self._starts != 8 * self._count:
            raise self._file.damage("has other lengths than it says")

    def rows(self, key: str) -> list[int]:
        """The rows that may have this key, in order."""
        written = key.encode("utf-8", "backslashreplace")
        digest = _digests(pa.array([written], pa.binary()), self._seed)
        bucket = int(_first_bits(digest, self._bits)[0])
        first, end = struct.unpack("<II", self._file.read(self._starts + 4 * bucket, 8))
        entries = np.frombuffer(self._file.read(8 * first, 8 * (end - first)), "<u8")
        found = entries[(entries >> np.uint64(32)) == _rest(digest, self._bits)[0]]
        return sorted(int(entry) & 0xFFFF_FFFF for entry in found)


def _digests(texts: pa.Array, seed: int) -> Any:
    """64 bits of each text or byte string, none of them null: those of one length together, eight bytes at a step."""
    if not len(texts):
        return np.zeros(0, np.uint64)
    _, places, content = texts.buffers()
    offsets = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    held = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    found = np.empty(len(texts), np.uint64)
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        if length > _HASHED_BYTES:
            found[at] = [_digest(held[offsets[n] : offsets[n + 1]].tobytes(), seed) for n in at]
            continue
        padded = np.zeros((len(at), max(8, -(-length // 8) * 8)), np.uint8)
        if len(at) == len(texts):
            padded[:, :length] = held[offsets[0] : offsets[-1]].reshape(len(at), length)
        else:
            padded[:, :length] = held[offsets[at][:, None] + np.arange(length)]
        found[at] = _mixed(padded.view("<u8"), seed ^ length)
    return found


def _mixed(words: Any, seed: int) -> Any:
    found = np.full(len(words), seed, np.uint64)
    for column in words.T:
        found = (found ^ column) * _STEPS[0]
        found = (found ^ (found >> np.uint64(30))) * _STEPS[1]
        found = (found ^ (found >> np.uint64(27))) * _STEPS[2]
        found ^= found >> np.uint64(31)
    return found


def _digest(key: bytes, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, key=seed.to_bytes(8, "little")).digest(), "little")


def _first_bits(digests: Any, bits: int) -> Any:
    return (digests >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(digests), np.int64)


def _rest(digests: Any, bits: int) -> Any:
    """The 32 bits behind the first ones."""
    return (digests << np.uint64(bits)) >> np.uint64(32)

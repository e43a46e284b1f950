"""From an id, ISRC, UPC or MBID to the rows that have it: one sorted file a column, of which a lookup reads two places.

A key's MD5 says where to look: its first bits name a bucket of about eight entries, the next 32 tell these apart. What is found
may, rarely, be another key's row: whoever asks looks at the row itself. The cost does not grow with the table.

A file is a cache: `TENUTOK1`, the number of entries and of bucket bits (uint64 both), the entries (uint64: 32 bits of the digest,
then the row), and where each bucket begins (uint32), all little-endian.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from tenuto.model.errors import IntegrityError

_MAGIC = b"TENUTOK1"
_HEAD_BYTES = 24
_ENTRIES_PER_BUCKET = 8
_BATCH_ROWS = 1_000_000


def build_keys(con: duckdb.DuckDBPyConnection, path: Path, rows: str, column: str, row: str) -> None:
    """Write the keys of a column, null ones left out; `rows` is a FROM, `row` the column with the row number (below 2^32)."""
    [(count,)] = con.execute(f"SELECT count({column}) FROM {rows}").fetchall()
    bits = max(0, math.ceil(math.log2(max(1, count) / _ENTRIES_PER_BUCKET)))
    sizes = np.zeros(1 << bits, np.uint32)
    with path.open("wb") as file:
        file.write(_MAGIC + count.to_bytes(8, "little") + bits.to_bytes(8, "little"))
        for digests, numbers in _sorted(con, rows, column, row):
            buckets = _bucket(digests, bits)
            counts = np.bincount(buckets - buckets[0])  # sorted: a batch is of buckets that lie together
            sizes[buckets[0] : buckets[0] + len(counts)] += counts.astype(np.uint32)
            file.write(((_rest(digests, bits) << np.uint64(32)) | numbers).astype("<u8").tobytes())
        file.write(np.concatenate([[0], np.cumsum(sizes, dtype=np.uint64)]).astype("<u4").tobytes())


def _sorted(con: duckdb.DuckDBPyConnection, rows: str, column: str, row: str) -> Iterator[tuple[Any, Any]]:
    reader = con.sql(f"""
        SELECT md5_number_lower({column}) AS digest, {row}::UBIGINT AS number FROM {rows} WHERE {column} IS NOT NULL
        ORDER BY digest, number""").to_arrow_reader(_BATCH_ROWS)
    for batch in reader:
        yield batch.column(0).to_numpy(), batch.column(1).to_numpy()


class Keys:
    """The keys of one column, opened for lookups. Raises IntegrityError where the file is not whole."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        self._count, self._bits = int.from_bytes(head[8:16], "little"), int.from_bytes(head[16:24], "little")
        whole = head[:8] == _MAGIC and self._bits <= 32  # noqa: PLR2004 -- bits of a place in the file
        if not whole or size != _HEAD_BYTES + 8 * self._count + 4 * ((1 << self._bits) + 1):
            raise IntegrityError(f"{path} is not an index of this version, or is cut; delete it, it is made again")
        self._entries = np.memmap(path, "<u8", "r", _HEAD_BYTES, (self._count,)) if self._count else np.zeros(0, "<u8")
        self._starts = np.memmap(path, "<u4", "r", _HEAD_BYTES + 8 * self._count, ((1 << self._bits) + 1,))

    def rows(self, key: str) -> list[int]:
        """The rows that may have this key, in order."""
        digest = np.array([int.from_bytes(_md5(key)[8:], "little")], np.uint64)
        bucket = int(_bucket(digest, self._bits)[0])
        entries = np.asarray(self._entries[int(self._starts[bucket]) : int(self._starts[bucket + 1])])
        found = entries[(entries >> np.uint64(32)) == _rest(digest, self._bits)[0]]
        return sorted(int(entry) & 0xFFFF_FFFF for entry in found)


def _md5(key: str) -> bytes:
    return hashlib.md5(key.encode("utf-8", "backslashreplace"), usedforsecurity=False).digest()


def _bucket(digests: Any, bits: int) -> Any:
    """The first bits."""
    return (digests >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(digests), np.int64)


def _rest(digests: Any, bits: int) -> Any:
    """The 32 bits behind them."""
    return (digests << np.uint64(bits)) >> np.uint64(32)

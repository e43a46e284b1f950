"""The digest of a table's rows, whatever wrote its file: the same when another version of a library writes other Parquet bytes.

Format: docs/format.md, "Canonical digest". The rows are taken in the table's order, which its format fixes.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BLOCK_ROWS = 65_536
_TEXT_MAX_BYTES = 2**30

_Update = Callable[[Any], None]


class CanonicalDigest:
    """SHA-256 over the rows of a table, which come in any pieces."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pending: list[pa.RecordBatch] = []
        self._count = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """The next rows."""
        while batch.num_rows:
            part = batch.slice(0, BLOCK_ROWS - self._count)
            self._pending.append(part)
            self._count += part.num_rows
            batch = batch.slice(part.num_rows)
            if self._count == BLOCK_ROWS:
                self._take()

    def hexdigest(self) -> str:
        """The digest of all that was added; nothing is added behind it."""
        if self._count:
            self._take()
        return self._digest.hexdigest()

    def _take(self) -> None:
        block = pa.Table.from_batches(self._pending)
        if block.nbytes > _TEXT_MAX_BYTES:  # more than the offsets of plain strings can count
            block = block.cast(pa.schema([field.with_type(_large(field.type)) for field in block.schema]))
        block = block.combine_chunks()
        self._pending, self._count = [], 0
        for column in block.columns:
            _column(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column, self._digest.update)


def canonical_digest(table: pa.Table) -> str:
    """The digest of a whole table."""
    digest = CanonicalDigest()
    for batch in table.to_batches():
        digest.add(batch)
    return digest.hexdigest()


def _large(kind: pa.DataType) -> pa.DataType:
    return pa.large_string() if pa.types.is_string(kind) else kind


def _column(column: pa.Array, update: _Update) -> None:
    """Whether each value is known, a bit each; then the values, zero where they are not."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    known = column.is_valid().to_numpy(zero_copy_only=False)
    update(np.packbits(known, bitorder="little"))
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _texts(pc.fill_null(column, ""), update)
    elif pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        update(lengths.to_numpy(zero_copy_only=False).astype("<u4"))
        _column(column.flatten(), update)
    elif pa.types.is_boolean(kind):
        update(pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype("<u1"))
    elif pa.types.is_date32(kind):
        update(pc.fill_null(column.cast(pa.int32()), 0).to_numpy(zero_copy_only=False).astype("<i4"))
    else:
        values = pc.fill_null(column, pa.scalar(0, kind)).to_numpy(zero_copy_only=False)
        update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))))


def _texts(column: pa.Array, update: _Update) -> None:
    """The lengths in bytes, then the bytes."""
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False).astype("<u4")
    update(lengths)
    if lengths.any():
        _, offsets, content = column.buffers()
        places = np.frombuffer(offsets, np.int32 if pa.types.is_string(column.type) else np.int64)
        begin, end = places[column.offset], places[column.offset + len(column)]
        update(memoryview(content)[int(begin) : int(end)])

"""Rows of a Parquet file, fewer at a time where they are long: a text that the file holds once may stand in each of its rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_BATCH_ROWS = 256
_BATCH_MAX_BYTES = 32 * 2**20
_PART_MAX_BYTES = 8 * 2**20
"""What becomes Python's objects at a time."""
_NESTED_MAX_BYTES = 2**30
"""The lists of a row group, unpacked; one row may hold them all."""
_NUMBER_BYTES = 8


def open_parquet(file: Path) -> tuple[list[str], Iterator[list[Any]]]:
    """The columns and the rows. Raises pyarrow's errors where the file cannot be read, ValueError where lists are out of
    all proportion to it.
    """
    table = pq.ParquetFile(file)
    return list(table.schema_arrow.names), _rows(file, table)


def _rows(file: Path, table: pq.ParquetFile) -> Iterator[list[Any]]:
    leaves = [table.schema.column(place) for place in range(len(table.schema))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    packed = pq.ParquetFile(file, read_dictionary=texts)
    for group in range(table.num_row_groups):
        count = min(_BATCH_ROWS, max(1, _BATCH_MAX_BYTES // _row_bytes(packed, group)))
        for batch in table.iter_batches(batch_size=count, row_groups=[group]):
            for part in _small(batch):
                yield from map(list, zip(*(column.to_pylist() for column in part.columns), strict=True))


def _row_bytes(packed: pq.ParquetFile, group: int) -> int:
    """Bytes that a row of a group may take: by its longest texts, known from the dictionaries, or by what rows take on average."""
    about = packed.metadata.row_group(group)
    total = 0
    first = next(packed.iter_batches(batch_size=1, row_groups=[group]), None)
    longest = [size for column in (first.columns if first is not None else ()) for size in _longest(column)]
    for place, text_bytes in zip(range(about.num_columns), longest, strict=False):
        chunk = about.column(place)
        size = max(text_bytes, packed.schema.column(place).length)
        if "DELTA_BYTE_ARRAY" in chunk.encodings:  # each text may begin with the whole of the one before it
            size = max(size, chunk.total_uncompressed_size)
        if packed.schema.column(place).max_repetition_level:
            if size * chunk.num_values > _NESTED_MAX_BYTES:
                raise ValueError(f"the lists of column {chunk.path_in_schema!r} in row group {group} unpack to as much as "
                                 f"{size * chunk.num_values:,} bytes; write the file with smaller row groups")  # fmt: skip
            size *= -(-chunk.num_values // max(1, about.num_rows))
        total += size
    return int(max(total, about.total_byte_size // max(1, about.num_rows), 1))


def _longest(column: pa.Array) -> Iterator[int]:
    """Of each leaf of a column, in the file's order, the bytes of its longest value, as far as its dictionary tells."""
    if isinstance(column, pa.DictionaryArray):
        yield max(_NUMBER_BYTES, pc.max(pc.binary_length(column.dictionary)).as_py() or 0)
    elif isinstance(column, pa.StructArray):
        for child in column.flatten():
            yield from _longest(child)
    elif isinstance(column, pa.MapArray):
        yield from _longest(column.keys)
        yield from _longest(column.items)
    elif isinstance(column, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        yield from _longest(column.values)
    else:
        yield _NUMBER_BYTES


def _small(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The same rows, no more at a time than memory should hold as objects."""
    if batch.nbytes > _PART_MAX_BYTES and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from _small(batch.slice(0, half))
        yield from _small(batch.slice(half))
    else:
        yield batch

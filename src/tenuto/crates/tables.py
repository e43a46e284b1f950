"""The tables of a crate: one row a track that it holds a recording for (docs/format.md, Crate)."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.model.tables import STATEMENT

STATEMENT_FIELDS = [field for field in STATEMENT if field.name != "statement_row"]

RECORDINGS = pa.schema(
    [("path", pa.string()), ("offset", pa.uint64()), ("bytes", pa.uint64()), ("sha256", pa.string()),
     ("crc32", pa.uint32()), ("mime", pa.string()), ("codec", pa.string()), ("sample_rate_hz", pa.uint32()),
     ("channels_count", pa.uint16()), ("samples_count", pa.uint64()), ("duration_ms", pa.uint32()),
     ("tier", pa.string()), ("derived_from", pa.string()), ("is_lossy_to_lossy", pa.bool_()), ("source", pa.string()),
     ("track_id", pa.string()), ("evidence_id", pa.uint64()), ("offer_digest", pa.string()), ("title", pa.string()),
     ("artists", pa.list_(pa.string())), ("release", pa.string()), ("disc_number", pa.uint32()),
     ("track_number", pa.uint32()), ("licence", pa.string()), ("licence_url", pa.string()),
     ("attribution", pa.string()), ("statements", pa.list_(pa.struct(STATEMENT_FIELDS))),
     ("sealed_bytes", pa.uint64()), ("sealed_sha256", pa.string())]
)  # fmt: skip
"""In a dark crate `bytes`, `sha256` and `crc32` are of the recording, `sealed_…` of the age file that `path` names."""


def encode_table(table: pa.Table) -> bytes:
    """A table as Parquet (zstd); the same rows and library give the same bytes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()

"""Whether what is made up says as much as what is real: bytes of each field in Parquet, beside a public dump's.

A catalogue of ten names repeated packs to nothing, and every figure measured on it would be a promise nobody can keep.
"""

import gzip
import html
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.bench.tables import tables
from tenuto.bench.wanted import Wanted

NOTED_BYTES = {"track_id": 17.7, "isrc": 7.7, "title": 12.6}
"""Facts of the field, section 6: measured on random ids, and on real ISRCs and titles."""

_VALUES = 9_000
_DUMP_MAX_BYTES = 2**28
_TITLE = re.compile(rb"<track>.*?<title>([^<]*)</title>", re.DOTALL)
_NAME = re.compile(rb"<artist>.*?<name>([^<]*)</name>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: bytes a value, in as many values of each; None where there is nothing to hold it against."""

    name: str
    values: int
    generated_bytes: float
    real_bytes: float | None
    noted_bytes: float | None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def compared(wanted: Wanted, dumps: Path | None) -> list[Field]:
    """The fields of a catalogue beside those of the dumps in a folder, as many values of each."""
    real = {"title": _read(dumps, "*releases.xml.gz", _TITLE), "name": _read(dumps, "*artists.xml.gz", _NAME)}
    made = generated(wanted.seed, wanted.tracks)
    fields = []
    for name in ("track_id", "isrc", "title", "name"):
        beside = real.get(name, [])
        count = min(len(made[name]), len(beside) or _VALUES)
        measured = bytes_a_value(beside[:count]) if beside else None
        fields.append(Field(name, count, bytes_a_value(made[name][:count]), measured, NOTED_BYTES.get(name)))
    return fields


def generated(seed: int, tracks: int) -> dict[str, list[str]]:
    """Ids, ISRCs and titles of the first block's tracks in row order, and the names of its artists."""
    found: dict[str, list[str]] = {}
    for table, batch in tables(seed, tracks, 0, 1):
        if table == "track":
            found |= {name: batch.column(name).drop_null().to_pylist() for name in ("track_id", "isrc", "title")}
        elif table == "artist":
            found["name"] = batch.column("name").to_pylist()
    return found


def bytes_a_value(values: Sequence[str]) -> float:
    """Bytes a value of a Parquet column: zstd, no dictionary, one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"value": pa.array(values, pa.string())}), sink, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata.row_group(0).column(0)
    return float(column.total_compressed_size) / max(1, len(values))


def _read(folder: Path | None, pattern: str, field: re.Pattern[bytes]) -> list[str]:
    """What stands in the fields of a dump, in its order; nothing where there is none."""
    file = next(iter(sorted(folder.glob(pattern))), None) if folder is not None and folder.is_dir() else None
    if file is None:
        return []
    try:
        with gzip.open(file) as content:
            dump = content.read(_DUMP_MAX_BYTES)
    except (OSError, EOFError, zlib.error):
        return []
    return [html.unescape(text.decode("utf-8", "replace")) for text in field.findall(dump)]

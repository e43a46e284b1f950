"""Small text indexes for tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenuto.catalogue.search import TextIndex, build_index
from tenuto.model.progress import Silent

MEMORY_BYTES = 200_000_000
SCHEMA = pa.schema(
    {
        "track_row": pa.uint32(),
        "title": pa.string(),
        "artists": pa.list_(pa.string()),
        "release": pa.string(),
        "listens": pa.uint64(),
        "popularity": pa.uint8(),
        "year": pa.uint16(),
        "licence": pa.string(),
        "isrc": pa.string(),
        "source": pa.string(),
    }
)


def row(
    title: str | None, artists: str | Sequence[str] | None = (), release: str | None = None, **more: Any
) -> dict[str, Any]:
    """A row without its number."""
    return {
        "title": title,
        "artists": [artists] if isinstance(artists, str) else artists,
        "release": release,
        "source": "made",
        **more,
    }


def batches(rows: Iterable[dict[str, Any]], size: int = 1_000) -> list[pa.RecordBatch]:
    """Rows as they are numbered, in batches."""
    numbered = [{"track_row": number, **one} for number, one in enumerate(rows)]
    return pa.Table.from_pylist(numbered, schema=SCHEMA).to_batches(max_chunksize=size)


def make_index(folder: Path, rows: Iterable[dict[str, Any]], size: int = 1_000) -> TextIndex:
    """An index of these rows, opened."""
    build_index(folder, batches(rows, size), MEMORY_BYTES, Silent())
    return TextIndex.open(folder)

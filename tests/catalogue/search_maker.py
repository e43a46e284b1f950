"""Small text indexes for tests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenuto.catalogue.search.build import build_index
from tenuto.catalogue.search.columns import order_of
from tenuto.catalogue.search.find import TextIndex

MEMORY_BYTES = 60_000_000
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


@dataclass(frozen=True)
class Found:
    """A hit with the texts of its row."""

    track_row: int
    score: float
    title: str
    artists: tuple[str, ...]
    release: str
    artist: str


class Made:
    """An index of rows, opened, and the rows."""

    def __init__(self, folder: Path, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = {one.get("track_row", number): one for number, one in enumerate(rows)}
        self.index = TextIndex.open(folder, lambda row: self._rows[row]["title"] or "")

    def search(self, text: str, limit: int = 20, **more: Any) -> list[Found]:
        """As `TextIndex.search`."""
        hits = self.index.search(text, limit, **more)
        return [self._found(hit.track_row, hit.score, self._rows[hit.track_row]) for hit in hits]

    @staticmethod
    def _found(row: int, score: float, one: dict[str, Any]) -> Found:
        artists = tuple(one["artists"] or ())
        return Found(row, score, one["title"] or "", artists, one["release"] or "", ", ".join(artists))


def bound_of(rows: Iterable[pa.RecordBatch], fraction: float) -> int:
    """The `order` that this fraction of the rows reach."""
    orders = [n for one in rows for n in order_of(one["track_row"], one["listens"], one["popularity"]).to_pylist()]
    return sorted(orders, reverse=True)[int(len(orders) * fraction)] if orders else 0


def make_index(folder: Path, rows: Iterable[dict[str, Any]], size: int = 1_000, top: float = 0.3) -> Made:
    """An index of these rows, opened; this fraction of them is in the first tier."""
    rows = list(rows)
    made = batches(rows, size)
    folder.mkdir(parents=True)
    build_index(folder, made, MEMORY_BYTES, bound_of(made, top))
    return Made(folder, rows)

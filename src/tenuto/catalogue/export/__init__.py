"""Copies of an edition for other people's tools: SQLite, JSON lines, CSV. What they hold stands in docs/reading-an-edition.md."""

from tenuto.catalogue.export.lines import write_csv, write_jsonl
from tenuto.catalogue.export.sqlite import write_sqlite

__all__ = ["write_csv", "write_jsonl", "write_sqlite"]

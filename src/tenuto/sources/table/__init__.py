"""A table as a source: CSV, TSV, JSONL, Parquet, SQLite, and a mapping that says which column is what."""

from tenuto.sources.table.connector import Options, Table
from tenuto.sources.table.parse import parse

__all__ = ["Options", "Table", "parse"]

"""The rows of an edition on their way out, through DuckDB: in the tables' order, a batch at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from tenuto.catalogue.edition import Edition, refuse_damaged
from tenuto.model.errors import IntegrityError

_MEMORY = "2GB"


@contextmanager
def database(edition: Edition) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB within a ceiling of memory. An edition that is damaged, or cannot be read, is said as IntegrityError."""
    refuse_damaged(edition)
    with tempfile.TemporaryDirectory(prefix="tenuto-export-") as spill:
        settings: dict[str, Any] = {"temp_directory": spill, "memory_limit": _MEMORY, "arrow_large_buffer_size": True}
        try:
            with duckdb.connect(config=settings) as con:
                yield con
        except (duckdb.Error, pa.ArrowException) as error:
            said = str(error).partition("\n")[0]
            raise IntegrityError(
                f"edition {edition.info.edition} cannot be read ({said}); run: tenuto catalogue build"
            ) from error

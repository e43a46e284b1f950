"""What lies between two editions: what appeared, is gone, came back, has another id, and what is said otherwise of what stayed.

Things are matched by two hashes of source and own id, and looked at closely only where a hash of what is said of them differs: so
a few columns of 64 bits a side are joined, however wide the tables are. Of 50 million ids any two have one hash with a chance of
1 in 10,000, and are told apart by the other; a change is overlooked with one of 2^-64. Row numbers are of no account:
references are compared by the ids of what they name, credits in their order, statements and offers by what they say.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably
from tenuto.archive.processes import processors
from tenuto.catalogue.apart import CHANGES, compare_kind
from tenuto.catalogue.edition import Edition
from tenuto.model.errors import IntegrityError, UsageError

KINDS = ("track", "release", "artist")
_MEMORY_MAX_BYTES = 6 * 2**30
_MEMORY_SHARE = 0.6
_BATCH_ROWS = 65_536

_THING = pa.schema([(name, pa.string()) for name in ("kind", "change", "source", "own_id", "title", "successor_id")])
_FIELD = pa.schema(
    [*((name, pa.string()) for name in ("kind", "source", "own_id", "field")), ("is_count", pa.bool_()),
     ("before", pa.string()), ("after", pa.string())]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences of two editions, in a database: `thing` (kind, change, source, own_id, title, successor_id) and `field`
    (kind, source, own_id, field, is_count, before, after); and `tally` (kind, rows_a, gone, successors, rows_b).
    """

    con: duckdb.DuckDBPyConnection

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each kind how many things changed in which way, every way named: `changed` in what describes them, `counted` only in
        how popular they are.
        """
        found = {kind: dict.fromkeys((*CHANGES, "changed", "counted"), 0) for kind in KINDS}
        for kind, change, count in self.con.execute("SELECT kind, change, count(*) FROM thing GROUP BY ALL").fetchall():
            found[kind][change] = count
        for kind, changed, counted in self.con.execute("""
            SELECT kind, count(*) FILTER (WHERE NOT is_counted), count(*) FILTER (WHERE is_counted)
            FROM (SELECT kind, bool_and(is_count) AS is_counted FROM field GROUP BY kind, source, own_id)
            GROUP BY kind""").fetchall():
            found[kind] |= {"changed": changed, "counted": counted}
        return found

    def rows(self) -> dict[str, dict[str, int]]:
        """Of each kind the rows of both editions (`rows_a`, `rows_b`), how many of the first the second has not (`gone`), and how
        many took the place of something and did not appear (`successors`): rows_a + appeared + came_back + successors - gone
        = rows_b. Those that a tombstone tells of may be more than `gone`: some were gone before.
        """
        found = self.con.execute("SELECT kind, rows_a, gone, successors, rows_b FROM tally").fetchall()
        return {kind: dict(zip(("rows_a", "gone", "successors", "rows_b"), rest, strict=True)) for kind, *rest in found}

    def fields(self) -> dict[str, dict[str, int]]:
        """Of each kind how many things differ in which field, the most frequent first."""
        found: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
        for kind, field, count in self.con.execute("""
            SELECT kind, field, count(*) AS times FROM field GROUP BY ALL ORDER BY kind, times DESC, field""").fetchall():
            found[kind][field] = count
        return found

    def examples(self, limit: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The first rows of each kind and change, and of each kind and field: those with the least ids."""
        things = [row for kind in KINDS for change in CHANGES
                  for row in self._first("thing", _THING, f"kind = '{kind}' AND change = '{change}'", limit)]  # fmt: skip
        fields = [row for kind, counts in self.fields().items() for field in counts
                  for row in self._first("field", _FIELD, f"kind = '{kind}' AND field = '{field}'", limit)]  # fmt: skip
        return things, fields

    def write(self, folder: Path) -> None:
        """Write `things.parquet` and `fields.parquet` into a new folder, whole or not at all. Raises UsageError where it exists."""
        if folder.exists():
            raise UsageError(f"{folder} is there already; name a folder that is not")
        with folder_durably(folder.absolute()) as beside:
            self._write(beside / "things.parquet", "thing", "kind, change, source, own_id", _THING)
            self._write(beside / "fields.parquet", "field", "kind, source, own_id, field", _FIELD)

    def _first(self, table: str, schema: pa.Schema, which: str, limit: int) -> list[dict[str, Any]]:
        found = self.con.execute(
            f"SELECT {', '.join(schema.names)} FROM {table} WHERE {which} ORDER BY source, own_id LIMIT {limit}"
        )
        return [dict(zip(schema.names, row, strict=True)) for row in found.fetchall()]

    def _write(self, path: Path, table: str, order: str, schema: pa.Schema) -> None:
        rows = self.con.sql(f"SELECT {', '.join(schema.names)} FROM {table} ORDER BY {order}").to_arrow_reader(
            _BATCH_ROWS
        )
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in rows:
                writer.write_batch(batch.cast(schema))


@contextmanager
def compare(a: Edition, b: Edition, home: Path | None = None) -> Iterator[Diff]:
    """What changed from `a` to `b`; what does not fit into memory spills to `home` (None: the system's folder for such). Raises
    IntegrityError where an edition cannot be read.
    """
    spilling = tempfile.TemporaryDirectory(prefix=f"{LEFTOVER_PREFIX}diff-", dir=home)
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": processors(),
        "memory_limit": f"{min(_MEMORY_MAX_BYTES, int(machine_bytes * _MEMORY_SHARE))}B",
        "preserve_insertion_order": False,
    }
    with spilling as spill, duckdb.connect(config=config | {"temp_directory": spill}) as con:
        try:
            for name, schema in (("thing", _THING), ("field", _FIELD)):
                con.register("nothing", schema.empty_table())
                con.execute(f"CREATE TABLE {name} AS SELECT * FROM nothing")
                con.unregister("nothing")
            con.execute(
                "CREATE TABLE tally (kind VARCHAR, rows_a BIGINT, gone BIGINT, successors BIGINT, rows_b BIGINT)"
            )
            for kind in KINDS:
                compare_kind(con, kind, a, b)
        except duckdb.Error as error:
            said = str(error).partition("\n")[0]
            raise IntegrityError(
                f"{a.folder} or {b.folder} cannot be read ({said}); run: tenuto catalogue build"
            ) from None
        yield Diff(con)

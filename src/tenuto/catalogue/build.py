"""From evidence to an edition: a pure function of what is under `evidence/` (design, law 1).

It reads no clock, no network and no older edition, and of the settings only whose word comes first (`Precedence`); the same
evidence gives the same bytes.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive import Layout, remove_leftovers
from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.archive.processes import processors
from tenuto.catalogue import corrections, merge
from tenuto.catalogue.clusters import find_clusters
from tenuto.catalogue.descriptions import Precedence, describe
from tenuto.catalogue.edition import FORMAT, Edition, damage_of, open_edition
from tenuto.catalogue.history import load_days
from tenuto.catalogue.listens import merge_listens
from tenuto.catalogue.lookup import forget_lookups
from tenuto.catalogue.parts import Part
from tenuto.catalogue.reading import Read, forget_others, read_all
from tenuto.catalogue.rights import decide
from tenuto.catalogue.sightings import Sightings
from tenuto.catalogue.writing import make_current, write_edition
from tenuto.evidence import HarvestManifest, all_harvests
from tenuto.model.errors import UsageError
from tenuto.model.findings import Finding
from tenuto.model.ids import short_digest
from tenuto.model.progress import Progress
from tenuto.model.tables import FINDING, LINK

_OTHERS_BYTES, _OTHERS_TRACK_BYTES, _DATABASE_MIN_BYTES = 3 * 2**29, 22, 2**29
"""Of the memory that is allowed, so much is for tables being written and for Python itself, and, of each track, for the links of
clusters; the database gets the rest.
"""

_INTERRUPT_S = 0.05
_LICENCES = (
    "SELECT coalesce(licence, 'unknown') AS name, sum(tracks)::BIGINT FROM fact_said GROUP BY name ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Built:
    """An edition, and whether it is new; `damage` is what was wrong with one that was there and was written anew."""

    edition: Edition
    is_new: bool
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a build may take: memory in bytes (None: what DuckDB takes by itself, four fifths of the machine's), and the folder for
    what does not fit (None: the archive's `state/`).
    """

    memory_bytes: int | None = None
    temp: Path | None = None


def build(
    layout: Layout, progress: Progress, limits: Limits | None = None, precedence: Precedence | None = None
) -> Built:
    """Build the edition of all finished harvests and make it current; raises UsageError where there are none."""
    harvests = all_harvests(layout.evidence)
    read = read_all(layout.evidence, harvests, layout.parts, progress)
    return build_read(layout, harvests, read, progress, limits, precedence)


def build_read(
    layout: Layout,
    harvests: dict[str, list[HarvestManifest]],
    read: Read,
    progress: Progress,
    limits: Limits | None = None,
    precedence: Precedence | None = None,
) -> Built:
    """Build the edition of evidence that was read already, into `read`; the evidence itself is not asked for."""
    remove_leftovers(layout.catalogue)
    sightings = Sightings(harvests)
    for source, parts in read.items():
        sightings.add_source(source, parts)
    if sightings.is_empty():
        raise UsageError(f"{layout.root} holds no finished harvest; run: tenuto harvest")
    precedence = precedence or Precedence()
    digest, settings = sightings.digest(), tuple(precedence.lines())
    name = f"{sightings.newest().isoformat()}-{short_digest([FORMAT, digest, *settings])}"
    is_new = not layout.edition(name).exists()
    damage = "" if is_new else damage_of(layout.edition(name))
    if is_new or damage:
        progress.begin(f"merge into {name}")
        about = {"evidence_sha256": digest, "newest_evidence": sightings.newest(), "precedence": settings}
        with _database(layout, limits or Limits(), _tracks_in(sightings.parts)) as con:
            edition = _merge(con, layout, name, sightings, harvests, precedence, about)
    else:
        edition = open_edition(layout.edition(name))
    make_current(layout, edition)
    forget_others(layout.parts, read)
    forget_lookups(layout, edition, was_damaged=bool(damage))
    return Built(edition, is_new, damage)


def _tracks_in(parts: Iterable[Part]) -> int:
    """How many tracks were seen, those that were seen again counted again."""
    return sum(pq.read_metadata(rows).num_rows for part in parts if (rows := part.rows("track")) is not None)


@contextmanager
def _database(layout: Layout, limits: Limits, tracks: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that spills what is more than the limit; what it spilled goes with it."""
    home = limits.temp or layout.state
    mark = f"{LEFTOVER_PREFIX}merge-{hashlib.sha256(os.fsencode(layout.root)).hexdigest()[:16]}"
    for leftover in home.glob(f"{mark}-*"):  # of this archive, whose lock we hold
        shutil.rmtree(leftover, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{mark}-", dir=home))
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": processors(),
        "temp_directory": str(place),
        "arrow_large_buffer_size": True,
    }
    if limits.memory_bytes is not None:
        others = _OTHERS_BYTES + _OTHERS_TRACK_BYTES * tracks
        config["memory_limit"] = f"{max(_DATABASE_MIN_BYTES, limits.memory_bytes - others)}B"
    try:
        with duckdb.connect(config=config) as con:
            yield con
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _merge(
    con: duckdb.DuckDBPyConnection, layout: Layout, name: str, seen: Sightings, harvests: dict[str, list[HarvestManifest]],
    precedence: Precedence, about: dict[str, Any],
) -> Edition:  # fmt: skip
    """Merge what was seen, and write the edition."""
    merge.load(con, seen.parts, seen.table())
    seen.forget()
    load_days(con, seen.days)
    merge.merge(con)
    findings = [
        *_problems(con),
        *merge.contradictions(con),
        *describe(con, precedence),
        *corrections.apply_corrections(con),
    ]
    merge_listens(con, precedence)
    merge.number(con)
    findings += _loose_ends(con)
    statements, found = decide(con, seen.permissions)
    findings = sorted({*findings, *found, *seen.findings})
    about |= {
        "sources": _sources(con, harvests),
        "licences": dict(con.execute(_LICENCES).fetchall()),
        "findings": dict(sorted(Counter(finding.code for finding in findings).items())),
    }
    beside = _Cursors(con)
    with ThreadPoolExecutor(1) as thread:
        links = thread.submit(cluster, beside.open())
        tables = {
            **{name: partial(_rows, beside, rows) for name, rows in merge.ROWS.items()},
            "correction": partial(_rows, beside, corrections.correction_table),
            "statement": statements.to_reader,
            "finding": _finding_table(findings).to_reader,
            "link": lambda: links.result().select(LINK.names).to_reader(),
            "track": lambda: merge.track_table(beside.open(), links.result()),
        }
        try:
            return write_edition(layout, name, tables, about, beside.interrupt)
        except BaseException:
            beside.interrupt([links])
            raise


class _Cursors:
    """Cursors of a database for threads that work side by side; what they all do at a moment can be interrupted."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    def open(self) -> duckdb.DuckDBPyConnection:
        """Another one."""
        self._cursors.append(self._con.cursor())
        return self._cursors[-1]

    def interrupt(self, works: Iterable[Future[Any]]) -> None:
        """Interrupt one statement after the other, until all of these works have ended."""
        while not all(work.done() for work in works):
            for cursor in self._cursors:
                cursor.interrupt()
            time.sleep(_INTERRUPT_S)


def _rows(beside: _Cursors, rows: Callable[[duckdb.DuckDBPyConnection], pa.RecordBatchReader]) -> pa.RecordBatchReader:
    """The rows of a table, while other tables are read."""
    return rows(beside.open())


def cluster(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """The links of the tracks that are not alone (see `find_clusters`)."""
    con.execute("""
        CREATE TEMP VIEW track_heard AS
        WITH names AS (
            SELECT credit, list(coalesce(name, artist_id) ORDER BY position) AS artist FROM credit_person GROUP BY credit
        )
        SELECT track.track_row, track.title, artist, release.title AS release_title, isrc, duration_ms
        FROM track LEFT JOIN names USING (credit) LEFT JOIN release USING (release_row)""")
    return find_clusters(con, "track_heard").links


def _problems(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """What was wrong with answers that still hold."""
    found = con.execute("SELECT code, subject, message, source, evidence_id FROM problem_seen WHERE is_live").fetchall()
    return [
        Finding(code=code, subject=subject, message=message, source=source, evidence_id=evidence_id)
        for code, subject, message, source, evidence_id in found
    ]


_LOOSE = """
    SELECT 'reference-missing', track_id, 'it names release ' || release_id || ', of which no evidence tells', source, evidence_id
    FROM track WHERE release_id IS NOT NULL AND release_row IS NULL
    UNION ALL
    SELECT 'reference-missing', track_id, 'it names artist ' || coalesce(artist_id, '?') || ', of which no evidence tells', source,
           evidence_id
    FROM credit_named WHERE artist_row IS NULL
    UNION ALL
    SELECT 'reference-missing', release_id, 'it names artist ' || artist_id || ', of which no evidence tells', source, evidence_id
    FROM (SELECT source, release_id, evidence_id, unnest(artist_ids) AS artist_id FROM release)
    ANTI JOIN artist USING (source, artist_id)
    WHERE artist_id IS NOT NULL
    UNION ALL
    SELECT 'value-odd', track_id, 'it has ' || len(credit_artists) || ' credits; the first 65535 are kept', t.source, evidence_id
    FROM credit_list l JOIN track t ON t.credit = l.rowid WHERE len(credit_artists) > 65535
    UNION ALL
    SELECT 'permission-unmatched', l.track_id, 'listens of a track that the source does not have', l.source, l.evidence_id
    FROM listens_seen l LEFT JOIN track_merged t USING (source, track_id) WHERE l.is_live AND t.is_live IS NOT TRUE"""
"""Records that name what no evidence holds, or more than a table has room for: the reference is left empty, the record stays."""


def _loose_ends(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    return [
        Finding(code=code, subject=subject, message=message, source=source, evidence_id=evidence_id)
        for code, subject, message, source, evidence_id in con.execute(_LOOSE).fetchall()
    ]


def _finding_table(findings: list[Finding]) -> pa.Table:
    return pa.Table.from_pylist([finding.document() for finding in findings], FINDING)


def _sources(
    con: duckdb.DuckDBPyConnection, harvests: dict[str, list[HarvestManifest]]
) -> dict[str, dict[str, object]]:
    counts = [
        dict(con.execute(f"SELECT source, count(*) FROM {tracks} GROUP BY source").fetchall())
        for tracks in ("track", "(SELECT source FROM track_all WHERE NOT is_live)")
    ]
    return {
        name: {"kind": manifests[-1].kind, "tracks": counts[0].get(name, 0), "tombstones": counts[1].get(name, 0)}
        for name, manifests in harvests.items()
    }

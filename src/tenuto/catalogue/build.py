"""From evidence to an edition: a pure function of what is under `evidence/` (design, law 1).

It reads no clock, no network, no settings and no older edition; the same evidence gives the same bytes.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from tenuto.archive import Layout, remove_leftovers
from tenuto.catalogue import corrections, merge
from tenuto.catalogue.edition import FORMAT, Edition, damage_of, write_edition
from tenuto.catalogue.reading import forget_others, read_all
from tenuto.catalogue.rights import decide
from tenuto.catalogue.sightings import Sightings
from tenuto.evidence import HarvestManifest, all_harvests
from tenuto.model.errors import UsageError
from tenuto.model.findings import Finding
from tenuto.model.ids import short_digest
from tenuto.model.progress import Progress
from tenuto.model.tables import FINDING


@dataclass(frozen=True, slots=True)
class Built:
    """An edition, and whether it is new; `damage` is what was wrong with one that was there and was written anew."""

    edition: Edition
    is_new: bool
    damage: str = ""


def build(layout: Layout, progress: Progress) -> Built:
    """Build the edition of all finished harvests and make it current; raises UsageError where there are none."""
    remove_leftovers(layout.catalogue)
    harvests = all_harvests(layout.evidence)
    read = read_all(layout.evidence, harvests, layout.parts, progress)
    sightings = Sightings(harvests)
    for source, parts in read.items():
        sightings.add_source(source, parts)
    if sightings.is_empty():
        raise UsageError(f"{layout.root} holds no finished harvest; run: tenuto harvest")
    digest = sightings.digest()
    name = f"{sightings.newest().isoformat()}-{short_digest([FORMAT, digest])}"
    is_new = not layout.edition(name).exists()
    damage = "" if is_new else damage_of(layout.edition(name))
    progress.begin(f"merge into {name}")
    tables, findings = _tables(sightings, layout.state / "duckdb")
    findings += sightings.findings
    tables["finding"] = _finding_table(findings)
    about = {
        "evidence_sha256": digest,
        "newest_evidence": sightings.newest(),
        "sources": _sources(harvests, tables),
        "licences": _licences(tables["track"]),
        "findings": dict(sorted(Counter(finding.code for finding in set(findings)).items())),
    }
    built = Built(write_edition(layout, name, tables, about), is_new, damage)
    forget_others(layout.parts, read)
    return built


def _tables(seen: Sightings, spill: Path) -> tuple[dict[str, pa.Table], list[Finding]]:
    with duckdb.connect(config={"threads": 2, "temp_directory": str(spill)}) as con:
        merge.load(con, seen.parts, seen.table())
        merge.merge(con)
        findings = [*_problems(con), *corrections.apply_corrections(con)]
        merge.number(con)
        findings += _missing_references(con)
        statements, found = decide(con, seen.permissions)
        tables = {
            "artist": merge.artist_table(con),
            "release": merge.release_table(con),
            "track": merge.track_table(con),
            "credit": merge.credit_table(con),
            "offer": merge.offer_table(con),
            "statement": statements,
            "history": merge.history_table(con),
            "tombstone": merge.tombstone_table(con),
            "correction": corrections.correction_table(con),
        }
    return tables, [*findings, *found]


def _problems(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """What was wrong with answers that still hold."""
    found = con.execute("SELECT code, subject, message, source, evidence_id FROM problem_seen WHERE is_live").fetchall()
    return [
        Finding(code=code, subject=subject, message=message, source=source, evidence_id=evidence_id)
        for code, subject, message, source, evidence_id in found
    ]


def _missing_references(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Records that name what no evidence holds; the reference is left empty, the record stays."""
    missing = con.execute("""
        SELECT 'release ' || release_id, track_id, source, evidence_id FROM track
        WHERE release_id IS NOT NULL AND release_row IS NULL
        UNION ALL
        SELECT 'artist ' || coalesce(artist_id, '?'), track_id, source, evidence_id FROM credit_named WHERE artist_row IS NULL
        UNION ALL
        SELECT 'listens of', l.track_id, l.source, l.evidence_id FROM listens_seen l LEFT JOIN track USING (source, track_id)
        WHERE l.is_live AND track.track_id IS NULL""").fetchall()
    return [
        Finding(code="permission-unmatched" if what == "listens of" else "reference-missing", subject=track_id,
                message=f"{what} a track that the source does not have" if what == "listens of"
                else f"it names {what}, of which no evidence tells", source=source, evidence_id=evidence_id)
        for what, track_id, source, evidence_id in missing
    ]  # fmt: skip


def _finding_table(findings: list[Finding]) -> pa.Table:
    rows = [finding.document() for finding in sorted(set(findings))]
    return pa.Table.from_pylist(rows, FINDING)


def _sources(harvests: dict[str, list[HarvestManifest]], tables: dict[str, pa.Table]) -> dict[str, dict[str, object]]:
    tracks = Counter(tables["track"].column("source").to_pylist())
    stones = Counter(tables["tombstone"].column("source").to_pylist())
    return {
        name: {"kind": manifests[-1].kind, "tracks": tracks[name], "tombstones": stones[name]}
        for name, manifests in harvests.items()
    }


def _licences(track: pa.Table) -> dict[str, int]:
    counts = Counter(licence or "unknown" for licence in track.column("licence").to_pylist())
    return dict(sorted(counts.items()))

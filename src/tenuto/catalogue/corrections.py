"""Corrections by hand, applied last: each sets one field of one thing and stands in the `correction` table."""

import duckdb
import pyarrow as pa

from tenuto.model.findings import Finding

FIELDS = {
    "artist": ("name", "sort_name", "artist_id_musicbrainz", "isni"),
    "release": ("title", "release_type", "label", "upc", "release_date", "copyright_c", "copyright_p",
                "release_id_musicbrainz"),
    "track": ("title", "disc_number", "track_number", "duration_ms", "is_explicit", "isrc", "licence_text",
              "recording_id_musicbrainz"),
}  # fmt: skip
"""What a correction may set; ids and counts of the source are not ours to change."""


def apply_corrections(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Apply what is in `correction_seen` to `<kind>_all`; a finding for each that fits nothing."""
    findings = []
    wanted = con.execute("""
        SELECT corrected_source, kind, own_id, field, value, evidence_id, source FROM correction_seen WHERE is_live
        ORDER BY source, evidence_id, corrected_source, kind, own_id, field, value""").fetchall()
    for row in wanted:
        problem = _apply(con, *row[:5])
        if problem:
            subject = f"{row[0]} {row[1]} {row[2]} {row[3]}"
            findings.append(Finding(code="reference-missing", subject=subject, message=problem, source=row[6],
                                    evidence_id=row[5]))  # fmt: skip
    return findings


def correction_table(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """All corrections that hold, applied or not."""
    return con.sql("""
        SELECT corrected_source AS source, kind, own_id, field, value, reason, corrected_by, evidence_id
        FROM correction_seen WHERE is_live ORDER BY ALL""").to_arrow_table()


def _apply(con: duckdb.DuckDBPyConnection, source: str, kind: str, own_id: str, field: str, value: str | None) -> str:
    """Set one field; returns what is wrong, or nothing."""
    if field not in FIELDS.get(kind, ()):
        allowed = ", ".join(FIELDS.get(kind, ())) or f"nothing: kinds are {', '.join(FIELDS)}"
        return f"a correction may set {allowed}"
    found = con.execute(f"SELECT count(*) FROM {kind}_all WHERE source = ? AND {kind}_id = ? AND is_live",
                        [source, own_id]).fetchall()[0][0]  # fmt: skip
    if not found:
        return "the source has no such thing"
    try:
        con.execute(f"UPDATE {kind}_all SET {field} = ? WHERE source = ? AND {kind}_id = ?", [value, source, own_id])
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return ""

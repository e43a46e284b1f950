"""Corrections by hand, applied last: each sets one field of one thing and stands in the `correction` table.

Of several for one field the last line of the last source (by name) holds; all stand in the table. A licence does not
overwrite what the track says of itself: it stands beside it, as a statement of its own.
"""

from collections.abc import Callable

import duckdb
import pyarrow as pa

from tenuto.model.findings import Finding
from tenuto.sources import values


def _words(value: str) -> str:
    return value


def _truth(value: str) -> bool | None:
    return {"true": True, "false": False}.get(value.casefold())


def _whole(low: int, high: int) -> Callable[[str], int | None]:
    return lambda value: values.Values("").whole("", value, low, high)


FIELDS: dict[str, dict[str, Callable[[str], object]]] = {
    "artist": {"name": _words, "sort_name": _words, "artist_id_musicbrainz": values.mbid, "isni": _words},
    "release": {"title": _words, "release_type": _words, "label": _words, "upc": values.upc,
                "release_date": values.partial_date, "copyright_c": _words, "copyright_p": _words,
                "release_id_musicbrainz": values.mbid},
    "track": {"title": _words, "disc_number": _whole(0, 9999), "track_number": _whole(0, 99_999),
              "duration_ms": _whole(1, values.DURATION_MAX_MS), "is_explicit": _truth, "isrc": values.isrc,
              "licence_text": _words, "recording_id_musicbrainz": values.mbid},
}  # fmt: skip
"""What a correction may set, and how its value is read; ids and counts of the source are not ours to change."""


def apply_corrections(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Apply what is in `correction_seen` to `<kind>_all`; a finding for each that fits nothing.

    A licence goes to `licence_correction` ("" where it was taken away) and `correction_evidence_id` of `track_all`.
    """
    con.execute("ALTER TABLE track_all ADD COLUMN licence_correction VARCHAR")
    con.execute("ALTER TABLE track_all ADD COLUMN correction_evidence_id UBIGINT")
    findings = []
    wanted = con.execute("""
        SELECT corrected_source, kind, own_id, field, value, evidence_id, source FROM correction_seen WHERE is_live
        ORDER BY source, evidence_id, ordinal""").fetchall()
    for row in wanted:
        problem = _apply(con, *row[:6])
        if problem:
            subject = f"{row[0]} {row[1]} {row[2]} {row[3]}"
            findings.append(Finding(code=problem[0], subject=subject, message=problem[1], source=row[6],
                                    evidence_id=row[5]))  # fmt: skip
    return findings


def correction_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """All corrections that hold, applied or not."""
    return con.sql("""
        SELECT corrected_source AS source, kind, own_id, field, value, reason, corrected_by, evidence_id
        FROM correction_seen WHERE is_live ORDER BY ALL""").to_arrow_reader()


def _apply(
    con: duckdb.DuckDBPyConnection, source: str, kind: str, own_id: str, field: str, value: str | None, evidence_id: int
) -> tuple[str, str] | None:
    """Set one field; returns the code and sentence of what is wrong, or None."""
    if field not in FIELDS.get(kind, {}):
        allowed = ", ".join(FIELDS.get(kind, {})) or f"nothing: kinds are {', '.join(FIELDS)}"
        return "value-odd", f"a correction may set {allowed}"
    read = FIELDS[kind][field](value) if value is not None else None
    if value is not None and read is None:
        return "value-odd", f"{value[:80]!r} cannot be a {field}; it stays as the source says"
    is_licence = field == "licence_text"
    set_ = "licence_correction = ?, correction_evidence_id = ?" if is_licence else f"{field} = ?"
    values_ = [read or "", evidence_id] if is_licence else [read]
    changed = con.execute(f"UPDATE {kind}_all SET {set_} WHERE source = ? AND {kind}_id = ? AND is_live",
                          [*values_, source, own_id]).fetchall()[0][0]  # fmt: skip
    return None if changed else ("reference-missing", "the source has no such thing")

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
    """Make `<kind>_all` of `<kind>_told`, corrected by what is in `correction_seen`; a finding for each one that fits nothing.

    A licence goes to `licence_correction` ("" where it was taken away) and `correction_evidence_id` of `track_all`.
    """
    wanted = con.execute("""
        SELECT corrected_source, kind, own_id, field, value, evidence_id, source FROM correction_seen WHERE is_live
        ORDER BY source, evidence_id, ordinal""").fetchall()
    there = _things_that_are_there(
        con, {(kind, source, own_id) for source, kind, own_id, *_ in wanted if kind in FIELDS}
    )
    findings, fields = list[Finding](), {kind: dict[tuple[str, str], dict[str, object]]() for kind in FIELDS}
    for source, kind, own_id, field, text, evidence_id, said_by in wanted:
        value = FIELDS[kind][field](text) if text is not None and field in FIELDS.get(kind, {}) else None
        problem = _problem(kind, field, text, value, is_there=(kind, source, own_id) in there)
        if problem:
            findings.append(Finding(code=problem[0], subject=f"{source} {kind} {own_id} {field}", message=problem[1],
                                    source=said_by, evidence_id=evidence_id))  # fmt: skip
            continue
        corrected = fields[kind].setdefault((source, own_id), {})
        if field == "licence_text":
            corrected |= {"licence_correction": value or "", "correction_evidence_id": evidence_id}
        else:
            corrected[field] = value
    for kind, things in fields.items():
        _apply(con, kind, things)
    return findings


def correction_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """All corrections that hold, applied or not."""
    return con.sql("""
        SELECT corrected_source AS source, kind, own_id, field, value, reason, corrected_by, evidence_id
        FROM correction_seen WHERE is_live ORDER BY ALL""").to_arrow_reader()


def _problem(kind: str, field: str, text: str | None, value: object, *, is_there: bool) -> tuple[str, str] | None:
    """The code and sentence of why a correction cannot be applied, or None; `value` is what was read in its text."""
    if field not in FIELDS.get(kind, {}):
        allowed = ", ".join(FIELDS.get(kind, {})) or f"nothing: kinds are {', '.join(FIELDS)}"
        return "value-odd", f"a correction may set {allowed}"
    if text is not None and value is None:
        return "value-odd", f"{text[:80]!r} cannot be a {field}; it stays as the source says"
    return None if is_there else ("reference-missing", "the source has no such thing")


def _things_that_are_there(
    con: duckdb.DuckDBPyConnection, named: set[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Those of (kind, source, id) that a source has, or had: what is gone is corrected too, so that its successor is found."""
    found = set[tuple[str, str, str]]()
    for kind in FIELDS:
        if ids := {(source, own_id) for of, source, own_id in named if of == kind}:
            con.register("incoming", pa.table(list(zip(*ids, strict=True)), ["source", "own_id"]))
            there = con.execute(f"""
                SELECT source, own_id FROM incoming JOIN {kind}_told t USING (source) WHERE {kind}_id = own_id""")
            found |= {(kind, source, own_id) for source, own_id in there.fetchall()}
            con.unregister("incoming")
    return found


def _apply(con: duckdb.DuckDBPyConnection, kind: str, things: dict[tuple[str, str], dict[str, object]]) -> None:
    """Make `<kind>_all`: each corrected field of each thing set, by one join, however many there are."""
    if not things:
        con.execute(f"CREATE VIEW {kind}_all AS FROM {kind}_told")
        return
    types = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {kind}_told)").fetchall())
    names = sorted({name for fields in things.values() for name in fields})
    values_ = {
        name: [None if (value := of.get(name)) is None else str(value) for of in things.values()] for name in names
    }
    is_set = {f"is_set_{name}": [name in of for of in things.values()] for name in names}
    keys = {"source": [source for source, _ in things], "own_id": [own_id for _, own_id in things]}
    con.register("incoming", pa.table({**keys, **values_, **is_set}))
    replaced = ", ".join(
        f"CASE WHEN is_set_{name} THEN c.{name}::{types[name]} ELSE t.{name} END AS {name}" for name in names
    )
    con.execute(f"""
        CREATE TABLE {kind}_all AS SELECT t.* REPLACE ({replaced})
        FROM {kind}_told t LEFT JOIN incoming c ON c.source = t.source AND c.own_id = t.{kind}_id""")
    con.unregister("incoming")

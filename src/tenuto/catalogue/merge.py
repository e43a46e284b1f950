"""Merging what was seen into tables: one row a thing, references as row numbers, a release's tracks together.

Of each id, the records of the newest harvest that saw it count; among them the fullest gives each field first, ties
by evidence id, then by place in the answer. All of it is SQL over Arrow columns, so nothing depends on the order in
which evidence was read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from tenuto.catalogue.descriptions import description_table
from tenuto.catalogue.edition import sql_rows
from tenuto.catalogue.history import history_table
from tenuto.catalogue.markets import availability_table, market_set_table
from tenuto.catalogue.parts import Part
from tenuto.catalogue.rows import KINDS, schema_of
from tenuto.catalogue.sightings import SIGHTING
from tenuto.catalogue.vanished import tombstone_table
from tenuto.model.findings import Finding

BATCH_ROWS = 65_536
"""Rows of a table that are handed on at once."""

_OWN_IDS = {"artist": "artist_id", "release": "release_id", "track": "track_id"}


def load(con: duckdb.DuckDBPyConnection, parts: Sequence[Part], sightings: pa.Table) -> None:
    """Show what was seen, of each kind, as `<kind>_seen`: the rows of those answers that count, with their stamp."""
    con.register("sightings", sightings)
    con.execute(
        "CREATE TYPE source_name AS ENUM (SELECT DISTINCT source FROM sightings ORDER BY source)"
    )  # sorts as numbers
    con.execute("CREATE TABLE sighting AS SELECT * REPLACE (source::source_name AS source) FROM sightings")
    con.unregister("sightings")
    con.execute("CREATE TABLE part_file (filename VARCHAR, part INTEGER)")
    for kind in KINDS:
        files = {str(path): number for number, part in enumerate(parts) if (path := part.rows(kind)) is not None}
        if files:
            con.executemany("INSERT INTO part_file VALUES (?, ?)", list(files.items()))
            rows = sql_rows(*map(Path, files), more=", filename = true")
        else:
            rows = f"no_{kind}"
            con.register("nothing", schema_of(kind).append(pa.field("filename", pa.string())).empty_table())
            con.execute(f"CREATE TABLE {rows} AS SELECT * FROM nothing")  # what is registered is of this cursor alone
            con.unregister("nothing")
        join = "LEFT JOIN" if kind == "market_set" else "JOIN"  # a part holds each set once, whichever answer counts
        con.execute(f"""
            CREATE VIEW {kind}_seen AS
            SELECT r.* EXCLUDE (filename, record), s.* EXCLUDE (part, record)
            FROM {rows} r JOIN part_file USING (filename) {join} sighting s USING (part, record)""")


def merge(con: duckdb.DuckDBPyConnection) -> None:
    """Make `artist_merged`, `release_merged` and `track_merged` with one row a thing, live or gone."""
    for kind in _OWN_IDS:
        _merge(con, kind)


def _merge(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    """One row a thing. What one record of its newest harvest tells, most of a large catalogue, is taken as it is; only what several
    tell is merged field by field. Where all was seen once no copy is made: it is read where it lies.
    """
    own = _OWN_IDS[kind]
    stamp = {*SIGHTING.names, "fullness", "ordinal", own}
    names = [name for name, *_ in con.execute(f"DESCRIBE {kind}_seen").fetchall() if name not in stamp]
    merged = "".join(f"arg_min({name}, place) FILTER (WHERE {name} IS NOT NULL) AS {name}, " for name in names)
    single, more = "".join(f"{name}, " for name in names), ""
    if kind == "track":
        merged += "arg_min(told_on, place) FILTER (WHERE listens_count IS NOT NULL) AS counted_on, "
        single += "CASE WHEN listens_count IS NOT NULL THEN told_on END AS counted_on, "
        more = ", NULL::VARCHAR AS licence_correction, NULL::UBIGINT AS correction_evidence_id"
    con.execute(f"""
        CREATE TABLE {kind}_often AS SELECT hash(source, {own}) AS hashed FROM {kind}_seen GROUP BY hashed HAVING count(*) > 1""")
    [(is_often,)] = con.execute(f"SELECT EXISTS (FROM {kind}_often)").fetchall()
    once = f"""
        SELECT source, {own}, {single}is_live, evidence_id, first_seen, last_seen{more}
        FROM (SELECT *, first_seen AS told_on FROM {kind}_seen)"""
    if not is_often:
        con.execute(f"CREATE VIEW {kind}_merged AS {once}")
        return
    con.execute(f"""
        CREATE TABLE {kind}_dated AS
        WITH harvest AS (
            SELECT source, {own}, newest, count(*) AS records, min(first_seen) AS first_seen, max(last_seen) AS last_seen
            FROM {kind}_seen WHERE hash(source, {own}) IN (FROM {kind}_often) GROUP BY ALL
        )
        SELECT source, {own}, max(newest) AS newest, arg_max(records, newest) AS records,
               min(first_seen) AS first_seen, max(last_seen) AS last_seen
        FROM harvest GROUP BY source, {own}""")
    con.execute(f"""
        CREATE TABLE {kind}_merged AS
        WITH several AS (
            SELECT s.* EXCLUDE (first_seen, last_seen), s.first_seen AS told_on, d.first_seen, d.last_seen, d.records
            FROM {kind}_seen s JOIN {kind}_dated d USING (source, {own}, newest)
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY source, {own} ORDER BY fullness DESC, evidence_id, ordinal) AS place
            FROM several WHERE records > 1
        )
        SELECT source, {own}, {merged}bool_or(is_live) AS is_live, arg_min(evidence_id, place) AS evidence_id,
               any_value(first_seen) AS first_seen, any_value(last_seen) AS last_seen{more}
        FROM ranked GROUP BY source, {own}
        UNION ALL
        SELECT source, {own}, {single}is_live, evidence_id, first_seen, last_seen{more} FROM several WHERE records = 1
        UNION ALL
        {once} WHERE hash(source, {own}) NOT IN (FROM {kind}_often)""")


_SPOKEN_FOR_ONCE = {
    "artist": ("name",),
    "release": ("title", "upc"),
    "track": ("title", "release_id", "duration_ms", "isrc"),
}
"""Fields of which a thing has one: answers of one harvest that give others contradict each other."""


def contradictions(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """A finding for each thing of whose fields the answers of its newest harvest disagree; the fullest record holds."""
    findings = list[Finding]()
    tables = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for kind, fields in _SPOKEN_FOR_ONCE.items():
        if f"{kind}_dated" not in tables:  # all was told once
            continue
        own = _OWN_IDS[kind]
        differ = [f"count(DISTINCT {name}) > 1" for name in fields]
        said = ", ".join(f"CASE WHEN {test} THEN '{name}' END" for test, name in zip(differ, fields, strict=True))
        found = con.execute(f"""
            SELECT s.source, {own}, min(evidence_id), concat_ws(', ', {said})
            FROM {kind}_seen s JOIN {kind}_dated d USING (source, {own}, newest)
            WHERE records > 1 AND s.is_live GROUP BY s.source, {own} HAVING {" OR ".join(differ)}""").fetchall()
        findings += [
            Finding(code="records-contradict", subject=own_id, source=source, evidence_id=evidence_id,
                    message=f"its answers differ in {which}; that of the fullest holds")
            for source, own_id, evidence_id, which in found
        ]  # fmt: skip
    return findings


_PLACED = {
    "artist": "SELECT * FROM artist_all WHERE is_live ORDER BY source, artist_id",
    "release": "SELECT * FROM release_all WHERE is_live ORDER BY source, release_id",
    "track": """
        SELECT t.* EXCLUDE (credit_artists, credit_roles), release_row, credit_list.rowid AS credit
        FROM track_all t LEFT JOIN release r USING (source, release_id)
        LEFT JOIN credit_list USING (source, credit_artists, credit_roles) WHERE t.is_live
        ORDER BY source, release_row NULLS LAST, disc_number NULLS FIRST, track_number NULLS LAST, track_id""",
}
"""The live things, in the order of their rows, which is a total one."""


def number(con: duckdb.DuckDBPyConnection) -> None:
    """Give the live things their rows: `artist`, `release`, `track`, `credit_named`. A row number is the place in the sorted table,
    which costs half of counting by a window. Lists of credits, which many tracks share, are kept once (`credit_list`), and who
    stands in each (`credit_person`).
    """
    con.execute("""
        CREATE TABLE credit_list AS
        SELECT DISTINCT source, credit_artists, credit_roles FROM track_all WHERE is_live AND credit_artists IS NOT NULL""")
    for kind, placed in _PLACED.items():
        con.execute(f"CREATE TABLE {kind}_placed AS {placed}")
        con.execute(f"CREATE VIEW {kind} AS SELECT rowid::UINTEGER AS {kind}_row, * FROM {kind}_placed")
    con.execute("""
        CREATE TABLE credit_person AS
        WITH named AS (
            SELECT rowid AS credit, source, unnest(credit_artists) AS artist_id, unnest(credit_roles) AS role,
                   generate_subscripts(credit_artists, 1) AS position FROM credit_list
        )
        SELECT named.* EXCLUDE (source), artist_row, name FROM named LEFT JOIN artist USING (source, artist_id)
        WHERE position <= 65535""")
    con.execute("""
        CREATE VIEW credit_named AS
        SELECT track_row, source, track_id, evidence_id, p.* EXCLUDE (credit) FROM track JOIN credit_person p USING (credit)""")


def artist_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `artist` table, in order."""
    return con.sql("SELECT * FROM artist ORDER BY artist_row").to_arrow_reader(BATCH_ROWS)


def release_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `release` table; a date's missing parts are 1, its precision says so."""
    return con.sql("""
        WITH artists AS (
            SELECT release_row, list(artist_row ORDER BY place) AS artist_rows
            FROM (SELECT release_row, source, unnest(artist_ids) AS artist_id, generate_subscripts(artist_ids, 1) AS place
                  FROM release WHERE artist_ids IS NOT NULL) JOIN artist USING (source, artist_id)
            GROUP BY release_row
        )
        SELECT release.* EXCLUDE (release_date, artist_ids), artist_rows,
               (release_date || CASE length(release_date) WHEN 4 THEN '-01-01' WHEN 7 THEN '-01' ELSE '' END)::DATE
                   AS release_date,
               CASE length(release_date) WHEN 4 THEN 'year' WHEN 7 THEN 'month' WHEN 10 THEN 'day' END
                   AS release_date_precision
        FROM release LEFT JOIN artists USING (release_row) ORDER BY release_row""").to_arrow_reader(BATCH_ROWS)


def track_table(con: duckdb.DuckDBPyConnection, links: pa.Table) -> pa.RecordBatchReader:
    """The `track` table, with what is `said` of its tracks and the clusters of `links`: an operator's count of listens outranks a
    user's, a rank is no count.

    Where nobody speaks of single tracks they are read as they lie, which is in order; else what is joined is sorted once more.
    """
    [(is_plain,)] = con.execute("""
        SELECT NOT EXISTS (FROM listens) AND NOT EXISTS (FROM rank) AND count(*) = 1 FROM fact_said""").fetchall()
    if is_plain:
        con.execute("SET VARIABLE said = (SELECT fact_said FROM fact_said)")
    rows = con.sql(_TRACK_PLAIN if is_plain else _TRACK_JOINED).to_arrow_reader(BATCH_ROWS)
    return _clustered(rows, links)


_TRACK_PLAIN = """
    SELECT * EXCLUDE (counted_on), counted_on AS listens_on, NULL::UINTEGER AS listens_rank,
           getvariable('said').statement_rows AS statement_rows, getvariable('said').licence AS licence,
           getvariable('said').licence_url AS licence_url
    FROM track"""

_TRACK_JOINED = """
    SELECT track.* EXCLUDE (listens_count, listens_scope),
           CASE WHEN l.track_id IS NULL THEN track.listens_count ELSE l.listens_count END AS listens_count,
           CASE WHEN l.track_id IS NULL THEN track.listens_scope ELSE l.listens_scope END AS listens_scope,
           CASE WHEN l.track_id IS NOT NULL THEN (l.counted_on || CASE length(l.counted_on)
                    WHEN 4 THEN '-01-01' WHEN 7 THEN '-01' ELSE '' END)::DATE
                ELSE track.counted_on END AS listens_on,
           coalesce(rt.listens_rank, rr.listens_rank) AS listens_rank,
           said.statement_rows, said.licence, said.licence_url
    FROM track JOIN said USING (track_row)
    LEFT JOIN listens l USING (source, track_id)
    LEFT JOIN rank rt ON rt.source = track.source AND rt.own_id = 't' || track.track_id
    LEFT JOIN rank rr ON rr.source = track.source AND rr.own_id = 'r' || track.release_id
    ORDER BY track_row"""


def _clustered(tracks: pa.RecordBatchReader, links: pa.Table) -> pa.RecordBatchReader:
    """The tracks, which come in the order of their rows, with the `cluster_row` of those that `links` (by `track_row`) names."""
    rows, clusters = (links.column(name).to_numpy() for name in ("track_row", "cluster_row"))
    schema = tracks.schema.append(pa.field("cluster_row", pa.uint32()))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in tracks:
            first = batch.column("track_row")[0].as_py()
            begin, end = np.searchsorted(rows, [first, first + len(batch)])
            of, is_alone = np.zeros(len(batch), np.uint32), np.ones(len(batch), np.bool_)
            of[rows[begin:end] - first] = clusters[begin:end]
            is_alone[rows[begin:end] - first] = False
            yield pa.record_batch([*batch.columns, pa.array(of, mask=is_alone)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def credit_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `credit` table; positions count from 1 in the order in which the source names people, 65,535 at most."""
    return con.sql("""
        SELECT track_row, (row_number() OVER (PARTITION BY track_row ORDER BY position))::USMALLINT AS position,
               artist_row, role
        FROM credit_named WHERE artist_row IS NOT NULL ORDER BY track_row, position""").to_arrow_reader(BATCH_ROWS)


def offer_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `offer` table: what the source offers to fetch."""
    return con.sql("""
        SELECT track_row, offer.* FROM track WHERE offer IS NOT NULL ORDER BY track_row""").to_arrow_reader(BATCH_ROWS)


ROWS = {
    "artist": artist_table,
    "release": release_table,
    "credit": credit_table,
    "offer": offer_table,
    "market_set": market_set_table,
    "availability": availability_table,
    "description": description_table,
    "history": history_table,
    "tombstone": tombstone_table,
}
"""The tables that are made here, but for `track`, which needs the clusters."""

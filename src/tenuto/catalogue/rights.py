"""Joining tracks and the statements that speak for them.

Tracks that differ in nothing by which rights are decided have the same statements: they are decided once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa

from tenuto.catalogue.statements import SourceRights, Statements, TrackFacts
from tenuto.model.findings import Finding
from tenuto.rights import parse_permission

_SAID = pa.schema(
    [
        ("fact_row", pa.int64()),
        ("statement_rows", pa.list_(pa.uint32())),
        ("licence", pa.string()),
        ("licence_url", pa.string()),
        ("tracks", pa.int64()),
    ]
)
_BATCH_ROWS = 50_000
_NAMES = """
            SELECT track_row, list(DISTINCT c.artist_id ORDER BY c.artist_id) || list(DISTINCT name ORDER BY name) AS artists
            FROM credit_named c"""
"""The ids and names of the artists of each track."""


def decide(
    con: duckdb.DuckDBPyConnection, permissions: Mapping[str, tuple[str, int]]
) -> tuple[pa.Table, list[Finding]]:
    """Make `said`: of each track (`track_row`) its `statement_rows`, `licence` and `licence_url`; `fact_said` has each set of facts
    once, with the number of its `tracks`.

    `permissions` are text and evidence id of each source that has one. Returns the `statement` table, and what was found.
    """
    rights = _rights(con, permissions)
    _group(con, rights)
    statements, conflicts = Statements(rights), list[tuple[int, str]]()
    con.execute(
        "CREATE TABLE fact_said (fact_row BIGINT, statement_rows UINTEGER[], licence VARCHAR, licence_url VARCHAR, tracks BIGINT)"
    )
    for facts in _facts(con):
        spoken = [statements.of(track, count) for _, track, count in facts]
        rows = [
            (fact, list(one.rows), one.licence, one.licence_url, count)
            for (fact, _, count), one in zip(facts, spoken, strict=True)
        ]
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _SAID, strict=True)]
        con.register("incoming", pa.table(columns, schema=_SAID))
        con.execute("INSERT INTO fact_said SELECT * FROM incoming")
        con.unregister("incoming")
        conflicts += [(fact, one.conflict) for (fact, _, _), one in zip(facts, spoken, strict=True) if one.conflict]
    con.execute(
        "CREATE VIEW said AS SELECT track_row, f.* EXCLUDE (fact_row, tracks) FROM track_fact JOIN fact_said f USING (fact_row)"
    )
    return statements.table(), [*statements.findings(), *_conflicts(con, conflicts)]


def _rights(con: duckdb.DuckDBPyConnection, permissions: Mapping[str, tuple[str, int]]) -> dict[str, SourceRights]:
    rights: dict[str, SourceRights] = defaultdict(SourceRights)
    for source, (text, evidence_id) in sorted(permissions.items()):
        rights[source].permission = parse_permission(text, f"the permission of {source}")
        rights[source].permission_evidence_id = evidence_id
    files = con.execute("""
        SELECT source, path, text, evidence_id FROM licence_file_seen WHERE is_live ORDER BY source, path""").fetchall()
    for source, path, text, evidence_id in files:
        rights[source].add_file(path, text, evidence_id)
    return rights


def _group(con: duckdb.DuckDBPyConnection, rights: Mapping[str, SourceRights]) -> None:
    """Make `track_fact`: of each track the first one with the same facts, `fact_row`.

    What a source's rights do not look at is left out.
    """
    asked = {
        name: sorted(source for source, one in rights.items() if name in one.looks_at)
        for name in ("path", "release", "artist", "track")
    }
    if not any(asked.values()) and _are_silent(con):
        con.execute("CREATE VIEW track_fact AS SELECT track_row, 0::BIGINT AS fact_row FROM track")
        return
    con.execute("CREATE TABLE looked_at (source VARCHAR, name VARCHAR)")
    if pairs := [(source, name) for name, sources in asked.items() for source in sources]:
        con.executemany("INSERT INTO looked_at VALUES (?, ?)", pairs)

    def when(name: str, value: str) -> str:
        return f"CASE WHEN t.source IN (SELECT source FROM looked_at WHERE name = '{name}') THEN {value} END"

    con.execute(f"""
        CREATE VIEW track_facts AS
        WITH names AS (
            {_NAMES}
            WHERE c.source IN (SELECT source FROM looked_at WHERE name = 'artist') GROUP BY track_row
        ), facts AS (
            SELECT track_row, t.source, {when("track", "track_id")} AS own_id, {when("path", "offer.path")} AS path,
                   {when("release", "t.release_id")} AS release_id, {when("release", "r.title")} AS release_title, artists,
                   licence_text, attribution, licence_correction, correction_evidence_id
            FROM track t LEFT JOIN names USING (track_row) LEFT JOIN release r USING (release_row)
        )
        SELECT * FROM facts""")
    columns = ["source", "own_id", "path", "release_id", "release_title", "artists", "licence_text", "attribution",
               "licence_correction", "correction_evidence_id"]  # fmt: skip
    con.execute(f"""
        CREATE TABLE track_fact AS
        WITH fact AS (SELECT {", ".join(columns)}, min(track_row)::BIGINT AS fact_row FROM track_facts GROUP BY ALL)
        SELECT track_row, fact_row FROM track_facts JOIN fact
        ON {" AND ".join(f"track_facts.{name} IS NOT DISTINCT FROM fact.{name}" for name in columns)}""")


def _are_silent(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether all tracks are of one source and none says a thing of its rights."""
    [(is_silent,)] = con.execute("""
        SELECT count(DISTINCT source) = 1 AND count(licence_text) + count(attribution) + count(licence_correction) = 0
        FROM track""").fetchall()
    return bool(is_silent)


def _facts(con: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[int, TrackFacts, int]]]:
    """What rights are decided by: the first track of each set of facts, and how many have the same; in the order of tracks."""
    found = con.cursor().execute(f"""
        WITH counted AS (SELECT fact_row, count(*) AS tracks FROM track_fact GROUP BY fact_row),
        names AS (
            {_NAMES}
            WHERE track_row IN (SELECT fact_row FROM counted) GROUP BY track_row
        )
        SELECT fact_row, tracks, track.source, track_id, offer.path, [track.release_id, release.title], artists,
               licence_text, attribution, track.evidence_id, licence_correction, correction_evidence_id
        FROM counted JOIN track ON track_row = fact_row LEFT JOIN names USING (track_row) LEFT JOIN release USING (release_row)
        ORDER BY fact_row""")
    while batch := found.fetchmany(_BATCH_ROWS):
        yield [
            (fact, TrackFacts(source, track_id, path, _known(release), _known(artists), *others), count)
            for fact, count, source, track_id, path, release, artists, *others in batch
        ]


def _known(names: list[str | None] | None) -> tuple[str, ...]:
    return tuple(name for name in names or () if name)


def _conflicts(con: duckdb.DuckDBPyConnection, conflicts: list[tuple[int, str]]) -> list[Finding]:
    """A finding for each track whose statements disagree."""
    if not conflicts:
        return []
    con.register("conflict", pa.table(list(zip(*conflicts, strict=True)), ["fact_row", "message"]))
    found = con.execute("""
        SELECT track_id, message, source, evidence_id
        FROM conflict JOIN track_fact USING (fact_row) JOIN track USING (track_row)""").fetchall()
    return [
        Finding(code="licence-conflict", subject=track_id, message=message, source=source, evidence_id=evidence_id)
        for track_id, message, source, evidence_id in found
    ]

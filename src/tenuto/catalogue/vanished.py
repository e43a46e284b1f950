"""The `tombstone` table: what its source no longer shows, why, and what stands in its place.

One harvest may err: a thing is `missing` after the first one without it and `vanished` after the second in a row. It is `replaced`
at once where a live thing of the same source took its place: one that was never seen before the harvest in which it went
missing, and has its code (a track's ISRC, a release's UPC), or else, of tracks, names that fold to the same and a duration
within `_APART_MAX_MS`.
"""

import duckdb
import pyarrow as pa

from tenuto.catalogue.doubts import MISSED_MAX
from tenuto.model.folding import FOLDED_MAX, search_key

BATCH_ROWS = 65_536
"""Rows of a table that are handed on at once."""

_APART_MAX_MS = 2_000
"""What a service gives anew may be cut a little otherwise, or be counted in whole seconds."""

_ANY_MS = 2**33
_UNKNOWN_MS = 2**32
"""In place of a duration that is not known: more than any that is."""

_TITLE_AND_CODE = {"artist": ("name", "NULL"), "release": ("title", "upc"), "track": ("title", "isrc")}
_FOLDED = pa.schema([("said", pa.string()), ("key", pa.string())])
_FOLDED_ROWS = 100_000
_IS_PLAIN = f"regexp_full_match(said, '[A-Za-z0-9 ]{{1,{FOLDED_MAX}}}')"
_PLAIN_KEY = "regexp_replace(lower(trim(said)), ' +', ' ', 'g')"
"""What `search_key` makes of a plain text."""


def tombstone_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `tombstone` table: artists, releases and tracks that the newest harvest of their source no longer shows."""
    con.execute("""
        CREATE TEMP TABLE stone (source VARCHAR, kind VARCHAR, own_id VARCHAR, title VARCHAR, reason VARCHAR,
            successor_id VARCHAR, first_seen_on DATE, last_seen_on DATE, evidence_id UBIGINT)""")
    [(is_all_there,)] = con.execute("SELECT NOT EXISTS (FROM sighting WHERE NOT is_live)").fetchall()
    if not is_all_there:
        for kind in _TITLE_AND_CODE:
            _bury(con, kind)
    return con.sql("FROM stone ORDER BY source, kind, own_id").to_arrow_reader(BATCH_ROWS)


def _bury(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Add the tombstones of a kind to `stone`."""
    _look(con, kind)
    con.execute("CREATE OR REPLACE TEMP TABLE heir (n BIGINT, successor_id VARCHAR)")
    con.execute(_nearest("SELECT *, rowid AS n, code AS key FROM gone", "SELECT *, code AS key FROM fresh", _ANY_MS))
    if kind == "track":
        _name(con)
        con.execute(_nearest("SELECT * FROM gone JOIN named ON is_gone AND gone.rowid = n",
                             "SELECT * FROM fresh JOIN named ON NOT is_gone AND fresh.rowid = n", _APART_MAX_MS))  # fmt: skip
    con.execute(f"""
        INSERT INTO stone
        SELECT source, '{kind}', own_id, title,
               CASE WHEN successor_id IS NOT NULL THEN 'replaced' WHEN missed < {MISSED_MAX} THEN 'missing' ELSE 'vanished' END,
               successor_id, first_seen, last_seen, evidence_id
        FROM gone LEFT JOIN heir ON gone.rowid = n""")


def _look(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Make `gone`, the things of a kind that are gone, and `fresh`, the live ones that were first seen since; with the numbers of
    harvests in which these came (`oldest`) and those went (`gone_in`), and how many did not show them since (`missed`).
    """
    (title, code), own = _TITLE_AND_CODE[kind], f"{kind}_id"
    duration = f"coalesce(duration_ms, {_UNKNOWN_MS})" if kind == "track" else "0"
    credits_ = "credit_artists" if kind == "track" else "NULL"
    columns = f"""source, {own} AS own_id, {title} AS title, {code} AS code, {credits_} AS artist_ids,
                  {duration}::BIGINT AS duration_ms, first_seen, last_seen, evidence_id"""
    con.execute(f"CREATE OR REPLACE TEMP TABLE gone_thing AS SELECT {columns} FROM {kind}_all WHERE NOT is_live")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE fresh_thing AS SELECT {columns} FROM {kind}_all
        JOIN (SELECT source, min(day) AS since FROM sighting JOIN harvest_day USING (source)
              WHERE NOT is_live AND number = gone_in GROUP BY source) USING (source)
        WHERE is_live AND first_seen >= since""")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE told AS
        SELECT source, {own} AS own_id, min(oldest) AS oldest, max(gone_in) AS gone_in, min(missed) AS missed FROM {kind}_seen
        WHERE hash(source, {own}) IN (SELECT hash(source, own_id) FROM gone_thing UNION ALL
                                      SELECT hash(source, own_id) FROM fresh_thing)
        GROUP BY ALL""")
    for table in ("gone", "fresh"):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM {table}_thing JOIN told USING (source, own_id)"
        )


def _name(con: duckdb.DuckDBPyConnection) -> None:
    """Make `named`: of each thing (`is_gone` or not) whose duration and people are known, title and people as one key; only of
    those whose title stands on both sides.
    """
    known = f"title IS NOT NULL AND artist_ids IS NOT NULL AND duration_ms < {_UNKNOWN_MS}"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE titled AS
        SELECT true AS is_gone, rowid AS n, source, title, artist_ids FROM gone
        WHERE {known} AND rowid NOT IN (SELECT n FROM heir)
        UNION ALL
        SELECT false, rowid, source, title, artist_ids FROM fresh WHERE {known}""")
    _fold(con, "folded_title", "SELECT title AS said FROM titled")
    con.execute("""
        CREATE OR REPLACE TEMP TABLE person AS
        WITH keyed AS (SELECT * FROM titled JOIN folded_title ON title = said), twice AS (
            SELECT source, key FROM keyed GROUP BY source, key HAVING bool_or(is_gone) AND NOT bool_and(is_gone)
        ), single AS (
            SELECT is_gone, n, source, key AS title_key, unnest(artist_ids) AS artist_id,
                   generate_subscripts(artist_ids, 1) AS place
            FROM keyed SEMI JOIN twice USING (source, key)
        )
        SELECT is_gone, n, title_key, place, coalesce(name, artist_id) AS name
        FROM single LEFT JOIN artist_all USING (source, artist_id)""")
    _fold(con, "folded_name", "SELECT name AS said FROM person")
    con.execute("""
        CREATE OR REPLACE TEMP TABLE named AS
        SELECT is_gone, n, title_key || chr(10) || string_agg(key, chr(10) ORDER BY place) AS key
        FROM person JOIN folded_name ON name = said GROUP BY is_gone, n, title_key""")


def _fold(con: duckdb.DuckDBPyConnection, table: str, texts: str) -> None:
    """Make a table of the distinct `texts` as they were `said`, and the `key` by which each is compared."""
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE {table} AS SELECT DISTINCT said, {_PLAIN_KEY} AS key FROM ({texts}) WHERE {_IS_PLAIN}""")
    con.execute(f"CREATE OR REPLACE TEMP TABLE odd AS SELECT DISTINCT said FROM ({texts}) WHERE NOT {_IS_PLAIN}")
    [(rows,)] = con.execute("SELECT count(*) FROM odd").fetchall()
    for begin in range(0, rows, _FOLDED_ROWS):
        said = con.execute(
            f"SELECT said FROM odd WHERE rowid BETWEEN {begin} AND {begin + _FOLDED_ROWS - 1}"
        ).fetchall()
        keys = [{"said": text, "key": search_key(text)} for (text,) in said]
        con.register("keys", pa.Table.from_pylist(keys, _FOLDED))
        con.execute(f"INSERT INTO {table} SELECT * FROM keys")
        con.unregister("keys")


def _nearest(gone: str, fresh: str, apart_max_ms: int) -> str:
    """SQL that notes in `heir`, of what is `gone` and has none, which `fresh` thing of the same source and `key` has the nearest
    duration, the least id first: two sorted lists are gone through, so that a key that all things have costs no more.
    """
    asked = f"""
        SELECT n, source, gone_in, key, duration_ms FROM ({gone})
        WHERE key IS NOT NULL AND n NOT IN (SELECT n FROM heir)"""
    found = " UNION ALL ".join(
        f"""SELECT n, own_id, abs(asked.duration_ms - offered.duration_ms) AS apart_ms
            FROM asked ASOF JOIN offered ON asked.source = offered.source AND asked.gone_in = offered.gone_in
                 AND asked.key = offered.key AND asked.duration_ms {than} offered.duration_ms"""
        for than in ("<=", ">=")
    )
    return f"""
        INSERT INTO heir
        WITH asked AS ({asked}), offered AS (
            SELECT source, turn.gone_in, key, duration_ms, min(own_id) AS own_id
            FROM ({fresh}) f JOIN (SELECT DISTINCT source, gone_in FROM gone) turn USING (source)
            WHERE oldest >= turn.gone_in GROUP BY source, turn.gone_in, key, duration_ms
        ), found AS ({found})
        SELECT n, arg_min(own_id, (apart_ms, own_id)) FROM found WHERE apart_ms <= {apart_max_ms} GROUP BY n"""

"""Comparing one kind of thing in two editions, in SQL: what `diff` tells of it goes into the tables `thing` and `field`."""

from collections.abc import Iterable

import duckdb

from tenuto.catalogue.edition import Edition

CHANGES = ("appeared", "came_back", "missing", "vanished", "replaced", "absent")
"""What becomes of a thing. `missing`, `vanished` and `replaced` are reasons of tombstones that the first edition does not have;
`absent` is what the second has nothing of, not even a tombstone: it may be the older one. What took the place of something that
was replaced did not appear.
"""

_COUNTS = ("popularity", "followers_count", "listens_count", "listens_scope", "listens_rank")
"""What changes all the time, and describes nothing."""

_OF_EVIDENCE = ("evidence_id", "listens_on")
"""What tells where and when something was said, not what."""

_NOT_STATED = {"statement_row", "evidence_id"}
_OFFERED = ("path", "fetch_id", "codec", "bytes")
"""What is compared of an offer; the rest follows from the file."""

_TITLES = {"artist": "name", "release": "title", "track": "title"}


def compare_kind(con: duckdb.DuckDBPyConnection, kind: str, a: Edition, b: Edition) -> None:
    """Add to `thing`, `field` and `tally` what became of the things of a kind from `a` to `b`."""
    described, counts = _fields(con, kind, a, b)
    if kind == "track":
        for side, edition in (("a", a), ("b", b)):
            _state(con, side, edition, _stated(con, a, b))
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE apart AS
        SELECT a.row_number AS a_row, b.row_number AS b_row, a.said <> b.said AS is_described, a.counted <> b.counted AS is_counted
        FROM ({_hashed(kind, a, "a", described, counts)}) a
        FULL JOIN ({_hashed(kind, b, "b", described, counts)}) b USING (hashed, hashed_too)
        WHERE a.hashed IS NULL OR b.hashed IS NULL OR a.said <> b.said OR a.counted <> b.counted""")
    if counts:
        sides = _apart(kind, a, "a", "is_counted")[0], _apart(kind, b, "b", "is_counted")[0]
        _add_fields(con, kind, counts, sides, is_count=True)
    sides = _wide(kind, a, "a"), _wide(kind, b, "b")
    _add_fields(con, kind, [*described, *_REFERENCES[kind]], sides, is_count=False)
    _add_things(con, kind, a, b)


def _fields(con: duckdb.DuckDBPyConnection, kind: str, a: Edition, b: Edition) -> tuple[list[str], list[str]]:
    """The columns that both editions have: those that describe, and those that count; row numbers are of neither."""
    names = [_columns(con, edition, kind) for edition in (a, b)]
    left_out = {"source", f"{kind}_id", *_OF_EVIDENCE}
    both = [
        name for name in names[0] if name in names[1] and name not in left_out and not name.endswith(("_row", "_rows"))
    ]
    return [name for name in both if name not in _COUNTS], [name for name in both if name in _COUNTS]


def _columns(con: duckdb.DuckDBPyConnection, edition: Edition, table: str) -> list[str]:
    return [name for name, *_ in con.execute(f"DESCRIBE FROM {edition.rows(table)}").fetchall()]


_REFERENCES = {
    "artist": (),
    "release": ("artist_ids",),
    "track": ("release_id", "artist_ids", "roles", "markets", "statements", "offer"),
}


def _key(kind: str) -> tuple[str, str]:
    """SQL for the two hashes that things of a kind are matched by: ids that one takes for equal, the other tells apart."""
    return f"hash(source, {kind}_id)", f"hash(reverse({kind}_id))"


def _hashed(kind: str, edition: Edition, side: str, described: list[str], counts: list[str]) -> str:
    """SQL for the things of a kind as `row_number`, `hashed` and `hashed_too` (what it is), `said` (what describes it) and
    `counted`.
    """
    said, joined = ", ".join(described), ""
    if kind == "release":
        said += ", artists_hash"
        joined = f"""
            LEFT JOIN (SELECT release_row, bit_xor(hash(place, artist_id)) AS artists_hash
                       FROM ({_released(edition)}) GROUP BY release_row) USING (release_row)"""
    elif kind == "track":
        said += ", release_hash, credits_hash, markets_hash, statements_hash, offer_hash"
        joined = f"""
            LEFT JOIN (SELECT release_row, hash(release_id) AS release_hash FROM {edition.rows("release")}) USING (release_row)
            LEFT JOIN (SELECT track_row, bit_xor(hash(position, artist_id, role)) AS credits_hash
                       FROM ({_credited(edition)}) GROUP BY track_row) USING (track_row)
            LEFT JOIN (SELECT track_row, hash(array_to_string(markets, ' ')) AS markets_hash FROM ({_offered(edition)}))
                      USING (track_row)
            LEFT JOIN (SELECT statement_rows, hash(statements) AS statements_hash FROM stated_{side}) USING (statement_rows)
            LEFT JOIN (SELECT track_row, sum(hash({", ".join(_OFFERED)})) AS offer_hash FROM {edition.rows("offer")}
                       GROUP BY track_row) USING (track_row)"""
    hashed, hashed_too = _key(kind)
    return f"""
        SELECT {kind}_row AS row_number, {hashed} AS hashed, {hashed_too} AS hashed_too, hash({said}) AS said,
               hash({", ".join(counts) or 0}) AS counted
        FROM {edition.rows(kind)} {joined}"""


def _stated(con: duckdb.DuckDBPyConnection, a: Edition, b: Edition) -> list[str]:
    """What is compared of a statement: all that both editions have of it, but for where it stands."""
    there = _columns(con, b, "statement")
    return [name for name in _columns(con, a, "statement") if name in there and name not in _NOT_STATED]


def _state(con: duckdb.DuckDBPyConnection, side: str, edition: Edition, fields: list[str]) -> None:
    """Make `stated_<side>`: of each list of statement rows that tracks have, what the statements say, as one text in an order of
    its own. Many tracks share a list.
    """
    permitted = sorted(fields, key=lambda name: not name.startswith("may_"))
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE stated_{side} AS
        SELECT statement_rows, string_agg(said, ' ' ORDER BY said) AS statements
        FROM (SELECT statement_rows, unnest(statement_rows) AS statement_row FROM (
            SELECT DISTINCT statement_rows FROM {edition.rows("track")} WHERE statement_rows IS NOT NULL))
        JOIN (SELECT statement_row, {_struct(permitted)} AS said FROM {edition.rows("statement")}) USING (statement_row)
        GROUP BY statement_rows""")


def _struct(fields: Iterable[str]) -> str:
    """SQL for columns as one text, each by its name."""
    return "{" + ", ".join(f"'{name}': {name}" for name in fields) + "}::VARCHAR"


def _released(edition: Edition, releases: str = "") -> str:
    """SQL for the artists of releases, all or these, by id, in their place."""
    return f"""
        SELECT release_row, place, artist_id
        FROM (SELECT release_row, unnest(artist_rows) AS artist_row, generate_subscripts(artist_rows, 1) AS place
              FROM {releases or edition.rows("release")} WHERE artist_rows IS NOT NULL)
        JOIN {edition.rows("artist")} USING (artist_row)"""


def _credited(edition: Edition, which: str = "") -> str:
    """SQL for the credits of tracks, by the artist's id."""
    return f"""
        SELECT track_row, position, artist_id, role
        FROM (FROM {edition.rows("credit")} {which})
        JOIN (SELECT artist_row, artist_id FROM {edition.rows("artist")}) USING (artist_row)"""


def _offered(edition: Edition, which: str = "") -> str:
    """SQL for the markets in which tracks are offered."""
    return f"""
        SELECT track_row, markets
        FROM (FROM {edition.rows("availability")} {which}) JOIN {edition.rows("market_set")} USING (market_set_row)"""


def _apart(kind: str, edition: Edition, side: str, which: str) -> tuple[str, str]:
    """SQL for the things of a kind on one `side` of those rows of `apart` in which `which` holds; and the condition itself."""
    condition = f"WHERE {kind}_row IN (SELECT {side}_row FROM apart WHERE {which})"
    return f"(FROM {edition.rows(kind)} {condition})", condition


def _wide(kind: str, edition: Edition, side: str) -> str:
    """SQL for those things of a kind that are described otherwise, with all that is compared."""
    things, which = _apart(kind, edition, side, "is_described")
    if kind == "release":
        return f"""(
            SELECT * FROM {things} LEFT JOIN (
                SELECT release_row, list(artist_id ORDER BY place) AS artist_ids FROM ({_released(edition, things)})
                GROUP BY release_row) USING (release_row))"""
    if kind == "track":
        offer = _struct(_OFFERED)
        return f"""(
            SELECT * FROM {things} LEFT JOIN (SELECT release_row, release_id FROM {edition.rows("release")}) USING (release_row)
            LEFT JOIN (SELECT track_row, list(artist_id ORDER BY position) AS artist_ids, list(role ORDER BY position) AS roles
                       FROM ({_credited(edition, which)}) GROUP BY track_row) USING (track_row)
            LEFT JOIN ({_offered(edition, which)}) USING (track_row)
            LEFT JOIN stated_{side} USING (statement_rows)
            LEFT JOIN (SELECT track_row, string_agg({offer}, ' ' ORDER BY {offer}) AS offer
                       FROM {edition.rows("offer")} {which} GROUP BY track_row) USING (track_row))"""
    return things


def _add_fields(
    con: duckdb.DuckDBPyConnection, kind: str, fields: list[str], sides: tuple[str, str], *, is_count: bool
) -> None:
    """Add what differs in these fields, as text, between the rows of two `sides`, those of `apart`."""
    pairs = ", ".join(
        f"{{'field': '{name}', 'before': a.{name}::VARCHAR, 'after': b.{name}::VARCHAR}}" for name in fields
    )
    con.execute(f"""
        INSERT INTO field BY NAME
        SELECT '{kind}' AS kind, source, own_id, said.field, {is_count} AS is_count, said.before, said.after FROM (
            SELECT a.source, a.{kind}_id AS own_id, unnest([{pairs}]) AS said
            FROM apart JOIN {sides[0]} a ON a_row = a.{kind}_row JOIN {sides[1]} b ON b_row = b.{kind}_row
            WHERE a.source = b.source AND a.{kind}_id = b.{kind}_id)
        WHERE said.before IS DISTINCT FROM said.after""")


def _add_things(con: duckdb.DuckDBPyConnection, kind: str, a: Edition, b: Edition) -> None:
    """Add what one edition alone has, and the tombstones of `b` that `a` does not have; and to `tally` of how many rows."""
    stones = []
    for edition in (a, b):
        successor = "successor_id" if "successor_id" in _columns(con, edition, "tombstone") else "NULL"
        stones.append(f"(SELECT source, own_id, title, reason, {successor}::VARCHAR AS successor_id "
                      f"FROM {edition.rows('tombstone')} WHERE kind = '{kind}')")  # fmt: skip
    alone = [
        f"""(SELECT source, {kind}_id AS own_id, {_TITLES[kind]} AS title FROM {edition.rows(kind)}
             WHERE {kind}_row IN (SELECT {side}_row FROM apart WHERE {other}_row IS NULL))"""
        for edition, side, other in ((a, "a", "b"), (b, "b", "a"))
    ]
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE told AS
        WITH gone AS (
            SELECT t.reason AS change, t.source, t.own_id, t.title, t.successor_id FROM {stones[1]} t
            LEFT JOIN {stones[0]} before ON before.source = t.source AND before.own_id = t.own_id
            WHERE before.own_id IS NULL OR before.reason <> t.reason OR before.successor_id IS DISTINCT FROM t.successor_id
        ), absent AS (
            SELECT 'absent' AS change, *, NULL AS successor_id FROM {alone[0]}
            WHERE (source, own_id) NOT IN (SELECT (source, own_id) FROM {stones[1]})
        ), came AS (
            SELECT CASE WHEN (source, own_id) IN (SELECT (source, own_id) FROM {stones[0]}) THEN 'came_back' ELSE 'appeared' END
                   AS change, *, NULL AS successor_id FROM {alone[1]}
        )
        SELECT *, change = 'appeared' AND (source, own_id) IN (
            SELECT (source, successor_id) FROM gone WHERE successor_id IS NOT NULL) AS is_successor
        FROM (FROM gone UNION ALL FROM absent UNION ALL FROM came)""")
    con.execute(
        f"INSERT INTO thing BY NAME SELECT '{kind}' AS kind, * EXCLUDE is_successor FROM told WHERE NOT is_successor"
    )
    con.execute(f"""
        INSERT INTO tally
        SELECT '{kind}', {a.info.tables[kind].rows}, (SELECT count(DISTINCT a_row) FROM apart WHERE b_row IS NULL),
               (SELECT count(*) FROM told WHERE is_successor), {b.info.tables[kind].rows}""")

"""Texts into columns that can be compared: table `clusters_track`, one row a track.

What is plain (Latin letters, digits, spaces) is normalised in SQL. A title is cut where its first bracket or dash begins, and what
follows, such as " - 2011 Remaster", is read by Python once for all titles that end so; other texts are read whole, each distinct
one once. SQL and `parse_title` agree; a test holds them to it.
"""

from collections.abc import Callable

import duckdb
import pyarrow as pa

from tenuto.model.folding import FOLDED_MAX
from tenuto.model.names import (
    ARTICLES,
    NOBODY,
    PEOPLE_WORDS,
    TITLE_WORDS,
    artist_keys,
    parse_release,
    parse_title,
)
from tenuto.model.versions import RELEASE_HINT

BATCH_TEXTS = 100_000
"""Distinct texts that Python normalises at a time."""
MORE_PEOPLE_MAX = 4
"""People after the first by whom a track is sought too."""
_SEPARATOR = "\x1f"
_HEAD = "x"
"""Stands for the plain beginning of a title before the rest of it."""
_TAIL_STARTS = ("(", "[", "{", " - ")
_ACCENTED = "àáâãäåçèéêëìíîïñòóôõöùúûüýāăąćčďēĕėęěģğīįķĺļľńņňōőŕŗřśşšţťūŭůűųźżžșț"
"""Letters that SQL's `strip_accents` folds as Python does; others, such as ø and ß, are left to Python."""
_ASCII = "[A-Za-z0-9 '']+"
_LATIN = f"[A-Za-z0-9 ''\u2019{_ACCENTED}{_ACCENTED.upper()}]+"
_ISRC = "[A-Z]{2}[A-Z0-9]{3}[0-9]{7}"
"""ISO 3901:2019: a prefix code of five characters, two digits of the year, five of the designation."""

_TITLES = pa.schema(
    [("said", pa.string()), ("name", pa.string()), ("versions", pa.uint16()), ("marks", pa.uint8()),
     ("detail", pa.string())]
)  # fmt: skip
_PEOPLE = pa.schema([("said", pa.string()), ("people", pa.list_(pa.string()))])
_RELEASES = pa.schema([("said", pa.string()), ("versions", pa.uint16())])


def make_features(con: duckdb.DuckDBPyConnection, tracks: str) -> None:
    """Fill `clusters_track` from the relation of that name."""
    starts = ", ".join(f"nullif(instr(title, '{sign}'), 0)" for sign in _TAIL_STARTS)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_text AS
        WITH cut_short AS (SELECT * REPLACE (substr(title, 1, {FOLDED_MAX}) AS title) FROM {tracks}),
             cut AS (SELECT *, least({starts}) AS tail_at FROM cut_short),
             plain AS ({_plain("SELECT *, rtrim(coalesce(substr(title, 1, tail_at - 1), title)) AS said FROM cut", TITLE_WORDS)})
        SELECT track_row, plain AS plain_title,
               CASE WHEN plain IS NULL THEN title ELSE '{_HEAD} ' || substr(title, tail_at) END AS title,
               array_to_string(artist, '{_SEPARATOR}') AS artists,
               CASE WHEN regexp_matches(release_title, '{RELEASE_HINT}') THEN release_title END AS release_title,
               upper(replace(replace(isrc, '-', ''), ' ', '')) AS code, coalesce(duration_ms, 0)::UINTEGER AS duration_ms
        FROM plain""")
    _read(con, "title", "SELECT DISTINCT title AS said FROM clusters_text", _TITLES, _title_columns)
    _read_people(con)
    _read(con, "release_title", "SELECT DISTINCT release_title AS said FROM clusters_text", _RELEASES, _release_columns)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_track AS
        SELECT track_row, duration_ms, CASE WHEN regexp_full_match(code, '{_ISRC}') THEN hash(code) ELSE 0 END AS isrc,
               coalesce(plain_title || substr(coalesce(t.name, ''), {len(_HEAD) + 1}), plain_title, t.name) AS key,
               coalesce(t.marks, 0)::UTINYINT AS marks,
               coalesce(t.versions | r.versions, t.versions, r.versions, 0)::USMALLINT AS versions,
               CASE WHEN t.detail <> '' THEN hash(t.detail) ELSE 0 END AS detail,
               coalesce(person, 0) AS person, coalesce(people, 0) AS people, others
        FROM clusters_text LEFT JOIN clusters_title t ON title = t.said LEFT JOIN clusters_artists a ON artists = a.said
             LEFT JOIN clusters_release_title r ON release_title = r.said WHERE key <> ''""")
    for name in ("text", "title", "artists", "release_title"):
        con.execute(f"DROP TABLE clusters_{name}")


def _plain(said: str, words: str) -> str:
    """SQL for the rows of a query and `plain`, the key of its column `said`; NULL where Python must read it.

    One step a SELECT, so that each is computed once.
    """
    return f"""
        SELECT *, CASE WHEN regexp_matches(kept, '^({ARTICLES}) ')
                       THEN regexp_replace(kept, '^(({ARTICLES}) )+', '') ELSE kept END AS plain
        FROM (SELECT *, CASE WHEN regexp_full_match(bare, '[a-z0-9]+( [a-z0-9]+)*')
                        AND NOT regexp_matches(bare, '\\b({words})\\b|^({ARTICLES})( ({ARTICLES}))*$')
                        THEN bare END AS kept
              FROM (SELECT *, CASE WHEN length(said) > {FOLDED_MAX} THEN NULL
                                   WHEN regexp_full_match(said, '{_ASCII}') THEN replace(lower(said), '\'\'', '')
                                   WHEN regexp_full_match(said, '{_LATIN}')
                                   THEN strip_accents(replace(replace(lower(said), '\'\'', ''), '\u2019', '')) END AS bare
                    FROM ({said})))"""


def _read(
    con: duckdb.DuckDBPyConnection,
    name: str,
    texts: str,
    schema: pa.Schema,
    columns: Callable[[list[str]], list[list[object]]],
) -> None:
    """Make `clusters_<name>` of the texts (column `said`) of a query and what Python reads in each."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE clusters_said AS SELECT said FROM ({texts}) WHERE said IS NOT NULL")
    count = int(con.execute("SELECT count(*) FROM clusters_said").fetchall()[0][0])
    con.register("clusters_incoming", schema.empty_table())
    con.execute(f"CREATE OR REPLACE TEMP TABLE clusters_{name} AS SELECT * FROM clusters_incoming")
    for begin in range(0, count, BATCH_TEXTS):
        batch = con.sql(
            f"SELECT said FROM clusters_said WHERE rowid >= {begin} AND rowid < {begin + BATCH_TEXTS}"
        ).to_arrow_table()
        said = batch.column(0).to_pylist()
        con.register("clusters_incoming", pa.table([said, *columns(said)], schema=schema))
        con.execute(f"INSERT INTO clusters_{name} SELECT * FROM clusters_incoming")
    con.unregister("clusters_incoming")
    con.execute("DROP TABLE clusters_said")


def _read_people(con: duckdb.DuckDBPyConnection) -> None:
    """Make `clusters_artists`: of each distinct list of credits its people, as hashes."""
    nobody = ", ".join(repr(name) for name in sorted(NOBODY))
    plain = _plain("SELECT DISTINCT artists AS said FROM clusters_text", PEOPLE_WORDS)
    con.execute(f"CREATE OR REPLACE TEMP TABLE clusters_credit AS SELECT said, plain FROM ({plain})")
    _read(con, "credited", "SELECT said FROM clusters_credit WHERE plain IS NULL", _PEOPLE, _people_columns)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_artists AS
        WITH one AS (
            SELECT said, hash(plain) AS person, [person] AS everyone FROM clusters_credit
            WHERE plain IS NOT NULL AND plain NOT IN ({nobody})
            UNION ALL SELECT said, hash(people[1]), list_transform(people, lambda name: hash(name)) FROM clusters_credited
            WHERE len(people) > 0
        )
        SELECT said, person, hash(list_sort(everyone)) AS people,
               CASE WHEN len(everyone) > 1 THEN everyone[2:{MORE_PEOPLE_MAX + 1}] END AS others FROM one""")
    con.execute("DROP TABLE clusters_credit")
    con.execute("DROP TABLE clusters_credited")


def _title_columns(texts: list[str]) -> list[list[object]]:
    names = [parse_title(text) for text in texts]
    return [
        [name.key for name in names],
        [name.versions.value for name in names],
        [name.marks.value for name in names],
        [name.detail for name in names],
    ]


def _people_columns(texts: list[str]) -> list[list[object]]:
    return [[list(artist_keys(text.split(_SEPARATOR))) for text in texts]]


def _release_columns(texts: list[str]) -> list[list[object]]:
    return [[parse_release(text).value for text in texts]]

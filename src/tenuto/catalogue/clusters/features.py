"""Texts into columns that can be compared: table `clusters_track`, one row a track.

What is plain is normalised in SQL (`plain`). A title is cut where its first bracket or dash begins, and what follows, such as
" - 2011 Remaster", is read by Python once for all titles that end so; other texts are read whole, each distinct one once.
"""

from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

from tenuto.catalogue.clusters.plain import plain_credits, plain_titles, without_articles, without_guests
from tenuto.model.folding import FOLDED_MAX
from tenuto.model.names import NOBODY, PEOPLE_MAX, parse_release, parse_title, people_of
from tenuto.model.versions import RELEASE_HINT

BATCH_TEXTS = 100_000
"""Distinct texts that Python normalises at a time."""
MORE_PEOPLE_MAX = 4
"""People after the first by whom a track is sought too."""
_SEPARATOR = "\x1f"
_HEAD = "x"
"""Stands for the plain beginning of a title before the rest of it."""
_TAIL_STARTS = ("(", "[", "{", " - ")
_SHARPS = "#\ufe5f\uff03\u266f\u266d"
"""Signs that may belong to a letter before the bracket: a title that ends with one is read whole."""
_ISRC = "[A-Z]{2}[A-Z0-9]{3}[0-9]{7}"
"""ISO 3901:2019: a prefix code of five characters, two digits of the year, five of the designation."""
_TABLES = ("said", "text", "title", "release_title", "credit", "name", "named", "artists")

_TITLES = pa.schema(
    [("said", pa.string()), ("name", pa.string()), ("versions", pa.uint16()), ("marks", pa.uint8()),
     ("detail", pa.string())]
)  # fmt: skip
_PEOPLE = pa.schema([("said", pa.string()), ("people", pa.list_(pa.string()))])
_RELEASES = pa.schema([("said", pa.string()), ("versions", pa.uint16())])


def make_features(con: duckdb.DuckDBPyConnection, tracks: str) -> int:
    """Fill `clusters_track` from the relation of that name, which is read once; returns its count of tracks.

    Raises ValueError where `track_row` does not number them.
    """
    try:
        _cut_texts(con, tracks)
        count = _count(con, tracks)
        for name, schema, columns in (
            ("title", _TITLES, _title_columns),
            ("release_title", _RELEASES, _release_columns),
        ):
            _read(con, name, f"SELECT DISTINCT {name} AS said FROM clusters_text", schema, columns)
        _read_people(con)
        _join(con)
    finally:
        for name in _TABLES:
            con.execute(f"DROP TABLE IF EXISTS clusters_{name}")
    return count


def _cut_texts(con: duckdb.DuckDBPyConnection, tracks: str) -> None:
    """Make `clusters_text`: of each track what is plain in it, and the texts that Python is to read."""
    starts = ", ".join(f"nullif(instr(title, '{sign}'), 0)" for sign in _TAIL_STARTS)
    cut = f"""
        SELECT *, CASE WHEN tail_at IS NULL THEN title WHEN NOT regexp_matches(substr(title, tail_at), '[{_SHARPS}]')
                       THEN rtrim(substr(title, 1, tail_at - 1)) END AS said
        FROM (SELECT *, least({starts}) AS tail_at
              FROM (SELECT * REPLACE ({_shortened("title")} AS title) FROM {tracks}))"""
    tail = f"CASE WHEN tail_at IS NOT NULL THEN ltrim({without_guests('substr(title, tail_at)')}) END"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_text AS
        SELECT track_row, plain, CASE WHEN plain IS NULL THEN title WHEN tail <> '' THEN '{_HEAD} ' || tail END AS title,
               artists, hash(artists) AS credit,
               CASE WHEN regexp_matches(release_title, '{RELEASE_HINT}') THEN release_title END AS release_title,
               {_isrc("isrc")} AS isrc, coalesce(duration_ms, 0)::UINTEGER AS duration_ms
        FROM (SELECT *, {tail} AS tail, array_to_string(artist, '{_SEPARATOR}') AS artists FROM ({plain_titles(cut)}))""")


def _shortened(text: str) -> str:
    return f"CASE WHEN strlen({text}) > {FOLDED_MAX} THEN substr({text}, 1, {FOLDED_MAX}) ELSE {text} END"


def _isrc(said: str) -> str:
    """SQL for the hash of a code, however it is spelt; 0 where it is none."""
    code = f"upper(replace(replace({said}, '-', ''), ' ', ''))"
    return f"""(CASE WHEN {said} IS NULL THEN 0 WHEN regexp_full_match({said}, '{_ISRC}') THEN hash({said})
                     WHEN regexp_full_match({code}, '{_ISRC}') THEN hash({code}) ELSE 0 END)::UBIGINT"""


def _count(con: duckdb.DuckDBPyConnection, tracks: str) -> int:
    count = int(con.execute("SELECT count(*) FROM clusters_text").fetchall()[0][0])
    seen = np.zeros(count, np.bool_)
    for batch in con.sql("SELECT track_row::UBIGINT AS row FROM clusters_text").to_arrow_reader():
        rows = batch.column(0)
        if rows.null_count or (len(rows) and (found := rows.to_numpy()).max() >= count):
            raise ValueError(f"{tracks}: track_row is missing or not below the count of {count} tracks")
        if len(rows):
            seen[found] = True
    if not seen.all():
        raise ValueError(f"{tracks}: track_row {int(np.argmin(seen))} is missing, so another stands twice")
    return count


def _join(con: duckdb.DuckDBPyConnection) -> None:
    """Make `clusters_track` of the texts and what was read in them."""
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_track AS
        SELECT *, hash(key) AS name
        FROM (SELECT * EXCLUDE words, {without_articles("words")} AS key FROM (
            SELECT track_row, duration_ms, isrc,
                   CASE WHEN plain IS NULL THEN t.name WHEN t.name IS NULL THEN plain
                        ELSE plain || substr(t.name, {len(_HEAD) + 1}) END AS words,
                   coalesce(t.marks, 0)::UTINYINT AS marks,
                   (coalesce(t.versions, 0) | coalesce(r.versions, 0))::USMALLINT AS versions,
                   CASE WHEN t.detail <> '' THEN hash(t.detail) ELSE 0 END AS detail,
                   coalesce(person, 0) AS person, coalesce(people, 0) AS people, others
            FROM clusters_text LEFT JOIN clusters_title t ON title = t.said
                 LEFT JOIN clusters_artists USING (credit)
                 LEFT JOIN clusters_release_title r ON release_title = r.said
            WHERE plain IS NOT NULL OR t.name <> ''))""")


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


def _read_people(con: duckdb.DuckDBPyConnection) -> None:
    """Make `clusters_artists`: of each distinct list of credits its people, as hashes; `others` are the least of them."""
    nobody = ", ".join(repr(name) for name in sorted(NOBODY))
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_credit AS
        SELECT credit, string_split(min(artists), '{_SEPARATOR}')[:{PEOPLE_MAX}] AS names
        FROM clusters_text WHERE artists IS NOT NULL GROUP BY credit""")
    cut = _shortened("name")
    names = f"SELECT DISTINCT {cut} AS said FROM (SELECT unnest(names) AS name FROM clusters_credit)"
    con.execute(f"CREATE OR REPLACE TEMP TABLE clusters_name AS SELECT said, plain FROM ({plain_credits(names)})")
    _read(con, "named", "SELECT said FROM clusters_name WHERE plain IS NULL", _PEOPLE, _people_columns)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE clusters_artists AS
        WITH person AS (
            SELECT said, 0 AS nth, hash(name) AS person
            FROM (SELECT said, {without_articles("plain")} AS name FROM clusters_name WHERE plain IS NOT NULL)
            WHERE name NOT IN ({nobody})
            UNION ALL SELECT said, unnest(range(len(people))), unnest(list_transform(people, lambda name: hash(name)))
            FROM clusters_named
        ), credited AS (
            SELECT credit, unnest(names) AS name, unnest(range(len(names))) AS place FROM clusters_credit
        ), several AS (
            SELECT credit, arg_min(person, place * {PEOPLE_MAX} + nth) AS person, list_sort(list_distinct(list(person))) AS everyone
            FROM credited JOIN person ON {cut} = said GROUP BY credit
        )
        SELECT credit, person, hash(everyone) AS people, CASE WHEN len(everyone) > 1 THEN
               list_filter(everyone, lambda other: other <> person)[:{MORE_PEOPLE_MAX}] END AS others
        FROM several""")


def _title_columns(texts: list[str]) -> list[list[object]]:
    names = [parse_title(text) for text in texts]
    return [
        [name.key for name in names],
        [name.versions.value for name in names],
        [name.marks.value for name in names],
        [name.detail for name in names],
    ]


def _people_columns(texts: list[str]) -> list[list[object]]:
    return [[list(people_of(text)) for text in texts]]


def _release_columns(texts: list[str]) -> list[list[object]]:
    return [[parse_release(text).value for text in texts]]

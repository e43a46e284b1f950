"""An edition as lines, one a track with its artists and its release in it: JSON, or CSV (RFC 4180).

DuckDB makes the lines, a span of tracks at a time, so memory does not grow with the catalogue; here are only its queries and
where their bytes go.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa

from tenuto.catalogue.edition import Edition
from tenuto.catalogue.export.rows import database
from tenuto.catalogue.export.target import whole_file
from tenuto.model.errors import UsageError
from tenuto.model.progress import Progress

SPAN_ROWS = 2**18
"""Tracks whose lines are made at a time: some 300 MB, and one pass over the artists."""

_BATCH_ROWS = 8_192
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_OTHER_PACKED = frozenset({".bz2", ".xz", ".lz4", ".br", ".zip", ".7z"})

_TRACK = ("track_row", "source", "track_id", "title", "disc_number", "track_number", "duration_ms", "is_explicit", "isrc",
          "recording_id_musicbrainz", "popularity", "listens_count", "listens_scope", "listens_on", "listens_rank", "genres",
          "languages", "licence", "licence_url", "cluster_row")  # fmt: skip
_ARTIST = ("artist_id", "name", "artist_id_musicbrainz")
_RELEASE = ("release_id", "title", "release_type", "label", "upc", "release_date", "release_date_precision",
            "copyright_c", "copyright_p", "tracks_count", "genres", "release_id_musicbrainz")  # fmt: skip
_STATEMENT = ("basis", "licence", "licence_url", "may_keep", "may_give_out", "may_mine", "territories", "valid_until",
              "attribution")  # fmt: skip
_KNOWN_DATE = """CASE release_date_precision WHEN 'year' THEN strftime(release_date, '%Y')
    WHEN 'month' THEN strftime(release_date, '%Y-%m') ELSE release_date::VARCHAR END"""

_MACROS = r"""
CREATE TEMP MACRO harmless(x) AS
    CASE WHEN regexp_matches(x, '^''*[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]') THEN '''' || x ELSE x END;
CREATE TEMP MACRO cell(x) AS CASE WHEN x IS NULL THEN ''
    WHEN x = '' OR regexp_matches(x, '[",\r\n]') THEN '"' || replace(x, '"', '""') || '"' ELSE x END;
CREATE TEMP MACRO joined(xs) AS CASE WHEN len(xs) > 0 THEN array_to_string(
    list_transform(xs, lambda x: replace(replace(coalesce(x, ''), '\', '\\'), ';', '\;')), '; ') END;
"""
"""Of CSV: a text that no spreadsheet takes for a formula; a field; a list as one text. Each can be undone exactly."""

CSV_COLUMNS = {
    "track_row": "track_row", "source": "source", "track_id": "track_id", "title": "title",
    "artists": "joined([one.name FOR one IN artists])", "artist_ids": "joined([one.artist_id FOR one IN artists])",
    "roles": "joined([one.role FOR one IN artists])", "release": "release.title", "release_id": "release.release_id",
    "release_artists": "joined([one.name FOR one IN release.artists])", "release_type": "release.release_type",
    "label": "release.label", "upc": "release.upc", "release_date": "release.release_date",
    "release_date_precision": "release.release_date_precision", "disc_number": "disc_number",
    "track_number": "track_number", "duration_ms": "duration_ms", "is_explicit": "is_explicit", "isrc": "isrc",
    "recording_id_musicbrainz": "recording_id_musicbrainz", "popularity": "popularity", "listens_count": "listens_count",
    "listens_scope": "listens_scope", "listens_on": "listens_on", "listens_rank": "listens_rank",
    "genres": "joined(genres)", "languages": "joined(languages)", "licence": "licence", "licence_url": "licence_url",
    "cluster_row": "cluster_row", "evidence_id": "evidence_id",
}  # fmt: skip
"""The columns of a CSV file, and what each says."""

_KEYS = (*_TRACK, "artists", "release", "statements", "evidence_id")


def write_jsonl(edition: Edition, target: Path | BinaryIO, progress: Progress, *, may_replace: bool = False) -> None:
    """One JSON object a line for each track, in the order of rows, into a file (packed by its suffix) or an open stream.

    Raises UsageError for a name that cannot be written, IntegrityError where a table of the edition cannot be read.
    """
    _write(edition, target, progress, may_replace, b"", _as_json)


def write_csv(edition: Edition, target: Path | BinaryIO, progress: Progress, *, may_replace: bool = False) -> None:
    """As `write_jsonl`, with a header line and a line of CSV for each track."""
    _write(edition, target, progress, may_replace, (",".join(CSV_COLUMNS) + "\r\n").encode(), _as_csv)


def _as_json(tracks: str) -> str:
    """The query that makes a line of JSON of each track."""
    return f"SELECT track_row, to_json({{{', '.join(f'{name}: {name}' for name in _KEYS)}}}) || chr(10) AS line FROM ({tracks})"


def _as_csv(tracks: str) -> str:
    """The query that makes a line of CSV of each track; step by step, so that no expression is worked out twice."""
    said = ", ".join(f"({value})::VARCHAR AS {name}_" for name, value in CSV_COLUMNS.items())
    guarded = ", ".join(f"harmless({name}_) AS {name}_" for name in CSV_COLUMNS)
    cells = ", ',', ".join(f"cell({name}_)" for name in CSV_COLUMNS)
    return f"""SELECT track_row, concat({cells}, chr(13), chr(10)) AS line
        FROM (SELECT track_row, {guarded} FROM (SELECT track_row, {said} FROM ({tracks})))"""


def _write(
    edition: Edition,
    target: Path | BinaryIO,
    progress: Progress,
    may_replace: bool,
    header: bytes,
    as_lines: Callable[[str], str],
) -> None:
    with _opened(target, may_replace) as write, database(edition) as con:
        con.execute(_MACROS)
        con.execute("SET parquet_metadata_cache = true")
        write(header)
        rows = edition.info.tables["track"].rows
        progress.begin("tracks", rows, "tracks")
        for first in range(0, rows, SPAN_ROWS):
            lines = con.sql(f"SELECT line FROM ({as_lines(_tracks(con, edition, first))}) ORDER BY track_row")
            for batch in lines.to_arrow_reader(_BATCH_ROWS):
                write(_bytes_of(batch.column(0)))
                progress.advance(batch.num_rows)


def _bytes_of(texts: pa.Array) -> memoryview:
    """All texts of a column, one behind the other."""
    offsets = texts.cast(pa.large_string()).buffers()[1]
    ends = memoryview(offsets).cast("q")
    return memoryview(texts.buffers()[2])[ends[texts.offset] : ends[texts.offset + len(texts)]]


def _tracks(con: duckdb.DuckDBPyConnection, edition: Edition, first: int) -> str:
    """The tracks of a span as a query: `_TRACK`, `evidence_id`, `artists`, `release` and `statements` as structs."""
    span = f"track_row BETWEEN {first} AND {first + SPAN_ROWS - 1}"
    ((low, high),) = con.execute(
        f"SELECT min(release_row), max(release_row) FROM {edition.rows('track')} WHERE {span}"
    ).fetchall()
    releases = f"release_row BETWEEN {low} AND {high}" if low is not None else "false"
    return f"""
        WITH credited AS (
            SELECT track_row, list({{{_fields("a", _ARTIST)}, role: c.role}} ORDER BY position) AS artists
            FROM {edition.rows("credit")} c JOIN {edition.rows("artist")} a USING (artist_row) WHERE {span} GROUP BY track_row
        ), released AS (
            SELECT * REPLACE ({_KNOWN_DATE} AS release_date) FROM {edition.rows("release")} WHERE {releases}
        ), named AS (
            SELECT release_row, list({{{_fields("a", _ARTIST)}}} ORDER BY place) AS artists
            FROM (SELECT release_row, unnest(artist_rows) AS artist_row, generate_subscripts(artist_rows, 1) AS place
                  FROM released) JOIN {edition.rows("artist")} a USING (artist_row) GROUP BY release_row
        ), stated AS (
            SELECT list({{{_fields("s", _STATEMENT)}}} ORDER BY statement_row) AS every FROM {edition.rows("statement")} s
        )
        SELECT {", ".join(f"t.{name}" for name in _TRACK)}, t.evidence_id::VARCHAR AS evidence_id,
            coalesce(credited.artists, []) AS artists,
            CASE WHEN r.release_row IS NOT NULL
                THEN {{{_fields("r", _RELEASE)}, artists: coalesce(named.artists, [])}} END AS release,
            [every[one + 1] FOR one IN coalesce(t.statement_rows, [])] AS statements
        FROM {edition.rows("track")} t LEFT JOIN credited USING (track_row) LEFT JOIN released r USING (release_row)
            LEFT JOIN named USING (release_row) CROSS JOIN stated
        WHERE {span}"""


def _fields(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}: {table}.{name}" for name in names)


@contextmanager
def _opened(target: Path | BinaryIO, may_replace: bool) -> Iterator[Callable[[bytes | memoryview], object]]:
    """What takes the bytes: an open stream as it is, or a file that is whole in the end, packed by its suffix."""
    if not isinstance(target, Path):
        yield target.write
        target.flush()
        return
    if target.suffix in _OTHER_PACKED:
        raise UsageError(f"--into: cannot pack as {target.suffix}; name a file that ends in .gz or .zst, or in neither")
    with whole_file(target, may_replace=may_replace) as beside, beside.open("r+b") as file:
        if target.suffix in _PACKED:
            with pa.CompressedOutputStream(file, _PACKED[target.suffix]) as packed:
                yield packed.write
        else:
            yield file.write

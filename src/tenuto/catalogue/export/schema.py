"""The tables of an exported SQLite file, each as a query over a table of the edition.

Tables and columns have the names that programs for copies of streaming catalogues already ask for (decision 16); what such
programs name and no source here says is a virtual column that is always null, or an empty table: neither takes room.
"""

from collections.abc import Mapping
from dataclasses import dataclass

NAME = "TEXT COLLATE NOCASE"
_KEY = "INTEGER PRIMARY KEY"
_NULL = "GENERATED ALWAYS AS (NULL) VIRTUAL"
_ZERO = "GENERATED ALWAYS AS (0) VIRTUAL"
_RELEASED = """CASE release_date_precision WHEN 'year' THEN strftime(release_date, '%Y')
    WHEN 'month' THEN strftime(release_date, '%Y-%m') ELSE release_date::VARCHAR END"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the edition's table that it is read from, and of each column its type there and its value in DuckDB's SQL."""

    of: str
    columns: Mapping[str, tuple[str, str]]
    ends: tuple[str, ...] = ()
    options: str = ""

    def create(self, name: str) -> str:
        """The statement that makes it."""
        columns = [f"{column} {kind}" for column, (kind, _) in self.columns.items()]
        listed = ",\n  ".join([*columns, *self.ends])
        return f"CREATE TABLE {name} (\n  {listed}\n){self.options}"

    def insert(self, name: str) -> str:
        """The statement that adds a row."""
        return f"INSERT INTO {name} ({', '.join(self.columns)}) VALUES ({', '.join('?' * len(self.columns))})"

    def select(self, rows: str) -> str:
        """Its rows in DuckDB, in the edition's order, out of `rows`."""
        values = ", ".join(f"{value} AS {column}_" for column, (_, value) in self.columns.items())
        return f"SELECT {values} FROM {rows}"


TABLES = {
    "artists": Table("artist", {
        "rowid": (_KEY, "artist_row::BIGINT + 1"), "id": ("TEXT", "artist_id"), "name": (NAME, "name"),
        "sort_name": ("TEXT", "sort_name"), "popularity": ("INTEGER", "popularity"),
        "followers_total": ("INTEGER", "followers_count"), "releases_total": ("INTEGER", "releases_count"),
        "artist_id_musicbrainz": ("TEXT", "artist_id_musicbrainz"), "isni": ("TEXT", "isni"),
        "source": ("TEXT", "source"), "evidence_id": ("TEXT", "evidence_id::VARCHAR"),
    }, (f"fetched_at INTEGER {_NULL}",)),
    "albums": Table("release", {
        "rowid": (_KEY, "release_row::BIGINT + 1"), "id": ("TEXT", "release_id"), "name": (NAME, "title"),
        "album_type": ("TEXT", "release_type"), "external_id_upc": ("TEXT", "upc"), "copyright_c": ("TEXT", "copyright_c"),
        "copyright_p": ("TEXT", "copyright_p"), "label": ("TEXT", "label"), "popularity": ("INTEGER", "popularity"),
        "release_date": ("TEXT", _RELEASED), "release_date_precision": ("TEXT", "release_date_precision"),
        "total_tracks": ("INTEGER", "tracks_count"), "genres": ("TEXT", "to_json(genres)::VARCHAR"),
        "release_id_musicbrainz": ("TEXT", "release_id_musicbrainz"), "source": ("TEXT", "source"),
        "evidence_id": ("TEXT", "evidence_id::VARCHAR"),
    }, (f"fetched_at INTEGER {_NULL}", f"available_markets_rowid INTEGER {_NULL}", f"external_id_amgid TEXT {_NULL}")),
    "tracks": Table("track", {
        "rowid": (_KEY, "track_row::BIGINT + 1"), "id": ("TEXT", "track_id"), "name": (NAME, "title"),
        "album_rowid": ("INTEGER", "release_row::BIGINT + 1"), "disc_number": ("INTEGER", "disc_number"),
        "track_number": ("INTEGER", "track_number"), "duration_ms": ("INTEGER", "duration_ms"),
        "explicit": ("INTEGER", "is_explicit::UTINYINT"), "external_id_isrc": ("TEXT", "isrc"),
        "popularity": ("INTEGER", "popularity"), "listens_count": ("INTEGER", "listens_count"),
        "listens_scope": ("TEXT", "listens_scope"), "listens_on": ("TEXT", "listens_on::VARCHAR"),
        "listens_rank": ("INTEGER", "listens_rank"), "genres": ("TEXT", "to_json(genres)::VARCHAR"),
        "languages": ("TEXT", "to_json(languages)::VARCHAR"), "licence": ("TEXT", "licence"),
        "licence_url": ("TEXT", "licence_url"),
        "statement_rowids": ("TEXT", "to_json([one::BIGINT + 1 FOR one IN statement_rows])::VARCHAR"),
        "cluster_rowid": ("INTEGER", "cluster_row::BIGINT + 1"),
        "recording_id_musicbrainz": ("TEXT", "recording_id_musicbrainz"), "source": ("TEXT", "source"),
        "evidence_id": ("TEXT", "evidence_id::VARCHAR"),
    }, (f"fetched_at INTEGER {_NULL}", f"preview_url TEXT {_NULL}", f"available_markets_rowid INTEGER {_NULL}")),
    "track_artists": Table("credit", {
        "track_rowid": ("INTEGER NOT NULL", "track_row::BIGINT + 1"), "position": ("INTEGER NOT NULL", "position"),
        "artist_rowid": ("INTEGER NOT NULL", "artist_row::BIGINT + 1"), "role": ("TEXT", "role"),
    }, ("PRIMARY KEY (track_rowid, position)",), " WITHOUT ROWID"),
    "artist_albums": Table("release", {
        "artist_rowid": ("INTEGER NOT NULL", "unnest(artist_rows)::BIGINT + 1"),
        "album_rowid": ("INTEGER NOT NULL", "release_row::BIGINT + 1"),
        "index_in_album": ("INTEGER", "generate_subscripts(artist_rows, 1) - 1"),
    }, (f"is_appears_on INTEGER {_ZERO}", f"is_implicit_appears_on INTEGER {_ZERO}")),
    "artist_genres": Table("artist", {
        "artist_rowid": ("INTEGER NOT NULL", "artist_row::BIGINT + 1"), "genre": ("TEXT", "unnest(genres)"),
    }),
    "available_markets": Table("market_set", {
        "rowid": (_KEY, "market_set_row::BIGINT + 1"), "available_markets": ("TEXT", "array_to_string(markets, ',')"),
    }),
    "track_availability": Table("availability", {
        "track_rowid": ("INTEGER NOT NULL", "track_row::BIGINT + 1"),
        "available_markets_rowid": ("INTEGER", "market_set_row::BIGINT + 1"),
    }),
    "statements": Table("statement", {
        "rowid": (_KEY, "statement_row::BIGINT + 1"), "basis": ("TEXT", "basis"), "licence": ("TEXT", "licence"),
        "licence_text": ("TEXT", "licence_text"), "licence_url": ("TEXT", "licence_url"),
        "may_keep": ("INTEGER", "may_keep::UTINYINT"), "may_give_out": ("INTEGER", "may_give_out::UTINYINT"),
        "may_mine": ("INTEGER", "may_mine::UTINYINT"), "territories": ("TEXT", "to_json(territories)::VARCHAR"),
        "valid_until": ("TEXT", "valid_until::VARCHAR"), "attribution": ("TEXT", "attribution"),
        "evidence_id": ("TEXT", "evidence_id::VARCHAR"),
    }),
    "tombstones": Table("tombstone", {
        "source": ("TEXT", "source"), "kind": ("TEXT", "kind"), "id": ("TEXT", "own_id"), "name": (NAME, "title"),
        "reason": ("TEXT", "reason"), "successor_id": ("TEXT", "successor_id"), "first_seen_on": ("TEXT", "first_seen_on::VARCHAR"),
        "last_seen_on": ("TEXT", "last_seen_on::VARCHAR"), "evidence_id": ("TEXT", "evidence_id::VARCHAR"),
    }),
}  # fmt: skip
"""Row ids are the edition's row numbers and 1: who pages by `rowid > 0` must not lose the first row."""

EMPTY = (
    "CREATE TABLE artist_images (artist_rowid INTEGER, width INTEGER, height INTEGER, url TEXT)",
    "CREATE TABLE album_images (album_rowid INTEGER, width INTEGER, height INTEGER, url TEXT)",
)

INDEXES = (
    "CREATE UNIQUE INDEX artists_id ON artists (id, source)",
    "CREATE INDEX artists_name ON artists (name)",
    "CREATE UNIQUE INDEX albums_id ON albums (id, source)",
    "CREATE INDEX albums_name ON albums (name)",
    "CREATE INDEX albums_upc ON albums (external_id_upc) WHERE external_id_upc IS NOT NULL",
    "CREATE UNIQUE INDEX tracks_id ON tracks (id, source)",
    "CREATE INDEX tracks_name ON tracks (name)",
    "CREATE INDEX tracks_isrc ON tracks (external_id_isrc) WHERE external_id_isrc IS NOT NULL",
    "CREATE INDEX tracks_album ON tracks (album_rowid)",
    "CREATE INDEX track_artists_artist ON track_artists (artist_rowid)",
    "CREATE INDEX artist_albums_artist ON artist_albums (artist_rowid)",
    "CREATE INDEX artist_albums_album ON artist_albums (album_rowid)",
    "CREATE INDEX artist_genres_artist ON artist_genres (artist_rowid)",
    "CREATE INDEX artist_genres_genre ON artist_genres (genre)",
    "CREATE INDEX track_availability_track ON track_availability (track_rowid)",
    "CREATE INDEX tombstones_id ON tombstones (id, source)",
)

TRACK_TEXTS = """CREATE VIEW track_texts AS
SELECT tracks.rowid AS track_rowid, tracks.name AS name,
  (SELECT group_concat(artists.name, ', ') FROM track_artists JOIN artists ON artists.rowid = artist_rowid
   WHERE track_artists.track_rowid = tracks.rowid) AS artists,
  albums.name AS album
FROM tracks LEFT JOIN albums ON albums.rowid = tracks.album_rowid"""
"""What the text index of the tracks is over."""

_TEXTS = {
    "artists_fts": ("name", "artists", "rowid"),
    "albums_fts": ("name", "albums", "rowid"),
    "tracks_fts": ("name, artists, album", "track_texts", "track_rowid"),
}
_HASH_BYTES = 64 * 2**20
"""Text held in memory before a segment is written: fewer segments, which are merged at the end."""

_HASH_BYTES_USUAL = 2**20


def text_index(name: str) -> tuple[str, ...]:
    """The statements that make a text index; its texts stay in the tables, and are not stored twice."""
    columns, content, rowid = _TEXTS[name]
    return (
        f"""CREATE VIRTUAL TABLE {name} USING fts5({columns}, content="{content}", content_rowid="{rowid}",
  tokenize="unicode61 remove_diacritics 2")""",
        f"INSERT INTO {name} ({name}, rank) VALUES ('hashsize', {_HASH_BYTES})",
        f"INSERT INTO {name} ({name}) VALUES ('rebuild')",
        f"INSERT INTO {name} ({name}) VALUES ('optimize')",
        f"INSERT INTO {name} ({name}, rank) VALUES ('hashsize', {_HASH_BYTES_USUAL})",
    )


TEXT_INDEXES = tuple(_TEXTS)

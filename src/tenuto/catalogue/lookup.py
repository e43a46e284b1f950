"""Looking things up in an edition: by id, ISRC, UPC or MBID, in a time that does not grow with the catalogue; and by words.

`Catalogue.open(Path("my-archive"))` is a context manager; `by_isrc("DEAB12345678")`, `search("yesterday beatles")` give songs.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np

from tenuto.archive import Layout
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.archive.layout import SETTINGS_NAME
from tenuto.catalogue.edition import EDITION_NAME, Edition, open_current, open_edition
from tenuto.catalogue.keys import Keys, build_keys
from tenuto.catalogue.search import TextIndex, build_index
from tenuto.catalogue.shelf import Shelf
from tenuto.model.errors import UsageError
from tenuto.model.ids import short_digest
from tenuto.model.progress import Progress, Silent
from tenuto.sources import values

COLUMNS = (
    ("track", "track_id"), ("track", "isrc"), ("track", "recording_id_musicbrainz"),
    ("release", "release_id"), ("release", "upc"), ("release", "release_id_musicbrainz"),
)  # fmt: skip
"""What can be looked up: table and column."""

_SPANS, _TEXT = "release.tracks", "text"
_TEXT_BATCH_ROWS = 65_536
_BATCH_ROWS = 1_000_000

_TRACK = ("track_row", "source", "track_id", "title", "release_row", "disc_number", "track_number", "duration_ms", "isrc",
          "popularity", "listens_count", "licence", "licence_url")  # fmt: skip
_RELEASE = ("title", "release_date", "release_date_precision", "label", "upc")
_CREDIT = ("artist_row",)
_ARTIST = ("artist_id", "name")


@dataclass(frozen=True, slots=True)
class Song:
    """A track with the names of what it refers to; None where the source does not say."""

    track_row: int
    source: str
    track_id: str
    title: str | None
    artists: tuple[str, ...]
    release: str | None
    release_date: date | None
    release_date_precision: str | None
    label: str | None
    upc: str | None
    disc_number: int | None
    track_number: int | None
    duration_ms: int | None
    isrc: str | None
    popularity: int | None
    listens_count: int | None
    licence: str | None
    licence_url: str | None


class Catalogue:
    """An edition to look things up in; a context manager. Not for several threads at a time."""

    def __init__(self, edition: Edition, folder: Path, progress: Progress) -> None:
        self.edition = edition
        self._progress = progress
        self._shelf = Shelf(edition)
        self._folder = folder
        self._keys: dict[tuple[str, str], Keys] = {}
        self._spans: Any = None
        self._text: TextIndex | None = None

    @classmethod
    def open(cls, path: Path, progress: Progress | None = None) -> Self:
        """The current edition of an archive, or an edition by its folder. The index is made where it is missing: in the archive's
        `state/`, else beside the edition's folder.

        Raises UsageError where there is neither, IntegrityError where the edition is not whole.
        """
        path = path.expanduser().absolute()
        if (path / SETTINGS_NAME).is_file():
            layout = Layout(path)
            edition = open_current(layout)
            folder = layout.lookup(_name(edition))
        elif (path / EDITION_NAME).is_file():
            edition = open_edition(path)
            folder = path.with_name(f"{_name(edition)}.lookup")
        else:
            raise UsageError(
                f"{path} is neither an archive nor an edition: it holds no {SETTINGS_NAME} and no {EDITION_NAME}"
            )
        if not is_built(folder):
            build_lookup(edition, folder, progress or Silent())
        return cls(edition, folder, progress or Silent())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keys.clear()
        self._spans = self._text = None

    def by_id(self, own_id: str) -> list[Song]:
        """The tracks with this id of a source, or of the release that has it."""
        return self._songs("track", "track_id", own_id) or self._of_releases("release_id", own_id)

    def by_isrc(self, isrc: str) -> list[Song]:
        """The tracks with this ISRC, written with hyphens or without; raises UsageError where it is none."""
        plain = values.isrc(isrc)
        if plain is None:
            raise UsageError(f"{isrc!r} is no ISRC; it is written like DEAB12345678 or DE-AB1-23-45678")
        return self._songs("track", "isrc", plain)

    def by_upc(self, upc: str) -> list[Song]:
        """The tracks of the releases with this UPC or EAN; raises UsageError where it is none."""
        plain = values.upc(upc)
        if plain is None:
            raise UsageError(f"{upc!r} is no UPC or EAN; it has 8 to 14 digits")
        return self._of_releases("upc", plain)

    def by_mbid(self, mbid: str) -> list[Song]:
        """The tracks with this MusicBrainz id: of the recording or of the release; raises UsageError where it is none."""
        plain = values.mbid(mbid)
        if plain is None:
            raise UsageError(f"{mbid!r} is no MusicBrainz id; it is a UUID")
        found = self._songs("track", "recording_id_musicbrainz", plain)
        return found or self._of_releases("release_id_musicbrainz", plain)

    def search(
        self, text: str, limit: int = 20, *, title: str | None = None, artist: str | None = None, year: int | None = None,
        licence: str | None = None,
    ) -> list[Song]:  # fmt: skip
        """The tracks that these words fit best, the best first; words may be of title, artists and release, in any spelling."""
        if self._text is None:
            if not (self._folder / _TEXT).is_dir():
                build_text(self.edition, self._folder / _TEXT, self._progress)
            self._text = TextIndex.open(self._folder / _TEXT)
        hits = self._text.search(text, limit, title=title, artist=artist, year=year, licence=licence)
        return [self.song(hit.track_row) for hit in hits]

    def song(self, track_row: int) -> Song:
        """The track in this row; raises IndexError where there is none."""
        track = self._shelf.row("track", track_row, _TRACK)
        number = track.pop("release_row")
        release: dict[str, Any] = dict.fromkeys(_RELEASE)
        if number is not None:
            release = self._shelf.row("release", number, _RELEASE)
        credited = self._shelf.rows_of("credit", track_row, _CREDIT)
        artists = [self._shelf.row("artist", one["artist_row"], _ARTIST) for one in credited]
        names = tuple(one["name"] or one["artist_id"] for one in artists)
        return Song(**track, artists=names, release=release.pop("title"), **release)

    def _songs(self, table: str, column: str, key: str) -> list[Song]:
        return [self.song(row) for row in self._rows(table, column, key)]

    def _rows(self, table: str, column: str, key: str) -> list[int]:
        """The rows that really have this key."""
        if (table, column) not in self._keys:
            self._keys[table, column] = Keys(self._folder / f"{table}.{column}.keys")
        rows = self._keys[table, column].rows(key)
        return [row for row in rows if self._shelf.row(table, row, (column,))[column] == key]

    def _of_releases(self, column: str, key: str) -> list[Song]:
        return [self.song(row) for release in self._rows("release", column, key) for row in self._tracks_of(release)]

    def _tracks_of(self, release_row: int) -> range:
        """The tracks of a release, which lie together."""
        if self._spans is None:
            self._spans = np.memmap(self._folder / _SPANS, "<u4", "r").reshape(-1, 2)
        first, count = map(int, self._spans[release_row])
        return range(first, first + count)


def is_built(folder: Path) -> bool:
    """Whether the index of an edition is there."""
    return folder.is_dir()


def build_lookup(edition: Edition, folder: Path, progress: Progress) -> None:
    """Make the index of an edition, whole or not at all."""
    progress.begin("index", len(COLUMNS), "columns")
    with _made_once(folder) as beside, _database(folder) as con:
        for table, column in COLUMNS:
            build_keys(con, beside / f"{table}.{column}.keys", edition.rows(table), column, f"{table}_row")
            progress.advance()
        _write_spans(con, edition, beside / _SPANS)


def build_text(edition: Edition, folder: Path, progress: Progress, memory_bytes: int = 10**9) -> None:
    """Make the text index of an edition, whole or not at all."""
    with _made_once(folder) as beside, _database(folder) as con:
        rows = con.sql(f"""
            WITH names AS (
                SELECT track_row, list(coalesce(a.name, a.artist_id) ORDER BY position) AS artists
                FROM {edition.rows("credit")} JOIN {edition.rows("artist")} a USING (artist_row) GROUP BY track_row
            )
            SELECT t.track_row, t.title, artists, r.title AS release, listens_count AS listens, t.popularity,
                   year(r.release_date)::USMALLINT AS year, licence
            FROM {edition.rows("track")} t LEFT JOIN names USING (track_row)
                 LEFT JOIN {edition.rows("release")} r USING (release_row)
            ORDER BY t.track_row""").to_arrow_reader(_TEXT_BATCH_ROWS)
        build_index(beside, rows, memory_bytes, progress)


def _write_spans(con: duckdb.DuckDBPyConnection, edition: Edition, path: Path) -> None:
    """Of each release the row of its first track and how many there are (uint32, little-endian)."""
    spans = np.zeros((edition.info.tables["release"].rows, 2), "<u4")
    found = con.sql(f"""
        SELECT release_row, min(track_row) AS first, count(*) AS tracks FROM {edition.rows("track")}
        WHERE release_row IS NOT NULL GROUP BY release_row""").to_arrow_reader(_BATCH_ROWS)
    for batch in found:
        spans[batch.column(0).to_numpy()] = np.stack([batch.column(1).to_numpy(), batch.column(2).to_numpy()], axis=1)
    spans.tofile(path)


def forget_lookups(layout: Layout, edition: Edition) -> None:
    """Delete the indexes of other editions, and what was left of others' making: they are made again where they are asked for."""
    kept = layout.lookup(_name(edition))
    for folder in kept.parent.iterdir() if kept.parent.is_dir() else ():
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)


def _name(edition: Edition) -> str:
    """An index is of an edition's bytes: one of the same name may have been written anew."""
    tables = edition.info.tables
    return f"{edition.info.edition}-{short_digest(tables[name].sha256 for name in sorted(tables))}"


@contextmanager
def _made_once(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its name when the block ends well. Several may do the same at once: the first one's stays."""
    make_folder(folder.parent)
    beside = Path(tempfile.mkdtemp(prefix=f"{LEFTOVER_PREFIX}{folder.name}-", dir=folder.parent))
    try:
        yield beside
        with suppress(OSError):  # there by now, and full
            beside.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    spilling = tempfile.TemporaryDirectory(prefix=f"{LEFTOVER_PREFIX}spill-", dir=folder.parent)
    with spilling as spill, duckdb.connect(config={"temp_directory": spill}) as con:
        yield con

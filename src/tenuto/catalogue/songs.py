"""Songs as they are shown, read from the shelves of an edition's index (see `shelf`, and `indexing`, which fills them)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tenuto.catalogue.shelf import Shelf

SHOWN = {
    "track": ("source", "track_id", "title", "release_row", "disc_number", "track_number", "duration_ms", "isrc",
              "recording_id_musicbrainz", "popularity", "listens_count", "licence", "licence_url", "artist_rows"),
    "release": ("release_id", "title", "release_date", "release_date_precision", "label", "upc", "release_id_musicbrainz",
                "first_track", "tracks"),
    "artist": ("artist_id", "name"),
}  # fmt: skip
"""What stands on the shelves: tables and columns. A track's artists are rows with a comma between them; a release's tracks lie
together, `tracks` of them from `first_track` on.
"""

KEYS = {
    "track": ("track_id", "isrc", "recording_id_musicbrainz"),
    "release": ("release_id", "upc", "release_id_musicbrainz"),
    "artist": (),
}
"""What can be looked up."""


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


@dataclass(frozen=True, slots=True)
class Match:
    """A song that fits words; `is_near` where it does so in another spelling only, or but for a small word such as `the`."""

    song: Song
    is_near: bool


class Songs:
    """The shelves of an edition, opened; not for several threads at a time.

    Raises IntegrityError where they are not whole, IndexError for a row that is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._shelves = {table: Shelf(folder / f"{table}.shelf", columns) for table, columns in SHOWN.items()}

    def row(self, table: str, number: int) -> Mapping[str, str | None]:
        """A row as texts."""
        return self._shelves[table].row(number)

    def song(self, track_row: int) -> Song:
        """The track in this row."""
        track = self.row("track", track_row)
        release = dict.fromkeys(SHOWN["release"])
        if (number := _whole(track["release_row"])) is not None:
            release = {**self.row("release", number)}
        day = release["release_date"]
        return Song(
            track_row=track_row,
            source=track["source"] or "",
            track_id=track["track_id"] or "",
            title=track["title"],
            artists=tuple(self._artist(int(row)) for row in (track["artist_rows"] or "").split(",") if row),
            release=release["title"],
            release_date=None if day is None else date.fromisoformat(day),
            release_date_precision=release["release_date_precision"],
            label=release["label"],
            upc=release["upc"],
            disc_number=_whole(track["disc_number"]),
            track_number=_whole(track["track_number"]),
            duration_ms=_whole(track["duration_ms"]),
            isrc=track["isrc"],
            popularity=_whole(track["popularity"]),
            listens_count=_whole(track["listens_count"]),
            licence=track["licence"],
            licence_url=track["licence_url"],
        )

    def tracks_of(self, release_row: int) -> range:
        """The tracks of a release."""
        release = self.row("release", release_row)
        first = int(release["first_track"] or 0)
        return range(first, first + int(release["tracks"] or 0))

    def _artist(self, number: int) -> str:
        artist = self.row("artist", number)
        return artist["name"] or artist["artist_id"] or ""


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)

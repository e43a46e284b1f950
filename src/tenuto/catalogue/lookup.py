"""Looking things up in an edition: by id, ISRC, UPC or MBID, in a time that does not grow with the catalogue; and by words.

`Catalogue.open(Path("my-archive"))` is a context manager; `by_isrc("DEAB12345678")`, `search("yesterday beatles")` give songs.
What makes an index is loaded where one is made (`indexing`, `search.build`): a search in a new process begins sooner so.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from tenuto.archive import Layout
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.archive.layout import SETTINGS_NAME
from tenuto.catalogue.edition import EDITION_NAME, Edition, open_current, open_edition, refuse_damaged
from tenuto.catalogue.keys import Keys
from tenuto.catalogue.songs import KEYS, Match, Song, Songs
from tenuto.model import codes
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.ids import short_digest
from tenuto.model.progress import Progress, Silent

if TYPE_CHECKING:
    from tenuto.catalogue.search.find import TextIndex

_TEXT = "text"
_EXACT_FROM = 5
"""Scores (`search.find.Hit`) from which on a track has every word as it was written; the last one may be cut short."""

_CANNOT_WRITE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

Opened = TypeVar("Opened")


class Catalogue:
    """An edition to look things up in; a context manager. Not for several threads at a time.

    Every question raises IntegrityError where the index is damaged; what it says is never made of damaged bytes.
    """

    def __init__(self, edition: Edition, folder: Path, progress: Progress) -> None:
        self.edition = edition
        self._progress = progress
        self._folder = folder
        self._songs, self._keys = _whole(edition, folder, progress, build_lookup, partial(_opened, folder))
        self._text: TextIndex | None = None

    @classmethod
    def open(cls, path: Path, progress: Progress | None = None, index: Path | None = None) -> Self:
        """The current edition of an archive, or an edition by its folder. The index is made where it is missing or damaged: in the
        folder `index`, else in the archive's `state/`, else beside the edition's folder.

        Raises UsageError where there is neither, or no index can be made there; IntegrityError where the edition is not whole.
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
        if index is not None:
            folder = index.expanduser().absolute() / _name(edition)
        return cls(edition, folder, progress or Silent())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keys.clear()
        self._text = None

    def by_id(self, own_id: str) -> list[Song]:
        """The tracks with this id of a source, or of the release that has it."""
        return self._of_tracks("track_id", own_id) or self._of_releases("release_id", own_id)

    def by_isrc(self, isrc: str) -> list[Song]:
        """The tracks with this ISRC, written with hyphens or without; raises UsageError where it is none."""
        plain = codes.isrc(isrc)
        if plain is None:
            raise UsageError(f"{isrc!r} is no ISRC; it is written like DEAB12345678 or DE-AB1-23-45678")
        return self._of_tracks("isrc", plain)

    def by_upc(self, upc: str) -> list[Song]:
        """The tracks of the releases with this UPC or EAN, with leading zeros or without; raises UsageError where it is none."""
        plain = codes.upc(upc)
        if plain is None:
            raise UsageError(f"{upc!r} is no UPC or EAN; it has 8 to 14 digits")
        return [song for form in codes.upc_forms(plain) for song in self._of_releases("upc", form)]

    def by_mbid(self, mbid: str) -> list[Song]:
        """The tracks with this MusicBrainz id: of the recording or of the release; raises UsageError where it is none."""
        plain = codes.mbid(mbid)
        if plain is None:
            raise UsageError(f"{mbid!r} is no MusicBrainz id; it is a UUID")
        return self._of_tracks("recording_id_musicbrainz", plain) or self._of_releases("release_id_musicbrainz", plain)

    def search(
        self, text: str, limit: int = 20, *, title: str | None = None, artist: str | None = None, year: int | None = None,
        licence: str | None = None,
    ) -> list[Song]:  # fmt: skip
        """The tracks that these words fit best, the best first; words may be of title, artists and release, in any spelling."""
        found = self.matches(text, limit, title=title, artist=artist, year=year, licence=licence)
        return [match.song for match in found]

    def matches(
        self, text: str, limit: int = 20, *, title: str | None = None, artist: str | None = None, year: int | None = None,
        licence: str | None = None,
    ) -> list[Match]:  # fmt: skip
        """What `search` finds, each with how it fits: all that fit exactly come before those that nearly do."""
        if self._text is None:
            from tenuto.catalogue.search.find import TextIndex  # noqa: PLC0415 -- ids are looked up without it

            folder = self._folder / _TEXT
            opened = partial(TextIndex.open, folder, self._title)
            self._text = _whole(self.edition, folder, self._progress, build_text, opened)
        hits = self._text.search(text, limit, title=title, artist=artist, year=year, licence=licence)
        return [Match(self.song(hit.track_row), is_near=hit.score < _EXACT_FROM) for hit in hits]

    def song(self, track_row: int) -> Song:
        """The track in this row; raises IndexError where there is none."""
        return self._songs.song(track_row)

    def _title(self, track_row: int) -> str:
        return self._songs.row("track", track_row)["title"] or ""

    def _of_tracks(self, column: str, key: str) -> list[Song]:
        return [self.song(row) for row in self._rows("track", column, key)]

    def _of_releases(self, column: str, key: str) -> list[Song]:
        releases = self._rows("release", column, key)
        return [self.song(row) for release in releases for row in self._songs.tracks_of(release)]

    def _rows(self, table: str, column: str, key: str) -> list[int]:
        """The rows that really have this key."""
        rows = self._keys[table, column].rows(key)
        return [row for row in rows if self._songs.row(table, row)[column] == key]


def build_lookup(edition: Edition, folder: Path, progress: Progress) -> None:
    """Make the index of an edition, whole or not at all; raises IntegrityError where the edition is damaged."""
    from tenuto.catalogue.indexing import write_index  # noqa: PLC0415 -- where one is made

    refuse_damaged(edition)
    with _made_once(folder) as beside:
        write_index(edition, beside, progress)


def build_text(edition: Edition, folder: Path, progress: Progress, memory_bytes: int = 2 * 10**9) -> None:
    """Make the text index of an edition, whole or not at all; `memory_bytes` bounds what it takes, from 0.6 GB on.

    Raises IntegrityError where the edition is damaged.
    """
    from tenuto.catalogue.search.parts import build_parts  # noqa: PLC0415 -- where one is made

    refuse_damaged(edition)
    with _made_once(folder) as beside:
        build_parts(edition, beside, memory_bytes, progress)


def is_built(folder: Path) -> bool:
    """Whether the index of an edition is there."""
    return folder.is_dir()


def forget_lookups(layout: Layout, edition: Edition, *, was_damaged: bool) -> None:
    """Delete the indexes of other editions, and what was left of others' making: they are made again where they are asked for.
    So is that of an edition that was damaged: who knows what it was made of.
    """
    kept = layout.lookup(_name(edition))
    for folder in kept.parent.iterdir() if kept.parent.is_dir() else ():
        if folder != kept or was_damaged:
            shutil.rmtree(folder, ignore_errors=True)


def _opened(folder: Path) -> tuple[Songs, dict[tuple[str, str], Keys]]:
    keys = {(table, name): Keys(folder / f"{table}.{name}.keys") for table, names in KEYS.items() for name in names}
    return Songs(folder), keys


def _whole(
    edition: Edition, folder: Path, progress: Progress, build: Callable[[Edition, Path, Progress], None],
    opened: Callable[[], Opened],
) -> Opened:  # fmt: skip
    """An index opened; made where it is missing, and made again where it is cut or of another version."""
    if is_built(folder):
        try:
            return opened()
        except IntegrityError as error:
            progress.say(f"{error}")
            _away(folder)
    try:
        build(edition, folder, progress)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise UsageError(
            f"the index of {edition.info.edition} is to be made in {folder.parent}, where nothing can be written "
            f"({error.strerror}); say where it may lie: tenuto find --index FOLDER"
        ) from None
    return opened()


def _away(folder: Path) -> None:
    """Take an index away at once, also where others look on."""
    with suppress(OSError):
        shutil.rmtree(
            folder.rename(tempfile.mkdtemp(prefix=f"{LEFTOVER_PREFIX}old-", dir=folder.parent)), ignore_errors=True
        )


def _name(edition: Edition) -> str:
    """An index is of an edition's bytes: one of the same name may have been written anew."""
    tables = edition.info.tables
    return f"{edition.info.edition}-{short_digest(tables[name].sha256 for name in sorted(tables))}"


@contextmanager
def _made_once(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its name when the block ends well. Several may do the same at once: the first one's stays.

    What a killed maker left is deleted: the kernel has let go of its lock.
    """
    make_folder(folder.parent)
    prefix = f"{LEFTOVER_PREFIX}{folder.name}-"
    with ExitStack() as holding:
        with _held(folder.parent, fcntl.LOCK_EX):  # nobody takes for left over what another one is about to hold
            for left in folder.parent.glob(f"{prefix}*"):
                with suppress(OSError), _held(left):
                    shutil.rmtree(left, ignore_errors=True)
            beside = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
            holding.enter_context(_held(beside))
        try:
            yield beside
            with suppress(OSError):  # there by now, and full
                beside.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _held(folder: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[None]:
    """A folder locked, as long as this process lives; raises OSError where another one holds it, unless `how` waits for that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)

"""Finding tracks by what is typed: the best kind of match first, within it what is listened to most."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tantivy import Index, Query, Searcher

from tenuto.catalogue.search.facts import ROW_MAX
from tenuto.catalogue.search.queries import ALL, ARTIST, NAMES, TITLE, Queries, every, joinings, partings, some
from tenuto.catalogue.search.tiers import ABOUT_NAME, TIERS, VERSION, schema
from tenuto.catalogue.search.words import Word, fold, named, wanted
from tenuto.model.errors import IntegrityError
from tenuto.model.names import ARTICLES

FEW = 5
"""Hits below which typos and other spellings are looked for."""

_SURE_WORDS = 3
"""So many words do not meet in a track by accident: then one hit is no typo."""

LIMIT_MAX = 1_000
"""Hits of one search at most; a list of all of them is a question for the tables."""

_KINDS = 10
_WHOLE, _PHRASE, _PHRASE_BEGUN, _WORDS, _WORDS_BEGUN, _WITH_RELEASE, _RESPELLED, _NEAR, _NEARER = range(9)
"""Kinds of matches, the best first."""

_SPLITS_MAX = 6
_PARTED_MIN, _PARTED_MAX = 3, 16
_LOOSE = frozenset({*ARTICLES, "and", "of", "feat", "ft"})
"""Words without which a track is found too, when there is little else."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A track that was found. `score` never rises from hit to hit: its whole part is the kind of match, the rest the weight."""

    track_row: int
    score: float


class TextIndex:
    """The text index of one edition, open for reading. Safe for many threads, if what gives titles is."""

    def __init__(self, folder: Path, searchers: Sequence[Searcher], title_of: Callable[[int], str]) -> None:
        self._folder, self._searchers, self._title_of = folder, searchers, title_of
        self._schema = schema()

    @classmethod
    def open(cls, folder: Path, title_of: Callable[[int], str]) -> Self:
        """The index in a folder; `title_of` gives the title of a track, empty where it has none.

        Raises IntegrityError where the index is missing, cut or of another version: it is to be made anew.
        """
        try:
            about = json.loads((folder / ABOUT_NAME).read_bytes())
            version, tracks, files = about["version"], int(about["tracks"]), dict(about["files"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damage(folder, f"{ABOUT_NAME} cannot be read ({error})") from None
        if version != VERSION:
            raise _damage(folder, f"it is of version {version!r}, this one reads {VERSION}")
        for name, size in files.items():
            if not (folder / name).is_file() or (folder / name).stat().st_size != size:
                raise _damage(folder, f"{name} has not the {size} bytes that were written")
        with _refused(folder):
            searchers = [_searcher(folder / tier) for tier in TIERS]
            held = sum(searcher.num_docs for searcher in searchers)
        if held != tracks:
            raise _damage(folder, f"it holds {held} tracks, {ABOUT_NAME} says {tracks}")
        return cls(folder, searchers, title_of)

    def search(
        self,
        text: str,
        limit: int = 20,
        *,
        title: str | None = None,
        artist: str | None = None,
        year: int | None = None,
        licence: str | None = None,
    ) -> list[Hit]:
        """The best `limit` tracks for what was typed; the last word may be the beginning of one.

        `title` and `artist` are words that must stand there, `year` that of the release, `licence` the licence as the catalogue
        writes it. Without a word in `text`, all tracks that pass these; nothing where these say nothing either.
        """
        limit = max(0, min(limit, LIMIT_MAX))
        with _refused(self._folder):
            return self._search(text, limit, {TITLE: title, ARTIST: artist}, year, licence)

    def _search(
        self, text: str, limit: int, names: dict[str, str | None], year: int | None, licence: str | None
    ) -> list[Hit]:
        queries = Queries(self._schema, self._searchers)
        filters = queries.facts(year, licence)
        for field, asked in names.items():
            filters += [queries.exact(field, word) for word in wanted(asked or "")]
        found: dict[int, tuple[int, int]] = {}
        for kind, query in self._kinds(queries, wanted(text), found) if limit else ():
            if len(found) < limit:
                self._collect(found, kind, every([query, *filters]), limit)
        if not found and filters and not wanted(text) and limit:
            self._collect(found, _WORDS, every(filters), limit)
        return self._hits(found, wanted(text), limit)

    def _kinds(self, queries: Queries, words: list[Word], found: dict[int, Any]) -> Iterator[tuple[int, Query]]:
        """Queries, the best kind first; later ones find what earlier ones did, and more. `found` grows while they are run."""
        if not words:
            return
        last = words[-1]
        yield _WHOLE, self._whole(queries, words)
        if len(words) > 1:
            phrase = queries.phrase(words)
            yield _PHRASE, some([*([phrase] if phrase else []), queries.across(words, (ARTIST,))])
            begun = queries.phrase(words, is_begun=True)
            yield _PHRASE_BEGUN, some([*([begun] if begun else []), queries.across(words, (ARTIST,), last)])
        yield _WORDS, queries.across(words, NAMES)
        yield _WORDS_BEGUN, queries.across(words, NAMES, last)
        yield _WITH_RELEASE, queries.across(words, ALL, last)
        if len(found) < FEW and not (found and len(words) >= _SURE_WORDS):
            if others := list(self._respelled(queries, words)):
                yield _RESPELLED, some([queries.across(other, ALL) for other in others])
            yield _NEAR, queries.loosely(words, last, 1)
            if len(found) < FEW and queries.may_be_nearer(words):
                yield _NEARER, queries.loosely(words, last, 2)

    @staticmethod
    def _whole(queries: Queries, words: list[Word]) -> Query:
        """The title from its first word to its last; with the artist before or behind it."""
        found = [queries.whole(words)]
        if len(words) <= _SPLITS_MAX:
            for n in range(1, len(words)):
                found.append(every([queries.whole(words[:n]), queries.across(words[n:], (ARTIST,), words[-1])]))
                found.append(every([queries.whole(words[n:]), queries.across(words[:n], (ARTIST,))]))
        return some(found)

    @staticmethod
    def _respelled(queries: Queries, words: list[Word]) -> Iterator[list[Word]]:
        """The words otherwise divided, and without those that are often left out."""
        yield from joinings(words)
        for word in words:
            if not word.is_unspaced and _PARTED_MIN <= len(word.text) <= _PARTED_MAX and not queries.is_known(word):
                yield from partings(words, word)
        kept = [word for word in words if word.text not in _LOOSE]
        if kept and len(kept) < len(words):
            yield kept

    def _collect(self, found: dict[int, tuple[int, int]], kind: int, query: Query, limit: int) -> None:
        """Add the best of a query by row, with their kind and weight; those that an earlier one found stay what they are."""
        wanted_count = limit
        for searcher in self._searchers:  # what is in a tier comes before all that is in the next one
            result = searcher.search(query, limit=wanted_count, count=False, order_by_field="order")
            for order, _ in result.hits:
                row = ROW_MAX - (order & ROW_MAX)
                if row not in found:
                    found[row] = (kind, order >> 32)
            wanted_count -= len(result.hits)
            if not wanted_count:
                return

    def _hits(self, found: dict[int, tuple[int, int]], words: list[Word], limit: int) -> list[Hit]:
        ranked = sorted(
            (_KINDS - self._kind(kind, row, words) + weight / 2**16, -row) for row, (kind, weight) in found.items()
        )
        return [Hit(-row, score) for score, row in reversed(ranked)][:limit]

    def _kind(self, kind: int, row: int, words: list[Word]) -> int:
        """A title that has the words somewhere in it, and as many words before its bracket, is not the whole title."""
        if kind != _WHOLE:
            return kind
        first = named(fold(self._title_of(row))).words[:1]
        starts = {word.terms[0] for word in words}
        return kind if first and first[0] in starts else _PHRASE


def _searcher(folder: Path) -> Searcher:
    """Of what lies there now. tantivy makes a lock file beside an index: where none can be made, it is shown links to the files."""
    if not os.access(folder, os.W_OK):
        with tempfile.TemporaryDirectory() as links:
            for file in folder.iterdir():
                Path(links, file.name).symlink_to(file)
            return _opened(Path(links))
    return _opened(folder)


def _opened(folder: Path) -> Searcher:
    index = Index.open(str(folder))
    index.config_reader("manual")  # else a thread would watch the folder
    return index.searcher()


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """What tantivy says of files that are not as they were written is IntegrityError, its panics included."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _damage(folder, f"it cannot be read ({error})") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of pyo3, which gives it no name to import
            raise
        raise _damage(folder, f"it cannot be read ({error})") from None


def _damage(folder: Path, what: str) -> IntegrityError:
    return IntegrityError(f"the text index {folder} is damaged: {what}; delete the folder, it is made again")

"""Finding tracks by what is typed: the best kind of match first, within it what is listened to most."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tantivy import Query, Searcher

from tenuto.catalogue.search.facts import ROW_MAX
from tenuto.catalogue.search.queries import ALL, ARTIST, NAMES, TITLE, Queries, every, joinings, partings, some
from tenuto.catalogue.search.tiers import ABOUT_NAME, TIERS, VERSION, crc_of, opened, schema
from tenuto.catalogue.search.vocabulary import WORDS_FOLDER, Vocabulary
from tenuto.catalogue.search.words import Word, fold, named, together, wanted
from tenuto.model.errors import IntegrityError
from tenuto.model.names import ARTICLES

FEW = 5
"""Hits below which typos and other spellings are looked for."""

_SURE_WORDS = 3
"""So many words do not meet in a track by accident: then one hit is no typo."""

LIMIT_MAX = 1_000
"""Hits of one search at most; a list of all of them is a question for the tables."""

_READ_MAX_BYTES = 16_000_000
"""An index up to so large is read to its end when it is opened (some 10 ms): that of 400,000 tracks."""

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

    def __init__(
        self, folder: Path, searchers: Sequence[Searcher], vocabulary: Vocabulary, title_of: Callable[[int], str]
    ) -> None:
        self._folder, self._searchers, self._vocabulary, self._title_of = folder, searchers, vocabulary, title_of
        self._schema = schema()

    @classmethod
    def open(cls, folder: Path, title_of: Callable[[int], str]) -> Self:
        """The index in a folder; `title_of` gives the title of a track, empty where it has none.

        Raises IntegrityError where the index is missing, cut or of another version: it is to be made anew.
        """
        try:
            about = json.loads((folder / ABOUT_NAME).read_bytes())
            version, tracks = about["version"], int(about["tracks"])
            files = {name: (int(size), int(crc)) for name, (size, crc) in about["files"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _damage(folder, f"{ABOUT_NAME} cannot be read ({error})") from None
        if version != VERSION:
            raise _damage(folder, f"it is of version {version!r}, this one reads {VERSION}")
        _check(folder, files)
        with _refused(folder):
            searchers, vocabulary = [opened(folder / tier) for tier in TIERS], Vocabulary(folder / WORDS_FOLDER)
            held = sum(searcher.num_docs for searcher in searchers)
        if held != tracks:
            raise _damage(folder, f"it holds {held} tracks, {ABOUT_NAME} says {tracks}")
        return cls(folder, searchers, vocabulary, title_of)

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

        `title` and `artist` are words that must stand there, the last of each may be begun; `year` is that of the release,
        `licence` the licence as the catalogue writes it. Without a word in `text`, all tracks that pass these; nothing where these
        say nothing either.
        """
        limit = max(0, min(limit, LIMIT_MAX))
        with _refused(self._folder):
            return self._search(text, limit, {TITLE: title, ARTIST: artist}, year, licence)

    def _search(
        self, text: str, limit: int, names: dict[str, str | None], year: int | None, licence: str | None
    ) -> list[Hit]:
        queries, words = Queries(self._schema, self._searchers, self._vocabulary), wanted(text)
        exact, begun = queries.facts(year, licence), queries.facts(year, licence)
        for field, asked in names.items():
            narrowing = wanted(asked or "")
            exact += [queries.exact(field, word) for word in narrowing]
            begun += [queries.exact(field, word) for word in narrowing[:-1]]
            begun += [queries.begun(field, word) for word in narrowing[-1:]]
        found = _Found(begun, limit)
        if words and limit:
            self._exactly(queries, words, found)
            for kind, query in self._otherwise(queries, words, found):
                found.add(kind, query, self._searchers)
        elif begun and limit:
            found.add(_WORDS, every(exact), self._searchers)
            found.add(_WORDS_BEGUN, every(begun), self._searchers)
        return self._hits(found.rows, words, limit)

    def _exactly(self, queries: Queries, words: list[Word], found: "_Found") -> None:
        """What has all the words as they are typed, the last one begun.

        All that the better kinds find is among what the widest one does, so it is asked for first: where it finds less than is
        wanted, the others only tell of what kind these few are, and are asked no longer than there is one of which it is not known.
        """
        last, tiers = words[-1], self._searchers
        if any(not (word is last or word.is_unspaced or queries.is_known(word)) for word in words):
            return
        widest = found.best(some([queries.across(words, ALL, last), queries.phrase(words)]), tiers)
        count = sum(map(len, widest))
        for kind, query in self._better(queries, words):
            if len(found.rows) >= count:
                return
            unsure = [tier for tier, hits in zip(tiers, widest, strict=True) if not hits.keys() <= found.rows.keys()]
            found.add(kind, query, tiers if count == found.limit else unsure)
        for hits in widest:
            found.keep(_WITH_RELEASE, hits)

    def _better(self, queries: Queries, words: list[Word]) -> Iterator[tuple[int, Query]]:
        """Kinds of matches, the best first; later ones find what earlier ones did, and more."""
        last = words[-1]
        yield _WHOLE, self._whole(queries, words)
        if len(words) > 1:
            yield _PHRASE, some([queries.phrase(words), queries.across(words, (ARTIST,))])
            begun = queries.phrase(words, is_begun=True)
            yield _PHRASE_BEGUN, some([begun, queries.across(words, (ARTIST,), last)])
        yield _WORDS, queries.across(words, NAMES)
        yield _WORDS_BEGUN, queries.across(words, NAMES, last)

    def _otherwise(self, queries: Queries, words: list[Word], found: "_Found") -> Iterator[tuple[int, Query]]:
        """Other spellings, then typos, as long as there is too little; `found` grows while they are asked for."""
        if found.is_enough(words):
            return
        if others := list(self._respelled(queries, words)):
            yield _RESPELLED, some([queries.across(other, ALL) for other in others])
        for edits, kind in ((1, _NEAR), (2, _NEARER)):
            is_more = any(len(queries.like(word, edits)) > len(queries.like(word, edits - 1)) for word in words)
            if not found.is_enough(words) and is_more:
                yield kind, queries.loosely(words, words[-1], edits)

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
        others = joinings(words)
        for word in words:
            if not word.is_unspaced and _PARTED_MIN <= len(word.text) <= _PARTED_MAX and not queries.is_known(word):
                others += partings(words, word)
        for other in others:
            if all(queries.is_known(word) for word in other if not word.is_unspaced and word not in words):
                yield other
        kept = [word for word in words if word.text not in _LOOSE]
        if kept and len(kept) < len(words):
            yield kept

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
        starts = {word.terms[0] for word in (*words, *together(words))}
        return kind if first and first[0] in starts else _PHRASE


class _Found:
    """What a search has found: the kind and the weight of each row."""

    def __init__(self, filters: Sequence[Query], limit: int) -> None:
        self._filters = filters
        self.limit = limit
        self.rows: dict[int, tuple[int, int]] = {}

    def add(self, kind: int, query: Query, tiers: Sequence[Searcher]) -> None:
        """Add the best of a query; rows that an earlier one found stay what they are."""
        if len(self.rows) < self.limit:
            for hits in self.best(query, tiers):
                self.keep(kind, hits)

    def keep(self, kind: int, hits: Mapping[int, int]) -> None:
        """Add rows by their weight."""
        for row, weight in hits.items():
            self.rows.setdefault(row, (kind, weight))

    def best(self, query: Query, tiers: Sequence[Searcher]) -> list[dict[int, int]]:
        """Of each tier rows and their weights, as many as are wanted: what is in one comes before all that is in the next."""
        found, left = list[dict[int, int]](), self.limit
        query = every([query, *self._filters])
        for searcher in tiers:
            hits = searcher.search(query, limit=left, count=False, order_by_field="order").hits if left else []
            found.append({ROW_MAX - (order & ROW_MAX): order >> 32 for order, _ in hits})
            left -= len(hits)
        return found

    def is_enough(self, words: Sequence[Word]) -> bool:
        """Whether there is no need to look for other spellings."""
        return len(self.rows) >= (1 if len(words) >= _SURE_WORDS else FEW)


def _check(folder: Path, files: Mapping[str, tuple[int, int]]) -> None:
    """Compare the sizes of files with those that were written; their bytes too where all of them are few.

    Raises IntegrityError where they are others.
    """
    is_read = sum(size for size, _ in files.values()) <= _READ_MAX_BYTES
    for name, (size, crc) in files.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise _damage(folder, f"{name} has not the {size} bytes that were written")
        if is_read and crc_of(folder / name) != crc:
            raise _damage(folder, f"{name} has other bytes than were written")


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

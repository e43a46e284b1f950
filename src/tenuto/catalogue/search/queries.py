"""Queries for tantivy, put together from words: no text that was typed is ever parsed as a query language."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce

from tantivy import Occur, Query, Schema, Searcher

from tenuto.catalogue.search.facts import count_word, licence_word, year_word
from tenuto.catalogue.search.vocabulary import Vocabulary
from tenuto.catalogue.search.words import Word, together

TITLE, ARTIST, RELEASE, FACT = "title", "artist", "release", "fact"
NAMES = (TITLE, ARTIST)
ALL = (TITLE, ARTIST, RELEASE)

ENDINGS_MAX = 64
"""Words of the index that a beginning stands for: the most frequent ones in each field."""

_BEGINNING_MIN = 2
"""Letters of a beginning; single letters begin tenths of all words and are found as words alone."""

_TYPO_FROM, _TYPOS_FROM = 4, 8
"""Letters from which a word may be one, or two, edits away."""


class Queries:
    """Makes queries against the searchers of an index; remembers what a beginning and what a typo stands for."""

    def __init__(self, schema: Schema, searchers: Sequence[Searcher], vocabulary: Vocabulary) -> None:
        self._schema, self._searchers, self._vocabulary = schema, searchers, vocabulary
        self._endings: dict[tuple[str, str], list[str]] = {}
        self._like: dict[tuple[str, int], list[str]] = {}

    def fact(self, word: str) -> Query:
        """Tracks with a fact."""
        return Query.term_query(self._schema, FACT, word, "basic")

    def facts(self, year: int | None, licence: str | None) -> list[Query]:
        """Filters by year and licence."""
        words = [] if year is None else [year_word(year)]
        words += [] if licence is None else [licence_word(licence)]
        return [self.fact(word) for word in words]

    def exact(self, field: str, word: Word) -> Query:
        """Tracks with the word in a field."""
        if _is_single(word):
            return self.begun(field, word)
        if field == TITLE and len(word.terms) > 1:
            return Query.phrase_query(self._schema, field, list(word.terms))
        return every([self._term(field, term) for term in word.terms])

    def begun(self, field: str, word: Word) -> Query:
        """Tracks with a word in a field that begins so, or is so."""
        if word.is_unspaced and word.places > 1:
            return self.exact(field, word)
        return some([self._term(field, term) for term in (word.terms[0], *self._begun(field, word.terms[0]))])

    def like(self, word: Word, edits: int) -> list[str]:
        """Other words of the index that are at most so many edits away, as far as the length of the word lets it be."""
        allowed = 0 if word.is_unspaced else (len(word.text) >= _TYPO_FROM) + (len(word.text) >= _TYPOS_FROM)
        key = word.text, min(edits, allowed)
        if key not in self._like:
            near = self.like(word, key[1] - 1) if key[1] else []
            new = self._vocabulary.like(*key) if key[1] else []
            self._like[key] = [*near, *(term for term in new if term != word.text and term not in near)]
        return self._like[key]

    def phrase(self, words: Sequence[Word], *, is_begun: bool = False) -> Query:
        """Titles with these words one after the other; a single character of a script without spaces stands anywhere."""
        words, terms, offset = together(words), list[tuple[int, str]](), 0
        singles = [self.begun(TITLE, word) for word in words if _is_single(word)]
        for word in words:
            terms += [] if _is_single(word) else [(offset + n, term) for n, term in enumerate(word.terms)]
            offset += word.places
        last = words[-1]
        if not is_begun or last.is_unspaced:
            return every([*self._phrase(terms), *singles])
        rest = terms[:-1]
        if not rest:
            return every([self.begun(TITLE, last), *singles])
        endings = (last.text, *self._begun(TITLE, last.text))
        phrases = [query for ending in endings for query in self._phrase([*rest, (offset - 1, ending)])]
        return every([some(phrases), *singles])

    def whole(self, words: Sequence[Word]) -> Query:
        """Titles of these words and no others, but for what follows in brackets or behind a dash."""
        fact = self.fact(count_word(sum(word.places for word in words)))
        singles = [self._term(TITLE, word.terms[0]) for word in together(words) if _is_single(word)]
        return every([self.phrase(words), *singles, fact])

    def across(self, words: Iterable[Word], fields: Sequence[str], begun: Word | None = None) -> Query:
        """Tracks with every word in one of the fields; one of the words may be a beginning."""
        return every(
            [
                some([self.begun(field, word) if word is begun else self.exact(field, word) for field in fields])
                for word in words
            ]
        )

    def loosely(self, words: Iterable[Word], begun: Word | None, edits: int) -> Query:
        """Tracks with every word in any field, give or take some edits."""
        return every([self._loosely(word, word is begun, edits) for word in words])

    def is_known(self, word: Word) -> bool:
        """Whether any track has the word."""
        return any(
            searcher.doc_freq(field, term) for searcher in self._searchers for field in ALL for term in word.terms
        )

    def _loosely(self, word: Word, is_begun: bool, edits: int) -> Query:
        queries = [self.begun(field, word) if is_begun else self.exact(field, word) for field in ALL]
        return some([*queries, *(self._term(field, term) for term in self.like(word, edits) for field in ALL)])

    def _begun(self, field: str, text: str) -> list[str]:
        found = self._endings.get((field, text))
        if found is None:
            is_short = len(text) < _BEGINNING_MIN and text.isascii()
            counts: Counter[str] = Counter()
            for searcher in () if is_short else self._searchers:
                counts.update(dict(searcher.terms_with_prefix(field, text, limit=ENDINGS_MAX)))
            best = sorted(counts, key=lambda term: (-counts[term], term))[:ENDINGS_MAX]
            found = self._endings[field, text] = [term for term in best if term != text]
        return found

    def _phrase(self, terms: list[tuple[int, str]]) -> list[Query]:
        """None or one: tantivy panics at a phrase of one word."""
        if len(terms) > 1:
            return [Query.phrase_query(self._schema, TITLE, list(terms))]
        return [self._term(TITLE, term) for _, term in terms]

    def _term(self, field: str, term: str) -> Query:
        return Query.term_query(self._schema, field, term, "basic")


def _is_single(word: Word) -> bool:
    return word.is_unspaced and word.places == 1


def every(queries: Sequence[Query]) -> Query:
    """What all of them find."""
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, query) for query in queries])


def some(queries: Sequence[Query]) -> Query:
    """What any of them finds."""
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])


def joined(first: Word, second: Word) -> Word:
    """Two words as one."""
    text = first.text + second.text
    return Word(text, (text,), 1, is_unspaced=False)


def joinings(words: Sequence[Word]) -> list[list[Word]]:
    """The words with two neighbours as one, each pair in turn; and all single letters in a row as one."""
    found = [
        [*words[:n], joined(words[n], words[n + 1]), *words[n + 2 :]]
        for n in range(len(words) - 1)
        if not (words[n].is_unspaced or words[n + 1].is_unspaced)
    ]
    if len(words) > 2 and all(len(word.text) == 1 and not word.is_unspaced for word in words):  # noqa: PLR2004 -- pairs are there
        found.append([reduce(joined, words)])
    return found


def partings(words: Sequence[Word], unknown: Word) -> list[list[Word]]:
    """The words with one of them as two, parted at each place in turn."""
    at, text = words.index(unknown), unknown.text
    halves = [(text[:n], text[n:]) for n in range(1, len(text))]
    return [
        [*words[:at], *(Word(half, (half,), 1, is_unspaced=False) for half in pair), *words[at + 1 :]]
        for pair in halves
    ]

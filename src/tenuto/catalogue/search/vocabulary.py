"""The words of the text index, each once with all its fields and tiers: where a typo is looked for.

An index of tantivy's own with a document a word; the words themselves stand in a file beside it, the rarest first. What a document
holds beside its word is the place of the word in that file, so that hits sorted by place are sorted by frequency.
"""

import json
import mmap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import tantivy

from tenuto.catalogue.search.tiers import opened, writer_of
from tenuto.catalogue.search.words import PAIR, WORD_MAX

WORDS_FOLDER, _WORDS_NAME = "words", "words.txt"

_WORDS_MAX = 1_000_000
"""Words of a field and a tier that are taken, the most frequent ones: what is held in memory, and walked for a typo, is bounded."""

_SHORTEST = 3
"""Letters of a word from which it may be meant by a typo, of one letter in four."""

_LIKE_MAX = 64
"""Words that a typo may stand for, the most frequent ones."""

_HEAP_BYTES = 60_000_000


class Vocabulary:
    """The words, open for reading. Raises ValueError or OSError where its files are not as they were written."""

    def __init__(self, folder: Path) -> None:
        self._schema = _schema()
        self._searcher = opened(folder)
        with (folder / _WORDS_NAME).open("rb") as file:
            self._words = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def like(self, text: str, edits: int) -> list[str]:
        """Words at most so many edits away, the most frequent first; two neighbouring letters exchanged are one edit."""
        query = tantivy.Query.fuzzy_term_query(self._schema, "word", text, edits)
        hits = self._searcher.search(query, limit=_LIKE_MAX, count=False, order_by_field="place").hits
        return [self._word(place) for place, _ in hits]

    def _word(self, place: int) -> str:
        """The word that begins in this place of the file."""
        return self._words[place : self._words.find(b"\n", place)].decode(errors="replace")


def write_vocabulary(folder: Path, tiers: Iterable[Path], fields: Iterable[str]) -> None:
    """Write the words of some tiers' fields into a folder that is not there yet. Raises OSError where the disk is full."""
    counts = Counter[str]()
    for searcher in map(opened, tiers):
        for field in fields:
            counts.update(dict(searcher.terms_with_prefix(field, "", limit=_WORDS_MAX)))
    words = [word for word in counts if not word.startswith(PAIR) and _SHORTEST <= len(word) <= WORD_MAX]
    words.sort(key=lambda word: (counts[word], word))
    place = 0
    with writer_of(folder, _schema(), _HEAP_BYTES) as writer, (folder / _WORDS_NAME).open("xb") as file:
        place += file.write(b"\n")  # of no word: a file without a byte cannot be mapped
        for word in words:
            writer.add_json(json.dumps({"word": word, "place": place}))
            place += file.write(word.encode() + b"\n")


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("word", tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("place", fast=True)
    return builder.build()

"""A name as words of the text index, and what is typed as words that are looked for; both by the folding of `model.folding`.

Scripts that put no space between words (Chinese, Japanese, Korean in part, Thai, Lao, Khmer, Burmese, Tibetan) are cut into pairs
of neighbouring characters, the last character alone: then any part of a title is found, and a single character as the beginning
of a pair. White space between two such words is looked over, since it is written or left out at will.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from tenuto.model.folding import FOLDED_MAX, bare, folded, words_of

WORD_MAX = 64
"""Characters of a word that are looked at; longer ones are machine-made."""

WORDS_MAX = 12
"""Words of a query that are looked for; a title and its artist have fewer."""

KNOWN_MAX, KNOWN_CHARACTERS = 200_000, 4_000_000
"""Pieces of names that are remembered, and their characters together: some 50 MB."""

_UNSPACED_RANGES = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3100-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uaa60-\uaa7f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{_UNSPACED_RANGES}]")
_RUNS = re.compile(f"[{_UNSPACED_RANGES}]+|[^{_UNSPACED_RANGES}]+")

_VARIED = re.compile(
    "[\u30a1-\u30f6\u30fd\u30fe\u0622\u0623\u0625\u0629\u0643\u0649\u064a\u0671\u06c0-\u06cc\u06d2\u05da\u05dd\u05df\u05e3\u05e5]"
)
_VARIANTS = str.maketrans(
    {
        **{chr(code): chr(code - 0x60) for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)},  # katakana as hiragana
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # alef, also where a vowel stood between it and its mark
        **dict.fromkeys("\u0643", "\u06a9"),  # kaf: Arabic, Persian
        **dict.fromkeys("\u0649\u064a\u06d2", "\u06cc"),  # yeh: without dots, Arabic, Urdu
        **dict.fromkeys("\u0629\u06c0\u06c1\u06c2\u06c3", "\u0647"),  # heh: teh marbuta and forms of heh
        # Hebrew: final letters
        **dict(zip("\u05da\u05dd\u05df\u05e3\u05e5", "\u05db\u05de\u05e0\u05e4\u05e6", strict=True)),
    }
)
"""Letters of one sound that are typed for each other, on top of the folding of names."""

PAIR = "__"
"""Stands before pairs of characters in the index, which no word has: a search for words two edits away passes all of them by."""

_COMPOUND = re.compile(r"[^\W_][^\w\s']+[^\W_]")
_NEEDS_NEIGHBOURS = re.compile(rf"\+$|[#♯♭]|.*[\s{_UNSPACED_RANGES}]", re.DOTALL)
"""Signs that `words_of` reads by what stands before or behind the white space, and scripts that are put together over it."""

_PIECE_ENDS = re.compile(r"[(\[]|-$|feat\b|ft\b|featuring\b")
_NAME_ENDS = re.compile(r"\s(?:[(\[]|- |feat\b|ft\b|featuring\b)")


class Named(NamedTuple):
    """A name in the index: its words in order, more spellings of them, and how many words the whole name has.

    `core_count` counts those before a bracket, a dash or a guest, as in "Yesterday - Remastered 2009".
    """

    words: list[str]
    more: tuple[str, ...]
    core_count: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word that is looked for. `terms` are words of the index that stand at following places; `places` counts these."""

    text: str
    terms: tuple[str, ...]
    places: int
    is_unspaced: bool


class Piece(NamedTuple):
    """What stands between two white spaces of a name: as it is folded, its words and other spellings of it, spaced.

    `is_read_alone` where its neighbours change nothing in it; `is_end` where the core of a name ends before it.
    """

    folded: str
    words: str
    places: int
    more: str
    is_end: bool
    is_read_alone: bool


class Names:
    """Takes names apart as `named` does, thousands at a time; remembers pieces, of which few make up most names."""

    def __init__(self) -> None:
        self._known: dict[str, Piece] = {}
        self._characters = 0

    def of(self, texts: Iterable[str]) -> Iterator[tuple[str, int, int]]:
        """For each text its words, spaced, then how many places they have, and how many those of its core."""
        cut = [text[:FOLDED_MAX].split() for text in texts]
        self.pieces(set().union(*cut))
        for pieces in cut:
            yield _put_together([self._known[piece] for piece in pieces])

    def pieces(self, texts: Iterable[str]) -> list[Piece]:
        """Texts without white space, taken apart."""
        texts = list(texts)
        if len(self._known) > KNOWN_MAX or self._characters > KNOWN_CHARACTERS:
            self._known.clear()
            self._characters = 0
        unknown = [text for text in texts if text not in self._known]
        self._characters += sum(map(len, unknown))
        self._known.update(zip(unknown, map(_piece, _fold_many(unknown)), strict=True))
        return [self._known[text] for text in texts]


def _put_together(pieces: list[Piece]) -> tuple[str, int, int]:
    count = 0
    core_count: int | None = None
    words, more = [], []
    for number, piece in enumerate(pieces):
        if not piece.is_read_alone:
            count = 0
            break
        if number and piece.is_end and core_count is None:
            core_count = count
        if piece.places:
            words.append(piece.words)
            count += piece.places
        if piece.more:
            more.append(piece.more)
    if count:
        return " ".join(words + more), count, core_count or count
    name = named(" ".join([piece.folded for piece in pieces]))
    return " ".join((*name.words, *name.more)), len(name.words), name.core_count


def _piece(line: str) -> Piece:
    """A folded text without white space, taken apart."""
    if line.isalnum():
        is_alone = line.isascii() or not _UNSPACED.search(line)
        return Piece(line, line[:WORD_MAX], 1, "", bool(_PIECE_ENDS.match(line)), is_alone)
    if _NEEDS_NEIGHBOURS.match(line):
        return Piece(line, "", 0, "", is_end=False, is_read_alone=False)
    words = _terms(words_of(line))
    more = " ".join(_compounds(line))
    return Piece(line, " ".join(words), len(words), more, bool(_PIECE_ENDS.match(line)), is_read_alone=True)


def _fold_many(words: Iterable[str]) -> Iterator[str]:
    """Each text without white space folded; what a call costs is paid once for dozens."""
    pending: list[str] = []
    length = 0
    for word in words:
        if pending and length + len(word) > FOLDED_MAX:
            yield from _fold("\n".join(pending)).split("\n")
            pending, length = [], 0
        pending.append(word)
        length += len(word) + 1
    if pending:
        yield from _fold("\n".join(pending)).split("\n")


def fold(text: str) -> str:
    """A text with case, width, accents and forms of letters folded, punctuation kept; at most `FOLDED_MAX` characters."""
    return _fold(" ".join(text[:FOLDED_MAX].split()))


def named(line: str) -> Named:
    """The words of a folded name; the signs themselves where it has no words ("???")."""
    words = line.split()
    if "".join(words).isalnum():
        terms = _terms(words)
        ends = _NAME_ENDS.search(line, 1) if " f" in line else None
        return Named(terms, (), _core_count(line[: ends.start()]) if ends else len(terms))
    words = words_of(line)
    if not words:
        signs = bare(line)[:WORD_MAX]
        return Named([signs] if signs else [], (), 1 if signs else 0)
    terms = _terms(words)
    more = tuple(_compounds(line)) if _COMPOUND.search(line) else ()
    ends = _NAME_ENDS.search(line, 1)
    return Named(terms, more, (_core_count(line[: ends.start()]) if ends else 0) or len(terms))


def wanted(text: str) -> list[Word]:
    """The words of what was typed, at most `WORDS_MAX`; empty where nothing of it can be looked for."""
    line = fold(text)
    found = [_word(run) for word in words_of(line) for run in _RUNS.findall(word)]
    if not found and (signs := bare(line)[:WORD_MAX]):
        return [Word(signs, (signs,), 1, is_unspaced=False)]
    return found[:WORDS_MAX]


def together(words: Iterable[Word]) -> list[Word]:
    """The words with neighbours of scripts without spaces as one, as they stand in a title."""
    found: list[Word] = []
    for is_unspaced, neighbours in groupby(words, attrgetter("is_unspaced")):
        run = list(neighbours)
        found += [_unspaced("".join(word.text for word in run))] if is_unspaced else run
    return found


def _fold(text: str) -> str:
    line = folded(text)
    return line.translate(_VARIANTS) if _VARIED.search(line) else line


def _word(run: str) -> Word:
    run = run[:WORD_MAX]
    return _unspaced(run) if _UNSPACED.match(run) else Word(run, (run,), 1, is_unspaced=False)


def _unspaced(run: str) -> Word:
    pairs = _pairs(run)
    return Word(run, tuple(pairs[:-1] or pairs), len(run), is_unspaced=True)


def _core_count(core: str) -> int:
    return len(_terms(words_of(core)))


def _terms(words: list[str]) -> list[str]:
    """The words of the index: words as they are, and pairs of characters where there is no space between words."""
    whole = "".join(words)
    if whole.isascii() or not _UNSPACED.search(whole):
        return words if len(whole) <= WORD_MAX else [word[:WORD_MAX] for word in words]
    found: list[str] = []
    unspaced = ""
    for run in (run for word in words for run in _RUNS.findall(word)):
        if _UNSPACED.match(run):
            unspaced += run
            continue
        found += _pairs(unspaced)
        unspaced = ""
        found.append(run[:WORD_MAX])
    return found + _pairs(unspaced)


def _pairs(run: str) -> list[str]:
    return [PAIR + run[n : n + 2] for n in range(len(run))]


def _compounds(line: str) -> Iterator[str]:
    """Words that signs divide, as one: "AC/DC" is typed "acdc" too."""
    for chunk in line.split():
        if _COMPOUND.search(chunk):
            parts = words_of(chunk)
            if 1 < len(parts) <= 4 and not _UNSPACED.search(chunk):  # noqa: PLR2004 -- more is no name
                yield "".join(parts)[:WORD_MAX]

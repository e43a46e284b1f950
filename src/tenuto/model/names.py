"""Names of works and people, normalised for matching: the name itself, its guests, and which version it is.

Scripts are kept as they are; nothing is transliterated or translated. All of it is pure and idempotent: the key of a key is
the key. Where a rule may join two names that differ ("Die Young", "Young"), the matcher asks artist and duration too.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from tenuto.model.folding import bare, folded, search_key, words_of
from tenuto.model.versions import Marks, Version, Versions, release_versions, version_of

__all__ = [
    "ARTICLES",
    "NOBODY",
    "PEOPLE_MAX",
    "PEOPLE_WORDS",
    "TITLE_ANDS",
    "TITLE_WORDS",
    "TitleName",
    "artist_keys",
    "match_key",
    "parse_release",
    "parse_title",
    "people_of",
    "search_key",
]

ARTICLES = "the|a|an|der|die|das|le|la|les|el|los|las|il|lo|gli|de|het"
"""Leading articles that are taken off, as alternatives of a regular expression; one word always stays."""
_ARTICLES = frozenset(ARTICLES.split("|"))
TITLE_ANDS = "und|et|og|och|n"
"""Words for "and" between two words of a title."""
_AND = dict.fromkeys(TITLE_ANDS.split("|"), "and")
_SHORT = {"pt": "part", "vol": "volume", "versus": "vs"}
_WORDS = {**_AND, **_SHORT}
_COUNTED = frozenset({"part", "volume"})
_ROMAN = {
    word: str(n) for n, word in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"), 1)
}
_ARTICLE_LAST = re.compile(r"^(.*\w), (the|a|an|der|die|das|le|la|les|el|los|las)$")
TITLE_WORDS = f"{TITLE_ANDS}|pt|vol|versus|part|volume|feat|ft|featuring|remix|rmx"
"""Words that make a title of plain letters and spaces more than that: such a title must be parsed."""
PEOPLE_WORDS = "und|et|og|och|n|pt|vol|versus|part|volume|and|y|e|x|vs|feat|ft|featuring|with|presents|pres"
"""The same of a credit."""

_BRACKET = re.compile(r"[()\[\]{}]")
_GUESTS = re.compile(r"^(?:\+|(?:feat|ft|featuring|with|w/|con|avec|mit|duet with)\b(?:\s?\.)?)\s*(?=\S)")
_GUESTS_INSIDE = re.compile(r"\s(?:feat|ft|featuring)\b(?:\s?\.)?\s+(?=\S)")
_SPLIT_PART = re.compile(r"\s*[;|]\s*|\s+-\s+")
_SPLIT_NAME = re.compile(r"\s-\s|\s~\s|\s/\s")
_SPLIT_PEOPLE = re.compile(
    r"\s*[,;&/|\x1f]\s*|\s+(?:and|und|et|y|e|og|och|x|vs|versus|feat|ft|featuring|with|presents|pres|duet with)\b\.?\s+|\s\+\s"
)
_COMPLEX = re.compile(r"[()\[\]{}]|\s[-~/]\s|\s(?:feat|ft|featuring|remix|rmx)\b")
_SEVERAL = re.compile(r"[,;&/|+\x1f]|\s(?:and|und|et|y|e|og|och|x|vs|versus|feat|ft|featuring|with|presents|pres)\b")
_LAST_WORDS = re.compile(r"(?<=\S)\s+(?:remix|rmx)$")
NOBODY = frozenset(
    [
        "various",
        "various artists",
        "va",
        "v a",
        "varios",
        "varios artistas",
        "verschiedene",
        "verschiedene interpreten",
        "artistes divers",
        "unknown",
        "unknown artist",
        "artist unknown",
        "anonymous",
        "diverse",
        "diverse artister",
        "vari",
        "artisti vari",
    ]
)
"""Credits that name nobody; a track by nobody is matched by ISRC alone."""
PEOPLE_MAX = 64
"""Names of a credit that are looked at, and people in one of them."""
_NO_VERSIONS, _NO_MARKS = Versions(0), Marks(0)


@dataclass(frozen=True, slots=True)
class TitleName:
    """A title taken apart: `key` is never empty for a title with anything visible in it."""

    key: str
    guests: tuple[str, ...] = ()
    versions: Versions = _NO_VERSIONS
    marks: Marks = _NO_MARKS
    detail: str = ""


def match_key(text: str) -> str:
    """The key under which two spellings of a name meet; empty for a text without anything visible."""
    return _key(folded(text))


def parse_title(text: str) -> TitleName:
    """A track's title taken apart into name, guests and version."""
    text = folded(text).strip()
    if not _COMPLEX.search(text):
        return TitleName(_key(text))
    taken = _Taken()
    name = "".join(taken.outside_brackets(text)).strip()
    if found := _GUESTS_INSIDE.search(name):
        taken.guests += _people(name[found.end() :])
        name = name[: found.start()]
    name = taken.after_dashes(name)
    if found := _LAST_WORDS.search(name):
        taken.add(Version(Versions.REMIX, Marks(0), ()))
        name = name[: found.start()]
    key = _key(name)
    if not key:
        return TitleName(_key(text))
    detail = " ".join(sorted(taken.detail))
    return TitleName(key, tuple(sorted(set(taken.guests))), taken.versions, taken.marks, detail)


def parse_release(text: str) -> Versions:
    """What a release's title says of the versions of all its tracks."""
    return release_versions(folded(text))


def artist_keys(names: Iterable[str]) -> tuple[str, ...]:
    """The keys of all people credited, in order, each once: "A & B", "A feat. B" and the two credits A, B are alike.

    Names with "and" in them fall apart too, on both sides alike. Empty where nobody is named.
    """
    return tuple(dict.fromkeys(key for name in islice(names, PEOPLE_MAX) for key in people_of(name)))


@lru_cache(maxsize=10_000)
def people_of(name: str) -> tuple[str, ...]:
    """The keys of the people in one name, in order, at most `PEOPLE_MAX`."""
    return tuple(_people(folded(name))[:PEOPLE_MAX])


def _people(text: str) -> list[str]:
    if not _SEVERAL.search(text):
        return [key] if (key := _key(text)) and key not in NOBODY else []
    text = _ARTICLE_LAST.sub(r"\1", text.strip())
    keys = (_key(piece) for piece in _SPLIT_PEOPLE.split(text))
    return [key for key in keys if key and key not in NOBODY]


def _key(text: str) -> str:
    words = words_of(text)
    if not words:
        return bare(text)
    if ", " in text and _ARTICLE_LAST.match(text.strip()):
        words.pop()
    for n, word in enumerate(words):
        if n and word in _WORDS and (word not in _AND or n < len(words) - 1):
            words[n] = _WORDS[word]
        elif n and word in _ROMAN and words[n - 1] in _COUNTED:
            words[n] = _ROMAN[word]
    first = 0
    while first < len(words) - 1 and words[first] in _ARTICLES:
        first += 1
    return " ".join(words[first:])


class _Taken:
    """What was taken out of a title so far."""

    def __init__(self) -> None:
        self.guests: list[str] = []
        self.versions = Versions(0)
        self.marks = Marks(0)
        self.detail: list[str] = []

    def add(self, version: Version) -> None:
        self.versions |= version.versions
        self.marks |= version.marks
        self.detail += version.detail

    def take(self, part: str) -> bool:
        """Whether a part of a title is no part of the name; then it is taken."""
        part = part.strip(" ,.")
        if found := _GUESTS.match(part):
            self.guests += _people(part[found.end() :])
        elif version := version_of(part):
            self.add(version)
        else:
            return not part
        return True

    def outside_brackets(self, text: str) -> Iterator[str]:
        """The title without the brackets that were taken; those that were not come without their signs."""
        depth = begin = 0
        for found in _BRACKET.finditer(text):
            piece = text[begin : found.start()]
            begin = found.end()
            yield from self._inside(piece) if depth else (piece, " ")
            depth = max(0, depth + (1 if found[0] in "([{" else -1))
        yield from self._inside(text[begin:]) if depth else (text[begin:],)

    def _inside(self, piece: str) -> Iterator[str]:
        for part in _SPLIT_PART.split(piece):
            if not self.take(part):
                yield f" {part} "

    def after_dashes(self, name: str) -> str:
        """The name without what follows its last dashes, as long as that is no part of it."""
        parts = _SPLIT_NAME.split(name)
        while len(parts) > 1 and self.take(parts[-1]):
            parts.pop()
        return " - ".join(parts)

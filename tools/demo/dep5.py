"""Which licence and holder a package's machine-readable copyright file (DEP-5) gives an installed file.

The patterns of a DEP-5 file speak of the *source* package (`data/music/*`), while its files are installed elsewhere
(`usr/share/games/amoebax/music/menu.ogg`), so a pattern is compared with leading folders taken off both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from debian.copyright import Copyright, NotMachineReadableError

EMAIL = re.compile(r"\s*<[^<>\s]+@[^<>\s]+>")
YEARS = re.compile(r"^(©|\(c\)|[0-9x]{4}|present|[\s,\u2013-])+(?=\s|$)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a stanza says: `licence` is its DEP-5 short name, `holder` its copyright without years and addresses."""

    licence: str
    holder: str


@dataclass(frozen=True, slots=True)
class Stanza:
    """One `Files` paragraph."""

    patterns: tuple[str, ...]
    terms: Terms


def parse(text: str) -> list[Stanza]:
    """Read the `Files` paragraphs in their order; empty if `text` is not machine-readable."""
    try:
        copyright_file = Copyright(text.splitlines(), strict=False)
    except NotMachineReadableError:
        return []
    paragraphs: Iterable[Any] = copyright_file.all_files_paragraphs()  # its annotations do not know its fields
    return [
        Stanza(tuple(paragraph.files), Terms(paragraph.license.synopsis, _holder(paragraph.copyright)))
        for paragraph in paragraphs
        if paragraph.license and paragraph.copyright
    ]


def terms_of(path: str, stanzas: Sequence[Stanza]) -> Terms | None:
    """Find the terms of the file installed at the relative POSIX `path`: the last stanza that matches it decides."""
    matching = [stanza.terms for stanza in stanzas if any(matches(pattern, path) for pattern in stanza.patterns)]
    return matching[-1] if matching else None


def matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern of the source package means the file installed at `path`.

    The last folder of a pattern is never taken off, nor a folder with a wildcard left in front: `sounds/*` must not
    become `*`, nor `sounds/click.ogg` mean `music/click.ogg`.
    """
    parts = path.split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    return any(_regex(tail).fullmatch(end) for tail in _tails(pattern) for end in ends)


def _tails(pattern: str) -> Iterator[str]:
    yield pattern
    parts = pattern.split("/")
    for start in range(1, len(parts) - 1):
        if not set("*?") & set(parts[start]):
            yield "/".join(parts[start:])


def _regex(pattern: str) -> re.Pattern[str]:
    r"""Translate a DEP-5 glob: `*` and `?` match slashes too, and `\` escapes `*`, `?` and itself."""
    wildcards = {"*": ".*", "?": "."}
    tokens = re.findall(r"\\[*?\\]|.", pattern, re.DOTALL)
    return re.compile("".join(wildcards.get(token) or re.escape(token[-1]) for token in tokens), re.DOTALL)


def _holder(text: str) -> str:
    """Leave out the years, which are no name, and e-mail addresses, which nobody needs to be named."""
    lines = (" ".join(YEARS.sub("", EMAIL.sub("", line).strip()).split()) for line in text.splitlines())
    return "; ".join(line for line in lines if line) or "unnamed"

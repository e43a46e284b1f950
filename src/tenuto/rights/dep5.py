"""Debian's machine-readable copyright files (DEP-5, copyright format 1.0): which stanza speaks for which file.

Stanzas name paths of the *source* package (`data/music/*`), while what is found are files where a package was installed
(`usr/share/games/x/music/a.ogg`). So a pattern is tried whole against the path, then with its leading folders taken
away one by one against the path's end, the last folder always kept: `data/music/*` may become `music/*`, never `*`,
and `data/*/*` never `*/*`.
The last stanza that matches wins, as the format says.
"""

import logging
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from debian.copyright import Copyright, globs_to_re

_DOC = re.compile(r"(?P<root>(?:.*/)?)usr/share/doc/(?P<package>[^/]+)/copyright")

_FORMAT = re.compile(r"^format:", re.IGNORECASE | re.MULTILINE)
_FORMAT_KNOWN = re.compile(r"^format:\s*\S*(?:copyright-format|dep5)", re.IGNORECASE | re.MULTILINE)

logging.getLogger("debian.copyright").setLevel(logging.CRITICAL)  # it prints a warning for each odd file

_INSTALLED = ("usr/", "etc/", "var/", "opt/")
"""Where packages install; what lies elsewhere on a system is none of theirs."""

_OF_ALL = frozenset({"usr", "share", "games", "lib"})
"""Folders in which every package installs; no package is known by them."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """One `Files` stanza: its patterns, the licence's short name and the holders, in their own words."""

    patterns: tuple[str, ...]
    licence: str
    holders: str


@dataclass(frozen=True, slots=True)
class CopyrightFile:
    """A parsed copyright file and the folder (relative, "" for the top) that it speaks for."""

    root: str
    package: str | None
    stanzas: tuple[Stanza, ...]
    path: str = ""

    def match(self, path: str) -> Stanza | None:
        """The stanza for a file, by its path relative to `root`: the last that matches, or None."""
        matching = (stanza for stanza in reversed(self.stanzas) if any(_matches(p, path) for p in stanza.patterns))
        return next(matching, None)


def parse_copyright(path: str, text: str) -> CopyrightFile | None:
    """The copyright file at `path`, or None where it is not machine-readable. That of an installed package is one even
    so, without a stanza: else a package beside it would speak for its files.
    """
    root, package = speaks_for(path)
    stanzas = _stanzas(text)
    return None if not stanzas and package is None else CopyrightFile(root, package, stanzas, path)


def is_meant_as_dep5(text: str) -> bool:
    """Whether a text looks as if its author meant it to be machine-readable, be it so or not."""
    return bool(_FORMAT.search(_first_paragraph(text)))


def _first_paragraph(text: str) -> str:
    return re.split(r"\n[ \t\r]*\n", text.lstrip("\ufeff \t\r\n"), maxsplit=1)[0]


def _stanzas(text: str) -> tuple[Stanza, ...]:
    if not _FORMAT_KNOWN.search(_first_paragraph(text)):
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = Copyright(text.lstrip("\ufeff \t\r\n").splitlines(keepends=True), strict=False)
            return tuple(_stanza(paragraph) for paragraph in parsed.all_files_paragraphs())
    except Exception:  # noqa: BLE001 -- the parser raises many kinds on foreign text; unreadable is not machine-readable
        return ()


def nearest(files: Iterable[CopyrightFile], path: str) -> CopyrightFile | None:
    """The copyright file that speaks for a path: the deepest root; among packages installed side by side the one that
    a folder of the path is named after, none where that is undecided. A package alone must be known by such a folder
    too, or by a pattern that is more than a wildcard.
    """
    around = [file for file in files if _is_around(file, path)]
    if not around:
        return None
    deepest = max(len(file.root) for file in around)
    here = [file for file in around if len(file.root) == deepest]
    if len(here) == 1 and (here[0].package is None or _names_more_than_a_wildcard(here[0], path)):
        return here[0]
    folders = set(PurePosixPath(_within(here[0], path)).parent.parts) - _OF_ALL
    named = [file for file in here if file.package and folders & _names_of(file.package)]
    return named[0] if len(named) == 1 else None


def _within(file: CopyrightFile, path: str) -> str:
    return path.removeprefix(f"{file.root}/") if file.root else path


def _is_around(file: CopyrightFile, path: str) -> bool:
    if file.root and not path.startswith(f"{file.root}/"):
        return False
    return file.package is None or _within(file, path).startswith(_INSTALLED)


def _names_more_than_a_wildcard(file: CopyrightFile, path: str) -> bool:
    """Whether the stanza that decides names folders or a file, not `*` or `*.ogg` alone."""
    inner = _within(file, path)
    stanza = file.match(inner)
    return stanza is not None and any(
        _matches(pattern, inner) for pattern in stanza.patterns if not _is_bare(pattern.removeprefix("./"))
    )


def _stanza(paragraph: object) -> Stanza:
    licence = getattr(paragraph, "license", None)
    holders = " ".join(str(getattr(paragraph, "copyright", "") or "").split())
    return Stanza(tuple(_patterns(paragraph["Files"])), licence.synopsis if licence else "", holders)  # type: ignore[index]


def _patterns(field: str) -> Iterable[str]:
    """The patterns of a `Files` field; read kindly: commas between them, and a line that is one name with spaces."""
    for line in (line.strip() for line in field.splitlines()):
        words = [word.rstrip(",") for word in line.split()]
        yield from filter(None, words)
        if len(words) > 1 and not re.search(r"[*?]", line):
            yield line


def speaks_for(path: str) -> tuple[str, str | None]:
    """The folder ("" for the top) that the copyright file at `path` speaks for, and the package if it is installed."""
    installed = _DOC.fullmatch(path)
    if installed:
        return installed["root"].rstrip("/"), installed["package"]
    folder = PurePosixPath(path).parent
    if folder.name == "debian":
        folder = folder.parent
    return ("" if str(folder) == "." else str(folder)), None


def _names_of(package: str) -> set[str]:
    """The folder names under which a package's files lie: its own, and without a last `-data`, `-music` …"""
    return {package, package.rpartition("-")[0] or package}


def _matches(pattern: str, path: str) -> bool:
    if _expression(pattern).fullmatch(path):
        return True
    parts = pattern.removeprefix("./").split("/")
    shorter = ("/".join(parts[start:]) for start in range(max(1, len(parts) - 1)))
    return any(_expression(f"*/{tail}").fullmatch(f"/{path}") for tail in shorter if not _is_bare(tail))


def _is_bare(pattern: str) -> bool:
    """Whether a pattern would match files of any folder: what it begins with now has a wildcard."""
    return bool(re.search(r"[*?]", pattern.partition("/")[0]))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    try:
        compiled: re.Pattern[str] = globs_to_re([pattern])
    except ValueError:
        return re.compile(r"(?!)")
    return compiled

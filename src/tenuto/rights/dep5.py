"""Debian's machine-readable copyright files (DEP-5, copyright format 1.0): which stanza speaks for which file.

Stanzas name paths of the *source* package (`data/music/*`), while what is found are files where a package was installed
(`usr/share/games/x/music/a.ogg`). So a pattern is tried whole against the path, then with its leading folders taken
away one by one against the path's end, the last folder always kept: `data/music/*` may become `music/*`, never `*`,
and `data/*/*` never `*/*`.
The last stanza that matches wins, as the format says.
"""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from debian.copyright import Copyright, globs_to_re

_DOC = re.compile(r"(?P<root>(?:.*/)?)usr/share/doc/(?P<package>[^/]+)/copyright")

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

    def match(self, path: str) -> Stanza | None:
        """The stanza for a file, by its path relative to `root`: the last that matches, or None."""
        matching = (stanza for stanza in reversed(self.stanzas) if any(_matches(p, path) for p in stanza.patterns))
        return next(matching, None)


def parse_copyright(path: str, text: str) -> CopyrightFile | None:
    """The copyright file at `path`, or None where it is not machine-readable. That of an installed package is one even
    so, without a stanza: else a package beside it would speak for its files.
    """
    root, package = _speaks_for(path)
    stanzas = _stanzas(text)
    return None if stanzas is None and package is None else CopyrightFile(root, package, stanzas or ())


def _stanzas(text: str) -> tuple[Stanza, ...] | None:
    if not re.match(r"(?i)\s*format:\s*\S*(?:copyright-format|dep5)", text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = Copyright(text.lstrip().splitlines(keepends=True), strict=False)
            return tuple(_stanza(paragraph) for paragraph in parsed.all_files_paragraphs())
    except Exception:  # noqa: BLE001 -- the parser raises many kinds on foreign text; unreadable is not machine-readable
        return None


def nearest(files: Iterable[CopyrightFile], path: str) -> CopyrightFile | None:
    """The copyright file that speaks for a path: the deepest root; among packages installed side by side the one that
    a folder of the path is named after, none where that is undecided.
    """
    around = [file for file in files if not file.root or path.startswith(f"{file.root}/")]
    if not around:
        return None
    deepest = max(len(file.root) for file in around)
    here = [file for file in around if len(file.root) == deepest]
    if len(here) == 1:
        return here[0]
    folders = set(PurePosixPath(path).parts) - _OF_ALL
    named = [file for file in here if file.package and folders & _names_of(file.package)]
    return named[0] if len(named) == 1 else None


def _stanza(paragraph: object) -> Stanza:
    licence = getattr(paragraph, "license", None)
    holders = " ".join(str(getattr(paragraph, "copyright", "") or "").split())
    return Stanza(tuple(getattr(paragraph, "files", ())), licence.synopsis if licence else "", holders)


def _speaks_for(path: str) -> tuple[str, str | None]:
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

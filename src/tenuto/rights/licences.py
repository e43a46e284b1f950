"""Licences: from the words in tags, copyright files and addresses to SPDX ids, and what each permits."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from license_expression import ExpressionError, LicenseExpression, Licensing, get_spdx_licensing

from tenuto.rights.licence_table import ALIASES, NOTHING_KNOWN, PUBLIC_DOMAIN, RESERVED, by_folded_id, known
from tenuto.rights.wording import find_named, find_reserved

__all__ = ["PUBLIC_DOMAIN", "RESERVED", "Licence", "identify", "read_licence"]

_WORDS_MAX = 2000
_NOTICE_MAX = 400
"""A text shorter than this is a notice about a licence, not one itself."""


@dataclass(frozen=True, slots=True)
class Licence:
    """What was read: an SPDX expression (or LicenseRef), its address, and what it permits (None: it does not say)."""

    spdx: str
    url: str | None
    may_give_out: bool | None
    may_mine: bool | None


_GNU_SHORT = re.compile(
    r"(?P<family>L?GPL|AGPL|GFDL)[ -]?v?(?P<version>\d(?:\.\d)?)(?P<later>\+|-or-later|-only)?", re.IGNORECASE
)
_ART_SHORT = re.compile(
    r"(?:free[ -]art[ -]licen[cs]e|licence[ -]art[ -]libre)(?:[ -]*(?P<version>1\.[23]))?", re.IGNORECASE
)
_HAS_AND = re.compile(r"(?:^|\s)(?:and|with)(?:\s|$)", re.IGNORECASE)
_OPERATOR = re.compile(r"(\s+(?:and|or|with)(?=\s|$)|[()])", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def read_licence(text: str) -> Licence | None:
    """The licence that a tag, an address or a short name speaks of, or None where nobody here knows it.

    A whole SPDX expression may combine: OR permits what one side permits, AND only what all sides permit.
    """
    words = re.sub("[\u2010-\u2015]", "-", unicodedata.normalize("NFKC", " ".join(text[: 4 * _WORDS_MAX].split())))
    words = words[:_WORDS_MAX]
    if not words:
        return None
    found = _expression(words)
    if found is None and not _is_half_known(words):
        found = find_reserved(words) or find_named(words)
    return _licence(found) if found else None


def identify(text: str) -> Licence | None:
    """The licence whose text (or whose notice) a LICENSE file is; None where nobody here knows it.

    The title of a licence counts where the text begins with it, after headings and copyright lines. Words that reserve or
    deny anywhere else in it mean that all is reserved; in a long text that is no known licence, that it is not known.
    """
    lines = [" ".join(line.split()).strip("#*=_-\ufeff ") for line in text[:_TEXT_MAX].splitlines()]
    lines = [line for line in lines if line]
    title = _title(lines)
    allowed = 0 if title is None else title[1]
    said = " ".join(lines[allowed:])
    if len(text) > _TEXT_MAX:
        return None
    if find_reserved(said) or (title is None and _DENYING.search(said)):
        return _licence(RESERVED) if title or len(said) <= _OWN_WORDS_MAX else None
    tags = {
        tag.strip()
        for tag in re.findall(r"SPDX-License-Identifier:[ \t]*([^\n]*?)[ \t]*(?:\*/|-->)?[ \t]*$", text, re.MULTILINE)
    }
    if tags:
        return read_licence(" AND ".join(f"({tag})" for tag in sorted(tags)) if len(tags) > 1 else tags.pop())
    head = " ".join(text[:4000].split())
    if len(head) < _NOTICE_MAX and (noticed := read_licence(head)):
        return noticed
    return _licence(title[0]) if title else None


def _title(lines: Sequence[str]) -> tuple[str, int] | None:
    """The licence whose title or first words a text begins with, and the number of the line they stand in."""
    for number in range(min(len(lines), _PREAMBLE_MAX)):
        head = " ".join(lines[number : number + 4])[:1000]
        for pattern, spdx in _TITLES:
            match = re.match(rf"(?:Creative Commons )?(?:{pattern})", head, re.IGNORECASE)
            if match and (spdx == "MIT" or not _GOES_ON.match(head[match.end() :])):
                return spdx, number
        if not _PREAMBLE.fullmatch(lines[number]):
            return None
    return None


_TEXT_MAX = 1_000_000
_OWN_WORDS_MAX = 4000
"""A text longer than this is a licence that is not known here, in which such words mean many things."""
_PREAMBLE_MAX = 12
_PREAMBLE = re.compile(
    r"(?:copyright|\(c\)|\u00a9).{0,160}|all rights reserved\W*"
    r"|(?!.*(?<!legal )\b(?:code|source|software|samples?|sounds?|cover|artwork|engine|not|no)\b).{0,60}",
    re.IGNORECASE,
)
"""A line before a title: of copyright, or a short heading that names no part of a work."""
_GOES_ON = re.compile(r"[ ,.:;()-]*[a-z]")
"""A sentence that begins with a title is about a licence, not one."""
_DENYING = re.compile(
    r"\bmay only be (?:used|played|heard|copied)|\b(?:may|must|can|do|shall)(?: ?not|n't) (?:be )?"
    r"(?:used?|cop(?:y|ied)|shared?|(?:re)?distributed?|(?:re)?published?|sold|sell|uploaded)\b|\bno permission\b"
    r"|\bnot (?:for redistribution|permitted|allowed)\b|\bpersonal use only\b",
    re.IGNORECASE,
)
_TITLES = (
    (r"CC0 1\.0 Universal", "CC0-1.0"),
    *((rf"Attribution{words}(?: International)? {version}", f"CC-BY{terms}-{version}")
      for version in ("4.0", "3.0", "2.5", "2.0")
      for words, terms in (("-NonCommercial-Share ?Alike", "-NC-SA"), ("-NonCommercial-NoDeriv(?:s|atives)", "-NC-ND"),
                           ("-NonCommercial", "-NC"), ("-Share ?Alike", "-SA"), ("-NoDeriv(?:s|atives)", "-ND"), ("", ""))),
    (r"GNU LIBRARY GENERAL PUBLIC LICENSE Version 2", "LGPL-2.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE Version 2\.1", "LGPL-2.1-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE Version 3", "LGPL-3.0-only"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE Version 3", "AGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE Version 2", "GPL-2.0-only"),
    (r"GNU Free Documentation License Version 1\.2", "GFDL-1.2-only"),
    (r"GNU Free Documentation License Version 1\.3", "GFDL-1.3-only"),
    (r"Free Art Licen[cs]e 1\.3|Licence Art Libre 1\.3", "LAL-1.3"),
    (r"Free Art Licen[cs]e 1\.2|Licence Art Libre 1\.2", "LAL-1.2"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Apache License,? Version 2\.0", "Apache-2.0"),
    (r"Mozilla Public License,? Version 2\.0", "MPL-2.0"),
    (r"SIL OPEN FONT LICENSE Version 1\.1", "OFL-1.1"),
)  # fmt: skip


def _expression(words: str) -> str | None:
    """SPDX and DEP-5 expressions: every symbol in them must be known."""
    parts = [part.strip() for part in _OPERATOR.split(words)]
    normal = [part.upper() if part.casefold() in {"and", "or", "with", "(", ")"} else _symbol(part)
              for part in parts if part]  # fmt: skip
    if None in normal:
        return None
    try:
        parsed = _licensing().parse(" ".join(part for part in normal if part))
    except (ExpressionError, RecursionError):
        return None
    return str(parsed) if parsed is not None else None


def _is_half_known(words: str) -> bool:
    """Whether this is an expression that demands something unknown besides: `CC-BY-3.0 and non-free`."""
    parts = [part.strip() for part in _OPERATOR.split(words) if part.strip()]
    return len(parts) > 1 and bool(_HAS_AND.search(words)) and all(" " not in part for part in parts)


def _symbol(word: str) -> str | None:
    """One known licence id from an SPDX id, a DEP-5 short name or an alias; None where it is none."""
    folded = word.casefold()
    if folded in by_folded_id():
        return by_folded_id()[folded]
    if folded in ALIASES:
        return ALIASES[folded]
    match = _GNU_SHORT.fullmatch(word)
    if match:
        version = match["version"] if "." in match["version"] else f"{match['version']}.0"
        later = (match["later"] or "-only").replace("+", "-or-later")
        return by_folded_id().get(f"{match['family']}-{version}{later}".casefold())
    match = _ART_SHORT.fullmatch(word)
    return f"LAL-{match['version'] or '1.3'}" if match else None


def _licence(expression: str) -> Licence:
    parsed = _licensing().parse(expression)
    return Licence(expression, known().get(expression, NOTHING_KNOWN).url, _permits(parsed, 0), _permits(parsed, 1))


def _permits(parsed: LicenseExpression, which: int) -> bool | None:
    """What an expression permits: OR takes the freer side, AND and WITH the stricter; unknown counts as silence."""
    if getattr(parsed, "args", None):
        words = [_permits(part, which) for part in parsed.args]
        if type(parsed).__name__ == "OR":
            return True if True in words else (None if None in words else False)
        return False if False in words else (None if None in words else True)
    said = known().get(getattr(getattr(parsed, "license_symbol", parsed), "key", ""), NOTHING_KNOWN)
    return said.may_mine if which else said.may_give_out


@cache
def _licensing() -> Licensing:
    """The parser of SPDX expressions; building it takes some 15 ms."""
    return get_spdx_licensing()

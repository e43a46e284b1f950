"""Licences named in people's sentences: found by their address or their name, and only where the sentence means it.

A name within a denial (`not CC-BY`, `CC0 does not apply`) is no licence, nor is one in passing (`CC by Bob`). Of several
that are named all hold, since no one knows which part each is for.
"""

import re
from collections.abc import Iterable

from tenuto.rights.licence_table import RESERVED, known

CC_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?creativecommons\.org(?::\d+)?/"
    r"(?:licenses/(?P<terms>by(?:-nc)?(?:-nd|-sa)?)/(?P<version>\d\.\d)|publicdomain/(?P<tool>zero|mark)/1\.0)",
    re.IGNORECASE,
)
_TERM = r"NC|Non-?Commercial|SA|Share[ -]?Alike|ND|No[ -]?Deriv(?:ative)?s?(?:[ -]Works)?"
_CC_NAME = re.compile(
    r"(?<![a-z0-9])(?P<house>CC|Creative[ -]?Commons)(?:[ -]Licen[cs]e)?[ :/(-]{0,4}"
    rf"(?<![a-z])(?P<by>BY|Attribution)(?![a-z])(?P<terms>(?:[ /-]{{1,3}}(?:{_TERM})(?![a-z]))*)"
    r"(?:[ -]*v?(?P<version>\d(?:\.\d)?)(?![\d.]*\d))?", re.IGNORECASE)  # fmt: skip
_CC0_NAME = re.compile(r"(?<![A-Za-z0-9])CC0(?![A-Za-z0-9])|Creative Commons Zero")
_ART_URL = re.compile(r"(?<![\w.-])(?:https?://)?(?:www\.)?artlibre\.org(?P<old>\S*-12\b)?", re.IGNORECASE)
_ART_NAME = re.compile(
    r"(?:(?<![a-z])(?:free[ -]art[ -]licen[cs]e|licence[ -]art[ -]libre)|(?-i:(?<![A-Za-z])(?:LAL|FAL))(?=[ -]*1\.[23]))"
    r"[ -]*(?P<version>1\.[23])?", re.IGNORECASE)  # fmt: skip
_RESERVED_WORDS = re.compile(
    r"(?<!not )all rights? reserved|alle rechte vorbehalten|tous droits réservés|todos los derechos reservados"
    r"|tutti i diritti riservati|alle rechten voorbehouden|unauthori[sz]ed (?:copying|duplication)",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|nor|without|except|excluding|unless|nicht|keine?|pas|no(?!\.? *\d))|n't)\b[^.,;:!?()]{0,60}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"^[^,;:!?()]{0,40}\b(?:(?:does|do|is|was|are) not|(?:does|do|is|was|are)n't|no longer|not apply|revoked|withdrawn|expired)\b",
    re.IGNORECASE,
)
_MEANS_LICENCE = re.compile(r"\s*(?:$|[^\w\s&]|licen[cs]|international|unported)", re.IGNORECASE)


def find_reserved(words: str) -> str | None:
    """RESERVED where all rights are said to be."""
    return RESERVED if _RESERVED_WORDS.search(words) else None


def find_address(words: str) -> str | None:
    """The licences whose addresses stand in the text; None where there is none, or one is denied."""
    matches = [*CC_URL.finditer(words), *_ART_URL.finditer(words)]
    return _all_of(words, ((match, _id_of_address(match)) for match in matches))


def find_name(words: str) -> str | None:
    """The licences that a sentence names; None where there is none, or one is denied."""
    spaced = words.replace("_", " ")
    named = [(match, _id_of_name(match)) for match in _CC_NAME.finditer(spaced) if _is_meant(match, spaced)]
    named += [(match, "CC0-1.0") for match in _CC0_NAME.finditer(spaced)]
    named += [(match, f"LAL-{match['version'] or '1.3'}") for match in _ART_NAME.finditer(spaced)]
    return _all_of(spaced, named)


def is_denied(words: str, match: re.Match[str]) -> bool:
    """Whether the clause round a match says that it is not so."""
    return bool(_DENIED_BEFORE.search(words[: match.start()]) or _DENIED_AFTER.search(words[match.end() :]))


def _all_of(words: str, found: Iterable[tuple[re.Match[str], str]]) -> str | None:
    """One expression of all that was found; a name without a version adds nothing to the same one with it."""
    ids: list[str] = []
    for match, spdx in found:
        if spdx not in known() or is_denied(words, match):
            return None
        ids.append(spdx)
    stems = {re.sub(r"-\d\.\d$", "", spdx) for spdx in ids if not spdx.startswith("LicenseRef-")}
    distinct = sorted({spdx for spdx in ids if spdx.removeprefix("LicenseRef-") not in stems})
    return " AND ".join(distinct) or None


def _id_of_address(match: re.Match[str]) -> str:
    if match.re is _ART_URL:
        return "LAL-1.2" if match["old"] else "LAL-1.3"
    if match["tool"]:
        return "CC0-1.0" if match["tool"].lower() == "zero" else "CC-PDM-1.0"
    return f"CC-{match['terms'].upper()}-{match['version']}"


def _id_of_name(match: re.Match[str]) -> str:
    """The id; one that is in no table where the terms contradict each other or the version does not exist."""
    folded = re.sub(r"[^a-z]", "", match["terms"].casefold())
    parts = ["BY"]
    for part, spellings in (("NC", r"nc|noncommercial"), ("SA", r"sa|sharealike"), ("ND", r"nd|noderiv")):
        parts += [part] if re.search(spellings, folded.replace("nonc", "nc") if part == "NC" else folded) else []
    version = match["version"]
    stem = f"CC-{'-'.join(parts)}"
    return f"{stem}-{version if '.' in version else version + '.0'}" if version else f"LicenseRef-{stem}"


def _is_meant(match: re.Match[str], words: str) -> bool:
    """Whether `CC BY` is the licence and not `CC by Bob`."""
    if match["version"] or match["terms"] or match["by"].casefold() != "by" or match["house"].casefold() != "cc":
        return True
    return bool(_MEANS_LICENCE.match(words[match.end() :]))

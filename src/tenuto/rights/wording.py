"""Licences named in people's sentences: found by their address or their name, and only where the sentence means it.

A name within a denial (`not CC-BY`, `CC0 does not apply`) is no licence, nor is one in passing (`CC by Bob`, `cover photo
CC BY 2.0`): round it only the words may stand that say of a whole work how it is licensed, by whom and when. Of several that
are named all hold, since no one knows which part each is for.
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
_MARK = "\ue000"
"""Stands for a licence, once it is found, while the words round it are read."""
_MARKED = re.compile(
    rf"{_MARK}(?:-[A-Z]{{2}}\b|[ ,]*\bv?\d\.\d(?![\d.]*\d)|[ ,(]*\b(?:International|Unported|Generic|Universal)\b\)?)*"
    r"(?:(?: [A-Z]\w+){0,3} (?i:licen[cs]e)\b)?"
)
_SEVERAL = re.compile(rf"{_MARK}(?:[\s,;:/&+()\[\]|-]{{0,8}}(?:(?:and|or|und|oder|et|ou) )?[\s(\[]{{0,4}}{_MARK})+")
_REST_OF_ADDRESS = re.compile(r"(?:[^\s,;()<>\[\]\"']*[\w/])?")
_OF_A_PART = re.compile(
    r"\b(?:covers?|photos?|photograph\w*|images?|pictures?|art|artworks?|illustrations?|sleeve|booklet|samples?|sampled|loops?"
    r"|lyrics?|texts?|words|score|scores|liner|notes|fonts?|logo|videos?|code|software|contains?|containing|includ\w+|uses?"
    r"|using|based|remix\w*|former\w*|previously|originally|once|was|were|until|till|before|ask|contact|only|some|parts?"
    r"|portions?|partly|partially|terms for|excerpts?|may|might|can|could|should|would|soon|planned|if|unless)\b",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\b(?:some|not all) rights reserved\b|\bif not (?:stated|noted|marked) otherwise\b", re.IGNORECASE
)
_SAYS_SO = re.compile(
    r"(?:\b(?:licen[cs]ed?|licen[cs]ing|released|published|available|distributed|shared|issued|offered)"
    r"(?: to the public)?(?: under| as| is)?|\b(?:is|are|lizenziert)(?: under| in| unter)?|^under|^copyleft)"
    r"(?: the terms of)?(?: the| an?)?[ :(-]*$",
    re.IGNORECASE,
)
_LEADS_TO = re.compile(r"(?:[:,;.|/(\[\u2014]| -) *$")
_DATE_ALONE = re.compile(r"(?:[\W\d_]|\(c\)|\(p\)|copyright)*", re.IGNORECASE)
_OF_THE_WORK = re.compile(
    r"(?:(?:this|the|all|these) (?:work|album|track|song|recording|music|release|single|ep)s?\b.*|licen[cs]\w*|released|published"
    r"|available|distributed|shared)\b", re.IGNORECASE | re.DOTALL)  # fmt: skip
_SENTENCE = re.compile(r"[.!?;]+ +(?!\d)")
_AFTER = re.compile(
    r"\W*+(?:licen[cs]ed)?\W*+(?:(?i:verify at|see) )?(?:https?://\S*+|www\.\S*+)?\W*+"
    r"|[\s,:|/-]*(?:\(?(?:\u00a9|\(c\)|\(p\)|\u2117|copyright|by )\)?|(?=\(?\d{4})|(?=[A-Z]))[^.;:]{0,100}\.?",
)
_PARTS = frozenset({
    "or", "and", "for", "the", "a", "is", "are", "under", "in", "cover", "covers", "artwork", "art", "photo", "photos", "lyrics",
    "text", "score", "scores", "samples", "sounds", "effects",
})  # fmt: skip
_WHOLES = frozenset(
    {"music", "recording", "recordings", "song", "songs", "track", "tracks", "album", "audio", "performance"}
)
"""All the words that may stand between several licences: what they are for."""
_MEANS_LICENCE = re.compile(r"\s*(?:$|[^\w\s&]|licen[cs]|international|unported)", re.IGNORECASE)


def find_reserved(words: str) -> str | None:
    """RESERVED where all rights are said to be."""
    return RESERVED if _RESERVED_WORDS.search(words) else None


def find_named(words: str) -> str | None:
    """The licences whose addresses or names stand in the text; None where there is none, one is denied, or the words round
    them do not say that the work as a whole is under them.
    """
    found: list[str] = []
    words = words.replace(_MARK, " ")
    for pattern in (CC_URL, _ART_URL):
        words = _marked(words, ((m, _id_of_address(m)) for m in pattern.finditer(words)), found, is_address=True)
    words = words.replace("_", " ")
    for pattern in (_CC_NAME, _CC0_NAME, _ART_NAME):
        named = ((m, _id_of_name(m)) for m in pattern.finditer(words) if pattern is not _CC_NAME or _is_meant(m, words))
        words = _marked(words, named, found)
    places = (match.start() for match in re.finditer(_MARK, words))
    if not set(found) <= known().keys() or any(is_denied(words, place, place + 1) for place in places):
        return None
    return _all_of(found) if found and _is_of_the_whole(words) else None


def is_denied(words: str, start: int, end: int) -> bool:
    """Whether the clause round a place says that it is not so."""
    return bool(_DENIED_BEFORE.search(words[:start]) or _DENIED_AFTER.search(words[end:]))


def _marked(
    words: str, matches: Iterable[tuple[re.Match[str], str]], found: list[str], is_address: bool = False
) -> str:
    """The words with a mark in the place of each match, whose ids are added to `found`."""
    parts, done = [], 0
    for match, spdx in matches:
        if match.start() < done:
            continue
        found.append(spdx)
        parts += [words[done : match.start()], _MARK]
        rest = _REST_OF_ADDRESS.match(words, match.end()) if is_address else None
        done = rest.end() if rest else match.end()
    return "".join([*parts, words[done:]])


def _all_of(ids: Iterable[str]) -> str:
    """One expression of all that was found; a name without a version adds nothing to the same one with it."""
    stems = {re.sub(r"-\d\.\d$", "", spdx) for spdx in ids if not spdx.startswith("LicenseRef-")}
    return " AND ".join(sorted({spdx for spdx in ids if spdx.removeprefix("LicenseRef-") not in stems}))


def _is_of_the_whole(words: str) -> bool:
    """Whether the words round the marks say that the work as a whole is licensed so."""
    words = _SEVERAL.sub(_MARK, _MARKED.sub(_MARK, words))
    before, *others = words.split(_MARK)
    if len(others) > 1:
        said = set(re.findall(r"\w+", words.casefold().replace(_MARK, " ")))
        is_bare = not re.search(r"\w", before) and not re.match(r"\W*for\b", others[0])
        return said <= _PARTS | _WHOLES and (is_bare or bool(said & _WHOLES))
    before = _HARMLESS.sub("", before)
    after = others[0]
    if _OF_A_PART.search(before) or _OF_A_PART.search(after) or not _AFTER.fullmatch(after):
        return False
    if _DATE_ALONE.fullmatch(before):
        return True
    if not _SAYS_SO.search(before) and not _LEADS_TO.search(before):
        return False
    _, *rest = [sentence for sentence in _SENTENCE.split(before) if re.search(r"\w", sentence)]
    return not rest or bool(_OF_THE_WORK.match(rest[-1]))


def _id_of_address(match: re.Match[str]) -> str:
    if match.re is _ART_URL:
        return "LAL-1.2" if match["old"] else "LAL-1.3"
    if match["tool"]:
        return "CC0-1.0" if match["tool"].lower() == "zero" else "CC-PDM-1.0"
    return f"CC-{match['terms'].upper()}-{match['version']}"


def _id_of_name(match: re.Match[str]) -> str:
    """The id; one that is in no table where the terms contradict each other or the version does not exist."""
    if match.re is not _CC_NAME:
        return "CC0-1.0" if match.re is _CC0_NAME else f"LAL-{match['version'] or '1.3'}"
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

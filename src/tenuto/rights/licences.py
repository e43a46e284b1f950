"""Licences: from the words in tags, copyright files and addresses to SPDX ids, and what each permits.

Sources: the SPDX License List 3.27 for ids, the deeds of Creative Commons for BY/SA/NC/ND, DEP-5 for Debian's short
names. Sharing unchanged copies is permitted by every licence in the table; `may_mine` is None where its text leaves
adaptation or commercial use open to argument (NC, ND): a permission may then say so.
"""

import re
from dataclasses import dataclass
from functools import cache

from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing


@dataclass(frozen=True, slots=True)
class Licence:
    """What was read: an SPDX expression (or LicenseRef), its address, and what it permits (None: it does not say)."""

    spdx: str
    url: str | None
    may_give_out: bool | None
    may_mine: bool | None


RESERVED = "LicenseRef-all-rights-reserved"
PUBLIC_DOMAIN = "LicenseRef-public-domain"

_CC = "https://creativecommons.org"
_GPL = {f"{family}-{version}-{suffix}": f"https://www.gnu.org/licenses/old-licenses/{family.lower()}-{version}.html"
        for family, versions in {"GPL": ("1.0", "2.0", "3.0"), "LGPL": ("2.0", "2.1", "3.0"), "AGPL": ("3.0",),
                                 "GFDL": ("1.1", "1.2", "1.3")}.items()
        for version in versions for suffix in ("only", "or-later")}  # fmt: skip
_OTHERS = {
    "0BSD": None, "AFL-3.0": None, "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0", "Artistic-2.0": None,
    "BSD-2-Clause": None, "BSD-3-Clause": None, "BSL-1.0": None, "CC-PDM-1.0": f"{_CC}/publicdomain/mark/1.0/",
    "CC0-1.0": f"{_CC}/publicdomain/zero/1.0/", "ISC": None, "LAL-1.2": "https://artlibre.org/licence/lal/licence-art-libre-12/",
    "LAL-1.3": "https://artlibre.org/licence/lal/en/", "MIT": None, "MPL-2.0": None, "OFL-1.1": None, "Unlicense": None,
    "WTFPL": None, "Zlib": None, "OGL-UK-3.0": None, "EUPL-1.2": None,
}  # fmt: skip
_ALIASES = {
    "expat": "MIT", "public-domain": PUBLIC_DOMAIN, "public domain": PUBLIC_DOMAIN, "cc0": "CC0-1.0",
    "cc-0": "CC0-1.0", "cc zero": "CC0-1.0", "artlibre-1.3": "LAL-1.3", "free art license": "LAL-1.3",
    "licence art libre": "LAL-1.3", "artistic": "Artistic-2.0", "apache": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "zlib": "Zlib", "ofl": "OFL-1.1", "pd": PUBLIC_DOMAIN,
}  # fmt: skip

_CC_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<terms>by(?:-nc)?(?:-nd|-sa)?)/(?P<version>\d\.\d)"
    r"|publicdomain/(?P<tool>zero|mark)/1\.0)", re.IGNORECASE)  # fmt: skip
_CC_NAME = re.compile(
    r"\b(?:CC|Creative[ -]?Commons)\b(?:[ -]Licen[cs]e)?[ -:]*"
    r"(?P<terms>(?:BY|Attribution)(?:[ -]+(?:NC|NonCommercial|Non-Commercial))?"
    r"(?:[ -]+(?:SA|ShareAlike|Share-Alike|ND|NoDerivs|NoDerivatives|No-Derivatives))?)"
    r"(?:[ -]*v?(?P<version>\d(?:\.\d)?))?", re.IGNORECASE)  # fmt: skip
_FREE_ART = re.compile(
    r"(?:free[ -]art[ -]licen[cs]e|licence[ -]art[ -]libre|LAL|FAL)[ -]*(?P<version>1\.[23])?", re.IGNORECASE
)
_ART_URL = re.compile(r"artlibre\.org", re.IGNORECASE)
_GNU_SHORT = re.compile(
    r"(?P<family>L?GPL|AGPL|GFDL)[ -]?v?(?P<version>\d(?:\.\d)?)(?P<later>\+|-or-later|-only)?", re.IGNORECASE
)
_RESERVED_WORDS = re.compile(
    r"all rights? reserved|alle rechte vorbehalten|tous droits réservés|unauthori[sz]ed (?:copying|duplication)",
    re.IGNORECASE,
)


def read_licence(text: str) -> Licence | None:
    """The licence that a tag, an address or a short name speaks of, or None where nobody here knows it.

    A whole SPDX expression may combine: OR permits what one side permits, AND only what all sides permit.
    """
    words = " ".join(text.split())[:2000]
    if not words:
        return None
    found = _by_address(words) or _by_expression(words) or _by_name(words)
    return _licence(found) if found else None


def identify(text: str) -> Licence | None:
    """The licence whose text (or whose notice) a LICENSE file is; None where nobody here knows it."""
    tag = re.search(r"SPDX-License-Identifier:\s*([^\s*/#][^\n]*)", text)
    if tag:
        return read_licence(tag[1].strip())
    head = " ".join(text[:4000].split())
    for pattern, spdx in _TITLES:
        if re.search(pattern, head, re.IGNORECASE):
            return _licence(spdx)
    return read_licence(head) if len(head) < 400 or _CC_URL.search(head) else None  # noqa: PLR2004 -- a notice, no text


_TITLES = (
    (r"CC0 1\.0 Universal", "CC0-1.0"),
    *((rf"Attribution{words}(?: International)? {version}", f"CC-BY{terms}-{version}")
      for version in ("4.0", "3.0", "2.5", "2.0")
      for words, terms in (("-NonCommercial-ShareAlike", "-NC-SA"), ("-NonCommercial-NoDeriv(?:s|atives)", "-NC-ND"),
                           ("-NonCommercial", "-NC"), ("-ShareAlike", "-SA"), ("-NoDeriv(?:s|atives)", "-ND"), ("", ""))),
    (r"GNU LESSER GENERAL PUBLIC LICENSE Version 3", "LGPL-3.0-only"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE Version 3", "AGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE Version 2", "GPL-2.0-only"),
    (r"Free Art Licen[cs]e 1\.3|Licence Art Libre 1\.3", "LAL-1.3"),
    (r"Free Art Licen[cs]e 1\.2|Licence Art Libre 1\.2", "LAL-1.2"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Apache License,? Version 2\.0", "Apache-2.0"),
    (r"SIL OPEN FONT LICENSE Version 1\.1", "OFL-1.1"),
)  # fmt: skip


def _by_address(words: str) -> str | None:
    match = _CC_URL.search(words)
    if match and match["tool"]:
        return "CC0-1.0" if match["tool"].lower() == "zero" else "CC-PDM-1.0"
    if match:
        return f"CC-{match['terms'].upper()}-{match['version']}"
    return "LAL-1.3" if _ART_URL.search(words) else None


def _by_expression(words: str) -> str | None:
    """SPDX and DEP-5 expressions: every symbol in them must be known."""
    parts = re.split(r"(\s+(?:and|or|AND|OR|WITH|with)\s+|[()])", words)
    normal = [part.upper() if part.strip().lower() in {"and", "or", "with", "(", ")", ""} else _symbol(part.strip())
              for part in parts]  # fmt: skip
    if any(part is None for part in normal):
        return None
    try:
        parsed = get_spdx_licensing().parse(" ".join(part for part in normal if part and part.strip()))
    except ExpressionError:
        return None
    return str(parsed) if parsed is not None else None


def _symbol(word: str) -> str | None:
    """One known licence id from an SPDX id, a DEP-5 short name or an alias; None where it is none."""
    folded = word.casefold()
    if folded in _known_folded():
        return _known_folded()[folded]
    if folded in _ALIASES:
        return _ALIASES[folded]
    match = _GNU_SHORT.fullmatch(word)
    if match:
        version = match["version"] if "." in match["version"] else f"{match['version']}.0"
        later = (match["later"] or "-only").replace("+", "-or-later")
        return _known_folded().get(f"{match['family']}-{version}{later}".casefold())
    match = _FREE_ART.fullmatch(word)
    return f"LAL-{match['version'] or '1.3'}" if match else None


def _by_name(words: str) -> str | None:
    """A licence named somewhere in a sentence."""
    if _RESERVED_WORDS.search(words) and "some rights reserved" not in words.casefold():
        return RESERVED
    match = _CC_NAME.search(words)
    if match:
        terms = _terms(match["terms"])
        version = match["version"]
        return f"CC-{terms}-{version if '.' in version else version + '.0'}" if version else f"LicenseRef-CC-{terms}"
    if re.search(r"\bCC0\b", words):
        return "CC0-1.0"
    match = _FREE_ART.search(words)
    return f"LAL-{match['version'] or '1.3'}" if match else None


def _terms(words: str) -> str:
    folded = re.sub(r"[ -]", "", words).casefold()
    nc = "-NC" if re.search(r"nc|noncommercial", folded) else ""
    tail = "-SA" if folded.endswith(("sa", "sharealike")) else ""
    tail = "-ND" if folded.endswith(("nd", "noderivs", "noderivatives")) else tail
    return f"BY{nc}{tail}"


def _licence(expression: str) -> Licence:
    parsed = get_spdx_licensing().parse(expression)
    give, mine = _permits(parsed, 0), _permits(parsed, 1)
    return Licence(expression, _known().get(expression, (None, None, None))[2], give, mine)


def _permits(parsed: LicenseExpression, which: int) -> bool | None:
    """What an expression permits: OR takes the freer side, AND and WITH the stricter; unknown counts as silence."""
    if getattr(parsed, "args", None):
        words = [_permits(part, which) for part in parsed.args]
        if type(parsed).__name__ == "OR":
            return True if True in words else (None if None in words else False)
        return False if False in words else (None if None in words else True)
    key = getattr(getattr(parsed, "license_symbol", parsed), "key", "")
    give, mine, _ = _known().get(key, (None, None, None))
    return mine if which else give


@cache
def _known() -> dict[str, tuple[bool | None, bool | None, str | None]]:
    """Id -> (may give out, may mine, address)."""
    known: dict[str, tuple[bool | None, bool | None, str | None]] = {
        RESERVED: (False, None, None),
        PUBLIC_DOMAIN: (True, True, None),
    }
    known.update({spdx: (True, True, url) for spdx, url in {**_GPL, **_OTHERS}.items()})
    for terms in ("BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND"):
        may_mine = None if "N" in terms else True
        known[f"LicenseRef-CC-{terms}"] = (True, may_mine, None)
        for version in ("1.0", "2.0", "2.5", "3.0", "4.0"):
            known[f"CC-{terms}-{version}"] = (True, may_mine, f"{_CC}/licenses/{terms.lower()}/{version}/")
    return known


@cache
def _known_folded() -> dict[str, str]:
    return {spdx.casefold(): spdx for spdx in _known()}

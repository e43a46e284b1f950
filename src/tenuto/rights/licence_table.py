"""The licences that are known here: id, what each permits, and where its text stands.

Sources: the SPDX License List 3.27 for ids, the deeds of Creative Commons for BY/SA/NC/ND, DEP-5 for Debian's short
names. Sharing unchanged copies is permitted by every licence in the table; `may_mine` is None where its text leaves
adaptation or commercial use open to argument (NC, ND): a permission may then say so.
"""

from functools import cache
from typing import NamedTuple


class Known(NamedTuple):
    """What a licence permits (None: it does not say) and its address."""

    may_give_out: bool | None
    may_mine: bool | None
    url: str | None


NOTHING_KNOWN = Known(None, None, None)
RESERVED = "LicenseRef-all-rights-reserved"
PUBLIC_DOMAIN = "LicenseRef-public-domain"

_CC = "https://creativecommons.org"
_GNU = "https://www.gnu.org/licenses"
_GNU_PAGES = {
    "GPL-1.0": "old-licenses/gpl-1.0", "GPL-2.0": "old-licenses/gpl-2.0", "GPL-3.0": "gpl-3.0",
    "LGPL-2.0": "old-licenses/lgpl-2.0", "LGPL-2.1": "old-licenses/lgpl-2.1", "LGPL-3.0": "lgpl-3.0",
    "AGPL-3.0": "agpl-3.0", "GFDL-1.1": "old-licenses/fdl-1.1", "GFDL-1.2": "old-licenses/fdl-1.2", "GFDL-1.3": "fdl-1.3",
}  # fmt: skip
_OTHERS = {
    "0BSD": None, "AFL-3.0": None, "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0", "Artistic-1.0": None,
    "Artistic-2.0": None, "BSD-2-Clause": None, "BSD-3-Clause": None, "BSL-1.0": None,
    "CC-PDM-1.0": f"{_CC}/publicdomain/mark/1.0/", "CC0-1.0": f"{_CC}/publicdomain/zero/1.0/", "ISC": None,
    "LAL-1.2": "https://artlibre.org/licence/lal/licence-art-libre-12/", "LAL-1.3": "https://artlibre.org/licence/lal/en/",
    "MIT": None, "MPL-2.0": None, "OFL-1.1": None, "Unlicense": None, "WTFPL": None, "Zlib": None, "OGL-UK-3.0": None,
    "EUPL-1.2": None,
}  # fmt: skip
ALIASES = {
    "expat": "MIT", "mit license": "MIT", "public-domain": PUBLIC_DOMAIN, "public domain": PUBLIC_DOMAIN,
    "pd": PUBLIC_DOMAIN, "public domain mark 1.0": "CC-PDM-1.0", "cc0": "CC0-1.0", "cc-0": "CC0-1.0",
    "cc zero": "CC0-1.0", "creative commons zero": "CC0-1.0", "artlibre-1.3": "LAL-1.3", "artistic": "Artistic-1.0",
    "apache": "Apache-2.0", "ofl": "OFL-1.1",
}  # fmt: skip
"""Folded words -> id, where they are all that is said."""


@cache
def known() -> dict[str, Known]:
    """Id -> what it permits."""
    table = {RESERVED: Known(False, None, None), PUBLIC_DOMAIN: Known(True, True, None)}
    table |= {spdx: Known(True, True, url) for spdx, url in _OTHERS.items()}
    table |= {
        f"{spdx}-{suffix}": Known(True, True, f"{_GNU}/{page}.html")
        for spdx, page in _GNU_PAGES.items()
        for suffix in ("only", "or-later")
    }
    for terms in ("BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND"):
        may_mine = None if "N" in terms else True
        table[f"LicenseRef-CC-{terms}"] = Known(True, may_mine, None)
        for version in ("1.0", "2.0", "2.5", "3.0", "4.0"):
            table[f"CC-{terms}-{version}"] = Known(True, may_mine, f"{_CC}/licenses/{terms.lower()}/{version}/")
    return table


@cache
def by_folded_id() -> dict[str, str]:
    """Case-folded id -> id."""
    return {spdx.casefold(): spdx for spdx in known()}

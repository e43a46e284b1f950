"""Codes that the world gives to recordings and releases, as the catalogue writes them: what cannot be one is None."""

import re
from typing import Any

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_MBID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def isrc(value: Any) -> str | None:
    """An ISRC (ISO 3901) without hyphens; of several the first that is one."""
    given = value if isinstance(value, (list, tuple)) else [value]
    plain = (re.sub(r"[\s-]", "", item).upper() for item in given if isinstance(item, str))
    return next((item for item in plain if _ISRC.fullmatch(item)), None)


def mbid(value: Any) -> str | None:
    """A MusicBrainz id (a UUID in lower case)."""
    folded = value.strip().lower() if isinstance(value, str) else ""
    return folded if _MBID.fullmatch(folded) else None


def upc(value: Any) -> str | None:
    """A UPC or EAN: 8 to 14 digits."""
    digits = re.sub(r"[\s-]", "", value) if isinstance(value, str) else ""
    return digits if re.fullmatch(r"[0-9]{8,14}", digits) else None


def upc_forms(plain: str) -> list[str]:
    """The same GTIN (GS1) as sources write it: 8, 12, 13 or 14 digits, since leading zeros mean nothing."""
    bare = plain.lstrip("0")
    return list(dict.fromkeys([plain, *(bare.zfill(length) for length in (8, 12, 13, 14) if len(bare) <= length)]))

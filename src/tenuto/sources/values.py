"""Values from outside, taken only if they can be: what cannot is None, never a guess."""

import hashlib
import re
import string
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any, TypeVar

from tenuto.model.codes import isrc, mbid, upc
from tenuto.model.records import MarketSetSeen, ProblemSeen

__all__ = [
    "DURATION_MAX_MS",
    "Values",
    "are_isrcs",
    "are_upcs",
    "first_number",
    "isrc",
    "market_set",
    "mbid",
    "partial_date",
    "text",
    "upc",
]

DURATION_MAX_MS = 30 * 86_400_000
"""A track longer than 30 days is a broken header, not music."""

_ISRC_LENGTH, _UPC_LENGTHS = 12, frozenset(range(8, 15))
_KINDS = bytes(
    0x41 if chr(code) in string.ascii_uppercase else 0x30 if chr(code) in string.digits else 0x3F for code in range(256)
)
"""Of each ASCII character: `A` for a capital, `0` for a digit, `?` for any other."""

_MARKET = re.compile(r"[A-Za-z]{2}")
_MARKETS_MAX = 26 * 26
_DAY_CHARACTERS = 10
_DATE = re.compile(r"(\d{4})(?:[-./]?(\d{2})(?:[-./]?(\d{2}))?)?(?:[T ].*)?", re.ASCII)

T = TypeVar("T")


class Values:
    """Reads values of one record and remembers those that cannot be."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._odd: dict[tuple[str, str], None] = {}

    def problems(self) -> Iterator[ProblemSeen]:
        """A problem for each value that was given and could not be taken, in order."""
        for name, value in self._odd:
            yield ProblemSeen(code="value-odd", subject=self._subject, message=f"{name} is {value}, which cannot be")

    def take(self, name: str, value: Any, reader: Callable[[Any], T | None]) -> T | None:
        """What `reader` makes of the value; None and a problem where it was given and makes nothing."""
        if value is None or value in ("", [], ()):
            return None
        read = reader(value)
        if read is None:
            self._odd[(name, repr(value)[:80])] = None
        return read

    def whole(self, name: str, value: Any, low: int = 0, high: int = 2**53) -> int | None:
        """A whole number in `[low, high]`, also where it comes as text."""
        return self.take(name, value, lambda given: _whole(given, low, high))


def _whole(value: Any, low: int, high: int) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and low <= value <= high else None


def text(value: Any) -> str | None:
    """A text that is not blank; a number is written out; anything else is None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def first_number(value: Any) -> Any:
    """`3` of `3/12`, as track and disc numbers come in tags."""
    return value.partition("/")[0].strip() if isinstance(value, str) else value


def are_isrcs(texts: Iterable[str]) -> bool:
    """Whether all are ISRCs as `isrc` gives them; looked at together, which takes a tenth of the time."""
    listed = list(texts)
    count, kinds = len(listed), "".join(listed).encode("ascii", "replace").translate(_KINDS)
    if any(map(_ISRC_LENGTH.__ne__, map(len, listed))):
        return False
    country, owner, digits = (
        [kinds[place::_ISRC_LENGTH] for place in places] for places in (range(2), range(2, 5), range(5, 12))
    )
    return (
        all(one == b"A" * count for one in country)
        and not any(b"?" in one for one in owner)
        and all(one == b"0" * count for one in digits)
    )


def are_upcs(texts: Iterable[str]) -> bool:
    """Whether all are UPCs as `upc` gives them."""
    listed = list(texts)
    digits, lengths = "".join(listed), set(map(len, listed))
    return not listed or (digits.isascii() and digits.isdecimal() and lengths <= _UPC_LENGTHS)


def partial_date(value: Any) -> str | None:
    """`1911`, `1911-05` or `1911-05-18`, as much of a date as is known; parts of 00 are not known."""
    if isinstance(value, str) and len(value) == _DAY_CHARACTERS and value[4] == value[7] == "-":  # most are whole
        with suppress(ValueError):
            return date.fromisoformat(value).isoformat()
    match = _DATE.fullmatch(str(value).strip())
    if match is None or int(match[1]) == 0:
        return None
    year, month, day = match[1], match[2] or "00", match[3] or "00"
    try:
        date(int(year), int(month) or 1, int(day) or 1)
    except ValueError:
        return None
    if month == "00":
        return year
    return f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}"


def market_set(value: Any) -> MarketSetSeen | None:
    """A list of countries (ISO 3166-1 alpha-2): None where one of them is none, since the others then say too little."""
    if not isinstance(value, (list, tuple)) or len(value) > _MARKETS_MAX:
        return None
    if not all(isinstance(code, str) and _MARKET.fullmatch(code) for code in value):
        return None
    markets = " ".join(sorted({code.upper() for code in value}))
    return MarketSetSeen(market_set_id=int.from_bytes(hashlib.sha256(markets.encode()).digest()[:8]), markets=markets)

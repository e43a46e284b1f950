"""What a field of a mapping takes: a value as it stands in a row, made what the catalogue holds, or None where it cannot be."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tenuto.sources import values
from tenuto.sources.table.mapping import Cell
from tenuto.sources.times import clock_ms, plausible_ms, release_date
from tenuto.sources.values import DURATION_MAX_MS

_UNIT_MS = {"ms": 1, "s": 1_000, "min": 60_000}
_YES, _NO = frozenset({"1", "true", "yes", "y", "t"}), frozenset({"0", "false", "no", "n", "f"})
_NUMBER_MAX = 40
"""Characters of a number that are looked at."""
UINT32_MAX = 2**32 - 1

Reader = Callable[[Any, Cell, int], Any]
"""(value, its cell, last year that can be) -> what is kept."""


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a value that is one or several."""
    if isinstance(value, str):
        return (stripped,) if (stripped := value.strip()) else ()
    given = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(text.strip() for item in given if (text := values.text(item)) is not None)


def _text(value: Any, _cell: Cell, _year_max: int) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    found = texts(value)
    return found[0] if len(found) == 1 else None


def _duration(value: Any, cell: Cell, _year_max: int) -> int | None:
    if isinstance(value, str) and ":" in value:
        return clock_ms(value)
    if cell.unit == "m:ss" or isinstance(value, bool):
        return None
    try:
        given = Decimal(str(value)[:_NUMBER_MAX].replace(",", ".")) * _UNIT_MS[cell.unit]
        return plausible_ms(round(given)) if 0 < given <= DURATION_MAX_MS else None
    except ArithmeticError:
        return None


def _date(value: Any, cell: Cell, year_max: int) -> str | None:
    if isinstance(value, float) and value.is_integer():  # a column of years with gaps, as many programs write it
        value = int(value)
    plain = re.sub(r"^(\d{4})\.0$", r"\1", value) if isinstance(value, str) else value
    return release_date(plain, year_max, cell.year_min)


def _truth(value: Any, _cell: Cell, _year_max: int) -> bool | None:
    folded = str(value).casefold()
    return True if folded in _YES else False if folded in _NO else None


def _whole(low: int, high: int) -> Reader:
    def read(value: Any, _cell: Cell, _year_max: int) -> int | None:
        plain = re.sub(r"^(\d+)\.0+$", r"\1", value) if isinstance(value, str) else value
        return values.Values("").whole("", plain, low, high)

    return read


def _plain(reader: Callable[[Any], str | None]) -> Reader:
    return lambda value, _cell, _year_max: reader(str(value) if isinstance(value, int) else value)


READERS: dict[str, Reader] = {
    **dict.fromkeys(("id", "title", "sort_name", "release_type", "label", "copyright_c", "copyright_p", "listens_scope",
                     "licence_text", "attribution"), _text),
    **dict.fromkeys(("genres", "languages"), lambda value, _cell, _year_max: texts(value) or None),
    **dict.fromkeys(("popularity",), _whole(0, 100)),
    **dict.fromkeys(("listens_count", "followers_count"), _whole(0, 2**53)),
    **dict.fromkeys(("release_date", "listens_on"), _date),
    **dict.fromkeys(("artist_id_musicbrainz", "release_id_musicbrainz", "recording_id_musicbrainz"), _plain(values.mbid)),
    "disc_number": _whole(0, 9_999),
    "track_number": _whole(0, 99_999),
    "tracks_count": _whole(0, UINT32_MAX),
    "duration_ms": _duration,
    "is_explicit": _truth,
    "isrc": _plain(values.isrc),
    "upc": _plain(values.upc),
    "isni": _plain(lambda value: found if (found := re.sub(r"[\s-]", "", str(value))) and
                   re.fullmatch(r"\d{15}[\dX]", found) else None),
}  # fmt: skip
"""Field -> its reader."""

"""Durations and dates of release as people write them."""

import re

from tenuto.sources import values

YEAR_MIN = 1857
"""No sound was recorded before (É.-L. Scott de Martinville's phonautograph)."""

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):([0-5]?\d)(?:[.,](\d{1,3})\d*)?", re.ASCII)


def clock_ms(text: str) -> int | None:
    """Milliseconds of `3:45`, `1:02:03` or `3:45.5`; None where it is no duration of a track."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds, part = match.groups()
    whole_s = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return plausible_ms(whole_s * 1_000 + int((part or "0").ljust(3, "0")))


def plausible_ms(milliseconds: int) -> int | None:
    """A duration that a track can have."""
    return milliseconds if 1 <= milliseconds <= values.DURATION_MAX_MS else None


def release_date(given: object, year_max: int, year_min: int = YEAR_MIN) -> str | None:
    """As much of a date as is known (`values.partial_date`), between two years."""
    found = values.partial_date(given)
    return found if found and year_min <= int(found[:4]) <= year_max else None

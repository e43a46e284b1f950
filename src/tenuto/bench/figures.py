"""How the figures of a catalogue are spread. Published ones are those of the facts of the field, section 1 ("the 2025 copy in
figures"); where nothing is published the shape is ours, and the docstring says so.
"""

import math

import numpy as np

from tenuto.bench.chance import F64, I64, Dice
from tenuto.bench.identifiers import choice, zipf

TRACKS, RELEASES, ARTISTS, ISRCS = 256.04, 58.6, 15.43, 186.0
"""Millions, as published."""

EXPLICIT_SHARE = 0.135
"""Published."""

POPULAR_FROM = 50
POPULAR_SHARE = 210_000 / 256_040_000
"""Tracks of popularity 50 and more: about 210,000 of 256 M (published)."""

HEARD_SHARE = 0.29
"""Tracks of popularity 1 and more, which 1,000 streams stand for: at least 70 % have fewer (published)."""

_SLOPES = ((1, 50, math.log(POPULAR_SHARE / HEARD_SHARE) / 49), (50, 80, -0.15), (80, 100, -0.35))
"""(from, to, logarithmic slope a step): the first through both published points; the others so that most listens lie
between 50 and 80, as published.
"""

_LISTENS_AT_1, _LISTENS_AT_100 = 1_000.0, 5.6e9
_COUNTED_SHARE = 0.5
"""Tracks of popularity 0 of which the source gives a count; of all others it gives one (ours)."""

_WHOLE_MINUTE_SHARE = 0.03
_WHOLE_MINUTES = ((2, 0.3), (3, 0.36), (4, 0.18), (1, 0.06), (5, 0.06), (10, 0.04))
"""Peaks at whole minutes, most at 2:00, 3:00 and 4:00 (published; their heights are ours)."""

_MEDIAN_S, _SPREAD = 174.0, 0.42
_LONG_SHARE, _LONG_FROM_S, _LONG_TO_S = 0.012, 480.0, 21_600.0
"""A logarithmic normal distribution with a mean of about 210 s (facts of the field, section 6) and a long tail (published)."""

FIRST_YEAR, LAST_YEAR = 1905, 2025
_YEARS_BACK = 6.5
"""The published cutoff is July 2025; that releases fall off exponentially into the past is ours."""

_GENRE_HEAD = (0.00148, 0.00137, 0.00133)
"""Shares of artists with the genres opera, choral and chamber: 22.8, 21.2 and 20.5 thousand of 15.43 M (published: the
commonest three).
"""


def survival() -> F64:
    """The share of tracks of popularity k and more, for k = 0 … 100."""
    shares = [1.0, HEARD_SHARE]
    for low, high, slope in _SLOPES:
        shares += [shares[low] * math.exp(slope * (k - low)) for k in range(low + 1, high + 1)]
    return np.array(shares)


_ASCENDING = survival()[:0:-1].copy()


def popularity(chance: F64) -> I64:
    """0 … 100, the higher the smaller `chance`."""
    found: I64 = 100 - np.searchsorted(_ASCENDING, chance, side="right")
    return found


def listens(dice: Dice, tracks: I64, popular: I64) -> tuple[I64, I64]:
    """Listens of each track, and the numbers of the rows of which the source gives none; below 1,000 at popularity 0."""
    chance = dice.unit("listens", tracks)
    span = math.log(_LISTENS_AT_100 / _LISTENS_AT_1) / 99
    heard = _LISTENS_AT_1 * np.exp(span * (popular - 1 + chance))
    unheard = np.exp(chance * math.log(_LISTENS_AT_1)) - 1
    counts = np.where(popular > 0, heard, unheard).astype(np.int64)
    is_silent = (popular == 0) & (dice.unit("listens are counted", tracks) >= _COUNTED_SHARE)
    return counts, np.flatnonzero(is_silent)


def duration_ms(dice: Dice, recordings: I64) -> I64:
    """Durations of recordings, 1 s … 6 h."""
    chance = dice.unit("duration", recordings)
    way = dice.unit("duration way", recordings)
    other = dice.unit("duration other", recordings)
    normal = np.sqrt(-2 * np.log(1 - chance)) * np.cos(2 * np.pi * other)
    seconds = _MEDIAN_S * np.exp(_SPREAD * normal)
    seconds = np.where(way < _LONG_SHARE, _LONG_FROM_S * (_LONG_TO_S / _LONG_FROM_S) ** (chance**3), seconds)
    minutes = np.array([minute for minute, _ in _WHOLE_MINUTES])
    whole = 60.0 * minutes[choice(chance, [share for _, share in _WHOLE_MINUTES])]
    seconds = np.where(way > 1 - _WHOLE_MINUTE_SHARE, whole, seconds)
    return np.clip((seconds * 1000).astype(np.int64), 1_000, 1000 * int(_LONG_TO_S))


def years(dice: Dice, releases: I64) -> I64:
    """The year of each release, most of them young."""
    back = -_YEARS_BACK * np.log(1 - dice.unit("year", releases))
    return np.clip(LAST_YEAR - back.astype(np.int64), FIRST_YEAR, LAST_YEAR)


def dates(dice: Dice, releases: I64, year: I64) -> tuple[I64, I64]:
    """Days since 1970 and what is known of them: 4 characters of the date (the year), 7 or 10; old ones are vaguer (ours)."""
    chance = dice.unit("date precision", releases)
    vague = np.clip(0.04 + (LAST_YEAR - year) * 0.008, 0, 0.9)
    known = np.where(chance < vague * 0.8, 4, np.where(chance < vague, 7, 10))
    last = np.where(year == LAST_YEAR, 7, 12)
    months = (dice.unit("month", releases) * last).astype(np.int64)
    start = ((year - 1970) * 12 + np.where(known == 4, 0, months)).astype("datetime64[M]")  # noqa: PLR2004 -- a year alone
    friday = (dice.unit("day", releases) * 28).astype(np.int64)
    return start.astype("datetime64[D]").astype(np.int64) + np.where(known == 10, friday, 0), known  # noqa: PLR2004


def genre_ranks(dice: Dice, artists: I64, genres: int) -> tuple[I64, I64]:
    """How many genres each artist has (mostly none), and their ranks one after the other.

    The three commonest have their published shares; those behind fall off as 1/(rank + 12) (ours).
    """
    weights = np.concatenate([_GENRE_HEAD, 0.0155 / (np.arange(genres - 3) + 12.0)])
    counts = (dice.unit("genre is known", artists) < weights.sum() / 1.4).astype(np.int64)
    counts += (counts > 0) * (dice.unit("genre second", artists) < 0.4)  # noqa: PLR2004 -- 1.4 genres where there are any
    of = np.repeat(artists, counts) * 2 + within(counts)
    return counts, choice(dice.unit("genre", of), (weights / weights.sum()).tolist())


def label_ranks(dice: Dice, releases: I64, total: int) -> I64:
    """The label of each release by Zipf's law, one label to twelve releases (ours)."""
    return zipf(dice.unit("label", releases), max(1, total // 12))


def within(counts: I64) -> I64:
    """0, 1, … within each group of so many."""
    ends = np.cumsum(counts)
    found: I64 = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    return found

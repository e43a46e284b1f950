"""Identifiers as real ones are made: no digit of them says more or less than theirs do (ISO 3901, GS1)."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench.chance import F64, I64, U64, Bools, Dice

ID_CHARACTERS = 22
"""128 bits in base 62."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""In the order of their bytes, so that ids sort as the numbers that they are."""

_PAIR = 62**2
_GROUP = 62**4
_LIMBS_OF_ROUND = (4, 4, 3, 2, 2)
"""How many limbs of 32 bits are left of 128 bits before each division by 62⁴."""

_PAIRS = np.array([ord(high) | ord(low) << 8 for high in _DIGITS for low in _DIGITS], dtype="<u2")
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

_PREFIXES = """
    US QM QZ GB DE FR NL SE IT ES BR MX JP KR IN AU CA RU TR PL AR CO CL FI NO DK BE AT CH PT GR IL EG ZA NG ID TH TW HK CN
    UA CZ HU RO IE NZ
"""
_COUNTRIES = _PREFIXES.split()
"""ISRC prefixes, the most used first (an order of our own)."""

_REGISTRANTS = 40_000
_ALNUM = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_ISRC_YEAR_MIN = 1986
"""The year of ISO 3901: older recordings carry the year in which they got their code."""

_COMPANIES = 60_000
_SHARE_UPC_A = 0.6
_CHECK_WEIGHTS = np.array([1, 3] * 6, dtype=np.int64)
"""GS1 General Specifications 7.9, over the first 12 of 13 digits."""


def texts(characters: npt.NDArray[np.uint8]) -> pa.Array:
    """Rows of ASCII characters as an Arrow array of texts of one length."""
    count, width = characters.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    buffers = pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters))
    return pa.StringArray.from_buffers(count, *buffers)


def base62(high: U64, low: U64) -> pa.Array:
    """128-bit numbers as 22 characters each."""
    limbs = [high >> _HALF, high & _LOW, low >> _HALF, low & _LOW]
    pairs = np.empty((len(high), ID_CHARACTERS // 2), dtype="<u2")
    place = ID_CHARACTERS // 2
    for left in _LIMBS_OF_ROUND:
        rest = np.zeros(len(high), dtype=np.uint64)
        for number in range(4 - left, 4):
            limb = (rest << _HALF) | limbs[number]
            limbs[number] = limb // np.uint64(_GROUP)
            rest = limb - limbs[number] * np.uint64(_GROUP)
        upper = rest // np.uint64(_PAIR)
        pairs[:, place - 1] = _PAIRS[rest - upper * np.uint64(_PAIR)]
        pairs[:, place - 2] = _PAIRS[upper]
        place -= 2
    pairs[:, 0] = _PAIRS[limbs[3]]
    return texts(pairs.view(np.uint8).reshape(len(high), ID_CHARACTERS))


def random_ids(dice: Dice, what: str, which: I64 | U64) -> pa.Array:
    """Ids of 128 random bits."""
    return base62(dice.bits(f"{what} id high", which), dice.bits(f"{what} id low", which))


def ordered_ids(dice: Dice, what: str, rows: I64, total: int) -> pa.Array:
    """Ids that ascend with the row: the range of 128 bits in `total` equal parts, each with one id anywhere in it."""
    parts = np.uint64(total)
    within = dice.bits(f"{what} id high", rows)
    rest = rows.astype(np.uint64)  # below `total`, so the quotient has no third part
    upper = (rest << _HALF) | (within >> _HALF)
    quotient = upper // parts
    rest = upper - quotient * parts
    high = (quotient << _HALF) | (((rest << _HALF) | (within & _LOW)) // parts)
    return base62(high, dice.bits(f"{what} id low", rows))


def isrcs(dice: Dice, which: I64, years: I64) -> pa.Array:
    """An ISRC for each number: registrants by Zipf's law, the year as given, five random digits of designation."""
    registrant = zipf(dice.unit("isrc registrant", which), _REGISTRANTS)
    country = zipf(dice.unit("isrc country", registrant), len(_COUNTRIES))
    prefix = np.frombuffer("".join(_COUNTRIES).encode(), dtype=np.uint8).reshape(-1, 2)
    made = np.empty((len(which), 12), dtype=np.uint8)
    made[:, :2] = prefix[country]
    code = dice.below("isrc code", registrant, 36**3)
    made[:, 2], made[:, 3], made[:, 4] = _ALNUM[code // 1296], _ALNUM[code // 36 % 36], _ALNUM[code % 36]
    _write_digits(made[:, 5:7], np.maximum(years, _ISRC_YEAR_MIN) % 100)
    _write_digits(made[:, 7:], dice.below("isrc designation", which, 100_000))
    return texts(made)


def upcs(dice: Dice, which: I64) -> pa.Array:
    """A UPC-A (12 digits) or EAN-13 for each number: companies by Zipf's law, random items, a right check digit."""
    company = zipf(dice.unit("upc company", which), _COMPANIES)
    is_upc = dice.unit("upc kind", company) < _SHARE_UPC_A
    body = dice.below("upc prefix", company, 10**7) * 100_000 + dice.below("upc item", which, 100_000)
    lead = np.where(is_upc, 0, 3 + dice.below("upc lead", company, 6))
    digits = np.empty((len(which), 13), dtype=np.uint8)
    digits[:, 0] = lead + ord("0")
    _write_digits(digits[:, 1:12], body % 10**11)
    values = digits[:, :12].astype(np.int64) - ord("0")
    digits[:, 12] = -(values @ _CHECK_WEIGHTS) % 10 + ord("0")
    return pc.if_else(pa.array(is_upc), texts(digits[:, 1:]), texts(digits))


def zipf(chance: F64, ranks: int) -> I64:
    """Ranks in [0, ranks), the share of rank r as 1/(r+1): the inverse of a logarithm."""
    return np.minimum(np.exp(chance * math.log(ranks + 1)).astype(np.int64) - 1, ranks - 1)


def power(chance: F64, ranks: int | I64, exponent: float) -> I64:
    """Ranks in [0, ranks), low ones oftener: rank = ranks x chance^exponent."""
    return np.asarray(chance**exponent * ranks, dtype=np.int64)


def choice(chance: F64, shares: Sequence[float]) -> I64:
    """Which of several, by their shares (which add up to 1, or the last takes the rest)."""
    return np.searchsorted(np.cumsum(shares)[:-1], chance, side="right")


def chosen(is_so: Bools) -> I64:
    """The numbers of the rows that are so."""
    return np.flatnonzero(is_so)


def _write_digits(into: npt.NDArray[np.uint8], numbers: I64) -> None:
    """Decimal digits of each number, leading zeros kept, into the columns of `into`."""
    left = numbers
    for place in range(into.shape[1] - 1, -1, -1):
        into[:, place] = left % 10 + ord("0")
        left = left // 10

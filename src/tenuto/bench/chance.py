"""Chance without a state: every draw is a function of (seed, what for, which one), so any part can be made alone."""

import hashlib
import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Constants of SplitMix64 (Steele, Lea, Flood 2014)."""


class Dice:
    """Draws of one seed, and of one part of what is made from it."""

    def __init__(self, seed: int, part: str = "") -> None:
        self._seed, self._part = seed, part
        self._keys: dict[str, np.uint64] = {}

    def bits(self, what: str, which: I64 | U64) -> U64:
        """64 random bits for each number in `which`: SplitMix64 over a key of seed and purpose."""
        key = self._keys.get(what)
        if key is None:
            digest = hashlib.sha256(f"{self._seed}\n{self._part}\n{what}".encode()).digest()
            key = self._keys.setdefault(what, np.uint64(int.from_bytes(digest[:8], "little")))
        mixed = which.astype(np.uint64)
        mixed *= _GOLDEN
        mixed += key
        mixed ^= mixed >> np.uint64(30)
        mixed *= _FIRST
        mixed ^= mixed >> np.uint64(27)
        mixed *= _SECOND
        mixed ^= mixed >> np.uint64(31)
        return mixed

    def unit(self, what: str, which: I64 | U64) -> F64:
        """Numbers in [0, 1), 53 bits each."""
        found: F64 = (self.bits(what, which) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return found

    def below(self, what: str, which: I64 | U64, bound: int) -> I64:
        """Whole numbers in [0, bound)."""
        return (self.unit(what, which) * bound).astype(np.int64)


@lru_cache(maxsize=16)
def step_through(count: int) -> int:
    """A step near the golden section that, taken again and again round `count` things, visits each of them once."""
    return next(step for step in range(int(count * 0.618) | 1, 2 * count + 3) if math.gcd(step, count) == 1)

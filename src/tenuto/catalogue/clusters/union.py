"""Links into clusters: connected components, and their parting where a component contradicts itself.

The rule is: take links from the best down, and take one if what it joins does not contradict itself. A whole component
without a contradiction comes out of that undivided, so components are found first, at once, and only those that
contradict themselves (few) are gone through link by link.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.catalogue.clusters.score import CLASH_MARKS, SPAN_MAX_MS, SPAN_OF_CODES_MAX_MS

Rows = NDArray[np.uint32]
_CHUNK = 4_000_000


def components(count: int, a: Rows, b: Rows) -> Rows:
    """Of each of `count` rows the least row that links (a[n], b[n]) join it to.

    Labels only fall; every round hooks trees onto lesser ones and halves paths (FastSV: Zhang, Azad, Hu 2020), so that
    rounds grow with the logarithm of the longest chain.
    """
    label = np.arange(count, dtype=np.uint32)
    is_changing = True
    while is_changing:
        is_changing = False
        for begin in range(0, len(a), _CHUNK):
            one, other = a[begin : begin + _CHUNK], b[begin : begin + _CHUNK]
            of_one, of_other = label[one], label[other]
            differ = of_one != of_other
            if differ.any():
                is_changing = True
                one, other, of_one, of_other = one[differ], other[differ], of_one[differ], of_other[differ]
                least = np.minimum(of_one, of_other)
                np.minimum.at(label, np.maximum(of_one, of_other), least)
                np.minimum.at(label, one, least)
                np.minimum.at(label, other, least)
        while is_changing:
            shorter = label[label]
            if np.array_equal(shorter, label):
                break
            label = shorter
    return label


@dataclass(slots=True)
class Guard:
    """What the tracks of a cluster have said together."""

    shortest_ms: int | None
    longest_ms: int | None
    codes: frozenset[int]
    details: frozenset[int]
    marks: int

    def joined(self, other: "Guard") -> "Guard | None":
        """Both together; None where they contradict one another."""
        shortest = [ms for ms in (self.shortest_ms, other.shortest_ms) if ms is not None]
        longest = [ms for ms in (self.longest_ms, other.longest_ms) if ms is not None]
        codes = frozenset(sorted(self.codes | other.codes)[:2])  # one, or more than one: that is all that is asked
        details, marks = self.details | other.details, self.marks | other.marks
        span = max(longest) - min(shortest) if longest else 0
        if span > (SPAN_MAX_MS if len(codes) < 2 else SPAN_OF_CODES_MAX_MS):  # noqa: PLR2004 -- one code, or none
            return None
        if len(details) > 1 or any(marks & bits == bits for bits in CLASH_MARKS):
            return None
        return Guard(min(shortest, default=None), max(longest, default=None), codes, details, marks)


def part(links: list[tuple[int, int]], guards: dict[int, Guard]) -> dict[int, int]:
    """The cluster of each row that is named in `guards`, from links (a, b) in the order in which they are to be taken."""
    parent = {row: row for row in guards}

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        if low != high and (both := guards[low].joined(guards[high])):
            parent[high] = low
            guards[low] = both
    return {row: root(row) for row in guards}

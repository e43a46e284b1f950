"""Filling a budget: the most value per byte first (Dantzig 1957), and how far that is from the best there can be."""

import numpy as np

from tenuto.selection.candidates import Bools, Floats, Ints


def fill(value: Floats, size: Ints, may: Bools, budget_bytes: int) -> tuple[Bools, float]:
    """Which to take, and the linear optimum (its value), which no choice can exceed.

    Sizes are at least 1 where `may` holds.
    Rows are in order of id, so ties go to the lower id. What does not fit is passed over and the filling goes on, so
    the gap to the optimum is less than one item's value.
    """
    taken = np.zeros(len(value), dtype=np.bool_)
    order = _by_density(value, size, may)
    bound = _linear_optimum(value[order], size[order], budget_bytes)
    left = budget_bytes
    while len(order):
        order = order[size[order] <= left]
        run = np.cumsum(size[order])
        fits = int(np.searchsorted(run, left, side="right"))
        if fits == 0:
            break
        taken[order[:fits]] = True
        left -= int(run[fits - 1])
        order = order[fits:]
    return taken, bound


def _by_density(value: Floats, size: Ints, may: Bools) -> Ints:
    """The eligible items, most value per byte first, then the smaller, then by row."""
    items = np.flatnonzero(may)
    density = value[items] / np.maximum(size[items], 1)
    return items[np.lexsort((items, size[items], -density))]


def _linear_optimum(value: Floats, size: Ints, budget_bytes: int) -> float:
    """The value of taking items in order of density, the last one in part."""
    run = np.cumsum(size)
    whole = int(np.searchsorted(run, budget_bytes, side="right"))
    total = float(value[:whole].sum())
    if whole < len(value):
        left = budget_bytes - (int(run[whole - 1]) if whole else 0)
        total += float(value[whole]) * left / max(1, int(size[whole]))
    return total

"""Filling a budget: held against brute force, a plain greedy loop and the linear optimum."""

from fractions import Fraction
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.selection.knapsack import fill

ITEMS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 60), st.booleans()), max_size=40)
SIZED = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 60), st.booleans()), max_size=40)
"""What the planner really gives: a track of no bytes is not on offer."""
FEW = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 12), st.just(True)), max_size=9)
BUDGETS = st.integers(0, 500)


def _fill(items, budget):
    columns = list(zip(*items, strict=True)) or [(), (), ()]
    taken, bound = fill(np.array(columns[0], dtype=np.float64), np.array(columns[1], dtype=np.int64),
                        np.array(columns[2], dtype=np.bool_), budget)  # fmt: skip
    return [row for row, is_taken in enumerate(taken) if is_taken], bound


def _value(items, taken):
    return sum(items[row][0] for row in taken)


def _order(items):
    """Most value per byte first, then the smaller, then the lower row; a size of 0 counts as 1."""
    eligible = [row for row, item in enumerate(items) if item[2]]
    return sorted(eligible, key=lambda row: (-Fraction(items[row][0], max(1, items[row][1])), items[row][1], row))


@given(ITEMS, BUDGETS)
def test_fill_is_never_over_budget_and_takes_only_what_it_may(items, budget):
    taken, _ = _fill(items, budget)
    assert sum(items[row][1] for row in taken) <= budget
    assert all(items[row][2] for row in taken)


@given(ITEMS, BUDGETS)
def test_fill_is_what_a_plain_greedy_loop_takes(items, budget):
    expected, left = [], budget
    for row in _order(items):
        if items[row][1] <= left:
            expected.append(row)
            left -= items[row][1]
    assert _fill(items, budget)[0] == sorted(expected)


@given(SIZED, BUDGETS)
def test_fill_is_within_one_item_of_the_linear_optimum(items, budget):
    taken, bound = _fill(items, budget)
    gap = bound - _value(items, taken)
    left_out = [item[0] for row, item in enumerate(items) if item[2] and row not in taken]
    assert gap >= -1e-6
    assert gap < max(left_out) if any(left_out) else gap < 1e-6


@given(SIZED, BUDGETS)
def test_bound_is_the_value_of_the_linear_programme(items, budget):
    left, best = Fraction(budget), Fraction(0)
    for row in _order(items):
        value, size, _ = items[row]
        part = min(Fraction(1), left / size)
        best, left = best + part * value, left - part * size
        if part < 1:
            break
    bound = _fill(items, budget)[1]
    assert abs(bound - float(best)) < 1e-6


@given(FEW, st.integers(0, 60))
@settings(max_examples=60)
def test_no_choice_is_worth_more_than_the_bound(items, budget):
    best = max(_value(items, chosen) for count in range(len(items) + 1) for chosen in combinations(range(len(items)), count)
               if sum(items[row][1] for row in chosen) <= budget)  # fmt: skip
    taken, bound = _fill(items, budget)
    assert _value(items, taken) <= best <= bound + 1e-6


@given(ITEMS, BUDGETS, st.integers(0, 100))
def test_more_budget_never_keeps_less_value(items, budget, more):
    assert _value(items, _fill(items, budget + more)[0]) >= _value(items, _fill(items, budget)[0])


@given(ITEMS)
def test_budget_of_all_bytes_takes_all_that_it_may(items):
    everything = sum(item[1] for item in items)
    assert _fill(items, everything)[0] == [row for row, item in enumerate(items) if item[2]]


@given(ITEMS, BUDGETS)
def test_fill_is_the_same_each_time(items, budget):
    assert _fill(items, budget) == _fill(items, budget)


def test_ties_go_to_the_lower_row_after_the_smaller_item():
    assert _fill([(5, 10, True)] * 5, 25)[0] == [0, 1]
    assert _fill([(10, 20, True), (5, 10, True), (5, 10, True)], 20)[0] == [1, 2]


def test_what_does_not_fit_is_passed_over_and_filling_goes_on():
    assert _fill([(100, 10, True), (90, 12, True), (1, 5, True), (1, 9, True)], 15)[0] == [0, 2]


def test_nothing_is_taken_for_nothing():
    assert _fill([], 100) == ([], 0.0)
    assert _fill([(5, 1, True)], 0) == ([], 0.0)
    assert _fill([(5, 1, False)], 100) == ([], 0.0)


def test_items_of_no_bytes_are_taken_even_without_a_budget():
    assert _fill([(5, 0, True), (0, 0, True), (7, 1, True)], 0)[0] == [0, 1]


def test_sizes_beyond_32_bits_are_added_up_without_overflow():
    items = [(1, 3 * 10**14, True)] * 4
    assert _fill(items, 10**15)[0] == [0, 1, 2]


def test_kept_listens_may_fall_when_the_budget_grows_for_it_is_listened_seconds_that_grow():
    """A symphony heard 10 times outweighs a filler heard 100 times as soon as it fits."""
    listens, seconds, sizes = [10, 100], [1000, 30], [100, 60]
    items = [(heard * length, size, True) for heard, length, size in zip(listens, seconds, sizes, strict=True)]
    kept = {budget: _fill(items, budget)[0] for budget in (60, 100)}
    assert {budget: sum(listens[row] for row in rows) for budget, rows in kept.items()} == {60: 100, 100: 10}
    assert {budget: _value(items, rows) for budget, rows in kept.items()} == {60: 3000, 100: 10_000}

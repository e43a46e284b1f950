"""Values from outside are taken only if they can be; nothing raises, nothing is guessed."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenuto.sources import values

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=5,
)


@given(ANYTHING, st.integers(-5, 5), st.integers(6, 2**53))
@example("²", 0, 100)
@example("\uff11\uff12", 0, 100)
@example(float("nan"), 0, 9)
@example(float("inf"), 0, 9)
def test_a_whole_number_is_one_in_its_range_or_none(value: object, low: int, high: int) -> None:
    read = values.Values("x")
    found = read.whole("n", value, low, high)
    assert found is None or (type(found) is int and low <= found <= high)
    odd = list(read.problems())
    is_silent = value is None or value in ("", [], ())
    assert len(odd) == (found is None and not is_silent)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("5", 5),
        (" +5 ", 5),
        (5.0, 5),
        ("-1", None),
        (True, None),
        ("5.5", None),
        (5.5, None),
        ("0x5", None),
        ("5" * 19, None),
        ([5], None),
        ({}, None),
        (2**60, None),
    ],
)
def test_a_whole_number_is_taken_also_where_it_comes_as_text(value: object, expected: int | None) -> None:
    assert values.Values("x").whole("n", value) == expected


@given(ANYTHING)
@example(10**4000)
@example(float("nan"))
def test_every_reader_gives_none_or_a_value_and_raises_nothing(value: object) -> None:
    for reader in (values.isrc, values.mbid, values.upc, values.text, values.first_number):
        reader(value)
    found = values.partial_date(value)
    assert found is None or (found.isascii() and len(found) in {4, 7, 10})


@given(st.dates(date(1, 1, 1)), st.sampled_from([4, 7, 10]), st.sampled_from(["", "T12:00:00Z", " 00:00"]))
def test_a_date_is_kept_as_far_as_it_is_known(day: date, length: int, rest: str) -> None:
    written = day.isoformat()[:length]
    assert values.partial_date(written + rest) == written
    assert values.partial_date(written.replace("-", "/") + rest) == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1911-05-00", "1911-05"),
        ("1911-00-00", "1911"),
        ("1911-00-07", "1911"),
        ("19110518", "1911-05-18"),
        (1911, "1911"),
        ("0000", None),
        ("1911-13-01", None),
        ("1911-02-30", None),
        ("11", None),
        ("about 1911", None),
        ("\uff11\uff19\uff11\uff11", None),
        ("-1911", None),
        ("1911-5-18", None),
    ],
)
def test_a_date_that_cannot_be_is_none_and_parts_of_zero_are_not_known(written: object, expected: str | None) -> None:
    assert values.partial_date(written) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("USRC17607839", "USRC17607839"),
        ("us-rc1-76-07839", "USRC17607839"),
        (["", "x", "USRC17607839", "DEA123456789"], "USRC17607839"),
        ([], None),
        (["nothing"], None),
        ("USRC1760783\uff19", None),
        (7, None),
        ("", None),
        ([None, ["USRC17607839"]], None),
    ],
)
def test_an_isrc_is_the_first_that_is_one(value: object, expected: str | None) -> None:
    assert values.isrc(value) == expected


def test_the_same_odd_value_is_a_problem_once_and_is_shown_short() -> None:
    read = values.Values("track 7")
    for _ in range(3):
        read.whole("duration", "x" * 500)
    read.whole("size", -1)
    problems = list(read.problems())
    assert [problem.subject for problem in problems] == ["track 7", "track 7"]
    assert all(problem.code == "value-odd" and len(problem.message) < 140 for problem in problems)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), ("  ", None), (0, "0"), (7.5, "7.5"), (True, None), (None, None), ([], None), ({}, None)],
)
def test_a_text_is_not_blank(value: object, expected: str | None) -> None:
    assert values.text(value) == expected

"""Sizes, shares and durations, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.model.units import format_bytes, format_duration, format_share, parse_bytes, parse_duration, parse_share


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("24 MB", 24_000_000),
        ("24mb", 24_000_000),
        ("1.5TB", 1_500_000_000_000),
        ("10 GiB", 10 * 2**30),
        ("  1 kB ", 1000),
        ("1 KiB", 1024),
        ("7b", 7),
        ("300 TB", 300 * 10**12),
        ("2 PB", 2 * 10**15),
        ("2PiB", 2 * 2**50),
        ("0.1 kB", 100),
        ("1.0000000000000000001 PB", 10**15),  # not by way of a float
        ("9007199254740993", 9007199254740993),
    ],
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "MB", "-1 MB", "1,5 GB", "1e9", "5 XB", "1..2 MB", "1 M B", "60%", "inf", "nan", "0x10", "٣ GB", "1 GB\x00",
     "9" * 5000, "9" * 400 + ".5 PB"],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="is no size; write it like"):
        parse_bytes(text)


@given(st.integers(0, 10**18))
def test_a_plain_number_is_itself(count: int) -> None:
    assert parse_bytes(str(count)) == count


@given(st.integers(0, 10**18))
def test_a_printed_size_reads_back_to_three_digits(count: int) -> None:
    assert parse_bytes(format_bytes(count)) == pytest.approx(count, rel=0.005 + 1e-9, abs=0.5)


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_larger_size_never_prints_as_less(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert parse_bytes(format_bytes(small)) <= parse_bytes(format_bytes(large))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (58_300_000, "58.3 MB"),
        (10**12, "1 TB"),
        (999_499_999_999_999, "999 TB"),
        (10**15, "1 PB"),
    ],
)
def test_a_size_is_printed_in_the_unit_that_fits(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(("text", "share"), [("60%", 0.6), (" 0 % ", 0.0), ("100%", 1.0), ("12.5 %", 0.125)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["60", "101%", "-1%", "%", "1e1%", "100.1%", "6 0%", "", "9" * 400 + "%"])
def test_what_is_no_share_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="is no share; write it like"):
        parse_share(text)


@given(st.floats(0, 1))
def test_a_printed_share_reads_back_to_a_tenth_of_a_per_cent(share: float) -> None:
    assert parse_share(format_share(share)) == pytest.approx(share, abs=0.0005 + 1e-9)


def test_no_share_is_a_dash() -> None:
    assert format_share(None) == "-"
    assert format_share(0) == "0.0 %"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30 min", 1800), (" 12H ", 43_200), ("1d", 86_400), ("1.5 d", 129_600), ("0 s", 0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "d", "1m", "1 day", "-1d", "1,5 h", "1e3s", "1 h 30 min", "inf s", "٣ d", "9" * 10 + "d"]
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write it like"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (86_340, "23 h 59 min"), (86_460, "1 d"),
     (90_061, "1 d 1 h")],
)  # fmt: skip
def test_a_duration_is_printed_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text

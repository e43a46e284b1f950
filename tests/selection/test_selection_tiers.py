"""Bands, tiers, sizes and values of tracks."""

import pytest

from candidate_maker import candidates
from tenuto.archive.settings import DEFAULT_BANDS, Band
from tenuto.selection.candidates import UNKNOWN
from tenuto.selection.tiers import OPUS_HEAD_BYTES, band_numbers, choose_tiers, original_bytes
from tenuto.selection.value import values, weights

THREE = (Band(name="top", popularity_min=50, listens_min=1000, tier="original"),
         Band(name="middle", popularity_min=10, listens_min=10, tier="opus-128"),
         Band(name="rest", tier="none"))  # fmt: skip
UNHEARD = (Band(name="all", tier="opus-75"),)


def _tiers(bands=UNHEARD, lossy_to_lossy=False, **columns):
    tracks = candidates(**columns)
    tiers, sizes, reasons = choose_tiers(tracks, band_numbers(tracks, bands), bands, lossy_to_lossy=lossy_to_lossy)
    return list(zip(tiers, sizes.tolist(), reasons, strict=True))


@pytest.mark.parametrize(
    ("popularity", "listens", "band"),
    [
        (100, -1, 0), (50, -1, 0), (49, -1, 1), (10, -1, 1), (9, -1, 2), (0, -1, 2),
        (-1, 1000, 0), (-1, 999, 1), (-1, 10, 1), (-1, 9, 2), (-1, 0, 2), (-1, 2**53, 0),
        (0, 10**6, 2), (100, 0, 0), (-1, -1, 0),
    ],
)  # fmt: skip
def test_band_is_the_first_that_popularity_or_else_listens_reach(popularity, listens, band):
    assert band_numbers(candidates(popularity=[popularity], listens=[listens]), THREE).tolist() == [band]


def test_default_bands_split_what_was_heard_from_what_was_never_heard():
    tracks = candidates(popularity=[1, 0, -1, -1, -1], listens=[-1, -1, 1, 0, -1])
    assert band_numbers(tracks, DEFAULT_BANDS).tolist() == [0, 1, 0, 1, 0]


def test_no_tracks_have_no_bands_and_no_tiers():
    assert _tiers(THREE, popularity=[]) == []


def test_lossy_original_stays_as_it_is_and_says_so():
    assert _tiers(bytes=[9_000_000], duration_ms=[240_000], lossless=[0]) == [
        ("original", 9_000_000, "a lossy original stays as it is")]  # fmt: skip


def test_original_that_is_not_known_to_be_lossless_stays_as_it_is_and_says_so():
    ((tier, size, reason),) = _tiers(bytes=[9_000_000], duration_ms=[240_000], lossless=[-1])
    assert (tier, size) == ("original", 9_000_000)
    assert "not known to be lossless" in reason


def test_lossless_original_becomes_opus_of_its_duration():
    ((tier, size, reason),) = _tiers(bytes=[30_000_000], duration_ms=[240_000], lossless=[1])
    stream = 75_000 / 8 * 240
    assert (tier, reason) == ("opus-75", "")
    assert stream < size <= stream * 1.02 + OPUS_HEAD_BYTES


@pytest.mark.parametrize("lossless", [0, -1])
def test_lossy_becomes_lossy_only_where_the_policy_says_so_and_is_marked(lossless):
    ((tier, _, reason),) = _tiers(lossy_to_lossy=True, bytes=[9_000_000], duration_ms=[240_000], lossless=[lossless])
    assert (tier, reason) == ("opus-75", "lossy to lossy, as the policy says in words")


@pytest.mark.parametrize("lossless", [0, 1, -1])
def test_original_that_is_smaller_than_its_derivative_stays(lossless):
    ((tier, size, reason),) = _tiers(lossy_to_lossy=True, bytes=[1_000_000], duration_ms=[240_000], lossless=[lossless])
    assert (tier, size, reason) == ("original", 1_000_000, "the original is smaller than opus-75 would be")


def test_band_of_originals_keeps_every_original_whatever_it_is():
    found = _tiers((Band(name="all", tier="original"),), lossy_to_lossy=True, bytes=[5, 6, 7], lossless=[0, 1, -1])
    assert found == [("original", 5, ""), ("original", 6, ""), ("original", 7, "")]


def test_bands_of_several_tiers_do_not_mix():
    found = _tiers(THREE, popularity=[90, 20, 0], bytes=[10**8] * 3, duration_ms=[100_000] * 3, lossless=[1] * 3)
    assert [tier for tier, _, _ in found] == ["original", "opus-128", "none"]
    assert found[1][1] < found[0][1] == 10**8


def test_bytes_that_a_source_does_not_say_come_from_bit_rate_and_duration():
    tracks = candidates(bytes=[-1, -1, -1, 77, 0], bit_rate_bps=[128_000, -1, 128_000, 128_000, 1000],
                        duration_ms=[60_000, 60_000, -1, 60_000, 1000])  # fmt: skip
    assert original_bytes(tracks).tolist() == [960_000, -1, -1, 77, 0]


def test_listened_seconds_are_listens_times_the_shorter_of_duration_and_cap():
    tracks = candidates(listens=[10, 10, 0, 3], duration_ms=[31_000, 7_200_000, 60_000, 1_800_000])
    assert values(tracks, "listened_seconds", 1800).tolist() == [310.0, 18_000.0, 0.0, 5400.0]
    assert values(tracks, "listens", 1800).tolist() == [10.0, 10.0, 0.0, 3.0]


def test_filler_of_31_seconds_does_not_outweigh_a_symphony_with_a_thirtieth_of_its_listens():
    filler, symphony = values(
        candidates(listens=[3000, 100], duration_ms=[31_000, 3_000_000]), "listened_seconds", 1800
    )
    assert filler < symphony


def test_recording_of_ten_hours_counts_no_more_than_the_cap():
    short, long = values(candidates(listens=[5, 5], duration_ms=[1_800_000, 36_000_000]), "listened_seconds", 1800)
    assert short == long


def test_popularity_then_rank_stand_in_where_no_listens_are_known():
    tracks = candidates(popularity=[80, -1, -1, -1], rank=[-1, 1, 4, -1], source=[0, 0, 0, 1], duration_ms=[1000] * 4)
    assert values(tracks, "listens", 1800).tolist() == [80.0, 1.0, 0.25, 1.0]


def test_unknown_duration_is_taken_from_the_bytes_else_from_the_median_of_the_others():
    tracks = candidates(listens=[1] * 4, duration_ms=[100_000, 200_000, -1, -1], bytes=[-1, -1, 1_000_000, -1],
                        bit_rate_bps=[-1, -1, 80_000, -1])  # fmt: skip
    assert values(tracks, "listened_seconds", 1800).tolist() == [100.0, 200.0, 100.0, 150.0]


def test_values_are_never_negative_nor_infinite_whatever_is_unknown():
    tracks = candidates(
        listens=[-1, 0, 2**53, -1], duration_ms=[-1, 0, 1, -1], rank=[0, -1, -1, -1], popularity=[-1, -1, 0, 0]
    )
    for measure in ("listens", "listened_seconds"):
        found = values(tracks, measure, 1800)
        assert all(0 <= value < 1e17 for value in found.tolist())


def test_what_a_list_by_listens_leaves_out_comes_after_its_last_place() -> None:
    heard = weights(candidates(rank=[1, 2, UNKNOWN, UNKNOWN], source=[0, 0, 0, 1]))
    assert list(heard) == [1, 1 / 2, 1 / 3, 1]

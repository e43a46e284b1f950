"""Cutting what was chosen into crate drafts."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tenuto.selection.drafts import cut

BANDS = ("heard", "unheard")
ROW = st.tuples(st.booleans(), st.integers(0, 1), st.booleans(), st.integers(-1, 5), st.integers(1, 50))


def _cut(rows, target_bytes=100, recordings_max=8, names=None, prefix="lib-1"):
    """Rows of (chosen, band, open, release, bytes)."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    chosen, band, is_open, release, size = (np.array(column, dtype=kind) for column, kind in zip(
        columns, (np.bool_, np.int64, np.bool_, np.int64, np.int64), strict=True))  # fmt: skip
    return cut(chosen, band, BANDS, is_open, release, size, names or [f"s t{n} original" for n in range(len(rows))],
               prefix=prefix, target_bytes=target_bytes, recordings_max=recordings_max)  # fmt: skip


def _in_release_order(rows):
    """An edition's tracks lie by release, those without one last."""
    return sorted(rows, key=lambda row: (row[3] < 0, row[3]))


@given(st.lists(ROW, max_size=60), st.integers(1, 200), st.integers(1, 10))
def test_drafts_hold_each_chosen_track_once_and_nothing_else(rows, target_bytes, recordings_max):
    rows = _in_release_order(rows)
    drafts = _cut(rows, target_bytes, recordings_max)
    held = [row for draft in drafts for row in draft.rows]
    assert sorted(held) == [number for number, row in enumerate(rows) if row[0]]
    for draft in drafts:
        assert len(draft.rows) == draft.recordings <= recordings_max
        assert draft.bytes == sum(rows[row][4] for row in draft.rows)
        assert draft.bytes <= target_bytes or draft.recordings == 1
        assert {BANDS[rows[row][1]] for row in draft.rows} == {draft.band}
        assert {rows[row][2] for row in draft.rows} == {draft.access == "open"}
    assert len({draft.crate for draft in drafts}) == len(drafts)


@given(st.lists(ROW, max_size=60))
def test_album_that_fits_into_a_crate_lies_in_one(rows):
    rows = _in_release_order(rows)
    drafts = _cut(rows, 100, 60)
    where = {row: draft.crate for draft in drafts for row in draft.rows}
    albums = {}
    for number, (chosen, band, is_open, release, _) in enumerate(rows):
        if chosen and release >= 0:
            albums.setdefault((band, is_open, release), []).append(number)
    for album in albums.values():
        if sum(rows[row][4] for row in album) <= 100:
            assert len({where[row] for row in album}) == 1


@given(st.lists(ROW, max_size=40))
def test_drafts_are_the_same_each_time(rows):
    assert _cut(_in_release_order(rows)) == _cut(_in_release_order(rows))


@given(st.lists(ROW, max_size=60))
def test_bands_come_in_order_and_seqs_count_from_1_within_each(rows):
    drafts = _cut(_in_release_order(rows))
    assert [draft.band for draft in drafts] == sorted(draft.band for draft in drafts)
    for band in BANDS:
        seqs = [draft.seq for draft in drafts if draft.band == band]
        assert seqs == list(range(1, len(seqs) + 1))
    assert all(earlier.access >= later.access for earlier, later in pairwise(drafts) if earlier.band == later.band)


def test_album_larger_than_a_crate_is_cut_in_its_order():
    drafts = _cut([(True, 0, True, 0, 40)] * 7, target_bytes=100)
    assert [draft.rows for draft in drafts] == [(0, 1), (2, 3), (4, 5), (6,)]


def test_recording_larger_than_a_crate_has_one_of_its_own():
    assert [draft.rows for draft in _cut([(True, 0, True, 0, size) for size in (30, 5000, 30)])] == [(0,), (1,), (2,)]


def test_crate_holds_no_more_recordings_than_it_may():
    assert [
        draft.recordings for draft in _cut([(True, 0, True, -1, 1)] * 20, target_bytes=10**9, recordings_max=8)
    ] == [8, 8, 4]


def test_open_and_dark_tracks_of_one_album_lie_in_two_crates():
    drafts = _cut([(True, 0, number % 2 == 0, 3, 1) for number in range(6)])
    assert [(draft.access, draft.rows) for draft in drafts] == [("open", (0, 2, 4)), ("dark", (1, 3, 5))]


def test_nothing_chosen_gives_no_drafts():
    assert _cut([]) == []
    assert _cut([(False, 0, True, 0, 5)] * 3) == []


def test_name_of_a_crate_is_of_prefix_band_seq_and_digest():
    (draft,) = _cut([(True, 1, False, 0, 5)])
    assert draft.crate == f"lib-1-unheard-0001-{draft.digest}"
    assert len(draft.digest) == 8


def test_digest_is_of_tracks_and_tiers_alone():
    rows = [(True, 0, True, 0, 5)] * 2
    names = ["shop t1 original", "shop t2 original"]
    (basis,) = _cut(rows, names=names)
    assert _cut(rows, names=names, prefix="other-9")[0].digest == basis.digest
    assert _cut([(True, 1, False, 4, 6)] * 2, names=names)[0].digest == basis.digest
    assert _cut(rows, names=["shop t1 original", "shop t2 opus-75"])[0].digest != basis.digest
    assert _cut(rows, names=["shop t1 original", "east t2 original"])[0].digest != basis.digest


def test_digest_does_not_change_where_a_later_draft_gets_another_track():
    rows = [(True, 0, True, number, 60) for number in range(3)]
    before, after = _cut(rows), _cut([*rows, (True, 0, True, 3, 60)])
    assert [draft.crate for draft in after][:3] == [draft.crate for draft in before]

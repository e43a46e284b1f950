"""Patching one crate file: what is written, what is not, and what a source that begins again or breaks off leaves."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import tenuto.crates.mend
from crate_maker import Made, make_crate
from repair_maker import flip, state
from tenuto.crates.mend import Mender, Run, damaged_in
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.crates.verify import verify_crate
from tenuto.model.progress import Silent

MIB = 2**20


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make_crate(tmp_path, (2 * MIB + 77, 40_001))


def giving(content: bytes, step: int = 10_000, tries: int = 1) -> tuple[object, list[tuple[int, int]]]:
    """A source of these bytes in small parts, each range given `tries` times, all but the last broken off; and what was asked."""
    asked: list[tuple[int, int]] = []

    def gather(runs: Sequence[Run]) -> None:
        for run in runs:
            asked.append((run.offset, run.count))
            for number in range(tries):
                run.begin()
                wanted = content[run.offset : run.offset + run.count]
                for at in range(0, len(wanted) if number == tries - 1 else len(wanted) // 2, step):
                    run.write(wanted[at : at + step])

    return gather, asked


@pytest.mark.parametrize("tries", [1, 2, 3])
@pytest.mark.parametrize("step", [1_000, BLOCK_BYTES, 3 * MIB])
@pytest.mark.parametrize("run_bytes", [1, 2 * MIB, 64 * MIB])
def test_parts_of_every_size_and_sources_that_begin_again_end_in_the_same_file(
    made: Made, step: int, run_bytes: int, tries: int
) -> None:
    whole = made.path.read_bytes()
    made.path.write_bytes(bytes(len(whole) - 5))
    damaged = damaged_in(made.path, made.metainfo, Silent())
    assert damaged == [(0, len(whole))]
    gather, _ = giving(whole, step, tries)
    with Mender(made.path, made.metainfo, damaged) as mender:
        assert mender.mend(gather, run_bytes) == set()  # type: ignore[arg-type]
        assert mender.left == {}
    assert made.path.read_bytes() == whole
    assert damaged_in(made.path, made.metainfo, Silent()) == []


def test_damage_that_is_known_too_narrowly_is_mended_by_the_whole_piece_and_only_what_differs_is_written(
    made: Made,
) -> None:
    whole = made.path.read_bytes()
    flip(made.path, 5, 9 * BLOCK_BYTES)
    gather, asked = giving(whole)
    with Mender(made.path, made.metainfo, [(0, BLOCK_BYTES)]) as mender:
        assert mender.mend(gather, 1) == set()  # type: ignore[arg-type]
    assert asked == [(0, BLOCK_BYTES), (0, MIB)]
    assert (mender.patched.pieces, mender.patched.blocks, mender.patched.bytes) == (1, 2, 2 * BLOCK_BYTES)
    assert made.path.read_bytes() == whole


def test_other_bytes_write_nothing(made: Made) -> None:
    flip(made.path, 5)
    before = state(made.path)
    gather, _ = giving(bytes(made.metainfo.length))
    with Mender(made.path, made.metainfo, [(0, BLOCK_BYTES)]) as mender:
        assert mender.mend(gather, 1) == {0}  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not mended yet"):
            mender.cut_off()
    assert state(made.path) == before


def test_a_source_that_breaks_off_leaves_what_it_gave_and_the_rest_for_the_next(made: Made) -> None:
    whole = made.path.read_bytes()
    flip(made.path, 5, MIB + 5)
    half, _ = giving(whole[:MIB])
    rest, asked = giving(whole)
    with Mender(made.path, made.metainfo, [(0, BLOCK_BYTES), (MIB, BLOCK_BYTES)]) as mender:
        mender.mend(half, 1)  # type: ignore[arg-type]
        assert list(mender.left) == [1]
        mender.mend(rest, 1)  # type: ignore[arg-type]
    assert asked == [(MIB, BLOCK_BYTES)]
    assert made.path.read_bytes() == whole


def test_a_sector_that_cannot_be_read_is_written_anew_even_where_it_should_be_zeros(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made.path.read_bytes()
    right, written = tenuto.crates.mend.fill, []

    def fill(descriptor: int, content: memoryview, at: int) -> bool:
        return at != 3 * BLOCK_BYTES and right(descriptor, content, at)

    pwrite = os.pwrite
    monkeypatch.setattr("tenuto.crates.mend.fill", fill)
    monkeypatch.setattr(
        os, "pwrite", lambda file, content, at: written.append((at, len(content))) or pwrite(file, content, at)
    )
    gather, _ = giving(whole)
    with Mender(made.path, made.metainfo, [(3 * BLOCK_BYTES, BLOCK_BYTES)]) as mender:
        mender.mend(gather, 1)  # type: ignore[arg-type]
    assert written == [(3 * BLOCK_BYTES, BLOCK_BYTES)]
    assert made.path.read_bytes() == whole


def test_a_system_that_writes_little_at_a_time_is_asked_again(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made.path.read_bytes()
    made.path.write_bytes(bytes(len(whole)))
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, at: pwrite(file, content[:5000], at))
    gather, _ = giving(whole)
    with Mender(made.path, made.metainfo, [(0, len(whole))]) as mender:
        mender.mend(gather, 1)  # type: ignore[arg-type]
    assert made.path.read_bytes() == whole
    assert not verify_crate(made.path).findings


def test_zeros_at_a_place_that_was_cut_off_stay_a_hole(tmp_path: Path) -> None:
    made = make_crate(tmp_path, (77,))
    whole = made.path.read_bytes()
    made.path.write_bytes(b"")
    gather, _ = giving(whole)
    with Mender(made.path, made.metainfo, [(0, len(whole))]) as mender:
        mender.mend(gather, 1)  # type: ignore[arg-type]
    assert made.path.read_bytes() == whole


@pytest.mark.parametrize(
    ("gap_bytes", "ranges"), [(0, 3), (2 * BLOCK_BYTES, 2), (MIB, 1)], ids=["none", "small", "large"]
)
def test_ranges_that_lie_close_are_asked_for_as_one(made: Made, gap_bytes: int, ranges: int) -> None:
    whole = made.path.read_bytes()
    places = [0, 2 * BLOCK_BYTES, 9 * BLOCK_BYTES]
    flip(made.path, *places)
    gather, asked = giving(whole)
    with Mender(made.path, made.metainfo, [(at, BLOCK_BYTES) for at in places]) as mender:
        mender.mend(gather, 1, gap_bytes)  # type: ignore[arg-type]
    assert len(asked) == ranges
    assert mender.patched.blocks == 3, "what lies between was good, and is not written"
    assert made.path.read_bytes() == whole

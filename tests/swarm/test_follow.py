"""Writing what is known of a later revision into a copy of an earlier one: byte for byte all up to the end of `leaves.bin`."""

import shutil
from pathlib import Path

import pytest

from crate_maker import Made, make_crate, withdraw_by_hand
from tenuto.crates import follow as following
from tenuto.crates.follow import follow
from tenuto.crates.reader import CrateFile
from tenuto.crates.verify import verify_crate

SIZES = (1, 16_384, 16_385, 2**20 + 77, 40_001, 300)


def revisions(folder: Path, *steps: tuple[int, ...]) -> list[bytes]:
    made = make_crate(folder, SIZES)
    every, paths = [made.path.read_bytes()], made.songs
    for numbers in steps:
        made = withdraw_by_hand(Made(made.path, made.metainfo, made.songs), [paths[number] for number in numbers])
        assert verify_crate(made.path).findings == []
        every.append(made.path.read_bytes())
    return every


def redacted(path: Path) -> list[tuple[int, int]]:
    return sorted((one.offset, one.bytes) for one in CrateFile(path).withdrawn())


def moved(folder: Path, old: bytes, new: bytes) -> bytes:
    (folder / "copy").mkdir(exist_ok=True)
    copy, target = folder / "copy" / "testing-1-core-0001-0a1b2c3d.zip", folder / "new.zip"
    copy.write_bytes(old)
    target.write_bytes(new)
    follow(copy, redacted(target), len(new))
    return copy.read_bytes()


def same_until_leaves_end(folder: Path, found: bytes, new: bytes) -> bool:
    (folder / "new.zip").write_bytes(new)
    end = CrateFile(folder / "new.zip").leaves.end
    return found[:end] == new[:end] and len(found) == len(new)


@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (3,), (5,), (0, 5), (1, 2, 3), (0, 1, 2, 3, 4, 5)], ids=str)
def test_all_up_to_the_end_of_the_leaves_is_as_the_maker_has_it(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    old, new = revisions(tmp_path, numbers)
    assert same_until_leaves_end(tmp_path, moved(tmp_path, old, new), new)


def test_three_revisions_are_made_up_in_one_move(tmp_path: Path) -> None:
    every = revisions(tmp_path, (1,), (3,), (0, 5))
    assert same_until_leaves_end(tmp_path, moved(tmp_path, every[0], every[3]), every[3])
    assert same_until_leaves_end(tmp_path, moved(tmp_path, every[1], every[3]), every[3])


def test_done_twice_it_is_the_same(tmp_path: Path) -> None:
    old, new = revisions(tmp_path, (1, 3))
    once = moved(tmp_path, old, new)
    assert moved(tmp_path, once, new) == once


def test_nothing_of_the_old_tail_and_of_what_was_withdrawn_stays(tmp_path: Path) -> None:
    old, new = revisions(tmp_path, (3,))
    path = tmp_path / "old.zip"
    path.write_bytes(old)
    entry = [one for one in CrateFile(path).entries.values() if "/audio/" in one.name][3]
    found = moved(tmp_path, old, new)
    assert old[entry.offset : entry.offset + 64] not in found
    assert entry.name.encode() not in found


@pytest.mark.parametrize("stop", range(1, 12))
def test_killed_at_any_write_and_run_again_no_withdrawn_byte_stays(
    tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = revisions(tmp_path, (1, 3))
    (tmp_path / "copy").mkdir()
    copy, target = tmp_path / "copy" / "testing-1-core-0001-0a1b2c3d.zip", tmp_path / "new.zip"
    copy.write_bytes(old)
    target.write_bytes(new)
    real, left = following._write, stop

    def write(descriptor: int, content: bytes, at: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        real(descriptor, content, at)

    monkeypatch.setattr(following, "_write", write)
    try:
        follow(copy, redacted(target), len(new))
    except KeyboardInterrupt:
        monkeypatch.undo()
        follow(copy, redacted(target), len(new))
    end = CrateFile(target).leaves.header_offset
    found = copy.read_bytes()
    for offset, count in redacted(target):
        assert not any(found[offset : offset + count])
    assert sum(a != b for a, b in zip(found[:end], new[:end], strict=True)) < 2_000, "headers at most"


@pytest.mark.parametrize("what", ["cut", "junk", "empty", "missing", "zeros"])
def test_a_file_that_is_no_whole_crate_gets_its_zeros_and_its_length(tmp_path: Path, what: str) -> None:
    old, new = revisions(tmp_path, (3,))
    content = {
        "cut": old[: len(old) * 2 // 3],
        "junk": b"x" * len(old),
        "empty": b"",
        "missing": b"",
        "zeros": bytes(len(old)),
    }
    (tmp_path / "new.zip").write_bytes(new)
    ranges, copy = redacted(tmp_path / "new.zip"), tmp_path / "copy.zip"
    copy.write_bytes(content[what])
    if what == "missing":
        copy.unlink()
    follow(copy, ranges, len(new))
    found = copy.read_bytes()
    assert len(found) == len(new)
    assert not any(found[ranges[0][0] : sum(ranges[0])])


def test_a_shorter_revision_is_cut(tmp_path: Path) -> None:
    old, new = revisions(tmp_path, (0, 1, 2, 3, 4, 5))
    assert len(moved(tmp_path, old + bytes(5000), new)) == len(new)
    shutil.rmtree(tmp_path / "copy")

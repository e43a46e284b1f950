"""A disk that is full, at each write: a sentence and an exit code, nothing half-made, and on it goes once there is room."""

import os
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keep_maker import bands, contents, keep, kept, leftovers, outcomes, put, rows, shelf
from support import small_disk, tenuto
from tenuto.archive import Layout
from tenuto.crates.holdings import crate_files

pytestmark = pytest.mark.long

SIZE = 24 * 2**20


@pytest.fixture
def small(tmp_path):
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", SIZE) as place:
        yield place


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes free."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - left))
    return ballast


def sounds(folder: Path) -> Path:
    for number in range(4):
        put(folder / f"music/{number}.wav", number, 4.0)
    put(folder / "music/t.flac", 9, 6.0, title="T")
    return folder / "music"


KINDS = {
    "open": {},
    "opus": {"settings": bands("opus-32")},
    "dark": {"permission": None},
}
LEFT = {
    "open": [0, 8, 120, 400, 700, 900, 1100, 1300, 1500, 1800],
    "opus": [0, 150, 300, 400, 500, 600],
    "dark": [0, 100, 300, 500, 1000, 1400, 1900],
}


@pytest.mark.parametrize("kind", KINDS)
def test_disk_that_is_full_stops_it_with_a_sentence_and_it_goes_on_when_there_is_room(kind, small, tmp_path):
    music = sounds(tmp_path)
    first = shelf(small, music, **KINDS[kind])
    stops = 0
    for left in LEFT[kind]:
        ballast = fill(small, left * 1024)
        done = tenuto("keep", "--archive", first.root, code=None)
        assert done.returncode in {0, 1}, done.stderr
        assert "a bug" not in done.stderr, (left, done.stderr)
        assert "Traceback" not in done.stderr, (left, done.stderr)
        if done.returncode:
            stops += 1
            assert "No space left on device" in done.stderr, (left, done.stderr)
            assert all(zipfile.ZipFile(path).testzip() is None for path in crate_files(first))
        ballast.unlink()
        assert not any(one for one in _failed(first)), (left, _failed(first))
    keep(first)
    assert stops >= 3
    assert leftovers(first) == []
    assert {one.row["track_id"] for one in rows(first)} == set(contents(music))
    if kind == "open":
        assert kept(first) == contents(music)


def _failed(layout: Layout) -> list[str]:
    return [one.reason for one in outcomes(layout).values() if one.code]


@pytest.mark.parametrize("limit", [0, 3_000, 60_000, 200_000])
def test_file_that_may_grow_no_further_stops_it_with_a_sentence(limit, tmp_path):
    """RLIMIT_FSIZE: every write of every kind of file meets it, those of libraries too."""
    music = sounds(tmp_path)
    layout = shelf(tmp_path, music, settings=bands("opus-32"))
    done = subprocess.run(
        [sys.executable, "-m", "tenuto", "keep", "--archive", str(layout.root)], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "a bug" not in done.stderr
    assert _failed(layout) == []
    assert crate_files(layout) == []
    keep(layout)
    assert leftovers(layout) == []
    assert {one.row["track_id"] for one in rows(layout)} == set(contents(music))

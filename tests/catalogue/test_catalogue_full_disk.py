"""A full disk while a catalogue is built: a sentence and an exit code, no half edition, and on it goes once there is room."""

import os
import shutil
from pathlib import Path

import pytest

import evidence_maker as made
from support import make_archive, small_disk, tenuto
from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.catalogue.edition import damage_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SIZE = 64 * 2**20
TRACKS = 30_000
LEFT_KIB = (0, 40, 400, 1_200, 2_500, 4_000, 5_500)


@pytest.fixture
def small(tmp_path):
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", SIZE) as place:
        yield place


def _fill(disk: Path, left: int) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free - left))
    return ballast


def _editions(layout):
    return [one.name for one in layout.catalogue.glob("*") if one.is_dir() and not one.name.startswith(".")]


def test_full_disk_stops_a_build_with_a_sentence_and_it_ends_in_the_same_edition_once_there_is_room(small, tmp_path):
    whole = tmp_path / "whole"
    tenuto("bench", "generate", "--tracks", str(TRACKS), "--seed", "4", "--into", whole)
    tenuto("catalogue", "build", "--archive", whole)
    due = open_current(Layout(whole))
    layout = Layout(small / "archive")
    shutil.copytree(whole, layout.root, ignore=shutil.ignore_patterns("catalogue", "state"))
    stops = 0
    for left in LEFT_KIB:
        ballast = _fill(small, left * 1024)
        done = tenuto("catalogue", "build", "--archive", layout.root, code=None, timeout_s=300)
        ballast.unlink()
        if done.returncode == 0:
            break
        stops += 1
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr, done.stderr
        assert read_pointer(layout.catalogue / "current") is None
        assert _editions(layout) == []
    assert stops >= 3
    tenuto("catalogue", "build", "--archive", layout.root)
    assert made.sha256s(open_current(layout).folder) == made.sha256s(due.folder)
    assert len(_editions(layout)) == 1
    assert list(layout.catalogue.glob(".*")) == []


def test_full_folder_for_what_does_not_fit_into_memory_is_named(small, tmp_path):
    layout = make_archive(tmp_path / "archive")
    made.keep(layout, "shop", [made.search([made.song(f"t{n}") for n in range(500)])])
    _fill(small, 0)
    tenuto("catalogue", "build", "--temp", small, "--archive", layout.root)  # small: nothing need be put aside
    assert damage_of(open_current(layout).folder) == ""

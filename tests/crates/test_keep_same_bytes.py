"""The same recordings and draft give the same crate, wherever, however and by whomever it is made."""

import os
import shutil

import pytest

from keep_maker import bands, contents, crates, music, put, shelf
from support import tenuto

pytestmark = pytest.mark.long  # processes, and waiting for them


def test_crates_are_equal_byte_for_byte_in_another_place_with_another_seed_and_other_workers(tmp_path):
    music(tmp_path / "first/music", 7)
    put(tmp_path / "first/music/long.flac", 5, 6.0, title="Lang", artist="Künstler 0", album="Platte 0")
    second = tmp_path / "a quite different, longer place/music"
    for path in sorted(contents(tmp_path / "first/music"), reverse=True):  # the folder is filled in another order
        (second / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tmp_path / "first/music" / path, second / path)
    made = []
    ways = [(tmp_path / "first", "1", "0", "UTC"), (second.parent, "3", "4711", "Asia/Kathmandu")]
    for folder, workers, seed, zone in ways:
        layout = shelf(folder, settings={**bands("opus-32"), "crates": {"recordings_max": 3}})
        tenuto("keep", "--workers", workers, "--archive", layout.root,
               env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C" if seed == "0" else "C.UTF-8"})  # fmt: skip
        made.append(crates(layout))
    assert len(made[0]) == 8
    assert made[0] == made[1]


def test_crate_does_not_depend_on_when_and_in_how_many_runs_it_was_made(tmp_path):
    music(tmp_path / "music")
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        layout = shelf(tmp_path / name, tmp_path / "music")
        if name == "two":
            layout.crates.rmdir() if layout.crates.exists() else None
            layout.crates.touch()
            tenuto("keep", "--archive", layout.root, code=1)
            layout.crates.unlink()
            for file in layout.drafts.glob("*/0*"):
                os.utime(file, (1, 1))
        tenuto("keep", "--archive", layout.root)
        made.append(crates(layout))
    assert made[0] == made[1]

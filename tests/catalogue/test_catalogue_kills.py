"""SIGKILL of `tenuto catalogue build` at any moment: no half edition has a name, and the next build is the undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

import evidence_maker as made
from support import make_archive, tenuto
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.catalogue.edition import open_edition

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An archive with two harvests; the edition of the first is there, that of both is known from an undisturbed build."""
    layout = make_archive(tmp_path_factory.mktemp("kills"))
    songs = [
        made.song(f"t{n}", playCount=n % 7, artistId=f"a{n % 90}", artist=f"N{n % 90}", albumId=f"r{n // 10}")
        for n in range(4000)
    ]
    made.keep(layout, "shop", [made.search(songs[:2000])])
    first = made.edition_of(layout)
    made.keep(
        layout,
        "shop",
        [made.search(songs[start : start + 500], start) for start in range(0, 4000, 500)],
        made.DAY + timedelta(days=1),
    )
    began_at = time.monotonic()
    tenuto("catalogue", "build", "--archive", layout.root)
    took_s = time.monotonic() - began_at
    second = open_current(layout)
    return layout, first, second, made.sha256s(second.folder), took_s


def _kill_at(layout, after_s):
    """Start a build and kill it; returns whether it was still at work."""
    command = [sys.executable, "-m", "tenuto", "catalogue", "build", "--archive", str(layout.root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        time.sleep(after_s)
        is_at_work = build.poll() is None
        build.send_signal(signal.SIGKILL)
    return is_at_work


def _check_kill(shop, seed):
    layout, first, second, sums, took_s = shop
    shutil.rmtree(second.folder)
    (layout.catalogue / "current").write_text(f"{first.info.edition}\n")
    is_at_work = _kill_at(layout, random.Random(seed).uniform(0.1, took_s))
    named = read_pointer(layout.catalogue / "current")
    assert named in {first.info.edition, second.info.edition}
    for folder in layout.catalogue.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            edition = open_edition(folder)
            assert set(made.sha256s(folder)) == {*(f"{name}.parquet" for name in edition.info.tables), "edition.json"}
    tenuto("catalogue", "build", "--archive", layout.root)
    assert made.sha256s(second.folder) == sums
    assert open_current(layout).info == second.info
    assert not list(layout.catalogue.glob(".making-*"))
    return is_at_work


def test_killed_build_leaves_no_half_edition_and_the_next_one_is_the_undisturbed_one(shop):
    _check_kill(shop, seed=7)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_build_killed_at_random_moments_always_ends_in_the_undisturbed_edition(shop):
    at_work = [_check_kill(shop, seed) for seed in range(100, 100 + KILLS)]
    assert any(at_work), "every build had ended before it was killed"

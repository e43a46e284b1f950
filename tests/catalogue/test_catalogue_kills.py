"""SIGKILL of `tenuto catalogue build` at any moment: no half edition has a name, and the next build is the undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

import evidence_maker as made
from support import make_archive, tenuto
from tenuto.archive.layout import Layout, read_pointer
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


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """An archive with more evidence than one process reads alone, and its edition."""
    root = tmp_path_factory.mktemp("service") / "archive"
    tenuto("bench", "generate", "--tracks", "200000", "--seed", "5", "--into", root)
    layout = Layout(root)
    began_at = time.monotonic()
    tenuto("catalogue", "build", "--archive", root)
    edition = open_current(layout)
    return layout, edition, made.sha256s(edition.folder), time.monotonic() - began_at


@pytest.mark.long
@pytest.mark.timeout(900)
def test_build_by_several_processes_killed_at_random_moments_goes_on_from_the_parts_that_were_read(service):
    layout, edition, sums, took_s = service
    moments, is_gone_on = random.Random(3), False
    for _ in range(KILLS):
        for folder in (layout.catalogue, layout.parts):
            shutil.rmtree(folder)
        _kill_at(layout, moments.uniform(0.3, took_s))
        named = read_pointer(layout.catalogue / "current")
        assert named in {None, edition.info.edition}
        assert _readers_of(layout) == [], "a process that read evidence outlived its build"
        whole = {folder: (folder / "part.json").stat().st_mtime_ns for folder in _parts(layout)}
        tenuto("catalogue", "build", "--archive", layout.root)
        assert made.sha256s(edition.folder) == sums
        assert all((folder / "part.json").stat().st_mtime_ns == at for folder, at in whole.items()), (
            "a part was read twice"
        )
        is_gone_on |= 0 < len(whole) < len(_parts(layout)) or bool(whole and named is None)
    assert is_gone_on, "no kill came between the first part and the end"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_build_stopped_by_the_user_ends_soon_and_whole_whatever_it_was_doing(service):
    layout, edition, sums, _ = service
    shutil.rmtree(layout.catalogue)
    tenuto("catalogue", "build", "--archive", layout.root)  # all is read: what is stopped is the merging
    began_at = time.monotonic()
    shutil.rmtree(layout.catalogue)
    tenuto("catalogue", "build", "--archive", layout.root)
    merging_s, moments, is_stopped = time.monotonic() - began_at, random.Random(9), 0
    for _ in range(2 * KILLS):
        shutil.rmtree(layout.catalogue)
        command = [sys.executable, "-m", "tenuto", "catalogue", "build", "--archive", str(layout.root)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as build:
            time.sleep(moments.uniform(0.3, merging_s))
            build.send_signal(signal.SIGINT)
            _, said = build.communicate(timeout=30)
        assert build.returncode in {0, 130, -signal.SIGINT}, said
        assert "Traceback" not in said or build.returncode == -signal.SIGINT, said  # before there was anybody to answer
        is_stopped += build.returncode == 130
        tenuto("catalogue", "build", "--archive", layout.root)
        assert made.sha256s(edition.folder) == sums
        assert list(layout.catalogue.glob(".*")) == []
        assert [one.name for one in layout.state.glob(".*")] == []
    assert is_stopped, "no build was stopped while it merged"


def _parts(layout):
    return (
        [folder for folder in layout.parts.iterdir() if not folder.name.startswith(".")]
        if layout.parts.is_dir()
        else []
    )


def _readers_of(layout):
    """The processes that still read this archive's evidence, a moment after."""
    time.sleep(0.5)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            files = [str(handle.readlink()) for handle in (process / "fd").iterdir()]
        except OSError:
            continue
        if b"tenuto.catalogue.reader_process" in words and any(name.startswith(str(layout.root)) for name in files):
            found.append(process.name)
    return found

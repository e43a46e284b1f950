"""SIGKILL of `tenuto keep` at random moments: resumed to the end, the crates are those of a keep that nobody killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from harvesting import LOGIN, leaks
from keep_maker import GRANT, NAME, Shop, crates, leftovers, rows, sound, statuses, store
from lying_server import PASSWORD
from support import tenuto
from tenuto.archive import Layout, load_settings
from tenuto.crates.dark import load_identity
from tenuto.crates.holdings import crate_files
from tenuto.crates.journal import read_journal
from tenuto.model.ids import track_key

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260103"))
WORKERS = 2
PERMISSION = GRANT + '[[grant]]\nrelease = ["al-0002"]\nmay_keep = true\n'
SETTINGS = {"selection": {"bands": [{"name": "all", "tier": "opus-32"}]}, "crates": {"recordings_max": 4}}


@dataclass(frozen=True)
class Ending:
    """What a keep amounts to: open crates byte by byte, dark recordings by what is in them, statuses."""

    open: dict[str, str]
    dark: frozenset[tuple[str, str, str, str]]
    statuses: dict[str, int]


@pytest.fixture(scope="module")
def server() -> Iterator[Shop]:
    with Shop(4, 4, delay_s=0.01) as running:
        for number, (own, song) in enumerate(running.songs.items()):
            if number % 5 == 0:  # long enough that a derivative is smaller
                running.sounds[own] = content = sound(500 + number, 6.0)
                song |= {"size": len(content), "suffix": "flac", "contentType": "audio/flac", "duration": 6}
        yield running


@pytest.fixture(scope="module")
def pattern(server: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive up to its plan, to be copied."""
    folder = tmp_path_factory.mktemp("pattern")
    store(folder, server, permission=PERMISSION, settings=SETTINGS, timeout_s=10.0, concurrency=4)
    return folder


def copy(pattern: Path, folder: Path) -> Layout:
    shutil.copytree(pattern / "archive", folder / "archive")
    return Layout(folder / "archive")


def ending(layout: Layout) -> Ending:
    settings = load_settings(layout.settings)
    identity = load_identity(layout.operator_path(settings.keys.folder))
    dark = set()
    for one in rows(layout):
        if one.row["sealed_sha256"]:
            clear = pyrage.decrypt(one.content, [identity])
            assert len(clear) == one.row["bytes"]
            dark.add((one.crate, one.row["track_id"], one.row["sha256"], one.row["path"]))
    dark_names = {path.name for path in layout.dark.iterdir()}
    found = {name: digest for name, digest in crates(layout).items() if name not in dark_names}
    assert leftovers(layout) == []
    assert list(layout.drafts.iterdir()) == []
    return Ending(found, frozenset(dark), statuses(layout))


def kill_at_random(layout: Layout, chance: random.Random, took_s: float, *, whole_group: bool) -> bool:
    """Start a keep and kill it after a moment, all its processes or the parent alone. False: it ended before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tenuto", "keep", "--workers", str(WORKERS), "--archive", str(layout.root)],
        env={**os.environ, **LOGIN}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(chance.uniform(0.2, took_s * 1.1))
    if process.poll() is not None:
        return False
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    until = time.monotonic() + 5.0  # one that was only starting loads its modules before it looks
    while left := _alive_in(process.pid):
        assert time.monotonic() < until, f"alive after their parent: {left}"
        time.sleep(0.01)
    return True


def _alive_in(group: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own_group = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError):
            continue
        if int(own_group) == group and state != "Z":
            found.append(folder.name)
    return found


def had(layout: Layout) -> set[str]:
    """The keys of what is durable: in the journals of drafts, in crates."""
    found = {
        outcome.key
        for file in layout.drafts.glob("*/journal.jsonl")
        for outcome in read_journal(file)
        if outcome.is_kept
    }
    return found | {track_key(one.row["source"], one.row["track_id"]) for one in rows(layout)}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_keep_killed_at_random_moments_ends_as_if_nobody_had_killed_it(
    server: Shop, pattern: Path, tmp_path: Path
) -> None:
    layout = copy(pattern, tmp_path / "undisturbed")
    begun = time.monotonic()
    tenuto("keep", "--workers", str(WORKERS), "--archive", layout.root, env=LOGIN)
    took_s = time.monotonic() - begun
    undisturbed = ending(layout)
    assert undisturbed.statuses == {"kept": 12, "kept_dark": 4} or sum(undisturbed.statuses.values()) == 16
    assert undisturbed.dark
    assert len(undisturbed.open) >= 6
    chance, kills, number = random.Random(SEED), 0, 0
    while kills < KILLS:
        number += 1
        layout = copy(pattern, tmp_path / f"killed-{number}")
        server.forget()
        here = 0
        for turn in range(chance.choice([1, 2, 3, 5])):
            before, asked = had(layout), len(server.downloads())
            here += kill_at_random(layout, chance, took_s, whole_group=bool((number + turn) % 2))
            again = {track_key(NAME, own) for own in server.downloads()[asked:]} & before
            assert not again, (SEED, number)
            for path in crate_files(layout):
                assert zipfile.ZipFile(path).testzip() is None
        before, asked = had(layout), len(server.downloads())
        tenuto("keep", "--workers", str(WORKERS), "--archive", layout.root, env=LOGIN)
        assert not {track_key(NAME, own) for own in server.downloads()[asked:]} & before, (SEED, number)
        kills += here
        downloads = server.downloads()
        assert set(downloads) == set(server.sounds)
        assert max(map(downloads.count, server.sounds)) <= 1 + here
        assert len(downloads) <= len(server.sounds) + WORKERS * here
        assert ending(layout) == undisturbed, (SEED, number)
        assert leaks(layout.root, {PASSWORD} | server.secrets_sent()) == []
        shutil.rmtree(layout.root)

"""SIGKILL of `tenuto run` at random moments, in whatever stage: run again, the archive is as if nobody had killed it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harvesting import LOGIN, NAME, archive_of
from keep_maker import GRANT, Shop, bands, set_in
from published_maker import Shelf, assert_published, music, rows_in, sha256_of, snapshot, write_permission
from tenuto.crates.holdings import crate_files
from tenuto.crates.seal import torrent_beside
from tenuto.evidence.harvests import MANIFEST_NAME

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260105"))
DARK_TOO = GRANT + '[[grant]]\nrelease = ["al-0002"]\nmay_keep = true\n'


@pytest.fixture(scope="module")
def server() -> Iterator[Shop]:
    with Shop(4, 4, delay_s=0.02) as running:
        yield running


@pytest.fixture(scope="module", params=["folder", "service"])
def pattern(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that knows of a folder of music, or of a service; nothing done yet; to be copied."""
    folder = tmp_path_factory.mktemp("pattern")
    if request.param == "service":
        server = request.getfixturevalue("server")
        layout = archive_of(folder, server.url, permission=DARK_TOO, politeness={"timeout_s": 10.0})
        set_in(layout, crates={"recordings_max": 4}, **bands("original"))
        return folder
    music(folder / "music")
    layout = archive_of(folder, str(folder / "music"), "folder")
    write_permission(folder)
    set_in(layout, crates={"target_bytes": 120_000}, **bands("original"))
    set_in(layout, sources={NAME: {**tomllib.loads(layout.settings.read_text())["sources"][NAME],
                                   "permission": str(folder / "permission.toml")}})  # fmt: skip
    return folder


def copy(pattern: Path, folder: Path) -> Shelf:
    """Its modification times are evidence, and are kept."""
    subprocess.run(["cp", "-a", str(pattern), str(folder)], check=True)
    settings = folder / "archive" / "tenuto.toml"
    settings.write_text(settings.read_text().replace(str(pattern), str(folder)))
    return Shelf(folder / "archive")


def begin(shelf: Shelf) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", "run", "--archive", str(shelf.root)], env={**os.environ, **LOGIN},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def ending(shelf: Shelf):
    """All that must be the same again: the catalogue, the plan, open crates to the byte, dark ones by what they hold, the
    publication but for its time."""
    index, layout = assert_published(shelf), shelf.layout
    tables = {str(path.relative_to(shelf.root)): sha256_of(path) for folder in (layout.catalogue, layout.plans)
              for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip
    opened, dark = {}, {}
    for path in crate_files(layout):
        if path.parent == layout.crates:
            opened[path.name] = (sha256_of(path), sha256_of(torrent_beside(path)))
        else:
            dark[path.name] = [(row["source"], row["track_id"], row["sha256"]) for row in rows_in(shelf, path)]
    left = [path.name for folder in (layout.crates, layout.dark, layout.drafts, layout.catalogue, layout.plans)
            if folder.is_dir() for path in folder.iterdir() if path.name.startswith(".") or folder == layout.drafts]  # fmt: skip
    published = {path: digest for path, (digest, _, _) in snapshot(shelf.publication).items()}
    for name in ("index.json", "index.json.sig", "index.html"):
        published.pop(name)
    said = index.model_dump(exclude={"sequence", "published_at", "page"})
    said["dark"] = [
        {**one, "bytes": 0} for one in said["dark"]
    ]  # each age file is made with other random bytes, of which the page says how many
    assert all((folder / MANIFEST_NAME).exists() for folder in layout.harvests(NAME).iterdir())
    return tables, opened, dark, left, published, said


def alive_in(group: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own_group = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError):
            continue
        if int(own_group) == group and state != "Z":
            found.append(folder.name)
    return found


def kill_at_random(shelf: Shelf, chance: random.Random, took_s: float, *, whole_group: bool) -> bool:
    """Start a run and kill it after a moment, all its processes or the parent alone. False: it ended before."""
    process = begin(shelf)
    time.sleep(chance.uniform(took_s * 0.1, took_s * 1.05))
    if process.poll() is not None:
        assert process.returncode == 0
        return False
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    until = time.monotonic() + 5.0
    while left := alive_in(process.pid):
        assert time.monotonic() < until, f"alive after their parent: {left}"
        time.sleep(0.01)
    return True


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_run_killed_at_random_moments_ends_as_if_nobody_had_killed_it(pattern: Path, tmp_path: Path) -> None:
    undisturbed = copy(pattern, tmp_path / "undisturbed")
    begun = time.monotonic()
    assert begin(undisturbed).wait() == 0
    took_s = time.monotonic() - begun
    wanted = ending(undisturbed)
    assert wanted[2], "there are dark crates"
    assert wanted[3] == []
    chance, kills, number = random.Random(SEED), 0, 0
    while kills < KILLS:
        number += 1
        shelf = copy(pattern, tmp_path / f"killed-{number}")
        for turn in range(chance.choice([1, 1, 2, 3])):
            kills += kill_at_random(shelf, chance, took_s, whole_group=bool((number + turn) % 2))
        assert begin(shelf).wait() == 0, (SEED, number)
        assert ending(shelf) == wanted, (SEED, number)
        shelf("check", "--all")
        shutil.rmtree(shelf.root.parent)

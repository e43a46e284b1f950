"""SIGKILL of `tenuto mirror` at random moments: run again, it ends as one that nobody killed, and fetches nothing whole twice."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirror_maker import CRATES, MIB, Holder, Peer, World, a_world, seeding, tail_bytes, without_crates
from publication_maker import serving

pytestmark = pytest.mark.long
KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260107"))
RATE = 4 * MIB
"""Of the peer: the whole takes some seconds, so that kills fall into it."""


def begin(holder: Holder, peer: Peer) -> "subprocess.Popen[bytes]":
    words = ["mirror", holder.of, "--into", str(holder.root), "--space", "1GB", "--listen", "127.0.0.1:0", "--reach", "peers",
             "--peer", peer.address, "--patience", "20s"]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(holder.root.parent / "state")},
    )  # fmt: skip


def finish(holder: Holder, peer: Peer) -> None:
    process = begin(holder, peer)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said.decode()


def held(holder: Holder) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in holder.layout.crates.glob("*.zip")}


def whole_pieces(world: World, holder: Holder) -> int:
    """Bytes in whole pieces that lie here, wherever."""
    found = 0
    for crate in CRATES:
        due = world.whole(crate)
        paths = (holder.layout.crates / f"{crate}.zip", holder.layout.incoming / f"{crate}.zip")
        content = next((path.read_bytes() for path in paths if path.exists()), b"")
        for at in range(0, len(due), MIB):
            found += len(due[at : at + MIB]) if content[at : at + MIB] == due[at : at + MIB] else 0
    return found


def kill_at_random(holder: Holder, peer: Peer, chance: random.Random, took_s: float) -> bool:
    process = begin(holder, peer)
    time.sleep(chance.uniform(took_s * 0.2, took_s))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("during", ["the first download", "a move to a revision"])
def test_killed_at_random_moments_it_ends_as_undisturbed_and_nothing_whole_comes_twice(
    tmp_path: Path, during: str
) -> None:
    world = a_world(tmp_path)
    world.folder.joinpath("crates").mkdir(exist_ok=True)
    is_move = during != "the first download"
    without_crates(world)
    with serving(world.folder) as site:
        pattern = Holder(tmp_path / "pattern", site.url)
        before, songs = world.whole("heard-a"), []
        if is_move:
            with seeding(world) as peer:
                finish(pattern, peer)
            songs = [world.song("heard-a", 0), world.song("heard-b", 1)]
            world.withdraw("heard-a", 0, 2)
            world.withdraw("heard-b", 1)
            without_crates(world)
        tail = tail_bytes(before, world.whole("heard-a")) + world.crate("heard-b").bytes
        chance, kills, number, figures = random.Random(SEED), 0, 0, []
        with seeding(world, rate=RATE) as peer:
            trial = Holder(tmp_path / "trial", site.url)
            if is_move:
                shutil.copytree(pattern.root, trial.root)
            begun = time.monotonic()
            finish(trial, peer)
            took_s = time.monotonic() - begun
            trial.assert_holds(world, *CRATES)
            while kills < KILLS:
                number += 1
                holder = Holder(tmp_path / f"killed-{number}", site.url)
                if is_move:
                    shutil.copytree(pattern.root, holder.root)
                sent, here = peer.sent_bytes, 0
                for _ in range(chance.choice([1, 2, 3])):
                    there = held(holder)
                    here += kill_at_random(holder, peer, chance, took_s)
                    for crate in set(there) & set(held(holder)):
                        assert held(holder)[crate] == there[crate] or is_move, (SEED, number, crate)
                    for path in holder.layout.crates.glob("*.zip"):
                        done = [world.whole(path.stem)] + [
                            whole for (name, _), whole in world.older.items() if name == path.stem
                        ]
                        assert path.read_bytes() in done, (SEED, number, "what has its name is whole")
                was, between = whole_pieces(world, holder), peer.sent_bytes
                finish(holder, peer)
                total = sum(crate.bytes for crate in world.index.crates)
                came = peer.sent_bytes - between
                assert came <= total - was, (SEED, number, came, total, was)
                figures.append((here, peer.sent_bytes - sent, came))
                holder.assert_holds(world, *CRATES)
                if is_move:
                    assert peer.sent_bytes - sent <= tail + (here + 1) * 8 * MIB, (SEED, number)
                    for song in songs:
                        assert holder.files_with(song[-64:]) == []
                assert not list(holder.root.rglob(".making-*"))
                assert not list(holder.layout.incoming.glob("*.zip"))
                kills += here
                shutil.rmtree(holder.root)
    print(f"{during}: {took_s:.1f} s undisturbed; (kills, bytes in all, bytes after the last kill): {figures}")  # noqa: T201

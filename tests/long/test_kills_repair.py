"""SIGKILL of `repair` at random moments: no block that was good is bad after it, and run again all is whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crate_maker import make_crate
from repair_maker import Place, flip, own_archive, put
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.crates.verify import verify_crate

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260102"))
SIZE = 48 * 2**20


def _damage(place: Place, large: Path, whole: bytes) -> None:
    """Everything at once: a large dark crate in ruins, one cut, one missing, one without its torrent."""
    put(large, whole[: SIZE // 4] + bytes(SIZE // 2) + whole[SIZE * 3 // 4 : -BLOCK_BYTES])
    put(place.file("crate-b"), place.whole("crate-b")[:1_000_000])
    for path in (place.file("crate-a"), place.layout.publication / "crates/crate-a.zip"):
        path.unlink(missing_ok=True)
    place.file("crate-c").with_suffix(".torrent").unlink(missing_ok=True)
    flip(place.file("crate-c"), 5)


def _good(content: bytes, whole: bytes) -> set[int]:
    return {
        at for at in range(0, len(whole), BLOCK_BYTES) if content[at : at + BLOCK_BYTES] == whole[at : at + BLOCK_BYTES]
    }


def _begin(place: Place) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", "repair", "--from", str(place.copies), "--archive", str(place.layout.root)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_random_moments_no_crate_is_worse_and_run_again_all_is_whole(tmp_path: Path) -> None:
    place = own_archive(tmp_path)
    place.layout.dark.mkdir(mode=0o700, exist_ok=True)
    large = make_crate(place.layout.dark, (SIZE,), is_dark=True).path
    shutil.copy(large, place.copies)
    whole = large.read_bytes()
    _damage(place, large, whole)
    begun = time.monotonic()
    assert _begin(place).wait() == 7, "the link in the publication is for publish to mend"
    took_s = time.monotonic() - begun
    chance, kills = random.Random(SEED), 0
    while kills < KILLS:
        _damage(place, large, whole)
        for _ in range(chance.choice([1, 1, 2, 3])):
            before, inode = _good(large.read_bytes(), whole), large.stat().st_ino
            process = _begin(place)
            time.sleep(chance.uniform(took_s * 0.2, took_s * 1.05))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
            assert before <= _good(large.read_bytes(), whole), (SEED, kills)
            assert large.stat().st_ino == inode
            assert not place.file("crate-a").exists() or place.is_whole("crate-a"), "what has its name is whole"
        assert _begin(place).wait() == 7
        assert large.read_bytes() == whole
        for crate in ("crate-a", "crate-b", "crate-c"):
            assert place.is_whole(crate), (SEED, kills, crate)
        assert not verify_crate(large).findings
        assert not list(place.layout.crates.glob(".*"))

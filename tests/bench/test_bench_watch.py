"""Memory is that of the whole family of processes, mapped files apart; seconds are those of the phase."""

import mmap
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenuto.bench.watch import Watch, tree_bytes

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system does not tell")

SIZE = 80_000_000

HOLD = f"held = bytearray(b'x') * {SIZE}; print('held', flush=True); input()"
HOLD_IN_CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {HOLD!r}])
"""


def test_memory_of_a_grandchild_counts_while_it_lives() -> None:
    watch, before = Watch(), tree_bytes()
    with (
        watch.phase("one"),
        subprocess.Popen(
            [sys.executable, "-c", HOLD_IN_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout
        assert child.stdin
        assert child.stdout.readline() == "held\n"
        time.sleep(0.5)
        child.stdin.write("\n")
        child.stdin.flush()
    with watch.phase("two"):
        pass
    assert SIZE < watch.phases["one"].peak_bytes - before < SIZE + 60_000_000
    assert watch.phases["two"].peak_bytes < before + SIZE / 2


def test_what_is_above_is_told_and_what_is_not_costs_no_look() -> None:
    now = tree_bytes()
    assert now > 10_000_000
    assert tree_bytes(now * 2) == 0
    assert tree_bytes(now // 2) > 0


def test_a_mapped_file_is_no_memory_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * SIZE)
    before = tree_bytes()
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE].count(b"x") == -(-SIZE // mmap.PAGESIZE)
        assert tree_bytes() < before + SIZE / 2


def test_rounds_of_a_phase_add_up_and_one_that_fails_is_counted() -> None:
    watch = Watch()
    for _ in range(2):
        with watch.phase("work"):
            time.sleep(0.05)
    with pytest.raises(OSError, match="File name too long"), watch.phase("fault"):
        Path("/" + "x" * 1000).read_bytes()
    assert 0.1 <= watch.phases["work"].seconds < 2
    assert watch.phases["work"].cpu_s < watch.phases["work"].seconds
    assert watch.phases["fault"].seconds > 0
    assert list(watch.phases) == ["work", "fault"]


def test_seconds_of_processors_are_also_those_of_processes_that_ended() -> None:
    watch = Watch()
    with watch.phase("child"):
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    assert watch.phases["child"].cpu_s >= 0.3

"""A terminal that is closed ends `tenuto seed` and `mirror --seed` as Ctrl-C does; under nohup it does not."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mirror_maker import Holder, World, wait_until, words_of
from tenuto.archive import ArchiveLock

pytestmark = [pytest.mark.usefixtures("at_home"), pytest.mark.long]  # processes
STOPPED = "tenuto: stopped; what was finished is kept, run the same again to go on"
RUN = "import os,sys; os.setsid(); import fcntl,termios; fcntl.ioctl(0,termios.TIOCSCTTY,0); os.execv(sys.executable,[sys.executable,'-m','tenuto',*sys.argv[1:]])"  # noqa: E501


@contextmanager
def running(words: list[str], log: Path, *before: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The verb, its words behind `before`, all that it says in `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tenuto", *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(log: Path, what: str) -> None:
    wait_until(lambda: what in log.read_text(errors="replace"), f"{what}: {log.read_text(errors='replace')}", 20.0)


def assert_ended_well(holder: Holder, world: World) -> None:
    for lock in (holder.layout.lock, holder.layout.seeding_lock):
        assert lock.read_bytes() == b"", "it was given back, not torn away"
        with ArchiveLock(lock, "test"):
            pass
    holder.assert_holds(world, *(crate.crate for crate in world.index.crates))


def test_a_hang_up_ends_a_mirror_that_seeds_cleanly(world: World, holder: Holder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(words_of(holder, "--space", "1GB", "--seed"), log) as process:
        wait_for(log, "giving out 5 crates")
        process.send_signal(signal.SIGHUP)
        assert process.wait(10.0) == 130
    assert log.read_text().endswith(f"{STOPPED}\n")
    assert_ended_well(holder, world)


def test_hang_ups_one_after_the_other_are_one(world: World, holder: Holder, tmp_path: Path) -> None:
    """A shell hands its own on, beside the kernel's."""
    log = tmp_path / "log"
    with running(words_of(holder, "--space", "1GB", "--seed"), log) as process:
        wait_for(log, "giving out 5 crates")
        end = time.monotonic() + 10.0
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        assert process.wait(1.0) == 130, log.read_text()
    assert log.read_text().count(STOPPED) == 1
    assert "Traceback" not in log.read_text()
    assert_ended_well(holder, world)


def test_a_hang_up_ends_seed_cleanly(world: World, holder: Holder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    holder()
    words = ["seed", "--archive", str(holder.root), "--listen", "127.0.0.1:0", "--reach", "peers"]
    with running(words, log) as process:
        wait_for(log, "giving out 5 crates")
        process.send_signal(signal.SIGHUP)
        assert process.wait(10.0) == 130
    assert log.read_text().endswith(f"{STOPPED}\n")
    assert_ended_well(holder, world)


def test_under_nohup_a_hang_up_is_none(world: World, holder: Holder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(words_of(holder, "--space", "1GB", "--seed"), log, "nohup") as process:
        wait_for(log, "giving out 5 crates")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 130
    assert_ended_well(holder, world)


@pytest.mark.parametrize("verb", ["seed", "mirror"])
def test_a_terminal_that_is_closed_ends_it_with_its_code(
    world: World, holder: Holder, tmp_path: Path, verb: str
) -> None:
    """Nobody can read what it says then, and no write to the terminal that is gone makes a fault of it."""
    holder()
    options = ["--listen", "127.0.0.1:0", "--reach", "peers"]
    words = ["seed", "--archive", str(holder.root), *options] if verb == "seed" else words_of(holder, "--seed")
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", RUN, *words], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        os.set_blocking(master, False)
        shown = bytearray()

        def has_begun() -> bool:
            with suppress(BlockingIOError):
                shown.extend(os.read(master, 65536))
            return b"Ctrl-C ends it" in shown

        wait_until(has_begun, f"that it begins; {shown!r}", 20.0)
        os.close(master)
        assert process.wait(10.0) == 130, shown
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    assert_ended_well(holder, world)

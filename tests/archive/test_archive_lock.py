"""One process at a time; the lock dies with its holder, however it died."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import make_archive, tenuto
from tenuto.archive import ArchiveLock
from tenuto.archive.lock import refuse_while_held, rest_of, wait_for_rest
from tenuto.model.errors import ArchiveInUseError

HOLDER = """
import sys
from pathlib import Path
from tenuto.archive import ArchiveLock
with ArchiveLock(Path(sys.argv[1]), "catalogue build"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_a_second_process_ends_with_8_and_says_who_holds_the_archive(tmp_path: Path) -> None:
    layout = make_archive(tmp_path)
    with held_by_another(layout.lock) as holder:
        done = tenuto("catalogue", "build", "--archive", layout.root, code=8)
    assert done.stdout == ""
    assert f"in use by tenuto catalogue build (process {holder.pid} on " in done.stderr
    assert str(layout.root) in done.stderr


@pytest.mark.parametrize(
    "words", [["harvest"], ["plan"], ["source", "remove", "x"], ["source", "add", "folder", ".", "--name", "x"]]
)
def test_every_verb_that_writes_respects_the_lock(tmp_path: Path, words: list[str]) -> None:
    layout = make_archive(tmp_path)
    with ArchiveLock(layout.lock, "harvest"):
        before = layout.settings.read_bytes()
        tenuto(*words, "--archive", layout.root, code=8)
        assert layout.settings.read_bytes() == before


@pytest.mark.parametrize("words", [["status"], ["source", "list"]])
def test_verbs_that_only_look_do_not_wait(tmp_path: Path, words: list[str]) -> None:
    layout = make_archive(tmp_path)
    with ArchiveLock(layout.lock, "harvest"):
        tenuto(*words, "--archive", layout.root)


def test_a_lock_whose_holder_was_killed_is_free_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held_by_another(lock) as holder:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert b"catalogue build" in lock.read_bytes()
        with ArchiveLock(lock, "plan"):
            assert str(os.getpid()).encode() in lock.read_bytes()


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"\x00" * 10_000, b"\xff\xfe", b"{", b"[]", b"null", b'{"verb": "x"}', b'"word"', b"7" * 5000],
    ids=lambda rubbish: repr(rubbish[:8]),
)
def test_rubbish_in_the_lock_file_is_in_nobodys_way(tmp_path: Path, rubbish: bytes) -> None:
    lock = tmp_path / "lock"
    lock.write_bytes(rubbish)
    with ArchiveLock(lock, "plan"):
        lock.write_bytes(rubbish)
        with (
            pytest.raises(ArchiveInUseError, match="in use by a process that has not yet said who it is"),
            ArchiveLock(lock, "b"),
        ):
            pass


def test_a_holder_names_itself_whole_where_the_one_before_had_a_longer_name(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_bytes(b'{"verb": "' + b"x" * 500)
    with (
        ArchiveLock(lock, "plan"),
        pytest.raises(ArchiveInUseError, match=r"tenuto plan \(process "),
        ArchiveLock(lock, "b"),
    ):
        pass


def test_a_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), ArchiveLock(tmp_path / "lock", "a"):
        raise RuntimeError("inside")
    with ArchiveLock(tmp_path / "lock", "b"):
        pass
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with ArchiveLock(tmp_path / "lock", "a"):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with child:
        with ArchiveLock(tmp_path / "lock", "b"):
            pass
        child.kill()


def test_rest_is_the_same_until_somebody_takes_the_lock_and_none_while_it_is_held(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    never = rest_of(lock)
    assert never is not None
    assert not lock.exists()
    with ArchiveLock(lock, "a"):
        assert rest_of(lock) is None
    once = rest_of(lock)
    assert once not in {None, never}
    assert rest_of(lock) == once
    with held_by_another(lock) as holder:
        with pytest.raises(ArchiveInUseError, match="in use by tenuto catalogue build"):
            refuse_while_held(lock)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert rest_of(lock) not in {None, never, once}
    refuse_while_held(lock)


def test_rest_is_waited_for_and_who_works_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    held = ArchiveLock(tmp_path / "lock", "keep").__enter__()
    ends = threading.Timer(1.2, held.__exit__, (None, None, None))
    ends.start()
    wait_for_rest(tmp_path / "lock", said.append)
    assert [one.partition(" (")[0] for one in said] == ["tenuto keep"]
    ends.join()


def test_who_only_looks_whether_the_lock_is_free_keeps_nobody_from_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        ends = threading.Timer(0.05, fcntl.flock, (look, fcntl.LOCK_UN))
        ends.start()
        with ArchiveLock(tmp_path / "lock", "withdraw"):
            pass
        ends.join()

"""Keeping that is stopped, by Ctrl-C, by kill, by decoders that crash: what was whole stays, and the next run goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from harvesting import LOGIN, verb
from keep_maker import Shop, crates, failures, keep, kept, leftovers, outcomes, put, shelf, statuses, store
from support import tenuto, tenuto_json
from tenuto.crates.holdings import crate_files

pytestmark = pytest.mark.long


def workers_of(parent: int) -> list[int]:
    """The worker processes of a process, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if own == parent and b"tenuto.crates.worker" in words:
            found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what, seconds: float = 20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come")


@pytest.fixture
def server():
    with Shop() as running:
        yield running


def killing(number: int, truth):
    """A recording that takes the process with it that fetches it."""

    def trick(handler, asked):
        for pid in workers_of(os.getpid()):
            os.kill(pid, number)

    return trick


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_recording_on_which_the_process_dies_twice_is_left_out_and_the_rest_goes_on(server, tmp_path, number, capfd):
    layout = store(tmp_path, server)
    server.lie(killing(number, None), call="download", own_id="so-0000-1")
    keep(layout, "--workers", "1", code=9)
    assert server.downloads().count("so-0000-1") == 2
    assert all(server.downloads().count(own) == 1 for own in server.sounds if own != "so-0000-1")
    assert set(failures(layout)) == {"recording-crashes"}
    assert statuses(layout) == {"kept": 5, "failed": 1}
    assert f"signal {int(number)}" in capfd.readouterr().err
    assert leftovers(layout) == []
    server.lies.pop()
    keep(layout, "--retry-failed")
    assert kept(layout) == server.sounds


def test_process_that_dies_once_is_replaced_and_nothing_is_lost(server, tmp_path):
    layout = store(tmp_path, server)
    server.lie(killing(signal.SIGKILL, None), call="download", own_id="so-0001-1", times=1)
    keep(layout, "--workers", "1")
    assert kept(layout) == server.sounds
    assert server.downloads().count("so-0001-1") == 2
    assert len(server.downloads()) == 7


def begin(layout, *words, env=None):
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", "keep", "--archive", str(layout.root), *words],
        env={**os.environ, **LOGIN, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


@pytest.fixture
def held(server):
    """A service that holds the answer of one recording until `go` is set; `reached` says that it was asked."""
    reached, go = threading.Event(), threading.Event()

    def hold(handler, asked):
        reached.set()
        go.wait(20)
        server._give(handler, asked)

    server.lie(hold, call="download", own_id="so-0001-0", times=1)
    yield reached
    go.set()


def test_workers_are_gone_within_a_second_when_their_parent_is_killed_and_a_new_keep_can_start(server, tmp_path, held):
    layout = store(tmp_path, server, timeout_s=30)
    process = begin(layout, "--workers", "1")
    assert held.wait(30)
    pids = workers_of(process.pid)
    assert len(pids) == 1
    had = {one.key for one in outcomes(layout).values()}
    assert had
    process.kill()
    process.communicate()
    begun = time.monotonic()
    wait_for(lambda: not any(map(is_alive, pids)), 1.0)
    assert time.monotonic() - begun < 1.0
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds
    assert len(server.downloads()) == 6 - len(had)


BUSY = """\
import re, sys, zlib
if "tenuto.crates.worker" in sys.orig_argv:
    zlib.crc32 = lambda *_: re.match(r"(a+)+$", "a" * 60 + "b")
"""


def test_worker_that_lets_no_thread_run_dies_with_its_parent_too(tmp_path):
    layout = shelf(tmp_path)
    process = begin(layout, "--workers", "1", env=_custom(tmp_path, BUSY))
    (pid,) = wait_for(lambda: workers_of(process.pid))
    wait_for(lambda: list(layout.drafts.glob("*/.making-*")))
    time.sleep(0.3)
    process.kill()
    process.communicate()
    wait_for(lambda: not is_alive(pid), 1.0)


def _custom(folder: Path, code: str) -> dict[str, str]:
    place = folder / "custom"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(place)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_by_a_signal_to_the_group_ends_with_130_and_the_next_run_goes_on(server, tmp_path, held, number):
    layout = store(tmp_path, server, timeout_s=30)
    process = begin(layout, "--workers", "1")
    assert held.wait(30)
    pids = workers_of(process.pid)
    had = {one.key for one in outcomes(layout).values()}
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "run the same again" in said
    assert "Traceback" not in said
    assert not any(map(is_alive, pids))
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds
    assert len(server.downloads()) == 6 - len(had)


def test_ctrl_c_while_workers_start_leaves_no_traceback(tmp_path):
    layout = shelf(tmp_path)
    for delay_s in (0.0, 0.1, 0.25):
        process = begin(layout)
        wait_for(lambda process=process: workers_of(process.pid) or process.poll() is not None)
        time.sleep(delay_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert "Traceback" not in said
        if process.returncode == 0:
            break
        assert process.returncode == 130
    keep(layout)
    assert statuses(layout) == {"kept": 5}


def test_another_keep_meanwhile_is_refused(server, tmp_path, held):
    layout = store(tmp_path, server, timeout_s=30)
    process = begin(layout)
    assert held.wait(30)
    assert "in use" in tenuto("keep", "--archive", layout.root, code=8).stderr
    process.kill()
    process.communicate()


FAULTS = {
    "dies at its start": "raise SystemExit(3)",
    "dies in the middle of a line": 'import os; os.write(1, b\'{"kind": "be\'); os._exit(7)',
    "says what is none": "import os, sys; os.write(1, b'no event\\n'); sys.stdin.buffer.readline()",
    "closes its ears": "import os, time; os.close(0); time.sleep(0.2); os._exit(5)",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.timeout(60)
def test_worker_that_cannot_work_is_an_error_and_no_hang(fault, tmp_path):
    layout = shelf(tmp_path)
    code = f'import sys\nif "tenuto.crates.worker" in sys.orig_argv:\n    {FAULTS[fault]}\n'
    done = tenuto("keep", "--archive", layout.root, env=_custom(tmp_path, code), code=1, timeout_s=30)
    assert "its process ended with" in done.stderr
    keep(layout)
    assert statuses(layout) == {"kept": 5}


BREAKING = """\
import sys
if "tenuto.crates.worker" in sys.orig_argv:
    import tenuto.audio.decode as decode
    right = decode.examine
    def examine(path, *words):
        if path.name.endswith("00001"):
            raise {fault}
        return right(path, *words)
    decode.examine = examine
"""


@pytest.mark.parametrize("fault", ["TypeError('odd')", "MemoryError()", "RecursionError('deep')"])
def test_decoder_that_raises_what_nobody_expects_costs_one_recording(tmp_path, fault):
    layout = shelf(tmp_path)
    done = tenuto_json("keep", "--archive", layout.root, env=_custom(tmp_path, BREAKING.format(fault=fault)), code=9)
    assert done["failed"] == {"recording-crashes": 1}
    assert done["recordings"] == 4
    keep(layout, "--retry-failed")
    assert statuses(layout) == {"kept": 5}


SLOW = """\
import sys
if "tenuto.crates.worker" in sys.orig_argv:
    import time
    import tenuto.audio.decode as decode
    right = decode.examine
    decode.examine = lambda path: (time.sleep(12), right(path))[1]
"""


def test_long_recording_does_not_leave_the_terminal_silent_for_five_seconds(tmp_path):
    (tmp_path / "music").mkdir()
    put(tmp_path / "music/a.flac", 1, title="A")
    layout = shelf(tmp_path)
    process = begin(layout, env=_custom(tmp_path, SLOW))
    times = [time.monotonic()]
    lines = [(time.monotonic(), line) for line in process.stderr]
    process.communicate()
    times += [at for at, _ in lines]
    times.append(time.monotonic())
    assert process.returncode == 0
    assert max(b - a for a, b in pairwise(times)) < 5
    shown = [at for at, line in lines if "0 of 1 recordings" in line]
    assert len(shown) >= 3
    assert min(b - a for a, b in pairwise(shown)) > 1.9


def test_words_of_the_command_line_that_make_no_sense_are_refused(tmp_path):
    layout = shelf(tmp_path, prepare=False)
    assert verb(layout, "keep") == 2
    assert verb(layout, "keep", "--workers", "-1") == 2
    assert crates(layout) == {}
    assert crate_files(layout) == []

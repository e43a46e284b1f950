"""`make demo` as it is run: what it leaves, how long it is silent, and that it leaves no process, also where it is stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarming import tell

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SILENT_MAX_S = 5.0
WALL_MAX_S = 90.0
BUSY_FACTOR = 4.0
"""The limits are for a machine that does nothing else; where other tests run beside, a demo that hangs is found all the same."""

KEYS = {"tracks", "tombstones", "recordings", "recordings_bytes", "listens_kept_frac", "crates", "crates_dark", "withdrawn",
        "statuses", "findings", "repaired_pieces", "setup_s", "wall_s"}  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """The demo in a folder of its own; what it once fetched is shared."""
    if not (ROOT / ".venv-demo").is_dir():
        pytest.skip("no .venv-demo: run make demo once")
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copytree(ROOT / "tools", tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".venv-demo", ".cache"):
        (tree / name).symlink_to(ROOT / name)
    yield tree
    for process in _left(tree):
        os.kill(process, signal.SIGKILL)


def _factor():
    """How much longer than alone it may take: workers run other tests beside, and the load says who else is there."""
    is_busy = "PYTEST_XDIST_WORKER" in os.environ or os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1)
    return BUSY_FACTOR if is_busy else 1.0


def _start(tree, env=None):
    return subprocess.Popen(
        [sys.executable, str(tree / "tools/demo/run.py")], cwd=tree, env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _watch(process):
    """All that it says, and for how long it was silent at most."""
    said, silent_s, last = [], 0.0, time.monotonic()
    for line in process.stdout:
        now = time.monotonic()
        silent_s, last = max(silent_s, now - last), now
        said.append(line)
    return "".join(said), silent_s


def _left(tree):
    """Processes that have to do with this tree: by their words, or by where they stand."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words, cwd = (entry / "cmdline").read_bytes().decode(errors="replace"), str((entry / "cwd").readlink())
        except OSError:
            continue
        if str(tree) in words or cwd.startswith(str(tree)):
            found.append(int(entry.name))
    return found


def _none_left(tree, within_s=10.0):
    end = time.monotonic() + within_s
    while _left(tree) and time.monotonic() < end:
        time.sleep(0.1)
    return not _left(tree)


def test_the_demo_leaves_an_archive_a_mirror_and_figures_that_add_up_and_no_process(tree, capsys):
    factor = _factor()
    with _start(tree) as process:
        said, silent_s = _watch(process)
    assert process.returncode == 0, said[-2000:]
    assert _none_left(tree)
    summary = json.loads((tree / "demo/summary.json").read_text())
    took = f"the demo: {summary['setup_s']} + {summary['wall_s']} s, silent for {silent_s:.1f} s at most"
    tell(capsys, f"{took}, limits times {factor:.0f}")
    assert silent_s < SILENT_MAX_S * factor, took
    assert summary["wall_s"] <= WALL_MAX_S * factor, took
    assert summary.keys() >= KEYS
    assert sum(summary["statuses"].values()) == summary["tracks"] > 0
    assert summary["withdrawn"] == summary["statuses"]["withdrawn"] == 1
    assert summary["repaired_pieces"] == 1
    assert summary["repaired_bytes"] <= 2**20
    assert summary["mirror_crates"] == summary["crates"] - summary["crates_dark"]
    for crate in (tree / "demo/mirror/crates").glob("*.zip"):
        assert crate.read_bytes() == (tree / "demo/archive/crates" / crate.name).read_bytes()
    assert "tenuto doctor" in said


@pytest.mark.parametrize(
    ("how", "after"), [("term", "$ tenuto keep"), ("term", "$ tenuto mirror"), ("kill", "$ tenuto check")]
)
def test_a_demo_that_is_stopped_leaves_no_process(tree, how, after):
    with _start(tree) as process:
        for line in process.stdout:
            if line.startswith(after):
                break
        process.send_signal(signal.SIGTERM if how == "term" else signal.SIGKILL)
        process.stdout.read()  # until the last who could write to it is gone
        code = process.wait(30)
    assert code == (130 if how == "term" else -signal.SIGKILL)
    assert _none_left(tree), [Path(f"/proc/{one}/cmdline").read_bytes() for one in _left(tree)]

"""Exporting as a process: killed, on a disk that takes no more, into a pipe that is closed."""

import hashlib
import signal
import subprocess
import sys
import time

import pytest

from export_maker import make_edition, rows
from support import make_archive, tenuto

pytestmark = pytest.mark.long

KILLS = 12

# A disk that takes no more than 200 kB of a file; the signal of it is ignored, as Python does.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from tenuto.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def layout(tmp_path):
    layout = make_archive(tmp_path)
    make_edition(layout, rows())
    return layout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["sqlite", "jsonl", "csv"])
def test_a_killed_export_leaves_the_name_free_and_the_next_one_is_whole(tmp_path, form):
    layout, into = make_archive(tmp_path), tmp_path / "to"
    make_edition(layout, rows())
    into.mkdir()
    words = ["catalogue", "export", "--as", form, "--into", str(into / "out"), "--archive", str(layout.root)]
    began_at = time.monotonic()
    tenuto(*words)
    took_s = time.monotonic() - began_at
    due = hashlib.sha256((into / "out").read_bytes()).hexdigest()
    (into / "out").unlink()
    killed = 0
    for number in range(KILLS):
        with subprocess.Popen([sys.executable, "-m", "tenuto", *words], stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(took_s * (0.4 + 0.6 * number / KILLS))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
        if (into / "out").exists():
            assert hashlib.sha256((into / "out").read_bytes()).hexdigest() == due
            (into / "out").unlink()
    assert killed > 1
    tenuto(*words)
    assert hashlib.sha256((into / "out").read_bytes()).hexdigest() == due
    assert [one.name for one in into.iterdir()] == ["out"]


@pytest.mark.parametrize("form", ["sqlite", "jsonl"])
def test_a_disk_that_takes_no_more_leaves_nothing_half(layout, tmp_path, form):
    (tmp_path / "to").mkdir()
    words = ["catalogue", "export", "--as", form, "--into", tmp_path / "to" / "out", "--archive", layout.root]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "the system says" in done.stderr
    assert "bug" not in done.stderr
    assert list((tmp_path / "to").iterdir()) == []


def test_a_reader_that_goes_away_is_no_fault(layout):
    command = [
        sys.executable,
        "-m",
        "tenuto",
        "catalogue",
        "export",
        "--as",
        "csv",
        "--into",
        "-",
        "--archive",
        layout.root,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.wait(30), process.stderr.read()) == (0, b"")

"""A real Supysonic, where its environment is there."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demo.audience import LISTENS
from demo.environment import why_unusable
from demo.running import DemoError
from demo.service import Service, ensure_environment, export_listens, listen
from demo.subsonic import Client

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("TENUTO_DEMO_VENV", ROOT / ".venv-demo"))

needs_supysonic = pytest.mark.skipif(why_unusable(VENV) is not None, reason=str(why_unusable(VENV)))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Eight songs of half a second, and a chorale."""
    for name in ("chorales/1.flac", *(f"game-data/{number}.flac" for number in range(8))):
        file = tmp_path / "music" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.zeros((22_050, 2)), 44_100)
    return tmp_path / "music"


@needs_supysonic
def test_a_service_is_listened_to_exported_and_gone(tmp_path: Path, music: Path) -> None:
    with Service(VENV, tmp_path / "service", music, print) as service:
        with service.client() as client:
            songs = {song["id"]: song["path"] for song in client.songs()}
        assert listen(service, 7) == LISTENS
        assert export_listens(service.database, tmp_path / "listens.csv") == 9
    with (tmp_path / "listens.csv").open() as file:
        counts = {songs[row["id"]]: int(row["listens"]) for row in csv.DictReader(file)}
    assert sum(counts.values()) == LISTENS
    assert counts["chorales/1.flac"] == 0
    with pytest.raises(ConnectionRefusedError), service.client() as client:
        client.ask("ping")


@needs_supysonic
def test_a_service_started_again_keeps_its_ids_and_has_a_new_password(tmp_path: Path, music: Path) -> None:
    with Service(VENV, tmp_path / "service", music, print) as first, first.client() as client:
        before = {song["path"]: song["id"] for song in client.songs()}
    (music / "game-data/0.flac").unlink()
    with Service(VENV, tmp_path / "service", music, print) as second:
        with second.client() as client:
            after = {song["path"]: song["id"] for song in client.songs()}
        with Client(second.port, first.user, first.password) as client, pytest.raises(DemoError, match="Wrong user"):
            client.ask("ping")
    assert before.items() >= after.items()
    assert before.keys() - after.keys() == {"game-data/0.flac"}
    kept = b"".join(file.read_bytes() for file in (tmp_path / "service").rglob("*") if file.is_file())
    assert second.password.encode() not in kept


@needs_supysonic
def test_no_server_is_left_when_the_block_fails(tmp_path: Path, music: Path) -> None:
    with pytest.raises(ValueError, match="on purpose"), Service(VENV, tmp_path / "service", music, print) as service:
        raise ValueError("on purpose")
    with pytest.raises(ConnectionRefusedError), service.client() as client:
        client.ask("ping")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_hangs_on_the_lifeline_ends_when_its_starter_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    lifeline = ROOT / "tools/demo/lifeline.py"
    sleeper, starter = tmp_path / "sleeper.py", tmp_path / "starter.py"
    sleeper.write_text("import os, sys, time\nprint(os.getpid(), sys.argv[1:], flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(lifeline), str(sleeper), "-S", "x"]
    starter.write_text(f"import subprocess, time\nsubprocess.Popen({command}, stdin=-1)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, starter], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid, arguments = process.stdout.readline().split(maxsplit=1)
        assert arguments.strip() == "['-S', 'x']"
        process.send_signal(how)
    assert _ends(int(pid))


def _ends(pid: int) -> bool:
    """Wait for the end of a process that is no child of ours; a zombie has ended."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_folder_that_is_no_environment_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(DemoError, match="is no virtual environment and is not overwritten"):
        ensure_environment(tmp_path, print)
    assert (tmp_path / "precious.txt").read_text() == "mine"

"""What many tests need: a new archive, the command line as a process, the programs and data that may be missing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tenuto.archive.create import create
from tenuto.archive.layout import Layout

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def make_archive(folder: Path, name: str = "testing") -> Layout:
    """A new archive in `folder/archive`, its keys beside it."""
    return create(folder / "archive", name, "tests@archive.invalid", folder / "keys", {}).layout


def tenuto(
    *words: str | Path, env: dict[str, str] | None = None, code: int | None = 0, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; `code` is what it must end with (None: anything)."""
    done = subprocess.run(
        [sys.executable, "-m", "tenuto", *map(str, words)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def tenuto_json(*words: str | Path, env: dict[str, str] | None = None, code: int | None = 0) -> Any:
    """Run a verb with --json: its one line of stdout, decoded."""
    lines = tenuto(*words, "--json", env=env, code=code).stdout.splitlines()
    assert len(lines) == 1, lines
    return json.loads(lines[0])


@contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """A disk of its own of so many bytes; the test is skipped where none can be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def need_program(name: str) -> str:
    """The path of a program of the distribution; the test is skipped without it, in CI it fails."""
    found = shutil.which(name)
    if found is None and os.environ.get("TENUTO_CI"):
        pytest.fail(f"{name} is not installed, though .ci/run should have installed it")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install it)")
    return found


def shared_data(name: str) -> Path:
    """A folder of ../shared/data; the test is skipped where it is not beside the checkout."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/data/{name} is not beside this checkout")
    return folder

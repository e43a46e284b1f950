"""Help comes at once: it needs nothing that a verb needs."""

import os
import subprocess
import sys

import pytest

from support import tenuto
from tenuto import __version__

HEAVY = {
    "cryptography", "debian", "duckdb", "fastwarc", "httpx", "license_expression", "msgspec", "mutagen", "numpy", "protego",
    "pyarrow", "pydantic", "pyrage", "tomlkit",
}  # fmt: skip
VERBS = {
    (): {"init", "source", "harvest", "catalogue", "plan", "status"},
    ("source",): {"add", "list", "test", "remove", "permission"},
    ("catalogue",): {"build", "info"},
}


@pytest.mark.parametrize("words", [("--help",), ("--version",), (), ("source", "--help")])
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tenuto", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "cyclopts" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("words", VERBS)
def test_help_names_every_verb(words: tuple[str, ...]) -> None:
    shown = {line.strip("│ ").partition(" ")[0] for line in tenuto(*words, "--help").stdout.splitlines() if "│" in line}
    assert VERBS[words] <= shown


def test_help_names_the_exit_codes() -> None:
    shown = " ".join(tenuto("--help").stdout.split())
    for code in ("2 usage", "3 settings", "4 missing tool", "5 source", "6 rights", "7 integrity", "8 archive in use"):
        assert code in shown


def test_version_is_one_line() -> None:
    assert tenuto("--version").stdout == f"{__version__}\n"

"""What `make setup` promises, without a network: a stand-in Python takes the place of venv and pip."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[1]
CONSTRAINTS = (CHECKOUT / "constraints.txt").read_text().splitlines()
PINNED = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in CONSTRAINTS}
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
TARGETS = {"help", "setup", "demo", "test", "test-long", "check", "bench", "clean"}

# Answers as Python 3.12 would, writes down what pip was asked for, and lays itself into the .venv that it is to make.
STAND_IN = """#!/bin/sh
case "$*" in
  *base_prefix*) echo stand-in ;;
  *"-m venv"*) for venv; do :; done; mkdir -p "$venv/bin"; cp "$0" "$venv/bin/python" ;;
  *"pip install"*) echo "$*" >>"$PIP_WAS_ASKED"; [ -z "$KILLED" ] || kill -9 $PPID ;;
esac
"""


def run(*command: str | Path, cwd: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run without what a make around these tests hands down."""
    outer = {"MAKEFLAGS", "MAKELEVEL", "VENV", "PYTHON"}
    kept = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)


class Checkout:
    """A checkout with little in it and a stand-in Python."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, path / "asked"
        for name in ("tools/setup.sh", "pyproject.toml", "constraints.txt", "src/tenuto/__init__.py", "Makefile"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes((CHECKOUT / name).read_bytes())
        self.python("python3.12", STAND_IN)

    def python(self, name: str, script: str) -> str:
        file = self.path / name
        file.write_text(script)
        file.chmod(0o755)
        return str(file)

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "tools/setup.sh", **{"PYTHON": str(self.path / "python3.12")} | environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        stand_in = {"KILLED": "", "PIP_WAS_ASKED": str(self.asked)}
        return run(*command, cwd=self.path, **stand_in | environment)

    def asked_pip(self) -> list[str]:
        """What pip was asked for since the last question."""
        asked = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return asked


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    path = tmp_path / "a folder with spaces"
    path.mkdir()
    return Checkout(path)


# --- versions


def test_constraints_are_names_with_one_exact_version_each_and_sorted() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", line) for line in CONSTRAINTS)
    assert sorted(CONSTRAINTS, key=str.lower) == CONSTRAINTS
    assert len(PINNED) == len(CONSTRAINTS)


def test_constraints_satisfy_the_project() -> None:
    project = PROJECT["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"] + PROJECT["build-system"]["requires"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(PINNED[canonicalize_name(requirement.name)]), requirement


def test_constraints_cover_all_that_the_project_and_its_tools_bring_along() -> None:
    seen: set[tuple[str, str]] = set()
    queue = [("tenuto", ""), ("tenuto", "dev")]
    while queue:
        name, extra = queue.pop()
        if (name, extra) not in seen:
            seen.add((name, extra))
            for requirement in map(Requirement, requires(name) or []):
                if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                    queue += [(canonicalize_name(requirement.name), part) for part in ("", *requirement.extras)]
    assert {name for name, _ in seen} - {"tenuto"} <= PINNED.keys()
    # The build's own environment is gone once it has built.
    assert {"pip", "hatchling", "editables", "pathspec", "trove-classifiers"} <= PINNED.keys()


# --- make


def test_make_lists_every_target() -> None:
    listed = run("make")
    assert listed.returncode == 0
    assert set(re.findall(r"^  make (\S+) +\S", listed.stdout, re.MULTILINE)) == TARGETS
    assert run("make", "help").stdout == listed.stdout


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_can_be_made(target: str) -> None:
    planned = run("make", "--dry-run", "--warn-undefined-variables", target)
    assert (planned.returncode, planned.stderr) == (0, "")
    assert ("tools/setup.sh" in planned.stdout) == (target not in {"help", "clean"})


def test_make_hands_python_and_venv_over(checkout: Checkout) -> None:
    made = checkout.run("make", "setup", "PYTHON=./python3.12", "VENV=.venv-other")
    assert (made.returncode, made.stderr.splitlines()[-1]) == (0, "setup: .venv-other is ready")


@pytest.mark.parametrize(
    ("shell", "script"), [("sh", "tools/setup.sh"), ("sh", "tools/fresh_machine.sh"), ("bash", ".ci/run")]
)
def test_a_script_can_be_read_by_its_shell(shell: str, script: str) -> None:
    read = run(shell, "-n", script)
    assert (read.returncode, read.stderr) == (0, "")
    assert os.access(CHECKOUT / script, os.X_OK)


# --- setup


def test_setup_installs_what_the_constraints_name_and_then_has_nothing_to_do(checkout: Checkout) -> None:
    first = checkout.setup()
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    pip, project = checkout.asked_pip()
    assert pip.endswith("-c constraints.txt pip")
    assert project.endswith("-c constraints.txt --build-constraint constraints.txt -e .[dev]")
    again = checkout.setup()
    assert (again.returncode, again.stderr) == (0, "setup: .venv is up to date\n")
    assert checkout.asked_pip() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_setup_brings_an_environment_up_to_date(checkout: Checkout, name: str) -> None:
    checkout.setup()
    checkout.asked_pip()
    kept = checkout.path / ".venv/kept"
    kept.touch()
    with (checkout.path / name).open("a") as file:
        file.write("# changed\n")
    assert checkout.setup().returncode == 0
    assert checkout.asked_pip()
    assert kept.exists()


def test_setup_makes_anew_what_was_interrupted(checkout: Checkout) -> None:
    assert checkout.setup(KILLED="yes").returncode == -9
    half = checkout.path / ".venv/half a package"
    half.touch()
    assert checkout.setup().returncode == 0
    assert not half.exists()
    assert checkout.setup().stderr == "setup: .venv is up to date\n"


def test_setup_makes_anew_what_lost_its_python_or_moved_with_the_checkout(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.path / ".venv/bin/python").unlink()
    assert "making .venv" in checkout.setup().stderr
    checkout.path = checkout.path.rename(checkout.path.with_name("elsewhere"))
    checkout.asked = checkout.path / "asked"
    assert "making .venv" in checkout.setup().stderr


def test_setup_keeps_the_python_it_was_once_told(checkout: Checkout) -> None:
    checkout.setup()
    assert checkout.setup(PYTHON="").stderr == "setup: .venv is up to date\n"


def test_setup_removes_no_folder_that_it_did_not_make(checkout: Checkout, tmp_path: Path) -> None:
    precious = tmp_path / "mine" / "precious"
    precious.parent.mkdir()
    precious.touch()
    refused = checkout.setup(VENV=str(precious.parent))
    assert refused.returncode == 1
    assert "was not made by this script" in refused.stderr
    assert precious.exists()


@pytest.mark.parametrize("answer", ["Python 3.9.2", "Python 3.14.0"])
def test_setup_says_what_to_do_about_a_python_that_does_not_suit(checkout: Checkout, answer: str) -> None:
    old = checkout.python("python", f'#!/bin/sh\n[ "$1" = --version ] && echo {answer} || exit 1\n')
    refused = checkout.setup(PYTHON=old)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"needs Python 3.11, 3.12 or 3.13; {old} says: {answer}" in refused.stderr
    assert "make setup PYTHON=" in refused.stderr
    assert not (checkout.path / ".venv").exists()


def test_setup_says_what_to_do_about_a_python_that_is_not_there(checkout: Checkout) -> None:
    refused = checkout.setup(PYTHON="/nowhere/python3.12")
    assert refused.returncode == 1
    assert "make setup PYTHON=" in refused.stderr


@pytest.mark.parametrize("name", ["Makefile", "tools/setup.sh", "tools/fresh_machine.sh", ".ci/run", "constraints.txt"])
def test_nothing_here_names_a_mirror_or_an_index(name: str) -> None:
    assert not re.search(r"(https?|file)://|--(?:index-u|find-link)", (CHECKOUT / name).read_text())

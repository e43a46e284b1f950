"""The environment that Supysonic runs in: its own, because it is a separate program under another licence (AGPL)."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from .running import DemoError, Say, run

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PACKAGES = ("supysonic", "waitress")
INSTALL_TIMEOUT_S = 600
VENV_TIMEOUT_S = 60


def ensure_environment(venv: Path, say: Say) -> None:
    """Make the virtual environment `venv` with Supysonic in the versions of `constraints.txt`, unless it is there.

    It is made by, and for, the Python that runs this. A half-made or outdated one is made anew; a folder that is no
    virtual environment is refused with DemoError.
    """
    if why_unusable(venv) is None:
        return
    if venv.exists() and not (venv / "pyvenv.cfg").is_file():
        raise DemoError(f"{venv} is no virtual environment and is not overwritten; move it away and run this again")
    if find_spec("pip") is None:
        raise DemoError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    shutil.rmtree(venv, ignore_errors=True)
    say(f"making {venv.name} with {', '.join(PACKAGES)}")
    run([sys.executable, "-m", "venv", "--without-pip", venv], doing=venv.name, say=say, timeout_s=VENV_TIMEOUT_S)
    run(_install(venv), doing=f"installing into {venv.name}", say=say, timeout_s=INSTALL_TIMEOUT_S)
    _mark(venv).write_text(_wanted(), encoding="utf-8")  # last, so that an interrupted one is seen as such


def why_unusable(venv: Path) -> str | None:
    """Say why the service cannot run in `venv`, or None if it can."""
    if not _mark(venv).is_file():
        return f"{venv.name} is not there, or was not finished; run: make demo"
    if _mark(venv).read_text(encoding="utf-8") != _wanted():
        return f"{venv.name} has other versions than {CONSTRAINTS.name} or another Python; run: make demo"
    return None


def _install(venv: Path) -> list[str | Path]:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(venv / "bin" / "python")]
    return [*pip, "install", "--quiet", "--constraint", CONSTRAINTS, *PACKAGES]


def _mark(venv: Path) -> Path:
    return venv / "tenuto-demo.txt"


def _wanted() -> str:
    """Everything on which the environment depends."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor}\n{CONSTRAINTS.read_text(encoding='utf-8')}"

"""Run a program that is not ours: with a time limit, never in silence, never left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]
"""Takes one line of progress, without a line end."""

SAY_EVERY_S = 3.0
STOP_TIMEOUT_S = 5.0


class DemoError(Exception):
    """A step of the demo cannot be done. The text says which, why, and what to do next."""


def run(
    command: Sequence[str | Path],
    *,
    doing: str,
    say: Say,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    typed: str | None = None,
) -> str:
    """Run `command` to its end and return what it printed (stdout and stderr together).

    `doing` names the step in progress lines and errors; `env` is added to our environment; `typed` goes to its stdin.
    Raises DemoError if it cannot be started, fails, or takes longer than `timeout_s`. It has a session of its own, so
    that it cannot ask at the terminal and is killed with all its children.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise DemoError(f"{doing}: {error}; is {command[0]} installed?") from error
    with process:
        try:
            output = _wait(process, doing, say, timeout_s, typed)
        finally:
            _kill_group(process)
    if process.returncode:
        raise DemoError(f"{doing}: {Path(command[0]).name} ended with {process.returncode}: {_reason(output)}")
    return output


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program whose stdin we hold, and wait for it; it is killed where it does not hear."""
    process.terminate()
    with process:  # closes its stdin, which ends it too, and waits
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[str], doing: str, say: Say, timeout_s: float, typed: str | None) -> str:
    started = time.monotonic()
    while True:
        try:
            return process.communicate(typed, timeout=SAY_EVERY_S)[0]
        except subprocess.TimeoutExpired:
            typed = None  # it was given with the first call
            elapsed_s = time.monotonic() - started
        if elapsed_s > timeout_s:
            raise DemoError(f"{doing}: not done after {elapsed_s:.0f} s; look at the network and run it again")
        say(f"{doing} … {elapsed_s:.0f} s")


def _kill_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _reason(output: str) -> str:
    """Pick the last error line, or the last line at all, of a program's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("e:", "error"))]
    return (errors or lines or ["it said nothing"])[-1]

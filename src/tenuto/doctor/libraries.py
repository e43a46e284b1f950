"""Whether each native library does on this machine what Tenuto needs of it: each is tried in a process of its own.

A wheel that was made for another processor takes its process with it; then that is a result like others.
"""

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import IO

from tenuto.doctor.result import Result
from tenuto.doctor.trial import TRIALS
from tenuto.doctor.versions import pip_install, requirement_of

_TOPIC = "libraries"
_WAIT_MAX_S = 3.0
"""Longer than that no trial of all together is waited for: the whole verb has five seconds."""

_NEEDED_FOR = {
    "av": "recordings cannot be decoded, nor Opus be made",
    "soundfile": "a file that FFmpeg refuses would be called damaged without a second opinion",
    "libtorrent": "torrents are not read back before they are published, and nothing is seeded",
    "pyrage": "dark crates can neither be sealed nor opened",
    "cryptography": "no index can be signed or verified",
    "duckdb": "no catalogue can be built",
    "pyarrow": "no table can be written or read",
    "fastwarc": "no evidence can be read",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A process that tries one library."""

    library: str
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]


def begin(trials: Mapping[str, list[str]] | None = None) -> list[Trial]:
    """Start all trials; `trials` are library -> words of a command, by default our own.

    -P: nothing is loaded from the folder that one stands in, which may be a stranger's.
    """
    commands = trials or {name: [sys.executable, "-P", "-m", "tenuto.doctor.trial", name] for name in TRIALS}
    return [_start(name, words) for name, words in commands.items()]


def look(trials: list[Trial], wait_max_s: float = _WAIT_MAX_S) -> list[Result]:
    """What came of the trials; one result where all is well, else one more for each library that fails."""
    until = time.monotonic() + wait_max_s
    faults = {trial.library: _fault_of(trial, until) for trial in trials}
    well = [f"{name} {_version(name)}" for name, fault in faults.items() if fault == ""]
    late = [name for name, fault in faults.items() if fault is None]
    results = [Result(_TOPIC, "ok", f"tried out and well: {', '.join(well)}")] if well else []
    if late:
        message = f"{', '.join(late)}: not tried out within {wait_max_s:g} s; this machine is very busy or very slow"
        results.append(Result(_TOPIC, "warning", message, "run tenuto doctor again when the machine is idle"))
    return results + [_broken(name, fault) for name, fault in faults.items() if fault]


def _start(library: str, words: list[str]) -> Trial:
    said = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with its result; a pipe that nobody reads could fill up
    environment = {**os.environ, "PYTHONFAULTHANDLER": ""}
    process = subprocess.Popen(  # noqa: S603 -- our own words
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env=environment
    )
    return Trial(library, process, said)


def _fault_of(trial: Trial, until: float) -> str | None:
    """What is wrong with a library; empty where it works, None where it did not answer in time."""
    with trial.said as said:
        try:
            code = trial.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            trial.process.kill()
            trial.process.wait()
            return None
        if code == 0:
            return ""
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").split("\n")
    if code < 0:
        return f"it dies with {_signal(-code)} on this processor ({platform.machine()})"
    return next((line.strip() for line in reversed(lines) if line.strip()), f"it ended with {code}")


def _broken(library: str, fault: str) -> Result:
    message = f"{library} {_version(library)} does not work: {fault}; {_NEEDED_FOR[library]}"
    return Result(_TOPIC, "bad", message, pip_install(requirement_of(library), "--force-reinstall"))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""`tenuto` without importing it anew for each command: forks.py has its modules loaded and forks once for each.

What runs is the installed program's own entry point, in a process of its own, with its words and its exit code. It saves half a
second of imports a command, which a reader who types them one by one does not notice.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.background import POLL_S, START_TIMEOUT_S
from demo.running import DemoError

FORKS = Path(__file__).parent / "forks.py"


class Warm:
    """Commands are begun and waited for here; a context manager, whose end stops what still runs."""

    def __init__(self, cwd: Path) -> None:
        answers, theirs = os.pipe()
        self._answers = os.fdopen(answers, encoding="ascii")
        self._server = subprocess.Popen(
            [sys.executable, str(FORKS), str(theirs)],
            cwd=cwd,
            stdin=subprocess.PIPE,
            pass_fds=[theirs],
            text=True,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError), self._server:
            pass  # closes its stdin, and waits
        self._answers.close()

    def start(
        self, words: Sequence[str], env: Mapping[str, str], out: Path | None = None, *, is_all: bool = False
    ) -> int:
        """Begin a command; its results (all that it says, where `is_all`) go to our stdout, or to the file `out`.

        Returns its process id.
        """
        return self._ask({"words": list(words), "env": dict(env), "out": str(out) if out else None, "is_all": is_all})

    @contextmanager
    def beside(self, words: Sequence[str], log: Path, is_up: Callable[[str], bool]) -> Iterator[None]:
        """A command that runs until the block ends, once its log says that it is up."""
        process = self.start(words, {}, log, is_all=True)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not is_up(said := log.read_text(errors="replace") if log.exists() else ""):
                if time.monotonic() > deadline or said.startswith("tenuto:"):
                    raise DemoError(f"tenuto {words[0]} did not start; it said: {said.strip()[-300:] or 'nothing'}")
                time.sleep(POLL_S)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            self.finish(process)

    def finish(self, process: int) -> int:
        """Wait for a command; its exit code. Where we are stopped meanwhile, so is the command."""
        try:
            return self._ask({"wait": process})
        except BaseException:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            raise

    def _ask(self, what: Mapping[str, object]) -> int:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(what) + "\n")
        self._server.stdin.flush()
        return int(self._answers.readline())

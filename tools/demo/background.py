"""A program that runs beside the demo: a web server. It ends with us, kill -9 included."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.running import DemoError, stop

LIFELINE = Path(__file__).parent / "lifeline.py"
START_TIMEOUT_S = 20.0
POLL_S = 0.05


class Background:
    """A Python script that is running until the block ends; what it says is in `log`."""

    def __init__(self, script: Path, words: Sequence[str], cwd: Path, log: Path, is_up: Callable[[str], bool]) -> None:
        self.name = " ".join([script.name, *words[:1]])
        self.log = log
        self._command = [sys.executable, str(LIFELINE), str(script), *words]
        self._cwd = cwd
        self._is_up = is_up
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_up(self.said()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise DemoError(f"{self.name} did not start; it said: {self.said().strip()[-300:] or 'nothing'}")
            time.sleep(POLL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            stop(process)

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def web_server(root: Path, port: int, log: Path) -> Background:
    """Python's own static web server, which knows no ranges: the barest there is."""
    import http.server  # noqa: PLC0415

    words = [str(port), "--bind", "127.0.0.1", "--directory", str(root)]

    def is_up(_: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return True
        except OSError:
            return False

    return Background(Path(http.server.__file__), words, root, log, is_up)

"""Progress on stderr: a bar on a terminal, a line now and then elsewhere; never silent for five seconds."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console

_EVERY_S = 2.0


class TerminalProgress:
    """Draws what the library counts; a context manager, so that the bar is always taken away."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._label = ""
        self._unit = ""
        self._done = 0
        self._total: int | None = None
        self._shown_at = 0.0
        self._began_at = 0.0
        self._bar = None
        if self._console.is_terminal:
            from rich.progress import Progress

            self._bar = Progress(console=self._console, transient=True)
            self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        """A new task starts."""
        self._label, self._unit, self._done, self._total = label, unit, 0, total
        self._began_at = time.monotonic()
        if self._bar is not None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task(label, total=total)
        elif time.monotonic() - self._shown_at > _EVERY_S:
            self._line()

    def advance(self, done: int = 1, total: int | None = None) -> None:
        """More units are finished."""
        self._done += done
        self._total = total if total is not None else self._total
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, total=self._total)
        elif time.monotonic() - self._shown_at > _EVERY_S:
            self._line()

    def say(self, message: str) -> None:
        """One sentence for a person."""
        self._console.print(message, soft_wrap=True)

    def _line(self) -> None:
        self._shown_at = time.monotonic()
        count = f": {self._done:,} of {self._total:,} {self._unit}" if self._total else ""
        sys.stderr.write(f"{self._label}{count}\n")
        sys.stderr.flush()

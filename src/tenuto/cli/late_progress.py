"""Progress for a verb that has seldom anything to say: what draws it is loaded when there is something to draw."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tenuto.model.progress import Progress


class LateProgress:
    """`TerminalProgress` from the first thing that is said on; a context manager, as that is."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._drawing: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        """A new task starts."""
        self._drawn().begin(label, total, unit)

    def advance(self, done: int = 1, total: int | None = None) -> None:
        """More units are finished."""
        self._drawn().advance(done, total)

    def say(self, message: str) -> None:
        """One sentence for a person."""
        self._drawn().say(message)

    def _drawn(self) -> Progress:
        if self._drawing is None:
            from tenuto.cli.progress import TerminalProgress

            self._drawing = self._closing.enter_context(TerminalProgress())
        return self._drawing

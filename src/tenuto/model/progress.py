"""Progress is handed in: the library counts, the shell draws (docs/decisions/0001-shape.md)."""

from typing import Protocol


class Progress(Protocol):
    """What long work tells its caller. Implementations MUST be cheap and MUST NOT raise."""

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        """A new task starts; `total` is None where nobody knows it yet."""

    def advance(self, done: int = 1, total: int | None = None) -> None:
        """`done` more units are finished; `total` corrects what `begin` said."""

    def say(self, message: str) -> None:
        """One sentence for a person: a pause and its reason, a thing left out."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        """Do nothing."""

    def advance(self, done: int = 1, total: int | None = None) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""

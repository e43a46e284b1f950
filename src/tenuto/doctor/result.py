"""What a look found: a state, a sentence that says which thing and what is wrong, and what to do next."""

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "bad"]
STATES: tuple[State, ...] = ("ok", "note", "warning", "bad")
"""From the best to the gravest: `note` is to be known, `warning` to be mended some day, `bad` before anything else is done."""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at. `remedy` is one sentence or command; empty where nothing is to be done."""

    topic: str
    state: State
    message: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """As it stands in the JSON."""
        return asdict(self)

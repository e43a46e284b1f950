"""The gate: the one pure function that answers whether something may be done with a recording (design, law 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tenuto.rights.statements import Statement


class Action(StrEnum):
    """What is asked: at acquisition, at giving out (seal open, publish, seed, serve, get), at examining the sound."""

    KEEP = "keep"
    GIVE_OUT = "give_out"
    MINE = "mine"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, a sentence that a person understands, and the statement it rests on (None: on silence)."""

    is_allowed: bool
    reason: str
    statement: Statement | None


_SILENCE = {
    Action.KEEP: (True, "nothing on file forbids keeping it; it is kept dark"),
    Action.GIVE_OUT: (False, "nothing on file permits giving it out"),
    Action.MINE: (False, "nothing on file permits examining it"),
}
_WORDS = {Action.KEEP: "keeping", Action.GIVE_OUT: "giving out", Action.MINE: "examining"}


def may(recording: Sequence[Statement], action: Action, territory: str, when: date) -> Decision:
    """Decide from all that is stated about a recording, read strictly: one prohibition in force outweighs any grant.

    A grant that has ended, or that is for other territories, is no grant; so is silence. A prohibition holds wherever
    it is in force, so one for a single country stops giving out worldwide. Keeping is allowed on silence, since what is
    dark goes nowhere; giving out and mining are not.
    """
    said = [(statement, getattr(statement, f"may_{action.value}")) for statement in recording]
    for statement, word in said:
        if word is False and statement.reaches_into(territory, when):
            return Decision(False, f"{statement.name()} forbids {_WORDS[action]}", statement)
    for statement, word in said:
        if word is True and statement.is_in_force(territory, when):
            return Decision(True, f"{statement.name()} permits {_WORDS[action]}", statement)
    is_allowed, reason = _SILENCE[action]
    lapsed = next((statement for statement, word in said if word is True), None)
    if lapsed is not None:
        reason = f"{lapsed.name()} does not hold for {territory} on {when.isoformat()}; {reason}"
    return Decision(is_allowed, reason, None)

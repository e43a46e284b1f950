"""The log of withdrawals: append-only, each line holding the digest of the one before (docs/format.md, Withdrawals). Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from pydantic import Field, ValidationError

from tenuto.model.documents import Document
from tenuto.model.errors import IntegrityError
from tenuto.rights.statements import Statement

REASONS = {
    "rightsholder": "someone who holds rights in it asks for it",
    "permission-ended": "the permission, or the licence, no longer holds",
    "privacy": "it is about a person who asks for it",
    "law": "a court or an authority orders it",
    "error": "it should never have been given out: a wrong licence, a wrong file",
    "other": "another reason, which the operator keeps",
}
"""Reason -> what it means; no other is written, so that the public log says nothing of a person."""

WITHDRAWAL = "withdrawal"
"""The basis of statements that come from this log."""

_NOTHING_BEFORE = "0" * 64


class Withdrawal(Document):
    """One line: the recording of the track `key` is no longer given out; `is_destroyed`: nor kept."""

    format: Literal["tenuto-withdrawal-1"] = "tenuto-withdrawal-1"
    seq: int = Field(ge=1)
    key: str = Field(pattern="^[0-9a-f]{64}$")
    reason: str
    on: date
    is_destroyed: bool
    crates: tuple[str, ...]
    previous: str = Field(pattern="^[0-9a-f]{64}$")

    def line(self) -> bytes:
        """The line without its line feed: keys sorted, no spaces."""
        values = self.model_dump(mode="json")
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Log:
    """All withdrawals, oldest first."""

    entries: tuple[Withdrawal, ...] = ()

    def encode(self) -> bytes:
        """The file."""
        return b"".join(entry.line() + b"\n" for entry in self.entries)

    def with_one_more(self, *, key: str, reason: str, on: date, is_destroyed: bool, crates: Sequence[str]) -> "Log":
        """The log with a withdrawal added."""
        previous = hashlib.sha256(self.entries[-1].line()).hexdigest() if self.entries else _NOTHING_BEFORE
        one = Withdrawal(seq=len(self.entries) + 1, key=key, reason=reason, on=on, is_destroyed=is_destroyed,
                         crates=tuple(crates), previous=previous)  # fmt: skip
        return replace(self, entries=(*self.entries, one))

    def by_key(self) -> dict[str, Withdrawal]:
        """What holds for each track: its newest line, destroyed once is destroyed for good."""
        found: dict[str, Withdrawal] = {}
        for entry in self.entries:
            earlier = found.get(entry.key)
            is_destroyed = entry.is_destroyed or (earlier is not None and earlier.is_destroyed)
            found[entry.key] = entry.model_copy(update={"is_destroyed": is_destroyed})
        return found


def statement_of(withdrawal: Withdrawal) -> Statement:
    """A withdrawal as a statement for the gate: it forbids giving out and examining, and keeping where it destroys."""
    return Statement(
        basis=WITHDRAWAL,
        licence_text=withdrawal.reason,
        may_keep=False if withdrawal.is_destroyed else None,
        may_give_out=False,
        may_mine=False,
    )


def parse_log(content: bytes, what: str) -> Log:
    """The log in a file; raises IntegrityError where a line is none or the chain is broken."""
    entries: list[Withdrawal] = []
    previous = _NOTHING_BEFORE
    if content and not content.endswith(b"\n"):
        raise IntegrityError(
            f"{what}: its last line is cut off; bring the file back from a copy or from the publication"
        )
    for number, line in enumerate(content.splitlines(), 1):
        try:
            entry = Withdrawal.model_validate_json(line)
        except (ValidationError, ValueError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise IntegrityError(
                f"{what}: line {number} is no withdrawal ({why}); bring the file back from a copy"
            ) from None
        if entry.previous != previous or entry.seq != number or entry.line() != line:
            raise IntegrityError(f"{what}: the chain of digests breaks at line {number}: something was changed or taken "
                                 "out; bring the file back from a copy or from the publication")  # fmt: skip
        entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return Log(tuple(entries))

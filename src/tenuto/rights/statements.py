"""One statement about what may be done with recordings, and where it comes from."""

from dataclasses import dataclass
from datetime import date

WORLDWIDE = "worldwide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one piece of evidence says. For each action True permits, False forbids, None says nothing.

    `basis` is permission, tag, dep5, licence_file or correction; `licence` an SPDX expression where one was recognised,
    `licence_text` the words that were read; an empty `territories` means everywhere.
    """

    basis: str
    licence: str | None = None
    licence_text: str = ""
    licence_url: str | None = None
    may_keep: bool | None = None
    may_give_out: bool | None = None
    may_mine: bool | None = None
    territories: tuple[str, ...] = ()
    valid_until: date | None = None
    attribution: str = ""
    evidence_id: int = 0

    def is_in_force(self, territory: str, when: date) -> bool:
        """Whether it speaks for this territory on this day (`valid_until` is the last day)."""
        return not self._is_over(when) and self._is_for(territory)

    def reaches_into(self, territory: str, when: date) -> bool:
        """Whether it speaks on this day for some part of this territory: every country is a part of `worldwide`."""
        return not self._is_over(when) and (territory == WORLDWIDE or self._is_for(territory))

    def name(self) -> str:
        """How a sentence calls it: `permission (CC-BY-SA-4.0)`."""
        basis = self.basis.replace("_", " ")
        said = self.licence or self.licence_text
        return f"{basis} ({said[:60]})" if said else basis

    def _is_over(self, when: date) -> bool:
        return self.valid_until is not None and when > self.valid_until

    def _is_for(self, territory: str) -> bool:
        return not self.territories or WORLDWIDE in self.territories or territory in self.territories

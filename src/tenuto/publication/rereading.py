"""Reading one place's index again and again: a web server is asked only whether it is another one."""

import time
from dataclasses import dataclass

from tenuto.publication import lookup
from tenuto.publication.documents import INDEX_NAME
from tenuto.publication.lookup import Signed, read_signed
from tenuto.publication.places import FolderPlace, WebPlace
from tenuto.publication.places.validators import Validators

ANEW_EVERY_S = 6 * 3600.0
"""So often the index is received whether or not it is said to be the same: a cache that errs does so no longer."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The index that was verified last, by what its server knows it again, and when it was received."""

    signed: Signed
    validators: Validators
    received_at: float


class IndexReader:
    """The index of a place. What was read last is believed again only where the server says that it is the same."""

    def __init__(self, place: FolderPlace | WebPlace) -> None:
        self._place = place
        self._last: _Last | None = None

    def read(self, pinned: str | None, known_sequence: int, *, is_anew: bool = False) -> Signed:
        """See `read_signed`; `is_anew` asks for all of it, whatever was read before."""
        if not isinstance(self._place, WebPlace):
            return read_signed(self._place, pinned, known_sequence)
        last = None if is_anew else self._usable(pinned, known_sequence)
        known = last.validators if last is not None else Validators()
        content, validators = self._place.read_unless(INDEX_NAME, known, max_bytes=lookup.INDEX_MAX_BYTES)
        if last is not None and content in {None, last.signed.content}:
            if content is not None:
                self._last = _Last(last.signed, validators, time.monotonic())
            return last.signed
        signed = read_signed(self._place, pinned, known_sequence, content)
        self._last = _Last(signed, validators, time.monotonic())
        return signed

    def _usable(self, pinned: str | None, known_sequence: int) -> _Last | None:
        """What was read last, where it is by the pinned key, and nothing newer was seen anywhere."""
        last = self._last
        if last is None or last.signed.index.signing_public != pinned or last.signed.index.sequence < known_sequence:
            return None
        return last if time.monotonic() - last.received_at < ANEW_EVERY_S else None

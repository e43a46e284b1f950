"""Reading one place's index again and again: where its signature is the one of before, the index is."""

from tenuto.publication.documents import SIGNATURE_BYTES, SIGNATURE_NAME
from tenuto.publication.lookup import Signed, read_signed
from tenuto.publication.places import Place


class IndexReader:
    """The index of a place. Its signature, a few bytes, is asked for each time, all of it only where that has changed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._last: Signed | None = None

    def read(self, pinned: str | None, known_sequence: int) -> Signed:
        """See `read_signed`."""
        last = self._last
        if last is None or not self._is_still(last, pinned, known_sequence):
            last = self._last = read_signed(self._place, pinned, known_sequence)
        return last

    def _is_still(self, last: Signed, pinned: str | None, known_sequence: int) -> bool:
        """Whether what was read last would be read again."""
        if last.index.signing_public != pinned or last.index.sequence < known_sequence:
            return False
        return self._place.read(SIGNATURE_NAME, max_bytes=SIGNATURE_BYTES) == last.signature

"""The names of genres, by rank."""

import pyarrow as pa

_GENRES_MADE = 1_500
_FIRST = "deep dark indie neo post nu dream folk electro acid garage space desert city baroque minimal"
_SECOND = "pop rock jazz house techno soul funk metal punk ambient blues disco trap reggae salsa samba trance drone"


def _genres() -> pa.Array:
    """The three commonest as published; the others put together from words that people use."""
    more = ("", "revival", "wave", "core", "lounge", "step")
    made = [" ".join(filter(None, (a, b, c))) for c in more for a in _FIRST.split() for b in _SECOND.split()]
    return pa.array(["opera", "choral", "chamber music", *made][:_GENRES_MADE])


GENRES = _genres()
"""By rank."""

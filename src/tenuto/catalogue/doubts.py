"""What harvests could not say: an answer holds for as long as nothing newer tells what is there now."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MISSED_MAX = 2
"""Harvests without a thing after which it has vanished: one may err."""

_OFFSET = re.compile(rb"(?i)offset=\d+")
"""Where the keys of one list's pages differ."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What a harvest could not say: what failed (`unsaid`), or, where it is damaged (None), all that it has not `answered`."""

    answered: set[bytes]
    unsaid: set[bytes] | None

    def leaves_open(self, key: bytes) -> bool:
        """Whether this harvest does not tell what is there under this key."""
        return key not in self.answered and (self.unsaid is None or any(name in self.unsaid for name in _covering(key)))


@dataclass(frozen=True, slots=True)
class Newer:
    """The harvests of a source looked at so far, which are the newer ones: those that left something open, by number."""

    harvests: int
    doubts: dict[int, _Doubt]

    def add(self, number: int, answered: set[bytes], failed: set[bytes], *, is_whole: bool) -> None:
        """Take over what one harvest says; one that is whole says also what is not there."""
        if failed or not is_whole:
            unsaid = {*failed, *(_list_of(key) for key in failed if _list_of(key) != key)}
            self.doubts[number] = _Doubt(answered, unsaid if is_whole else None)

    def held(self, number: int, key: bytes) -> int:
        """The harvests in which an answer of this one holds, a bit each: up to the first that tells what is there."""
        held = 1 << number
        for later in range(number + 1, self.harvests):
            if not self._leaves_open(later, key):
                break
            held |= 1 << later
        return held

    def missed(self, held: int, key: bytes) -> int:
        """How many harvests did not show any more what held so long."""
        later = range(held.bit_length(), self.harvests)
        return len(list(islice((number for number in later if not self._leaves_open(number, key)), MISSED_MAX)))

    def _leaves_open(self, number: int, key: bytes) -> bool:
        doubt = self.doubts.get(number)
        return doubt is not None and doubt.leaves_open(key)


def _covering(key: bytes) -> Iterator[bytes]:
    """The requests whose failure leaves this one open: itself, its list, the folders above it (`audio/a/b/`)."""
    yield key
    yield _list_of(key)
    parts = key.split(b"/")
    yield from (b"/".join(parts[:end]) + b"/" for end in range(2, len(parts)))


def _list_of(key: bytes) -> bytes:
    """The list of which a request asks one page; the key itself where it is of none."""
    return _OFFSET.sub(b"offset=", key)

"""Positions in a track list, as people write them: `A1`, `1-3`, `B`, `CD2-7`, `AA`, `1-5.1`; as disc and track numbers.

Discogs: https://reference.discogs.com/wiki/editor-discussion-guideline-update-october-2006-7-tracklisting.
"""

import re
from collections.abc import Sequence

_DISC = re.compile(r"([A-Z]*)(\d{1,3})-(\d{1,4})?.*", re.ASCII)
_MEDIUM = re.compile(r"([A-Z]{2,})[ -]+(.+)|((?:CD|DVD|LP|BD))(\d.*)?", re.ASCII)
_SIDE = re.compile(r"([A-Z]{1,2})[. ]*\d*.*", re.ASCII)
_NUMBER = re.compile(r"(\d{1,4}).*", re.ASCII)
_TO = re.compile(r"\s+TO\s+|\s*[-\u2013]\s*")
_NAMED_MAX = 2_000
"""Characters in which a credit names its tracks."""
_AND = re.compile(r"[,;&]|\bAND\b")

Place = tuple[int, int]
"""Disc and track number."""


def places(positions: Sequence[str]) -> list[Place]:
    """Disc and track number of each position of a track list, in its order.

    Two sides are a disc. A track number is the one that stands there, or, where sides, parts (`5.1`) or gaps leave a disc
    without numbers that are all different, the place on the disc. A track without position is on the disc of the one before.
    """
    sides: list[str] = []
    media: list[tuple[str, int]] = []
    stated: list[int | None] = []
    for position in positions:
        medium, number = _read(position.strip().upper(), sides, media[-1] if media else ("", 1))
        media.append(medium)
        stated.append(number)
    order = list(dict.fromkeys(media))
    is_one_medium = len({name for name, _ in order}) <= 1
    discs = [number if is_one_medium else order.index((name, number)) + 1 for name, number in media]
    return [(disc, number) for disc, number in zip(discs, _numbers(discs, stated), strict=True)]


def _read(position: str, sides: list[str], before: tuple[str, int]) -> tuple[tuple[str, int], int | None]:
    """(medium, its number) and the track's number, where it is one; `sides` gathers the sides in order."""
    if found := _DISC.fullmatch(position):
        return (found[1], int(found[2])), int(found[3]) if found[3] and "." not in position else None
    if found := _MEDIUM.fullmatch(position):
        (_, number), track = _read(found[2] or found[4] or "", sides, ("", 1))
        return (found[1] or found[3], number), track
    if found := _SIDE.fullmatch(position):
        if found[1] not in sides:
            sides.append(found[1])
        side = ord(found[1]) - ord("A") if len(found[1]) == 1 else sides.index(found[1])
        return ("", side // 2 + 1), None
    if found := _NUMBER.fullmatch(position):
        return ("", 1), int(found[1]) if found[1] == position else None
    return before, None


def _numbers(discs: Sequence[int], stated: Sequence[int | None]) -> list[int]:
    by_disc: dict[int, list[int | None]] = {}
    for disc, number in zip(discs, stated, strict=True):
        by_disc.setdefault(disc, []).append(number)
    is_told = {disc: None not in found and len(set(found)) == len(found) for disc, found in by_disc.items()}
    counted = dict.fromkeys(by_disc, 0)
    numbers = []
    for disc, number in zip(discs, stated, strict=True):
        counted[disc] += 1
        numbers.append(number if is_told[disc] and number is not None else counted[disc])
    return numbers


def chosen(text: str, positions: Sequence[str]) -> set[int] | None:
    """The tracks that `A1, B2 to B4` names, by their place in the list; None where it names what is not there."""
    found = {position.strip().upper(): place for place, position in reversed(list(enumerate(positions)))}
    if len(text) > _NAMED_MAX:
        return None
    named: set[int] = set()
    for part in filter(None, map(str.strip, _AND.split(text.upper()))):
        ends = [(part, part), *((part[: cut.start()], part[cut.end() :]) for cut in _TO.finditer(part))]
        span = next(((found[first], found[last]) for first, last in ends if first in found and last in found), None)
        if span is None:
            return None
        named.update(range(span[0], span[1] + 1))
    return named

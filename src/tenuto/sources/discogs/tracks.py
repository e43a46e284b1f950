"""Tracks of a release: headings are none, of an index track its parts are, where they have places of their own."""

from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from tenuto.model.records import CreditSeen, TrackSeen
from tenuto.sources.discogs.people import credits_in
from tenuto.sources.discogs.positions import chosen, places
from tenuto.sources.times import clock_ms
from tenuto.sources.values import Values

_CREDITS_MAX = 200_000
"""Credits of all tracks of a release: few lines can put each of many names on each of many tracks."""


class _Listed(NamedTuple):
    """A track of the list and, where it is a part, the index track above it."""

    element: etree._Element
    above: etree._Element | None

    def said(self, name: str) -> str:
        return (self.element.findtext(name) or "").strip()


def tracks_seen(release_id: str, release: etree._Element, read: Values) -> Iterator[TrackSeen]:
    """The tracks in their order, each with its artists (else those of the release) and the credits that name it."""
    listed = list(_listed(release))
    positions = [one.said("position") for one in listed]
    of_release = _of_release(release, positions, read)
    leading = [credit for credit, _, _ in credits_in(release, "artists")]
    left = _CREDITS_MAX
    for number, (one, (disc, track)) in enumerate(zip(listed, places(positions), strict=True)):
        said = (*(_of(one, "artists") or leading), *_of(one, "extraartists"), *of_release.get(number, ()))
        if len(said) > left:
            read.take("credits", f"more than {_CREDITS_MAX:,}", lambda _: None)
        credited = tuple(dict.fromkeys(said[:left]))
        left -= len(credited)
        name = one.said("position") or str(number + 1)
        yield TrackSeen(
            track_id=f"{release_id}/{number + 1}",
            title=one.said("title") or None,
            release_id=release_id,
            disc_number=disc,
            track_number=track,
            duration_ms=read.take(f"duration of {name}", one.said("duration"), clock_ms),
            credits=credited,
        )


def _listed(release: etree._Element) -> Iterator[_Listed]:
    top = [_Listed(element, None) for element in release.iterfind("tracklist/track")]
    has_positions = any(one.said("position") for one in top) or bool(release.findtext(".//sub_tracks/track/position"))
    for one in top:
        parts = [_Listed(element, one.element) for element in one.element.iterfind("sub_tracks/track")]
        if not one.said("position") and any(part.said("position") or part.said("duration") for part in parts):
            yield from parts
        elif parts or one.said("position") or one.said("duration") or not has_positions:
            yield one


def _of(one: _Listed, list_name: str) -> list[CreditSeen]:
    """The credits of a track; of a part those of its index track too."""
    own = [credit for credit, _, _ in credits_in(one.element, list_name)]
    if one.above is None or (own and list_name == "artists"):
        return own
    return own + [credit for credit, _, _ in credits_in(one.above, list_name)]


def _of_release(release: etree._Element, positions: list[str], read: Values) -> dict[int, list[CreditSeen]]:
    """Credits of the release that name tracks, by place in the list. The others (design, mastering) are of the whole."""
    found: dict[int, list[CreditSeen]] = {}
    left = _CREDITS_MAX
    for credit, detail, tracks in credits_in(release, "extraartists"):
        where: set[int] | None = set(range(len(positions))) if detail.casefold().startswith("all tracks") else set()
        if tracks:
            where = read.take("tracks of a credit", tracks, lambda given: chosen(given, positions))
        left -= len(where or ())
        if left < 0:
            read.take("credits", f"more than {_CREDITS_MAX:,}", lambda _: None)
            break
        for number in where or ():
            found.setdefault(number, []).append(credit)
    return found

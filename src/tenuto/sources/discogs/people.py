"""Artists of a dump, and what they are credited for."""

import re
from collections.abc import Iterator

from lxml import etree

from tenuto.model.records import ArtistSeen, CreditSeen
from tenuto.model.text import fold

_NUMBERED = re.compile(r" \(\d{1,4}\)$")
"""Discogs numbers artists of one name, `Nirvana (2)`: ids tell them apart here."""
_NUMBER_MAX, _ROLE_MAX = 8, 1_000
"""Characters that are looked at: patterns that look ahead take a text's length squared."""
_DETAIL = re.compile(r"\[([^\]]*)\]")
_ROLES = {
    "written-by": "composer", "written by": "composer", "composed by": "composer", "music by": "composer",
    "songwriter": "composer", "lyrics by": "lyricist", "words by": "lyricist", "conductor": "conductor",
    "performer": "performer", "remix": "remixer",
}  # fmt: skip
"""The roles that other sources have too; the rest as they stand, in lower case."""


def artist_seen(element: etree._Element) -> ArtistSeen:
    """An artist as a record, or a credit in a release, names it; without an id it goes by its name."""
    own_id = (element.findtext("id") or "").strip()
    said = (element.findtext("name") or "").strip()
    name = (said[:-_NUMBER_MAX] + _NUMBERED.sub("", said[-_NUMBER_MAX:])).rstrip() or None
    artist_id = f"a{own_id}" if own_id.isdecimal() and int(own_id) else f"name:{fold(name or '')}"
    return ArtistSeen(artist_id=artist_id, name=name)


def named(release: etree._Element) -> Iterator[ArtistSeen]:
    """Every artist that a release names anywhere."""
    for element in release.iter("artist"):
        if (element.findtext("name") or "").strip():
            yield artist_seen(element)


def credits_in(parent: etree._Element, list_name: str) -> Iterator[tuple[CreditSeen, str, str]]:
    """Credits in `artists` or `extraartists`, one a role, in order; with the detail in brackets and the tracks they name."""
    for element in parent.iterfind(f"{list_name}/artist"):
        if not (element.findtext("name") or "").strip():
            continue
        artist_id = artist_seen(element).artist_id
        tracks = (element.findtext("tracks") or "").strip()
        for role, detail in _roles(element.findtext("role") or "") or [("artist", "")]:
            yield CreditSeen(artist_id=artist_id, role=role), detail, tracks


def _roles(text: str) -> list[tuple[str, str]]:
    """`Producer [Additional], Remix`: roles with their details, which may hold commas."""
    found = []
    for part in re.split(r",(?![^\[]*\])", text[:_ROLE_MAX]):
        role = " ".join(_DETAIL.sub(" ", part).split()).casefold()
        if role:
            found.append((_ROLES.get(role, role), " ".join(_DETAIL.findall(part))))
    return found

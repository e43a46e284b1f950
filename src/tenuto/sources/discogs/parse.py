"""What a page of a dump says: artists by name; releases with their tracks and credits. Pure.

Ids are Discogs' own, as its texts write them: `a1` an artist, `r1` a release; `r1/3` is the third track of its list, since
tracks have no ids there. Labels and masters are kept as evidence alone: no table has a place for them.
"""

import re
from collections.abc import Iterator

from lxml import etree

from tenuto.model.answers import Answer
from tenuto.model.records import ProblemSeen, ReleaseSeen, Seen
from tenuto.sources import values
from tenuto.sources.discogs.people import artist_seen, named
from tenuto.sources.discogs.records import SAFE
from tenuto.sources.discogs.tracks import tracks_seen
from tenuto.sources.times import release_date
from tenuto.sources.values import Values

_TYPES = ("Compilation", "Mixtape", "Mini-Album", "EP", "Maxi-Single", "Single", "Album")
"""Of the words that describe a format, those that say what a release is; the narrower before the wider."""
_COPYRIGHT_C, _COPYRIGHT_P = "Copyright (c)", "Phonographic Copyright (p)"


def parse(answer: Answer) -> Iterator[Seen]:
    """The artists or releases of a page, a problem for each value that cannot be."""
    kind = answer.request.key.partition("?")[0]
    if kind not in {"artists", "releases"}:
        return
    try:
        page = etree.fromstring(answer.body, etree.XMLParser(**SAFE))
    except etree.XMLSyntaxError as error:
        yield ProblemSeen(code="answer-invalid", subject="page", message=f"no XML: {error}"[:200])
        return
    known = set[str]()
    for record in page:
        own_id = (record.get("id") or record.findtext("id") or "").strip()
        if not own_id.isdecimal():
            message = f"one of the {kind} without an id: {record.findtext('title') or record.findtext('name')}"
            yield ProblemSeen(code="record-invalid", subject=kind, message=message[:200])
        elif kind == "artists":
            yield artist_seen(record)
        else:
            yield from _release(f"r{own_id}", record, answer.fetched_at.year + 1, known)


def _release(release_id: str, record: etree._Element, year_max: int, known: set[str]) -> Iterator[Seen]:
    """A release with its tracks and whom they name; artists who are `known` were named on this page before."""
    read = Values(release_id)
    tracks = list(tracks_seen(release_id, record, read))
    for artist in named(record):
        if artist.artist_id not in known:
            known.add(artist.artist_id)
            yield artist
    yield ReleaseSeen(
        release_id=release_id,
        title=values.text(record.findtext("title")),
        release_type=_type(record),
        label=next((name for one in record.iterfind("labels/label") if (name := values.text(one.get("name")))), None),
        upc=_barcode(record),
        release_date=read.take("released", record.findtext("released"), lambda given: release_date(given, year_max)),
        copyright_c=_holders(record, _COPYRIGHT_C),
        copyright_p=_holders(record, _COPYRIGHT_P),
        tracks_count=len(tracks) or None,
        genres=_genres(record),
        artist_ids=tuple(artist_seen(one).artist_id for one in record.iterfind("artists/artist")),
    )
    yield from tracks
    yield from read.problems()


def _type(record: etree._Element) -> str | None:
    said = {one.text for one in record.iterfind("formats/format/descriptions/description")}
    return next((word.casefold() for word in _TYPES if word in said), None)


def _genres(record: etree._Element) -> tuple[str, ...]:
    found = (values.text(one.text) for path in ("genres/genre", "styles/style") for one in record.iterfind(path))
    return tuple(dict.fromkeys(filter(None, found)))


def _barcode(record: etree._Element) -> str | None:
    """The first barcode that is one; the field also holds what people read around it."""
    found = (one.get("value") for one in record.iterfind("identifiers/identifier") if one.get("type") == "Barcode")
    return next((code for given in found if (code := values.upc(re.sub(r"[^\d]", "", given or "")))), None)


def _holders(record: etree._Element, what: str) -> str | None:
    found = (one.findtext("name") for one in record.iterfind("companies/company")
             if one.findtext("entity_type_name") == what)  # fmt: skip
    return "; ".join(dict.fromkeys(filter(None, found))) or None

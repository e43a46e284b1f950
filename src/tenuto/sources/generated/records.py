"""Records of a page as the catalogue takes them."""

from collections.abc import Iterator

from tenuto.model.records import ArtistSeen, CreditSeen, ReleaseSeen, Seen, TrackSeen
from tenuto.sources import values
from tenuto.sources.generated.wire import Artist, Credit, Release, Track
from tenuto.sources.values import Values

LISTENS_SCOPE = "service"
"""Whose listens these are: everyone's."""

_PLACES_OF = {"year": 4, "month": 7, "day": 10}
_BLANK = "a name is blank"


def artist_seen(item: Artist) -> ArtistSeen:
    """An artist; raises ValueError where a name is blank."""
    _check_spoken(item.id, *item.genres)
    return ArtistSeen(artist_id=item.id, name=_said(item.name), genres=item.genres, popularity=item.popularity,
                      followers_count=item.followers)  # fmt: skip


def releases_seen(items: list[Release]) -> Iterator[Seen]:
    """Releases, and a problem for each value that cannot be; raises ValueError where a name is blank."""
    for item in items:
        _check_spoken(item.id, *item.artist_ids)
        read = Values(item.id)
        date = read.take("release_date", item.release_date, values.partial_date)
        places = read.take("release_date_precision", item.release_date_precision, _PLACES_OF.get)
        yield ReleaseSeen(
            release_id=item.id,
            title=_said(item.title),
            release_type=_said(item.type),
            label=_said(item.label),
            upc=read.take("upc", item.upc, values.upc),
            release_date=date[:places] if date else None,
            copyright_c=_said(item.copyright_c),
            copyright_p=_said(item.copyright_p),
            popularity=item.popularity,
            tracks_count=item.tracks_count,
            artist_ids=item.artist_ids,
        )
        yield from read.problems()


def tracks_seen(items: list[Track]) -> Iterator[TrackSeen]:
    """Tracks; raises ValueError where a name is blank.

    The hot path: credits that follow one another are mostly the same, and are then one object; so are languages.
    """
    known: dict[tuple[Credit, ...], tuple[CreditSeen, ...]] = {}
    spoken: set[tuple[str, ...]] = {()}
    for item in items:
        own_id, release_id, title, listens, languages = (
            item.id,
            item.release_id,
            item.title,
            item.listens,
            item.languages,
        )
        if own_id.isspace() or (release_id is not None and release_id.isspace()):
            raise ValueError(_BLANK)
        if (names := known.get(item.credits)) is None:
            for one in item.credits:
                _check_spoken(one.artist_id, one.role)
            names = tuple([CreditSeen(artist_id=one.artist_id, role=one.role) for one in item.credits])
            known[item.credits] = names
        if languages not in spoken:
            _check_spoken(*languages)
            spoken.add(languages)
        yield TrackSeen(
            track_id=own_id,
            title=None if title is None or not title or title.isspace() else title,
            release_id=release_id,
            disc_number=item.disc_number,
            track_number=item.track_number,
            duration_ms=item.duration_ms,
            is_explicit=item.explicit,
            isrc=item.isrc,
            popularity=item.popularity,
            listens_count=listens,
            listens_scope=None if listens is None else LISTENS_SCOPE,
            languages=languages,
            credits=names,
        )


def _check_spoken(*names: str) -> None:
    """Raise ValueError where a name is only white space: the page is then read with patience."""
    for name in names:
        if name.isspace():
            raise ValueError(_BLANK)


def _said(text: str | None) -> str | None:
    return text if text and not text.isspace() else None

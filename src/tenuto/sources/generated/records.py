"""Records of a page as the catalogue takes them, a column at a time."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any

from tenuto.model.columns import Columns, Lists, columns_of
from tenuto.model.records import ArtistSeen, MarketSetSeen, ReleaseSeen, TrackSeen
from tenuto.sources.generated.wire import Artist, Release, Track
from tenuto.sources.values import are_isrcs, are_upcs, partial_date

LISTENS_SCOPE = "service"
"""Whose listens these are: everyone's."""

PLACES_OF = {"year": 4, "month": 7, "day": 10}
"""Characters of a date that are known, by its precision."""


def artist_columns(items: Sequence[Artist]) -> Columns:
    """Artists; raises ValueError where a text is blank."""
    ids, names, genres, popularity, followers = _columns(items, "id", "name", "genres", "popularity", "followers")
    listed = _lists(genres)
    _check_spoken(ids, names, listed.texts)
    return columns_of(
        ArtistSeen,
        len(items),
        {"artist_id": ids, "name": names, "genres": listed, "popularity": popularity, "followers_count": followers},
    )


def release_columns(items: Sequence[Release]) -> Columns:
    """Releases; raises ValueError where a text is blank or a date cannot be."""
    ids, titles, types, labels, upcs, dates, precisions, c, p, popularity, tracks_count, artist_ids = _columns(
        items, "id", "title", "type", "label", "upc", "release_date", "release_date_precision", "copyright_c",
        "copyright_p", "popularity", "tracks_count", "artist_ids",
    )  # fmt: skip
    listed = _lists(artist_ids)
    _check_spoken(ids, titles, types, labels, c, p, listed.texts)
    _check(are_upcs(filter(None, upcs)), "a UPC")
    return columns_of(
        ReleaseSeen,
        len(items),
        {
            "release_id": ids, "title": titles, "release_type": types, "label": labels, "upc": upcs,
            "release_date": list(map(_known, dates, precisions)), "copyright_c": c, "copyright_p": p,
            "popularity": popularity, "tracks_count": tracks_count, "artist_ids": listed,
        },
    )  # fmt: skip


def track_columns(items: Sequence[Track], market_sets: Sequence[MarketSetSeen | None]) -> Columns:
    """Tracks; raises ValueError where a text is blank or a set of markets is not on the page.

    The hot path: most of a catalogue is tracks.
    """
    ids, titles, release_ids, discs, numbers, durations, explicit, isrcs, popularity, listens, languages, markets, credits_ = (
        _columns(items, "id", "title", "release_id", "disc_number", "track_number", "duration_ms", "explicit", "isrc",
                 "popularity", "listens", "languages", "markets", "credits")
    )  # fmt: skip
    names = list(chain.from_iterable(credits_))
    artists, roles = [one.artist_id for one in names], [one.role for one in names]
    counts, spoken = list(map(len, credits_)), _lists(languages)
    _check_spoken(ids, titles, release_ids, artists, roles, spoken.texts)
    _check(are_isrcs(filter(None, isrcs)), "an ISRC")
    return columns_of(
        TrackSeen,
        len(items),
        {
            "track_id": ids, "title": titles, "release_id": release_ids, "disc_number": discs, "track_number": numbers,
            "duration_ms": durations, "is_explicit": explicit, "isrc": isrcs, "popularity": popularity, "listens_count": listens,
            "listens_scope": [None if count is None else LISTENS_SCOPE for count in listens], "languages": spoken,
            "market_set_id": _ids_of(markets, market_sets), "credit_artists": Lists(counts, artists),
            "credit_roles": Lists(counts, roles),
        },
    )  # fmt: skip


def market_set_columns(market_sets: Iterable[MarketSetSeen | None]) -> Columns:
    """The sets of markets of a page, each once."""
    found = {one.market_set_id: one.markets for one in market_sets if one is not None}
    return columns_of(MarketSetSeen, len(found), {"market_set_id": list(found), "markets": list(found.values())})


def _columns(items: Sequence[Any], *names: str) -> tuple[tuple[Any, ...], ...]:
    return tuple(zip(*map(attrgetter(*names), items), strict=True))


def _lists(column: Sequence[tuple[str, ...]]) -> Lists:
    return Lists(list(map(len, column)), list(chain.from_iterable(column)))


def _ids_of(numbers: Sequence[int | None], market_sets: Sequence[MarketSetSeen | None]) -> list[int | None]:
    ids = [None if one is None else one.market_set_id for one in market_sets]
    try:
        return [None if number is None else ids[number] for number in numbers]
    except IndexError:
        raise ValueError("a set of markets is not on the page") from None


@lru_cache(maxsize=65_536)
def _known(text: str | None, precision: str | None) -> str | None:
    """As much of a date as its precision says."""
    places = PLACES_OF.get(precision or "day")
    _check(places is not None and (text is None or partial_date(text) == text), "a date")
    return text and text[:places]


def _check_spoken(*columns: Sequence[str | None]) -> None:
    """Refuse a text that is only white space."""
    _check(not any(map(str.isspace, filter(None, chain.from_iterable(columns)))), "a text")


def _check(is_well: bool, what: str) -> None:
    """Raise ValueError where something cannot be: the page is then read with patience."""
    if not is_well:
        raise ValueError(f"{what} on this page cannot be")

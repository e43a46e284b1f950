"""A page that is not as it should be, read record by record: what cannot be is a problem, never a guess."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from tenuto.model.columns import Columns, as_columns
from tenuto.model.records import CountSeen, MarketSetSeen, ProblemSeen
from tenuto.sources import values
from tenuto.sources.generated.records import (
    PLACES_OF,
    artist_columns,
    market_set_columns,
    release_columns,
    track_columns,
)
from tenuto.sources.generated.wire import UINT32_MAX, Artist, Credit, Release, Track
from tenuto.sources.values import DURATION_MAX_MS, Values

_TEXTS = ("title", "type", "label", "copyright_c", "copyright_p")

T = TypeVar("T")


def odd_columns(body: bytes) -> Iterator[Columns]:
    """A page that is not as it should be: its records as far as they can be read, then a problem for each value that cannot be."""
    try:
        document = json.loads(body.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        return as_columns([_of_page(f"no JSON: {error}"[:200])])
    if not isinstance(document, dict):
        return as_columns([_of_page(f"no object but {type(document).__name__}")])
    problems: list[ProblemSeen] = []
    read = Values("page")
    listed = read.take("market_sets", document.get("market_sets"), _list) or []
    market_sets = [_market_set(one, read) for one in listed]
    total = read.whole("total", document.get("total"))
    artists = list(_each("artists", document, problems, _odd_artist))
    releases = list(_each("releases", document, problems, _odd_release))
    tracks = list(_each("tracks", document, problems, partial(_odd_track, len(market_sets))))
    counts = [CountSeen(what="track", of="total", count=total)] if total is not None and tracks else []
    problems += read.problems()
    return chain(
        [market_set_columns(market_sets)] if any(market_sets) else [],
        [artist_columns(artists)] if artists else [],
        [release_columns(releases)] if releases else [],
        [track_columns(tracks, market_sets)] if tracks else [],
        as_columns([*counts, *problems]),
    )


def _of_page(message: str) -> ProblemSeen:
    return ProblemSeen(code="answer-invalid", subject="page", message=message)


def _each(
    name: str, document: dict[str, Any], problems: list[ProblemSeen], one: Callable[[str, dict[str, Any], Values], T]
) -> Iterator[T]:
    """The records of a list that have an id; what is wrong goes to `problems`."""
    listed = document.get(name)
    if listed is not None and not isinstance(listed, list):
        problems.append(_of_page(f"{name} is no list but {type(listed).__name__}"))
        return
    for item in listed or ():
        own_id = values.text(item.get("id")) if isinstance(item, dict) else None
        if own_id is None:
            message = f"a record of {name} without an id: {str(item)[:100]}"
            problems.append(ProblemSeen(code="record-invalid", subject=name, message=message))
            continue
        read = Values(own_id)
        yield one(own_id, item, read)
        problems += read.problems()


def _odd_artist(artist_id: str, item: dict[str, Any], read: Values) -> Artist:
    return Artist(
        artist_id,
        name=read.take("name", item.get("name"), _text),
        genres=_texts("genres", item, read),
        popularity=read.whole("popularity", item.get("popularity"), 0, 100),
        followers=read.whole("followers", item.get("followers")),
    )


def _odd_release(release_id: str, item: dict[str, Any], read: Values) -> Release:
    return Release(
        id=release_id,
        upc=read.take("upc", item.get("upc"), values.upc),
        release_date=read.take("release_date", item.get("release_date"), values.partial_date),
        release_date_precision=read.take("release_date_precision", item.get("release_date_precision"), _precision),
        popularity=read.whole("popularity", item.get("popularity"), 0, 100),
        tracks_count=read.whole("tracks_count", item.get("tracks_count"), 0, UINT32_MAX),
        artist_ids=_texts("artist_ids", item, read),
        **{name: read.take(name, item.get(name), _text) for name in _TEXTS},
    )


def _odd_track(market_sets_count: int, track_id: str, item: dict[str, Any], read: Values) -> Track:
    return Track(
        id=track_id,
        title=read.take("title", item.get("title"), _text),
        isrc=read.take("isrc", item.get("isrc"), values.isrc),
        duration_ms=read.whole("duration_ms", item.get("duration_ms"), 1, DURATION_MAX_MS),
        explicit=read.take("explicit", item.get("explicit"), _truth),
        popularity=read.whole("popularity", item.get("popularity"), 0, 100),
        listens=read.whole("listens", item.get("listens")),
        disc_number=read.whole("disc_number", item.get("disc_number"), 0, 9_999),
        track_number=read.whole("track_number", item.get("track_number"), 0, 99_999),
        release_id=read.take("release_id", item.get("release_id"), _text),
        credits=tuple(_odd_credits(item, read)),
        languages=_texts("languages", item, read),
        markets=read.whole("markets", item.get("markets"), 0, market_sets_count - 1),
    )


def _market_set(value: Any, read: Values) -> MarketSetSeen | None:
    """A set of markets; an empty one says something too."""
    return values.market_set(value) or read.take("a market set", value or repr(value), lambda _: None)


def _odd_credits(item: dict[str, Any], read: Values) -> Iterator[Credit]:
    listed = read.take("credits", item.get("credits"), _list) or []
    for one in listed:
        artist_id = values.text(one.get("artist_id")) if isinstance(one, dict) else None
        if artist_id is None:
            read.take("credit", str(one) or "nothing", lambda _: None)
        else:
            yield Credit(artist_id, read.take("role", one.get("role"), _text) or "artist")


def _texts(name: str, item: dict[str, Any], read: Values) -> tuple[str, ...]:
    """A list of texts; what is none in it is a problem and left out."""
    kept = []
    for one in read.take(name, item.get(name), _list) or []:
        text = values.text(one)
        if text is None:
            read.take(name, repr(one), lambda _: None)
        else:
            kept.append(text)
    return tuple(kept)


def _text(value: Any) -> str | None:
    return values.text(value)


def _precision(value: Any) -> str | None:
    return value if isinstance(value, str) and value in PLACES_OF else None


def _list(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None

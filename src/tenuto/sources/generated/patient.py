"""A page that is not as it should be, read record by record: what cannot be is a problem, never a guess."""

import json
from collections.abc import Iterator
from typing import Any

from tenuto.model.records import ArtistSeen, CountSeen, ProblemSeen, Seen
from tenuto.sources import values
from tenuto.sources.generated.records import releases_seen, tracks_seen
from tenuto.sources.generated.wire import UINT32_MAX, Credit, Release, Track
from tenuto.sources.values import DURATION_MAX_MS, Values

_TEXTS = ("title", "type", "label", "upc", "release_date", "release_date_precision", "copyright_c", "copyright_p")


def odd_records(body: bytes) -> Iterator[Seen]:
    """A page that is not as it should be: each record as far as it can be read, a problem for each value that cannot be."""
    try:
        document = json.loads(body.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        yield ProblemSeen(code="answer-invalid", subject="page", message=f"no JSON: {error}"[:200])
        return
    if not isinstance(document, dict):
        yield ProblemSeen(code="answer-invalid", subject="page", message=f"no object but {type(document).__name__}")
        return
    for name, one in (("artists", _odd_artist), ("releases", _odd_release), ("tracks", _odd_track)):
        listed = document.get(name)
        if listed is not None and not isinstance(listed, list):
            message = f"{name} is no list but {type(listed).__name__}"
            yield ProblemSeen(code="answer-invalid", subject="page", message=message)
            continue
        for item in listed or ():
            own_id = values.text(item.get("id")) if isinstance(item, dict) else None
            if own_id is None:
                message = f"a record of {name} without an id: {str(item)[:100]}"
                yield ProblemSeen(code="record-invalid", subject=name, message=message)
                continue
            read = Values(own_id)
            yield from one(own_id, item, read)
            yield from read.problems()
    read = Values("page")
    total = read.whole("total", document.get("total"))
    if total is not None and document.get("tracks"):
        yield CountSeen(what="track", of="total", count=total)
    yield from read.problems()


def _odd_artist(artist_id: str, item: dict[str, Any], read: Values) -> Iterator[Seen]:
    yield ArtistSeen(
        artist_id=artist_id,
        name=read.take("name", item.get("name"), _text),
        genres=_texts("genres", item, read),
        popularity=read.whole("popularity", item.get("popularity"), 0, 100),
        followers_count=read.whole("followers", item.get("followers")),
    )


def _odd_release(release_id: str, item: dict[str, Any], read: Values) -> Iterator[Seen]:
    given = {name: read.take(name, item.get(name), _text) for name in _TEXTS}
    yield from releases_seen([Release(
        id=release_id,
        popularity=read.whole("popularity", item.get("popularity"), 0, 100),
        tracks_count=read.whole("tracks_count", item.get("tracks_count"), 0, UINT32_MAX),
        artist_ids=_texts("artist_ids", item, read),
        **given,
    )])  # fmt: skip


def _odd_track(track_id: str, item: dict[str, Any], read: Values) -> Iterator[Seen]:
    yield from tracks_seen([Track(
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
    )])  # fmt: skip


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


def _list(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None

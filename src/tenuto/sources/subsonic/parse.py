"""What Subsonic replies mean: pure, so that evidence can be read again years later."""

from collections.abc import Iterator
from typing import Any

from tenuto.audio import is_lossless_suffix
from tenuto.model.answers import Answer
from tenuto.model.records import (
    ArtistSeen,
    CountSeen,
    CreditSeen,
    OfferSeen,
    ProblemSeen,
    RankSeen,
    ReleaseSeen,
    Seen,
    TrackSeen,
)
from tenuto.model.text import fold
from tenuto.sources import values
from tenuto.sources.subsonic.replies import artists_in, call_of, document_of, objects, texts
from tenuto.sources.values import Values

_CODECS = {"mp3": "mp3", "flac": "flac", "ogg": "vorbis", "oga": "vorbis", "opus": "opus", "wav": "pcm", "aiff": "pcm",
           "aif": "pcm", "wv": "wavpack", "ape": "ape", "wma": "wma", "mpc": "musepack"}  # fmt: skip


def parse(answer: Answer) -> Iterator[Seen]:
    """What an answer says of artists, albums, songs, ranks and counts."""
    call, query = call_of(answer.request.key)
    document = document_of(answer.body)
    if call == "getArtists":
        for artist in artists_in(document):
            yield from _artist(artist)
    elif call == "getArtist":
        yield from _artist(document.get("artist"))
        yield from (seen for album in objects(document.get("artist"), "album") for seen in _album(album))
    elif call == "getAlbumList2" and query.get("type") == "frequent":
        for number, album in enumerate(objects(document.get("albumList2"), "album"), int(query["offset"]) + 1):
            if values.text(album.get("id")):
                yield RankSeen(listens_rank=number, release_id=str(album["id"]))
    elif call == "getAlbumList2":
        yield from (seen for album in objects(document.get("albumList2"), "album") for seen in _album(album))
    elif call == "getAlbum":
        yield from _album(document.get("album"), is_whole=True)
        yield from (seen for song in objects(document.get("album"), "song") for seen in _song(song))
    elif call == "search3":
        yield from (seen for song in objects(document.get("searchResult3"), "song") for seen in _song(song))
    elif call == "getScanStatus":
        count = values.Values("scan status").whole(
            "count", next((s.get("count") for s in objects(document, "scanStatus")), None)
        )
        if count:
            yield CountSeen(what="track", of="scan status", count=count)


def _artist(item: Any) -> Iterator[Seen]:
    artist_id = values.text(item.get("id")) if isinstance(item, dict) else None
    if artist_id is None:
        yield ProblemSeen(
            code="record-invalid", subject="artist", message=f"an artist without an id: {str(item)[:100]}"
        )
        return
    read = Values(artist_id)
    yield ArtistSeen(
        artist_id=artist_id,
        name=values.text(item.get("name")),
        sort_name=values.text(item.get("sortName")),
        releases_count=read.whole("albumCount", item.get("albumCount"), 0, 2**32 - 1),
        artist_id_musicbrainz=read.take("musicBrainzId", item.get("musicBrainzId"), values.mbid),
    )
    yield from read.problems()


def _album(item: Any, *, is_whole: bool = False) -> Iterator[Seen]:
    release_id = values.text(item.get("id")) if isinstance(item, dict) else None
    if release_id is None:
        yield ProblemSeen(code="record-invalid", subject="album", message=f"an album without an id: {str(item)[:100]}")
        return
    read = Values(release_id)
    credits_seen = list(_credits(item, "artists", "artistId", "artist"))
    yield from (ArtistSeen(artist_id=artist, name=name) for artist, name in credits_seen)
    count = read.whole("songCount", item.get("songCount"), 0, 2**32 - 1)
    yield ReleaseSeen(
        release_id=release_id,
        title=values.text(item.get("name")) or values.text(item.get("album")) or values.text(item.get("title")),
        release_type=", ".join(kind for kind in texts(item.get("releaseTypes"))) or None,
        label=next((name for label in objects(item, "recordLabels") if (name := values.text(label.get("name")))), None),
        release_date=read.take("releaseDate", _item_date(item), values.partial_date),
        tracks_count=count,
        release_id_musicbrainz=read.take("musicBrainzId", item.get("musicBrainzId"), values.mbid),
        genres=_genres(item),
        artist_ids=tuple(artist for artist, _ in credits_seen),
    )
    if is_whole and count is not None:
        yield CountSeen(what="track", of=f"album {release_id}", count=count)
    yield from read.problems()


def _song(item: dict[str, Any]) -> Iterator[Seen]:
    track_id = values.text(item.get("id"))
    if track_id is None:
        yield ProblemSeen(code="record-invalid", subject="song", message=f"a song without an id: {str(item)[:100]}")
        return
    if item.get("isDir") is True or item.get("isVideo") is True:
        return
    read = Values(track_id)
    credits_seen = list(_credits(item, "artists", "artistId", "artist"))
    others = [(a["artist"], role) for a in objects(item, "contributors")
              if (role := values.text(a.get("role"))) and isinstance(a.get("artist"), dict)]  # fmt: skip
    yield from (ArtistSeen(artist_id=artist, name=name) for artist, name in credits_seen)
    for artist, _ in others:
        yield from _artist(artist)
    seconds = read.whole("duration", item.get("duration"), 0, values.DURATION_MAX_MS // 1000)
    listens = read.whole("playCount", item.get("playCount"))
    yield TrackSeen(
        track_id=track_id,
        title=values.text(item.get("title")),
        release_id=values.text(item.get("albumId")),
        disc_number=read.whole("discNumber", item.get("discNumber"), 0, 9999),
        track_number=read.whole("track", item.get("track"), 0, 99_999),
        duration_ms=seconds * 1000 if seconds else None,
        is_explicit={"explicit": True, "clean": False}.get(str(item.get("explicitStatus"))),
        isrc=read.take("isrc", item.get("isrc"), values.isrc),
        recording_id_musicbrainz=read.take("musicBrainzId", item.get("musicBrainzId"), values.mbid),
        listens_count=listens,
        listens_scope="user" if listens is not None else None,
        genres=_genres(item),
        credits=(*(CreditSeen(artist_id=artist) for artist, _ in credits_seen),
                 *(CreditSeen(artist_id=str(a["id"]), role=role) for a, role in others if values.text(a.get("id")))),
        offer=_offer(track_id, item, read),
    )  # fmt: skip
    yield from read.problems()


def _offer(track_id: str, item: dict[str, Any], read: Values) -> OfferSeen:
    suffix = (values.text(item.get("suffix")) or "").casefold()
    rate = read.whole("bitRate", item.get("bitRate"), 0, 100_000)
    return OfferSeen(
        fetch_id=track_id,
        path=values.text(item.get("path")),
        bytes=read.whole("size", item.get("size")),
        mime=values.text(item.get("contentType")),
        codec=_CODECS.get(suffix),
        bit_rate_bps=rate * 1000 if rate else None,
        sample_rate_hz=read.whole("samplingRate", item.get("samplingRate"), 0, 2**32 - 1),
        channels_count=read.whole("channelCount", item.get("channelCount"), 0, 1024),
        is_lossless=is_lossless_suffix(suffix),
    )


def _credits(item: dict[str, Any], many: str, one_id: str, one_name: str) -> Iterator[tuple[str, str | None]]:
    """The artists of an album or song, in order: the OpenSubsonic list, else the single field, else the bare name."""
    listed = [(str(a["id"]), values.text(a.get("name"))) for a in objects(item, many) if values.text(a.get("id"))]
    name = values.text(item.get(one_name))
    if listed:
        yield from listed
    elif values.text(item.get(one_id)):
        yield str(item[one_id]), name
    elif name:
        yield f"name:{fold(name)}", name


def _genres(item: dict[str, Any]) -> tuple[str, ...]:
    listed = tuple(name for genre in objects(item, "genres") if (name := values.text(genre.get("name"))))
    single = values.text(item.get("genre"))
    return listed or ((single,) if single else ())


def _item_date(item: dict[str, Any]) -> str | None:
    """The date of an album as far as it is known."""
    for name in ("releaseDate", "originalReleaseDate"):
        parts = item.get(name)
        if isinstance(parts, dict) and parts.get("year"):
            return "-".join(f"{parts[part]:0{width}}" for part, width in (("year", 4), ("month", 2), ("day", 2))
                            if isinstance(parts.get(part), int))  # fmt: skip
    year = item.get("year")
    return f"{year:04}" if isinstance(year, int) and year else values.text(year)

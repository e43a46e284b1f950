"""What a listing, a file's blocks or a licence file says: pure, so that evidence can be read again years later."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tenuto.audio import SparseFile, Tags, sniff
from tenuto.evidence import unpack_spans
from tenuto.model.answers import Answer
from tenuto.model.errors import IntegrityError
from tenuto.model.records import (
    ArtistSeen,
    CreditSeen,
    LicenceFileSeen,
    OfferSeen,
    ProblemSeen,
    ReleaseSeen,
    Seen,
    TrackSeen,
)
from tenuto.model.text import fold
from tenuto.rights import read_licence
from tenuto.sources import values
from tenuto.sources.folder.blocks import BLOCKS_MAX_BYTES, read_blocks
from tenuto.sources.folder.listing import Entry, read_listing
from tenuto.sources.values import Values

_DISC_FOLDER = re.compile(r"(?:cd|dis[ck])[ _-]*\d{1,2}", re.IGNORECASE)
_ROLES = (("artist", "artist"), ("composer", "composer"), ("lyricist", "lyricist"), ("conductor", "conductor"),
          ("performer", "performer"), ("remixer", "remixer"))  # fmt: skip


def parse(answer: Answer) -> Iterator[Seen]:
    """What a listing, a file's blocks or a licence file says."""
    role, _, path = answer.request.key.partition("/")
    if role == "listing":
        for entry in read_listing(answer.body):
            yield from _listing_problems(entry)
    elif role == "licence":
        yield LicenceFileSeen(path=path, text=answer.body.decode("utf-8", "replace"))
    elif role == "audio":
        yield from _parse_audio(path, answer.body)


def _listing_problems(entry: Entry) -> Iterator[Seen]:
    if entry.problem:
        yield ProblemSeen(code="file-unreadable", subject=entry.path, message=entry.problem)
    elif entry.role == "audio" and entry.bytes == 0:
        yield ProblemSeen(
            code="file-empty", subject=entry.path, message="it has zero bytes, so there is no music in it"
        )


def _parse_audio(path: str, body: bytes) -> Iterator[Seen]:
    try:
        spans, size = unpack_spans(body)
    except IntegrityError as error:
        yield ProblemSeen(code="tags-unreadable", subject=path, message=str(error))
        return
    file = SparseFile([(span.offset, span.content) for span in spans], size, PurePosixPath(path).name)
    tags, truncation = read_blocks(file, size)
    if tags is None:
        yield ProblemSeen(
            code="file-not-audio", subject=path, message="it is named like audio, but no tag reader knows what it is"
        )
        return
    if tags.problem and sniff(file.read_at(0, 16)) is None:
        yield ProblemSeen(
            code="file-not-audio", subject=path, message=f"it is named like audio, but begins {file.read_at(0, 16)!r}"
        )
        return
    if tags.problem:
        yield ProblemSeen(code="tags-unreadable", subject=path, message=tags.problem)
    elif truncation:
        yield ProblemSeen(code="file-truncated", subject=path, message=truncation)
    if sum(len(span.content) for span in spans) > BLOCKS_MAX_BYTES:
        yield ProblemSeen(
            code="tags-cut", subject=path, message=f"its tag blocks are larger than {BLOCKS_MAX_BYTES} bytes"
        )
    yield from _records(path, size, tags)


def _records(path: str, size: int, tags: Tags) -> Iterator[Seen]:
    read = Values(path)
    credits_seen: list[CreditSeen] = []
    for field, role in _ROLES:
        people = _people(tags, field)
        yield from people
        credits_seen += [CreditSeen(artist_id=person.artist_id, role=role) for person in people]
    release = _release(path, tags, read)
    if release is not None:
        yield from _people(tags, "albumartist")
        yield release
    yield TrackSeen(
        track_id=path,
        title=tags.first("title"),
        release_id=release.release_id if release else None,
        disc_number=read.whole("disc number", values.first_number(tags.first("discnumber")), 0, 9999),
        track_number=read.whole("track number", values.first_number(tags.first("tracknumber")), 0, 99_999),
        duration_ms=read.whole("duration_ms", tags.duration_ms, 1, values.DURATION_MAX_MS),
        is_explicit={"1": True, "4": True, "0": None, "2": False}.get(tags.first("advisory") or ""),
        isrc=read.take("isrc", tags.all("isrc"), values.isrc),
        recording_id_musicbrainz=read.take("musicbrainz_trackid", tags.first("musicbrainz_trackid"), values.mbid),
        genres=tags.all("genre"),
        languages=tags.all("language"),
        licence_text=_licence_text(tags),
        attribution=tags.first("copyright"),
        credits=tuple(credits_seen),
        offer=OfferSeen(
            fetch_id=path,
            path=path,
            bytes=size,
            mime=tags.mime,
            codec=tags.codec,
            bit_rate_bps=read.whole("bit rate", tags.bit_rate_bps, 1, 2**32 - 1),
            sample_rate_hz=read.whole("sample rate", tags.sample_rate_hz, 1, 2**32 - 1),
            channels_count=read.whole("channels", tags.channels_count, 1, 2**16 - 1),
            is_lossless=tags.is_lossless,
        ),
    )
    yield from read.problems()


def _people(tags: Tags, field: str) -> list[ArtistSeen]:
    """The names in a field; by their MusicBrainz ids where there are as many, else by the folded name."""
    names, ids = tags.all(field), tags.all(f"musicbrainz_{field}id")
    sort_names = tags.all(f"{field}sort")
    people = []
    for number, name in enumerate(names):
        mbid = values.mbid(ids[number]) if len(ids) == len(names) else None
        sort_name = sort_names[number] if len(sort_names) == len(names) else None
        people.append(
            ArtistSeen(
                artist_id=mbid or f"name:{fold(name)}", name=name, sort_name=sort_name, artist_id_musicbrainz=mbid
            )
        )
    return people


def _licence_text(tags: Tags) -> str | None:
    """The licence tag word for word; a copyright tag only where it names a licence, since most name only a holder."""
    said = (*tags.all("licence"), *(text for text in tags.all("copyright") if read_licence(text)))
    return next((text for text in said if read_licence(text)), said[0] if said else None)


def _release(path: str, tags: Tags, read: Values) -> ReleaseSeen | None:
    """The release that a file says it is of; a file without an album tag is of none."""
    title = tags.first("album")
    if title is None:
        return None
    mbid = read.take("musicbrainz_albumid", tags.first("musicbrainz_albumid"), values.mbid)
    folder = PurePosixPath(path).parent
    folder = folder.parent if _DISC_FOLDER.fullmatch(folder.name) else folder
    date = next((d for n in ("date", "releasedate", "originaldate") if (d := tags.first(n))), None)
    return ReleaseSeen(
        release_id=mbid or f"{folder}/{fold(title)}",
        title=title,
        release_type=tags.first("releasetype"),
        label=tags.first("label"),
        upc=read.take("barcode", tags.first("barcode"), values.upc),
        release_date=read.take("date", date, values.partial_date),
        copyright_c=tags.first("copyright"),
        release_id_musicbrainz=mbid,
        artist_ids=tuple(person.artist_id for person in _people(tags, "albumartist")),
    )

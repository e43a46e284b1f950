"""The envelope of Subsonic replies and the request that each answers; tolerant of what servers really send."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tenuto.sources import values

_NAMES = """
    ok failed json subsonic-response status version type serverVersion openSubsonic error code message helpUrl scanStatus
    scanning count folderCount artists artist index ignoredArticles albumList2 album searchResult3 song id name title
    sortName albumCount songCount coverArt artistImageUrl musicBrainzId roles artistId albumId albumArtists displayArtist
    displayAlbumArtist displayComposer contributors role subRole isrc year genre genres duration size contentType suffix
    path parent isDir isVideo mediaType bitRate bitDepth samplingRate channelCount track discNumber discTitles disc
    playCount created explicitStatus comment bpm moods replayGain trackGain albumGain trackPeak albumPeak baseGain
    fallbackGain recordLabels releaseTypes releaseDate originalReleaseDate month day isCompilation true false null
"""
WORDS = frozenset(_NAMES.split())
"""Names and fixed values that replies are made of (opensubsonic.netlify.app): they say nothing of a login."""


def call_of(key: str) -> tuple[str, dict[str, str]]:
    """The call and its query, from a request's key."""
    call, _, query = key.partition("?")
    return call, {name: found[0] for name, found in parse_qs(query, keep_blank_values=True).items()}


def envelope(body: bytes) -> dict[str, Any] | None:
    """What stands in `subsonic-response`, or None where the body is no such reply."""
    try:
        document = _decode(body)
    except (ValueError, RecursionError):
        return None
    reply = document.get("subsonic-response") if isinstance(document, dict) else None
    return reply if isinstance(reply, dict) else None


def xml_error(head: bytes) -> bytes | None:
    """An error that came in XML, though JSON was asked for, as the JSON that it should have been; None where it is none."""
    if b"<subsonic-response" not in head[:1000]:
        return None
    found = re.search(rb'<error[^>]*?code="(\d{1,4})"', head)
    message = re.search(rb'<error[^>]*?message="([^"]{0,300})"', head)
    error = {"code": int(found[1]) if found else 0, "message": message[1].decode("utf-8", "replace") if message else ""}
    return json.dumps({"subsonic-response": {"status": "failed", "error": error}}).encode()


def _decode(body: bytes) -> Any:
    """JSON; the slower, more patient reader where a server sends lone surrogates or broken UTF-8 inside it."""
    try:
        return msgspec.json.decode(body)
    except ValueError:
        return json.loads(body.decode("utf-8", "replace"), strict=False)


def document_of(body: bytes) -> dict[str, Any]:
    """The envelope, empty where there is none."""
    return envelope(body) or {}


def code_in(reply: dict[str, Any]) -> int | None:
    """The code of the error in a reply, also where it is written as text; None where there is none."""
    error = reply.get("error")
    return values.Values("error").whole("code", error.get("code")) if isinstance(error, dict) else None


def artists_in(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The artists of `getArtists`, out of their alphabetical index."""
    for index in objects(document.get("artists"), "index"):
        yield from objects(index, "artist")


def objects(holder: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list field; servers that turn XML into JSON give a lone object instead of a list of one."""
    found = holder.get(name) if isinstance(holder, dict) else None
    found = [found] if isinstance(found, dict) else found
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def texts(found: Any) -> list[str]:
    """The texts in a list field."""
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []

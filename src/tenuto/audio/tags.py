"""Tags and header of an audio file by mutagen, under one set of names whatever the container calls them.

Names: ID3v2.4 frames (id3.org), MP4 atoms and Vorbis comments as MusicBrainz Picard maps them
(picard-docs.musicbrainz.org, "Tag Mapping"), which is what most libraries were tagged with.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import mutagen
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2, APEv2File
from mutagen.id3 import ID3
from mutagen.mp4 import MP4

from tenuto.audio import ogg
from tenuto.audio.blocks import TouchedFile
from tenuto.audio.formats import LOSSLESS_CODECS, sniff
from tenuto.audio.riff import info_fields

_ID3 = {
    "TIT2": "title", "TPE1": "artist", "TPE2": "albumartist", "TALB": "album", "TRCK": "tracknumber",
    "TPOS": "discnumber", "TDRC": "date", "TDRL": "releasedate", "TSRC": "isrc", "TPUB": "label", "TLAN": "language",
    "TCOP": "copyright", "WCOP": "licence", "TCOM": "composer", "TEXT": "lyricist", "TPE3": "conductor",
    "TPE4": "remixer", "TSOP": "artistsort", "TXXX:BARCODE": "barcode", "TXXX:UPC": "barcode",
    "TXXX:LICENSE": "licence", "TXXX:LICENCE": "licence", "TXXX:MusicBrainz Album Id": "musicbrainz_albumid",
    "TXXX:MusicBrainz Artist Id": "musicbrainz_artistid", "TXXX:MusicBrainz Album Type": "releasetype",
    "TXXX:ITUNESADVISORY": "advisory", "TXXX:MusicBrainz Album Artist Id": "musicbrainz_albumartistid",
}  # fmt: skip
_MP4 = {
    "\xa9nam": "title", "\xa9ART": "artist", "aART": "albumartist", "\xa9alb": "album", "trkn": "tracknumber",
    "disk": "discnumber", "\xa9day": "date", "\xa9gen": "genre", "cprt": "copyright", "\xa9wrt": "composer",
    "soar": "artistsort", "rtng": "advisory", "isrc": "isrc", "label": "label", "barcode": "barcode",
    "license": "licence", "language": "language", "conductor": "conductor", "lyricist": "lyricist",
    "remixer": "remixer", "musicbrainz track id": "musicbrainz_trackid", "musicbrainz album id": "musicbrainz_albumid",
    "musicbrainz artist id": "musicbrainz_artistid", "musicbrainz album artist id": "musicbrainz_albumartistid",
    "musicbrainz album type": "releasetype",
}  # fmt: skip
_PLAIN = {
    "license": "licence", "organization": "label", "publisher": "label", "upc": "barcode", "ean/upn": "barcode",
    "track": "tracknumber", "disc": "discnumber", "disk": "discnumber", "year": "date", "album artist": "albumartist",
    "composer": "composer", "itunesadvisory": "advisory", "album_artist": "albumartist", "originaldate": "originaldate",
    "musicbrainz_albumtype": "releasetype",
}  # fmt: skip
_WAVE_PCM = frozenset({1, 3, 0xFFFE})
"""Format tags of RIFF/WAVE that hold PCM: integer, float, extensible (RFC 2361)."""
_OGG_CODECS = frozenset({"vorbis", "opus", "speex"})
_SUFFIXES = {"flac": "flac", "ogg": "ogg", "wav": "wav", "aiff": "aiff", "mp4": "m4a", "wavpack": "wv", "ape": "ape",
             "musepack": "mpc", "dsf": "dsf"}  # fmt: skip
"""What a container is named like; an ID3 tag stands before several kinds, of which the name then says which."""

_PICTURES = frozenset({"metadata_block_picture", "coverart", "coverartmime"})
"""Vorbis comments that hold a picture in base64: no text, and megabytes of it."""

_FREEFORM = "----:com.apple.iTunes:"
_MUSICBRAINZ_OWNER = "UFID:http://musicbrainz.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a file says of itself: header facts (None where it says nothing) and tag values in their order."""

    codec: str
    is_lossless: bool
    mime: str
    duration_ms: int | None = None
    bit_rate_bps: int | None = None
    sample_rate_hz: int | None = None
    channels_count: int | None = None
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""

    def first(self, name: str) -> str | None:
        """The first value of a field that is not blank."""
        return next((value for value in self.fields.get(name, ()) if value.strip()), None)

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a field that are not blank."""
        return tuple(value for value in self.fields.get(name, ()) if value.strip())


def read_tags(file: TouchedFile) -> Tags | None:
    """The tags of an open file (it needs `read`, `seek`, `tell` and `name`), or None where it is not known as audio.

    What its first bytes announce goes before its name. A file that is known but cannot be parsed has `problem` and no
    fields.
    """
    file.seek(0)
    container = sniff(file.read(16))
    file.seek(0)
    name = file.name
    try:
        file.name = f"x.{_SUFFIXES[container]}" if container in _SUFFIXES else name
        parsed = mutagen.File(file)
        return None if parsed is None or parsed.info is None else _tags(parsed, file)
    except Exception as error:  # noqa: BLE001 -- a plug-in call on hostile bytes: it raises whatever its parsers raise
        if container is None:
            return None
        return Tags(codec="unknown", is_lossless=False, mime="application/octet-stream", problem=_first_line(error))
    finally:
        file.name = name


def _tags(parsed: Any, file: TouchedFile) -> Tags:
    info = parsed.info
    codec = _codec(parsed)
    length_s = getattr(info, "length", None)
    length_ms = ogg.duration_ms(file, file.size) if codec in _OGG_CODECS else None
    return Tags(
        codec=codec,
        is_lossless=codec in LOSSLESS_CODECS,
        mime=parsed.mime[0],
        duration_ms=length_ms or (round(length_s * 1000) if length_s else None),
        bit_rate_bps=int(getattr(info, "bitrate", 0) or 0) or None,
        sample_rate_hz=int(getattr(info, "sample_rate", 0) or 0) or None,
        channels_count=int(getattr(info, "channels", 0) or 0) or None,
        fields={**(info_fields(file) if codec == "pcm" else {}), **_fields(parsed, file)},
    )


def _codec(parsed: Any) -> str:
    name = type(parsed).__name__
    if isinstance(parsed, MP4):
        return "alac" if str(getattr(parsed.info, "codec", "")) == "alac" else "aac"
    if name == "MP3":
        return f"mp{parsed.info.layer}"
    if name == "WAVE":
        form = parsed.info.audio_format
        return "pcm" if form in _WAVE_PCM else f"wav-{form:#06x}"
    if isinstance(parsed, AIFF):
        return "pcm"
    known = {"FLAC": "flac", "OggFLAC": "flac", "OggVorbis": "vorbis", "OggOpus": "opus", "OggSpeex": "speex",
             "WavPack": "wavpack", "MonkeysAudio": "ape", "Musepack": "musepack", "TrueAudio": "tta", "ASF": "wma",
             "DSF": "dsd", "DSDIFF": "dsd", "OggTheora": "theora", "AAC": "aac", "AC3": "ac3"}  # fmt: skip
    return known.get(name, name.casefold())


def _fields(parsed: Any, file: TouchedFile) -> dict[str, tuple[str, ...]]:
    tags = parsed.tags
    if tags is None and type(parsed).__name__ == "MP3":
        tags = _ape_tags(file)
    pairs: Iterable[tuple[str, list[str]]]
    if tags is None:
        pairs = ()
    elif isinstance(tags, ID3):
        pairs = _id3_pairs(tags)
    elif isinstance(parsed, MP4):
        pairs = _mp4_pairs(tags)
    else:
        pairs = ((_plain(key), _texts(value)) for key, value in _items(tags))
    fields: dict[str, tuple[str, ...]] = {}
    for name, values in pairs:
        if name in _PICTURES:
            continue
        fields[name] = fields.get(name, ()) + tuple(value for value in values if value not in fields.get(name, ()))
    return fields


def _ape_tags(file: TouchedFile) -> APEv2 | None:
    """MP3 files may carry an APEv2 tag and no ID3."""
    try:
        file.seek(0)
        return APEv2File(file).tags  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 -- a plug-in call on hostile bytes; no such tag is no fault
        return None


def _id3_pairs(tags: ID3) -> Iterable[tuple[str, list[str]]]:
    for frame in tags.values():  # type: ignore[no-untyped-call]
        key = frame.HashKey
        if key == "TCON":
            yield "genre", list(frame.genres)
        elif key.startswith(_MUSICBRAINZ_OWNER):
            yield "musicbrainz_trackid", [frame.data.decode("ascii", "replace")]
        elif key.split(":")[0] == "WCOP":
            yield "licence", [frame.url]
        elif key in _ID3:
            yield _ID3[key], [str(text) for text in frame.text]
        elif key.upper() in {"TXXX:LICENSE", "TXXX:LICENCE"}:
            yield "licence", [str(text) for text in frame.text]


def _mp4_pairs(tags: Any) -> Iterable[tuple[str, list[str]]]:
    for key, values in tags.items():
        name = _MP4.get(key) or _MP4.get(key.removeprefix(_FREEFORM).casefold())
        if name:
            yield name, [_mp4_text(value) for value in (values if isinstance(values, list) else [values])]


def _mp4_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value if part)
    return bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


def _plain(key: str) -> str:
    folded = key.casefold()
    return _PLAIN.get(folded, folded)


def _items(tags: Any) -> Iterable[tuple[str, Any]]:
    """Pairs of a Vorbis comment (a list that repeats keys) or of an APEv2 or ASF tag (a mapping)."""
    return list(tags) if isinstance(tags, list) else list(tags.items())


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    try:
        return [str(part) for part in value]
    except TypeError:
        return [str(value)]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]

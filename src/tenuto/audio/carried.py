"""What a derivative carries of the original's tags: Vorbis comments and pictures, whatever the container called them.

Names: as MusicBrainz Picard maps them (picard-docs.musicbrainz.org, "Tag Mapping"); pictures as the FLAC picture block in
base64 (wiki.xiph.org/VorbisComment). Loudness tags stay behind: they were measured on other samples.
"""

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mutagen
from mutagen.flac import Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4Tags

from tenuto.audio.blocks import TouchedFile
from tenuto.audio.tags import read_tags

_NAMES = {"licence": "LICENSE", "label": "ORGANIZATION", "advisory": "ITUNESADVISORY"}
_LEFT_BEHIND = ("replaygain_", "r128_", "itunnorm", "itunsmpb", "encod", "waveformatextensible", "cuesheet")
_MUSICBRAINZ_NAMES = {"MUSICBRAINZ_ALBUMTYPE": "RELEASETYPE", "MUSICBRAINZ_ALBUMSTATUS": "RELEASESTATUS",
                      "MUSICBRAINZ_ALBUMRELEASECOUNTRY": "RELEASECOUNTRY"}  # fmt: skip
_TOTALS = {"TRACKNUMBER": "TRACKTOTAL", "DISCNUMBER": "DISCTOTAL"}
_FREEFORM = "----:com.apple.iTunes:"
_PICTURE = "METADATA_BLOCK_PICTURE"
_FRONT_COVER = 3
_IMAGES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n", "image/png"), (b"GIF8", "image/gif"))
_COMMENT_NAME = re.compile(r"[\x20-\x3c\x3e-\x7d]+")
"""RFC 7845 takes Vorbis I, 5.2.2: ASCII from 0x20 to 0x7D without "="."""

Comments = list[tuple[str, str]]


def carried_comments(original: Path) -> Comments:
    """Pairs of name and value in the order of the original's tags, pictures last; none where no tag can be read.

    Raises `OSError` where the file cannot be read.
    """
    with original.open("rb") as file:
        view = TouchedFile(file, original.stat().st_size, original.name)
        tags = read_tags(view)
        fields = tags.fields if tags else {}
        view.seek(0)
        raw = _raw_tags(view)
    pairs = [(_name(name), value) for name, values in fields.items() for value in values]
    pairs = [*pairs, *_musicbrainz(raw), *_remarks(raw)]
    texts = dict.fromkeys(part for name, value in pairs if _is_carried(name, value) for part in _split(name, value))
    return [*texts, *((_PICTURE, picture) for picture in _pictures(raw))]


def _raw_tags(view: TouchedFile) -> Any:
    try:
        parsed = mutagen.File(view)
    except Exception:  # noqa: BLE001 -- a plug-in call on hostile bytes: it raises whatever its parsers raise
        return None
    return None if parsed is None else (parsed if getattr(parsed, "pictures", None) else parsed.tags)


def _name(field: str) -> str:
    return _NAMES.get(field, field.upper())


def _is_carried(name: str, value: str) -> bool:
    return bool(value.strip()) and bool(_COMMENT_NAME.fullmatch(name)) and not name.casefold().startswith(_LEFT_BEHIND)


def _split(name: str, value: str) -> Comments:
    """The one or two comments of a value: "3/12" of a track number is two."""
    number, slash, total = value.partition("/")
    if name in _TOTALS and slash and number.isdecimal() and total.isdecimal():
        return [(name, number), (_TOTALS[name], total)]
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return [(name, clean)]


def _musicbrainz(raw: Any) -> Iterable[tuple[str, str]]:
    """Identifiers that ID3 and MP4 keep under a spelled-out name ("MusicBrainz Release Group Id")."""
    if isinstance(raw, ID3):
        for frame in _frames(raw, "TXXX"):
            yield from ((_spelled(frame.desc), str(text)) for text in frame.text if _is_spelled(frame.desc))
    elif isinstance(raw, MP4Tags):
        for key, values in _atoms(raw).items():
            desc = key.removeprefix(_FREEFORM)
            if key.startswith(_FREEFORM) and _is_spelled(desc):
                yield from ((_spelled(desc), bytes(value).decode("utf-8", "replace")) for value in values)


def _frames(tags: Any, kind: str) -> list[Any]:
    return list(tags.getall(kind))


def _atoms(tags: Any) -> dict[str, Any]:
    return dict(tags)


def _is_spelled(desc: str) -> bool:
    return desc.casefold().startswith("musicbrainz ")


def _spelled(desc: str) -> str:
    plain = "MUSICBRAINZ_" + desc[len("musicbrainz ") :].replace(" ", "").upper()
    return _MUSICBRAINZ_NAMES.get(plain, plain)


def _remarks(raw: Any) -> Iterable[tuple[str, str]]:
    if isinstance(raw, ID3):
        for frame in _frames(raw, "COMM"):
            if not frame.desc:  # a described one is a program's own (iTunNORM, ID3v1 Comment)
                yield from (("COMMENT", str(text)) for text in frame.text)
    elif isinstance(raw, MP4Tags):
        yield from (("COMMENT", str(value)) for value in _atoms(raw).get("\xa9cmt", ()))


def _pictures(raw: Any) -> Iterable[str]:
    """Picture blocks in base64."""
    try:
        yield from (base64.b64encode(_unmeasured(picture).write()).decode("ascii") for picture in _blocks(raw))
    except Exception:  # noqa: BLE001 -- a plug-in call on hostile bytes; a picture that cannot be read is not carried
        return


def _unmeasured(block: Any) -> Any:
    """The block without width, height and depth: 0 says unknown, and what taggers write there is often wrong."""
    block.width = block.height = block.depth = block.colors = 0
    block.mime = next((mime for magic, mime in _IMAGES if block.data.startswith(magic)), block.mime)
    return block


def _blocks(raw: Any) -> Iterable[Any]:
    if raw is None:
        return
    if getattr(raw, "pictures", None):
        yield from raw.pictures
    elif isinstance(raw, ID3):
        yield from (_block(frame.data, frame.mime, int(frame.type), frame.desc) for frame in _frames(raw, "APIC"))
    elif isinstance(raw, MP4Tags):
        for cover in _atoms(raw).get("covr", ()):
            yield _block(bytes(cover))
    else:
        yield from _listed_blocks(raw)


def _listed_blocks(raw: Any) -> Iterable[Any]:
    """Of Vorbis comments (also the older COVERART) and of APEv2."""
    for value in _values(raw, "metadata_block_picture"):
        yield Picture(base64.b64decode(value))  # type: ignore[no-untyped-call]
    for value in _values(raw, "coverart"):
        yield _block(base64.b64decode(value))
    cover = raw.get("Cover Art (Front)") if hasattr(raw, "get") else None
    if cover is not None and isinstance(getattr(cover, "value", None), bytes):
        yield _block(cover.value.partition(b"\0")[2])


def _values(raw: Any, name: str) -> list[str]:
    return [value for key, value in raw if key.casefold() == name] if isinstance(raw, list) else []


def _block(data: bytes, mime: str = "application/octet-stream", kind: int = _FRONT_COVER, desc: str = "") -> Any:
    block: Any = Picture()  # type: ignore[no-untyped-call]
    block.data, block.mime, block.type, block.desc = data, mime, kind, desc
    return block

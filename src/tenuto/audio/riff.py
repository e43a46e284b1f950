"""The INFO list of a RIFF/WAVE file: the tags that most WAV files carry, which the tag reader does not read.

Source: Multimedia Programming Interface and Data Specifications 1.0 (1991), "INFO List Chunk"; texts have no declared
encoding, so they are read as UTF-8 and, where they are not, as Windows-1252, which is what wrote them then.
"""

import struct

from tenuto.audio.blocks import TouchedFile

_FIELDS = {b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"ICRD": "date", b"IGNR": "genre", b"ICOP": "copyright",
           b"ITRK": "tracknumber", b"IPRT": "tracknumber", b"ISRC": "isrc"}  # fmt: skip
_INFO_MAX_BYTES = 65_536
_CHUNKS_MAX = 1000


def info_fields(file: TouchedFile) -> dict[str, tuple[str, ...]]:
    """The fields of the first INFO list; none where there is no such list or the chunks are broken."""
    file.seek(0)
    if file.read(4) != b"RIFF":
        return {}
    place = 12
    for _ in range(_CHUNKS_MAX):
        if place + 12 > file.size:
            break
        file.seek(place)
        head = file.read(12)
        kind, length = head[:4], struct.unpack("<I", head[4:8])[0]
        if kind == b"LIST" and head[8:12] == b"INFO":
            return _entries(file.read(min(length - 4, _INFO_MAX_BYTES)) if length > 4 else b"")  # noqa: PLR2004 -- "INFO"
        place += 8 + length + (length & 1)
    return {}


def _entries(content: bytes) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    place = 0
    while place + 8 <= len(content):
        kind, length = struct.unpack("<4sI", content[place : place + 8])
        text = _text(content[place + 8 : place + 8 + length])
        if kind in _FIELDS and text:
            fields.setdefault(_FIELDS[kind], (text,))
        place += 8 + length + (length & 1)
    return fields


def _text(raw: bytes) -> str:
    plain = raw.split(b"\0")[0]
    try:
        return plain.decode("utf-8").strip()
    except UnicodeDecodeError:
        return plain.decode("cp1252", "replace").strip()

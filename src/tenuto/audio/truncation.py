"""Whether a file is shorter than its own header says, without decoding it.

Ogg: RFC 3533 (last page, end-of-stream flag); RIFF and AIFF: the form's size; MP4: ISO 14496-12 boxes; MP3: the byte
count of a Xing header; FLAC: the number of its last frame; DSF: the file size in its header.
"""

import struct

from tenuto.audio import flac
from tenuto.audio.blocks import TouchedFile
from tenuto.audio.ogg import last_page

NOT_ENDED = "its last Ogg page is not marked as the end of the stream"
"""All pages are whole: real encoders leave the mark out, and a transfer that stopped between two pages looks the same."""

_ID3_HEADER = 10


def find_truncation(file: TouchedFile, size: int) -> str | None:
    """A sentence that says how the file is cut off, or None where nothing shows it."""
    file.seek(0)
    head = file.read(16)
    try:
        if head[:4] == b"OggS":
            return _ogg(file, size)
        if head[:4] in {b"RIFF", b"FORM"}:
            order = "<I" if head[:4] == b"RIFF" else ">I"
            return _form(struct.unpack(order, head[4:8])[0], size)
        if head[4:8] == b"ftyp":
            return _mp4(file, size)
        if head[:4] == b"DSD ":
            file.seek(12)
            return _form(struct.unpack("<Q", file.read(8))[0] - 8, size)
        if head[:4] == b"fLaC":
            missing = flac.missing_frac(file, size)
            return f"{missing * 100:.0f} % of the samples that its header promises are missing" if missing else None
        if head[:3] == b"ID3" or head[:1] == b"\xff":
            return _mp3(file, head, size)
    except struct.error:
        return "its header is cut off"
    return None


def _ogg(file: TouchedFile, size: int) -> str | None:
    last = last_page(file, size)
    if last is None:
        return "it does not end with an Ogg page"
    if last.missing_bytes:
        return f"its last Ogg page is cut off, {last.missing_bytes} bytes short"
    return None if last.is_end else NOT_ENDED


def _form(length: int, size: int) -> str | None:
    is_streamed = length in {0, 0xFFFFFFFF}
    return None if is_streamed or length + 8 <= size else f"its header says {length + 8} bytes, it has {size}"


def _mp4(file: TouchedFile, size: int) -> str | None:
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = struct.unpack(">Q", file.read(8))[0]
        if length == 0:
            return None
        if length < 8 or place + length > size:  # noqa: PLR2004 -- a box is at least its own header
            return f"its box {kind.decode('latin-1')!r} ends at byte {place + length}, the file at {size}"
        place += length
    return None


def _mp3(file: TouchedFile, head: bytes, size: int) -> str | None:
    start = 0
    if head[:3] == b"ID3" and len(head) < _ID3_HEADER:
        return "its header is cut off"
    if head[:3] == b"ID3":
        start = _ID3_HEADER + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
    file.seek(start)
    frame = file.read(256)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    if place < 0 or len(frame) < place + 16:
        return None
    flags = struct.unpack(">I", frame[place + 4 : place + 8])[0]
    if not flags & 2:
        return None
    skip = 4 if flags & 1 else 0
    promised = struct.unpack(">I", frame[place + 8 + skip : place + 12 + skip])[0]
    missing = start + promised - size
    return f"its Xing header says {promised} bytes of audio, {missing} are missing" if missing > 0 else None

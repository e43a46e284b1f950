"""How many samples a file's own head promises, where its format makes that a promise and not an estimate.

RIFF/WAVE: Multimedia Programming Interface and Data Specifications 1.0 (1991); Xing and Info headers of MP3: as LAME
writes them (gabriel.mp3-tech.org/mp3infotag.html). FLAC's stands in STREAMINFO, which the decoder hands over.
"""

import struct

from tenuto.audio.blocks import TouchedFile

_STREAMED = frozenset({0, 0xFFFFFFFF})
"""Sizes that a program writes which does not know the end yet, and mends only if it can seek."""

_CHUNKS_MAX = 1000
_ID3_HEADER = 10
_FRAMES_FLAG = 1
_FIRST_FRAME_BYTES = 256
_STREAMINFO_BYTES = 34
_WAVE_LINEAR = frozenset({1, 3, 0xFFFE})


def wav_samples(file: TouchedFile) -> int | None:
    """Samples per channel that the data chunk of a PCM file holds by its own size, or None where that is no promise."""
    file.seek(0)
    place, block_bytes = 12, 0
    for _ in range(_CHUNKS_MAX):
        file.seek(place)
        head = file.read(24)
        if len(head) < 8:  # noqa: PLR2004 -- no further chunk
            return None
        kind, length = struct.unpack("<4sI", head[:8])
        if kind == b"fmt " and len(head) == 24:  # noqa: PLR2004 -- up to the block size
            form, block_bytes = struct.unpack("<H10xH", head[8:22])
            block_bytes = block_bytes if form in _WAVE_LINEAR else 0
        if kind == b"data":
            return int(length) // block_bytes if block_bytes and length not in _STREAMED else None
        place += 8 + length + (length & 1)
    return None


def has_mp3_count(file: TouchedFile) -> bool:
    """Whether the first MP3 frame is a Xing or Info header that counts the frames: else a duration is an estimate."""
    file.seek(0)
    head = file.read(_ID3_HEADER)
    start = 0
    if head[:3] == b"ID3" and len(head) == _ID3_HEADER:
        sizes = zip(head[6:10], (21, 14, 7, 0), strict=True)
        start = _ID3_HEADER + sum((byte & 0x7F) << shift for byte, shift in sizes)
    file.seek(start)
    frame = file.read(_FIRST_FRAME_BYTES)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    return place >= 0 and len(frame) >= place + 8 and bool(frame[place + 7] & _FRAMES_FLAG)


def flac_samples(streaminfo: bytes) -> tuple[int | None, int, str]:
    """Of the 34 bytes of STREAMINFO (RFC 9639, 8.2): samples or None, bits a sample, MD5 in hex ("" where not set)."""
    if len(streaminfo) < _STREAMINFO_BYTES:
        return None, 0, ""
    packed = int.from_bytes(streaminfo[10:18], "big")
    md5 = streaminfo[18:34]
    return packed & 0xFFFFFFFFF or None, (packed >> 36 & 0x1F) + 1, md5.hex() if any(md5) else ""

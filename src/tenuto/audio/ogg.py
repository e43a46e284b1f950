"""The ends of an Ogg file (RFC 3533): its first page says the rate, its last page how long it is and whether it is whole.

A tag reader scans a whole file whose last page is not marked as the end; looking at the two ends is enough.
"""

import struct
from dataclasses import dataclass

from tenuto.audio.blocks import TouchedFile

_PAGE_MAX = 65_307
"""The largest Ogg page: 27 + 255 + 255 x 255 bytes."""

_HEADER = 27
_END_OF_STREAM = 4


@dataclass(frozen=True, slots=True)
class LastPage:
    """The last page of a file; `missing_bytes` of it are not there."""

    granule: int
    serial: int
    is_end: bool
    missing_bytes: int


def last_page(file: TouchedFile, size: int) -> LastPage | None:
    """The last page, or None where the file does not end with one."""
    file.seek(max(0, size - _PAGE_MAX))
    tail = file.read(_PAGE_MAX)
    place = tail.rfind(b"OggS\x00")
    if place < 0 or len(tail) < place + _HEADER:
        return None
    segments = tail[place + 26]
    table = tail[place + _HEADER : place + _HEADER + segments]
    end = place + _HEADER + segments + sum(table)
    granule, serial = struct.unpack("<qI", tail[place + 6 : place + 18])
    is_end = bool(tail[place + 5] & _END_OF_STREAM)
    return LastPage(granule, serial, is_end, max(end - len(tail), segments - len(table), 0))


def duration_ms(file: TouchedFile, size: int) -> int | None:
    """Milliseconds of a Vorbis, Opus or Speex stream from its two ends, or None where they do not tell."""
    found = samples_and_rate(file, size)
    return round(found[0] * 1000 / found[1]) or None if found else None


def samples_and_rate(file: TouchedFile, size: int) -> tuple[int, int] | None:
    """Samples per channel, and how many a second, from the two ends, or None where they do not tell."""
    file.seek(0)
    head = file.read(128)
    last = last_page(file, size)
    if head[:4] != b"OggS" or len(head) < 80 or last is None or last.granule <= 0:  # noqa: PLR2004 -- an id header's end
        return None
    packet = head[_HEADER + head[26] :]
    rate, skip = rate_and_skip(packet)
    if rate == 0 or last.serial != struct.unpack("<I", head[14:18])[0]:
        return None
    return max(0, last.granule - skip), rate


def rate_and_skip(packet: bytes) -> tuple[int, int]:
    """Samples a second of the granule position, and samples to skip: RFC 7845 for Opus, the codecs' own headers else."""
    if packet.startswith(b"\x01vorbis"):
        return struct.unpack("<I", packet[12:16])[0], 0
    if packet.startswith(b"OpusHead"):
        return 48_000, struct.unpack("<H", packet[10:12])[0]
    if packet.startswith(b"Speex   "):
        return struct.unpack("<I", packet[36:40])[0], 0
    return 0, 0

"""Every page of an Ogg file (RFC 3533): its checksum, its number in the sequence, and the granule that it ends at.

A decoder skips a page that is broken or missing and says little of it; the pages themselves say it exactly.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from tenuto.audio.ogg import rate_and_skip

_CAPTURE = b"OggS\x00"
_HEADER = 27
_FIRST_OF_STREAM = 2
_READ_BYTES = 1 << 20
_PAGE_MAX = 65_307
_ALL_ONES = 0xFFFFFFFF
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_AUDIO_HEADS = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC")


@dataclass(slots=True)
class _Stream:
    """One logical stream while its pages pass."""

    next_number: int
    skip: int | None
    granule: int = 0


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages of a file say; `samples_count` is None where it holds no audio stream, or several."""

    count: int
    broken_count: int
    missing_count: int
    samples_count: int | None

    @property
    def problem(self) -> str:
        """A sentence, or "" where every page is whole and in its place."""
        parts = []
        if self.broken_count:
            parts.append(f"{self.broken_count:,} of {self.count + self.broken_count:,} Ogg pages fail their checksum")
        if self.missing_count:
            parts.append(f"{self.missing_count:,} Ogg pages are missing")
        return " and ".join(parts)


@dataclass(slots=True)
class _Walk:
    """The counts while the pages pass."""

    count: int = 0
    broken_count: int = 0
    missing_count: int = 0
    streams: dict[int, _Stream] = field(default_factory=dict)
    ended: list[_Stream] = field(default_factory=list)

    def take(self, page: bytes, body_at: int) -> None:
        kind, granule, serial, number = struct.unpack("<BqII", page[5:22])
        self.count += 1
        stream = self.streams.get(serial)
        if stream is None or kind & _FIRST_OF_STREAM:
            if stream is not None:
                self.ended.append(stream)
            body = page[body_at : body_at + 80]
            skip = rate_and_skip(body.ljust(80, b"\0"))[1] if body.startswith(_AUDIO_HEADS) else None
            stream = self.streams[serial] = _Stream(number, skip)
        self.missing_count += max(0, number - stream.next_number)
        stream.next_number = number + 1
        stream.granule = granule if granule >= 0 else stream.granule

    def samples_count(self) -> int | None:
        audio = [stream for stream in (*self.ended, *self.streams.values()) if stream.skip is not None]
        return max(0, audio[0].granule - (audio[0].skip or 0)) if len(audio) == 1 and audio[0].granule else None


def walk_pages(file: BinaryIO) -> Pages:
    """Read the whole file once, a megabyte at a time, and check every page.

    Bytes that belong to no page are passed over: tags that stand behind the stream do no harm to the sound.
    """
    walk = _Walk()
    for page in _pages(file):
        body_at = _HEADER + page[26]
        if _checksum(page) == struct.unpack("<I", page[22:26])[0]:
            walk.take(page, body_at)
        else:
            walk.broken_count += 1
    return Pages(walk.count, walk.broken_count, walk.missing_count, walk.samples_count())


def _pages(file: BinaryIO) -> Iterator[bytes]:
    """Each whole page; a page whose lengths are damaged is given as it stands, and the next is searched behind it."""
    file.seek(0)
    held, place = b"", 0
    while True:
        if len(held) - place < _PAGE_MAX:
            held, place = held[place:] + file.read(_READ_BYTES), 0
        place = held.find(_CAPTURE, place)
        if place < 0 and len(held) <= len(_CAPTURE):
            return
        if place < 0:
            place = len(held) - len(_CAPTURE) + 1
            continue
        end = _page_end(held, place)
        if end > len(held) and len(held) - place >= _PAGE_MAX:
            place += len(_CAPTURE)
            continue
        if end > len(held):
            more = file.read(_READ_BYTES)
            held, place = held[place:] + more, 0
            if not more:
                return
            continue
        inner = held.find(_CAPTURE, place + _HEADER, end)
        page = held[place:end]
        if inner >= 0 and _checksum(page) != struct.unpack("<I", page[22:26])[0]:
            end = inner
        yield page
        place = end


def _page_end(held: bytes, place: int) -> int:
    """One past the page's last byte; past everything where its header is not there yet."""
    if len(held) < place + _HEADER or len(held) < place + _HEADER + held[place + 26]:
        return len(held) + 1
    body_at = place + _HEADER + held[place + 26]
    return body_at + sum(held[place + _HEADER : body_at])


def _checksum(page: bytes) -> int:
    """CRC-32 with polynomial 0x04c11db7, first bit first, from zero (RFC 3533, section 6).

    zlib's runs the other way round: over reversed bits it gives this one reversed.
    """
    blank = (page[:22] + b"\0\0\0\0" + page[26:]).translate(_REVERSED)
    crc = zlib.crc32(blank, _ALL_ONES) ^ _ALL_ONES
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")

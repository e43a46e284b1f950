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
    for page, is_whole in _pages(file):
        if is_whole:
            walk.take(page, _HEADER + page[26])
        else:
            walk.broken_count += 1
    return Pages(walk.count, walk.broken_count, walk.missing_count, walk.samples_count())


def _pages(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each page and whether its checksum holds; inside one that does not, and behind it, the next is searched."""
    file.seek(0)
    held, place, is_end = b"", 0, False
    while True:
        if not is_end and len(held) - place < _PAGE_MAX:
            more = file.read(_READ_BYTES)
            held, place, is_end = held[place:] + more, 0, not more
            continue
        start = held.find(_CAPTURE, place)
        if start < 0 and is_end:
            return
        place = start if start >= 0 else len(held) - len(_CAPTURE) + 1
        if start < 0 or (not is_end and len(held) - place < _PAGE_MAX):
            continue
        end = _page_end(held, place)
        if end > len(held):
            place += len(_CAPTURE)
            continue
        page = held[place:end]
        is_whole = page_checksum(page) == struct.unpack("<I", page[22:26])[0]
        yield page, is_whole
        inner = -1 if is_whole else page.find(_CAPTURE, len(_CAPTURE))
        place = end if inner < 0 else place + inner


def _page_end(held: bytes, place: int) -> int:
    """One past the page's last byte; past everything where its header is not there yet."""
    if len(held) < place + _HEADER or len(held) < place + _HEADER + held[place + 26]:
        return len(held) + 1
    body_at = place + _HEADER + held[place + 26]
    return body_at + sum(held[place + _HEADER : body_at])


def page_checksum(page: bytes) -> int:
    """The checksum that a page should carry: CRC-32 with polynomial 0x04c11db7, first bit first, from zero (RFC 3533, section 6).

    zlib's runs the other way round: over reversed bits it gives this one reversed.
    """
    blank = (page[:22] + b"\0\0\0\0" + page[26:]).translate(_REVERSED)
    crc = zlib.crc32(blank, _ALL_ONES) ^ _ALL_ONES
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")

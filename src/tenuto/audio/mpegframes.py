"""The frames of an MP3 file (ISO 11172-3, 13818-3): whether one follows the other, and whether the last is whole.

Most MP3 files have no checksum, and a decoder finds its way over a hole without a word.
"""

from typing import BinaryIO

_RATES_HZ = (44_100, 48_000, 32_000)
_KBIT_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")
_WINDOW = 1 << 20
_FRAME_MAX = 1441


def find_hole(file: BinaryIO) -> str:
    """A sentence on the bytes between two frames that are no frame, or on a last frame cut short; "" where all is well.

    What stands before the first frame and behind the last is no matter: tags and padding stand there.
    """
    file.seek(0)
    held, base, place, frames, lost, holes, is_end = b"", 0, 0, 0, 0, 0, False
    gap_at: int | None = None
    short, is_tag = 0, False
    while True:
        if len(held) - place < _FRAME_MAX + 4 and not is_end:
            more = file.read(_WINDOW)
            base, held, place, is_end = base + place, held[place:] + more, 0, not more
            continue
        length = _frame_bytes(held[place : place + 4])
        if length and place + length <= len(held) and _is_followed(held, place + length):
            if gap_at is not None and frames and not is_tag:
                holes, lost = holes + 1, lost + base + place - gap_at
            gap_at, short, frames, place = None, 0, frames + 1, place + length
            continue
        if len(held) - place < 4:  # noqa: PLR2004 -- a header
            break
        if gap_at is None:
            gap_at = base + place
            is_tag = held.startswith(_TAGS, place)
            short = max(0, place + length - len(held)) if length and is_end else 0
        following = held.find(b"\xff", place + 1)
        place = following if following >= 0 else len(held)
    if holes:
        return f"{lost:,} bytes in {holes:,} places between its {frames:,} frames are no sound"
    return f"its last frame is {short:,} bytes short" if short and frames else ""


def _is_followed(held: bytes, end: int) -> bool:
    """Whether a frame, a tag or the end of the file stands there: four bytes alone look like a header too often."""
    following = held[end : end + 11]
    return len(following) < 4 or bool(_frame_bytes(following[:4])) or following.startswith(_TAGS)  # noqa: PLR2004 -- a header


def _frame_bytes(head: bytes) -> int:
    """The length of a layer III frame by its header, or 0 where it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # noqa: PLR2004 -- sync, layer III
        return 0
    version, kbit, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbit in {0, 15} or rate == 3:  # noqa: PLR2004 -- reserved
        return 0
    rate_hz = _RATES_HZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    is_first = version == 3  # noqa: PLR2004 -- MPEG-1
    bits = (_KBIT_1 if is_first else _KBIT_2)[kbit - 1] * 1000
    return (144 if is_first else 72) * bits // rate_hz + (head[2] >> 1 & 1)

"""How far a FLAC stream reaches: the number in its last whole frame header, held against STREAMINFO (RFC 9639).

FLAC states no length in bytes, so this is the only sign of a cut that needs no decoding.
"""

from tenuto.audio.blocks import TouchedFile

_TAIL = 65_536
_STREAMINFO_END = 42
_HEADER_MAX = 16
_BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << (code - 8) for code in range(8, 16)}}


def missing_frac(file: TouchedFile, size: int) -> float | None:
    """The fraction of samples that STREAMINFO promises and no frame brings, or None where it cannot be told."""
    file.seek(0)
    head = file.read(_STREAMINFO_END)
    if len(head) < _STREAMINFO_END or head[:4] != b"fLaC" or head[4] & 0x7F:
        return None
    block_size = int.from_bytes(head[8:10], "big")
    total = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    end = _last_sample(tail, block_size)
    if not total or end is None:
        return None
    return max(0.0, 1 - end / total)


def _last_sample(tail: bytes, block_size: int) -> int | None:
    """One past the last sample of the last frame whose header stands in `tail` and is whole."""
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if tail[place + 1 : place + 2] in {b"\xf8", b"\xf9"} and (
            end := _end(tail[place : place + _HEADER_MAX], block_size)
        ):
            return end
    return None


def _end(header: bytes, block_size: int) -> int | None:
    """One past the last sample of a frame, or None where the header does not match its CRC-8."""
    if len(header) < 6:  # noqa: PLR2004 -- the shortest header
        return None
    code = header[2] >> 4
    number, place = _coded_number(header, 4)
    if number is None or code == 0 or header[3] & 1:
        return None
    width = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(header[place : place + width], "big") + 1 if width else _BLOCK_SIZES[code]
    place += width + {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if place >= len(header) or _crc8(header[:place]) != header[place]:
        return None
    is_variable = header[1] & 1
    return number + samples if is_variable else number * block_size + samples


def _coded_number(header: bytes, place: int) -> tuple[int | None, int]:
    """A number in the extended UTF-8 of FLAC, and where it ends."""
    first = header[place]
    if first < 0x80:  # noqa: PLR2004 -- one byte
        return first, place + 1
    length = 8 - (~first & 0xFF).bit_length()
    rest = header[place + 1 : place + length]
    if length < 2 or len(rest) < length - 1 or any(byte & 0xC0 != 0x80 for byte in rest):  # noqa: PLR2004 -- continuation bytes
        return None, place
    number = first & (0x7F >> length)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, place + length


def _crc8(content: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc

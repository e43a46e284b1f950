"""Parts of a file as one record body: multipart/byteranges (RFC 9110, section 14.6).

A folder's evidence keeps the blocks that a tag reader touches, never the audio between them.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenuto.model.errors import IntegrityError

_PART = re.compile(
    rb"\r?\n?--(?P<boundary>[^\r\n]+)\r\nContent-Range: bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)\r\n\r\n"
)
_END = re.compile(rb"--tenuto-[0-9a-f]{24}--\r\n")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `[offset, offset + len(content))` of a file."""

    offset: int
    content: bytes


def pack_spans(spans: Sequence[Span], total_bytes: int) -> tuple[bytes, str]:
    """The body and its media type; the same spans always give the same bytes."""
    digest = hashlib.sha256()
    for span in spans:
        digest.update(span.offset.to_bytes(8, "big") + span.content)
    boundary = f"tenuto-{digest.hexdigest()[:24]}"
    parts = [
        f"--{boundary}\r\nContent-Range: bytes {span.offset}-{span.offset + len(span.content) - 1}/{total_bytes}\r\n\r\n".encode()
        + span.content
        + b"\r\n"
        for span in spans
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/byteranges; boundary={boundary}"


def unpack_spans(body: bytes) -> tuple[tuple[Span, ...], int]:
    """The spans and the size of the whole file; raises IntegrityError where the body is not of this form."""
    spans, place, total = [], 0, 0
    while match := _PART.match(body, place):
        first, last, total = int(match["first"]), int(match["last"]), int(match["total"])
        content = body[match.end() : match.end() + last - first + 1]
        if len(content) != last - first + 1:
            raise IntegrityError(f"a byte range of {last - first + 1} bytes is cut off after {len(content)}")
        spans.append(Span(first, content))
        place = match.end() + len(content) + 2
    if not _END.fullmatch(body, place):
        raise IntegrityError(f"not a body of byte ranges: it breaks at byte {place} of {len(body)}")
    return tuple(spans), total

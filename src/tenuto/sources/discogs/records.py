"""Cutting a dump into its records: XML read as a stream, entities and network off, no record larger than RECORD_MAX_BYTES."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from tenuto.model.errors import SkipRecordError

RECORD_MAX_BYTES = 32 * 2**20
"""A release of a thousand tracks, each with credits, has about one."""
SAFE = {"resolve_entities": False, "no_network": True, "huge_tree": False, "remove_comments": True, "remove_pis": True}
"""How XML from outside is read: depth 256, a text of 10 MB at most (libxml2)."""

_CHUNK_BYTES = 2**16
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
_REPLACEMENT = "\ufffd".encode()


def records_of(file: Path, kind: str) -> Iterator[bytes]:
    """The records of a dump of `kind` (artists, labels, masters, releases), each as XML in UTF-8.

    Raises SkipRecordError where it cannot be read on.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
            yield from _cut(_Bounded(content), kind)
    except (OSError, EOFError, zlib.error, etree.XMLSyntaxError, _RefusedError) as error:
        raise SkipRecordError(f"{file.name} cannot be read on: {error}", is_gone=False) from None


def _cut(content: "_Bounded", kind: str) -> Iterator[bytes]:
    for _, element in etree.iterparse(content, tag=kind.removesuffix("s"), **SAFE):
        root = element.getparent()
        if root is None or root.getparent() is not None:  # a label within a label
            continue
        if root.getroottree().docinfo.doctype:
            raise _RefusedError("it has a DOCTYPE, which no dump of Discogs has")
        yield etree.tostring(element, encoding="utf-8", with_tail=False)
        content.begin_record()
        element.clear()
        while element.getprevious() is not None:
            del root[0]


class _RefusedError(Exception):
    """What no dump holds."""


class _Bounded:
    """A stream for the parser that ends where a record grows too large. Control characters, which no XML may hold, become
    U+FFFD.
    """

    def __init__(self, content: BinaryIO | gzip.GzipFile) -> None:
        self._content = content
        self._size = 0

    def begin_record(self) -> None:
        """A record is through."""
        self._size = 0

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """The next bytes."""
        chunk = self._content.read(size)
        self._size += len(chunk)
        if self._size > RECORD_MAX_BYTES:
            raise _RefusedError(f"a record has more than {RECORD_MAX_BYTES:,} bytes")
        if len(chunk.translate(None, _CONTROLS)) == len(chunk):
            return chunk
        return _CONTROL.sub(_REPLACEMENT, chunk)

"""Large files read from front to end, a page at a time: tables and dumps. Memory is that of a page."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from tenuto.model.errors import SourceError, SourceRefusedError


class Pages:
    """Cuts what `start()` gives into pages. It keeps its place, so that the next page costs no reading from the start;
    any other is found by reading up to it. All reading is done in one thread: libxml2 keeps names by thread, and a tree
    that grows in two of them corrupts memory.
    """

    def __init__(self, start: Callable[[], Iterator[bytes]], items_max: int, bytes_max: int) -> None:
        self._start = start
        self._items_max, self._bytes_max = items_max, bytes_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._stream: Iterator[bytes] | None = None
        self._place = 0

    def page(self, offset: int) -> list[bytes]:
        """The items from `offset` on; none behind the last. Raises what reading raises: a page is whole, or it is none, so
        that an earlier harvest's page is not taken for one of fewer items.
        """
        return self._thread.submit(self._read, offset).result()

    def first(self) -> bytes | None:
        """The first item, if there is one."""
        return self._thread.submit(lambda: next(self._start(), None)).result()

    def _read(self, offset: int) -> list[bytes]:
        if self._stream is None or self._place != offset:
            self._stream = self._start()
            self._place = sum(1 for _ in islice(self._stream, offset))
        stream, self._stream = self._stream, None
        items: list[bytes] = []
        size = 0
        while len(items) < self._items_max and size < self._bytes_max and (item := next(stream, None)) is not None:
            items.append(item)
            size += len(item)
        self._stream, self._place = stream, offset + len(items)
        return items


class Unchanged:
    """Sees to it that a file stays the same from a harvest's greeting to its last page, also where it was stopped between."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: tuple[tuple[int, int, int], str] | None = None
        self._expected: str | None = None
        self._lock = threading.Lock()

    def sha256(self) -> str:
        """The file's SHA-256, read again only where size, time or file are others; SourceRefusedError where it cannot be."""
        with self._lock:
            try:
                found = self._file.stat()
                state = (found.st_ino, found.st_size, found.st_mtime_ns)
                if self._known is None or self._known[0] != state:
                    with self._file.open("rb") as content:
                        self._known = (state, hashlib.file_digest(content, "sha256").hexdigest())
            except OSError as error:
                raise SourceRefusedError(f"{self._file} cannot be read: {error.strerror}") from None
            return self._known[1]

    def expect(self, sha256: str) -> None:
        """Take over what the greeting said."""
        self._expected = sha256

    def check(self) -> None:
        """Raise SourceError where the file is another one than the greeting saw."""
        if self._expected is not None and self.sha256() != self._expected:
            raise SourceError(
                f"{self._file} has changed since its harvest began; begin anew with: tenuto harvest --fresh"
            )

"""Reading a folder: one listing, then of each audio file the blocks that say something, and licence files whole.

Ids are paths relative to the folder, so the folder may move. Audio is never copied into evidence.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from tenuto.evidence import pack_spans
from tenuto.model.answers import Answer, Request
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError, SkipRecordError, SourceRefusedError
from tenuto.sources import paths
from tenuto.sources.folder.blocks import tag_blocks
from tenuto.sources.folder.listing import ROLES, read_listing, walk

_LICENCE_MAX_BYTES = 2**20
_PART_BYTES = 2**20


class Options(Document):
    """A folder has no options of its own."""


class Folder:
    """The connector; `fetch` reads, everything else is pure."""

    secrets: tuple[str, ...] = ()
    user_fields: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    robots: Request | None = None

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise SettingsError(f"folder {root} does not exist or is no folder; mend location, or mount it")
        self._root = root
        self.place = str(root)

    def first(self) -> Iterable[Request]:
        """The listing."""
        return (Request("listing"),)

    def sample(self) -> Iterable[Request]:
        """The first few files."""
        entries = (entry for entry in read_listing(self.fetch(Request("listing")).body) if entry.role == "audio")
        return [Request(f"audio/{entry.path}") for _, entry in zip(range(5), entries, strict=False)]

    def follow(self, answer: Answer) -> Iterable[Request]:
        """From the listing to each file that says something."""
        if answer.request.key != "listing":
            return
        for entry in read_listing(answer.body):
            if entry.role in ROLES and (entry.bytes or entry.problem):
                yield Request(f"{entry.role}/{entry.path}")
            elif entry.role == "folder":
                yield from (Request(f"{role}/{entry.path}/") for role in ROLES)

    def list_of(self, request: Request) -> str | None:  # noqa: ARG002 -- the protocol's shape
        """A folder has no pages."""
        return None

    def fetch(self, request: Request) -> Answer:
        """Read one thing; SkipRecordError where it is gone, unreadable or another than the listing said."""
        role, _, path = request.key.partition("/")
        if role == "listing":
            body = b"".join(msgspec.json.encode(entry) + b"\n" for entry in walk(self._root))
            return Answer(request, body, "application/jsonl", datetime.now(UTC))
        try:
            with self._open(path) as file:
                size = os.fstat(file.fileno()).st_size
                if role == "licence":
                    return Answer(request, file.read(_LICENCE_MAX_BYTES), "text/plain", datetime.now(UTC))
                spans = tag_blocks(file, size, PurePosixPath(path).name)
        except OSError as error:
            raise _cannot_read(path, error) from None
        body, media_type = pack_spans(spans, size)
        return Answer(request, body, media_type, datetime.now(UTC))

    def check(self, answer: Answer) -> None:
        """Raise SourceRefusedError where a listing shows no audio: a share that is not mounted looks like that."""
        if answer.request.key == "listing" and not any(entry.role == "audio" for entry in read_listing(answer.body)):
            raise SourceRefusedError(
                f"{self.place} holds no audio file; mount it or mend the location. What was harvested before stays as it is"
            )

    def original(self, fetch_id: str) -> Request:
        """The whole file."""
        return Request(f"original/{fetch_id}")

    def download(self, request: Request, sink: Callable[[bytes], None], max_bytes: int) -> Answer:
        """Read the file; SkipRecordError where it is gone, unreadable or larger than `max_bytes`."""
        path = request.key.partition("/")[2]
        size = 0
        try:
            file = self._open(path)
        except OSError as error:
            self._check_mounted()
            raise _cannot_read(path, error) from None
        with file:
            while part := _read(file, path):
                size += len(part)
                if size > max_bytes:
                    raise SkipRecordError(
                        f"{path} has more than {max_bytes:,} bytes; it was cut off there", is_gone=False
                    )
                sink(part)
        return Answer(request, b"", "", datetime.now(UTC))

    def check_original(self, answer: Answer, head: bytes) -> None:
        """A file is what it is."""

    def state_of(self, fetch_id: str) -> str:
        """Size and time of change; empty where the file is gone."""
        try:
            found = (self._root / os.fsdecode(paths.decode(fetch_id))).stat(follow_symlinks=False)
        except OSError:
            return ""
        return f"{found.st_size} {found.st_mtime_ns}"

    def _check_mounted(self) -> None:
        """Raise SourceRefusedError where all is gone: a disk that was taken away is no reason to call its files gone."""
        try:
            with os.scandir(self._root) as entries:
                is_there = next(entries, None) is not None
        except OSError:
            is_there = False
        if not is_there:
            raise SourceRefusedError(f"folder {self._root} is empty or gone; mount it again, then run the same again")

    def _open(self, path: str) -> BinaryIO:
        """A file of the folder: no link, and nothing that never ends."""
        handle = os.open(self._root / os.fsdecode(paths.decode(path)), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "it is no plain file")
        return os.fdopen(handle, "rb")


def _read(file: BinaryIO, path: str) -> bytes:
    """The next part; what the sink has to say of our own disk is not caught here."""
    try:
        return file.read(_PART_BYTES)
    except OSError as error:
        raise _cannot_read(path, error) from None


def _cannot_read(path: str, error: OSError) -> SkipRecordError:
    """What a file that cannot be read means."""
    return SkipRecordError(f"{path} cannot be read: {error.strerror}", is_gone=isinstance(error, FileNotFoundError))

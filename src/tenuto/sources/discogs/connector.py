"""A folder of Discogs' dumps on this machine (data.discogs.com), or one of them: read from front to end, a page at a time."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from tenuto.model.answers import Answer, Request
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError, SourceRefusedError
from tenuto.sources.discogs.records import records_of
from tenuto.sources.dumps import Pages, Unchanged

GREETING = "dump"
_NAME = re.compile(r"discogs_(\d{8})_(artists|labels|masters|releases)\.xml(?:\.gz)?")
_HEAD = re.compile(rb'<\w+ records="(\d+)">')
_PAGE_RECORDS, _PAGE_MAX_BYTES = 300, 8 * 2**20


class Options(Document):
    """A dump has no options of its own."""


class Discogs:
    """The connector; `fetch` reads, everything else is pure but for `follow`, which remembers which files the greeting saw."""

    secrets: tuple[str, ...] = ()
    user_fields: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    robots: Request | None = None

    def __init__(self, place: Path) -> None:
        self._files = _newest(place)
        self._unchanged = {kind: Unchanged(file) for kind, file in self._files.items()}
        self._pages = {
            kind: Pages(partial(records_of, file, kind), _PAGE_RECORDS, _PAGE_MAX_BYTES)
            for kind, file in self._files.items()
        }
        self.place = str(place)

    def first(self) -> Iterable[Request]:
        """The greeting."""
        return (Request(GREETING),)

    def sample(self) -> Iterable[Request]:
        """The first records of each dump."""
        return [Request(f"{kind}?offset=0") for kind in self._files]

    def follow(self, answer: Answer) -> Iterable[Request]:
        """From the greeting to each dump, and from page to page until one is empty."""
        if answer.request.key == GREETING:
            for kind, said in msgspec.json.decode(answer.body).items():
                if kind in self._unchanged:
                    self._unchanged[kind].expect(said["sha256"])
                    yield Request(f"{kind}?offset=0")
        elif (head := _HEAD.match(answer.body)) and int(head[1]):
            kind, offset = _asked(answer.request)
            yield Request(f"{kind}?offset={offset + int(head[1])}")

    def list_of(self, request: Request) -> str | None:  # noqa: ARG002 -- the protocol's shape
        """Equal pages of a file are no sign of a server that lies."""
        return None

    def fetch(self, request: Request) -> Answer:
        """Read a page. Raises SkipRecordError where the dump cannot be read on, SourceError where it has changed."""
        if request.key == GREETING:
            return Answer(request, self._greeting(), "application/json", datetime.now(UTC))
        kind, offset = _asked(request)
        self._unchanged[kind].check()
        records = self._pages[kind].page(offset)
        lines = [f'<{kind} records="{len(records)}">'.encode(), *records, f"</{kind}>\n".encode()]
        return Answer(request, b"\n".join(lines), "application/xml", datetime.now(UTC))

    def check(self, answer: Answer) -> None:
        """A file is what it is."""

    def _greeting(self) -> bytes:
        """Name, size and digest of each dump; SourceRefusedError where one holds nothing: a download that failed looks so."""
        for kind, file in self._files.items():
            if self._pages[kind].first() is None:
                raise SourceRefusedError(
                    f"{file} holds no {kind}; fetch it again. What was harvested before stays as it is"
                )
        return msgspec.json.encode({
            kind: {"file": file.name, "bytes": file.stat().st_size, "sha256": self._unchanged[kind].sha256()}
            for kind, file in self._files.items()
        })  # fmt: skip


def _newest(place: Path) -> dict[str, Path]:
    """The newest dump of each kind in a folder, or the one that is named."""
    files = sorted(place.iterdir()) if place.is_dir() else [place] if place.is_file() else []
    named = sorted((match[1], match[2], file) for file in files if (match := _NAME.fullmatch(file.name)))
    if not named:
        raise SettingsError(
            f"{place} holds no dump of Discogs, such as discogs_20200806_releases.xml.gz; mend location"
        )
    found = {kind: file for _, kind, file in named}
    return dict(sorted(found.items()))


def _asked(request: Request) -> tuple[str, int]:
    kind, _, offset = request.key.partition("?offset=")
    return kind, int(offset)

"""What rows mean by the mapping that stands above them: pure, so that evidence can be read again years later."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from tenuto.model.answers import Answer
from tenuto.model.records import ArtistSeen, CreditSeen, ListensSeen, ProblemSeen, ReleaseSeen, Seen, TrackSeen
from tenuto.model.text import fold
from tenuto.sources.table.cells import Cells
from tenuto.sources.table.fields import READERS, texts
from tenuto.sources.table.mapping import Cell, MappingFile, People
from tenuto.sources.values import Values

_LISTENS_FIELDS = ("listens_count", "listens_on", "listens_scope")


def parse(answer: Answer) -> Iterator[Seen]:
    """The tracks, releases and artists of a page of rows, a problem for each row that is none."""
    if not answer.request.key.startswith("rows?offset="):
        return
    head, *lines = answer.body.removesuffix(b"\n").split(b"\n")
    number = int(answer.request.key.rpartition("=")[2])
    try:
        meaning = _meaning(head, answer.fetched_at.year)
    except (ValueError, KeyError, TypeError) as error:
        yield ProblemSeen(code="answer-invalid", subject="mapping", message=f"cannot be read: {error}"[:200])
        return
    for number, line in enumerate(lines, number + 1):  # noqa: B020 -- the number of the row
        yield from meaning.records(number, _decoded(line))


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError):
        try:
            return json.loads(line, strict=False)
        except (ValueError, RecursionError):
            return None


@lru_cache(maxsize=8)
def _meaning(head: bytes, year: int) -> "_Meaning":
    written = msgspec.json.decode(head)
    mapping = MappingFile.model_validate(written["mapping"])
    return _Meaning(mapping, Cells(written["columns"], mapping), year + 1)


class _Meaning:
    """A mapping, ready to read rows; nothing was released after `year_max`."""

    def __init__(self, mapping: MappingFile, cells: Cells, year_max: int) -> None:
        self._mapping = mapping
        self._cells = cells
        self._year_max = year_max

    def records(self, number: int, row: Any) -> Iterator[Seen]:
        """What a row says: its artists, its release, its track; `number` counts rows from 1."""
        columns = self._cells.count
        if not isinstance(row, (list, dict)):
            yield _unusable(number, f"cannot be read: {str(row)[:80]!r}")
            return
        if isinstance(row, list) and any(row[columns:]):
            yield _unusable(number, f"has {len(row)} cells, the table {columns} columns")
            return
        read = Values(f"row {number}")
        if isinstance(row, list) and len(row) < columns:
            read.take("row", f"{len(row)} of {columns} cells", lambda _: None)
        yield from self._of_row(number, row, read)
        yield from read.problems()

    def _of_row(self, number: int, row: Any, read: Values) -> Iterator[Seen]:
        track = self._fields("track", self._mapping.track, row, read)
        if self._mapping.track and "id" not in track:
            yield _unusable(number, "has no id")
            return
        release = self._fields("release", self._mapping.release, row, read)
        credited, leading = list[CreditSeen](), list[str]()
        for people in self._mapping.artist:
            of = people.of or ("track" if self._mapping.track else "release")
            for artist in self._artists(people, row, read):
                yield artist
                if of != "release":
                    credited.append(CreditSeen(artist_id=artist.artist_id, role=people.role))
                if of != "track":
                    leading.append(artist.artist_id)
        release_id = release.pop("id", None)
        if release_id is not None:
            yield ReleaseSeen(release_id=release_id, artist_ids=tuple(leading), **release)
        if self._mapping.track:
            yield from _track(track, release_id, tuple(credited))

    def _fields(self, kind: str, cells: dict[str, Cell], row: Any, read: Values) -> dict[str, Any]:
        """Field -> value, of those that the row has."""
        found = {}
        for name, cell in cells.items():
            value = self._cells.value(row, cell)
            if value is None:
                continue
            taken = READERS[name](value, cell, self._year_max)
            if taken is None:
                read.take(f"{kind} {name}", value, lambda _: None)
            else:
                found[name] = taken
        return found

    def _artists(self, people: People, row: Any, read: Values) -> list[ArtistSeen]:
        """The artists of a row: by their ids where there are as many as names, else by the folded name."""
        cells = people.cells
        names = texts(self._cells.value(row, cells["name"])) if "name" in cells else ()
        ids = texts(self._cells.value(row, cells["id"])) if "id" in cells else ()
        if ids and names and len(ids) != len(names):
            read.take("artist id", f"{len(ids)} for {len(names)} names", lambda _: None)
            ids = ()
        count = len(ids or names)
        more = {name: cell for name, cell in cells.items() if name not in {"id", "name"}} if count == 1 else {}
        own = self._fields("artist", more, row, read)
        return [
            ArtistSeen(artist_id=ids[n] if ids else f"name:{fold(names[n])}", name=names[n] if names else None, **own)
            for n in range(count)
        ]


def _track(fields: dict[str, Any], release_id: str | None, credited: tuple[CreditSeen, ...]) -> Iterator[Seen]:
    """A track, and its listens where they have a date of their own."""
    count, day, scope = (fields.pop(name, None) for name in _LISTENS_FIELDS)
    own_id = fields.pop("id")
    if day is None and count is not None:
        fields |= {"listens_count": count, "listens_scope": scope}
    yield TrackSeen(track_id=own_id, release_id=release_id, credits=credited, **fields)
    if day is not None and count is not None:
        yield ListensSeen(track_id=own_id, listens_count=count, counted_on=day, listens_scope=scope or "")


def _unusable(number: int, message: str) -> ProblemSeen:
    return ProblemSeen(code="record-invalid", subject=f"row {number}", message=message)

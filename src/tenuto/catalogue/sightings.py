"""The evidence that counts for an edition: of every distinct content its first sighting, and whether it still holds.

Content is what a connector reads in the answer to one request; answers that differ only in what no connector reads are
one, and an answer in which it reads nothing is none. The oldest record with it is the one that tables refer to.

An answer holds while the newest finished harvest of its source has it, or could not say: its request failed there, an
earlier page of its list failed, or the evidence is damaged. It must be so of every newer harvest: what one whole harvest
did not show is gone, whatever happens to a later one. Harvests that were not finished are left out.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from tenuto.catalogue.parts import Part
from tenuto.evidence import EvidenceFile, HarvestManifest
from tenuto.model.answers import FAILED, OK
from tenuto.model.findings import Finding
from tenuto.model.text import mend
from tenuto.sources import LISTENS_KEY, OPERATOR, PERMISSION_KEY

_OFFSET = re.compile(rb"(?i)offset=\d+")
"""Where the keys of one list's pages differ."""
_OF_HARVEST = frozenset({"counts-differ", "pages-repeat", "record-unavailable", "request-failed"})
"""Findings of the newest harvest.json that an edition repeats: no answer that holds shows them."""

_OPERATOR, _PERMISSION, _LISTENS = OPERATOR.encode(), PERMISSION_KEY.encode(), LISTENS_KEY.encode()

SIGHTING = pa.schema(
    [("part", pa.int32()), ("record", pa.int32()), ("source", pa.string()), ("newest", pa.int32()), ("is_live", pa.bool_()),
     ("first_seen", pa.date32()), ("last_seen", pa.date32()), ("evidence_id", pa.uint64())]
)  # fmt: skip


@dataclass(slots=True)
class Sighting:
    """When content was seen: `oldest` and `newest` count the harvests of its source from 0; filled while going back.
    `evidence_id` is the record of the oldest harvest; `part` and `record` say where its rows are.
    """

    part: int
    record: int
    oldest: int
    newest: int
    first_seen: date
    last_seen: date
    evidence_id: int
    is_live: bool


@dataclass(slots=True)
class _Newer:
    """What the harvests looked at so far, which are newer, leave open: None, while all of them are damaged, is everything."""

    settled: set[bytes] = field(default_factory=set)
    unsaid: set[bytes] | None = None

    def leaves_open(self, key: bytes) -> bool:
        """Whether no newer harvest tells what is there under this key."""
        return key not in self.settled and (self.unsaid is None or any(name in self.unsaid for name in _covering(key)))

    def add(self, answered: set[bytes], failed: set[bytes], *, is_whole: bool) -> None:
        """Take over what one harvest says; one that is whole says also what is not there."""
        if is_whole:
            unsaid = {*failed, *(_list_of(key) for key in failed if _list_of(key) != key)}
            self.unsaid = unsaid if self.unsaid is None else self.unsaid & unsaid
        self.settled |= answered


class Sightings:
    """All finished harvests of an archive, gone through newest first, each distinct content once."""

    def __init__(self, harvests: dict[str, list[HarvestManifest]]) -> None:
        self._harvests = harvests
        self._found: dict[tuple[str, bytes], Sighting] = {}
        self._oldest: date | None = None
        self.parts: list[Part] = []
        self.findings: list[Finding] = []
        self.permissions: dict[str, tuple[str, int]] = {}

    def add_source(self, source: str, read: Sequence[Sequence[tuple[EvidenceFile, Part]]]) -> None:
        """Go through the harvests of a source, each by the parts of its files."""
        manifests, newer = self._harvests[source], _Newer()
        known: dict[bytes, Sighting | None] = {}
        listens: Sighting | None = None
        for number in range(len(manifests) - 1, -1, -1):
            answered, failed = set[bytes](), set[bytes]()
            is_whole, is_newest = True, number == len(manifests) - 1
            for file, part in read[number]:
                self.parts.append(part)
                for message, evidence_id in part.about.damages:
                    is_whole = False
                    self.findings.append(Finding(code="evidence-damaged", subject=file.name, message=message, source=source,
                                                 evidence_id=evidence_id))  # fmt: skip
                for answer in _rows(part.answers()):
                    key: bytes = answer["key"]
                    (failed if answer["outcome"] == FAILED else answered).add(key)
                    if answer["outcome"] != OK:
                        continue
                    is_live = newer.leaves_open(key) and (is_newest or not key.startswith(_OPERATOR))
                    if key == _PERMISSION:
                        is_live = is_newest and self._take_permission(source, manifests[number], answer)
                    place = len(manifests) - 1 if is_live else number
                    day = answer["fetched_on"]
                    sighting = Sighting(
                        len(self.parts) - 1, answer["record"], number, place, day, day, answer["evidence_id"], is_live
                    )
                    self._see(source, answer, sighting, known)
                    if key == _LISTENS and is_newest:
                        listens = _only(known[answer["uuid"]], listens)
            newer.add(answered, failed, is_whole=is_whole)
        self.findings += _of_harvest(source, manifests[-1])

    def table(self) -> pa.Table:
        """What counts, a row for each content: where its rows are, and their stamp."""
        rows = [
            {"source": source, **{name: getattr(one, name) for name in SIGHTING.names if name != "source"}}
            for (source, _), one in self._found.items()
        ]
        return pa.Table.from_pylist(rows, SIGHTING)

    def digest(self) -> str:
        """SHA-256 over all that an edition depends on: a line for each source, each distinct content and each finding.

        `source kind`; `source content evidence-id first-seen 1` of content that holds, `… 0 last-seen harvest-number` of
        what does not; `source code subject message` of damage and of the newest harvest's findings; each group sorted
        (docs/format.md).
        """
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def newest(self) -> date:
        """The newest day on which something new was seen; the first day where there was nothing to see."""
        return max((one.first_seen for one in self._found.values()), default=self._oldest or date.min)

    def is_empty(self) -> bool:
        """Whether there was nothing to read."""
        return self._oldest is None

    def _lines(self) -> Iterator[str]:
        yield from (f"{source} {manifests[-1].kind}" for source, manifests in self._harvests.items())
        for source, content in sorted(self._found):
            one = self._found[source, content]
            gone = "" if one.is_live else f" {one.last_seen.isoformat()} {one.newest}"
            yield f"{source} {content.hex()} {one.evidence_id} {one.first_seen.isoformat()} {one.is_live:d}{gone}"
        yield from (
            f"{found.source} {found.code} {found.subject} {found.message}" for found in sorted(set(self.findings))
        )

    def _see(
        self, source: str, answer: dict[str, Any], sighting: Sighting, known: dict[bytes, Sighting | None]
    ) -> None:
        """Note the first sighting of a content; that of one before is moved back."""
        self._oldest = min(self._oldest or sighting.first_seen, sighting.first_seen)
        uuid, content = answer["uuid"], answer["content"]
        if uuid not in known:
            before = None if content is None else self._found.get((source, content))
            known[uuid] = before
            if content is not None and before is None:
                known[uuid] = self._found[source, content] = sighting
                return
        _move_back(known[uuid], sighting)

    def _take_permission(self, source: str, manifest: HarvestManifest, answer: dict[str, Any]) -> bool:
        """Whether this record is the permission that the harvest went by; an interrupted one may hold others."""
        granted, body = manifest.permission, answer["permission"]
        if granted is None or granted.evidence_id != answer["evidence_id"]:
            return False
        if hashlib.sha256(body).hexdigest() != granted.sha256:
            return False
        self.permissions[source] = (body.decode("utf-8", "replace"), answer["evidence_id"])
        return True


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _move_back(known: Sighting | None, older: Sighting) -> None:
    """Let the oldest record with a content count; of several in one harvest that of the least id."""
    if known is None:
        return
    known.first_seen = min(known.first_seen, older.first_seen)
    known.oldest, known.evidence_id = min((known.oldest, known.evidence_id), (older.oldest, older.evidence_id))


def _only(last: Sighting | None, before: Sighting | None) -> Sighting | None:
    """Let the list of listens that was written last hold alone."""
    if before is not None:
        before.is_live = False
    if last is not None:
        last.is_live = True
    return last


def _of_harvest(source: str, manifest: HarvestManifest) -> list[Finding]:
    """The findings that only the harvest could make; without evidence ids, so that equal harvests give equal ones."""
    return [
        Finding(code=found["code"], subject=mend(str(found.get("subject")))[0],
                message=mend(str(found.get("message")))[0], source=source)
        for found in manifest.findings
        if found.get("code") in _OF_HARVEST
    ]  # fmt: skip


def _covering(key: bytes) -> Iterator[bytes]:
    """The requests whose failure leaves this one open: itself, its list, the folders above it (`audio/a/b/`)."""
    yield key
    yield _list_of(key)
    parts = key.split(b"/")
    yield from (b"/".join(parts[:end]) + b"/" for end in range(2, len(parts)))


def _list_of(key: bytes) -> bytes:
    """The list of which a request asks one page; the key itself where it is of none."""
    return _OFFSET.sub(b"offset=", key)

"""The evidence that counts for an edition: of every distinct content its first sighting, and whether it still holds.

Content is what a connector reads in the answer to one request; answers that differ only in what no connector reads are
one, and an answer in which it reads nothing is none. The oldest record with it is the one that tables refer to.

An answer holds while the newest finished harvest of its source has it, or could not say: its request failed there, an
earlier page of its list failed, or the evidence is damaged. It must be so of every newer harvest: what one whole harvest
did not show is gone, whatever happens to a later one. Harvests that were not finished are left out.

In between it may have been gone and have come back: `held` tells it of each harvest, a bit each from the least on.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import pyarrow as pa

from tenuto.catalogue.doubts import Newer
from tenuto.catalogue.parts import Part
from tenuto.evidence import EvidenceFile, HarvestManifest
from tenuto.model.answers import FAILED, OK
from tenuto.model.findings import Finding
from tenuto.model.text import mend
from tenuto.sources import LISTENS_KEY, OPERATOR, PERMISSION_KEY

_OF_HARVEST = frozenset({"counts-differ", "pages-repeat", "record-unavailable", "request-failed"})
"""Findings of the newest harvest.json that an edition repeats: no answer that holds shows them."""

_OPERATOR, _PERMISSION, _LISTENS = OPERATOR.encode(), PERMISSION_KEY.encode(), LISTENS_KEY.encode()

SIGHTING = pa.schema(
    [("part", pa.int32()), ("record", pa.int32()), ("source", pa.string()), ("newest", pa.int32()), ("is_live", pa.bool_()),
     ("first_seen", pa.date32()), ("last_seen", pa.date32()), ("evidence_id", pa.uint64()), ("oldest", pa.int32()),
     ("gone_in", pa.int32()), ("missed", pa.int32()), ("held", pa.string())]
)  # fmt: skip
"""`oldest` is the number of the first harvest with it, `gone_in` of the first one that did not show it any more (null while it
holds), `missed` how many did not show it since, two at most; `held` is a letter a harvest, 1 where it held, and null
where it could not have been gone in between.
"""

_IN_BETWEEN = 3
"""Harvests that it takes to be gone and come back."""


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
    held: int
    missed: int


class Sightings:
    """All finished harvests of an archive, gone through newest first, each distinct content once."""

    def __init__(self, harvests: dict[str, list[HarvestManifest]]) -> None:
        self._harvests = harvests
        self._found: dict[tuple[str, bytes], Sighting] = {}
        self._oldest: date | None = None
        self.parts: list[Part] = []
        self.findings: list[Finding] = []
        self.permissions: dict[str, tuple[str, int]] = {}
        self.days: dict[tuple[str, int], date] = {}  # on which a harvest began, by source and number

    def add_source(self, source: str, read: Sequence[Sequence[tuple[EvidenceFile, Part]]]) -> None:
        """Go through the harvests of a source, each by the parts of its files."""
        manifests, newer = self._harvests[source], Newer(len(self._harvests[source]), {})
        known: dict[bytes, Sighting | None] = {}
        listens: Sighting | None = None
        for number in range(len(manifests) - 1, -1, -1):
            answered, failed = set[bytes](), set[bytes]()
            is_whole, is_newest = True, number == len(manifests) - 1
            begun = self.days.get((source, number + 1), date.max)
            for file, part in read[number]:
                self.parts.append(part)
                for message, evidence_id in part.about.damages:
                    is_whole = False
                    self.findings.append(Finding(code="evidence-damaged", subject=file.name, message=message, source=source,
                                                 evidence_id=evidence_id))  # fmt: skip
                for answer in _rows(part.answers()):
                    key: bytes = answer["key"]
                    (failed if answer["outcome"] == FAILED else answered).add(key)
                    begun = min(begun, answer["fetched_on"])
                    if answer["outcome"] != OK:
                        continue
                    held = newer.held(number, key)
                    is_live = held.bit_length() == len(manifests) and (is_newest or not key.startswith(_OPERATOR))
                    if key == _PERMISSION:
                        is_live = is_newest and self._take_permission(source, manifests[number], answer)
                    place = len(manifests) - 1 if is_live else number
                    day = answer["fetched_on"]
                    sighting = Sighting(len(self.parts) - 1, answer["record"], number, place, day, day, answer["evidence_id"],
                                        is_live, held, newer.missed(held, key))  # fmt: skip
                    self._see(source, answer, sighting, known)
                    if key == _LISTENS and is_newest:
                        listens = _only(known[answer["uuid"]], listens)
            newer.add(number, answered, failed, is_whole=is_whole)
            self.days[source, number] = begun
        self.findings += _of_harvest(source, manifests[-1])

    def table(self) -> pa.Table:
        """What counts, a row for each content: where its rows are, and their stamp."""
        sightings = self._found.values()
        harvests = {source: len(manifests) for source, manifests in self._harvests.items()}
        columns: dict[str, list[Any]] = {
            "source": [source for source, _ in self._found],
            "gone_in": [None if one.is_live else one.held.bit_length() for one in sightings],
            "held": [_letters(one.held, harvests[source]) for (source, _), one in self._found.items()],
        }
        columns |= {name: [getattr(one, name) for one in sightings] for name in SIGHTING.names if name not in columns}
        return pa.table([pa.array(columns[field.name], field.type) for field in SIGHTING], schema=SIGHTING)

    def forget(self) -> None:
        """Let go of what was seen, of which `table` is made by now; the rest stays."""
        self._found.clear()

    def digest(self) -> str:
        """SHA-256 over all that an edition depends on: a line for each source, each distinct content and each finding.

        `source kind`; `source content evidence-id first-seen 1` of content that holds, `… 0 last-seen harvest-number missed` of
        what does not, and in which harvests where that is not all since the first; `source number day` of harvests in which
        content came or went; `source code subject message` of damage and of the newest harvest's findings; each group sorted
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
        turns = set[tuple[str, int]]()
        for source, content in sorted(self._found):
            one, end = self._found[source, content], len(self._harvests[source])
            runs = _runs(one.held, end)
            turns |= {(source, number) for run in runs for number in run if 0 < number < end}
            gone = "" if one.is_live else f" {one.last_seen.isoformat()} {one.newest} {one.missed}"
            when = "" if runs == ((0, end),) else " " + ",".join(f"{a}-{b if b < end else ''}" for a, b in runs)
            yield f"{source} {content.hex()} {one.evidence_id} {one.first_seen.isoformat()} {one.is_live:d}{gone}{when}"
        yield from (f"{source} {number} {self.days[source, number].isoformat()}" for source, number in sorted(turns))
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
    known.held |= older.held
    known.oldest, known.evidence_id = min((known.oldest, known.evidence_id), (older.oldest, older.evidence_id))


def _only(last: Sighting | None, before: Sighting | None) -> Sighting | None:
    """Let the list of listens that was written last hold alone."""
    if before is not None:
        before.is_live = False
    if last is not None:
        last.is_live = True
    return last


@cache
def _runs(held: int, harvests: int) -> tuple[tuple[int, int], ...]:
    """The runs of harvests in which something held: the first, and the one after the last."""
    turns = [number for number in range(harvests + 1) if (held << 1 >> number & 1) != (held >> number & 1)]
    return tuple(zip(turns[::2], turns[1::2], strict=True))


@cache
def _letters(held: int, harvests: int) -> str | None:
    """`held` as SIGHTING has it."""
    return "".join(str(held >> number & 1) for number in range(harvests)) if harvests >= _IN_BETWEEN else None


def _of_harvest(source: str, manifest: HarvestManifest) -> list[Finding]:
    """The findings that only the harvest could make; without evidence ids, so that equal harvests give equal ones."""
    return [
        Finding(code=found["code"], subject=mend(str(found.get("subject")))[0],
                message=mend(str(found.get("message")))[0], source=source)
        for found in manifest.findings
        if found.get("code") in _OF_HARVEST
    ]  # fmt: skip

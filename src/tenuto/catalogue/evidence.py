"""The evidence that counts for an edition: of every distinct content its first sighting, and whether it still holds.

Content is what a connector reads in the answer to one request; answers that differ only in what no connector reads are
one, and an answer in which it reads nothing is none. The oldest record with it is the one that tables refer to.

An answer holds while the newest finished harvest of its source has it, or could not say: its request failed there, an
earlier page of its list failed, or the evidence is damaged. It must be so of every newer harvest: what one whole harvest
did not show is gone, whatever happens to a later one. Harvests that were not finished are left out.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tenuto.evidence import EvidenceRecord, HarvestManifest, finished_harvests, read_records
from tenuto.model.answers import FAILED, OK, Answer
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.model.records import CountSeen, Seen
from tenuto.model.text import mend
from tenuto.sources import LISTENS_KEY, OPERATOR, PERMISSION_KEY, parse

_OFFSET = re.compile(r"(?i)offset=\d+")
"""Where the keys of one list's pages differ."""
_OF_HARVEST = frozenset({"counts-differ", "pages-repeat", "record-unavailable", "request-failed"})
"""Findings of the newest harvest.json that an edition repeats: no answer that holds shows them."""


@dataclass(slots=True)
class Sighting:
    """When content was seen: `oldest` and `newest` count the harvests of its source from 0; filled while reading goes
    back. `evidence_id` is the record of the oldest harvest.
    """

    oldest: int
    newest: int
    first_seen: date
    last_seen: date
    evidence_id: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """What was read in one distinct content, and its sighting, complete only after all evidence was read."""

    source: str
    seen: Iterable[Seen]
    sighting: Sighting


@dataclass(slots=True)
class _Newer:
    """What the harvests read so far, which are newer, leave open: None, while all of them are damaged, is everything."""

    settled: set[str] = field(default_factory=set)
    unsaid: set[str] | None = None

    def leaves_open(self, key: str) -> bool:
        """Whether no newer harvest tells what is there under this key."""
        return key not in self.settled and (self.unsaid is None or any(name in self.unsaid for name in _covering(key)))

    def add(self, answered: set[str], failed: set[str], *, is_whole: bool) -> None:
        """Take over what one harvest says; one that is whole says also what is not there."""
        if is_whole:
            unsaid = {*failed, *(_list_of(key) for key in failed if _list_of(key) != key)}
            self.unsaid = unsaid if self.unsaid is None else self.unsaid & unsaid
        self.settled |= answered


class EvidenceReader:
    """Reads all finished harvests of an archive, newest first, each distinct content once."""

    def __init__(self, evidence: Path, progress: Progress) -> None:
        self._evidence = evidence
        self._progress = progress
        self._sightings: dict[tuple[str, bytes], Sighting] = {}
        self._oldest: date | None = None
        self.findings: list[Finding] = []
        self.permissions: dict[str, tuple[str, int]] = {}
        self.harvests: dict[str, list[HarvestManifest]] = {
            folder.name: manifests
            for folder in (sorted(evidence.iterdir()) if evidence.is_dir() else ())
            if folder.is_dir() and (manifests := finished_harvests(folder))
        }

    def read(self) -> Iterator[Effective]:
        """The distinct contents; afterwards `digest`, `newest`, `findings` and `permissions` (text and evidence id of
        each source that has one) are complete.
        """
        total = sum(file.records for found in self.harvests.values() for one in found for file in one.files)
        self._progress.begin("read evidence", total, "records")
        for source, manifests in self.harvests.items():
            yield from self._read_source(source, manifests)
            self.findings += _of_harvest(source, manifests[-1])

    def digest(self) -> str:
        """SHA-256 over all that an edition depends on: a line for each source, each distinct content and each finding.

        `source kind`; `source content evidence-id first-seen 1` of content that holds, `… 0 last-seen harvest-number` of
        what does not; `source code subject message` of damage and of the newest harvest's findings; each group sorted
        (docs/format.md).
        """
        digest = hashlib.sha256()
        lines = [f"{source} {manifests[-1].kind}" for source, manifests in self.harvests.items()]
        for source, content in sorted(self._sightings):
            sighting = self._sightings[source, content]
            gone = "" if sighting.is_live else f" {sighting.last_seen.isoformat()} {sighting.newest}"
            first = f"{sighting.evidence_id} {sighting.first_seen.isoformat()}"
            lines.append(f"{source} {content.hex()} {first} {sighting.is_live:d}{gone}")
        lines += [
            f"{found.source} {found.code} {found.subject} {found.message}" for found in sorted(set(self.findings))
        ]
        for line in lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def newest(self) -> date:
        """The newest day on which something new was seen; the first day where there was nothing to see."""
        return max((sighting.first_seen for sighting in self._sightings.values()), default=self._oldest or date.min)

    def is_empty(self) -> bool:
        """Whether there was nothing to read."""
        return self._oldest is None

    def _read_source(self, source: str, manifests: list[HarvestManifest]) -> Iterator[Effective]:
        newer = _Newer()
        known: dict[bytes, Sighting | None] = {}
        listens: Sighting | None = None
        for number in range(len(manifests) - 1, -1, -1):
            answered: set[str] = set()
            failed: set[str] = set()
            damage_before = len(self.findings)
            is_newest = number == len(manifests) - 1
            for record in self._records(source, manifests[number]):
                answer = record.answer
                if answer is None or record.uuid is None:
                    continue
                key = answer.request.key
                (failed if answer.outcome == FAILED else answered).add(key)
                if answer.outcome != OK:
                    continue
                is_live = newer.leaves_open(key) and (is_newest or not key.startswith(OPERATOR))
                if key == PERMISSION_KEY:
                    is_live = is_newest and self._take_permission(source, manifests[number], record, answer)
                place = len(manifests) - 1 if is_live else number
                day = answer.fetched_at.date()
                sighting = Sighting(number, place, day, day, record.evidence_id, is_live)
                effective = self._see(source, manifests[number].kind, record.uuid.bytes, answer, sighting, known)
                if effective is not None:
                    yield effective
                if key == LISTENS_KEY and is_newest:
                    listens = _only(known[record.uuid.bytes], listens)
            newer.add(answered, failed, is_whole=len(self.findings) == damage_before)

    def _see(
        self,
        source: str,
        kind: str,
        uuid: bytes,
        answer: Answer,
        sighting: Sighting,
        known: dict[bytes, Sighting | None],
    ) -> Effective | None:
        """What an answer says, or None where it says nothing or the same as one before, whose sighting is moved back."""
        self._oldest = min(self._oldest or sighting.first_seen, sighting.first_seen)
        if uuid in known:
            _move_back(known[uuid], sighting)
            return None
        content, seen = _content(kind, answer)
        if content is None:
            known[uuid] = None
            return None
        before = self._sightings.get((source, content))
        if before is not None:
            known[uuid] = before
            _move_back(before, sighting)
            return None
        known[uuid] = self._sightings[source, content] = sighting
        return Effective(source, seen, sighting)

    def _take_permission(self, source: str, manifest: HarvestManifest, record: EvidenceRecord, answer: Answer) -> bool:
        """Whether this record is the permission that the harvest went by; an interrupted one may hold others."""
        granted = manifest.permission
        if granted is None or granted.evidence_id != record.evidence_id:
            return False
        if hashlib.sha256(answer.body).hexdigest() != granted.sha256:
            return False
        self.permissions[source] = (answer.body.decode("utf-8", "replace"), record.evidence_id)
        return True

    def _records(self, source: str, manifest: HarvestManifest) -> Iterator[EvidenceRecord]:
        folder = self._evidence / source / manifest.harvest
        for file in manifest.files:
            path = folder / file.name
            count = 0
            if not path.is_file():
                self._damaged(source, file.name, f"{path.name} is missing; restore it from a copy, or harvest again")
                continue
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if digest != file.sha256:
                self._damaged(source, file.name, f"{path.name} has sha256 {digest}, harvest.json says {file.sha256}")
            for record in read_records(path):
                count += 1
                self._progress.advance()
                if record.damage:
                    self._damaged(source, file.name, record.damage, record.evidence_id)
                yield record
            if count < file.records:
                self._damaged(source, file.name, f"{path.name} holds {count} records, its harvest wrote {file.records}")

    def _damaged(self, source: str, subject: str, message: str, evidence_id: int = 0) -> None:
        self.findings.append(Finding(code="evidence-damaged", subject=subject, message=message, source=source,
                                     evidence_id=evidence_id))  # fmt: skip


def _content(kind: str, answer: Answer) -> tuple[bytes | None, Iterable[Seen]]:
    """What an answer says, and the SHA-256 of its request and that; None where it says nothing (docs/format.md)."""
    key = answer.request.key
    digest = hashlib.sha256(ascii(key).encode())
    if key == PERMISSION_KEY:
        digest.update(b"\n" + hashlib.sha256(answer.body).hexdigest().encode())
        return digest.digest(), ()
    is_long = key == LISTENS_KEY  # as long as a catalogue: read twice, never held whole
    seen = () if is_long else tuple(_counted_out(kind, answer))
    is_empty = True
    for item in _counted_out(kind, answer) if is_long else seen:
        digest.update(b"\n" + ascii(item).encode())
        is_empty = False
    return None if is_empty else digest.digest(), _counted_out(kind, answer) if is_long else seen


def _counted_out(kind: str, answer: Answer) -> Iterator[Seen]:
    """What the catalogue uses of an answer: all but counts, which harvest reconciles."""
    return (item for item in parse(kind, answer) if not isinstance(item, CountSeen))


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


def _covering(key: str) -> Iterator[str]:
    """The requests whose failure leaves this one open: itself, its list, the folders above it (`audio/a/b/`)."""
    yield key
    yield _list_of(key)
    parts = key.split("/")
    yield from ("/".join(parts[:end]) + "/" for end in range(2, len(parts)))


def _list_of(key: str) -> str:
    """The list of which a request asks one page; the key itself where it is of none."""
    return _OFFSET.sub("offset=", key)

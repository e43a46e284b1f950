"""The evidence that counts for an edition: of every distinct answer its first sighting, and whether it still holds.

An answer holds while the newest finished harvest of its source has it, or could not say: its request failed there, an
earlier page of its list failed, or the evidence is damaged. It must be so of every newer harvest: what one whole harvest
did not show is gone, whatever happens to a later one. Harvests that were not finished are left out.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tenuto.evidence import EvidenceRecord, HarvestManifest, finished_harvests, read_records
from tenuto.model.answers import FAILED, OK, Answer
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.sources import OPERATOR

_OFFSET = re.compile(r"(?i)offset=\d+")
"""Where the keys of one list's pages differ."""


@dataclass(slots=True)
class Sighting:
    """When an answer was seen: `newest` counts the harvests of its source from 0; filled while reading goes back."""

    newest: int
    first_seen: date
    last_seen: date
    evidence_id: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """One distinct answer and its sighting, which is complete only after all evidence was read."""

    source: str
    kind: str
    answer: Answer
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
    """Reads all finished harvests of an archive, newest first, each distinct answer once."""

    def __init__(self, evidence: Path, progress: Progress) -> None:
        self._evidence = evidence
        self._progress = progress
        self._sightings: dict[tuple[str, str], Sighting] = {}
        self.findings: list[Finding] = []
        self.harvests: dict[str, list[HarvestManifest]] = {
            folder.name: manifests
            for folder in (sorted(evidence.iterdir()) if evidence.is_dir() else ())
            if folder.is_dir() and (manifests := finished_harvests(folder))
        }

    def read(self) -> Iterator[Effective]:
        """The distinct good answers; afterwards `digest`, `newest` and `findings` are complete."""
        total = sum(file.records for found in self.harvests.values() for one in found for file in one.files)
        self._progress.begin("read evidence", total, "records")
        for source, manifests in self.harvests.items():
            yield from self._read_source(source, manifests)

    def digest(self) -> str:
        """SHA-256 over all that an edition depends on: a line for each source, each distinct answer and each damage.

        `source kind`; `source record-id first-seen 1` of an answer that holds, `… 0 last-seen harvest-number` of one that
        does not; `source subject message` of damage; each group sorted (docs/format.md).
        """
        digest = hashlib.sha256()
        lines = [f"{source} {manifests[-1].kind}" for source, manifests in self.harvests.items()]
        for (source, uuid), sighting in sorted(self._sightings.items()):
            gone = "" if sighting.is_live else f" {sighting.last_seen.isoformat()} {sighting.newest}"
            lines.append(f"{source} {uuid} {sighting.first_seen.isoformat()} {sighting.is_live:d}{gone}")
        lines += [f"{found.source} {found.subject} {found.message}" for found in sorted(set(self.findings))]
        for line in lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def newest(self) -> date:
        """The newest day on which something new was seen."""
        return max(sighting.first_seen for sighting in self._sightings.values())

    def is_empty(self) -> bool:
        """Whether there was nothing to read."""
        return not self._sightings

    def _read_source(self, source: str, manifests: list[HarvestManifest]) -> Iterator[Effective]:
        newer = _Newer()
        for number in range(len(manifests) - 1, -1, -1):
            answered: set[str] = set()
            failed: set[str] = set()
            damage_before = len(self.findings)
            for record in self._records(source, manifests[number]):
                answer = record.answer
                if answer is None or record.uuid is None:
                    continue
                key = answer.request.key
                (failed if answer.outcome == FAILED else answered).add(key)
                if answer.outcome != OK:
                    continue
                is_newest = number == len(manifests) - 1
                is_live = newer.leaves_open(key) and (is_newest or not key.startswith(OPERATOR))
                sighting = self._see(source, record, answer, len(manifests) - 1 if is_live else number, is_live=is_live)
                if sighting is not None:
                    yield Effective(source, manifests[number].kind, answer, sighting)
            newer.add(answered, failed, is_whole=len(self.findings) == damage_before)

    def _see(
        self, source: str, record: EvidenceRecord, answer: Answer, newest: int, *, is_live: bool
    ) -> Sighting | None:
        """A new sighting, or None where a newer harvest had the same answer (its first day is then moved back)."""
        day = answer.fetched_at.date()
        known = self._sightings.get((source, str(record.uuid)))
        if known is not None:
            known.first_seen = min(known.first_seen, day)
            return None
        sighting = Sighting(newest, day, day, record.evidence_id, is_live)
        self._sightings[(source, str(record.uuid))] = sighting
        return sighting

    def _records(self, source: str, manifest: HarvestManifest) -> Iterator[EvidenceRecord]:
        folder = self._evidence / source / manifest.harvest
        for file in manifest.files:
            path = folder / file.name
            count = 0
            if not path.is_file():
                self._damaged(source, file.name, f"{path.name} is missing; restore it from a copy, or harvest again")
                continue
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


def _covering(key: str) -> Iterator[str]:
    """The requests whose failure leaves this one open: itself, its list, the folders above it (`audio/a/b/`)."""
    yield key
    yield _list_of(key)
    parts = key.split("/")
    yield from ("/".join(parts[:end]) + "/" for end in range(2, len(parts)))


def _list_of(key: str) -> str:
    """The list of which a request asks one page; the key itself where it is of none."""
    return _OFFSET.sub("offset=", key)

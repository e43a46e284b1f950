"""What a harvest amounts to, read back from what it wrote: the counts and sums of harvest.json."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenuto.evidence import read_records
from tenuto.evidence.harvests import EvidenceFile
from tenuto.harvest.pages import fingerprint
from tenuto.harvest.reconcile import Reconciler, differing
from tenuto.model.answers import FAILED, MISSING, OK, Answer, Request
from tenuto.model.findings import Finding
from tenuto.sources import parse


def survey(folder: Path, source: str, kind: str, list_of: Callable[[Request], str | None]) -> dict[str, Any]:
    """The measured part of harvest.json: outcomes, cut, reconciled, findings, files."""
    outcomes: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    findings: list[Finding] = []
    files: list[EvidenceFile] = []
    reconciler = Reconciler()
    pages: dict[tuple[str, bytes], str] = {}
    for file in sorted(folder.glob("*.warc.gz")):
        records = 0
        for record in read_records(file):
            records += 1
            answer = record.answer
            if answer is None:
                findings.append(
                    Finding(code="evidence-damaged", subject=file.name, message=record.damage, source=source)
                )
                continue
            outcomes[answer.outcome] += 1
            cut.update(dict(answer.cut))
            findings += _trouble(answer, source, record.evidence_id)
            findings += _repeated(answer, list_of(answer.request), kind, pages, source, record.evidence_id)
            if answer.outcome == OK:
                reconciler.add(answer.request.key.partition("?")[0].partition("/")[0], parse(kind, answer))
        files.append(_file(file, records))
    counts = reconciler.result()
    findings += differing(source, counts)
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "cut": dict(sorted(cut.items())),
        "reconciled": (counts,),
        "findings": tuple(finding.document() for finding in sorted(findings)),
        "files": tuple(files),
    }


def _trouble(answer: Answer, source: str, evidence_id: int) -> list[Finding]:
    """A finding for an answer that is none."""
    code = {MISSING: "record-unavailable", FAILED: "request-failed"}.get(answer.outcome)
    if code is None:
        return []
    status = f"HTTP {answer.http_status}: " if answer.http_status else ""
    message = status + " ".join(answer.body[:200].decode("utf-8", "replace").split())
    return [Finding(code=code, subject=answer.request.key, message=message, source=source, evidence_id=evidence_id)]


def _repeated(
    answer: Answer, page: str | None, kind: str, pages: dict[tuple[str, bytes], str], source: str, evidence_id: int
) -> list[Finding]:
    """A finding where a list gave the same page twice: its paging cannot be trusted."""
    if page is None or answer.outcome != OK:
        return []
    first = pages.setdefault((page, fingerprint(kind, answer)), answer.request.key)
    if first == answer.request.key:
        return []
    message = f"{page} gives the same page at {first} and at {answer.request.key}"
    return [Finding(code="pages-repeat", subject=page, message=message, source=source, evidence_id=evidence_id)]


def _file(file: Path, records: int) -> EvidenceFile:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return EvidenceFile(name=file.name, bytes=file.stat().st_size, sha256=digest, records=records)

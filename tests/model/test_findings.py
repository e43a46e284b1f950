"""Finding codes are kept in editions: they may be added to, not renamed."""

import re

import pytest

from tenuto.model.findings import CODES, Finding
from tenuto.model.statuses import STATUSES

FIRST_CODES = {
    "answer-invalid", "record-unavailable", "record-invalid", "request-failed", "counts-differ", "pages-repeat",
    "file-empty", "file-not-audio", "file-truncated", "file-unreadable", "tags-unreadable", "tags-cut",
    "text-mended", "value-odd", "licence-unknown", "licence-conflict", "permission-unmatched", "reference-missing",
    "evidence-damaged",
}  # fmt: skip


def test_no_code_that_was_ever_given_is_gone() -> None:
    assert set(CODES) >= FIRST_CODES


def test_no_status_that_was_ever_given_is_gone() -> None:
    assert set(STATUSES) >= {"unplanned", "planned", "over_budget", "excluded", "not_permitted", "unavailable"}


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_words_with_hyphens_and_has_a_meaning(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", code)
    assert len(CODES[code].split()) > 3


def test_a_finding_with_a_code_that_nobody_documents_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="unknown finding code 'file-odd'"):
        Finding(code="file-odd", subject="a", message="b")


def test_findings_sort_by_code_then_subject() -> None:
    made = [Finding(code=code, subject=s, message="m") for code in ("value-odd", "tags-cut") for s in ("b", "a")]
    assert [(f.code, f.subject) for f in sorted(made)] == [
        ("tags-cut", "a"),
        ("tags-cut", "b"),
        ("value-odd", "a"),
        ("value-odd", "b"),
    ]


def test_a_finding_is_a_json_object_with_these_keys() -> None:
    made = Finding(code="value-odd", subject="s", message="m", source="demo", evidence_id=2**64 - 1)
    assert made.document() == {
        "code": "value-odd", "subject": "s", "message": "m", "source": "demo", "evidence_id": 2**64 - 1,
    }  # fmt: skip

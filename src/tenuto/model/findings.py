"""A finding: something noticed about one thing, coded, that does not stop the rest (docs/errors.md lists the codes)."""

from dataclasses import asdict, dataclass
from typing import Any

CODES = {
    "answer-invalid": "an answer is not what its type says (an error page, cut off, not JSON)",
    "record-unavailable": "the source names a record but does not give it",
    "record-invalid": "a record lacks what it cannot do without, and was left out",
    "request-failed": "a request failed for good after all its tries",
    "counts-differ": "independent counts of the source disagree",
    "pages-repeat": "a list gave the same page again; paging stopped there",
    "file-empty": "a file of zero bytes",
    "file-not-audio": "a file named like audio that no tag reader knows",
    "file-truncated": "a file shorter than its own header says",
    "file-unreadable": "a file or folder that the system does not let us read",
    "tags-unreadable": "tags that no reader could parse",
    "tags-cut": "tag blocks larger than is kept as evidence",
    "text-mended": "text with broken encoding, NUL or control characters; the raw bytes are in the evidence",
    "value-odd": "a value that cannot be (a negative duration, a year 0); kept empty",
    "licence-unknown": "a licence text that nobody here knows: dark until a permission says otherwise",
    "licence-conflict": "statements about one recording disagree; the strictest reading holds",
    "permission-unmatched": "a grant or a list names what the source does not have",
    "reference-missing": "a record refers to one that no evidence holds",
    "evidence-damaged": "an evidence record whose bytes do not match their digest; it was left out",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One coded observation; `evidence_id` is 0 where no record stands behind it."""

    code: str
    subject: str
    message: str
    source: str = ""
    evidence_id: int = 0

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown finding code {self.code!r}")

    def document(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)

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
    "description-unclear": "things that fit several records of a source that describes them; they stay as they were",
    "records-contradict": "answers of one harvest differ in a field of one thing; that of the fullest record holds",
    "recording-gone": "the source no longer has a recording that it offered",
    "recording-unavailable": "a recording could not be fetched, after all tries",
    "recording-damaged": "what the source gave is no whole recording",
    "recording-refused": "the gate says no today, though it said yes when the plan was made",
    "recording-crashes": "the decoder crashed on a recording",
    "evidence-damaged": "an evidence record whose bytes do not match their digest; it was left out",
    # crates, checked
    "crate-unreadable": "a crate file, or a part of it, that the system or the disk does not give",
    "crate-cut": "a crate file that ends before it should",
    "block-damaged": "bytes of a crate are not those that were sealed; the message says where",
    "leaves-mismatch": "a crate's leaves.bin disagrees with its blocks or has a wrong length",
    "piece-differs": "SHA-1 pieces of a crate's torrent disagree with its bytes (checked by --all)",
    "torrent-missing": "a crate has no torrent beside it; it was checked against itself only",
    "torrent-damaged": "the torrent beside a crate is no torrent of it",
    "zip-structure": "a crate is no ZIP archive of the one form that crates have",
    "name-unsafe": "a name in a crate that some system cannot hold, or takes for another place",
    "format-unknown": "a crate of a format that this version does not read",
    "bag-incomplete": "a file that a crate must have, or that its manifest lists, is not in it",
    "bag-info": "bagit.txt or bag-info.txt of a crate says other than what is there",
    "bag-manifest": "a manifest of a crate is none, or does not list what is there",
    "file-differs": "a file in a crate has another SHA-256 or CRC-32 than was sealed",
    "recording-mismatch": "recordings.parquet of a crate disagrees with the files that it describes",
    "withdrawn-mismatch": "withdrawn.json of a crate disagrees with what was taken out",
    "withdrawn-not-zero": "bytes of a withdrawn recording are still in a crate",
    # an archive, checked
    "file-orphaned": "a file among the crates or in the publication that belongs to nothing",
    "withdrawal-pending": "a crate still holds what the log of withdrawals takes out",
    "withdrawal-log": "the log of withdrawals is not as it was written",
    "dark-exposed": "the folder of the dark crates can be read by others, or a crate lies in the wrong one",
    "index-damaged": "the publication's index is missing, or not signed by this archive's key",
    "publication-differs": "a file of the publication is not the one that the index promises",
    "statuses-differ": "the statuses do not add up, or the publication says others",
    "check-incomplete": "a part could not be checked; the message says what it needs",
    "giving-out-ended": "a crate is given out although a right in it has ended",
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

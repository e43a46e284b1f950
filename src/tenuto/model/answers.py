"""What is asked of a source and what it answered: the values that evidence keeps and connectors parse."""

from dataclasses import dataclass, field
from datetime import datetime

OK = "ok"
MISSING = "missing"
FAILED = "failed"

OUTCOMES = {
    OK: "the answer is what was asked for",
    MISSING: "the source says that it does not have it",
    FAILED: "all tries failed; the last answer is kept",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One question. `key` names it within its source, wherever the source lies today; `uri` is the full address
    without secrets, None where the thing asked for has no address of its own (a folder, an operator's file).
    """

    key: str
    uri: str | None = None

    def address(self) -> str:
        """The WARC-Target-URI."""
        return self.uri if self.uri is not None else f"urn:x-tenuto:{self.key}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: `http_status` is 0 where no HTTP was spoken; `cut` names what was taken out, with counts."""

    request: Request
    body: bytes
    media_type: str
    fetched_at: datetime
    http_status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    outcome: str = OK
    cut: tuple[tuple[str, int], ...] = field(default=())

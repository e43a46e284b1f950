"""What a connector is: it knows what to ask, how to ask it, and (a pure function) what an answer means.

A connector MUST NOT sleep, retry, limit its rate, write files or read the settings: harvest does that round it. Its
module also offers `Options` (its options, validated) and `parse(answer)`, pure: the catalogue calls it on evidence
years later, without the source. `columns(answer)`, which may be absent, gives the same as `parse` in columns
(`model.columns`), for answers of many records.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from tenuto.model.answers import Answer, Request


class Source(Protocol):
    """A source that permits archiving, opened with its settings."""

    @property
    def place(self) -> str:
        """Where it is, for people and messages, without secrets."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that a request of this session carries."""

    @property
    def user_fields(self) -> frozenset[str]:
        """Fields of answers that are about the user who asks; cut before anything is kept."""

    @property
    def words(self) -> frozenset[str]:
        """What its answers are made of whatever they say (names of fields, fixed values): never taken for a secret."""

    @property
    def robots(self) -> Request | None:
        """The robots.txt that speaks for this source; None where nothing is asked over a public protocol."""

    def first(self) -> Iterable[Request]:
        """What to ask first; the first of these is the greeting: if it fails, nothing goes on."""

    def sample(self) -> Iterable[Request]:
        """A page or so that shows what the source gives."""

    def follow(self, answer: Answer) -> Iterable[Request]:
        """What an answer leads to. MUST depend on the answer alone; the same request twice is asked once."""

    def list_of(self, request: Request) -> str | None:
        """The name of the list that the request is one page of, else None."""

    def fetch(self, request: Request) -> Answer:
        """Ask, over a network through the Http seam alone. Raises RetriableError where there is no answer at all,
        SkipRecordError where a thing is gone.
        """

    def check(self, answer: Answer) -> None:
        """Raise what the answer means if it is not what was asked for: RetriableError, SkipRecordError or
        SourceRefusedError. MUST be pure.
        """


@runtime_checkable
class GivesOriginals(Protocol):
    """What a connector can, beside asking for metadata, whose source gives recordings. Absent: it does not."""

    def original(self, fetch_id: str) -> Request:
        """The question for the bytes of one recording; `fetch_id` as its offer says."""

    def download(self, request: Request, sink: Callable[[bytes], None], max_bytes: int) -> Answer:
        """Stream the bytes to `sink`; the answer has no body. Raises RetriableError and SkipRecordError as `fetch` does;
        what went to `sink` until then is a part of a recording at most.
        """

    def check_original(self, answer: Answer, head: bytes) -> None:
        """Raise what the answer means where `head`, its first bytes, is no recording: servers say so with HTTP 200."""

    def state_of(self, fetch_id: str) -> str:
        """What tells that a file has changed, without reading it; empty where the source cannot tell."""

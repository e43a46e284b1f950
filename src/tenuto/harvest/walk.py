"""The walk through a source: what is still to ask, what was asked, and what is done with each answer."""

import hashlib
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive import SourceSettings
from tenuto.evidence import EvidenceWriter, Redactor, read_records
from tenuto.harvest.asking import Asker, Stopped
from tenuto.harvest.operator import OperatorFiles
from tenuto.model.answers import FAILED, OK, Answer, Request
from tenuto.model.errors import SourceDownError, SourceRefusedError
from tenuto.model.progress import Progress
from tenuto.sources import Source

_FAILED_IN_A_ROW = 3
"""So many requests that fail for good one after the other mean that the source is down."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with all that asking it needs."""

    name: str
    settings: SourceSettings
    source: Source
    redactor: Redactor
    agent: str
    operator: OperatorFiles


class Walk:
    """The requests still to ask, those asked, and what is done with each answer."""

    def __init__(self, opened: OpenSource, asker: Asker, writer: EvidenceWriter, progress: Progress) -> None:
        self._opened = opened
        self._asker = asker
        self._writer = writer
        self._progress = progress
        self._pending: deque[Request] = deque()
        self._known: set[str] = set()
        self._kept: set[str] = set()
        self._pages: set[tuple[str, bytes]] = set()
        self._failed: list[Answer] = []
        self._greeting, *first = opened.source.first()
        for request in (self._greeting, *first):
            self._add(request)

    def replay(self, folder: Path) -> None:
        """Take over what an interrupted harvest kept."""
        kept_keys: set[str] = set()
        for file in sorted(folder.glob("*.warc.gz")):
            for record in read_records(file):
                if record.answer is not None:
                    self._kept.add(_identity(record.answer))
                    self._known.add(record.answer.request.key)
                    self._follow(record.answer)
                    kept_keys.add(record.answer.request.key)
        self._pending = deque(request for request in self._pending if request.key not in kept_keys)
        if self._kept:
            self._progress.say(
                f"{self._opened.name}: goes on with an interrupted harvest, {len(self._kept):,} answers kept"
            )

    def keep(self, answer: Answer) -> None:
        """Write an answer unless it is kept already (an operator's file that has not changed)."""
        if _identity(answer) not in self._kept:
            self._writer.write(answer)
            self._kept.add(_identity(answer))

    def run(self, concurrency: int) -> None:
        """Ask until nothing is left."""
        done = 0
        self._progress.begin(f"harvest {self._opened.name}", len(self._known), "answers")
        self._progress.advance(len(self._known) - len(self._pending), len(self._known))
        with ThreadPoolExecutor(concurrency, thread_name_prefix="ask") as pool:
            flying: dict[Future[Answer], Request] = {}
            try:
                while self._pending or flying:
                    while self._pending and len(flying) < (concurrency if done else 1):
                        request = self._pending.popleft()
                        flying[pool.submit(self._asker.ask, request)] = request
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        self._take(flying.pop(future), future.result())
                        done += 1
                        self._progress.advance(1, len(self._known))
                self._write_failed()
            except BaseException:
                self._asker.pace.stop()
                self._rescue(flying)
                raise

    def _rescue(self, flying: dict[Future[Answer], Request]) -> None:
        """What still flies when the harvest stops is kept if it arrives: nobody should be asked for it again."""
        for future, request in flying.items():
            try:
                answer = future.result()
            except (Exception, Stopped):  # noqa: BLE001, S112 -- the first fault is the one that is reported
                continue
            if answer.outcome != FAILED:
                self._keep_asked(request, answer)

    def _take(self, request: Request, answer: Answer) -> None:
        if request == self._greeting and answer.outcome != OK:
            raise SourceRefusedError(f"{self._opened.source.place} does not answer the greeting as it should "
                                     f"(HTTP {answer.http_status}, {answer.outcome}); look with: "
                                     f"tenuto source test {self._opened.name}")  # fmt: skip
        if answer.outcome == FAILED:
            self._failed.append(answer)
            if len(self._failed) >= _FAILED_IN_A_ROW:
                raise SourceDownError(f"{self._opened.source.place} failed {len(self._failed)} requests in a row, the last "
                                      f"{answer.request.address()} with HTTP {answer.http_status}; what was answered "
                                      "is kept: run tenuto harvest again to go on")  # fmt: skip
            return
        self._write_failed()
        self._keep_asked(request, answer)
        self._follow(answer)

    def _keep_asked(self, request: Request, answer: Answer) -> None:
        self._writer.write(answer)
        self._kept.add(_identity(answer))
        self._known.add(request.key)

    def _write_failed(self) -> None:
        """A failure is final once the source answered something else after it; until then it is asked again."""
        for answer in self._failed:
            self._writer.write(answer)
        self._failed.clear()

    def _follow(self, answer: Answer) -> None:
        if answer.outcome != OK or answer.request.key.startswith("operator/") or answer.request.key == "robots.txt":
            return
        page = self._opened.source.list_of(answer.request)
        if page is not None:
            fingerprint = (page, hashlib.sha256(answer.body).digest())
            if fingerprint in self._pages:
                self._progress.say(f"{page} gives the same page again at {answer.request.key}; paging stops there")
                return
            self._pages.add(fingerprint)
        for request in self._opened.source.follow(answer):
            self._add(request)

    def _add(self, request: Request) -> None:
        if request.key not in self._known:
            self._known.add(request.key)
            self._pending.append(request)


def _identity(answer: Answer) -> str:
    return f"{answer.request.key}\n{hashlib.sha256(answer.body).hexdigest()}"

"""The walk through a source: what is still to ask, what was asked, and what is done with each answer."""

import hashlib
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tenuto.evidence import EvidenceWriter, read_records
from tenuto.harvest.asking import GIVEN_UP, Asker
from tenuto.harvest.opening import OpenSource
from tenuto.harvest.pace import Stopped
from tenuto.harvest.pages import fingerprint
from tenuto.model.answers import FAILED, OK, Answer, Request
from tenuto.model.errors import SourceDownError, SourceError, SourceRefusedError
from tenuto.model.progress import Progress

_SERVER_FAULT = 429
"""From this HTTP status on it is the server's state (too many requests, 5xx), not the request."""

_FAILED_IN_A_ROW = 3
"""After so many requests that fail one after the other the source is asked whether it is still there."""


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
        self._failed: list[Request] = []
        self._in_a_row = 0
        self._is_last_round = False
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
        """Write an answer unless it is kept already (an operator's file that has not changed, an answer that was written
        just before the harvest was stopped).
        """
        if _identity(answer) not in self._kept:
            self._writer.write(answer)
            self._kept.add(_identity(answer))

    def run(self, concurrency: int) -> None:
        """Ask until nothing is left; what failed is asked once more at the end."""
        self._progress.begin(f"harvest {self._opened.name}", len(self._known), "answers")
        self._progress.advance(len(self._known) - len(self._pending), len(self._known))
        with ThreadPoolExecutor(concurrency, thread_name_prefix="ask") as pool:
            flying: dict[Future[Answer], Request] = {}
            try:
                self._ask_all(pool, flying, concurrency)
                if self._failed:
                    self._probe()
                    self._pending.extend(self._failed)
                    self._is_last_round = True
                    self._ask_all(pool, flying, concurrency)
            except BaseException:
                self._opened.pace.stop()
                self._rescue(flying)
                raise

    def _ask_all(self, pool: ThreadPoolExecutor, flying: dict[Future[Answer], Request], concurrency: int) -> None:
        """Ask what is pending and what it leads to; the first request alone, since it finds out the login."""
        done = 0
        while self._pending or flying:
            while self._pending and len(flying) < (concurrency if done else 1):
                request = self._pending.popleft()
                flying[pool.submit(self._asker.ask, request)] = request
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                self._take(flying[future], self._answer(flying[future], future))
                del flying[future]
                done += 1
                self._progress.advance(1, len(self._known))

    def _answer(self, request: Request, future: Future[Answer]) -> Answer:
        """What came; a refusal while the greeting is answered well is a refusal of this one thing."""
        try:
            return future.result()
        except SourceRefusedError as error:
            if request == self._greeting:
                raise
            self._probe()
            message = self._opened.redactor.text(str(error)).encode()
            return Answer(request, message, "text/plain", datetime.now(UTC), outcome=FAILED)

    def _rescue(self, flying: dict[Future[Answer], Request]) -> None:
        """What still flies when the harvest stops is kept if it arrives: nobody should be asked for it again."""
        for future, request in flying.items():
            try:
                answer = future.result()
            except (Exception, Stopped):  # noqa: BLE001, S112 -- the first fault is the one that is reported
                continue
            if answer.outcome == OK or (answer.outcome != GIVEN_UP and request != self._greeting):
                self._keep_asked(request, answer)

    def _take(self, request: Request, answer: Answer) -> None:
        if request == self._greeting and answer.outcome != OK:
            raise self._no_greeting(answer)
        if answer.outcome == GIVEN_UP:
            self._fail(request, answer)
            return
        self._in_a_row = 0
        self._keep_asked(request, answer)
        self._follow(answer)

    def _fail(self, request: Request, answer: Answer) -> None:
        """A failure is final if the same request fails twice, at different times, while the source answers others."""
        self._in_a_row += 1
        if self._is_last_round:
            self._probe()
            self._keep_asked(request, replace(answer, outcome=FAILED))
            return
        self._failed.append(request)
        if self._in_a_row >= _FAILED_IN_A_ROW or not answer.http_status:
            self._probe()

    def _probe(self) -> None:
        """Go on only if the source still answers its greeting."""
        answer = self._asker.ask(self._greeting, is_demanded=True)
        if answer.outcome != OK:
            raise self._no_greeting(answer)
        self._in_a_row = 0

    def _no_greeting(self, answer: Answer) -> SourceError:
        said = " ".join(answer.body[:200].decode("utf-8", "replace").split())
        how = f"HTTP {answer.http_status}: {said}" if answer.http_status else said
        place, name = self._opened.source.place, self._opened.name
        is_silent = answer.outcome == GIVEN_UP and not answer.http_status
        if is_silent or answer.http_status >= _SERVER_FAULT:
            return SourceDownError(
                f"{place} cannot be asked now ({how}); what was answered is kept: run tenuto harvest again to go on"
            )
        return SourceRefusedError(f"{place} does not answer the greeting as it should ({how}); look with: "
                                  f"tenuto source test {name}")  # fmt: skip

    def _keep_asked(self, request: Request, answer: Answer) -> None:
        self.keep(answer)
        self._known.add(request.key)

    def _follow(self, answer: Answer) -> None:
        if answer.outcome != OK or answer.request.key.startswith("operator/") or answer.request.key == "robots.txt":
            return
        page = self._opened.source.list_of(answer.request)
        if page is not None:
            seen = (page, fingerprint(self._opened.settings.kind, answer))
            if seen in self._pages:
                self._progress.say(f"{page} gives the same page again at {answer.request.key}; paging stops there")
                return
            self._pages.add(seen)
        for request in self._opened.source.follow(answer):
            self._add(request)

    def _add(self, request: Request) -> None:
        if request.key not in self._known:
            self._known.add(request.key)
            self._pending.append(request)


def _identity(answer: Answer) -> str:
    return f"{answer.request.key}\n{hashlib.sha256(answer.body).hexdigest()}"

"""Fetching recordings, as politely as metadata was asked for: the same ceiling, the same pauses, the same robots.txt."""

import hashlib
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.harvest.asking import Asker
from tenuto.harvest.opening import OpenSource, asker_of, check_robots, open_politely
from tenuto.harvest.pace import slot
from tenuto.model.answers import OK, Request
from tenuto.model.errors import RetriableError, SourceDownError, SourceRefusedError, TenutoError
from tenuto.model.progress import Progress
from tenuto.sources import GivesOriginals

_HEAD_BYTES = 64 * 1024
"""As much of an answer as tells an error from a recording."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A recording as it came: digests taken while streaming; `state` is what tells that the source's file has changed."""

    bytes: int
    sha256: str
    crc32: int
    state: str


class _Sink:
    """Writes to a file what comes, and takes its digests."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._sha256 = hashlib.sha256()
        self.crc32 = 0
        self.bytes = 0
        self.head = b""

    def write(self, part: bytes) -> None:
        if len(self.head) < _HEAD_BYTES:
            self.head += part[: _HEAD_BYTES - len(self.head)]
        self._file.write(part)
        self._sha256.update(part)
        self.crc32 = zlib.crc32(part, self.crc32)
        self.bytes += len(part)

    def close(self) -> None:
        self._file.close()

    def fetched(self, state: str) -> Fetched:
        return Fetched(self.bytes, self._sha256.hexdigest(), self.crc32, state)


class Originals:
    """The recordings of one source, opened with `open_originals`."""

    def __init__(self, layout: Layout, settings: Settings, opened: OpenSource, gives: GivesOriginals, asker: Asker,
                 greeting: Request | None, progress: Progress) -> None:  # fmt: skip
        self._slots = layout.pace / "slots"
        self._opened = opened
        self._gives = gives
        self._asker = asker
        self._greeting = greeting
        self._polite = settings.politeness
        self._concurrency = opened.settings.concurrency or settings.politeness.concurrency
        self._progress = progress
        self._chance = random.Random()  # noqa: S311 -- only spreads pauses

    def greet(self) -> None:
        """Find the login that is taken; raises SourceDownError and SourceRefusedError where there is no getting in."""
        if self._greeting is None:
            return
        try:
            answer = self._asker.ask(self._greeting, is_demanded=True)
        except SourceDownError as error:
            said = str(error).replace("tenuto harvest", "tenuto keep")
            raise SourceDownError(said) from None
        if answer.outcome != OK:
            raise SourceDownError(
                f"{self._opened.source.place} does not answer the greeting as it should (HTTP {answer.http_status}); "
                f"look with: tenuto source test {self._opened.name}, then run tenuto keep again"
            )

    def state_of(self, fetch_id: str) -> str:
        """What tells that the source's file has changed; empty where the source cannot tell."""
        return self._gives.state_of(fetch_id)

    def fetch(self, fetch_id: str, path: Path, max_bytes: int) -> Fetched:
        """Write a recording to `path`, whole.

        Raises SkipRecordError where it cannot be had, RetriableError where all tries failed, SourceDownError and
        SourceRefusedError where nothing more can be had. `path` may then hold a part.
        """
        request = self._gives.original(fetch_id)
        self._asker.rules.check(request)
        with slot(self._slots, self._opened.name, self._concurrency):
            for attempt in range(1, self._polite.tries + 1):
                try:
                    return self._once(fetch_id, path, max_bytes)
                except RetriableError as error:
                    if attempt == self._polite.tries:
                        self._probe(error)
                        raise RetriableError(f"{self._said(error)}; given up after {attempt} tries") from None
                    self._pause(error, attempt)
                except TenutoError as error:
                    error.args = (self._said(error),)
                    raise
        raise AssertionError("tries is at least 1")

    def _once(self, fetch_id: str, path: Path, max_bytes: int) -> Fetched:
        state = self._gives.state_of(fetch_id)
        sink = _Sink(path)
        try:
            answer = self._gives.download(self._gives.original(fetch_id), sink.write, max_bytes)
        finally:
            sink.close()
        self._gives.check_original(answer, sink.head)
        if self._gives.state_of(fetch_id) != state:
            raise RetriableError(f"{fetch_id} changed while it was read")
        return sink.fetched(state)

    def _probe(self, error: RetriableError) -> None:
        """After a recording that all tries did not bring: raise SourceDownError where the source answers no greeting either.

        What it would have given stays wanted then, instead of being noted as failed, one recording after the other.
        """
        if self._greeting is None:
            return
        try:
            is_up = self._asker.ask(self._greeting, is_demanded=True).outcome == OK
        except SourceDownError:
            is_up = False
        if not is_up:
            raise SourceDownError(
                f"{self._opened.source.place} cannot be asked now ({self._said(error)}); what was fetched is kept: "
                "run tenuto keep again to go on"
            ) from None

    def _said(self, error: Exception) -> str:
        return self._opened.redactor.text(str(error))

    def _pause(self, error: RetriableError, attempt: int) -> None:
        """The source's own wish, else 1, 2, 4 … seconds, half of it by chance."""
        wish_s = error.retry_after_s
        if wish_s is not None and wish_s > self._polite.pause_max_s:
            raise SourceDownError(
                f"{self._said(error)} and asks to wait {wish_s:.0f} s; run tenuto keep again after that"
            )
        pause_s = wish_s if wish_s is not None else min(self._polite.pause_max_s, 2.0 ** (attempt - 1))
        pause_s *= 1.0 if wish_s is not None else 0.5 + self._chance.random() / 2
        self._progress.say(f"{self._said(error)}; trying again in {pause_s:.1f} s")
        self._opened.pace.hold_back(pause_s)
        self._opened.pace.pause(pause_s)


@contextmanager
def open_originals(layout: Layout, settings: Settings, name: str, progress: Progress) -> Iterator[Originals]:
    """The recordings of a source; raises SourceRefusedError where it gives none, RightsError where asking is forbidden."""
    with open_politely(layout, settings, name, lambda: datetime.now(UTC)) as opened:
        gives = opened.source
        if not isinstance(gives, GivesOriginals):
            raise SourceRefusedError(f"source {name} ({opened.settings.kind}) gives no recordings")
        asker, _, _ = check_robots(opened, asker_of(opened, settings, progress))
        greeting = next(iter(opened.source.first())) if opened.source.robots is not None else None
        originals = Originals(layout, settings, opened, gives, asker, greeting, progress)
        originals.greet()
        yield originals

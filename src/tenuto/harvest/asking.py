"""Asking politely: a ceiling on the rate, pauses that grow, the source's own wishes first."""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tenuto.evidence import Redactor
from tenuto.harvest.robots import Rules
from tenuto.model.answers import FAILED, MISSING, Answer, Request
from tenuto.model.errors import RetriableError, SkipRecordError, SourceDownError
from tenuto.model.progress import Progress
from tenuto.sources import Source

GIVEN_UP = "given-up"
"""The outcome of a request whose tries all failed, while it may be asked again later; never written."""


class Stopped(BaseException):
    """The harvest is being stopped; no thread waits any longer."""


class Pace:
    """At most `rate_per_s` requests in any second over all threads: their starts lie 1/rate apart.

    The first one waits as well, so that a process that is killed and started again keeps the ceiling. One process works
    in an archive at a time (its lock), so this is the ceiling of the source.
    """

    def __init__(self, rate_per_s: float) -> None:
        self._gap_s = 1 / rate_per_s
        self._next_at = time.monotonic() + self._gap_s
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def wait(self) -> None:
        """Wait for the next place in time; nobody has one before he goes, so that `hold_back` holds for all."""
        while True:
            with self._lock:
                now = time.monotonic()
                left_s = self._next_at - now
                if left_s <= 0 and not self._stop.is_set():
                    self._next_at = now + self._gap_s
                    return
            self.pause(left_s)

    def slow_down(self, rate_per_s: float) -> None:
        """Lower the ceiling, never raise it: another pause was read."""
        with self._lock:
            more_s = max(0.0, 1 / rate_per_s - self._gap_s)
            self._gap_s += more_s
            self._next_at += more_s

    def pause(self, seconds: float) -> None:
        """Wait, unless the harvest is stopped meanwhile."""
        if self._stop.wait(max(0.0, seconds)):
            raise Stopped

    def hold_back(self, seconds: float) -> None:
        """Let no thread ask before `seconds` have passed: the source asked for a pause."""
        with self._lock:
            self._next_at = max(self._next_at, time.monotonic() + seconds)

    def stop(self) -> None:
        """Wake every thread that waits."""
        self._stop.set()


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one source: `tries` times, pausing in between, never longer than `pause_max_s`.

    The source's seam waits for `pace` before each request that goes out.
    """

    source: Source
    redactor: Redactor
    pace: Pace
    progress: Progress
    tries: int
    pause_max_s: float
    rules: Rules = field(default_factory=Rules)
    chance: random.Random = field(default_factory=random.Random)

    def ask(self, request: Request, *, is_demanded: bool = False) -> Answer:
        """The answer with secrets cut and its outcome set: GIVEN_UP where all tries failed (with our own sentence where
        none came at all); if it `is_demanded`, FAILED, and SourceDownError where none came at all.

        Raises SourceRefusedError where the source does not let us in, SourceDownError where it asks for a long pause,
        RightsError where robots.txt does not let us ask this.
        """
        self.rules.check(request)
        for attempt in range(1, self.tries + 1):
            answer: Answer | None = None
            try:
                answer = self.redactor.answer(self.source.fetch(request))
                self.source.check(answer)
            except SkipRecordError as error:
                return self._without(request, answer, error)
            except RetriableError as error:
                pause_s = self._pause_s(error, attempt)
                if attempt < self.tries:
                    self.progress.say(self.redactor.text(f"{error}; trying again in {pause_s:.1f} s"))
                    self.pace.hold_back(pause_s)
                elif answer is not None:
                    return replace(answer, outcome=FAILED if is_demanded else GIVEN_UP)
                else:
                    message = self.redactor.text(f"{error}; given up after {self.tries} tries")
                    if is_demanded:
                        raise SourceDownError(
                            f"{message}. What was answered is kept: run tenuto harvest again to go on"
                        ) from None
                    return Answer(request, message.encode(), "text/plain", datetime.now(UTC), outcome=GIVEN_UP)
            else:
                return answer
        raise AssertionError("tries is at least 1")

    def _pause_s(self, error: RetriableError, attempt: int) -> float:
        """The source's own wish, else 1, 2, 4 … seconds, half of it by chance so that many askers do not meet."""
        if error.retry_after_s is not None:
            if error.retry_after_s > self.pause_max_s:
                raise SourceDownError(self.redactor.text(
                    f"{error} and asks to wait {error.retry_after_s:.0f} s; run tenuto harvest again after that")
                ) from None  # fmt: skip
            return error.retry_after_s
        pause_s: float = min(self.pause_max_s, 2.0 ** (attempt - 1))
        return pause_s * (0.5 + self.chance.random() / 2)

    def _without(self, request: Request, answer: Answer | None, error: SkipRecordError) -> Answer:
        """A thing that cannot be had is an answer too: what the source said, or our own sentence."""
        message = self.redactor.text(str(error))
        self.progress.say(message)
        outcome = MISSING if error.is_gone else FAILED
        if answer is not None:
            return replace(answer, outcome=outcome)
        return Answer(request, message.encode(), "text/plain", datetime.now(UTC), outcome=outcome)

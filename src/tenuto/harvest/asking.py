"""Asking politely: a ceiling on the rate, pauses that grow, the source's own wishes first."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tenuto.evidence import Redactor
from tenuto.harvest.pace import Pace
from tenuto.harvest.robots import Rules
from tenuto.model.answers import FAILED, MISSING, Answer, Request
from tenuto.model.errors import RetriableError, SkipRecordError, SourceDownError
from tenuto.model.progress import Progress
from tenuto.sources import Source

GIVEN_UP = "given-up"
"""The outcome of a request whose tries all failed, while it may be asked again later; never written."""


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

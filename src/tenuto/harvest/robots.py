"""robots.txt (RFC 9309): whether a source lets programs ask, where no permission on file says more."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from protego import Protego

from tenuto.evidence.harvests import RobotsRead
from tenuto.model.answers import FAILED, Answer, Request
from tenuto.model.errors import RightsError
from tenuto.rights import Permission


@dataclass(frozen=True, slots=True)
class Rules:
    """What robots.txt lets `agent` ask, and the pause in seconds that it asks for; without `parsed` all or nothing."""

    agent: str = ""
    parsed: Protego | None = None
    is_open: bool = True
    delay_s: float | None = None

    def allow(self, request: Request) -> bool:
        """Whether it lets us ask this."""
        return self.is_open and (self.parsed is None or bool(self.parsed.can_fetch(request.address(), self.agent)))

    def check(self, request: Request) -> None:
        """Raise RightsError where it does not."""
        if not self.allow(request):
            raise RightsError(
                f"robots.txt does not let {self.agent} ask {request.address()}; what was answered before is kept. "
                "Ask the operator for a permission: tenuto source permission --template"
            )


def read_robots(
    answer: Answer, agent: str, first: Iterable[Request], permission: Permission | None
) -> tuple[RobotsRead, Rules]:
    """What robots.txt says of the first requests, and the rules for all of them.

    4xx: there are no rules; 5xx, 429 to the last try, and what cannot be read: nothing may be asked (RFC 9309, 2.3.1.3-4). A
    permission on file outranks the rules, never the pause, and the record says so.
    """
    is_text = 200 <= answer.http_status < 300  # noqa: PLR2004 -- success (RFC 9110)
    parsed = Protego.parse(answer.body.decode("utf-8-sig", "replace") if is_text else "")
    is_open = 0 < answer.http_status < 500 and answer.outcome != FAILED  # noqa: PLR2004 -- server faults
    delay_s = float(parsed.crawl_delay(agent) or 0)
    rules = Rules(agent, parsed, is_open, delay_s if delay_s > 0 else None)
    is_allowed = all(rules.allow(request) for request in first)
    is_granted = permission is not None and permission.harvest.metadata
    read = RobotsRead(
        http_status=answer.http_status,
        sha256=hashlib.sha256(answer.body).hexdigest(),
        is_allowed=is_allowed,
        is_outranked=is_granted and not is_allowed,
    )
    return read, Rules(delay_s=rules.delay_s) if is_granted else rules

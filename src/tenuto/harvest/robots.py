"""robots.txt (RFC 9309): whether a source lets programs ask, where no permission on file says more."""

import hashlib

from protego import Protego

from tenuto.evidence.harvests import RobotsRead
from tenuto.model.answers import Answer
from tenuto.rights import Permission


def read_robots(
    answer: Answer, agent: str, address: str, permission: Permission | None
) -> tuple[RobotsRead, float | None]:
    """What robots.txt says of `address`, and the pause in seconds that it asks for.

    4xx: there are no rules; 5xx: nothing may be asked (RFC 9309, 2.3.1.3-4). A permission on file outranks the rules,
    never the pause, and the record says so.
    """
    is_text = 200 <= answer.http_status < 300  # noqa: PLR2004 -- success (RFC 9110)
    rules = Protego.parse(answer.body.decode("utf-8", "replace") if is_text else "")
    is_allowed = answer.http_status < 500 and bool(rules.can_fetch(address, agent))  # noqa: PLR2004 -- server faults
    delay_s = rules.crawl_delay(agent)
    is_granted = permission is not None and permission.harvest.metadata
    read = RobotsRead(
        http_status=answer.http_status,
        sha256=hashlib.sha256(answer.body).hexdigest(),
        is_allowed=is_allowed,
        is_outranked=is_granted and not is_allowed,
    )
    return read, float(delay_s) if delay_s else None

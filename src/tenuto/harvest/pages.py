"""Whether two pages of a list are the same page: by what they list, since a server may put the time into each answer."""

import hashlib

from tenuto.model.answers import Answer
from tenuto.model.records import RankSeen, ReleaseSeen, TrackSeen
from tenuto.sources import parse


def fingerprint(kind: str, answer: Answer) -> bytes:
    """A digest of the ids that a page lists, in whatever order; of its bytes where it lists none."""
    ids = set()
    for seen in parse(kind, answer):
        match seen:
            case TrackSeen():
                ids.add(f"track {seen.track_id}")
            case ReleaseSeen():
                ids.add(f"release {seen.release_id}")
            case RankSeen():
                ids.add(f"rank {seen.release_id} {seen.track_id}")
    content = "\n".join(sorted(ids)).encode("utf-8", "surrogatepass") if ids else answer.body
    return hashlib.sha256(content).digest()

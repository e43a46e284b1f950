"""What `tenuto find` shows a person: two lines a track; what is so of all of them is said once, at the end."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from tenuto.model.units import counted

NEAR, EXACT = "near", "exact"
"""How a track fits what was asked for: `near` where a word is met only in another spelling."""

_PEOPLE_MAX = 8
"""People named in a line; there are tracks with thousands."""


def render(found: Sequence[dict[str, Any]], *, is_more: bool, hint: str) -> None:
    """Print what was found, the best first; `is_more` where the limit hides some, `hint` for when there is nothing."""
    if not found:
        print(f"nothing was found; {hint}" if hint else "nothing was found")
        return
    shared = [said for said in _facts(found[0]) if len(found) > 1 and all(said in _facts(one) for one in found)]
    for match, group in groupby(found, lambda one: one["match"]):
        if match == NEAR:
            print("in another spelling:" if found[0]["match"] == EXACT else "nothing fits exactly; near it are:")
        for one in group:
            print(_named(one))
            own = [said for said in _facts(one) if said not in shared]
            print("; ".join([f"  {one['source']}:{one['track_id']}", *own]))
    count = f"{len(found):,} of more tracks (see --limit)" if is_more else counted(len(found), "track")
    print(f"{count}; each: {'; '.join(shared)}" if shared else count)


def _named(one: dict[str, Any]) -> str:
    """Title, people and release with its date; a name may hold line breaks, its line does not."""
    people = list(dict.fromkeys(one["artists"]))
    more = [f"{len(people) - _PEOPLE_MAX:,} more"] if len(people) > _PEOPLE_MAX else []
    release = ", ".join(part for part in (one["release"], one["release_date"]) if part)
    parts = (one["title"] or "-", "; ".join([*people[:_PEOPLE_MAX], *more]), release)
    return " ".join(" | ".join(part for part in parts if part).split())


def _facts(one: dict[str, Any]) -> list[str]:
    """What has become of a track, and its licence."""
    held = f"{one['status']} in {one['crate']}" if one["crate"] else one["status"]
    return [held, one["licence"] or "licence unknown"]

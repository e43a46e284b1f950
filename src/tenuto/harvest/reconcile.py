"""Holding a source's independent counts against each other: silent truncation is the commonest harvest bug."""

from collections import defaultdict
from collections.abc import Iterable

from tenuto.evidence.harvests import Reconciled
from tenuto.model.findings import Finding
from tenuto.model.records import CountSeen, Seen, TrackSeen


class Reconciler:
    """Counts tracks by the route that led to them, beside what the source itself says."""

    def __init__(self) -> None:
        self._tracks: dict[str, set[str]] = defaultdict(set)
        self._of_release: dict[str, int] = {}
        self._said: dict[str, int] = {}

    def add(self, route: str, seen: Iterable[Seen]) -> None:
        """Count what one answer showed."""
        for item in seen:
            match item:
                case TrackSeen():
                    self._tracks[route].add(item.track_id)
                case CountSeen() if item.of.startswith("album "):
                    self._of_release[item.of] = item.count
                case CountSeen():
                    self._said[item.of] = item.count

    def result(self) -> Reconciled:
        """The counts; `found` is the union over all routes."""
        said = {f"by {route}": len(ids) for route, ids in sorted(self._tracks.items())}
        said.update(sorted(self._said.items()))
        if self._of_release:
            said["releases' own counts"] = sum(self._of_release.values())
        return Reconciled(what="tracks", said=said, found=len(set().union(*self._tracks.values())))


def differing(source: str, counts: Reconciled) -> list[Finding]:
    """A finding where any count is not the number of tracks found."""
    if all(number == counts.found for number in counts.said.values()):
        return []
    said = ", ".join(f"{name}: {number:,}" for name, number in counts.said.items())
    message = f"found {counts.found:,} {counts.what}, but {said}; what every route gave is kept"
    return [Finding(code="counts-differ", subject=counts.what, message=message, source=source)]

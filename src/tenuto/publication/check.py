"""Checking the whole archive: each crate to its last byte, then that crates, log, publication and counts fit together.

It holds no lock, so that nothing has to wait for it, a withdrawal least of all; what changes under it is looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from tenuto.archive import Layout, Settings
from tenuto.archive.lock import rest_of, wait_for_rest
from tenuto.crates.holdings import crate_files
from tenuto.crates.verify import Verified
from tenuto.model.errors import UsageError
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.publication.check_bytes import LOOKS_MAX, identity_of, read_crates
from tenuto.publication.check_whole import check_whole


@dataclass(frozen=True, slots=True)
class Checked:
    """What was checked: each crate with its own findings, and the archive's; whole where there are none."""

    crates: tuple[Verified, ...]
    findings: tuple[Finding, ...]

    @property
    def all_findings(self) -> list[Finding]:
        """The crates' and the archive's."""
        return [*(finding for crate in self.crates for finding in crate.findings), *self.findings]


def check(
    layout: Layout, settings: Settings, names: Sequence[str], progress: Progress, *, is_thorough: bool = False,
    today: date | None = None,
) -> Checked:  # fmt: skip
    """Check the named crates, or everything; `is_thorough` adds v1 pieces and the manifest's digests.

    Raises UsageError where a crate of that name is not here. What is wrong comes as findings, all of them.
    """
    paths = crate_files(layout)
    unknown = sorted(set(names) - {path.stem for path in paths})
    if unknown:
        raise UsageError(
            f"no crate here is called {', '.join(unknown)}; there are {', '.join(path.stem for path in paths) or 'none'}"
        )
    wanted = [path for path in paths if not names or path.stem in names]
    sizes = [found[2] for path in wanted if (found := identity_of(path)) is not None]
    progress.begin("check", sum(sizes), "bytes")
    crates = read_crates(layout, settings, wanted, progress, is_thorough=is_thorough)
    on = today or datetime.now(UTC).date()
    return Checked(crates, () if names else _whole(layout, settings, on, progress))


def _whole(layout: Layout, settings: Settings, on: date, progress: Progress) -> tuple[Finding, ...]:
    """What is wrong with the archive as a whole: found while nobody worked in it, or else by every look."""
    found, lasting = list[Finding](), None
    for look in range(LOOKS_MAX):
        if look:
            wait_for_rest(layout.lock, progress.say)
        rest = rest_of(layout.lock)
        found = sorted(check_whole(layout, settings, on))
        if not found or (rest is not None and rest_of(layout.lock) == rest):
            return tuple(found)
        seen = {(one.code, one.subject) for one in found}
        lasting = seen if lasting is None else lasting & seen
    return tuple(one for one in found if (one.code, one.subject) in (lasting or set()))

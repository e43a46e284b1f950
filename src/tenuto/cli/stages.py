"""The stages of `tenuto run`: each calls the library as its verb does, and says in a few words what came of it."""

import errno
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenuto.archive import Layout, Settings
from tenuto.cli.options import resting, working
from tenuto.model.progress import Progress

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_GOES_ON = frozenset({0, 5, 6, 9})
"""After these codes the stages that follow do what they can: a source is gone or refuses, some items failed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stage ended: what came of it in a few words, the faults, whether nothing may follow; `next` is what to type."""

    result: str
    exit_code: int = 0
    faults: tuple[str, ...] = ()
    is_last: bool = False
    next: str = ""


@dataclass(slots=True)
class Run:
    """One run: its stages as far as they came, with the seconds that each took."""

    stages: list[tuple[str, Ended, float]] = field(default_factory=list)
    seconds: float = 0.0
    plan: Any = None
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The code of what stopped the run; else the gravest of its stages."""
        from tenuto.model.errors import gravest

        if self.stages and self.stages[-1][1].is_last:
            return self.stages[-1][1].exit_code
        return gravest({ended.exit_code for _, ended, _ in self.stages})


Work = Callable[[Layout, Settings, Progress, Run], Ended]
Opening = Callable[[Path, str], AbstractContextManager[tuple[Layout, Settings]]]


def say(text: str) -> None:
    """One line for a person who watches."""
    print(text, file=sys.stderr, flush=True)


def stopped(code: int, faults: Sequence[str]) -> Ended:
    """A stage after which nothing may follow: what is done stays, and the same command goes on from there."""
    from tenuto.model.errors import IntegrityError

    mend = "; where a crate is damaged: tenuto repair" if code == IntegrityError.exit_code else ""
    again = f"mend what is said above{mend}; then tenuto run goes on where it stopped, nothing is lost"
    return Ended("stopped here", code, tuple(faults), is_last=True, next=again)


def _harvest(layout: Layout, settings: Settings, progress: Progress, _: Run) -> Ended:
    from tenuto.cli.harvest import ask_sources, has_failed_items
    from tenuto.evidence.harvests import MANIFEST_NAME
    from tenuto.model.errors import PartlyDoneError, gravest
    from tenuto.model.units import counted, format_bytes

    done, failed = ask_sources(layout, settings, (), progress, stops=_stops)
    code = gravest({code for _, _, code in failed} | ({PartlyDoneError.exit_code} if has_failed_items(done) else set()))
    faults = tuple(f"{name}: {said}" for name, said, _ in failed)
    if not any(layout.evidence.glob(f"*/*/{MANIFEST_NAME}")):
        said = "no source has ever been harvested to its end, so there is nothing to make an archive of"
        say(f"tenuto: {said}")
        return Ended("no source gave anything", code, (*faults, said), is_last=True,
                     next="mend what is said above, then: tenuto run")  # fmt: skip
    tracks, size = sum(one["tracks_found"] for one in done), sum(one["bytes"] for one in done)
    found = sum(sum(one["findings"].values()) for one in done)
    result = (
        f"{counted(tracks, 'track')} from {', '.join(one['source'] for one in done)}; {format_bytes(size)} of answers"
    )
    result = result + (f", {counted(found, 'finding')}" if found else "") if done else "no source answered"
    if failed:
        result += f"; failed: {', '.join(name for name, _, _ in failed)} (earlier harvests count)"
    return Ended(result, code, faults, next="tenuto run, once what failed is mended" if failed else "")


def _stops(error: Exception) -> bool:
    """Whether a fault of one source concerns the others too; one that is gone, or lets nobody in, does not."""
    from tenuto.model.errors import RightsError, SourceError

    if isinstance(error, OSError):
        return error.errno in _FULL
    return not isinstance(error, SourceError | RightsError)


def _build(layout: Layout, settings: Settings, progress: Progress, _: Run) -> Ended:
    from tenuto.archive.layout import read_pointer
    from tenuto.catalogue.build import build
    from tenuto.catalogue.descriptions import Precedence
    from tenuto.model.errors import PartlyDoneError
    from tenuto.model.units import counted

    before = read_pointer(layout.catalogue / "current")
    built = build(layout, progress, precedence=Precedence.of(settings))
    info = built.edition.info
    result = f"edition {info.edition}"
    if built.damage:
        result += " was damaged and is written anew"
    elif built.is_new or info.edition != before:
        counts = info.tables["track"].rows, sum(source.tombstones for source in info.sources.values())
        result += f": {counted(counts[0], 'track')}, {counted(counts[1], 'tombstone')}"
    else:
        result += ", unchanged"
    damaged = info.findings.get("evidence-damaged", 0)
    if not damaged:
        return Ended(result)
    said = f"evidence is damaged ({damaged:,} findings evidence-damaged): restore it from a copy, or harvest again"
    return Ended(f"{result}; evidence is damaged", PartlyDoneError.exit_code, (said,))


def _plan(layout: Layout, settings: Settings, progress: Progress, this: Run) -> Ended:  # noqa: ARG001 -- a stage
    from tenuto.archive.layout import read_pointer
    from tenuto.catalogue import open_current
    from tenuto.model.units import counted, format_bytes
    from tenuto.selection import make_plan

    before = read_pointer(layout.plans / "newest")
    made = this.plan = make_plan(layout, settings, open_current(layout))
    if made.plan == before:
        return Ended(f"plan {made.plan}, unchanged")
    dark = f", {made.drafts_dark} dark" if made.drafts_dark else ""
    return Ended(f"plan {made.plan}: {format_bytes(made.plan_bytes)} in {counted(made.drafts, 'crate')}{dark}")


def _keep(layout: Layout, settings: Settings, progress: Progress, this: Run) -> Ended:
    from tenuto.crates.keep import fault_of, keep
    from tenuto.model.units import counted, format_bytes

    done = keep(layout, settings, progress)
    for crate, said, _ in done.errors:
        say(f"tenuto: {crate}: {said}")
    this.failures = done.failed
    result = "nothing to keep"
    if done.crates:
        result = f"sealed {counted(len(done.crates), 'crate')} with {counted(done.recordings, 'recording')}, "
        result += format_bytes(done.bytes)
    if done.failed:
        result += f"; {counted(sum(done.failed.values()), 'recording')} failed, now or before"
    faults = (*(f"{crate}: {said}" for crate, said, _ in done.errors), *done.failures)
    grave = {code for _, _, code in done.errors} - _GOES_ON
    if grave:
        return stopped(fault_of(done), faults)
    if done.errors:
        result += f"; {counted(len(done.errors), 'crate')} not finished"
    return Ended(result, fault_of(done), faults, next="tenuto run, once what failed is mended" if done.errors else "")


def _publish(layout: Layout, settings: Settings, progress: Progress, _: Run) -> Ended:
    from tenuto.cli.publish import left_out, tell_left_out
    from tenuto.model.errors import gravest
    from tenuto.model.units import counted
    from tenuto.publication.withdraw import carry_out

    settled, done = carry_out(layout, settings, progress)
    if done is None:  # only where nothing is to be public, which is not asked here
        return Ended("nothing published")
    for fault in settled.faults.values():
        say(f"tenuto: {fault}")
    code = gravest({tell_left_out(done), *(fault.exit_code for fault in settled.faults.values())})
    index = done.index
    result = f"{counted(len(index.crates), 'crate')} given out, {len(index.dark)} kept dark"
    result = f"{result}, index {index.sequence}" if done.is_new else f"unchanged: {result}"
    result += f"; {len(done.withheld)} withheld" if done.withheld else ""
    result += f"; {len(done.damaged)} left out as damaged" if done.damaged else ""
    return Ended(result, code, (*map(str, settled.faults.values()), *left_out(done)))


def _check(layout: Layout, settings: Settings, progress: Progress, _: Run) -> Ended:
    from tenuto.model.errors import IntegrityError
    from tenuto.model.units import counted, format_bytes
    from tenuto.publication.check import check

    done = check(layout, settings, (), progress)
    read = f"{counted(len(done.crates), 'crate')}, {format_bytes(sum(one.bytes for one in done.crates))}"
    found = done.all_findings
    if not found:
        return Ended(f"{read}: everything is as it was sealed")
    faults = tuple(f"{one.code}: {one.subject}: {one.message}" for one in found)
    is_in_crates = any(one.findings for one in done.crates)
    mend = "tenuto repair" if is_in_crates else "what the findings say; what is damaged, tenuto repair brings back"
    return Ended(f"{read}: {counted(len(found), 'finding')}", IntegrityError.exit_code, faults, next=mend)


STAGES: tuple[tuple[str, Work, Opening], ...] = (
    ("harvest", _harvest, working),
    ("catalogue build", _build, working),
    ("plan", _plan, working),
    ("keep", _keep, working),
    ("publish", _publish, working),
    ("check", _check, resting),
)

"""Recordings fetched for a plan that is no longer the newest, and not sealed: the drafts that ask for them now get them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tenuto.archive import Layout
from tenuto.catalogue import Edition
from tenuto.crates.held import Held
from tenuto.crates.journal import JOURNAL_NAME, DraftFolder, Outcome, read_journal
from tenuto.crates.wanted import Wanted, load_log, load_wanted
from tenuto.crates.worker import Task
from tenuto.selection.plan import Plan


def carry_over(
    layout: Layout, plan: Plan, edition: Edition, tasks: Sequence[Task], folders: Sequence[Path], known: Held
) -> int:
    """Move what the drafts of the tasks lack out of `folders`, which no plan asks for; how many recordings were moved.

    A run that was killed in between is finished by the next: `folders` are removed only afterwards.
    """
    fetched: dict[str, list[tuple[Path, Outcome]]] = {}
    for folder in folders:
        for outcome in _kept_in(folder):
            fetched.setdefault(outcome.key, []).append((folder / outcome.file, outcome))
    if not fetched:
        return 0
    log, carried = load_log(layout), 0
    for task in tasks:
        draft = task.draft()
        fitting = [
            (one.offer_digest, file, replace(outcome, file=f"{number:05d}{file.suffix}", evidence_id=one.evidence_id))
            for number, one in enumerate(load_wanted(layout, plan, edition, draft, log))
            if one.key not in task.held
            for file, outcome in fetched.get(one.key, ())
            if _fits(one, outcome, known, is_dark=draft.is_dark)
        ]
        if fitting:
            target = DraftFolder(layout.drafts / draft.crate)
            carried += sum(_move(target, *one) for one in fitting)
    return carried


def _move(target: DraftFolder, offer_digest: str, file: Path, outcome: Outcome) -> bool:
    """Move one recording, unless the draft has it already."""
    mine = target.outcomes.get(outcome.key)
    if mine is not None and target.holds(mine) and mine.offer_digest == offer_digest:
        return False
    return target.take_over(file, outcome)


def _kept_in(folder: Path) -> Iterator[Outcome]:
    outcomes = {outcome.key: outcome for outcome in read_journal(folder / JOURNAL_NAME)}
    return (outcome for outcome in outcomes.values() if outcome.is_kept and outcome.file)


def _fits(wanted: Wanted, outcome: Outcome, known: Held, *, is_dark: bool) -> bool:
    """Whether it is what is offered now, in the tier that is asked for; only what goes into a dark crate is sealed."""
    is_same_file = outcome.evidence_id == wanted.evidence_id or wanted.source not in known.file_sources
    is_sealed = outcome.sealed_bytes is not None
    return (
        is_same_file
        and outcome.offer_digest == wanted.offer_digest
        and outcome.tier == wanted.tier
        and is_sealed == is_dark
    )

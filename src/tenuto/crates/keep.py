"""Carrying out the plan: one draft a worker process, each fetched, checked and sealed whole (design, law 3)."""

import os
import queue
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import make_folder, remove_leftovers, write_durably
from tenuto.catalogue import Edition
from tenuto.crates.carry import carry_over
from tenuto.crates.hashing import hash_file, metainfo_of
from tenuto.crates.held import Held, held_recordings
from tenuto.crates.journal import JOURNAL_NAME, DraftFolder, read_journal
from tenuto.crates.lost import restore_journals
from tenuto.crates.merkle import piece_length
from tenuto.crates.processes import WorkerProcess, worker_processes
from tenuto.crates.seal import torrent_beside
from tenuto.crates.supplement import load_supplements, make_supplements
from tenuto.crates.torrent import Metainfo
from tenuto.crates.verify import verify_crate
from tenuto.crates.wanted import (
    Draft,
    crate_path,
    current_edition_of,
    is_sealed,
    load_drafts,
    load_log,
    load_wanted,
    today,
)
from tenuto.crates.withdrawn import load_whole
from tenuto.crates.worker import CRASHES_MAX, Event, Task
from tenuto.model.errors import IntegrityError, PartlyDoneError, UsageError, gravest
from tenuto.model.progress import Progress
from tenuto.model.units import counted
from tenuto.selection.plan import Plan, load_newest

_HEARTBEAT_S = 3.0
"""How often progress is shown while nothing is finished: a long recording, a crate being sealed."""


@dataclass(slots=True)
class Kept:
    """What `keep` did. `failed` counts failures by code over all drafts of the plan; `errors` are drafts that stopped.

    `held` were in crates already, `carried` had been fetched for an earlier plan.
    """

    crates: list[str] = field(default_factory=list)
    recordings: int = 0
    bytes: int = 0
    held: int = 0
    carried: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    errors: list[tuple[str, str, int]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How many processes; whether failed recordings are tried again."""

    workers: int = 0
    is_retry: bool = False


def keep(layout: Layout, settings: Settings, progress: Progress, options: KeepOptions | None = None) -> Kept:
    """Fetch and seal what the newest plan says and the archive does not hold yet; goes on where it was stopped.

    Raises UsageError where there is no plan, or one of an older edition. What fails is counted and noted with its reason; the
    rest goes on.
    """
    options = options or KeepOptions()
    plan = load_newest(layout)
    if plan is None:
        raise UsageError(f"{layout.root} has no plan yet; run: tenuto plan")
    edition = current_edition_of(layout, plan)
    for folder in (layout.crates, layout.dark, layout.holdings, layout.journals):
        remove_leftovers(folder)
    load_whole(layout)  # a log that has lost lines would bring back what was withdrawn
    make_folder(layout.drafts)
    layout.drafts.chmod(0o700)
    planned = load_drafts(layout, plan)
    drafts = [*planned, *load_supplements(layout, plan)]
    abandoned = _tidy(layout, drafts, progress)
    progress.begin("looking what is held", len(drafts), "crates")
    known = held_recordings(layout, settings, {draft.crate for draft in drafts if not is_sealed(layout, draft)})
    if known.unread:
        progress.say(f"{counted(len(known.unread), 'dark crate')} cannot be read here without the identity; what their plans put "
                     "into them counts as held")  # fmt: skip
    restore_journals(layout, plan, edition, planned, known, is_thorough=options.is_retry)
    if options.is_retry:
        make_supplements(layout, settings.archive.name, settings.archive.territory, plan, planned, today())
        drafts = [*planned, *load_supplements(layout, plan)]
    tasks, held = _tasks(layout, plan, edition, drafts, known, progress, is_retry=options.is_retry)
    result = Kept(held=held, carried=carry_over(layout, plan, edition, tasks, abandoned, known))
    _abandon(abandoned, result.carried, progress)
    total = sum(len(task.track_rows) - len(task.held) for task in tasks)
    progress.begin("keep", total, "recordings")
    if tasks:
        count = min(options.workers or os.cpu_count() or 1, len(tasks))
        _work(layout, tasks, count, progress, result)
    _count_failures(layout, drafts, result)
    return result


def _tidy(layout: Layout, drafts: Sequence[Draft], progress: Progress) -> list[Path]:
    """Finish what a killed run left: drafts whose crates stand are closed; those that the plan does not ask for are returned."""
    asked = {draft.crate: draft for draft in drafts}
    for one in drafts:
        path = crate_path(layout, one)
        if path.is_file() and not is_sealed(layout, one) and not (layout.drafts / one.crate).exists():
            progress.say(f"{path} has lost its torrent; it is made again")
            write_durably(torrent_beside(path), _metainfo_of(path).encode())
    abandoned = []
    for folder in sorted(layout.drafts.iterdir()):
        draft = asked.get(folder.name)
        if draft is None:
            abandoned.append(folder)
        elif not is_sealed(layout, draft):
            remove_leftovers(folder)
        elif (folder / JOURNAL_NAME).exists():
            DraftFolder(folder).close(layout.journals)
        else:
            shutil.rmtree(folder)
    return abandoned


def _abandon(folders: Sequence[Path], carried: int, progress: Progress) -> None:
    """Remove the drafts that the plan does not ask for, once what it can use of them is moved."""
    if carried:
        progress.say(f"{counted(carried, 'recording')} fetched for an earlier plan went over into the newest")
    for folder in folders:
        progress.say(f"removing {folder}: the newest plan asks for no such crate")
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


def _metainfo_of(path: Path) -> Metainfo:
    """The torrent of a crate file that has lost it; raises IntegrityError where the crate has rotted, which it would vouch for."""
    wrong = [one for one in verify_crate(path).findings if one.code != "torrent-missing"]
    if wrong:
        raise IntegrityError(
            f"crate {path.stem} has lost its torrent and is damaged ({wrong[0].message}); run: tenuto repair {path.stem}"
        )
    size = path.stat().st_size
    piece_bytes = piece_length(size)
    leaves, pieces = hash_file(path, piece_bytes)
    return metainfo_of(path.name, size, piece_bytes, leaves, pieces)


def _tasks(
    layout: Layout, plan: Plan, edition: Edition, drafts: Sequence[Draft], known: Held, progress: Progress, *, is_retry: bool,
) -> tuple[list[Task], int]:  # fmt: skip
    """The drafts that are not done, each without what another crate holds already; and how many tracks that is."""
    undone = [draft for draft in drafts if not is_sealed(layout, draft)]
    log = load_log(layout)
    withdrawn = log.by_key()
    tasks, held = [], 0
    for draft in undone:
        progress.advance()
        if not is_retry and _is_closed(layout, draft):
            continue
        if not known.found and not known.by_plan and not withdrawn:
            tasks.append(Task(plan.plan, draft.crate, draft.band, draft.access, draft.track_rows, (), is_retry))
            continue
        wanted = load_wanted(layout, plan, edition, draft, log)
        have = tuple(one.key for one in wanted if known.has(one, is_dark=draft.is_dark))
        held += len(have)
        have += tuple(one.key for one in wanted if one.key in withdrawn and one.key not in have
                      and (withdrawn[one.key].is_destroyed or not draft.is_dark))  # fmt: skip
        if len(have) < len(wanted):
            tasks.append(Task(plan.plan, draft.crate, draft.band, draft.access, draft.track_rows, have, is_retry))
        elif (layout.drafts / draft.crate).exists():  # all of it is held, or was withdrawn meanwhile
            shutil.rmtree(layout.drafts / draft.crate)
    return tasks, held


def _is_closed(layout: Layout, draft: Draft) -> bool:
    """Whether a draft came to nothing: each of its recordings failed. A crate that is lost is made again."""
    journal = layout.journals / f"{draft.crate}.jsonl"
    if not journal.exists() or (layout.drafts / draft.crate).exists():
        return False
    return not any(outcome.is_kept for outcome in read_journal(journal))


def _count_failures(layout: Layout, drafts: Sequence[Draft], result: Kept) -> None:
    latest: dict[str, str] = {}
    for draft in drafts:
        for file in (layout.journals / f"{draft.crate}.jsonl", layout.drafts / draft.crate / JOURNAL_NAME):
            latest |= {outcome.key: outcome.code for outcome in read_journal(file)}
    withdrawn = load_log(layout).by_key()
    codes = Counter(code for key, code in latest.items() if code and key not in withdrawn)
    result.failed = dict(sorted(codes.items()))


def _work(layout: Layout, tasks: Sequence[Task], count: int, progress: Progress, result: Kept) -> None:
    """Give each process a draft, hear what comes of it, give it the next; a process that dies is replaced."""
    waiting = list(reversed(tasks))
    crashed: dict[str, Counter[str]] = {}
    events: queue.Queue[tuple[WorkerProcess, Event | None]] = queue.Queue()
    shown_at = time.monotonic()
    with worker_processes(layout, count, events) as processes:
        busy = len(processes)
        for process in processes:
            process.give(waiting.pop())
        while busy:
            if time.monotonic() - shown_at >= _HEARTBEAT_S:
                shown_at = time.monotonic()
                progress.advance(0)
            try:
                process, event = events.get(timeout=max(0.0, shown_at + _HEARTBEAT_S - time.monotonic()))
            except queue.Empty:
                continue
            if event is None:
                busy -= 1
                if process.task is not None:
                    again = _after_crash(process, crashed, progress, result)
                    waiting += [again] if again else []
                    if waiting and not _is_hopeless(result):
                        processes.append(WorkerProcess(layout.root, events))
                        processes[-1].give(waiting.pop())
                        busy += 1
            elif _hear(process, event, progress, result):
                process.task = None
                if waiting and not _is_hopeless(result):
                    process.give(waiting.pop())
                else:
                    process.end()


def _hear(process: WorkerProcess, event: Event, progress: Progress, result: Kept) -> bool:
    """Take in an event; whether the process has done its draft."""
    match event.kind:
        case "begin":
            process.in_hand = event.key
        case "kept" | "failed":
            process.in_hand = ""
            if event.key not in result.seen:
                result.seen.add(event.key)
                progress.advance()
            if event.text:
                result.failures.append(event.text)
                progress.say(f"failed: {event.text}")
        case "say":
            progress.say(event.text)
        case "sealed":
            result.crates.append(event.key)
            result.recordings += event.recordings
            result.bytes += event.bytes
            return True
        case "nothing":
            return True
        case "error":
            result.errors.append((event.key, event.text, event.code))
            return True
    return False


def _after_crash(
    process: WorkerProcess, crashed: dict[str, Counter[str]], progress: Progress, result: Kept
) -> Task | None:
    """The draft again after its process died, with the recording that it had in hand counted against; None: given up."""
    task, how = process.task, process.ended_with()
    if task is None:
        return None
    counts = crashed.setdefault(task.crate, Counter())
    counts[process.in_hand] += 1
    if not process.in_hand and counts[""] > CRASHES_MAX:
        said = (f"its process ended with {how}, {counts['']} times, with no recording in hand; if memory was short, run: "
                "tenuto keep --workers 1")  # fmt: skip
        result.errors.append((task.crate, said, 1))
        return None
    progress.say(f"{task.crate}: its process ended with {how}; it goes on in a new one")
    return replace(task, crashed={key: number for key, number in counts.items() if key})


def _is_hopeless(result: Kept) -> bool:
    """Whether a fault concerns every draft: a full disk, a wrong setting."""
    return any(code in {1, 2, 3} for _, _, code in result.errors)


def fault_of(result: Kept) -> int:
    """The exit code: the gravest fault that stopped drafts, 9 where recordings failed, else 0."""
    if result.errors:
        return gravest({code for _, _, code in result.errors})
    return PartlyDoneError.exit_code if result.failed else 0

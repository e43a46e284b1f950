"""A process that builds drafts, one after the other, whole: `python -m tenuto.crates.worker`, started by `keep` alone.

It reads one task a line from stdin and writes one event a line to stdout. Decoders may crash on hostile files, so they run
here and not in the process that holds the archive. When stdin ends, its parent is gone, and so is it.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tenuto.archive import Layout, Settings, load_settings
from tenuto.archive.processes import die_with_parent
from tenuto.catalogue import Edition
from tenuto.crates import compose
from tenuto.crates.hashing import digests_of
from tenuto.crates.holdings import RECORDINGS_KIND, note_holdings
from tenuto.crates.journal import CRASHED, REFUSED, TAKEN_BACK, DraftFolder, Outcome
from tenuto.crates.recording import keep_recording
from tenuto.crates.seal import lay_out, seal
from tenuto.crates.wanted import Draft, Wanted, crate_path, edition_of, load_wanted, refusal_of, today
from tenuto.crates.withdrawn import TakenBack, load_taken_back
from tenuto.harvest.originals import Originals, open_originals
from tenuto.model.errors import (
    IntegrityError,
    RightsError,
    SourceDownError,
    SourceRefusedError,
    TenutoError,
    system_fault,
)
from tenuto.model.progress import Silent
from tenuto.selection.plan import load_plan
from tenuto.sources import check_options

CRASHES_MAX = 2
"""A recording on which the process died so often is left out."""

"""prctl(2)."""


@dataclass(frozen=True, slots=True)
class Task:
    """One draft to build: which tracks of it are held already, whether failures are tried again, which file crashed."""

    plan: str
    crate: str
    band: str
    access: str
    track_rows: tuple[int, ...]
    held: tuple[str, ...] = ()
    is_retry: bool = False
    crashed: dict[str, int] = field(default_factory=dict)

    def draft(self) -> Draft:
        """The draft of the plan."""
        return Draft(crate=self.crate, band=self.band, access=self.access, track_rows=self.track_rows)


@dataclass(frozen=True, slots=True)
class Event:
    """What a worker says: `begin` a recording, `kept`, `failed`, `say`, `sealed` a crate, `nothing` to seal, `error`."""

    kind: str
    key: str = ""
    text: str = ""
    bytes: int = 0
    code: int = 0
    recordings: int = 0


class Worker:
    """Builds drafts; keeps the sources that it has opened."""

    def __init__(self, root: Path, tell: Callable[["Event"], None], stack: ExitStack) -> None:
        self._layout = Layout(root)
        self._settings: Settings = load_settings(self._layout.settings, check_options)
        self._tell = tell
        self._stack = stack
        self._sources: dict[str, Originals] = {}
        self._lost: dict[str, TenutoError] = {}
        self._progress = _Said(tell)

    def build(self, task: Task, *, may_repeat: bool = True) -> Event:
        """Fetch what is missing of a draft, then seal it; what was damaged on our disk meanwhile is fetched once more."""
        plan = load_plan(self._layout.plan(task.plan))
        edition = edition_of(self._layout, plan)
        draft = task.draft()
        folder = DraftFolder(self._layout.drafts / draft.crate)
        taken_back = load_taken_back(self._layout)
        every = enumerate(load_wanted(self._layout, plan, edition, draft, taken_back.log))
        wanted = [(number, one) for number, one in every if one.key not in task.held]
        for number, one in wanted:
            self._keep(number, one, draft, folder, task, taken_back)
        found = self._permitted([one for _, one in wanted], draft, folder)
        if not found:
            folder.close(self._layout.journals)
            return Event("nothing")
        self._tell(Event("say", text=f"{draft.crate}: sealing"))
        try:
            path = self._seal(draft, found, folder, edition, plan.plan)
        except IntegrityError as error:
            damaged = self._forget_damaged(folder)
            if not damaged or not may_repeat:
                raise
            self._tell(Event("say", text=f"{error}; it is fetched again"))
            return self.build(replace(task, is_retry=False), may_repeat=False)
        folder.close(self._layout.journals)
        return Event("sealed", draft.crate, bytes=path.stat().st_size, recordings=len(found))

    def _keep(
        self, number: int, wanted: Wanted, draft: Draft, folder: DraftFolder, task: Task, taken_back: TakenBack
    ) -> None:
        """One recording, unless it is there already."""
        refusal = self._refusal(wanted, draft)
        blank = Outcome(key=wanted.key, offer_digest=wanted.offer_digest, evidence_id=wanted.evidence_id)
        earlier = folder.outcomes.get(wanted.key)
        if earlier is not None and not refusal and self._stands(wanted, earlier, folder, task):
            self._tell(Event("kept" if earlier.is_kept else "failed", wanted.key, bytes=earlier.bytes))
            return
        self._tell(Event("begin", wanted.key))
        if refusal:
            folder.discard(replace(blank, code=REFUSED, reason=refusal))
        elif task.crashed.get(wanted.key, 0) >= CRASHES_MAX:
            folder.note(replace(blank, code=CRASHED, reason="the decoder crashed on it, twice"))
        else:
            self._fetch(number, wanted, draft, folder, taken_back)
        outcome = folder.outcomes[wanted.key]
        kind = "kept" if outcome.is_kept else "failed"
        self._tell(Event(kind, wanted.key, f"{wanted.title}: {outcome.reason}" if outcome.code else "", outcome.bytes))

    def _fetch(self, number: int, wanted: Wanted, draft: Draft, folder: DraftFolder, taken_back: TakenBack) -> None:
        """Fetch and note it; a source that is lost stays lost for this process, so that no draft asks it in vain again."""
        originals = self._originals(wanted.source)
        recipients = self._settings.keys.age_recipients if draft.is_dark else ()
        try:
            keep_recording(wanted, number, folder, originals, recipients,
                           lambda sha256: taken_back.forbids_keeping(sha256, is_dark=draft.is_dark))  # fmt: skip
        except (SourceDownError, SourceRefusedError) as error:
            self._lost[wanted.source] = error
            raise
        except (TenutoError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 -- decoders meet hostile files here: one that breaks them stops nothing else
            traceback.print_exc() if os.environ.get("TENUTO_DEBUG") else None
            said = f"the decoder failed on it ({type(error).__name__}: {error}); please report it"
            folder.note(Outcome(key=wanted.key, offer_digest=wanted.offer_digest, evidence_id=wanted.evidence_id,
                                code=CRASHED, reason=said))  # fmt: skip

    def _permitted(self, wanted: list[Wanted], draft: Draft, folder: DraftFolder) -> list[tuple[Wanted, Outcome]]:
        """What goes into the crate: a permission may have ended, and a recording been withdrawn, since it was fetched."""
        found = []
        taken_back = load_taken_back(self._layout)
        withdrawn = taken_back.log.by_key()
        for one in wanted:
            outcome = folder.outcomes[one.key]
            if not outcome.is_kept:
                continue
            refusal = self._refusal(one, draft)
            if one.key in withdrawn and (withdrawn[one.key].is_destroyed or not draft.is_dark):
                refusal = f"withdrawn ({withdrawn[one.key].reason})"
            elif any(taken_back.forbids_keeping(sha256, is_dark=draft.is_dark)
                     for sha256 in (outcome.sha256, outcome.derived_from or "")):  # fmt: skip
                refusal = TAKEN_BACK
            if refusal:
                blank = Outcome(key=one.key, offer_digest=one.offer_digest, evidence_id=one.evidence_id)
                folder.discard(replace(blank, code=REFUSED, reason=refusal))
                self._tell(Event("failed", one.key, f"{one.title}: {refusal}"))
            else:
                found.append((one, outcome))
        return found

    def _refusal(self, wanted: Wanted, draft: Draft) -> str:
        return refusal_of(wanted, draft, self._settings.archive.territory, today())

    def _stands(self, wanted: Wanted, earlier: Outcome, folder: DraftFolder, task: Task) -> bool:
        """Whether an earlier outcome still holds: its file is there, and the source's has not changed."""
        if not earlier.is_kept:
            return not task.is_retry
        if not folder.holds(earlier) or earlier.offer_digest != wanted.offer_digest:
            return False
        return not earlier.state or self._originals(wanted.source).state_of(wanted.fetch_id) in {"", earlier.state}

    def _originals(self, source: str) -> Originals:
        if source in self._lost:
            raise self._lost[source]
        if source not in self._sources:
            opened = open_originals(self._layout, self._settings, source, self._progress)
            try:
                self._sources[source] = self._stack.enter_context(opened)
            except (SourceDownError, SourceRefusedError, RightsError) as error:
                self._lost[source] = error
                raise
        return self._sources[source]

    def _seal(
        self, draft: Draft, found: list[tuple[Wanted, Outcome]], folder: DraftFolder, edition: Edition, plan: str
    ) -> Path:
        holdings = compose.name_dark(found) if draft.is_dark else compose.name_open(draft.crate, found)
        front = lay_out(draft.crate, compose.items_of(holdings, folder.path))
        table = compose.recordings_table(holdings, front)
        tables = compose.catalogue_tables(edition, [one.track_row for one, _ in found])
        info = compose.bag_info(
            archive=self._settings.archive.name, contact=self._settings.archive.contact, crate=draft.crate, kind=RECORDINGS_KIND,
            access=draft.access, band=draft.band, edition=edition.info.edition, plan=plan, dated=edition.info.newest_evidence,
            count=len(found),
        )  # fmt: skip
        path = crate_path(self._layout, draft)
        if draft.is_dark:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.parent.chmod(0o700)
            tail = compose.dark_tail(table, tables, info, self._settings.keys.age_recipients)
        else:
            tail = compose.open_tail(table, tables, info)
        seal(path, front, tail, info)
        note_holdings(self._layout, path, table)
        return path

    def _forget_damaged(self, folder: DraftFolder) -> int:
        """Take the files out of a draft that are no longer what was fetched; how many they were."""
        damaged = 0
        for outcome in [outcome for outcome in folder.outcomes.values() if outcome.is_kept]:
            file, promised = folder.path / outcome.file, outcome.sealed_sha256 or outcome.sha256
            if not file.is_file() or digests_of(file)[1] != promised:
                file.unlink(missing_ok=True)
                folder.forget(outcome.key)
                damaged += 1
        return damaged


class _Said(Silent):
    """Progress of which the parent hears the sentences."""

    def __init__(self, tell: Callable[["Event"], None]) -> None:
        self._tell = tell

    def say(self, message: str) -> None:
        self._tell(Event("say", text=message))


def main() -> None:
    """Work until stdin ends; the one argument is the parent's process id."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    die_with_parent(int(sys.argv[1]))
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no event
    tasks: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()

    def tell(event: Event) -> None:
        os.write(out, msgspec.json.encode(event) + b"\n")

    root = Path(tasks.get().decode())
    with ExitStack() as stack:
        worker: Worker | None = None
        while True:
            task = msgspec.json.decode(tasks.get(), type=Task)
            try:
                worker = worker or Worker(root, tell, stack)
                tell(worker.build(task))
            except TenutoError as error:
                tell(Event("error", task.crate, str(error), code=error.exit_code))
            except OSError as error:
                tell(Event("error", task.crate, system_fault(error), code=1))
            except Exception as error:  # noqa: BLE001 -- the top of a process: a bug is said, and the other drafts go on
                traceback.print_exc() if os.environ.get("TENUTO_DEBUG") else None
                tell(Event("error", task.crate, f"a bug: {type(error).__name__}: {error}; please report it", code=1))


def _listen(tasks: "queue.Queue[bytes]") -> None:
    """Put each line of stdin into the queue; end the process with it, whatever it is at: what is whole is on the disk."""
    rest = b""
    while part := os.read(0, 65_536):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            tasks.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()

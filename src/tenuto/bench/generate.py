"""Writing a generated harvest: WARC files made whole by worker processes, then harvest.json.

A file that has its name is whole, so what was killed goes on with the files that are missing. Nothing depends on how many
processes there are, on the clock or on the archive: the same parameters give the same files.
"""

import gc
import hashlib
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import sleep

import msgspec

from tenuto.archive import durable
from tenuto.bench.answers import answers
from tenuto.bench.tables import SOURCE
from tenuto.bench.wanted import STARTED_NAME, Part, Totals, Wanted, parts_of, started, totals_of
from tenuto.evidence.harvests import EvidenceFile, HarvestManifest, Reconciled, write_manifest
from tenuto.evidence.writer import packed_answer, packed_warcinfo
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import UsageError
from tenuto.model.progress import Progress

KIND = "generated"
PLACE = "https://generated.invalid/v1/"
"""Where the pages would lie: `.invalid` is nobody's (RFC 6761)."""

_LEVEL = 1
_LOOK_EVERY_S = 0.5


def generate(folder: Path, archive: str, wanted: Wanted, workers: int, progress: Progress) -> HarvestManifest:
    """Write the harvest into `folder`, an evidence folder of the source, and finish it; raises UsageError where the harvest
    of that day was begun with other parameters.
    """
    harvest = folder / wanted.harvest
    _begin(harvest, wanted)
    progress.begin(f"lay out {wanted.harvest}")
    parts, totals = parts_of(wanted), totals_of(wanted)
    files = write_files(harvest, wanted, totals, parts, workers, progress)
    manifest = manifest_of(archive, wanted, totals, parts, files)
    write_manifest(harvest, manifest)
    return manifest


def write_files(
    harvest: Path, wanted: Wanted, totals: Totals, parts: Sequence[Part], workers: int, progress: Progress
) -> tuple[EvidenceFile, ...]:
    """Write these files of a harvest, in so many processes; they are given in the order of `parts`."""
    progress.begin(f"generate {wanted.harvest}", sum(part.tracks for part in parts), "tracks")
    files: dict[int, EvidenceFile] = {}
    for part, file in _written(harvest, wanted, totals, parts, workers):
        files[part.number] = file
        progress.advance(part.tracks)
    return tuple(files[part.number] for part in parts)


def manifest_of(
    archive: str, wanted: Wanted, totals: Totals, parts: Sequence[Part], files: tuple[EvidenceFile, ...]
) -> HarvestManifest:
    """What harvest.json says of a harvest of these parts."""
    return HarvestManifest(
        archive=archive,
        source=SOURCE,
        kind=KIND,
        harvest=wanted.harvest,
        started_at=wanted.at.isoformat(timespec="seconds"),
        finished_at=wanted.at.isoformat(timespec="seconds"),
        outcomes={"ok": sum(part.answers for part in parts)},
        reconciled=(
            Reconciled(what="tracks", said={"by tracks": totals.tracks, "total": totals.tracks}, found=totals.tracks),
        ),
        files=files,
    )


def _begin(harvest: Path, wanted: Wanted) -> None:
    """Say what is being made; what an interrupted run left half is removed."""
    file = harvest / STARTED_NAME
    if file.exists():
        said = started(file)
        if said != wanted.document():
            raise UsageError(f"{harvest} was begun with other parameters ({said.get('source', 'nobody knows which')}); "
                             "go on with those, or choose another day: --on DATE")  # fmt: skip
        durable.remove_leftovers(harvest)
        return
    if harvest.exists() and any(harvest.glob("*.warc.gz")):
        raise UsageError(f"{harvest} holds another harvest; choose another day: --on DATE")
    durable.write_durably(file, msgspec.json.encode(wanted.document()))


def _written(
    harvest: Path, wanted: Wanted, totals: Totals, parts: Sequence[Part], workers: int
) -> Iterator[tuple[Part, EvidenceFile]]:
    """Each part's file, as they are done, at most two tasks a process waiting."""
    if workers == 1 or len(parts) == 1:
        for part in parts:
            yield part, write_part(harvest, wanted, totals, part)
        return
    # Not forked: a fork copies locks that other threads hold.
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=get_context("spawn"), initializer=_calm,
                             initargs=(os.getpid(),)) as pool:  # fmt: skip
        left = deque(parts)
        flying: dict[Future[EvidenceFile], Part] = {}
        try:
            while left or flying:
                with _deaf_to_ctrl_c():  # processes begin here
                    while left and len(flying) < 2 * workers:
                        part = left.popleft()
                        flying[pool.submit(write_part, harvest, wanted, totals, part)] = part
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    yield flying.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_part(harvest: Path, wanted: Wanted, totals: Totals, part: Part) -> EvidenceFile:
    """Write one file, unless it is there; what it is."""
    path = harvest / f"{SOURCE}-{wanted.harvest}-{part.number:05d}.warc.gz"
    if path.exists():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return EvidenceFile(name=path.name, bytes=path.stat().st_size, sha256=digest, records=part.answers)
    beside = harvest / f"{durable.LEFTOVER_PREFIX}{os.getpid()}-{path.name}"
    sha256 = hashlib.sha256()
    size = 0
    try:
        with beside.open("wb") as file:
            for member in _members(path.name, wanted, totals, part):
                file.write(member)
                sha256.update(member)
                size += len(member)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # a full disk stays no fuller
        beside.unlink(missing_ok=True)
        raise
    durable.sync_folder(harvest)
    return EvidenceFile(name=path.name, bytes=size, sha256=sha256.hexdigest(), records=part.answers)


def _members(name: str, wanted: Wanted, totals: Totals, part: Part) -> Iterator[bytes]:
    yield packed_warcinfo(name, {"isPartOf": wanted.harvest}, wanted.at, _LEVEL)
    headers = (("Content-Type", "application/json"),)
    for key, body in answers(wanted, totals, part):
        answer = Answer(Request(key, PLACE + key), body, "application/json", wanted.at, 200, headers)
        yield packed_answer(answer, SOURCE, KIND, _LEVEL)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ctrl-C comes when the block has ended; processes that are started in it never hear of it, not even before `_calm`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _calm(parent: int) -> None:
    """Before a worker's first file: Ctrl-C is for the parent; no rounds of collecting, since what is made has no cycles; and
    where the parent is gone it ends, so that a killed run leaves nobody who goes on writing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        sleep(_LOOK_EVERY_S)
    os._exit(1)

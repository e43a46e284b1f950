"""Reading evidence into parts: every file that was not read yet, in processes of their own where there is much of it."""

import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import msgspec

from tenuto.archive.durable import remove_leftovers
from tenuto.archive.processes import processors
from tenuto.catalogue.parts import Part, Task, is_read, program_digest, read_part, sha256_of
from tenuto.evidence import EvidenceFile, HarvestManifest
from tenuto.model.errors import TenutoError, UsageError
from tenuto.model.progress import Progress

_ALONE_BYTES = 8 * 2**20
"""So much is read here in the time that processes need to start."""

_LET_GO_S = 10.0

Read = dict[str, list[list[tuple[EvidenceFile, Part]]]]
"""Source -> its harvests, oldest first -> the parts of their files."""


def read_all(evidence: Path, harvests: dict[str, list[HarvestManifest]], store: Path, progress: Progress) -> Read:
    """The parts of all finished harvests; those that `store` has already are taken from there.

    What a kill leaves is a part less. Raises UsageError where the archive's path is no UTF-8, TenutoError where a process cannot
    go on.
    """
    _check_path(store)
    remove_leftovers(store)
    tasks: dict[str, Task] = {}
    named: dict[str, list[list[tuple[EvidenceFile, Task]]]] = {}
    with ThreadPoolExecutor(processors()) as threads:  # digests let other threads run
        for source, manifests in harvests.items():
            named[source] = []
            for manifest in manifests:
                files = {file.name: file for file in manifest.files}.values()
                folder, kind = evidence / source / manifest.harvest, manifest.kind
                found = threads.map(
                    lambda file, folder=folder, kind=kind: _task(folder / file.name, kind, file, store), files
                )
                named[source].append(list(zip(files, found, strict=True)))
            tasks |= {task.folder: task for files_ in named[source] for _, task in files_}
        whole = threads.map(lambda task: is_read(Path(task.folder)), tasks.values())
        missing = [task for task, is_whole in zip(tasks.values(), whole, strict=True) if not is_whole]
    progress.begin("read evidence", sum(task.records for task in tasks.values()), "records")
    progress.advance(sum(task.records for task in tasks.values()) - sum(task.records for task in missing))
    _read(missing, progress)
    return {
        source: [[(file, Part(Path(task.folder))) for file, task in files] for files in found]
        for source, found in named.items()
    }


def _check_path(path: Path) -> None:
    """Parquet and SQL know paths of UTF-8 alone; a name of other bytes would fail somewhere in the middle."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{str(path)!a}: the bytes of this path are no UTF-8, and no table can be made there; "
            "move the archive below folders whose names are UTF-8"
        ) from None


def forget_others(store: Path, read: Read) -> None:
    """Delete the parts that nothing refers to any more: of evidence that is gone, or read by another program."""
    used = {part.folder for found in read.values() for files in found for _, part in files}
    for folder in store.iterdir() if store.is_dir() else ():
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)


def part_folders(evidence: Path, harvests: dict[str, list[HarvestManifest]], store: Path) -> set[Path]:
    """Where the parts of all finished harvests are, by what harvest.json says; the files are not asked, so of a damaged one no part
    is named.
    """
    return {
        _part_folder(store, evidence / source / manifest.harvest / file.name, manifest.kind, file, file.sha256)
        for source, manifests in harvests.items()
        for manifest in manifests
        for file in manifest.files
    }


def _task(path: Path, kind: str, file: EvidenceFile, store: Path) -> Task:
    """A file as a task."""
    found = sha256_of(path) if path.is_file() else "missing"
    return Task(str(path), kind, file.sha256, file.records, str(_part_folder(store, path, kind, file, found)))


def _part_folder(store: Path, path: Path, kind: str, file: EvidenceFile, found: str) -> Path:
    """A part is named by all that it depends on, each byte of the file first (`found`, its SHA-256)."""
    own = "/".join(path.parts[-3:])
    depends = f"{own}\n{kind}\n{file.sha256}\n{file.records}\n{found}\n{program_digest()}"
    return store / hashlib.sha256(depends.encode()).hexdigest()[:32]


def _read(tasks: Sequence[Task], progress: Progress) -> None:
    sizes = {task.folder: _size(Path(task.file)) for task in tasks}
    ordered = sorted(tasks, key=lambda task: (-sizes[task.folder], task.file))  # the largest first: all end together
    count = min(len(ordered), processors())
    if count < 2 or sum(sizes.values()) < _ALONE_BYTES:  # noqa: PLR2004 -- two processes
        for task in ordered:
            read_part(task, progress.advance)
        return
    events: queue.Queue[tuple[_Reader, int | str | None]] = queue.Queue()
    waiting = iter(ordered)
    with ExitStack() as closing:
        at_work = set[_Reader]()
        for _, task in zip(range(count), waiting, strict=False):  # in this order: else one is taken and dropped
            reader = closing.enter_context(_Reader(events))
            reader.give(task)
            at_work.add(reader)
        while at_work:
            reader, records = events.get()
            if not isinstance(records, int):
                raise TenutoError(
                    f"the process that read {reader.task.file if reader.task else 'evidence'} "
                    f"{records or f'ended with {reader.code()}'}; what was read by then is kept, the same again goes on"
                )
            if records >= 0:
                progress.advance(records)
                continue
            at_work.discard(reader)
            if (task_ := next(waiting, None)) is not None:
                reader.give(task_)
                at_work.add(reader)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Reader:
    """A process that reads the files that it is given. The kernel ends it with us, kill -9 included."""

    def __init__(self, events: "queue.Queue[tuple[_Reader, int | str | None]]") -> None:
        self.task: Task | None = None
        self._events = events
        words = [sys.executable, "-P", "-m", "tenuto.catalogue.reader_process", str(os.getpid())]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 -- our own words
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        if error is not None:
            self._process.kill()
        try:
            self._process.wait(_LET_GO_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_LET_GO_S)
        self._process.stdout.close()  # type: ignore[union-attr]

    def give(self, task: Task) -> None:
        """A file to read; a process that has died is heard of as one."""
        self.task = task
        with suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode(task) + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def code(self) -> str:
        """How it ended, in words."""
        try:
            code = self._process.wait(_LET_GO_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _listen(self) -> None:
        """What it says: a number of records, -1 where a part is whole, a sentence where it cannot go on."""
        with suppress(OSError, msgspec.MsgspecError):
            for line in self._process.stdout or ():
                self._events.put((self, msgspec.json.decode(line, type=int | str)))
        self._events.put((self, None))

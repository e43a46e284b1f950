"""The worker processes of `keep`: started, given drafts, heard, ended."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tenuto.archive import Layout
from tenuto.crates.worker import Event, Task

_LET_GO_S = 10.0


class WorkerProcess:
    """One worker process and what it is at."""

    def __init__(self, root: Path, events: "queue.Queue[tuple[WorkerProcess, Event | None]]") -> None:
        # -P: nothing is imported from the folder one happens to be in. Ctrl-C is for this process: it is blocked in the
        # worker from its first moment.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            words = [sys.executable, "-P", "-m", "tenuto.crates.worker", str(os.getpid())]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 -- our own words
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.task: Task | None = None
        self.in_hand = ""
        self._tell(os.fsencode(root))
        self._listener = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self._listener.start()

    def give(self, task: Task) -> None:
        """A draft to build."""
        self.task, self.in_hand = task, ""
        self._tell(msgspec.json.encode(task))

    def end(self) -> None:
        """Let it end; a process that does not within ten seconds is killed."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it died before it had read all of its task
                self._process.stdin.close()
        try:
            self._process.wait(_LET_GO_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_LET_GO_S)
        if self._process.stdout is not None and not self._listener.is_alive():
            self._process.stdout.close()

    def ended_with(self) -> str:
        """How it ended, in words."""
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _tell(self, line: bytes) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(line + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                pass  # it has died; its listener says so

    def _listen(self, events: "queue.Queue[tuple[WorkerProcess, Event | None]]") -> None:
        try:
            for line in self._process.stdout or ():
                events.put((self, msgspec.json.decode(line, type=Event)))
        except (msgspec.MsgspecError, OSError, ValueError):
            self._process.kill()  # it died in the middle of a line
        finally:
            events.put((self, None))


@contextmanager
def worker_processes(
    layout: Layout, count: int, events: "queue.Queue[tuple[WorkerProcess, Event | None]]"
) -> Iterator[list[WorkerProcess]]:
    """So many processes; all have ended when the block does."""
    processes: list[WorkerProcess] = []
    try:
        for _ in range(count):
            processes.append(WorkerProcess(layout.root, events))  # noqa: PERF401 -- each is ended, also where the next cannot start
        yield processes
    finally:
        for process in processes:
            process.end()

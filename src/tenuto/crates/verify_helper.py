"""The helper process that hashes with this one: while one holds the interpreter's lock, the other need not wait."""

import marshal
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from tenuto.crates.verify_hash import Hashed, Hasher, Shape, Task

_GIVEN = 2


class Helper:
    """A `Hasher` in a process of its own; a context manager, which ends it. Where it fails, this process does its work."""

    def __init__(self, descriptor: int, shape: Shape, is_stopped: Callable[[], bool]) -> None:
        self._own = Hasher(descriptor, shape, is_stopped)
        self._is_lost = False
        self._process = _start([str(int(word)) for word in (descriptor, *shape)], descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._process is not None:
            with suppress(BrokenPipeError), self._process:
                pass

    def kill(self) -> None:
        """End it in the midst of its work."""
        if self._process is not None:
            self._process.kill()

    def hash_all(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Hashed]]:
        """As `Hasher.hash_all`; a task lies ready while it works on the one before."""
        given: deque[Task] = deque()
        for task in tasks:
            self._give(task)
            given.append(task)
            if len(given) == _GIVEN:
                yield given[0], self._taken(given.popleft())
        while given:
            yield given[0], self._taken(given.popleft())

    def _give(self, task: Task) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):
                marshal.dump(tuple(task), self._process.stdin)
                self._process.stdin.flush()

    def _taken(self, task: Task) -> Hashed:
        if not self._is_lost and self._process is not None and self._process.stdout is not None:
            with suppress(OSError, EOFError, ValueError, TypeError):
                return Hashed(*marshal.load(self._process.stdout))  # noqa: S302 -- from our own process
            # Whatever it still says would be of another task.
            self._is_lost = True
            self.kill()
        return self._own.hash(task)


def _start(words: list[str], descriptor: int) -> "subprocess.Popen[bytes] | None":
    """None where the system does not let us. -P: nothing is imported from the folder one happens to be in. -S: the packages of
    the environment are not needed, and looking for them takes as long as the rest of the start.
    """
    command = [sys.executable, "-P", "-S", "-m", "tenuto.crates.verify_hash", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # Ctrl-C is for this process: it is blocked in the helper from its first moment.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(  # noqa: S603 -- our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            pass_fds=(descriptor,),
        )  # fmt: skip
    except (OSError, ValueError):
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

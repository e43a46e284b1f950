"""Work in threads that nobody waits for at the end of the process: at Ctrl-C a silent server holds up nothing."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

_Found = TypeVar("_Found")


def in_thread(work: Callable[[], _Found]) -> "Future[_Found]":
    """Do it beside; nobody waits for it at the end of the process, whatever a server makes it wait for."""
    future: Future[_Found] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- whoever takes the result gets it
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def in_threads(works: Sequence[Callable[[], _Found]], at_once: int) -> Generator[_Found]:
    """Do them beside, so many at a time; results as they come. The first error ends it, or the end of whoever takes them (close it
    then): no other work begins, and what is under way has ended before that. Ctrl-C waits for nobody.
    """
    left, ended = deque(works), SimpleQueue[Future[_Found]]()

    def run() -> None:
        while True:
            future: Future[_Found] = Future()
            try:
                work = left.popleft()
            except IndexError:
                return
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 -- whoever takes the result gets it
                left.clear()
                future.set_exception(error)
            ended.put(future)

    threads = [in_thread(run) for _ in range(min(at_once, len(works)))]
    try:
        for _ in works:
            yield ended.get().result()
    except (KeyboardInterrupt, SystemExit):
        left.clear()
        raise
    except BaseException:
        left.clear()
        wait(threads)
        raise

"""A terminal that is closed (SIGHUP) ends a verb that serves as Ctrl-C does; under nohup it does not."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_at_hang_up() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGHUP, and go on ending whatever hangs up after it."""
    is_heard = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGHUP)
    if not is_heard or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, _end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGHUP) is _end:  # else the process is at its end, and hears no more of them
            signal.signal(signal.SIGHUP, before)


def let_go() -> bool:
    """Write no more to a terminal that is gone, or to whom has closed; whether there was one."""
    gone = [stream for stream in (1, 2) if _is_gone(stream)]
    for stream in gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream)
        os.close(nowhere)
    return bool(gone)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- what a signal handler is given
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    let_go()
    raise KeyboardInterrupt


def _is_gone(stream: int) -> bool:
    look = select.poll()
    look.register(stream, select.POLLOUT)
    return any(seen & (select.POLLHUP | select.POLLERR) for _, seen in look.poll(0))

"""What every process of ours that works for another one does: it ends with it, and takes no more processors than it may use."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent, also while a library keeps the interpreter from running.

    `parent` is the process id of who started it: had that one died by now, another may be at work in its place.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""A process that reads evidence into parts: stdin names the files, a line each; stdout says how far it is (see `reading`)."""

import ctypes
import os
import signal
import sys
from typing import BinaryIO

import msgspec

from tenuto.catalogue.parts import Task, read_part
from tenuto.model.errors import system_fault

_PR_SET_PDEATHSIG = 1
_SAY_EVERY_RECORDS = 200


def main() -> None:
    """Read what stdin names, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gives the files
    _die_with_parent(int(sys.argv[1]))
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            _read(msgspec.json.decode(line, type=Task), out)
        except OSError as error:
            _say(out, f"cannot go on: {system_fault(error)}")
            return


def _read(task: Task, out: BinaryIO) -> None:
    count = 0

    def advance(done: int) -> None:
        nonlocal count
        count += done
        if count >= _SAY_EVERY_RECORDS:
            _say(out, count)
            count = 0

    read_part(task, advance)
    _say(out, count)
    _say(out, -1)


def _say(out: BinaryIO, what: int | str) -> None:
    out.write(msgspec.json.encode(what) + b"\n")
    out.flush()


def _die_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent: another build may be at work in the same folder soon after."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # it died while this one started


if __name__ == "__main__":
    main()

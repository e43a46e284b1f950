"""A process that reads evidence into parts: stdin names the files, a line each; stdout says how far it is (see `reading`)."""

import gc
import signal
import sys
from typing import BinaryIO

import msgspec

from tenuto.archive.processes import die_with_parent
from tenuto.catalogue.parts import Task, read_part
from tenuto.model.errors import system_fault

_SAY_EVERY_RECORDS = 200
_COLLECT_EVERY = 500_000
"""Objects: what is read holds no cycles and is let go by itself; Python's 700 would have it look through every page many times."""


def main() -> None:
    """Read what stdin names, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gives the files
    die_with_parent(int(sys.argv[1]))
    gc.set_threshold(_COLLECT_EVERY)
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


if __name__ == "__main__":
    main()

"""Runs `tenuto` commands in forks of itself, its modules loaded once. Started by warm.py, which holds the other end of stdin.

A line of stdin is {"words", "env", "out", "is_all"} to begin a command (its results go to the file `out`, all that it says where
`is_all`), answered with its process id, or {"wait": id}, answered with its exit
code. When stdin ends, kill -9 of the demo included, what still runs is stopped and so are we.
"""

import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

LOADED = (
    "libtorrent", "rich.progress", "rich.table", "tenuto.catalogue.build", "tenuto.cli.tables", "tenuto.crates.keep",
    "tenuto.crates.status", "tenuto.crates.verify", "tenuto.harvest.run", "tenuto.publication.check", "tenuto.publication.get",
    "tenuto.publication.withdraw", "tenuto.selection.plan", "tenuto.sources", "tenuto.swarm.mirror",
    "tenuto.swarm.repair", "tenuto.swarm.seeding",
)  # fmt: skip


def serve(answers: int) -> None:
    """Begin commands and wait for them, as asked; `answers` is the file descriptor that answers go to."""
    running: set[int] = set()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            if "wait" in asked:
                answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
                running.discard(asked["wait"])
            else:
                answer = _fork(asked, answers)
                running.add(answer)
            os.write(answers, f"{answer}\n".encode())
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)


def _fork(asked: dict[str, Any], answers: int) -> int:
    process = os.fork()
    if process:
        return process
    try:
        os.close(answers)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if asked["out"] is not None:
            out = os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            for stream in (1, 2) if asked["is_all"] else (1,):
                os.dup2(out, stream)
        os.environ.update(asked["env"])
        from tenuto.cli import main  # noqa: PLC0415 -- only there once the environment is made

        main(asked["words"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 -- whatever it is, this process goes no further than here
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    serve(int(sys.argv[1]))

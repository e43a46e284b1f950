"""The command line: one file a verb, each declare → options → one library call → render → exit code."""

import errno
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError

from tenuto import __version__
from tenuto.model.errors import TenutoError, fault_said

app = App(
    name="tenuto",
    help="Replicates a music catalogue, with permission, into an archive that outlives the service.",
    version=__version__,
    help_epilogue="Exit codes: 0 ok, 1 bug, 2 usage, 3 settings, 4 missing tool, 5 source, 6 rights, 7 integrity, "
    "8 archive in use, 9 done with failed items, 130 stopped.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `_run` says what it means
)
source = App(name="source", help="Add, list, test and remove sources; read a permission.")
bench = App(name="bench", help="Made-up catalogues of any size, to try things on.")
catalogue = App(name="catalogue", help="Build editions of the catalogue from evidence, and look at them.")

# Verbs are named by their place, so that one verb's imports are not all verbs' start-up time.
app.command("tenuto.cli.init:init", name="init", help="Make an archive: its settings and its keys.")
app.command(source)
app.command(
    "tenuto.cli.harvest:harvest", name="harvest", help="Ask sources what they have; what they answer is evidence."
)
app.command(catalogue)
app.command("tenuto.cli.find:find", name="find", help="Find tracks by words, ids or codes, and what became of them.")
app.command("tenuto.cli.plan:plan", name="plan", help="Decide what is kept within the budget, and why.")
app.command("tenuto.cli.keep:keep", name="keep", help="Fetch and seal what the plan says.")
app.command("tenuto.cli.check:check", name="check", help="Prove every byte of the crates.")
app.command("tenuto.cli.repair:repair", name="repair", help="Mend what check finds, from copies, mirrors or the swarm.")
app.command("tenuto.cli.publish:publish", name="publish", help="Make the publication: a signed, static web root.")
app.command("tenuto.cli.get:get", name="get", help="Take one recording, and prove it.")
app.command("tenuto.cli.seed:seed", name="seed", help="Give out the published crates by BitTorrent.")
app.command("tenuto.cli.mirror:mirror", name="mirror", help="Hold a part of somebody's publication.")
app.command("tenuto.cli.withdraw:withdraw", name="withdraw", help="Take a recording back.")
app.command("tenuto.cli.run:run", name="run", help="All of it in order: harvest, build, plan, keep, publish, check.")
app.command("tenuto.cli.status:status", name="status", help="The archive in one screen.")
app.command("tenuto.cli.doctor:doctor", name="doctor", help="What is missing, unsafe or slow here, and its remedy.")
app.command(bench)
bench.command("tenuto.cli.bench:generate", name="generate", help="Make up a catalogue of any size, as evidence.")
bench.command(
    "tenuto.cli.bench_catalogue:tables", name="tables", help="Make up an edition of any size, without evidence."
)
bench.command(
    "tenuto.cli.bench_catalogue:catalogue", name="catalogue", help="Build, index and ask a made-up catalogue."
)
source.command("tenuto.cli.source:add", name="add", help="Add a source, or replace its settings.")
source.command("tenuto.cli.source:list_", name="list", help="The sources of the archive.")
source.command(
    "tenuto.cli.source:test", name="test", help="Fetch one page of a source and show it mapped; nothing is kept."
)
source.command("tenuto.cli.source:remove", name="remove", help="Forget a source; its evidence stays.")
source.command("tenuto.cli.source:permission", name="permission", help="Read a permission, or print one to fill in.")
catalogue.command("tenuto.cli.catalogue:build", name="build", help="Build the edition of all finished harvests.")
catalogue.command("tenuto.cli.catalogue:info", name="info", help="What is in the current edition.")
catalogue.command("tenuto.cli.catalogue:diff", name="diff", help="What changed between two editions.")
catalogue.command("tenuto.cli.catalogue:gc", name="gc", help="Delete editions that nothing needs.")
catalogue.command(
    "tenuto.cli.export:export", name="export", help="Write an edition for other tools: SQLite, JSON, CSV, a crate."
)


_STOPS: list[int] = []
"""The signals by which the user stopped us."""


def main(words: list[str] | None = None) -> NoReturn:
    """Run one verb and end the process with its exit code (docs/errors.md)."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, _stop)
    sys.exit(_run(words))


def _run(words: list[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if any("\udc80" <= char <= "\udcff" for word in words or sys.argv for char in word):
        print("tenuto: a word of the command line is no UTF-8; nothing was done", file=sys.stderr)
        return 2
    try:
        code = app(words, exit_on_error=False)
        sys.stdout.flush()
    except CycloptsError:
        return 2
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if _STOPS or (_may_be_a_hang_up(error) and _is_hung_up()):  # libraries make other errors of a KeyboardInterrupt
            return _stopped()
        fault, said = fault_said(error)
        print(f"tenuto: {said}", file=sys.stderr)
        if os.environ.get("TENUTO_DEBUG") and not isinstance(error, TenutoError):
            raise
        return fault
    return code if isinstance(code, int) else 0


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- what a signal handler is given
    _STOPS.append(number)
    raise KeyboardInterrupt


def _stopped() -> int:
    with suppress(OSError):  # nobody may be there to read it
        print("tenuto: stopped; what was finished is kept, run the same again to go on", file=sys.stderr)
    return 130


def _may_be_a_hang_up(error: Exception) -> bool:
    """Whether a write failed as one to a closed terminal does; a fault that names a file is a disk's."""
    return isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None


def _is_hung_up() -> bool:
    """Whether the terminal was closed: what is written to it fails before its signal comes."""
    from tenuto.cli.hangup import let_go

    return let_go()

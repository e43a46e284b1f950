"""`tenuto keep`."""

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def keep(
    *,
    retry_failed: Annotated[bool, Parameter(negative="", help="Try again what failed before.")] = False,
    workers: Annotated[int, Parameter(help="Processes, each building one crate; 0: one a core.")] = 0,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Carry out the newest plan: fetch each recording, decode it to its end, and seal it in its crate. Goes on where it stopped."""
    from tenuto.cli.progress import TerminalProgress
    from tenuto.crates.keep import KeepOptions, fault_of
    from tenuto.crates.keep import keep as keep_plan
    from tenuto.model.errors import UsageError

    if workers < 0:
        raise UsageError(f"--workers: {workers} is no number of processes")
    with working(archive, "keep") as (layout, settings), TerminalProgress() as progress:
        done = keep_plan(layout, settings, progress, KeepOptions(workers, retry_failed))
    for crate, said, _ in done.errors:
        print(f"tenuto: {crate}: {said}", file=sys.stderr)
    if json:
        errors = [{"crate": crate, "error": said, "exit_code": code} for crate, said, code in done.errors]
        print_json({"crates": sorted(done.crates), "recordings": done.recordings, "bytes": done.bytes, "held": done.held,
                    "carried": done.carried, "failed": done.failed, "failures": done.failures, "errors": errors})  # fmt: skip
    else:
        _render(done)
    return fault_of(done)


def _render(done: Any) -> None:
    from tenuto.model.units import counted, format_bytes

    line(
        f"sealed {counted(len(done.crates), 'crate')} with {counted(done.recordings, 'recording')}, {format_bytes(done.bytes)}"
        + (f"; {counted(done.held, 'recording')} were held already" if done.held else "")
        + (f"; {counted(done.carried, 'recording')} had been fetched for an earlier plan" if done.carried else "")
    )
    for crate in sorted(done.crates):
        line(f"  {crate}")
    if done.failed:
        total = sum(done.failed.values())
        hint = "" if set(done.failed) == {"recording-refused"} else "; try again with: tenuto keep --retry-failed"
        line(f"{counted(total, 'recording')} failed ({', '.join(f'{code} {count}' for code, count in done.failed.items())})"
             f"{hint}")  # fmt: skip
    if done.errors:
        line("Next: mend what is said above, then tenuto keep: it goes on where it stopped")
    else:
        line("Next: tenuto publish")

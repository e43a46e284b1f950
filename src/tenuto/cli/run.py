"""`tenuto run`: all stages in order, once or again and again. The only place that chains them (design, section 3)."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.archive import Layout
from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json, working
from tenuto.cli.stages import STAGES, Ended, Opening, Run, Work, say, stopped
from tenuto.cli.tables import line, show

_EVERY_MIN_S, _EVERY_MAX_S = 60.0, 366 * 86_400.0
_NAP_S = 86_400.0
"""The longest sleep at a time: no system's limit for one is near."""

_SHOWN_MAX = 5
"""How many faults of a stage the summary names."""

_STOPPED = 130


def run(
    *,
    every: Annotated[
        str | None, Parameter(help="Begin again after so long, for ever: 12h, 1d; at least 1 min.")
    ] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Harvest, build, plan, keep, publish and check, one after the other. Stopped at any moment, the same again goes on."""
    from tenuto.model.errors import ArchiveInUseError

    interval_s = None if every is None else _interval_s(every)
    try:
        with working(archive, "run"):
            pass  # what is wrong with the words, the settings, the lock is said as every verb says it
    except ArchiveInUseError:
        if interval_s is None:
            raise
    if interval_s is None:
        return _run_once(archive, json=json)
    return _run_again(archive, interval_s, json=json)


def _interval_s(every: str) -> float:
    from tenuto.model.errors import UsageError
    from tenuto.model.units import parse_duration

    try:
        interval_s = parse_duration(every)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    if not _EVERY_MIN_S <= interval_s <= _EVERY_MAX_S:
        raise UsageError(f"--every: {every!r} is not between 1 min and 366 d")
    return interval_s


def _run_again(archive: Path, interval_s: float, *, json: bool) -> int:
    """Run at each multiple of the interval, by a clock that nobody sets and that goes on while the machine sleeps; at once
    where the run before took longer.
    """
    from tenuto.model.errors import SettingsError, UsageError

    due = _now_s()
    while True:
        code = _run_once(archive, json=json)
        sys.stdout.flush()
        if code in {_STOPPED, UsageError.exit_code, SettingsError.exit_code}:
            return code
        due = max(due + interval_s, _now_s())
        _tell_next(due - _now_s())
        while (left_s := due - _now_s()) > 0:
            time.sleep(min(left_s, _NAP_S))


def _now_s() -> float:
    """Seconds since the machine started, those asleep among them (Linux; elsewhere without these)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _tell_next(left_s: float) -> None:
    from datetime import UTC, datetime, timedelta

    from tenuto.model.units import format_duration

    if left_s <= 0:
        say("the run took longer than --every: the next begins now")
        return
    at = (datetime.now(UTC) + timedelta(seconds=left_s)).astimezone()
    say(f"the next run begins at {at:%Y-%m-%d %H:%M:%S %Z}, in {format_duration(left_s)}")


def _run_once(archive: Path, *, json: bool) -> int:
    """All stages; prints what came of them and returns the exit code."""
    begun, this = time.monotonic(), Run()
    for name, work, opening in STAGES:
        stage_begun = time.monotonic()
        ended = _stage(archive, name, work, opening, this)
        seconds = time.monotonic() - stage_begun
        this.stages.append((name, ended, seconds))
        if ended.exit_code == _STOPPED:
            return _STOPPED
        say(f"{name} took {seconds:.1f} s: {ended.result}")
        if ended.is_last:
            break
    this.seconds = time.monotonic() - begun
    layout, status = _status(archive)
    if json:
        print_json(_document(this, layout, status))
    else:
        _render(this, layout, status)
    return this.exit_code


def _stage(archive: Path, name: str, work: Work, opening: Opening, this: Run) -> Ended:
    """One stage; the archive is held for it alone, and for the check not at all, so that a withdrawal can come in between."""
    import os

    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import TenutoError, fault_said

    try:
        with opening(archive, "run") as (layout, settings), TerminalProgress() as progress:
            return work(layout, settings, progress, this)
    except KeyboardInterrupt:
        say(f"tenuto: stopped in {name}; nothing is lost: tenuto run goes on where it stopped")
        return Ended("stopped", _STOPPED, is_last=True)
    except Exception as error:
        if os.environ.get("TENUTO_DEBUG") and not isinstance(error, TenutoError | OSError):
            raise
        code, said = fault_said(error)
        say(f"tenuto: stopped in {name}: {said}")
        return stopped(code, (said,))


# -- what came of it


def _status(archive: Path) -> tuple[Layout, dict[str, Any] | None]:
    """The archive as `tenuto status` has it; None where it cannot be read, which a stage has said."""
    import duckdb
    import pyarrow as pa

    from tenuto.crates.status import archive_status
    from tenuto.model.errors import TenutoError

    layout = Layout.find(archive)
    try:
        return layout, archive_status(*open_archive(archive))
    except (TenutoError, OSError, duckdb.Error, pa.ArrowException):
        return layout, None


def _document(this: Run, layout: Layout, status: dict[str, Any] | None) -> dict[str, Any]:
    stages = [{"stage": name, "result": ended.result, "seconds": round(seconds, 3), "exit_code": ended.exit_code,
               "message": "; ".join(_first(ended.faults))} for name, ended, seconds in this.stages]  # fmt: skip
    return {"stages": stages, "exit_code": this.exit_code, "status": status, "publication": str(layout.publication),
            "seconds": round(this.seconds, 3)}  # fmt: skip


def _first(faults: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(faults) - _SHOWN_MAX
    return [*faults[:_SHOWN_MAX], *([f"… and {more:,} more"] if more > 0 else [])]


def _render(this: Run, layout: Layout, status: dict[str, Any] | None) -> None:
    line()
    rows = [(name, ended.result, f"{seconds:.1f}") for name, ended, seconds in this.stages]
    show("", ("stage", "result", "seconds"), [*rows, ("all", "", f"{this.seconds:.1f}")], right=("seconds",))
    line()
    if status is not None:
        _render_status(this, status)
    if (layout.publication / "index.json").is_file():
        line(f"publication  {layout.publication}")
    for name, ended, _ in this.stages:
        for fault in _first(ended.faults):
            line(f"{name}: {fault}")
    line()
    for text in _next(this, layout):
        line(f"Next: {text}")


def _render_status(this: Run, status: dict[str, Any]) -> None:
    from tenuto.model.units import format_bytes, format_share

    def counts(found: dict[str, int]) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in found.items())

    said = counts(status["statuses"])
    line(f"tracks       {status['tracks']:,}" + (f": {said}" if said else ""))
    line(f"recordings   {status['recordings']:,}, {format_bytes(status['recordings_bytes'])}")
    if this.plan is not None:
        share, note = this.plan.listens_kept_frac, this.plan.listens_note
        line(f"value        {format_share(this.plan.value_kept_frac)} planned")
        line(f"listens      {note}" if share is None else f"listens      {format_share(share)} planned; {note}")
    line(f"crates       {status['crates'] - status['crates_dark']:,} open, {status['crates_dark']:,} dark; "
         f"{status['withdrawn']:,} withdrawn")  # fmt: skip
    if this.failures:
        line(f"failed       {counts(this.failures)}; try again with: tenuto keep --retry-failed")


def _next(this: Run, layout: Layout) -> list[str]:
    """What to type: what mends the run, or what makes use of it."""
    mend = [ended.next for _, ended, _ in reversed(this.stages) if ended.next]  # the last is what holds up most
    if mend or not (layout.publication / "index.json").is_file():
        return list(dict.fromkeys(mend)) or ["tenuto status"]
    return [f"python3 -m http.server --directory {layout.publication} (or any web server)", "tenuto seed"]

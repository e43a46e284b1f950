"""The clock: what is signed, harvested and withdrawn carries its time, and the gate goes by the day."""

import ctypes
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tenuto.archive import Layout
from tenuto.doctor.result import Result

_TOPIC = "clock"
_FIRST_YEAR, _LAST_YEAR = 2026, 2100
"""No clock that goes right shows a year before this release, nor one that nobody has tried."""

_TOLERANCE = timedelta(minutes=5)
_STA_UNSYNC = 0x40
"""The kernel's clock is not disciplined (adjtimex(2))."""

_REMEDY = "set the clock: sudo timedatectl set-ntp true (or start chrony), then date -u"
_STAMPS = (
    "catalogue/*/edition.json",
    "plans/*/plan.json",
    "evidence/*/*/harvest.json",
    "crates/*.torrent",
    "dark/*.torrent",
)


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; what follows `status` is not read."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_char * 512),
    ]  # fmt: skip


def look(layout: Layout | None, now: datetime, is_synchronised: bool | None) -> list[Result]:
    """`now` is UTC; `is_synchronised` as `synchronised()` says."""
    if not _FIRST_YEAR <= now.year <= _LAST_YEAR:
        return [Result(_TOPIC, "bad", f"the clock shows the year {now.year}, which cannot be", _REMEDY)]
    results = _unsynchronised() if is_synchronised is False else []
    newest = max(_moments(layout), default=None) if layout is not None else None
    if newest is not None and newest[0] > now + _TOLERANCE:
        results.append(_behind(newest[0], newest[1], now))
    if results:
        return results
    kernel = "the kernel keeps it synchronised" if is_synchronised else "whether it is synchronised cannot be seen here"
    return [Result(_TOPIC, "ok", f"{now:%Y-%m-%d %H:%M} UTC; {kernel}")]


def synchronised() -> bool | None:
    """Whether the kernel says that its clock is synchronised; None where it cannot be asked."""
    try:
        asked = _Timex()
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else not asked.status & _STA_UNSYNC


def _unsynchronised() -> list[Result]:
    message = "the kernel says that the clock is not synchronised with any other; it may drift, or be wrong already"
    return [Result(_TOPIC, "warning", message, "sudo timedatectl set-ntp true; in a virtual machine, see to its host")]


def _behind(newest: datetime, what: str, now: datetime) -> Result:
    message = (
        f"{what} is of {newest:%Y-%m-%d %H:%M} UTC, the clock shows {now:%Y-%m-%d %H:%M}: "
        "it is wrong now, or it was wrong then"
    )
    return Result(_TOPIC, "bad", message, f"{_REMEDY}; if it is right now, that thing was made by a clock that was not")


def _moments(layout: Layout) -> Iterator[tuple[datetime, str]]:
    """When the archive's things were made, by what they say and by their files."""
    yield from _published(layout.publication / "index.json")
    for day, name in _days(layout.catalogue):
        yield day, f"edition {name}"
    for file in _stamped(layout.root):
        yield datetime.fromtimestamp(file.stat().st_mtime, UTC), str(file)


def _published(index: Path) -> Iterator[tuple[datetime, str]]:
    try:
        said = datetime.fromisoformat(json.loads(index.read_bytes())["published_at"])
        yield (said if said.tzinfo else said.replace(tzinfo=UTC)), f"the publication ({index}: published_at)"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # none, or none that can be read: that is for tenuto check


def _days(catalogue: Path) -> Iterator[tuple[datetime, str]]:
    for folder in catalogue.iterdir() if catalogue.is_dir() else ():
        try:
            yield datetime.strptime(folder.name[:10], "%Y-%m-%d").replace(tzinfo=UTC), folder.name
        except ValueError:
            continue


def _stamped(root: Path) -> Iterable[Path]:
    return (file for pattern in _STAMPS for file in root.glob(pattern))

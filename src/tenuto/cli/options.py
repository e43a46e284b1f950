"""What every verb takes: where the archive is, whether to print JSON; and opening the archive once."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tenuto.archive import ArchiveLock, Layout
from tenuto.archive.lock import refuse_while_held, wait_for_rest
from tenuto.model.errors import UsageError

if TYPE_CHECKING:
    from tenuto.archive import Settings

Archive = Annotated[Path, Parameter(name="--archive", env_var="TENUTO_ARCHIVE", help="The archive's folder.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on one line.")]
HERE = Path()
_MEMORY_MIN_BYTES = 2 * 10**9
_OF_MIRRORS = frozenset({"check", "repair", "seed", "mirror", "status"})
"""The verbs that a mirror has; all others are its archive's own."""


def open_archive(folder: Path) -> "tuple[Layout, Settings]":
    """The archive and its settings, all their mistakes reported together."""
    from tenuto.archive import load_settings
    from tenuto.sources import check_options

    layout = Layout.find(folder)
    return layout, load_settings(layout.settings, check_options)


@contextmanager
def working(folder: Path, verb: str) -> Iterator["tuple[Layout, Settings]"]:
    """The archive, held so that no other process works in it meanwhile."""
    layout = Layout.find(folder)
    with ArchiveLock(layout.lock, verb):
        yield _opened(folder, verb)


@contextmanager
def reading(folder: Path, verb: str) -> Iterator["tuple[Layout, Settings]"]:
    """The archive, for a verb that changes nothing and holds up nobody; refused where another process works in it already."""
    refuse_while_held(Layout.find(folder).lock)
    yield _opened(folder, verb)


@contextmanager
def resting(folder: Path, verb: str) -> Iterator["tuple[Layout, Settings]"]:
    """As `reading`, but another process that works in it is waited for."""
    wait_for_rest(Layout.find(folder).lock, lambda said: print(said, file=sys.stderr, flush=True))
    yield _opened(folder, verb)


def _opened(folder: Path, verb: str) -> "tuple[Layout, Settings]":
    opened = open_archive(folder)
    refuse_mirror(opened[1], verb)
    return opened


def refuse_mirror(settings: "Settings", verb: str) -> None:
    """Raise UsageError where a verb of an archive's own is asked of a mirror."""
    if settings.mirror is not None and verb not in _OF_MIRRORS:
        raise UsageError(
            f"this is a mirror of {settings.archive.name}, which alone can {verb}; a mirror can "
            f"{', '.join(sorted(_OF_MIRRORS))}, and get (--from its publication)"
        )


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")


def memory_bytes(memory: str) -> int:
    """What --memory says, in bytes; raises UsageError where it is no size, or too little to build an edition with."""
    from tenuto.model.units import parse_bytes

    try:
        size = parse_bytes(memory)
    except ValueError as error:
        raise UsageError(f"--memory: {error}") from None
    if size < _MEMORY_MIN_BYTES:
        raise UsageError(f"--memory: {memory} is too little to build with; give 2GB or more")
    return size

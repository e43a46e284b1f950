"""What every verb takes: where the archive is, whether to print JSON; and opening the archive once."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.archive import ArchiveLock, Layout, Settings, load_settings

Archive = Annotated[Path, Parameter(name="--archive", env_var="TENUTO_ARCHIVE", help="The archive's folder.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on one line.")]
HERE = Path()


def open_archive(folder: Path) -> tuple[Layout, Settings]:
    """The archive and its settings, all their mistakes reported together."""
    from tenuto.sources import check_options

    layout = Layout.find(folder)
    return layout, load_settings(layout.settings, check_options)


@contextmanager
def working(folder: Path, verb: str) -> Iterator[tuple[Layout, Settings]]:
    """The archive, held so that no other process works in it meanwhile."""
    layout = Layout.find(folder)
    with ArchiveLock(layout.lock, verb):
        yield open_archive(folder)


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")

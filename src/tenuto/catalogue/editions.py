"""The editions of an archive: which there are, and which one is meant."""

import re
from pathlib import Path

from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.catalogue.edition import EDITION_NAME, Edition, open_current, open_edition
from tenuto.model.errors import UsageError

EDITION = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}")
"""An edition's name."""


def edition_names(layout: Layout) -> list[str]:
    """The editions that are there, oldest first: by their day, those of one day by when they were written."""
    there = [path.name for path in layout.catalogue.glob("*") if EDITION.fullmatch(path.name) and path.is_dir()]
    return sorted(there, key=lambda name: (name[:10], _written_ns(layout.edition(name)), name))


def find_edition(archive: Path, said: str) -> Edition:
    """The edition that is meant: a folder, or of the archive `current`, `previous` (the one before it), a name or the beginning of
    one. Raises UsageError where there is none, or more than one.
    """
    folder = Path(said).expanduser()
    if (folder / EDITION_NAME).is_file():
        return open_edition(folder.absolute())
    layout = Layout.find(archive)
    if said == "current":
        return open_current(layout)
    names = edition_names(layout)
    if said == "previous":
        current = read_pointer(layout.catalogue / "current")
        before = names[: names.index(current)] if current in names else []
        if not before:
            raise UsageError(f"{layout.root} has no edition before the current one; there are: {_listed(names)}")
        return open_edition(layout.edition(before[-1]))
    meant = [name for name in names if said and name.startswith(said)]
    if len(meant) != 1:
        which = (
            f"{said!r} may be {_listed(meant)}"
            if meant
            else f"there is no edition {said!r}; there are: {_listed(names)}"
        )
        raise UsageError(f"{which}; name one, or current, previous, or an edition's folder")
    return open_edition(layout.edition(meant[0]))


def _written_ns(folder: Path) -> int:
    try:
        return (folder / EDITION_NAME).stat().st_mtime_ns
    except OSError:
        return 0


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none yet"

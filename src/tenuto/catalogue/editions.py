"""The editions of an archive: which there are, and which one is meant."""

import json
import re
from datetime import date
from pathlib import Path

from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.catalogue.edition import EDITION_NAME, Edition, open_current, open_edition
from tenuto.model.errors import UsageError

EDITION = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}")
"""An edition's name."""


def edition_names(layout: Layout) -> list[str]:
    """The editions that are there, oldest first: by the day of their newest evidence, as they say it, those of one day by name.
    So a copy of an archive has them in the same order.
    """
    there = [path.name for path in layout.catalogue.glob("*") if EDITION.fullmatch(path.name) and path.is_dir()]
    return sorted(there, key=lambda name: (_day(layout, name), name))


def find_edition(archive: Path, said: str) -> Edition:
    """The edition that is meant: a folder, or one of the archive's own. Raises UsageError where there is none, or more than one."""
    folder = Path(said).expanduser()
    if (folder / EDITION_NAME).is_file():
        return open_edition(folder.absolute())
    return own_edition(Layout.find(archive), said)


def own_edition(layout: Layout, said: str) -> Edition:
    """The edition of an archive that is meant: `current`, `previous` (the newest other one that is of no later day), a name or the
    beginning of one. Raises UsageError where there is none, or more than one.
    """
    if said == "current":
        return open_current(layout)
    names = edition_names(layout)
    if said == "previous":
        current = read_pointer(layout.catalogue / "current")
        others = [name for name in names if name != current] if current in names else []
        before = [name for name in others if _day(layout, name) <= _day(layout, str(current))]
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
        raise UsageError(f"{which}; name one, or current or previous, or to compare it, an edition's folder")
    return open_edition(layout.edition(meant[0]))


def _day(layout: Layout, name: str) -> str:
    """The day of an edition's newest evidence (YYYY-MM-DD), by its document, or where that cannot be read, by its name."""
    try:
        said = json.loads((layout.edition(name) / EDITION_NAME).read_bytes())["newest_evidence"]
        return date.fromisoformat(said).isoformat()
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return name[:10]


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none yet"

"""Archives for made-up catalogues: made where there is none, with one source called generated."""

import os
from pathlib import Path

from tenuto.archive import Layout, Settings, load_settings, write_durably
from tenuto.archive.create import create
from tenuto.archive.layout import SETTINGS_NAME
from tenuto.archive.template import with_source
from tenuto.bench.tables import SOURCE
from tenuto.model.documents import read_text
from tenuto.model.errors import UsageError
from tenuto.sources import check_options


def make_missing(folder: Path, keys: Path | None) -> None:
    """The archive, made as `init` makes one where there is none; its keys lie in `keys`, or in `<folder>-keys`."""
    folder = folder.expanduser().absolute()
    if not (folder / SETTINGS_NAME).exists():
        secrets = keys or folder.with_name(f"{folder.name}-keys")
        create(folder, "bench", "bench@archive.invalid", secrets, dict(os.environ))


def add_source(layout: Layout, settings: Settings, seed: int, tracks: int) -> None:
    """Write the source into tenuto.toml; raises UsageError where it is there and of another catalogue."""
    options = {"seed": seed, "tracks": tracks}
    there = settings.sources.get(SOURCE)
    if there is not None and (there.kind != SOURCE or there.options != options):
        raise UsageError(f"{layout.root} has a source called {SOURCE} already ({there.kind}, {there.options}); "
                         "use its seed and tracks, or another archive")  # fmt: skip
    if there is None:
        values = {"kind": SOURCE, "location": "made up", "options": options}
        write_durably(layout.settings, with_source(read_text(layout.settings), SOURCE, values).encode())


def refuse_used(folder: Path) -> None:
    """Raise UsageError where an archive has anything but a source of made-up tables, which may have been stopped."""
    layout = Layout(folder.expanduser().absolute())
    if not layout.settings.exists():
        return
    sources = set(load_settings(layout.settings, check_options).sources)
    if sources != {SOURCE} or layout.evidence.exists() or (layout.catalogue / "current").exists():
        raise UsageError(f"{folder} is an archive already, and these tables have no evidence; name a new folder")

"""Where a publication is read from: a folder, or a web root. Only bytes are read here; whether they are right is proven later."""

import time
from collections.abc import Callable
from pathlib import Path

from tenuto.model.errors import UsageError
from tenuto.publication.places.folder import FolderPlace
from tenuto.publication.places.protocol import Collected, Part, Place, Sink
from tenuto.publication.places.web import WebPlace

__all__ = ["Collected", "FolderPlace", "Part", "Place", "Sink", "WebPlace", "open_place"]


def open_place(text: str, pause: Callable[[float], None] = time.sleep) -> FolderPlace | WebPlace:
    """The publication at an address (http, https) or in a folder; raises UsageError where it can be neither."""
    if "://" in text:
        return WebPlace(text, pause=pause)
    folder = Path(text.removesuffix("/index.json")).expanduser() if Path(text).is_file() else Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(
            f"{text} is no folder; a publication is the folder that holds index.json, or its http address: with https:// "
            "before it, if it is an address"
        )
    if not (folder / "index.json").exists() and (folder / "publication" / "index.json").exists():
        raise UsageError(f"{text} is an archive, its publication lies within; say --from {folder / 'publication'}")
    return FolderPlace(folder)

"""One archive on disk: where things lie, its settings, its keys, its lock."""

from typing import TYPE_CHECKING, Any

from tenuto.archive.durable import remove_leftovers, write_durably
from tenuto.archive.layout import Layout
from tenuto.archive.lock import ArchiveLock

if TYPE_CHECKING:
    from tenuto.archive.settings import Settings, SourceSettings, load_settings

__all__ = [
    "ArchiveLock",
    "Layout",
    "Settings",
    "SourceSettings",
    "load_settings",
    "remove_leftovers",
    "write_durably",
]


def __getattr__(name: str) -> Any:
    """The names of `settings` (PEP 562): it is loaded by the verbs that read them, which a lookup does not."""
    if name in __all__:
        from tenuto.archive import settings  # noqa: PLC0415

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

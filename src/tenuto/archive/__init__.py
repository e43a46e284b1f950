"""One archive on disk: where things lie, its settings, its keys, its lock."""

from tenuto.archive.durable import remove_leftovers, write_durably
from tenuto.archive.layout import Layout
from tenuto.archive.lock import ArchiveLock
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

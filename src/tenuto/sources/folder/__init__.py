"""A folder of audio files: a collector's shelf, a label's delivery, an unpacked package."""

from tenuto.sources.folder.connector import Folder, Options
from tenuto.sources.folder.parse import parse

__all__ = ["Folder", "Options", "parse"]

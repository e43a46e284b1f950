"""The text index of an edition: titles, artists and releases, found as people type them (docs/decisions/0013-search.md)."""

from tenuto.catalogue.search.build import build_index
from tenuto.catalogue.search.find import Hit, TextIndex

__all__ = ["Hit", "TextIndex", "build_index"]

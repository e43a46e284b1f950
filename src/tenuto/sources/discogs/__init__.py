"""Discogs' monthly dumps: artists, labels, masters and releases as XML, CC0."""

from tenuto.sources.discogs.connector import Discogs, Options
from tenuto.sources.discogs.parse import parse

__all__ = ["Discogs", "Options", "parse"]

"""What an index is made of: two tiers, each an index of tantivy's own with the same fields, and a file that says what is whole."""

import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tantivy

VERSION = 3
"""Of fields, folding and files together: an index of another version is built anew."""

ABOUT_NAME = "search.json"

TIERS = ("top", "rest")
"""Where tracks stand by their weight: what is listened to most first. Most searches need not look at the rest."""

TOP_FRACTION = 64
"""One track in so many is in the first tier. A word has more than twenty tracks there, or some 1,300 altogether at most."""

_CHUNK_BYTES = 1 << 20

_FAULT = re.compile(r"os error (\d+)")


def schema() -> tantivy.Schema:
    """Titles with places, for phrases; the rest without. Nothing is stored: rows are shown by `catalogue.songs`."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="position")
    for name in ("artist", "release", "fact"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    builder.add_unsigned_field("order", fast=True)
    return builder.build()


def opened(folder: Path) -> tantivy.Searcher:
    """Of what lies there now. tantivy makes a lock file beside an index: where none can be made, it is shown links to the files."""
    if os.access(folder, os.W_OK):
        return _searcher(folder)
    with tempfile.TemporaryDirectory() as links:
        for file in folder.iterdir():
            Path(links, file.name).symlink_to(file)
        return _searcher(Path(links))


@contextmanager
def writer_of(folder: Path, fields: tantivy.Schema, heap_bytes: int) -> Iterator[tantivy.IndexWriter]:
    """A writer into a folder; what it was given is there when the block ends well. tantivy's own context manager commits after an
    error too. Raises OSError for a fault of the system.
    """
    folder.mkdir()
    try:
        writer = tantivy.Index(fields, path=str(folder), reuse=False).writer(heap_bytes, 1)
        try:
            yield writer
            writer.commit()
        finally:
            writer.wait_merging_threads()
    except ValueError as error:
        if (number := system_error_of(error)) is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def crc_of(file: Path) -> int:
    """The CRC-32 of a file's bytes."""
    crc = 0
    with file.open("rb") as opened_file:
        while chunk := opened_file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def system_error_of(error: Exception) -> int | None:
    """The number of the system's fault that tantivy words in an error, such as a full disk's; None where it words none."""
    found = _FAULT.search(str(error))
    return int(found[1]) if found else None


def _searcher(folder: Path) -> tantivy.Searcher:
    index = tantivy.Index.open(str(folder))
    index.config_reader("manual")  # else a thread would watch the folder
    return index.searcher()

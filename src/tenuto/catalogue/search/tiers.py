"""What an index is made of: two tiers, each an index of tantivy's own with the same fields, and a file that says what is whole."""

import re

import tantivy

VERSION = 2
"""Of fields, folding and files together: an index of another version is built anew."""

ABOUT_NAME = "search.json"

TIERS = ("top", "rest")
"""Where tracks stand by their weight: what is listened to most first. Most searches need not look at the rest."""

TOP_FRACTION = 64
"""One track in so many is in the first tier. A word has more than twenty tracks there, or some 1,300 altogether at most."""

_FAULT = re.compile(r"os error (\d+)")


def schema() -> tantivy.Schema:
    """Titles with places, for phrases; the rest without. Nothing is stored: rows are shown by `catalogue.songs`."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="position")
    for name in ("artist", "release", "fact"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    builder.add_unsigned_field("order", fast=True)
    return builder.build()


def system_error_of(error: Exception) -> int | None:
    """The number of the system's fault that tantivy words in an error, such as a full disk's; None where it words none."""
    found = _FAULT.search(str(error))
    return int(found[1]) if found else None

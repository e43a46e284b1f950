"""What a track's document says beside its names: words that tracks are filtered by, and its row."""

from tenuto.catalogue.search.words import WORD_MAX

ROW_MAX = 2**32 - 1
"""Track rows are 32 bits wide; `order` holds this less the row, so that the lower row of two comes first."""


def year_word(year: int) -> str:
    """The word of a year."""
    return f"y{year}"


def count_word(count: int) -> str:
    """The word of titles with so many words."""
    return f"n{count}"


def licence_word(licence: str) -> str:
    """The word of a licence, an SPDX expression or what stands in its place."""
    return "l" + "".join(c if c.isprintable() and not c.isspace() else "_" for c in licence)[:WORD_MAX]

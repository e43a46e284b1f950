"""Text from outside, made safe for tables: valid Unicode, NFC, no controls, bounded."""

import unicodedata
from collections.abc import Sequence

TEXT_MAX = 1_000_000
"""Characters kept of one text; a longer one is cut and found (`text-mended`)."""

_KEPT_CONTROLS = "\n\t"


def mend(text: str) -> tuple[str, bool]:
    """The text in NFC without NUL, controls and lone surrogates (each becomes U+FFFD), and whether it had to be mended.

    Composing to NFC, trimming white space and ending lines in one way is no mending; losing something is.
    """
    if len(text) <= TEXT_MAX and text.isprintable():  # no control and no surrogate is
        return unicodedata.normalize("NFC", text).strip(), "\ufffd" in text
    text = text.replace("\r\n", "\n")
    kept = "".join("\ufffd" if _is_foreign(char) else char for char in text[:TEXT_MAX])
    is_mended = kept != text or "\ufffd" in text
    return unicodedata.normalize("NFC", kept).strip(), is_mended


def is_clean(texts: Sequence[str]) -> bool:
    """Whether `mend` leaves all of these as they are; it may say no where it does."""
    joined = "".join(texts)
    return (
        len(joined) <= TEXT_MAX
        and joined.isprintable()
        and "\ufffd" not in joined
        and unicodedata.is_normalized("NFC", joined)
        and all(text == text.strip() for text in texts)
    )


def fold(text: str) -> str:
    """The key under which two spellings of one name meet: case, width and white space folded (Unicode, D146)."""
    if text.isascii():
        return " ".join(text.lower().split())
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return " ".join(unicodedata.normalize("NFKC", once.casefold()).split())


def _is_foreign(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} and char not in _KEPT_CONTROLS

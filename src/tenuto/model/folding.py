"""Text as it is compared and searched: case, width, accents, punctuation and white space folded; scripts stay as they are.

Unicode's caseless matching of identifiers (The Unicode Standard, D146: NFKD, full case folding, default ignorables off), then
accents off where they are no letters. All of it is idempotent, and linear in the length of the text.
"""

import re
import unicodedata

FOLDED_MAX = 1_000
"""Characters of a name that are looked at; titles of works reach some hundreds, what is longer is no name."""

_APOSTROPHES = dict.fromkeys(map(ord, "`´ʼʹʻ‘’‛ʾʿ′＇"), "'")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－"), "-")
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»「」『』"), '"')
_OUTSIDE = {
    **_APOSTROPHES,
    **_DASHES,
    **_QUOTES,
    **dict.fromkeys(map(ord, "【〔〖"), "["),
    **dict.fromkeys(map(ord, "】〕〗"), "]"),
}

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point (DerivedCoreProperties.txt)."""

_ACCENTS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_MARKS_OFF = re.compile(
    f"(?<=[a-z\u00df-\u024f\u0250-\u02af\u0370-\u03ff\u1e00-\u1fff])[{_ACCENTS}]+"  # Latin and Greek: accents
    "|(?<=\u0435)[\u0300\u0301\u0308]+|(?<=[\u0400-\u052f])[\u0300\u0301]+"  # Cyrillic: ё, and stress; й and ї are letters
    "|[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]+"  # Hebrew points
    "|(?<=\u0627)[\u0640\u064b-\u0655\u0670]+|[\u0640\u064b-\u0652\u0670]+"  # Arabic: forms of alef, vowels, lengthening
    f"|(?:^|(?<=[\\s\\W]))[{_ACCENTS}]+"  # a mark on nothing
)
"""What is left: marks that spell, such as vowel signs of Indic scripts and Thai, and the voicing of kana."""

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ħ": "h",
        "ŋ": "n",
        "ŧ": "t",
        "ĸ": "k",
    }
)
"""Latin letters that Unicode does not decompose, as catalogues without them write them."""

_SHARP_FLAT = re.compile(r"(?<![^\W_])([a-g])[ -]?([#♯♭])")
_SIGNS = re.compile(r"(?<=[^\W_])!(?=[^\W_])|\$(?=[^\W\d_])|(?<=\s)\+(?=\s)|&")
_MEANT = {"!": "i", "$": "s", "+": " and ", "&": " and "}
_INITIALS = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.){2,}(?:[^\W\d_](?![^\W_]))?")


class _Spaced(dict[int, "str | int"]):
    """For `str.translate`: letters, marks and numbers stay, apostrophes go, all else becomes a space."""

    def __missing__(self, code: int) -> "str | int":
        char = chr(code)
        kept: str | int = code if unicodedata.category(char)[0] in "LMN" else " "
        self[code] = kept
        return kept


_SPACED = _Spaced({ord("'"): ""})


def folded(text: str) -> str:
    """The text with case, width and accents folded and punctuation kept; NFC, at most `FOLDED_MAX` characters of it."""
    text = text[:FOLDED_MAX]
    if text.isascii():
        return text.lower().replace("`", "'")
    text = unicodedata.normalize("NFKD", text.translate(_OUTSIDE))
    text = unicodedata.normalize("NFKD", text.casefold())
    text = unicodedata.normalize("NFKD", _IGNORABLE.sub("", text).translate(_OUTSIDE))
    return unicodedata.normalize("NFC", _MARKS_OFF.sub("", text).translate(_LETTERS))


def words_of(text: str) -> list[str]:
    """The words of a folded text; signs that stand for letters are read ("P!nk", "$ign", "C#", "&", "E.T.")."""
    if not text.isalnum():
        if "#" in text or "♯" in text or "♭" in text:
            text = _SHARP_FLAT.sub(lambda found: found[1] + (" flat " if found[2] == "♭" else " sharp "), text)
        if "!" in text or "$" in text or "+" in text or "&" in text:
            text = _SIGNS.sub(lambda found: _MEANT[found[0]], text)
        if "." in text:
            text = _INITIALS.sub(lambda found: found[0].replace(".", ""), text)
    return text.translate(_SPACED).split()


def bare(text: str) -> str:
    """What stands for a folded text without any word in it, such as "???" or "÷": its signs, without white space."""
    kept = (char for char in text if unicodedata.category(char)[0] != "C" and not char.isspace())
    return "".join(kept)


def search_key(text: str) -> str:
    """The words of a text as a searcher may type them, with single spaces; the signs themselves where it has no words."""
    text = folded(text)
    return " ".join(words_of(text)) or bare(text)

"""How a secret may be written where it travels, and a pattern that finds it there as a word of its own."""

import base64
import html
import json
import re
from collections.abc import Iterable
from itertools import groupby
from urllib.parse import quote, quote_plus

_WHOLE_MIN = 16
"""A spelling that long which only a program writes (hexadecimal, base64) is cut inside of longer words too."""

_BEFORE = (r"(?<![^\W_])", r"(?<=[\u2e80-\U0010ffff])", r"(?<=%[0-9A-Fa-f]{2})", r"(?<=%25[0-9A-Fa-f]{2})",
           r"(?<=\\[bfnrt])", r"(?<=\\u[0-9A-Fa-f]{4})")  # fmt: skip
"""What may stand before a word: no letter or digit; a character of a script that writes no spaces; the end of an
escape, in an address or in JSON."""

_AFTER = (r"(?![^\W_])", r"(?=[\u2e80-\U0010ffff])")
_SPACELESS = "\u2e80"


def spellings(secrets: Iterable[str]) -> dict[str, bool]:
    """Every spelling of the secrets -> whether it is the work of a program alone."""
    found: dict[str, bool] = {}
    for secret in secrets:
        raw = secret.encode("utf-8", "surrogatepass")
        coded = [raw.hex(), raw.hex().upper()]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded += [encode(raw).decode(), encode(raw).decode().rstrip("=")]
        for escaped in (quote(raw, safe=""), quote_plus(raw), quote(quote(raw, safe=""), safe="")):
            coded += [escaped, re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), escaped)]
        ascii_json = json.dumps(secret)[1:-1]
        coded += [ascii_json, re.sub(r"\\u....", lambda match: match[0].upper().replace("\\U", "\\u"), ascii_json)]
        coded += [json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("/", "\\/"), html.escape(secret)]
        found.update(dict.fromkeys(coded, True))
        found[secret] = False
    return found


def as_words(found: dict[str, bool]) -> str:
    """A pattern for all of them, the longest first; neighbours with the same edges share them."""
    ordered = sorted(found, key=lambda word: (-len(word), word))
    return "|".join(
        f"{before}(?:{'|'.join(map(re.escape, words))}){after}"
        for (before, after), words in groupby(ordered, lambda word: _edges(word, is_coded=found[word]))
    )


def _edges(word: str, *, is_coded: bool) -> tuple[str, str]:
    """What must stand before and after a word."""
    if is_coded and len(word) >= _WHOLE_MIN and word.isascii():
        return "", ""
    return _edge(word[0], _BEFORE), _edge(word[-1], _AFTER)


def _edge(char: str, choices: tuple[str, ...]) -> str:
    """What must stand beside a word that ends with this character: nothing in particular if it is no letter or digit."""
    if not char.isalnum():
        return ""
    return choices[0] if char >= _SPACELESS else f"(?:{'|'.join(choices)})"

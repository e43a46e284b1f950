"""Paths as ids: any bytes that a file system holds become one line of text, and back.

Plain text stays as it is; `%`, control characters, lone surrogates, bytes that are no UTF-8 and a space at the end (which
headers lose) become `%XX`.
"""

from urllib.parse import unquote_to_bytes


def encode(path: bytes) -> str:
    """The id of a path; different paths have different ids."""
    text = path.decode("utf-8", "surrogateescape")
    encoded = "".join(_character(char) for char in text)
    return f"{encoded[:-1]}%20" if encoded.endswith(" ") else encoded


def decode(encoded: str) -> bytes:
    """The path of an id."""
    return unquote_to_bytes(encoded)


def _character(char: str) -> str:
    if char != "%" and char.isprintable():
        return char
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))

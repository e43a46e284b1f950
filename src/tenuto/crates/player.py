"""The page inside a crate that lists and plays it: one file, opened from the disk, asking nothing of any network."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from tenuto.model.units import counted, format_bytes

COLUMNS = ("file", "title", "artists", "track_number", "duration_ms", "bytes", "terms", "attribution", "sha256",
           "original_sha256")  # fmt: skip
"""What a song's row in the inlined data holds, in order."""

_FORMAT = 1
_WEB_LINK = re.compile(r"https?://[^\s\x00-\x20\x7f\"'<>\\]+", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w.-]+", re.ASCII)
_DERIVED = re.compile(r"opus-(\d+)", re.ASCII)
# What could end the script element that holds the data, or a line of a script in an old reader.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
_VARIOUS = "Various artists"

_Terms = tuple[str, str, str, str]
"""Codec, licence, licence link and tier in words: few in a crate, so they are stored once."""


@dataclass(frozen=True, slots=True)
class Song:
    """One recording of a crate, as its page shows it; empty texts are unknown."""

    href: str
    """Path relative to the page, not escaped: `audio/Artist/Release/01 Title [1a2b3c4d].ogg`."""
    title: str
    artists: str
    release: str
    track_number: int | None
    duration_ms: int | None
    bytes: int
    codec: str
    licence: str
    """An SPDX expression or words."""
    licence_url: str
    """Linked only where it is http or https."""
    attribution: str
    tier: str
    """`original`, or what was made of it: `opus-75`."""
    sha256: str
    """Of this file."""
    original_sha256: str = ""
    """Of what a derivative was made from."""


def render_player(
    crate: str, archive: str, contact: str, edition: str, songs: Sequence[Song], withdrawn_count: int
) -> bytes:
    """The crate's `data/index.html`; songs stand and play on in the order given, a heading per folder and release.

    Raises ValueError for a path that is not relative and below the page.
    """
    template = files("tenuto.crates").joinpath("player.html").read_text("utf-8")
    texts = {
        "csp": html.escape(_policy(template)),
        "crate": html.escape(crate),
        "archive": html.escape(archive),
        "edition": html.escape(edition),
        "contact": _contact(contact),
        "totals": html.escape(_totals(songs)),
        "withdrawn": _withdrawn(withdrawn_count),
        "data": _data(crate, archive, edition, songs),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: texts[match[1]], template)
    return page.encode("utf-8", "replace")  # a lone surrogate in a title becomes a question mark


def _policy(template: str) -> str:
    """What the page may do: run its own script, wear its own style, play what lies beside it; nothing else.

    A page from the disk has no origin that `self` could name in every browser, so `file:` is named too.
    """
    script, style = (_inline_hash(template, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; media-src 'self' file:; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inline_hash(template: str, tag: str) -> str:
    (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _contact(contact: str) -> str:
    words = html.escape(contact)
    if _WEB_LINK.fullmatch(contact):
        return f'<a href="{words}" rel="noopener noreferrer">{words}</a>'
    return f'<a href="mailto:{words}">{words}</a>' if _MAIL.fullmatch(contact) else words


def _totals(songs: Sequence[Song]) -> str:
    minutes, seconds = divmod(sum(song.duration_ms or 0 for song in songs) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    lasting = f"{hours:,} h {minutes} min" if hours else f"{minutes} min {seconds} s"
    return ", ".join([counted(len(songs), "recording"), lasting, format_bytes(sum(song.bytes for song in songs))])


def _withdrawn(count: int) -> str:
    if not count:
        return ""
    return f' {counted(count, "recording")} withdrawn: <a href="withdrawn.json">withdrawn.json</a> says which.'


def _data(crate: str, archive: str, edition: str, songs: Sequence[Song]) -> str:
    """The songs as JSON that cannot end the element it stands in: a line per group, shared terms stored once."""
    groups: dict[tuple[str, str], list[Song]] = {}
    for song in songs:
        groups.setdefault((_folder(song.href), song.release), []).append(song)
    terms: dict[_Terms, int] = {}
    lines = ",\n".join(_json(_group(members, terms)) for members in groups.values())
    shared = [dict(zip(("codec", "licence", "licence_url", "tier_words"), term, strict=True)) for term in terms]
    head = {"format": _FORMAT, "crate": crate, "archive": archive, "edition": edition, "columns": COLUMNS}
    return f'{_json(head)[:-1]},\n"terms":{_json(shared)},\n"groups":[\n{lines}\n]}}'


def _folder(href: str) -> str:
    """The folder of a relative path, with its slash; ValueError where the path could lead out of the crate."""
    if {"", ".", ".."} & set(href.split("/")):
        raise ValueError(f"{href!r} is no path below the crate's page; paths are relative, without . and ..")
    return href[: href.rfind("/") + 1]


def _group(songs: Sequence[Song], terms: dict[_Terms, int]) -> dict[str, Any]:
    """One heading with its rows; a row names its artists only where they differ within the group (else null)."""
    folder = _folder(songs[0].href)
    is_same = len({song.artists for song in songs}) == 1
    rows = [_row(song, len(folder), terms, is_same=is_same) for song in songs]
    artists = songs[0].artists if is_same else _VARIOUS
    return {"folder": quote(folder), "release": songs[0].release, "artists": artists, "songs": rows}


def _row(song: Song, folder_chars: int, terms: dict[_Terms, int], *, is_same: bool) -> list[Any]:
    link = song.licence_url if _WEB_LINK.fullmatch(song.licence_url) else ""
    derived = _DERIVED.fullmatch(song.tier)
    tier_words = f"Opus {derived[1]} kbit/s" if derived else song.tier.removeprefix("original")
    term = terms.setdefault((song.codec, song.licence, link, tier_words), len(terms))
    return [
        quote(song.href[folder_chars:]), song.title, None if is_same else song.artists, song.track_number,
        song.duration_ms, song.bytes, term, song.attribution, song.sha256, song.original_sha256,
    ]  # fmt: skip


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)

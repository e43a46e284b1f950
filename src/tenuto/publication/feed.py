"""The publication's Atom feed (RFC 4287): what was given out and what was withdrawn, for feed readers and torrent clients."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree as ET

_ATOM = "http://www.w3.org/2005/Atom"
# All that XML 1.0 cannot hold (section 2.2): controls, lone surrogates, the two non-characters.
_FOREIGN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_WEB = re.compile(r"https?://\S+", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_URL_CHARS = "!#$%&'()*+,/:;=?@[]~"  # what an IRI may hold as it is; the percent sign, as addresses come encoded


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One thing that happened to the publication."""

    id: str
    """`urn:x-tenuto:<archive>:<crate>:r<revision>`, or a withdrawal's; never used for anything else."""
    title: str
    updated: str
    """RFC 3339."""
    summary: str
    href: str
    """Relative to the feed, or a store's (http, https); percent-encoded where it has to be."""
    enclosure_bytes: int | None
    enclosure_type: str
    """Media type of what `href` names, `application/x-bittorrent`; empty: there is nothing to download."""


def render_feed(archive: str, contact: str, updated: str, entries: Sequence[FeedEntry]) -> bytes:
    """The feed, entries in the order given (newest first); relative addresses are relative to the feed's own.

    Raises ValueError for a moment that is not RFC 3339, an id that is no IRI, an address of another scheme.
    """
    feed = ET.Element("feed", {"xmlns": _ATOM, "xml:lang": "en"})
    _add(feed, "id", _iri(f"urn:x-tenuto:{quote(archive.encode('utf-8', 'surrogatepass'), safe='')}"))
    _add(feed, "title", archive or "Tenuto")
    _add(feed, "updated", _moment(updated))
    _author(feed, archive, contact)
    _add(feed, "link", rel="self", type="application/atom+xml", href="feed.atom")
    _add(feed, "link", rel="alternate", type="text/html", href="index.html")
    _add(feed, "generator", "Tenuto")
    for entry in entries:
        _entry(ET.SubElement(feed, "entry"), entry)
    ET.indent(feed, " ")
    body: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _author(feed: ET.Element, archive: str, contact: str) -> None:
    author = ET.SubElement(feed, "author")
    _add(author, "name", archive or "Tenuto")
    if _MAIL.fullmatch(contact):
        _add(author, "email", contact)
    elif _WEB.fullmatch(contact):
        _add(author, "uri", quote(_clean(contact), safe=_URL_CHARS))


def _entry(parent: ET.Element, entry: FeedEntry) -> None:
    _add(parent, "id", _iri(entry.id))
    _add(parent, "title", entry.title)
    _add(parent, "updated", _moment(entry.updated))
    if _SCHEME.match(entry.href) and not _WEB.fullmatch(entry.href):
        raise ValueError(f"{entry.href!r} is neither a relative address nor one of the web")
    href = quote(_clean(entry.href), safe=_URL_CHARS)
    _add(parent, "link", rel="alternate", href=href, **({"type": entry.enclosure_type} if entry.enclosure_type else {}))
    if entry.enclosure_type:
        length = {} if entry.enclosure_bytes is None else {"length": str(entry.enclosure_bytes)}
        _add(parent, "link", rel="enclosure", href=href, type=entry.enclosure_type, **length)
    _add(parent, "summary", entry.summary)


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> None:
    added = ET.SubElement(parent, tag, {name: _clean(value) for name, value in attributes.items()})
    added.text = _clean(text) or None


def _clean(text: str) -> str:
    return _FOREIGN.sub("\ufffd", text)


def _moment(updated: str) -> str:
    if not _MOMENT.fullmatch(updated):
        raise ValueError(f"{updated!r} is no moment as RFC 3339 writes it: 2026-01-02T03:04:05Z")
    return updated


def _iri(identity: str) -> str:
    """The id with what no IRI may hold percent-encoded; two ids never become one."""
    if not _SCHEME.match(identity):
        raise ValueError(f"{identity!r} is no id of a feed entry: it must be an absolute IRI, such as urn:x-tenuto:…")
    return quote(identity.encode("utf-8", "surrogatepass"), safe=_URL_CHARS)

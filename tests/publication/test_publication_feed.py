"""The publication's feed: what RFC 4287 requires, whatever the titles hold."""

from dataclasses import replace
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import pytest

from tenuto.publication.feed import FeedEntry, render_feed

ATOM = "{http://www.w3.org/2005/Atom}"
ENTRY = FeedEntry(
    id="urn:x-tenuto:testing:testing-1-b80-0001-1a2b3c4d:r0",
    title="Crate testing-1-b80-0001-1a2b3c4d",
    updated="2026-01-02T03:04:05Z",
    summary="12 recordings, 58.3 MB",
    href="torrents/testing-1-b80-0001-1a2b3c4d.torrent",
    enclosure_bytes=58_300,
    enclosure_type="application/x-bittorrent",
)


def render(*entries: FeedEntry, archive: str = "testing", contact: str = "tests@archive.invalid") -> ET.Element:
    """The feed, parsed again."""
    return ET.fromstring(render_feed(archive, contact, "2026-01-02T03:04:05Z", entries))


def text(parent: ET.Element, path: str) -> str:
    found = parent.findtext("/".join(ATOM + name for name in path.split("/")))
    assert found is not None, path
    return found


def link(parent: ET.Element, rel: str) -> dict[str, str]:
    (found,) = [link.attrib for link in parent.findall(f"{ATOM}link") if link.get("rel") == rel]
    return found


def test_feed_holds_what_the_standard_requires() -> None:
    feed = render(ENTRY)
    assert feed.tag == f"{ATOM}feed"
    assert (text(feed, "id"), text(feed, "title"), text(feed, "updated")) == (
        "urn:x-tenuto:testing",
        "testing",
        "2026-01-02T03:04:05Z",
    )
    assert (text(feed, "author/name"), text(feed, "author/email")) == ("testing", "tests@archive.invalid")
    assert link(feed, "self")["href"] == "feed.atom"
    (entry,) = feed.findall(f"{ATOM}entry")
    assert [text(entry, name) for name in ("id", "title", "updated", "summary")] == [
        ENTRY.id,
        ENTRY.title,
        ENTRY.updated,
        ENTRY.summary,
    ]
    assert link(entry, "alternate")["href"] == ENTRY.href
    assert link(entry, "enclosure") == {
        "rel": "enclosure", "href": ENTRY.href, "type": "application/x-bittorrent", "length": "58300",
    }  # fmt: skip


def test_feed_begins_with_its_declaration_and_names_each_element_of_the_standard_plainly() -> None:
    page = render_feed("testing", "", "2026-01-02T03:04:05Z", [ENTRY])
    assert page.startswith(
        b"<?xml version='1.0' encoding='utf-8'?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">\n"
    )
    assert b"ns0:" not in page


def test_entries_stand_in_the_order_given() -> None:
    feed = render(*(replace(ENTRY, id=f"urn:x-tenuto:testing:{name}") for name in "cab"))
    assert [text(entry, "id")[-1] for entry in feed.findall(f"{ATOM}entry")] == list("cab")


def test_entry_has_no_enclosure_when_there_is_nothing_to_download() -> None:
    (entry,) = render(replace(ENTRY, enclosure_bytes=None, enclosure_type="", href="withdrawals.jsonl")).findall(
        f"{ATOM}entry"
    )
    assert [link.attrib for link in entry.findall(f"{ATOM}link")] == [{"rel": "alternate", "href": "withdrawals.jsonl"}]


def test_enclosure_has_no_length_when_it_is_not_known() -> None:
    (entry,) = render(replace(ENTRY, enclosure_bytes=None)).findall(f"{ATOM}entry")
    assert "length" not in link(entry, "enclosure")


@pytest.mark.parametrize(
    "hostile", ["</title><script>alert(1)</script>", "]]>&nbsp;", "\"'", "a\x00b\x1bc\ufffed\ud800e", "\u202e🎵\u2028"]
)
def test_texts_survive_when_they_hold_markup_or_what_xml_cannot_hold(hostile: str) -> None:
    kept = "".join("\ufffd" if char in "\x00\x1b\ufffe\ud800" else char for char in hostile)
    feed = render(replace(ENTRY, title=hostile, summary=hostile, enclosure_type=hostile), archive=hostile)
    (entry,) = feed.findall(f"{ATOM}entry")
    assert (text(feed, "title"), text(entry, "title"), text(entry, "summary")) == (kept, kept, kept)
    assert text(feed, "id").isascii()


def test_relative_address_resolves_beside_the_feed_when_it_holds_spaces_or_other_letters() -> None:
    (entry,) = render(replace(ENTRY, href="torrents/a b%20ö?.torrent")).findall(f"{ATOM}entry")
    resolved = urljoin("https://example.org/music/feed.atom", link(entry, "enclosure")["href"])
    assert resolved == "https://example.org/music/torrents/a%20b%20%C3%B6?.torrent"


@pytest.mark.parametrize(
    ("contact", "tag"),
    [
        ("tests@archive.invalid", "email"),
        ("https://archive.invalid/about", "uri"),
        ("the desk, second floor", ""),
        ("", ""),
    ],
)
def test_author_has_an_email_or_a_uri_only_where_the_contact_is_one(contact: str, tag: str) -> None:
    (author,) = render(contact=contact).findall(f"{ATOM}author")
    assert [child.tag.removeprefix(ATOM) for child in author] == ["name", tag][: 1 + bool(tag)]


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ENTRY, updated="2026-01-02"),
        replace(ENTRY, updated="2026-01-02T03:04:05"),
        replace(ENTRY, id="not an address"),
        replace(ENTRY, href="javascript:alert(1)"),
    ],
)
def test_feed_is_refused_when_an_entry_would_make_it_invalid(wrong: FeedEntry) -> None:
    with pytest.raises(ValueError, match="is n"):
        render(wrong)


def test_id_is_made_an_address_and_stays_unlike_any_other() -> None:
    feed = render(*(replace(ENTRY, id=f"urn:x-tenuto:{name}") for name in ("a b", "a\ud800b", "ab")))
    ids = [text(entry, "id") for entry in feed.findall(f"{ATOM}entry")]
    assert len(set(ids)) == 3
    assert ids[0] == "urn:x-tenuto:a%20b"


def test_feed_is_the_same_bytes_when_rendered_again() -> None:
    first = render_feed("testing", "tests@archive.invalid", "2026-01-02T03:04:05Z", [ENTRY])
    assert render_feed("testing", "tests@archive.invalid", "2026-01-02T03:04:05Z", [ENTRY]) == first

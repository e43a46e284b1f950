"""The page of a crate: hostile names stay text, addresses resolve, the same crate gives the same bytes."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tenuto.crates.player import Song, render_player

SONG = Song(
    href="audio/Artist/Release/01 Title [1a2b3c4d].ogg",
    title="Title",
    artists="Artist",
    release="Release",
    track_number=1,
    duration_ms=61_000,
    bytes=1_000_000,
    codec="Ogg Vorbis",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    attribution="Title by Artist",
    tier="original",
    sha256="9c1e" * 16,
)
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&lt;/script&gt;",
    "a\u2028b\u2029c\x00d",
    "{{data}}{{csp}}",
    "\"'><img src=x onerror=alert(1)>",
    "\\u003c/script>",
    "\u202egnp.exe",
)


class Page(HTMLParser):
    """What a browser makes of the page: its elements, and the text of its scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inlined: list[tuple[str, str]] = []
        self.words = ""
        self._open = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in {"script", "style"} else ""
        if self._open:
            self.inlined.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inlined[-1] = (self._open, self.inlined[-1][1] + data)
        else:
            self.words += data

    @property
    def policy(self) -> str:
        """What the page's own policy says."""
        (found,) = [
            attrs["content"] for _, attrs in self.elements if attrs.get("http-equiv") == "Content-Security-Policy"
        ]
        return found or ""

    @property
    def data(self) -> dict[str, Any]:
        """The inlined data, decoded."""
        (found,) = [text for tag, text in self.inlined if tag == "script" and text.lstrip().startswith("{")]
        decoded: dict[str, Any] = json.loads(found)
        return decoded


def render(
    *songs: Song, crate: str = "testing-1-b80-0001-1a2b3c4d", archive: str = "testing", withdrawn: int = 0
) -> bytes:
    return render_player(crate, archive, "tests@archive.invalid", "2026-01-02-1a2b3c4d", songs, withdrawn)


def rows(page: Page) -> list[dict[str, Any]]:
    """The songs, put together again as the page's script does."""
    data = page.data
    found = []
    for group in data["groups"]:
        for values in group["songs"]:
            row = dict(zip(data["columns"], values, strict=True))
            found.append({**group, **row, **data["terms"][row["terms"]], "href": group["folder"] + row["file"]})
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_page_keeps_text_as_text_when_every_field_is_hostile(text: str) -> None:
    plain, song = Page(render(SONG)), replace(SONG, title=text, artists=text, release=text, licence=text, attribution=text,
                                              codec=text, tier=text, sha256=text, licence_url=text)  # fmt: skip
    page = Page(render_player(text, text, text, text, [song], 3))
    tags = [tag for tag, _ in page.elements if tag != "a"]
    assert tags == [tag for tag, _ in plain.elements if tag != "a"]
    assert all(attrs.keys().isdisjoint({"onerror", "onclick", "style"}) for _, attrs in page.elements)
    (row,) = rows(page)
    assert [row[name] for name in ("title", "release", "licence", "attribution", "codec", "sha256")] == [text] * 6
    assert row["licence_url"] == ""
    assert page.policy == plain.policy


def test_data_holds_no_character_that_ends_an_element_when_titles_do() -> None:
    page = render(*(replace(SONG, title=text) for text in HOSTILE)).decode()
    inlined = page.split('id="data">', 1)[1].split("</script>", 1)[0]
    assert not set("<>&\u2028\u2029") & set(inlined)


def test_policy_names_exactly_the_script_and_style_that_stand_in_the_page() -> None:
    page = Page(render(SONG))
    for tag, text in page.inlined:
        if not text.lstrip().startswith("{"):
            assert f"{tag}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in page.policy
    assert page.policy.startswith("default-src 'none';")
    assert "unsafe" not in page.policy


def test_page_asks_for_nothing_when_it_is_opened() -> None:
    page = Page(render(SONG))
    sources = [attrs["src"] for _, attrs in page.elements if "src" in attrs]
    links = [attrs["href"] or "" for tag, attrs in page.elements if tag == "link"]
    assert sources == []
    assert all(link.startswith("data:") for link in links)
    scripts = "".join(text for tag, text in page.inlined if tag == "script")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|fetch\(|XMLHttp|import\(|eval\(", scripts)
    assert not re.search(r"@import|url\(", "".join(text for tag, text in page.inlined if tag == "style"))


@pytest.mark.parametrize(
    "href",
    [
        "audio/AC#DC/What?/100% \"x\" 'y' & <z> [1a2b3c4d].ogg",
        "audio/%2e%2e/%41/a+b;c=d,e@f:g.ogg",
        "audio/Björk/夜の歌/🎵 ليلة.opus",
        "javascript:alert(1)",
        "a b.ogg",
    ],
)
def test_address_resolves_to_the_path_whatever_the_name_holds(href: str) -> None:
    (row,) = rows(Page(render(replace(SONG, href=href))))
    resolved = urlsplit(urljoin("file:///mnt/crate/data/index.html", row["href"]))
    assert (resolved.scheme, resolved.netloc, resolved.query, resolved.fragment) == ("file", "", "", "")
    assert unquote(resolved.path) == f"/mnt/crate/data/{href}"
    assert row["href"].isascii()


@pytest.mark.parametrize(
    "href", ["", "/etc/passwd", "//evil.invalid/x.ogg", "../x.ogg", "audio/../../x.ogg", "audio//x.ogg", "./x.ogg"]
)
def test_path_is_refused_when_it_is_not_below_the_page(href: str) -> None:
    with pytest.raises(ValueError, match="no path below"):
        render(replace(SONG, href=href))


@pytest.mark.parametrize(
    ("address", "is_linked"),
    [
        ("https://example.org/licence?a=b&c=d", True),
        ("HTTP://example.org/", True),
        ("javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        (" https://example.org/", False),
        ("data:text/html,x", False),
        ("//example.org/", False),
        ("https://example.org/\u2028x", False),
        ("", False),
    ],
)
def test_licence_is_linked_only_where_its_address_is_of_the_web(address: str, is_linked: bool) -> None:
    (row,) = rows(Page(render(replace(SONG, licence_url=address))))
    assert row["licence_url"] == (address if is_linked else "")


def test_songs_stand_as_given_and_a_group_names_various_artists_where_they_differ() -> None:
    songs = [
        replace(SONG, title="one"),
        replace(SONG, title="two", href="audio/B/Other/02 two.ogg", release="Other", artists="B"),
        replace(SONG, title="three", href="audio/Artist/Release/03 three.ogg", artists="C, D"),
    ]
    page = Page(render(*songs))
    assert [row["title"] for row in rows(page)] == ["one", "three", "two"]
    assert [group["artists"] for group in page.data["groups"]] == ["Various artists", "B"]
    assert [row[2] for group in page.data["groups"] for row in group["songs"]] == ["Artist", "C, D", None]


def test_derivative_says_what_it_was_made_from() -> None:
    made = replace(SONG, tier="opus-75", original_sha256="41ab" * 16, href="audio/x.opus")
    first, second = rows(Page(render(SONG, made)))
    assert (first["tier_words"], first["original_sha256"]) == ("", "")
    assert (second["tier_words"], second["original_sha256"]) == ("Opus 75 kbit/s", "41ab" * 16)


def test_page_is_the_same_bytes_when_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = render(SONG, replace(SONG, href="audio/b.ogg"))
    monkeypatch.setenv("TZ", "Pacific/Apia")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    assert render(SONG, replace(SONG, href="audio/b.ogg")) == first


def test_page_renders_when_a_title_holds_half_a_character_and_figures_are_unknown() -> None:
    page = Page(render(replace(SONG, title="\ud800 half", track_number=None, duration_ms=None)))
    (row,) = rows(page)
    assert (row["title"], row["track_number"], row["duration_ms"]) == ("? half", None, None)


def test_head_counts_recordings_time_bytes_and_withdrawals() -> None:
    words = " ".join(
        Page(render(SONG, replace(SONG, href="audio/b.ogg", duration_ms=7_200_000), withdrawn=2)).words.split()
    )
    assert "2 recordings, 2 h 1 min, 2 MB" in words
    assert "2 recordings withdrawn" in words
    assert "withdrawn" not in Page(render(SONG)).words


def test_empty_crate_has_a_page_too() -> None:
    assert Page(render()).data["groups"] == []


def test_page_stays_small_when_a_crate_holds_20_000_songs() -> None:
    songs = [
        replace(SONG, href=f"audio/Artist {i // 100}/Release {i // 12}/{i % 12 + 1:02} Title {i} [1a2b3c4d].ogg",
                title=f"Title {i}", release=f"Release {i // 12}", artists=f"Artist {i // 100}", sha256=f"{i:064x}")
        for i in range(20_000)
    ]  # fmt: skip
    page = render(*songs)
    assert len(page) < 250 * len(songs)
    found = rows(Page(page))
    assert [(unquote(row["href"]), row["title"], row["sha256"]) for row in found] == [
        (s.href, s.title, s.sha256) for s in songs
    ]

"""The publication's page: numbers that add up, links that lead where they say, nothing of the dark, no script."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tenuto.publication.page import CrateLine, render_publication

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw().hex()
OPEN = CrateLine(
    crate="testing-1-b80-0001-1a2b3c4d",
    kind="recordings",
    band="b80",
    access="open",
    recordings=12,
    bytes=58_300_000,
    revision=0,
    torrent="torrents/testing-1-b80-0001-1a2b3c4d.torrent",
    address="crates/testing-1-b80-0001-1a2b3c4d.zip",
    magnet="magnet:?xt=urn:btmh:1220" + "41ab" * 16 + "&dn=testing",
    infohash_v2="41ab" * 16,
)
DARK = replace(
    OPEN, crate="testing-1-b20-0002-5e6f7a8b", access="dark", torrent="", address="", magnet="", infohash_v2=""
)
HOSTILE = "</title></style><script>alert(1)</script>{{csp}}\"'><img src=x onerror=alert(1)>&amp;"


class Page(HTMLParser):
    """What a browser makes of the page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += f"{data} "

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [attrs["href"] or "" for tag, attrs in self.elements if tag == "a"]


def render(
    statuses: Mapping[str, int] | None = None, licences: Mapping[str, int] | None = None,
    crates: Sequence[CrateLine] = (OPEN, DARK), archive: str = "testing", tracks: int = 3_000,
) -> bytes:  # fmt: skip
    statuses = {"planned": 2_000, "over_budget": 1_000} if statuses is None else statuses
    licences = {"CC-BY-4.0": 12} if licences is None else licences
    return render_publication(
        archive, "tests@archive.invalid", "2026-01-02-1a2b3c4d", tracks, statuses, licences, crates, 3, KEY
    )


def test_page_has_no_script_and_a_policy_that_allows_its_own_style_only() -> None:
    page = render().decode()
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;;" in page
    elements = Page(page.encode()).elements
    assert not {"script", "iframe", "img", "object", "form"} & {tag for tag, _ in elements}
    assert not any({"src", "style"} & attrs.keys() for _, attrs in elements)


def test_names_stay_text_when_they_are_hostile() -> None:
    crate = replace(OPEN, crate=HOSTILE, kind=HOSTILE, band=HOSTILE, infohash_v2=HOSTILE,
                    torrent=HOSTILE, address=HOSTILE, magnet=HOSTILE)  # fmt: skip
    page = Page(render_publication(HOSTILE, HOSTILE, HOSTILE, 1, {HOSTILE: 1}, {HOSTILE: 1}, [crate], 0, KEY))
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    # archive twice, contact, edition, status, licence, crate, digest, kind, band
    assert page.words.count(HOSTILE) == 10


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//evil.invalid/x", "data:text/html,x", "/etc/passwd", "java\nscript:x", ""]
)
def test_address_is_no_link_when_it_is_neither_below_the_page_nor_of_the_web(address: str) -> None:
    page = Page(render(crates=[replace(OPEN, torrent=address, address=address, magnet=address)]))
    assert page.links == Page(render(crates=[replace(DARK, access="open")])).links


def test_links_lead_to_the_crate_its_torrent_and_the_documents_when_resolved() -> None:
    page = Page(render(crates=[OPEN, replace(OPEN, address="https://store.invalid/bucket/x.zip?version=1")]))
    for base in ("https://example.org/music/", "file:///srv/publication/index.html"):
        resolved = {urljoin(base, link) for link in page.links if urlsplit(link).scheme not in {"magnet", "mailto"}}
        for name in (
            OPEN.torrent,
            OPEN.address,
            "feed.atom",
            "index.json",
            "index.json.sig",
            "status.parquet",
            "withdrawals.jsonl",
        ):
            assert urljoin(base, name) in resolved
        assert "https://store.invalid/bucket/x.zip?version=1" in resolved
    assert OPEN.magnet in page.links


def test_dark_crate_is_counted_and_gives_nothing_away_when_the_caller_hands_too_much() -> None:
    leaking = replace(OPEN, access="dark", crate=DARK.crate, infohash_v2="9c1e" * 16)
    page = render(crates=[leaking])
    assert b"dark: not given out" in page
    assert b"1 dark crate is kept and not given out" in page
    for secret in (leaking.torrent, leaking.address, leaking.infohash_v2, "magnet:"):
        assert secret.encode() not in page


def test_statuses_stand_with_their_total_and_meaning() -> None:
    words = " ".join(Page(render({"over_budget": 1_000, "planned": 1_999, "kept": 1})).words.split())
    assert re.search(
        r"planned 1,999 will be kept over budget 1,000 the budget .* kept 1 kept in an open crate Total 3,000", words
    )


def test_page_is_refused_when_the_statuses_do_not_add_up_to_the_tracks() -> None:
    with pytest.raises(ValueError, match=r"add up to 2,999, the edition has 3,000 tracks"):
        render({"planned": 2_999})


def test_crates_stand_by_stage_with_their_sizes_and_sum() -> None:
    crates = [
        OPEN,
        replace(OPEN, crate="m", kind="metadata", band="", recordings=0, bytes=1_700_000),
        replace(OPEN, crate="z", revision=2),
    ]
    words = " ".join(Page(render(crates=crates)).words.split())
    assert (
        words.index("metadata 0 1.7 MB")
        < words.index("recordings, b80 12 58.3 MB")
        < words.index("recordings, b80, revision 2")
    )
    assert "3 crates 24 118 MB" in words


def test_key_in_the_openssl_lines_is_the_signing_key() -> None:
    (pem,) = re.findall("-----BEGIN.*END PUBLIC KEY-----", Page(render()).words, re.DOTALL)
    loaded = load_pem_public_key(pem.encode())
    assert isinstance(loaded, Ed25519PublicKey)
    assert loaded.public_bytes_raw().hex() == KEY


def test_page_says_how_to_mirror_it_and_which_key_to_pin() -> None:
    words = " ".join(Page(render()).words.replace("\\\n", " ").split())
    assert (
        f"tenuto mirror ADDRESS --into my-mirror --space 500GB --key {KEY} tenuto mirror --into my-mirror --seed"
        in words
    )


def test_page_is_the_same_bytes_when_the_counts_come_in_another_order() -> None:
    first = render({"planned": 1_500, "excluded": 1_500}, {"CC0-1.0": 1, "CC-BY-4.0": 1})
    assert render({"excluded": 1_500, "planned": 1_500}, {"CC-BY-4.0": 1, "CC0-1.0": 1}) == first


def test_empty_publication_has_a_page_too() -> None:
    page = Page(render({}, {}, [], tracks=0))
    assert page.words.count("None yet.") == 2

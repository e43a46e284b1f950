"""Reading parts of files from folders and web servers: exactly what was asked for, or an error that says what came."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publication_maker import (
    Site,
    Trick,
    answer,
    endless,
    honest_neighbour,
    html_page,
    part_without_range,
    serving,
    serving_plainly,
    short_and_content,
    truncated,
    whole_as_part,
)
from tenuto.model.errors import IntegrityError, RetriableError, SkipRecordError, TenutoError, UsageError
from tenuto.publication.places import Collected, FolderPlace, Part, Place, WebPlace, open_place

CONTENT = bytes(range(256)) * 4000
PAUSES: list[float] = []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "web" / "deep").mkdir(parents=True)
    (tmp_path / "web" / "file").write_bytes(CONTENT)
    (tmp_path / "web" / "deep" / "Öl #1").write_bytes(b"within")
    (tmp_path / "web" / "empty").write_bytes(b"")
    (tmp_path / "web" / "index.json").write_bytes(b"{}")
    (tmp_path / "secret").write_bytes(b"not for you")
    return tmp_path / "web"


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    PAUSES.clear()
    with serving(root) as served:
        yield served


def web(url: str) -> WebPlace:
    return WebPlace(url, pause=PAUSES.append)


@pytest.fixture(params=["folder", "ranges", "no ranges", "http.server"])
def place(request: pytest.FixtureRequest, root: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield FolderPlace(root)
        return
    with (
        serving_plainly(root)
        if request.param == "http.server"
        else serving(root, gives_ranges=request.param == "ranges") as served
    ):
        found = web(served if isinstance(served, str) else served.url)
        yield found
        found.close()


@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, 1), (0, len(CONTENT)), (1, 1000), (300_000, 500_000), (len(CONTENT) - 1, 1), (5, 0), (len(CONTENT), 0)],
)
def test_a_place_gives_exactly_the_part_that_was_asked_for(place: Place, offset: int, count: int) -> None:
    assert place.read("file", offset, count, max_bytes=2**21) == CONTENT[offset : offset + count]
    sink = Collected()
    place.stream("file", sink, offset, count)
    assert bytes(sink.content) == CONTENT[offset : offset + count]


def test_a_place_gives_a_file_to_its_end(place: Place) -> None:
    assert place.read("file", max_bytes=len(CONTENT)) == CONTENT
    assert place.read("file", 1_000_000, max_bytes=len(CONTENT)) == CONTENT[1_000_000:]
    assert place.read("empty", max_bytes=0) == b""
    assert place.read("deep/Öl #1", max_bytes=99) == b"within"


def test_a_place_counts_at_least_what_it_gave(place: Place) -> None:
    place.read("file", 100, 5000, max_bytes=5000)
    assert place.received_bytes >= 5000


def test_a_place_says_what_is_missing(place: Place) -> None:
    with pytest.raises(SkipRecordError, match="holds no nothing/here, which its index names"):
        place.read("nothing/here", max_bytes=9)
    with pytest.raises(SkipRecordError, match="holds no nothing"):
        place.read("nothing", 5, 5, max_bytes=9)


def test_a_file_longer_than_it_may_be_is_not_read_further(place: Place) -> None:
    with pytest.raises(IntegrityError, match="more than the 1,000 bytes"):
        place.read("file", max_bytes=1000)
    with pytest.raises(IntegrityError, match="more than the 1,000 bytes"):
        place.read("file", 0, 1001, max_bytes=1000)


@pytest.mark.parametrize("offset", [len(CONTENT) - 5, len(CONTENT), len(CONTENT) + 10, 2**50])
def test_a_file_shorter_than_promised_is_cut_off(place: Place, offset: int) -> None:
    with pytest.raises(IntegrityError, match="is cut off"):
        place.read("file", offset, 10, max_bytes=10)


# -- folders


def test_no_link_leads_out_of_a_folder(root: Path) -> None:
    (root / "link").symlink_to("../secret")
    (root / "way").symlink_to("..")
    (root / "inner").symlink_to("file")
    (root / "loop").symlink_to("loop")
    for path in ("link", "way/secret", "../secret"):
        with pytest.raises(IntegrityError, match="leads out of the publication"):
            FolderPlace(root).read(path, max_bytes=99)
    with pytest.raises(TenutoError):
        FolderPlace(root).read("loop", max_bytes=99)
    assert FolderPlace(root).read("inner", 0, 3, max_bytes=99) == CONTENT[:3]


def test_a_pipe_or_a_folder_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for path in ("pipe", "deep"):
        with pytest.raises(IntegrityError, match="no plain file"):
            FolderPlace(root).read(path, max_bytes=99)


# -- addresses


@pytest.mark.parametrize(
    "address",
    ["ftp://a.invalid/", "http://", "https://a.invalid/x?y=1", "https://a.invalid/#top", "file:///etc", "http://a.invalid:99999/",
     "http://user:pass@a.invalid/"],
)  # fmt: skip
def test_what_is_no_web_root_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_place(address)
    assert "user:pass" not in str(caught.value)


def test_the_address_of_the_index_means_its_root() -> None:
    for address in ("http://A.invalid/m/index.json", "http://a.invalid/m/", "http://a.invalid/m"):
        found = open_place(address)
        assert found.name == "http://a.invalid/m"
        assert isinstance(found, WebPlace)
        found.close()


def test_a_folder_that_is_none_or_an_archive_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        open_place(str(tmp_path / "none"))
    (tmp_path / "publication").mkdir()
    (tmp_path / "publication" / "index.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match=r"--from .*/publication"):
        open_place(str(tmp_path))


# -- the web


@pytest.mark.parametrize(
    ("trick", "error", "said"),
    [
        (whole_as_part, IntegrityError, "answers with 'bytes 0-"),
        (part_without_range, IntegrityError, "answers with ''"),
        (honest_neighbour, IntegrityError, "answers with 'bytes 16484-"),
        (truncated, RetriableError, "file"),
        (short_and_content, RetriableError, "broke off"),
        (endless, IntegrityError, "sends more than"),
        (answer(206, b"x" * 1000, Content_Range="bytes 100-1099/5"), None, ""),
        (answer(206, b"x" * 1000, Content_Range="bytes 100-99999999999999999999/*"), IntegrityError, "answers with"),
        (answer(206, b"x" * 1000, Content_Range="bytes \xb2-5/9"), IntegrityError, "answers with"),
        (answer(206, b"x" * 9, Content_Range="bytes 100-108/109"), IntegrityError, "has 109 bytes"),
        (answer(204), IntegrityError, "HTTP 204"),
        (answer(416, Content_Range="bytes */7"), IntegrityError, "ends before that"),
        (answer(410, b"gone"), SkipRecordError, "holds no file"),
        (answer(403, b"no" * 5000), SkipRecordError, "HTTP 403"),
        (answer(503, b"later" * 5000), RetriableError, "HTTP 503"),
        (answer(302, Location="http://elsewhere.invalid/file"), SkipRecordError, "elsewhere.invalid"),
        (answer(302, Location="/file"), SkipRecordError, "redirects more than"),
        (answer(206, b"x", Content_Encoding="gzip"), SkipRecordError, "packed"),
    ],
)  # fmt: skip
def test_a_lie_about_a_part_is_named(site: Site, trick: Trick, error: type[TenutoError] | None, said: str) -> None:
    site.lie("file", trick)
    place = web(site.url)
    if error is None:
        assert place.read("file", 100, 1000, max_bytes=1000) == b"x" * 1000  # its bytes are proven elsewhere
    else:
        with pytest.raises(error, match=said):
            place.read("file", 100, 1000, max_bytes=1000)
    place.close()
    assert place.received_bytes < 2**21


def test_an_endless_file_is_left_at_its_limit(site: Site) -> None:
    site.lie("file", endless)
    place = web(site.url)
    with pytest.raises(IntegrityError, match="more than the 5,000 bytes"):
        place.read("file", max_bytes=5000)
    place.close()
    assert place.received_bytes < 2**21


def test_an_error_page_that_calls_itself_a_success_is_no_part(site: Site) -> None:
    site.lie("file", html_page)
    place = web(site.url)
    with pytest.raises(IntegrityError, match="is cut off"):
        place.read("file", 5000, 1000, max_bytes=1000)
    place.close()


@pytest.mark.parametrize("trick", [truncated, answer(503), answer(429, Retry_After="3"), answer(500)])
def test_what_fails_twice_and_then_goes_well_goes_well(site: Site, trick: Trick) -> None:
    site.lie("file", trick, times=2)
    place, sink = web(site.url), Collected()
    place.stream("file", sink, 500_000, 9000)
    assert bytes(sink.content) == CONTENT[500_000:509_000]
    place.close()
    assert len(PAUSES) == 2
    assert PAUSES[0] >= 0.5
    assert PAUSES[1] >= 2.0


def test_the_wish_of_a_server_to_wait_is_kept_up_to_a_limit(site: Site) -> None:
    site.lie("file", answer(429, Retry_After="7"), times=1)
    site.lie("file", answer(429, Retry_After="86400"), times=1)
    place = web(site.url)
    place.read("file", 0, 5, max_bytes=5)
    place.close()
    assert PAUSES == [7.0, 20.0]


def test_after_three_tries_it_is_over(site: Site) -> None:
    site.lie("file", answer(503))
    place = web(site.url)
    with pytest.raises(RetriableError):
        place.read("file", 0, 5, max_bytes=5)
    place.close()
    assert len(site.log) == 3


def test_nobody_there_is_said_after_three_tries() -> None:
    place = web("http://127.0.0.1:9")
    PAUSES.clear()
    with pytest.raises(
        RetriableError, match=r"index\.json cannot be reached .*is the address right, and is its server up"
    ):
        place.read("index.json", max_bytes=5)
    place.close()
    assert len(PAUSES) == 2


def test_a_server_that_ignores_ranges_is_asked_for_one_once(root: Path) -> None:
    with serving(root, gives_ranges=False) as site:
        place = web(site.url)
        for _ in range(3):
            assert place.read("file", 1000, 10, max_bytes=10) == CONTENT[1000:1010]
        place.close()
        assert [asked.range is not None for asked in site.log] == [True, False, False, False]


def test_several_parts_come_in_one_pass_where_ranges_are_ignored(root: Path) -> None:
    said: list[str] = []
    wanted = [(900_000, 500), (300_000, 400_000), (699_990, 20), (7, 0)]
    with serving(root, gives_ranges=False) as site:
        place = web(site.url)
        for _ in range(2):
            sinks = [Collected() for _ in wanted]
            parts = [Part(*range_, sink) for range_, sink in zip(wanted, sinks, strict=True)]
            place.gather("file", parts, said.append)
            assert [bytes(sink.content) for sink in sinks] == [CONTENT[at : at + count] for at, count in wanted]
        place.close()
    assert [asked.range is not None for asked in site.log] == [True, False, False], (
        "asked for a part once, then twice for all"
    )
    assert said == [f"{site.url} sends whole files where a part is asked for; 900 kB will be received"]


def test_several_parts_are_asked_for_as_ranges_where_these_are_given(site: Site) -> None:
    place, said, sinks = web(site.url), [], [Collected(), Collected()]
    place.gather("file", [Part(1000, 10, sinks[0]), Part(5, 7, sinks[1])], said.append)
    place.close()
    assert [bytes(sink.content) for sink in sinks] == [CONTENT[1000:1010], CONTENT[5:12]]
    assert [asked.range for asked in site.log] == [(1000, 1009), (5, 11)]
    assert said == []


def test_a_pass_that_breaks_off_begins_anew_with_all_parts(root: Path) -> None:
    def half(handler: Any, asked: Any, content: bytes) -> None:
        handler.reply(200, content[:600_000], len(content))

    with serving(root, gives_ranges=False) as site:
        site.lie("file", answer(200, CONTENT), times=1)
        site.lie("file", half, times=1)
        place, sinks = web(site.url), [Collected(), Collected()]
        place.gather("file", [Part(0, 300_000, sinks[0]), Part(800_000, 9, sinks[1])])
        place.close()
    assert [bytes(sink.content) for sink in sinks] == [CONTENT[:300_000], CONTENT[800_000:800_009]]


def test_a_whole_file_that_ends_before_a_part_is_cut_off(root: Path) -> None:
    with serving(root, gives_ranges=False) as site:
        place = web(site.url)
        with pytest.raises(IntegrityError, match=r"is cut off: bytes 1,023,999 to 1,024,009 .* has 1,024,000"):
            place.gather("file", [Part(0, 9, Collected()), Part(len(CONTENT) - 1, 10, Collected())])
        place.close()


def test_a_server_that_stops_giving_ranges_midway_is_still_read(site: Site) -> None:
    place = web(site.url)
    assert place.read("file", 1000, 10, max_bytes=10) == CONTENT[1000:1010]
    site.gives_ranges = False
    sink = Collected()
    place.stream("file", sink, 600_000, 300_000)
    place.close()
    assert bytes(sink.content) == CONTENT[600_000:900_000]


def test_a_part_is_asked_for_as_a_range_and_not_packed(site: Site) -> None:
    place = web(site.url)
    place.read("file", 1000, 10, max_bytes=10)
    place.close()
    assert site.log[0].range == (1000, 1009)
    assert site.log[0].headers["Accept-Encoding"] == "identity"
    assert site.log[0].headers["User-Agent"].startswith("tenuto/")
    assert len(site.log) == 1

"""Discogs' dumps: what 4,000 real records say, positions and credits as people write them, and dumps that are none."""

import gzip
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvesting import archive_of, codes, evidence_set, folders, manifest_of, run
from support import shared_data
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import SettingsError, SkipRecordError, SourceError, SourceRefusedError
from tenuto.model.records import ArtistSeen, CreditSeen, ProblemSeen, ReleaseSeen, Seen, TrackSeen
from tenuto.sources.discogs import Discogs, parse, records
from tenuto.sources.discogs.positions import chosen, places

NAME = "discogs_20200806_releases.xml.gz"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def dumps() -> Path:
    return shared_data("discogs-samples") / "tests/samples"


@pytest.fixture(scope="module")
def pages(dumps: Path) -> list[Answer]:
    return walk(Discogs(dumps))


@pytest.fixture(scope="module")
def seen(pages: list[Answer]) -> list[Seen]:
    return [item for page in pages for item in parse(page)]


def walk(source: Discogs) -> list[Answer]:
    found, todo = list[Answer](), list(source.first())
    while todo:
        found.append(source.fetch(todo.pop(0)))
        todo += source.follow(found[-1])
    return found


def only(kind: type, items: Iterable[Seen]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def release(inner: str, own_id: str = "1") -> list[Seen]:
    """What a page with one release says."""
    body = f'<releases records="1">\n<release id="{own_id}">{inner}</release>\n</releases>\n'.encode()
    return list(parse(Answer(Request("releases?offset=0"), body, "application/xml", NOW)))


def track(position: str, title: str = "x", more: str = "") -> str:
    return f"<track><position>{position}</position><title>{title}</title><duration/>{more}</track>"


def artist(name: str, own_id: int | str = "", role: str = "", tracks: str = "") -> str:
    inner = f"<id>{own_id}</id><name>{name}</name><anv>As Credited</anv><join/><role>{role}</role>"
    return f"<artist>{inner}<tracks>{tracks}</tracks></artist>"


def dump(folder: Path, content: str | bytes, name: str = NAME) -> Path:
    body = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    return folder


# --- the sample


def test_every_record_of_the_sample_is_kept_once(pages: list[Answer]) -> None:
    counted = Counter[str]()
    for page in pages[1:]:
        kind = page.request.key.partition("?")[0]
        counted[kind] += int(page.body.partition(b'"')[2].partition(b'"')[0])
    assert counted == {"artists": 1_000, "labels": 1_000, "masters": 1_000, "releases": 1_000}


def test_the_sample_says_what_stands_in_it(seen: list[Seen]) -> None:
    tracks, releases = only(TrackSeen, seen), only(ReleaseSeen, seen)
    assert (len(releases), len(tracks)) == (1_000, 9_187)  # of 9,430 lines 186 are headings, 57 stand above their parts
    assert sum(t.duration_ms is None for t in tracks) == 4_436
    lengths = Counter(len(r.release_date or "") for r in releases)
    assert lengths[4] > 571  # years as such, and those of `1999-00-00`
    assert lengths[7] > 50
    assert lengths[10] > 100
    assert {problem.code for problem in only(ProblemSeen, seen)} == {"value-odd"}


def test_the_first_release_is_as_discogs_shows_it(seen: list[Seen]) -> None:
    stockholm = next(r for r in only(ReleaseSeen, seen) if r.release_id == "r1")
    assert (stockholm.title, stockholm.label, stockholm.release_date, stockholm.tracks_count) == (
        "Stockholm",
        "Svek",
        "1999-03",
        6,
    )
    assert stockholm.genres == ("Electronic", "Deep House")
    tracks = [t for t in only(TrackSeen, seen) if t.release_id == "r1"]
    assert [(t.title, t.disc_number, t.track_number, t.duration_ms) for t in tracks] == [
        ("Östermalm", 1, 1, 285_000), ("Vasastaden", 1, 2, 371_000), ("Kungsholmen", 1, 3, 169_000),
        ("Södermalm", 2, 1, 338_000), ("Norrmalm", 2, 2, 292_000), ("Gamla Stan", 2, 3, 316_000),
    ]  # fmt: skip
    names = {a.artist_id: a.name for a in only(ArtistSeen, seen)}
    assert [(names[c.artist_id], c.role) for c in tracks[0].credits] == [
        ("The Persuader", "artist"),
        ("Jesper Dahlbäck", "composer"),
    ]


def test_every_credit_of_the_sample_names_an_artist_that_is_seen(seen: list[Seen]) -> None:
    known = {a.artist_id for a in only(ArtistSeen, seen)}
    assert {c.artist_id for t in only(TrackSeen, seen) for c in t.credits} <= known
    assert {name for r in only(ReleaseSeen, seen) for name in r.artist_ids} <= known


def test_two_harvests_are_equal(dumps: Path, tmp_path: Path) -> None:
    layout = archive_of(tmp_path, str(dumps / NAME.replace("releases", "artists")), "discogs")
    assert [run(layout), run(layout)] == [0, 0]
    assert evidence_set(folders(layout)[0]) == evidence_set(folders(layout)[1])
    assert len(evidence_set(folders(layout)[0])) == 1 + 4 + 1


def test_pages_read_by_many_threads_are_those_of_one(dumps: Path, pages: list[Answer]) -> None:
    source = Discogs(dumps)
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(source.fetch, [page.request for page in pages]))
    assert [page.body for page in again] == [page.body for page in pages]


# --- positions


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ("1 2 3", [(1, 1), (1, 2), (1, 3)]),
        ("2 3", [(1, 2), (1, 3)]),
        ("A1 A2 B1 C1 D", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]),
        ("A AA", [(1, 1), (1, 2)]),
        ("A1 A2 B3 B4", [(1, 1), (1, 2), (1, 3), (1, 4)]),
        ("a1 b1", [(1, 1), (1, 2)]),
        ("1-1 1-2 2-1", [(1, 1), (1, 2), (2, 1)]),
        ("2-1 2-2", [(2, 1), (2, 2)]),
        ("CD1-1 CD2-1 CD2-Video", [(1, 1), (2, 1), (2, 2)]),
        ("CD-1 CD-2 DVD-1", [(1, 1), (1, 2), (2, 1)]),
        ("LP-A1 LP-B1 CD1", [(1, 1), (1, 2), (2, 1)]),
        ("1-1 1-2.1 1-2.2 1-3", [(1, 1), (1, 2), (1, 3), (1, 4)]),
        ("1 1", [(1, 1), (1, 2)]),
        ("", [(1, 1)]),
        ("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z AA AC", [(d, n) for d in range(1, 15) for n in (1, 2)]),
    ],
)
def test_positions_become_discs_and_numbers(positions: str, expected: list[tuple[int, int]]) -> None:
    assert places(positions.split(" ")) == expected


@settings(max_examples=40)
@given(st.lists(st.text(max_size=6) | st.from_regex(r"[A-Z]{0,3}\d{0,3}[-.]?\d{0,2}", fullmatch=True), max_size=12))
def test_whatever_positions_say_each_track_has_a_number(positions: list[str]) -> None:
    found = places(positions)
    assert len(found) == len(positions)
    assert all(0 <= disc < 1_000 and 0 <= number < 10_000 for disc, number in found)
    chosen(" to ".join(positions), positions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("A1", {0}), ("A1, B1", {0, 2}), ("A2 to B1", {1, 2}), ("A1-A2; B2", {0, 1, 3}), ("a1 and b2", {0, 3}),
     ("B2 to A1", set()), ("Side A", None), ("A1, C7", None), ("", set())],
)  # fmt: skip
def test_credits_name_their_tracks(text: str, expected: set[int] | None) -> None:
    assert chosen(text, ["A1", "A2", "B1", "B2"]) == expected


# --- track lists and credits


def test_headings_are_no_tracks_and_parts_stand_for_their_index_track() -> None:
    parts = f"<sub_tracks>{track('2.1', 'One')}{track('2.2', 'Two')}</sub_tracks>"
    whole = f"<sub_tracks>{track('', 'a')}{track('', 'b')}</sub_tracks>"
    lines = track("", "Live At Home") + track("1", "Song") + track("", "Suite", parts) + track("3", "Medley", whole)
    items = release(f"<title>t</title><tracklist>{lines}</tracklist>")
    assert [(t.track_id, t.title) for t in only(TrackSeen, items)] == [
        ("r1/1", "Song"), ("r1/2", "One"), ("r1/3", "Two"), ("r1/4", "Medley"),
    ]  # fmt: skip


def test_a_list_without_any_position_has_its_tracks() -> None:
    items = release(f"<tracklist>{track('', 'a')}{track('', 'b')}</tracklist>")
    assert [(t.title, t.track_number) for t in only(TrackSeen, items)] == [("a", 1), ("b", 2)]


def test_credits_keep_their_order_and_go_where_they_belong() -> None:
    mixer = artist("Mixer", 4, "Remix, Producer [Additional, Late]")
    own = f"<artists>{artist('Guest', 3)}</artists><extraartists>{mixer}</extraartists>"
    everyone = (artist("Writer", 5, "Written-By", "A2") + artist("Drummer", 6, "Drums [All Tracks]") +
                artist("Painter", 7, "Artwork"))  # fmt: skip
    items = release(f"<artists>{artist('Band (2)', 1)}{artist('Other', 2)}</artists><extraartists>{everyone}</extraartists>"
                    f"<tracklist>{track('A1')}{track('A2', more=own)}</tracklist>")  # fmt: skip
    first, second = only(TrackSeen, items)
    assert first.credits == (
        CreditSeen(artist_id="a1"),
        CreditSeen(artist_id="a2"),
        CreditSeen(artist_id="a6", role="drums"),
    )
    assert [(c.artist_id, c.role) for c in second.credits] == [
        ("a3", "artist"), ("a4", "remixer"), ("a4", "producer"), ("a5", "composer"), ("a6", "drums"),
    ]  # fmt: skip
    assert {a.artist_id: a.name for a in only(ArtistSeen, items)}["a1"] == "Band"


def test_an_artist_without_an_id_goes_by_the_name() -> None:
    items = release(f"<artists>{artist('Nobody', 0)}{artist('  ')}</artists><tracklist>{track('1')}</tracklist>")
    assert only(ReleaseSeen, items)[0].artist_ids[0] == "name:nobody"
    assert only(TrackSeen, items)[0].credits == (CreditSeen(artist_id="name:nobody"),)


@pytest.mark.parametrize(
    ("released", "expected"),
    [("1999-03-00", "1999-03"), ("1999-00-00", "1999"), ("1999", "1999"), ("1999-03-09", "1999-03-09"), ("", None),
     ("0000", None), ("19xx", None), ("1071", None), ("1999-13-01", None)],
)  # fmt: skip
def test_dates_are_kept_as_far_as_they_are_known(released: str, expected: str | None) -> None:
    items = release(f"<released>{released}</released>")
    assert only(ReleaseSeen, items)[0].release_date == expected
    assert len(only(ProblemSeen, items)) == (expected is None and released != "")


def test_what_a_release_says_of_itself() -> None:
    words = "".join(f"<description>{word}</description>" for word in ("LP", "Album", "Compilation"))
    formats = f"<formats><format><descriptions>{words}</descriptions></format></formats>"
    firms = "".join(f"<company><name>{n}</name><entity_type_name>{t}</entity_type_name></company>"
                    for n, t in (("P", "Phonographic Copyright (p)"), ("C", "Copyright (c)"), ("X", "Pressed By")))  # fmt: skip
    barcodes = "".join(f'<identifier type="Barcode" value="{code}"/>' for code in ("none", "5 034504 964075"))
    item = only(ReleaseSeen, release(f"{formats}<companies>{firms}</companies><identifiers>{barcodes}</identifiers>"))[
        0
    ]
    assert (item.release_type, item.copyright_p, item.copyright_c, item.upc) == (
        "compilation",
        "P",
        "C",
        "5034504964075",
    )


def test_a_record_without_an_id_is_a_finding_and_the_next_is_read() -> None:
    for own_id in ("", "x", "-1", "²"):
        assert [one.code for one in only(ProblemSeen, release("<title>t</title>", own_id))] == ["record-invalid"]


def test_few_lines_that_multiply_are_cut_and_found_in_time() -> None:
    lines = "".join(track(f"A{n}") for n in range(1_000))
    many = "".join(artist("x", n, "Producer", "A0 to A999") for n in range(1, 1_001))
    long = artist("y" + " " * 10**6 + "z", 7, "," * 10**6, "-" * 10**6)
    items = release(f"<artists>{many}</artists><extraartists>{many}{long}</extraartists><tracklist>{lines}</tracklist>")
    assert len(only(TrackSeen, items)) == 1_000
    assert sum(len(one.credits) for one in only(TrackSeen, items)) <= 200_000
    assert "credits is 'more than 200,000', which cannot be" in {one.message for one in only(ProblemSeen, items)}


# --- dumps that are none


def test_a_label_within_a_label_is_no_record_of_its_own(tmp_path: Path) -> None:
    inner = "<label><id>1</id><sublabels><label id='2'>b</label><label/></sublabels></label>"
    place = dump(tmp_path, f"<labels>{inner * 3}</labels>", "discogs_20200806_labels.xml.gz")
    assert len(list(records.records_of(place / "discogs_20200806_labels.xml.gz", "labels"))) == 3


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "content",
    [
        f"{BOMB}<releases><release id='1'><title>&b;</title></release></releases>",
        f"{OUTSIDE}<releases><release id='1'><title>&a;</title></release></releases>",
        "<releases><release id='1'>" + "<a>" * 5_000 + "</a>" * 5_000 + "</release></releases>",
        "<releases><release id='1'><title>" + "x" * (11 * 2**20) + "</title></release></releases>",
        "<releases><release id='1'></releases>",
        b"<releases><release id='1'><title>\xff\xfe</title></release></releases>",
        "no XML",
    ],
)
def test_a_dump_that_attacks_or_breaks_is_not_read_on(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(SkipRecordError, match="cannot be read on"):
        list(records.records_of(dump(tmp_path, content) / NAME, "releases"))


def test_a_record_that_has_no_end_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORD_MAX_BYTES", 2**17)
    small = "<release id='1'/>" * 10_000
    place = dump(tmp_path, f"<releases>{small}</releases>")
    assert len(list(records.records_of(place / NAME, "releases"))) == 10_000
    dump(tmp_path, f"<releases>{small}<release id='2'>{'<a/>' * 2**16}</release></releases>")
    with pytest.raises(SkipRecordError, match="more than 131,072 bytes"):
        list(records.records_of(place / NAME, "releases"))


def test_control_characters_are_mended_not_fatal(tmp_path: Path) -> None:
    found = list(records.records_of(dump(tmp_path, "<releases><release id='1'><title>a\x01b</title></release></releases>") / NAME,
                                    "releases"))  # fmt: skip
    assert b"a\xef\xbf\xbdb" in found[0]


def test_a_dump_cut_off_is_a_finding_and_what_was_read_is_kept(dumps: Path, tmp_path: Path) -> None:
    whole = (dumps / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[: len(whole) * 3 // 4])
    layout = archive_of(tmp_path, str(tmp_path), "discogs")
    assert run(layout) == 9
    assert codes(layout) == {"request-failed"}
    assert 1_000 < manifest_of(layout).reconciled[0].found < 9_000


@pytest.mark.parametrize("content", ["<releases></releases>", "<artists><artist/></artists>"])
def test_a_dump_without_records_is_refused_so_that_nothing_counts_as_gone(tmp_path: Path, content: str) -> None:
    source = Discogs(dump(tmp_path, content))
    with pytest.raises(SourceRefusedError, match="holds no releases"):
        source.fetch(Request("dump"))


def test_a_place_without_dumps_says_what_they_are_called(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SettingsError, match=NAME.replace(".", r"\.")):
            Discogs(place)


def test_the_newest_dump_of_a_kind_is_read(tmp_path: Path) -> None:
    for day, own_id in (("20200806", 1), ("20261101", 2), ("20191201", 3)):
        dump(tmp_path, f"<releases><release id='{own_id}'/></releases>", f"discogs_{day}_releases.xml")
    items = [item for page in walk(Discogs(tmp_path)) for item in parse(page)]
    assert [one.release_id for one in only(ReleaseSeen, items)] == ["r2"]


def test_a_dump_that_changes_while_it_is_read_stops_the_harvest(tmp_path: Path) -> None:
    source = Discogs(dump(tmp_path, "<releases><release id='1'/></releases>"))
    following = list(source.follow(source.fetch(Request("dump"))))
    dump(tmp_path, "<releases><release id='12'/></releases>")
    with pytest.raises(SourceError, match="has changed since its harvest began"):
        source.fetch(following[0])


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(body: bytes) -> None:
    for kind in ("artists", "releases", "labels", "dump"):
        for content in (body, b"<releases>" + body + b"</releases>"):
            assert all(
                isinstance(one, ProblemSeen) for one in parse(Answer(Request(f"{kind}?offset=0"), content, "", NOW))
            )

"""Evidence that is not as it should be, in the pages of a generated source: the edition is built, each fault is a finding that
names its evidence, counts add up, and nothing is made up.
"""

import gzip
import json
import os
from datetime import timedelta

import pytest

import evidence_maker as made
from support import make_archive
from tenuto.archive import Layout
from tenuto.catalogue import rows
from tenuto.evidence import read_records
from tenuto.model.errors import UsageError

MANY = 10_000


def page(name, *records, offset=0, **more):
    body = json.dumps({"total": len(records), name: records, **more}, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    return made.Said(f"{name}?offset={offset}", body)


def track(own_id, **fields):
    return {"id": own_id, "title": f"Title of {own_id}", **fields}


def edition_of(layout, *said, day=made.DAY):
    made.keep(layout, "large", said, day, kind="generated")
    return made.edition_of(layout)


@pytest.fixture
def layout(tmp_path):
    return make_archive(tmp_path)


def evidence_ids(layout):
    return {record.evidence_id for path in layout.evidence.rglob("*.warc.gz") for record in read_records(path)}


def check_findings(layout, edition, *expected):
    """These findings and no others: code and subject; each names a record that is there."""
    found = made.rows(edition, "finding")
    assert sorted((one["code"], one["subject"]) for one in found) == sorted(expected)
    assert {one["evidence_id"] for one in found} <= evidence_ids(layout)
    assert sum(edition.info.findings.values()) == len(found)


def test_texts_with_nuls_surrogates_and_without_end_are_mended_and_found(layout):
    texts = {
        "nul": "a\x00b",
        "half": "a\ud800b",
        "escape": "a\x1b[2Jb",
        "long": "x" * 1_000_001,
        "whole": "y" * 1_000_000,
        "e": "e\u0301",
    }
    edition = edition_of(
        layout, page("tracks", *(track(own_id, title=title) for own_id, title in texts.items()), track("well"))
    )
    titles = {own_id: row["title"] for own_id, row in made.tracks(edition).items()}
    assert titles == {"nul": "a\ufffdb", "half": "a\ufffd\ufffd\ufffdb", "escape": "a\ufffd[2Jb", "long": "x" * 1_000_000,
                      "whole": texts["whole"], "e": "\xe9", "well": "Title of well"}  # fmt: skip
    check_findings(layout, edition, *(("text-mended", own_id) for own_id in ("nul", "half", "escape", "long")))


def test_escaped_lone_surrogate_is_mended_and_found(layout):
    body = json.dumps({"tracks": [track("a\ud800", title="b\udfff", credits=[{"artist_id": "\ud800"}])]}).encode()
    edition = edition_of(layout, made.Said("tracks?offset=0", body))
    assert {own_id: row["title"] for own_id, row in made.tracks(edition).items()} == {"a\\ud800": "b\ufffd"}
    codes = {row["code"] for row in made.rows(edition, "finding")}
    assert codes == {"text-mended", "reference-missing"}


def test_only_one_of_many_texts_is_mended_and_the_others_stay_as_they_are(layout):
    titles = [f"Ünïcödé {number}" for number in range(3 * rows._RUN)]
    titles[rows._RUN + 7] = "one \x00"
    edition = edition_of(
        layout, page("tracks", *(track(str(number), title=title) for number, title in enumerate(titles)))
    )
    kept = {own_id: row["title"] for own_id, row in made.tracks(edition).items()}
    assert kept == {str(number): title.replace("\x00", "\ufffd") for number, title in enumerate(titles)}
    check_findings(layout, edition, ("text-mended", str(rows._RUN + 7)))


def test_of_one_id_with_contradicting_fields_the_fullest_holds_and_no_other_is_made_up(layout):
    given = [track("t", isrc="DEAB12345678", duration_ms=1), track("t", title="Other", popularity=3), track("u")]
    edition = edition_of(layout, page("tracks", *given))
    found = made.tracks(edition)
    assert len(found) == edition.info.tables["track"].rows == edition.info.sources["large"].tracks == 2
    assert (found["t"]["title"], found["t"]["isrc"], found["t"]["duration_ms"]) == ("Title of t", "DEAB12345678", 1)
    assert found["t"]["popularity"] == 3
    check_findings(layout, edition, ("records-contradict", "t"))


def test_release_that_no_page_has_is_found_and_the_track_stays(layout):
    edition = edition_of(layout, page("tracks", track("t", release_id="gone"), track("u")))
    assert [row["release_row"] for row in made.rows(edition, "track")] == [None, None]
    assert edition.info.tables["release"].rows == 0
    check_findings(layout, edition, ("reference-missing", "t"))


def test_ten_thousand_artists_of_one_track_stay_in_order(layout):
    artists = page("artists", *({"id": f"a{number:05d}", "name": f"N{number}"} for number in range(MANY)))
    credited = [{"artist_id": f"a{number * 7919 % MANY:05d}"} for number in range(MANY)]
    edition = edition_of(
        layout, artists, page("tracks", track("t", credits=credited), track("u", credits=credited[:1]))
    )
    credits_ = [row for row in made.rows(edition, "credit") if row["track_row"] == 0]
    assert [row["position"] for row in credits_] == list(range(1, MANY + 1))
    assert [row["artist_row"] for row in credits_] == [number * 7919 % MANY for number in range(MANY)]
    check_findings(layout, edition)


def test_more_credits_than_there_are_positions_are_cut_and_found(layout):
    credited = [{"artist_id": "a", "role": f"role {number}"} for number in range(65_540)]
    edition = edition_of(
        layout, page("artists", {"id": "a", "name": "N"}), page("tracks", track("t", credits=credited))
    )
    assert [row["position"] for row in made.rows(edition, "credit")] == list(range(1, 65_536))
    check_findings(layout, edition, ("value-odd", "t"))


def test_artist_of_a_release_that_nobody_has_is_found_and_not_invented(layout):
    release = {"id": "r", "title": "R", "artist_ids": ["a", "gone", "b"]}
    edition = edition_of(layout, page("artists", {"id": "a"}, {"id": "b"}), page("releases", release))
    (row,) = made.rows(edition, "release")
    assert row["artist_rows"] == [0, 1]
    check_findings(layout, edition, ("reference-missing", "r"))


def test_dates_keep_what_is_known_of_them(layout):
    dates = {
        "a": ("2019", "year"),
        "b": ("2019-02-30", "day"),
        "c": ("2019-02-28", "month"),
        "d": ("1911", None),
        "e": ("0000", "year"),
    }
    releases = [
        {"id": own_id, "release_date": date, **({"release_date_precision": precision} if precision else {})}
        for own_id, (date, precision) in dates.items()
    ]
    edition = edition_of(layout, page("releases", *releases))
    known = {
        row["release_id"]: (str(row["release_date"]), row["release_date_precision"])
        for row in made.rows(edition, "release")
    }
    assert known == {"a": ("2019-01-01", "year"), "b": ("None", None), "c": ("2019-02-01", "month"), "d": ("1911-01-01", "year"),
                     "e": ("None", None)}  # fmt: skip
    check_findings(layout, edition, ("value-odd", "b"), ("value-odd", "e"))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_evidence_that_ends_within_a_record_gives_all_before_it(layout, share):
    pages = [
        page("tracks", *(track(f"{number}-{place}") for place in range(10)), offset=number) for number in range(20)
    ]
    folder = made.keep(layout, "large", pages, kind="generated")
    [path] = folder.glob("*.warc.gz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    whole = [record for record in read_records(path) if record.answer is not None]
    edition = made.edition_of(layout)
    assert 0 < len(whole) < len(pages)
    assert edition.info.tables["track"].rows == edition.info.sources["large"].tracks == 10 * len(whole)
    found = made.findings(edition, "evidence-damaged")
    assert any("cut off" in one["message"] for one in found)
    assert {one["subject"] for one in made.rows(edition, "finding")} == {path.name}


def test_page_of_another_version_is_read_as_far_as_it_is_known_and_what_is_not_is_found(layout):
    later = {"schema": 9, "tracks": [{"id": "t", "title": {"en": "T"}, "loudness": -9}], "market_sets": {"0": ["DE"]}}
    edition = edition_of(layout, made.Said("tracks?offset=0", json.dumps(later).encode()), page("songs", {"id": "u"}))
    assert [(row["track_id"], row["title"]) for row in made.rows(edition, "track")] == [("t", None)]
    check_findings(layout, edition, ("value-odd", "t"), ("value-odd", "page"))


def test_where_tracks_are_offered_stands_in_two_tables(layout):
    sets = [["US", "DE"], ["AT"], [], ["AT"]]
    tracks = [track("a", markets=0), track("b", markets=1), track("c", markets=2), track("d", markets=3), track("e")]
    edition = edition_of(
        layout,
        page("tracks", *tracks, market_sets=sets),
        page("tracks", track("f", markets=0), offset=9, market_sets=[["DE", "US"], ["FR"]]),
    )
    assert made.rows(edition, "market_set") == [
        {"market_set_row": 0, "markets": []}, {"market_set_row": 1, "markets": ["AT"]},
        {"market_set_row": 2, "markets": ["DE", "US"]}
    ]  # fmt: skip
    assert made.rows(edition, "availability") == [
        {"track_row": row, "market_set_row": number} for row, number in ((0, 2), (1, 1), (2, 0), (3, 1), (5, 2))
    ]
    check_findings(layout, edition)


def test_where_a_track_is_offered_is_what_the_newest_harvest_says(layout):
    pages = [page("tracks", track(f"{number}", markets=0), offset=number, market_sets=[["DE"]]) for number in range(3)]
    edition_of(layout, *pages)
    moved = page("tracks", track("2", markets=0), offset=2, market_sets=[["FR"]])
    edition = edition_of(layout, *pages[:2], moved, day=made.DAY + timedelta(days=1))
    assert [row["markets"] for row in made.rows(edition, "market_set")] == [["DE"], ["FR"]]
    assert [row["market_set_row"] for row in made.rows(edition, "availability")] == [0, 0, 1]


def test_odd_markets_are_found_and_the_tracks_stay(layout):
    sets = [["DE"], ["DE"] * 10_000, ["Germany"], "DE", 5]
    tracks = [track(str(number), markets=number) for number in range(len(sets))]
    odd = [track("x", markets=99), track("y", markets=-1), track("z", markets="0")]
    edition = edition_of(layout, page("tracks", *tracks, *odd, market_sets=sets))
    assert edition.info.tables["track"].rows == len(tracks) + len(odd)
    assert [row["track_row"] for row in made.rows(edition, "availability")] == [0, 7]
    check_findings(layout, edition, *[("value-odd", "page")] * 4, ("value-odd", "x"), ("value-odd", "y"))


def test_many_long_texts_are_handed_on_in_parts(layout, monkeypatch):
    pages = [page("tracks", track(str(number), title="\U0001f600" * 1_000), offset=number) for number in range(50)]
    monkeypatch.setattr(rows, "_READ_MAX_BYTES", 20_000)
    packed = []
    pack = rows.Rows._pack
    monkeypatch.setattr(rows.Rows, "_pack", lambda self, kind: packed.append(kind) or pack(self, kind))
    edition = edition_of(layout, *pages)
    assert packed.count("track") == 10
    assert {row["title"] for row in made.rows(edition, "track")} == {"\U0001f600" * 1_000}


def test_archive_below_a_folder_whose_name_is_no_utf8_is_refused_in_words(layout, tmp_path):
    folder = tmp_path / os.fsdecode(b"no \xff\xfe name")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the disk takes names of UTF-8 alone")
    made.keep(layout, "large", [page("tracks", track("t"))], kind="generated")
    moved = Layout(layout.root.rename(folder / "archive"))
    with pytest.raises(UsageError, match=r"udcff.*no UTF-8.*move the archive"):
        made.edition_of(moved)
    back = Layout(moved.root.rename(tmp_path / "back"))
    assert made.edition_of(back).info.tables["track"].rows == 1


def test_body_that_is_packed_again_is_no_page(layout):
    edition = edition_of(
        layout, made.Said("tracks?offset=0", gzip.compress(b"{}")), page("tracks", track("t"), offset=1)
    )
    assert edition.info.tables["track"].rows == 1
    check_findings(layout, edition, ("answer-invalid", "page"))

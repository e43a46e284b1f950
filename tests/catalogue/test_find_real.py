"""`tenuto find` over catalogues that nobody here wrote, harvested and built as anyone would: four sources and a small table."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from real_catalogues import make_real_archive

from harvesting import verb
from support import tenuto_json
from tenuto.archive import Layout
from tenuto.catalogue.edition import Edition, open_current
from tenuto.evidence import finished_harvests

pytestmark = pytest.mark.long

TRACKS = {"dead": 39_774, "discogs": 9_187, "netlabel": 4, "phil": 6_622, "rock": 2_229}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = make_real_archive(tmp_path_factory.mktemp("real"))
    assert verb(made, "harvest") == 0
    assert verb(made, "catalogue", "build") == 0
    return made


@pytest.fixture(scope="module")
def edition(layout: Layout) -> Edition:
    return open_current(layout)


def rows(edition: Edition, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = edition.read(name).to_pylist()
    return found


def test_every_track_of_every_source_is_in_the_edition(layout: Layout, edition: Edition) -> None:
    assert Counter(edition.read("track")["source"].to_pylist()) == TRACKS
    for source, count in TRACKS.items():
        manifest = finished_harvests(layout.harvests(source))[-1]
        assert manifest.reconciled[0].found == count
        assert manifest.outcomes == {"ok": sum(file.records for file in manifest.files)}


def test_dates_are_kept_as_precisely_as_they_were_known_and_no_more(edition: Edition) -> None:
    kept = Counter((one["source"], one["release_date_precision"]) for one in rows(edition, "release"))
    assert kept["rock", "year"] == 2_229 - 576 - 2
    assert {source for source, precision in kept if precision == "day"} == {"dead", "phil", "discogs"}
    assert kept["discogs", "month"] > 50
    assert kept["netlabel", "month"] == kept["netlabel", "year"] == 1
    assert not kept["dead", "year"]


def test_what_cannot_be_is_found_and_names_its_evidence(edition: Edition) -> None:
    found = [one for one in rows(edition, "finding") if one["source"] == "rock"]
    assert [(one["code"], one["subject"]) for one in sorted(found, key=lambda one: one["message"])] == [
        ("value-odd", "row 548"),
        ("value-odd", "row 1505"),
    ]
    assert all(one["evidence_id"] for one in found)


def test_listens_keep_their_scope_and_date(edition: Edition) -> None:
    heard = [one for one in rows(edition, "track") if one["listens_count"] is not None]
    assert {(one["source"], one["listens_scope"]) for one in heard} == {("rock", "radio")}
    assert len(heard) == 2_229
    assert max(one["listens_count"] for one in heard) == 142


@pytest.mark.parametrize(
    ("words", "source", "title", "artist", "date"),
    [
        ("stairway to heaven", "rock", "Stairway to Heaven", "Led Zeppelin", "1971"),
        ("stairway to heven", "rock", "Stairway to Heaven", "Led Zeppelin", "1971"),
        ("zepelin stairway", "rock", "Stairway to Heaven", "Led Zeppelin", "1971"),
        ("dont stop beleivin", "rock", "Don't Stop Believin'", "Journey", "1981"),
        ("ac dc highway", "rock", "Highway To Hell", "AC/DC", "1979"),
        ("hotel calif", "rock", "Hotel California", "Eagles", "1976"),
        ("playing in the band san bernardino", "dead", "Playing In The Band", "Grateful Dead", None),
        ("grateful dead terapin station", "dead", "Terrapin Station", "Grateful Dead", None),
        ("samson delilah", "dead", "Samson And Delilah", "Grateful Dead", None),
        ("franklins tow", "dead", "Franklin's Tower", "Grateful Dead", None),
        ("ostermalm", "discogs", "Östermalm", "The Persuader", "1999-03"),
        ("persuader vasastaden", "discogs", "Vasastaden", "The Persuader", "1999-03"),
        ("dahlback gamla stan", "discogs", "Gamla Stan", "The Persuader", "1999-03"),
        ("hummel quintet piano", "phil", "QUINTET, PIANO, D MINOR, OP. 74", "New York Philharmonic", "1842-12-07"),
        ("cafe noir", "netlabel", "Café Noir", "Zoë", "2009-05"),
        ("ninos cafe", "netlabel", "Café Noir", "Zoë", "2009-05"),
    ],
)
def test_what_is_typed_finds_what_is_meant(
    layout: Layout,
    capsys: pytest.CaptureFixture[str],
    words: str,
    source: str,
    title: str,
    artist: str,
    date: str | None,
) -> None:
    first = find(layout, capsys, *words.split())[0]
    assert (first["source"], first["title"], first["artists"][0]) == (source, title, artist)
    assert date is None or first["release_date"] == date


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--artist", "38 special", "--year", "1981"], {"Hold On Loosely"}),
        (["--artist", "zoe", "--licence", "CC-BY-4.0"], {"Café Noir", "Under Glass"}),
        (["--licence", "CC0-1.0"], {"Nothing Else"}),
        (["--title", "vasastaden"], {"Vasastaden"}),
        (["--year", "1071"], set()),
        (["--id", "r1"], {"Östermalm", "Vasastaden", "Kungsholmen", "Södermalm", "Norrmalm", "Gamla Stan"}),
        (["--upc", "074646362822", "--limit", "1"], {"Untitled 8"}),
    ],
)
def test_options_narrow_to_what_they_say(
    layout: Layout, capsys: pytest.CaptureFixture[str], options: list[str], expected: set[str]
) -> None:
    assert {one["title"] for one in find(layout, capsys, *options)} == expected


def test_a_year_holds_for_days_months_and_years(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    found = find(layout, capsys, "dark", "star", "--artist", "grateful dead", "--year", "1972", "--limit", "50")
    assert len(found) > 10
    assert {one["release_date"][:4] for one in found} == {"1972"}
    assert {one["title"] for one in found} == {"Dark Star"}


def test_a_second_harvest_of_the_same_files_makes_no_other_edition(layout: Layout, edition: Edition) -> None:
    assert tenuto_json("harvest", "rock", "netlabel", "--archive", layout.root)["failed"] == []
    assert tenuto_json("catalogue", "build", "--archive", layout.root)["edition"] == edition.info.edition


def find(layout: Layout, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert verb(layout, "find", *words, "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["tracks"]
    return found


def test_the_mapping_stands_in_the_evidence(layout: Layout, tmp_path: Path) -> None:
    """What was harvested is read the same where neither the tables nor their mappings are any more."""
    before = open_current(layout).info.edition
    for name in ("songs.csv", "netlabel.toml", "dead.jsonl", "dead.toml"):
        (layout.root.parent / name).rename(tmp_path / name)
    assert verb(layout, "catalogue", "build") == 0
    assert open_current(layout).info.edition == before

"""Corrections by hand: evidence like any other, applied last, each with its evidence id."""

import io
from datetime import date, timedelta

import mutagen.flac
import numpy as np
import pytest
import soundfile

import evidence_maker as made
from support import make_archive
from tenuto.rights import Action, Statement, may


def _sound(licence):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(800, dtype=np.int16), 8000, format="FLAC")
    file.seek(0)
    tags = mutagen.flac.FLAC(file)
    tags["LICENSE"] = licence
    file.seek(0)
    tags.save(file)
    return file.getvalue()


def _edition(tmp_path, *lines):
    layout = make_archive(tmp_path)
    songs = [made.song("t1", artistId="a1", artist="Johann"), made.song("t2")]
    made.keep(layout, "shop", [made.album("r1", songs, year=1723)])
    made.keep(layout, "hand", [made.corrections(*lines)], kind="corrections")
    return made.edition_of(layout)


def _release_date(edition):
    (release,) = made.rows(edition, "release")
    return release["release_date"], release["release_date_precision"]


FIELDS = [
    ("title", "Jesu, der du meine Seele", "Jesu, der du meine Seele"),
    ("duration_ms", "61000", 61_000),
    ("track_number", "7", 7),
    ("is_explicit", "true", True),
    ("is_explicit", "False", False),
    ("isrc", "de-ab1-23-45678", "DEAB12345678"),
    ("recording_id_musicbrainz", "0F1E2D3C-0000-4000-8000-000000000001", "0f1e2d3c-0000-4000-8000-000000000001"),
    ("title", "", None),
    ("track_number", "", None),
]


def test_corrections_set_one_field_each_and_stand_in_the_table(tmp_path):
    layout = make_archive(tmp_path)
    songs = [made.song(f"t{number}", track=99) for number in range(len(FIELDS) + 1)]
    made.keep(layout, "shop", [made.search(songs)])
    plain = made.tracks(made.edition_of(layout))
    lines = [("shop", "track", f"t{number}", field, value) for number, (field, value, _) in enumerate(FIELDS)]
    made.keep(layout, "hand", [made.corrections(*lines)], kind="corrections")
    edition = made.edition_of(layout)
    changed = {f"t{number}": {field: stored} for number, (field, _, stored) in enumerate(FIELDS)}
    assert {own: {**row, "track_row": 0} for own, row in made.tracks(edition).items()} == {
        own: {**row, "track_row": 0, **changed.get(own, {})} for own, row in plain.items()}  # fmt: skip
    kept = {row["own_id"]: row for row in made.rows(edition, "correction")}
    assert set(kept) == set(changed)
    assert kept["t0"].pop("evidence_id") > 0
    assert kept["t0"] == {"source": "shop", "kind": "track", "own_id": "t0", "field": "title", "value": FIELDS[0][1],
                          "reason": "the sleeve says so", "corrected_by": "B. Cataloguer"}  # fmt: skip
    assert made.rows(edition, "finding") == []


@pytest.mark.parametrize(
    ("value", "stored"),
    [("1911", (date(1911, 1, 1), "year")), ("1911-05", (date(1911, 5, 1), "month")),
     ("1911-05-18", (date(1911, 5, 18), "day")), ("", (None, None))],
)  # fmt: skip
def test_correction_of_a_date_keeps_its_precision(tmp_path, value, stored):
    assert _release_date(_edition(tmp_path, ("shop", "release", "r1", "release_date", value))) == stored


IMPOSSIBLE_DATES = ["1911-13-45", "1911-02-30", "0000", "long ago", "19", "1911-05-18-07", "next year"]


def test_impossible_dates_are_findings_and_the_source_keeps_its_word(tmp_path):
    edition = _edition(tmp_path, *(("shop", "release", "r1", "release_date", value) for value in IMPOSSIBLE_DATES))
    assert _release_date(edition) == (date(1723, 1, 1), "year")
    found = made.findings(edition, "value-odd")
    assert {repr(value) for value in IMPOSSIBLE_DATES} == {
        finding["message"].partition(" cannot")[0] for finding in found
    }
    assert {(finding["subject"], finding["source"]) for finding in found} == {("shop release r1 release_date", "hand")}
    assert {finding["evidence_id"] for finding in found} == {made.rows(edition, "correction")[0]["evidence_id"]}


UNFIT = [
    ("duration_ms", "four minutes"),
    ("duration_ms", "-5"),
    ("duration_ms", "99999999999999"),
    ("duration_ms", "3.7"),
    ("track_number", "1e3"),
    ("is_explicit", "perhaps"),
    ("isrc", "DEAB1"),
    ("recording_id_musicbrainz", "not a uuid"),
]


def test_values_that_their_fields_cannot_hold_are_findings_and_change_nothing(tmp_path):
    edition = _edition(tmp_path, *(("shop", "track", "t1", field, value) for field, value in UNFIT))
    assert made.tracks(edition) == made.tracks(_edition(tmp_path / "plain"))
    assert len(made.findings(edition, "value-odd")) == len(UNFIT)


FORBIDDEN = [
    ("shop", "track", "t1", "listens_count", "1000000"),
    ("shop", "track", "t1", "track_id", "t9"),
    ("shop", "track", "t1", "is_live = false --", "x"),
    ("shop", "playlist", "p1", "title", "x"),
    ("shop", "artist", "a1", "title", "x"),
]


def test_fields_that_are_not_ours_to_change_are_findings_that_say_what_may_be_set(tmp_path):
    edition = _edition(tmp_path, *FORBIDDEN)
    found = made.findings(edition, "value-odd")
    assert {finding["subject"] for finding in found} == {" ".join(line[:4]) for line in FORBIDDEN}
    assert all("a correction may set" in finding["message"] for finding in found)
    assert made.tracks(edition) == made.tracks(_edition(tmp_path / "plain"))


NOWHERE = [("shop", "no such"), ("elsewhere", "t1"), ("shop", "t1' OR '1'='1")]


def test_corrections_of_what_is_not_there_are_findings(tmp_path):
    edition = _edition(tmp_path, *((source, "track", own_id, "title", "x") for source, own_id in NOWHERE))
    found = {finding["subject"] for finding in made.findings(edition, "reference-missing")}
    assert found == {f"{source} track {own_id} title" for source, own_id in NOWHERE}
    assert {row["title"] for row in made.rows(edition, "track")} == {"Title of t1", "Title of t2"}


@pytest.mark.parametrize("order", [("Alpha", "Omega"), ("Omega", "Alpha")])
def test_last_line_holds_when_corrections_contradict_each_other(tmp_path, order):
    edition = _edition(tmp_path, *(("shop", "track", "t1", "title", title) for title in order))
    assert made.tracks(edition)["t1"]["title"] == order[-1]
    assert {row["value"] for row in made.rows(edition, "correction")} == {"Alpha", "Omega"}


def test_correction_that_was_taken_out_of_its_file_no_longer_holds(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.album("r1", [made.song("t1")])])
    line = ("shop", "track", "t1", "title", "By hand")
    made.keep(layout, "hand", [made.corrections(line)], kind="corrections")
    assert made.tracks(made.edition_of(layout))["t1"]["title"] == "By hand"
    made.keep(layout, "hand", [made.corrections()], made.DAY + timedelta(days=1), kind="corrections")
    edition = made.edition_of(layout)
    assert made.tracks(edition)["t1"]["title"] == "Title of t1"
    assert made.rows(edition, "correction") == []


def test_correction_of_a_licence_speaks_for_the_track(tmp_path):
    edition = _edition(tmp_path, ("shop", "track", "t1", "licence_text", "CC-BY-4.0"))
    assert {own: row["licence"] for own, row in made.tracks(edition).items()} == {"t1": "CC-BY-4.0", "t2": None}


TAG_AND_CORRECTION = [
    ("", "CC-BY-4.0", "CC-BY-4.0", True),
    ("Mystery", "CC-BY-4.0", "CC-BY-4.0", True),
    ("All rights reserved", "CC-BY-4.0", "CC-BY-4.0", False),
    ("CC0-1.0", "All rights reserved", "LicenseRef-all-rights-reserved", False),
    ("CC0-1.0", "Mystery", None, False),
    ("CC0-1.0", "", None, False),
]


@pytest.mark.parametrize(("tag", "value", "licence", "is_open"), TAG_AND_CORRECTION)
def test_correction_of_a_licence_stands_beside_the_tag_and_the_strictest_holds(tmp_path, tag, value, licence, is_open):
    layout = make_archive(tmp_path)
    made.keep(layout, "shelf", [made.audio_file("a.flac", _sound(tag))], kind="folder")
    line = ("shelf", "track", "a.flac", "licence_text", value)
    made.keep(layout, "hand", [made.corrections(line)], kind="corrections")
    edition = made.edition_of(layout)
    stated = made.rows(edition, "statement")
    (correction,) = made.rows(edition, "correction")
    expected = {("correction", value, correction["evidence_id"]), ("tag", tag, 0)}
    assert {(row["basis"], row["licence_text"], row["evidence_id"]) for row in stated} == {e for e in expected if e[1]}
    assert made.tracks(edition)["a.flac"]["licence"] == licence
    said = [Statement(**{name: row[name] for name in ("basis", "may_give_out")}) for row in stated]
    assert may(said, Action.GIVE_OUT, "worldwide", date(2026, 1, 1)).is_allowed is is_open


def test_correction_of_a_vanished_track_stands_on_its_tombstone(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.album("r1", [made.song("t1"), made.song("t2")])])
    made.keep(layout, "shop", [made.album("r1", [made.song("t1")])], made.DAY + timedelta(days=1))
    made.keep(layout, "hand", [made.corrections(("shop", "track", "t2", "title", "x"))], kind="corrections")
    edition = made.edition_of(layout)
    assert made.findings(edition, "reference-missing") == []
    assert made.rows(edition, "tombstone")[0]["title"] == "x"

"""Whose word about a track's licence counts in an edition: grants, copyright files, LICENSE files, tags."""

import io
from datetime import date, timedelta
from functools import cache

import mutagen.flac
import numpy as np
import soundfile

import evidence_maker as made
from support import make_archive
from tenuto.rights import Action, Statement, may

DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2001 The Makers
License: GPL-2+

Files: music/*
Copyright: 2003 Anna Composer
License: CC-BY-SA-4.0

Files: music/odd.flac
Copyright: 2004 Someone
License: Mystery-1.0
"""
LAST = date(2026, 12, 31)


@cache
def _sound(licence=""):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(800, dtype=np.int16), 8000, format="FLAC")
    if licence:
        file.seek(0)
        tags = mutagen.flac.FLAC(file)
        tags["LICENSE"] = licence
        file.seek(0)
        tags.save(file)
    return file.getvalue()


def _folder(tmp_path, files, *more):
    """An edition of a folder: path -> the licence in its tags; with licence files and a permission."""
    layout = make_archive(tmp_path)
    sounds = [made.audio_file(path, _sound(licence)) for path, licence in files.items()]
    made.keep(layout, "shelf", [*sounds, *more], kind="folder")
    return made.edition_of(layout)


def _albums():
    people = {"t1": "Anna", "t2": "Bert", "t3": "Anna"}
    songs = [
        made.song(own, artistId=name.lower(), artist=name, path=f"{name}/{own}.mp3") for own, name in people.items()
    ]
    return [made.album("r1", songs[:2], name="First"), made.album("r2", songs[2:], name="Second")]


def _shop(tmp_path, *grants):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [*_albums(), made.permission(*grants)])
    return made.edition_of(layout)


def _statements(edition, track_id):
    stated = made.rows(edition, "statement")
    return [Statement(**{name: value for name, value in stated[row].items() if name not in {"statement_row", "territories"}},
                      territories=tuple(stated[row]["territories"]))
            for row in made.tracks(edition)[track_id]["statement_rows"]]  # fmt: skip


def _is_open(edition, track_id, territory="worldwide", when=LAST):
    return may(_statements(edition, track_id), Action.GIVE_OUT, territory, when).is_allowed


def _licences(edition):
    return {own: row["licence"] for own, row in made.tracks(edition).items()}


SELECTORS = [
    ("", {"t1", "t2", "t3"}),
    ('artist = "Anna"', {"t1", "t3"}),
    ('artist = "  aNNA "', {"t1", "t3"}),
    ('artist = "bert"', {"t2"}),
    ('release = "r1"', {"t1", "t2"}),
    ('release = "SECOND"', {"t3"}),
    ('track = ["t1", "t3"]', {"t1", "t3"}),
    ('track = "T1"', set()),
    ('path = "Anna/*"', {"t1", "t3"}),
    ('path = "*/t?.mp3"', {"t1", "t2", "t3"}),
    ('path = "Anna/t1"', set()),
    ('artist = "Anna"\nrelease = "First"', {"t1"}),
]
"""A grant's selectors, and the tracks that they name: t1 and t3 by Anna, t2 by Bert; t1 and t2 on the first album."""


def test_grants_hold_for_the_tracks_that_their_selectors_name(tmp_path):
    layout = make_archive(tmp_path)
    for number, (selector, _) in enumerate(SELECTORS):
        made.keep(layout, f"shop{number:02}", [*_albums(), made.permission(f'{selector}\nlicence = "CC-BY-4.0"')])
    edition = made.edition_of(layout)
    found = [set() for _ in SELECTORS]
    for row in made.rows(edition, "track"):
        if row["licence"] == "CC-BY-4.0":
            found[int(row["source"][4:])].add(row["track_id"])
    assert found == [granted for _, granted in SELECTORS]
    unmatched = {row["source"] for row in made.findings(edition, "permission-unmatched")}
    assert unmatched == {f"shop{number:02}" for number, (_, granted) in enumerate(SELECTORS) if not granted}


def test_last_grant_that_fits_wins_over_those_before_it(tmp_path):
    edition = _shop(
        tmp_path, 'licence = "CC-BY-4.0"', 'artist = "Anna"\nlicence = "CC0-1.0"', 'track = "t3"\nmay_give_out = false'
    )
    assert _licences(edition) == {"t1": "CC0-1.0", "t2": "CC-BY-4.0", "t3": None}
    assert (_is_open(edition, "t1"), _is_open(edition, "t3")) == (True, False)
    turned = _shop(tmp_path / "turned", 'track = "t3"\nmay_give_out = false', 'licence = "CC-BY-4.0"')
    assert _licences(turned)["t3"] == "CC-BY-4.0"


def test_grants_that_no_track_fits_are_findings_with_the_permission_as_evidence(tmp_path):
    edition = _shop(
        tmp_path, 'licence = "CC-BY-4.0"', 'path = "nowhere/*"', 'artist = "Anna"\nlicence = "CC0-1.0"', 'track = "t9"'
    )
    found = made.findings(edition, "permission-unmatched")
    assert [row["subject"] for row in found] == ["grant 2", "grant 4"]
    assert "nowhere/*" in found[0]["message"]
    granted = {row["evidence_id"] for row in made.rows(edition, "statement") if row["basis"] == "permission"}
    assert {row["evidence_id"] for row in found} == granted


def test_grant_that_another_one_covers_wholly_is_a_finding_too(tmp_path):
    edition = _shop(tmp_path, 'artist = "Anna"\nlicence = "CC0-1.0"', 'licence = "CC-BY-4.0"')
    assert [row["subject"] for row in made.findings(edition, "permission-unmatched")] == ["grant 1"]


def test_permission_speaks_for_its_own_source_alone(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "east", [made.search([made.song("t1")]), made.permission('licence = "CC0-1.0"')])
    made.keep(layout, "west", [made.search([made.song("t1")])])
    edition = made.edition_of(layout)
    assert [(row["source"], row["licence"]) for row in made.rows(edition, "track")] == [
        ("east", "CC0-1.0"),
        ("west", None),
    ]


def test_permission_that_the_newest_harvest_no_longer_has_is_gone(tmp_path):
    layout = make_archive(tmp_path)
    songs = made.search([made.song("t1")])
    made.keep(layout, "shop", [songs, made.permission('licence = "CC0-1.0"')])
    made.keep(layout, "shop", [songs], made.DAY + timedelta(days=1))
    edition = made.edition_of(layout)
    assert (_licences(edition), made.rows(edition, "statement")) == ({"t1": None}, [])


def test_newest_permission_is_the_one_that_holds(tmp_path):
    layout = make_archive(tmp_path)
    songs = made.search([made.song("t1")])
    for number, licence in enumerate(("CC0-1.0", "CC-BY-NC-4.0")):
        made.keep(layout, "shop", [songs, made.permission(f'licence = "{licence}"')], made.DAY + timedelta(days=number))
    assert _licences(made.edition_of(layout)) == {"t1": "CC-BY-NC-4.0"}


def test_end_and_territory_of_a_grant_reach_the_statement(tmp_path):
    edition = _shop(
        tmp_path, 'licence = "CC0-1.0"\nuntil = 2026-12-31\nterritories = ["DE", "AT"]\nattribution = "The choir"'
    )
    (row,) = made.rows(edition, "statement")
    assert (row["valid_until"], row["territories"], row["attribution"]) == (LAST, ["DE", "AT"], "The choir")
    assert _is_open(edition, "t1", "DE")
    assert not _is_open(edition, "t1", "FR")
    assert not _is_open(edition, "t1", "DE", LAST + timedelta(days=1))


def test_copyright_file_speaks_per_path_and_its_last_stanza_wins(tmp_path):
    files = dict.fromkeys(("sounds/a.flac", "music/b.flac", "music/odd.flac"), "")
    edition = _folder(tmp_path, files, made.licence_file("debian/copyright", DEP5))
    assert _licences(edition) == {
        "sounds/a.flac": "GPL-2.0-or-later",
        "music/b.flac": "CC-BY-SA-4.0",
        "music/odd.flac": None,
    }
    assert [_is_open(edition, path) for path in files] == [True, True, False]
    (unknown,) = made.findings(edition, "licence-unknown")
    assert (unknown["subject"], "music/odd.flac" in unknown["message"]) == ("Mystery-1.0", True)
    assert _statements(edition, "music/b.flac")[0].attribution == "2003 Anna Composer"


def test_deeper_licence_file_wins_for_what_lies_below_it(tmp_path):
    files = dict.fromkeys(("a.flac", "x/b.flac", "x/y/c.flac", "xy/d.flac"), "")
    edition = _folder(tmp_path, files, made.licence_file("LICENSE", "SPDX-License-Identifier: CC0-1.0\n"),
                      made.licence_file("x/LICENSE.txt", "Released under CC BY-NC 4.0"))  # fmt: skip
    assert _licences(edition) == {
        "a.flac": "CC0-1.0",
        "x/b.flac": "CC-BY-NC-4.0",
        "x/y/c.flac": "CC-BY-NC-4.0",
        "xy/d.flac": "CC0-1.0",
    }


def test_deeper_licence_file_that_nobody_knows_keeps_what_lies_below_it_dark(tmp_path):
    files = dict.fromkeys(("a.flac", "x/b.flac"), "")
    edition = _folder(tmp_path, files, made.licence_file("LICENSE", "SPDX-License-Identifier: CC0-1.0\n"),
                      made.licence_file("x/LICENSE", "You may look, but not touch. " * 50))  # fmt: skip
    assert _licences(edition) == {"a.flac": "CC0-1.0", "x/b.flac": None}
    assert not _is_open(edition, "x/b.flac")
    assert [row["subject"] for row in made.findings(edition, "licence-unknown")] == ["x/LICENSE"]


def _beside(tmp_path, text, *more):
    files = {"x/b.flac": "", "a.flac": ""}
    return _folder(tmp_path, files, made.licence_file("x/COPYING", "SPDX-License-Identifier: GPL-2.0-only\n"),
                   made.licence_file("x/LICENSE", text), *more)  # fmt: skip


def test_licence_file_that_nobody_knows_is_not_silenced_by_one_beside_it(tmp_path):
    edition = _beside(tmp_path, "You may look, but not touch. " * 50)
    assert not _is_open(edition, "x/b.flac")
    assert [(said.licence, said.licence_text, said.may_give_out) for said in _statements(edition, "x/b.flac")] == [
        ("GPL-2.0-only", "x/COPYING", True),
        (None, "x/LICENSE", False),
    ]
    assert [row["subject"] for row in made.findings(edition, "licence-unknown")] == ["x/LICENSE"]


def test_licence_file_that_reserves_all_outweighs_one_beside_it(tmp_path):
    edition = _beside(tmp_path, "Copyright 2001 Anna. All rights reserved.")
    assert not _is_open(edition, "x/b.flac")
    assert len(_statements(edition, "x/b.flac")) == 2


def test_operator_opens_what_a_licence_file_that_nobody_knows_left_dark(tmp_path):
    edition = _beside(tmp_path, "You may look, but not touch. " * 50, made.permission("may_give_out = true"))
    assert _is_open(edition, "x/b.flac")


def test_two_licence_files_that_are_known_are_two_statements(tmp_path):
    edition = _beside(tmp_path, "SPDX-License-Identifier: CC0-1.0\n")
    assert [said.licence for said in _statements(edition, "x/b.flac")] == ["GPL-2.0-only", "CC0-1.0"]
    assert _is_open(edition, "x/b.flac")


def test_broken_copyright_file_is_a_licence_that_nobody_knows(tmp_path):
    broken = DEP5.partition("\n\n")[0] + "\n\nFiles *\n\nLicense: GPL-2+\n"
    edition = _folder(tmp_path, {"a.flac": ""}, made.licence_file("debian/copyright", broken),
                      made.licence_file("LICENSE", "SPDX-License-Identifier: CC0-1.0\n"))  # fmt: skip
    assert not _is_open(edition, "a.flac")
    assert [row["subject"] for row in made.findings(edition, "licence-unknown")] == ["debian/copyright"]


def test_broken_copyright_file_of_a_package_is_a_finding(tmp_path):
    path = "usr/share/doc/foo-data/copyright"
    edition = _folder(tmp_path, {"usr/share/foo/a.flac": ""}, made.licence_file(path, "Format: dep5\n\nbroken"))
    assert not _is_open(edition, "usr/share/foo/a.flac")
    assert [row["subject"] for row in made.findings(edition, "licence-unknown")] == [path]


def test_permission_copyright_file_licence_file_and_tag_that_agree_are_four_statements_and_no_finding(tmp_path):
    edition = _folder(
        tmp_path, {"music/a.flac": "http://creativecommons.org/licenses/by-sa/4.0/"}, made.licence_file("debian/copyright", DEP5),
        made.licence_file("music/LICENSE", "SPDX-License-Identifier: CC-BY-SA-4.0\n"), made.permission('licence = "CC-BY-SA-4.0"'),
    )  # fmt: skip
    assert [statement.basis for statement in _statements(edition, "music/a.flac")] == [
        "permission",
        "dep5",
        "licence_file",
        "tag",
    ]
    assert {statement.licence for statement in _statements(edition, "music/a.flac")} == {"CC-BY-SA-4.0"}
    assert made.rows(edition, "finding") == []


def test_statements_that_disagree_are_a_finding_and_the_strictest_holds(tmp_path):
    edition = _folder(
        tmp_path, {"music/a.flac": "All rights reserved", "music/b.flac": ""}, made.licence_file("debian/copyright", DEP5),
        made.permission('licence = "CC-BY-SA-4.0"'),
    )  # fmt: skip
    assert (_is_open(edition, "music/a.flac"), _is_open(edition, "music/b.flac")) == (False, True)
    (finding,) = made.findings(edition, "licence-conflict")
    assert finding["subject"] == "music/a.flac"
    assert "the strictest holds" in finding["message"]
    assert (
        _licences(edition)["music/a.flac"] == "CC-BY-SA-4.0"
    )  # what the operator says is shown, what is strictest is done


def test_operator_that_forbids_outweighs_a_free_licence_in_the_tags(tmp_path):
    edition = _folder(tmp_path, {"a.flac": "CC0-1.0"}, made.permission("may_give_out = false"))
    assert not _is_open(edition, "a.flac")
    assert len(made.findings(edition, "licence-conflict")) == 1


def test_track_of_which_nothing_is_said_has_no_statement_and_is_dark(tmp_path):
    edition = _folder(tmp_path, {"a.flac": ""})
    assert (made.rows(edition, "statement"), _is_open(edition, "a.flac")) == ([], False)
    assert edition.info.licences == {"unknown": 1}


def test_equal_statements_are_kept_once_and_licences_are_counted(tmp_path):
    files = {f"{n}.flac": "CC0-1.0" if n % 2 else "no such licence" for n in range(10)}
    edition = _folder(tmp_path, files)
    assert edition.info.licences == {"CC0-1.0": 5, "unknown": 5}
    assert len(made.rows(edition, "statement")) == 2
    (unknown,) = made.findings(edition, "licence-unknown")
    assert unknown["message"].startswith("tag of 5 tracks")


def test_file_that_is_no_audio_is_a_finding_and_no_track(tmp_path):
    layout = make_archive(tmp_path)
    said = [made.audio_file("a.flac", _sound()), made.audio_file("b.ogg", b"<html>not found</html>" * 9)]
    made.keep(layout, "shelf", said, kind="folder")
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"a.flac"}
    assert [row["subject"] for row in made.findings(edition, "file-not-audio")] == ["b.ogg"]

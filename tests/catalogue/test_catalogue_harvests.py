"""Several harvests of one source: what holds, what has vanished, what could not be said."""

import random
import shutil
from datetime import date, timedelta

import pytest

import evidence_maker as made
from support import make_archive
from tenuto.evidence import read_records


def _day(number):
    return made.DAY + timedelta(days=number)


def _albums(*names, **fields):
    """An album of one track for each name."""
    return [made.album(f"r{name}", [made.song(name, **fields)]) for name in names]


def _damage(folder, key):
    """Flip a byte inside the one record of a harvest (kept with files="each") that answers `key`."""
    for file in folder.glob("*.warc.gz"):
        if any(record.answer and record.answer.request.key == key for record in read_records(file)):
            content = bytearray(file.read_bytes())
            content[-20] ^= 0xFF
            file.write_bytes(content)
            return
    raise AssertionError(key)


def _live(layout):
    return set(made.tracks(made.edition_of(layout)))


def test_track_that_vanished_becomes_a_tombstone_with_its_days_and_is_counted_apart(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _albums("x", "y"), _day(0))
    made.keep(layout, "shop", _albums("x", "y"), _day(5))
    made.keep(layout, "shop", _albums("x"), _day(9))
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"x"}
    album, stone = made.rows(edition, "tombstone")
    assert stone.pop("evidence_id") == album.pop("evidence_id") > 0
    days = {
        "source": "shop",
        "reason": "missing",
        "successor_id": None,
        "first_seen_on": _day(0),
        "last_seen_on": _day(5),
    }
    assert stone == {**days, "kind": "track", "own_id": "y", "title": "Title of y"}
    assert album == {**days, "kind": "release", "own_id": "ry", "title": "Album ry"}
    assert (edition.info.sources["shop"].tracks, edition.info.sources["shop"].tombstones) == (1, 1)
    assert (edition.info.tables["track"].rows, edition.info.tables["tombstone"].rows) == (1, 2)


def test_track_that_came_back_is_live_again_and_has_no_tombstone(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _albums("x", "y"), _day(0))
    made.keep(layout, "shop", _albums("x"), _day(5))
    made.keep(layout, "shop", _albums("x", "y"), _day(9))
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"x", "y"}
    assert made.rows(edition, "tombstone") == []


def test_edition_of_a_track_that_vanished_twice_is_what_a_build_from_nothing_gives(tmp_path):
    layout = make_archive(tmp_path)
    for number, names in enumerate([("x", "y"), ("x",), ("x", "y"), ("x",)]):
        made.keep(layout, "shop", _albums(*names), _day(number * 5))
        step_by_step = made.edition_of(layout)
    kept = made.sha256s(step_by_step.folder)
    assert [stone["last_seen_on"] for stone in made.rows(step_by_step, "tombstone")] == [_day(10), _day(10)]
    shutil.rmtree(layout.catalogue)
    again = made.edition_of(layout)
    assert (again.info.edition, made.sha256s(again.folder)) == (step_by_step.info.edition, kept)


def test_tombstone_tells_what_was_seen_last_when_all_harvests_were_on_one_day(tmp_path):
    layout = make_archive(tmp_path)
    titles = []
    for order in (("Old", "New"), ("New", "Old")):
        for title in order:
            made.keep(layout, "shop", _albums("x") + _albums("y", title=title))
        made.keep(layout, "shop", _albums("x"))
        edition = made.edition_of(layout)
        titles.append(made.rows(edition, "tombstone")[-1]["title"])
        shutil.rmtree(layout.harvests("shop"))
    assert titles == ["New", "Old"]


def test_track_stays_live_when_its_request_failed_in_the_newest_harvest(tmp_path):
    layout = make_archive(tmp_path)
    x, y, z = _albums("x", "y", "z")
    made.keep(layout, "shop", [x, y, z], _day(0))
    made.keep(layout, "shop", [x, made.failed(y)], _day(5))
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"x", "y"}
    assert [row["own_id"] for row in made.rows(edition, "tombstone")] == ["rz", "z"]


def test_track_is_gone_when_the_newest_harvest_says_that_there_is_no_such_thing(tmp_path):
    layout = make_archive(tmp_path)
    x, y = _albums("x", "y")
    made.keep(layout, "shop", [x, y], _day(0))
    made.keep(layout, "shop", [x, made.missing(y)], _day(5))
    assert _live(layout) == {"x"}


def test_track_stays_gone_when_its_request_fails_after_the_source_said_that_it_is_gone(tmp_path):
    layout = make_archive(tmp_path)
    x, y = _albums("x", "y")
    made.keep(layout, "shop", [x, y], _day(0))
    made.keep(layout, "shop", [x, made.missing(y)], _day(5))
    made.keep(layout, "shop", [x, made.failed(y)], _day(9))
    assert _live(layout) == {"x"}


def test_track_stays_live_when_its_request_failed_in_several_harvests_one_after_the_other(tmp_path):
    layout = make_archive(tmp_path)
    x, y = _albums("x", "y")
    made.keep(layout, "shop", [x, y], _day(0))
    for number in (5, 9, 12):
        made.keep(layout, "shop", [x, made.failed(y)], _day(number))
    assert _live(layout) == {"x", "y"}


def test_newer_answer_holds_when_the_request_failed_later(tmp_path):
    layout = make_archive(tmp_path)
    old, new = (made.album("r", [made.song("x", title=title)]) for title in ("Old", "New"))
    made.keep(layout, "shop", [old], _day(0))
    made.keep(layout, "shop", [new], _day(5))
    made.keep(layout, "shop", [made.failed(new), *_albums("z")], _day(9))
    assert made.tracks(made.edition_of(layout))["x"]["title"] == "New"


def test_pages_that_a_broken_list_could_not_lead_to_are_not_taken_for_vanished(tmp_path):
    layout = make_archive(tmp_path)
    pages = [made.search([made.song(f"t{number}")], offset=number) for number in range(4)]
    made.keep(layout, "shop", [*pages, made.search([], offset=4)], _day(0))
    made.keep(layout, "shop", [pages[0], made.failed(pages[1])], _day(5))
    assert _live(layout) == {"t0", "t1", "t2", "t3"}


def test_pages_after_the_end_of_a_shorter_list_are_gone(tmp_path):
    layout = make_archive(tmp_path)
    pages = [made.search([made.song(f"t{number}")], offset=number) for number in range(4)]
    made.keep(layout, "shop", [*pages, made.search([], offset=4)], _day(0))
    made.keep(layout, "shop", [pages[0], pages[1], made.search([], offset=2)], _day(5))
    assert _live(layout) == {"t0", "t1"}


@pytest.mark.parametrize("how", ["flipped", "file missing", "cut off"])
def test_damaged_newest_harvest_buries_nothing(tmp_path, how):
    layout = make_archive(tmp_path)
    x, y = _albums("x", "y")
    made.keep(layout, "shop", [x, y], _day(0))
    folder = made.keep(layout, "shop", [x, y, *_albums("z")], _day(5), files="each")
    if how == "flipped":
        _damage(folder, y.key)
    else:
        last = sorted(folder.glob("*.warc.gz"))[1]
        last.unlink() if how == "file missing" else last.write_bytes(last.read_bytes()[:-30])
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"x", "y", "z"}
    assert made.rows(edition, "tombstone") == []
    found = made.findings(edition, "evidence-damaged")
    assert {finding["source"] for finding in found} == {"shop"}
    assert len(found) == (1 if how == "file missing" else 2)  # the file's digest, and what is wrong in it


def test_damaged_newest_harvest_raises_no_dead(tmp_path):
    layout = make_archive(tmp_path)
    x, y, z = _albums("x", "y", "z")
    made.keep(layout, "shop", [x, y, z], _day(0))
    made.keep(layout, "shop", [x, z], _day(5))
    folder = made.keep(layout, "shop", [x, z], _day(9), files="each")
    _damage(folder, z.key)
    assert _live(layout) == {"x", "z"}


def test_damaged_older_harvest_raises_no_dead(tmp_path):
    layout = make_archive(tmp_path)
    x, y, z = _albums("x", "y", "z")
    made.keep(layout, "shop", [x, y, z], _day(0))
    folder = made.keep(layout, "shop", [x, y, z], _day(5), files="each")
    _damage(folder, z.key)
    made.keep(layout, "shop", [x], _day(9))
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"x"}
    assert {row["own_id"] for row in made.rows(edition, "tombstone")} == {"y", "z", "ry", "rz"}


def test_damage_makes_an_edition_of_its_own_that_a_build_from_nothing_gives_again(tmp_path):
    layout = make_archive(tmp_path)
    x, y = _albums("x", "y")
    made.keep(layout, "shop", [x, y], _day(0))
    whole = made.edition_of(layout)
    folder = made.keep(layout, "shop", [x, y], _day(5), files="each")
    _damage(folder, y.key)
    damaged = made.edition_of(layout)
    sums = made.sha256s(damaged.folder)
    assert damaged.info.edition != whole.info.edition
    shutil.rmtree(layout.catalogue)
    assert made.sha256s(made.edition_of(layout).folder) == sums


def test_source_that_answered_nothing_stands_in_an_edition_of_its_own(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _albums("x"))
    alone = made.edition_of(layout)
    made.keep(layout, "mute", [])
    both = made.edition_of(layout)
    assert set(both.info.sources) == {"mute", "shop"}
    assert both.info.edition != alone.info.edition


def test_source_that_was_not_harvested_again_stays_as_it_was(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "east", _albums("e"), _day(0))
    made.keep(layout, "west", _albums("w", "v"), _day(0))
    made.keep(layout, "west", _albums("w"), _day(20))
    edition = made.edition_of(layout)
    assert set(made.tracks(edition)) == {"e", "w"}
    assert {name: (info.tracks, info.tombstones) for name, info in edition.info.sources.items()} == {
        "east": (1, 0), "west": (1, 1)}  # fmt: skip


def test_newest_harvest_gives_the_fields_and_what_it_no_longer_says_is_gone(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(
        layout, "shop", [made.album("r", [made.song("x", title="Old", isrc=["DEAB12345678"])], year=1999)], _day(0)
    )
    made.keep(layout, "shop", [made.album("r", [made.song("x", title="New", isrc=None)])], _day(5))
    edition = made.edition_of(layout)
    assert (made.tracks(edition)["x"]["title"], made.tracks(edition)["x"]["isrc"]) == ("New", None)
    (release,) = made.rows(edition, "release")
    assert (release["release_date"], release["release_date_precision"]) == (None, None)


def test_history_holds_each_count_with_the_day_on_which_it_was_first_seen(tmp_path):
    layout = make_archive(tmp_path)
    for number, count in ((0, 10), (5, 10), (9, 25)):
        made.keep(layout, "shop", _albums("x", playCount=count), _day(number))
    edition = made.edition_of(layout)
    history = [(row["seen_on"], row["listens_count"], row["listens_scope"]) for row in made.rows(edition, "history")]
    assert history == [(_day(0), 10, "user"), (_day(9), 25, "user")]


def _history(edition):
    """Counts of tracks with their days, by id."""
    names = {row["track_row"]: own for own, row in made.tracks(edition).items()}
    told = {own: [] for own in names.values()}
    for row in made.rows(edition, "history"):
        if row["listens_count"] is not None:
            told[names[row["track_row"]]].append((row["seen_on"], row["listens_count"]))
    return told


def test_history_tells_of_a_count_that_came_back(tmp_path):
    layout = make_archive(tmp_path)
    for number, count in enumerate((10, 25, 10, 10, 25)):
        made.keep(layout, "shop", _albums("x", playCount=count), _day(number))
    assert _history(made.edition_of(layout)) == {"x": [(_day(0), 10), (_day(1), 25), (_day(2), 10), (_day(4), 25)]}


def test_history_of_one_day_is_what_was_seen_last(tmp_path):
    layout = make_archive(tmp_path)
    for count in (10, 25, 10, 5):
        made.keep(layout, "shop", _albums("x", playCount=count))
    assert _history(made.edition_of(layout)) == {"x": [(made.DAY, 5)]}


@pytest.mark.long
def test_history_of_pages_that_contradict_each_other_is_that_of_the_track_table(tmp_path):
    """Against the editions that were built after each harvest, whatever came, went, came back or could not be asked."""
    layout, rng = make_archive(tmp_path), random.Random(5)
    expected = {}
    for number in range(5):
        said = []
        for name in (f"t{n}" for n in range(30)):
            for release in (f"r{name}", f"s{name}"):
                song = made.song(name, playCount=rng.choice((None, 1, 2)), genre=rng.choice((None, "Choral")))
                one = made.album(release, [song])
                said += rng.choice(([], [one], [one], [made.failed(one)]))
        made.keep(layout, "shop", [*said, *_albums("always")], _day(number))
        edition = made.edition_of(layout)
        for own, row in made.tracks(edition).items():
            told = expected.setdefault(own, [])
            if row["listens_count"] not in {None, told[-1][1] if told else None}:
                told.append((_day(number), row["listens_count"]))
        found = _history(edition)
        assert found == {own: told for own, told in expected.items() if own in found}
    assert max(map(len, found.values())) >= 3


def test_history_does_not_repeat_a_count_that_another_change_of_the_page_brought_again(tmp_path):
    layout = make_archive(tmp_path)
    for number, title in ((0, "One"), (5, "Two"), (9, "Three")):
        made.keep(layout, "shop", _albums("x", playCount=10, title=title), _day(number))
    assert [row["seen_on"] for row in made.rows(made.edition_of(layout), "history")] == [_day(0)]


def test_count_of_listens_is_dated_by_the_day_on_which_this_count_was_seen(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _albums("x", playCount=10), _day(0))
    made.keep(layout, "shop", _albums("x", playCount=25), _day(9))
    track = made.tracks(made.edition_of(layout))["x"]
    assert (track["listens_count"], track["listens_on"]) == (25, _day(9))


def test_list_of_listens_of_an_older_harvest_is_history_only(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [*_albums("x"), made.listens([("x", 100, "2026-01")])], _day(0))
    made.keep(layout, "shop", [*_albums("x"), made.listens([("x", 70, "2026-02")])], _day(5))
    edition = made.edition_of(layout)
    track = made.tracks(edition)["x"]
    assert (track["listens_count"], track["listens_on"], track["listens_scope"]) == (70, date(2026, 2, 1), "service")
    assert [(row["seen_on"], row["listens_count"]) for row in made.rows(edition, "history")] == [
        (date(2026, 1, 1), 100), (date(2026, 2, 1), 70)]  # fmt: skip

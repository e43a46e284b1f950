"""`catalogue build` is a pure function of the evidence: same evidence, same bytes; an edition, once written, stays."""

import shutil
from datetime import date, timedelta

import pytest

import evidence_maker as made
from support import make_archive, tenuto
from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.catalogue.edition import open_edition
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES

LATER = made.DAY + timedelta(days=30)


def _service(songs_count=12):
    """A little service that fills every table but those of corrections and tombstones."""
    songs = [
        made.song(f"t{n:02}", playCount=n * 3, isrc=["DEAB12345678"], genres=[{"name": "Fugue"}], path=f"bach/{n:02}.mp3",
                  artists=[{"id": "a2", "name": "Clara"}, {"id": "a1", "name": "Johann"}], explicitStatus="clean")
        for n in range(songs_count)
    ]  # fmt: skip
    return [
        made.permission(
            'licence = "CC-BY-SA-4.0"', 'track = "t03"\nmay_keep = false', 'track = "no such"\nmay_keep = true'
        ),
        made.listens([("t01", 900, "2026-02"), ("t02", 5, "2026-02-01"), ("gone", 7, "2026-02-01")]),
        made.artists(a1="Johann", a2="Clara", a3="Nobody\0 heard"),
        made.album("r1", songs[:5], year=1723, artistId="a1", artist="Johann"),
        made.album("r2", songs[5:], releaseDate={"year": 1802, "month": 5}, artistId="a2", artist="Clara"),
        made.search([{**one, "albumId": "r1" if number < 5 else "r2"} for number, one in enumerate(songs)]),
        made.frequent("r2", "r1"),
    ]


def _stat(folder):
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_build_gives_equal_bytes_when_run_twice_in_two_archives(tmp_path):
    sums = []
    for name in ("one", "two"):
        layout = make_archive(tmp_path / name)
        made.keep(layout, "shop", _service())
        edition = made.edition_of(layout)
        sums.append((edition.info.edition, made.sha256s(edition.folder)))
    assert sums[0] == sums[1]
    assert set(sums[0][1]) == {*(f"{table}.parquet" for table in TABLES), "edition.json"}


def test_build_gives_equal_bytes_whatever_the_hash_seed_of_the_process_is(tmp_path):
    sums = []
    for seed in ("1", "2", "77"):
        layout = make_archive(tmp_path / seed)
        made.keep(layout, "shop", _service())
        tenuto("catalogue", "build", "--archive", layout.root, env={"PYTHONHASHSEED": seed})
        sums.append(made.sha256s(open_current(layout).folder))
    assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("seed", range(4))
def test_build_gives_equal_bytes_when_answers_come_in_another_order_and_lie_in_many_files(tmp_path, seed):
    plain, other = make_archive(tmp_path / "plain"), make_archive(tmp_path / "other")
    made.keep(plain, "shop", _service())
    made.keep(other, "shop", _service(), files="each", shuffled_by=seed)
    one, two = made.edition_of(plain), made.edition_of(other)
    assert len(list(other.harvests("shop").glob("*/*.warc.gz"))) > len(_service())
    assert made.sha256s(one.folder) == made.sha256s(two.folder)


def test_build_gives_the_same_bytes_again_when_catalogue_and_state_were_deleted(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    made.keep(layout, "shop", _service(9), LATER)
    before = made.edition_of(layout)
    sums = made.sha256s(before.folder)
    layout.state.mkdir(exist_ok=True)
    shutil.rmtree(layout.catalogue)
    shutil.rmtree(layout.state)
    after = made.built(layout)
    assert after.is_new
    assert after.edition.info.edition == before.info.edition
    assert made.sha256s(after.edition.folder) == sums


@pytest.mark.parametrize("days", [0, 1, 400])
def test_build_gives_the_same_edition_and_rewrites_nothing_when_the_second_harvest_is_unchanged(tmp_path, days):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    first = made.edition_of(layout)
    stat = _stat(first.folder)
    made.keep(layout, "shop", _service(), made.DAY + timedelta(days=days), shuffled_by=5, files="each")
    second = made.built(layout)
    assert not second.is_new
    assert second.edition.info.edition == first.info.edition
    assert _stat(first.folder) == stat
    shutil.rmtree(layout.catalogue)
    sums = made.sha256s(made.edition_of(layout).folder)
    shutil.rmtree(layout.harvests("shop"))
    shutil.rmtree(layout.catalogue)
    made.keep(layout, "shop", _service())
    assert made.sha256s(made.edition_of(layout).folder) == sums


def test_build_makes_a_second_edition_and_leaves_the_first_when_the_second_harvest_differs(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    first = made.edition_of(layout)
    stat, sums = _stat(first.folder), made.sha256s(first.folder)
    made.keep(layout, "shop", _service(13), LATER)
    second = made.built(layout)
    assert second.is_new
    assert second.edition.info.edition != first.info.edition
    assert (second.edition.info.tables["track"].rows, first.info.tables["track"].rows) == (13, 12)
    assert (_stat(first.folder), made.sha256s(first.folder)) == (stat, sums)
    assert read_pointer(layout.catalogue / "current") == second.edition.info.edition


def test_edition_is_dated_by_the_newest_day_on_which_something_new_was_seen(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service(), date(2026, 3, 1))
    made.keep(layout, "shop", _service(), date(2026, 3, 9))
    assert made.edition_of(layout).info.newest_evidence == date(2026, 3, 1)
    made.keep(layout, "shop", [*_service(), made.album("r3", [made.song("new")])], date(2026, 3, 20))
    made.keep(layout, "shop", [*_service(), made.album("r3", [made.song("new")])], date(2026, 4, 1))
    edition = made.edition_of(layout)
    assert edition.info.newest_evidence == date(2026, 3, 20)
    assert edition.info.edition.startswith("2026-03-20-")
    assert edition.folder.name == edition.info.edition


def test_build_reads_no_harvest_that_is_not_finished(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    first = made.edition_of(layout)
    made.keep(layout, "shop", _service(40), LATER, is_finished=False)
    made.keep(layout, "other", _service(3), LATER, is_finished=False)
    assert made.edition_of(layout).info == first.info


def test_build_says_what_to_run_where_there_is_no_finished_harvest(tmp_path):
    layout = make_archive(tmp_path)
    with pytest.raises(UsageError, match="tenuto harvest"):
        made.built(layout)
    made.keep(layout, "shop", _service(), is_finished=False)
    with pytest.raises(UsageError, match="tenuto harvest"):
        made.built(layout)
    assert not list(layout.catalogue.glob("*")) if layout.catalogue.exists() else True


def test_build_makes_an_empty_edition_of_a_source_that_has_nothing(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([])])
    edition = made.edition_of(layout)
    assert {name: info.rows for name, info in edition.info.tables.items()} == dict.fromkeys(TABLES, 0)


def test_build_keeps_two_sources_apart_that_use_the_same_ids(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "east", [made.album("r1", [made.song("t1", title="Dawn", artistId="a", artist="Sun")])])
    made.keep(layout, "west", [made.album("r1", [made.song("t1", title="Dusk", artistId="a", artist="Moon")])])
    edition = made.edition_of(layout)
    named = {row["artist_row"]: (row["source"], row["name"]) for row in made.rows(edition, "artist")}
    credited = {row["track_row"]: named[row["artist_row"]] for row in made.rows(edition, "credit")}
    shown = {(row["source"], row["title"], row["release_row"], credited[row["track_row"]])
             for row in made.rows(edition, "track")}  # fmt: skip
    assert shown == {("east", "Dawn", 0, ("east", "Sun")), ("west", "Dusk", 1, ("west", "Moon"))}
    assert {name: info.tracks for name, info in edition.info.sources.items()} == {"east": 1, "west": 1}


def test_build_removes_what_an_interrupted_build_left(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    name = made.edition_of(layout).info.edition
    shutil.rmtree(layout.catalogue)
    half = layout.catalogue / f"{LEFTOVER_PREFIX}{name}"
    half.mkdir(parents=True)
    (half / "track.parquet").write_bytes(b"half")
    made.edition_of(layout)
    assert sorted(path.name for path in layout.catalogue.iterdir()) == sorted([name, "current"])


def test_open_edition_refuses_a_format_that_it_does_not_know(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _service())
    edition = made.edition_of(layout)
    file = edition.folder / "edition.json"
    file.write_text(file.read_text().replace("tenuto-edition-1", "tenuto-edition-9"))
    with pytest.raises(IntegrityError, match="tenuto-edition-9"):
        open_edition(edition.folder)
    file.write_text("{")
    with pytest.raises(IntegrityError, match="cannot be read"):
        open_edition(edition.folder)


def test_open_current_says_what_to_run_where_no_edition_was_built(tmp_path):
    with pytest.raises(UsageError, match="tenuto catalogue build"):
        open_current(make_archive(tmp_path))

"""`tenuto status`: each live track has one status, whatever is missing, and it says what to do next."""

import shutil

import pytest

from published_maker import ALONE, CLOSED, OPEN, a_shelf
from tenuto.catalogue import open_current
from tenuto.crates.held import planned_for
from tenuto.crates.holdings import count_of, crate_files, survey
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.status import track_statuses
from tenuto.selection.plan import load_newest


@pytest.fixture
def shelf(tmp_path):
    return a_shelf(tmp_path)


def _rows(shelf):
    table = track_statuses(shelf.layout, shelf.settings, open_current(shelf.layout), load_newest(shelf.layout))
    return {row["track_id"]: row for row in table.to_pylist()}


def test_every_track_has_one_status_and_an_open_crate_goes_before_a_dark_one(shelf):
    rows = _rows(shelf)
    assert {track: rows[track]["status"] for track in (*OPEN, *CLOSED)} == dict.fromkeys(OPEN, "kept") | dict.fromkeys(
        CLOSED, "dark"
    )
    shelf.withdraw(OPEN[0])
    rows = _rows(shelf)
    assert (rows[OPEN[0]]["status"], rows[OPEN[0]]["reason"]) == ("withdrawn", "rightsholder")
    assert len(rows) == 11


def test_next_is_publish_until_everything_is_published_and_again_after_each_change(shelf):
    def next_():
        return shelf.json("status")["next"]

    assert next_() == "tenuto publish"
    shelf("publish")
    assert next_().startswith("tenuto harvest")
    shutil.rmtree(shelf.publication)
    shelf.withdraw(ALONE)
    assert next_() == "tenuto publish"
    shelf("publish")
    assert next_().startswith("tenuto harvest")
    shelf.withdraw(CLOSED[0])
    assert next_().startswith("tenuto harvest")
    shelf.permit("[harvest]\nrate_per_s = 3")
    shelf("plan")
    shelf("keep", code=None)
    shelf("publish")
    assert next_().startswith("tenuto harvest"), "the metadata of the older edition stays in the archive alone"


def test_archive_with_dark_crates_alone_is_to_be_published_too(shelf):
    for path in crate_files(shelf.layout):
        if path.parent == shelf.layout.crates:
            path.unlink()
            torrent_beside(path).unlink()
    plan = load_newest(shelf.layout)
    tracks = track_statuses(shelf.layout, shelf.settings, open_current(shelf.layout), plan)
    assert tracks["status"].to_pylist().count("dark") == 2


@pytest.mark.parametrize("is_state_lost", [False, True])
def test_dark_crates_are_counted_without_the_identity(shelf, is_state_lost):
    before = _rows(shelf)
    (path,) = shelf.layout.dark.glob("*.zip")
    (shelf.keys / "identity.age").unlink()
    shutil.rmtree(shelf.layout.state if is_state_lost else shelf.layout.holdings)
    assert survey(shelf.layout, shelf.settings).unread == [path]
    assert sorted(planned_for(shelf.layout, path)) == [("shelf", track) for track in CLOSED]
    assert count_of(CrateFile(path)) == 2
    rows = _rows(shelf)
    assert {track: row["status"] for track, row in rows.items()} == {
        track: row["status"] for track, row in before.items()
    }
    assert rows[CLOSED[0]]["sha256"] is None
    assert (
        shelf.json("status")["recordings"] == len({row["sha256"] for row in before.values()}) + 2
    )  # two of it in older crates
    shutil.rmtree(shelf.layout.plans)
    assert planned_for(shelf.layout, path) == []
    assert shelf.json("status")["crates_unread"] == [path.stem]


def test_status_reads_where_it_may_not_write(shelf):
    shutil.rmtree(shelf.layout.holdings)
    shelf.layout.holdings.write_text("no folder")
    assert sum(shelf.json("status")["statuses"].values()) == 11


def test_damaged_crate_is_named_and_the_rest_is_counted(shelf):
    (path,) = shelf.crates_with(ALONE)
    path.write_bytes(b"PK")
    found = shelf.json("status")
    assert (found["crates_damaged"], found["next"]) == ([path.stem], "tenuto check")
    assert sum(found["statuses"].values()) == found["tracks"] == 11
    assert path.stem in shelf("status")[0]

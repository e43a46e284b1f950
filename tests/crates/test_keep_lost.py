"""Keeping where `state/` is lost, and where dark crates cannot be read: failures stay failures, nothing is fetched twice."""

import shutil

import pytest

from harvesting import verb
from keep_maker import GRANT, crates, failures, keep, rows, set_in, shelf, statuses
from published_maker import CLOSED, a_shelf
from support import tenuto_json
from tenuto.archive import load_settings
from tenuto.catalogue import open_current
from tenuto.crates.holdings import crate_files
from tenuto.crates.status import track_statuses
from tenuto.selection.plan import load_newest

pytestmark = pytest.mark.long  # processes, and waiting for them


def broken(layout, name="0/0.flac"):
    """Halve a file; what it was."""
    file = layout.root.parent / "music" / name
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    return file, content


@pytest.mark.parametrize("permission", [GRANT, None])
def test_failures_stay_failures_without_state_and_are_tried_again(tmp_path, permission):
    layout = shelf(tmp_path, permission=permission)
    file, content = broken(layout)
    keep(layout, code=9)
    before, held = statuses(layout), crates(layout)
    assert before["failed"] == 1
    shutil.rmtree(layout.state)
    assert statuses(layout) == before
    assert _status_of(layout, "0/0.flac") == ("failed", "recording-unavailable")
    shutil.rmtree(layout.state, ignore_errors=True)
    done = tenuto_json("keep", "--archive", layout.root, code=9)
    assert (done["crates"], done["failed"]) == ([], {"recording-unavailable": 1})
    assert statuses(layout) == before
    shutil.rmtree(layout.state)
    file.write_bytes(content)
    keep(layout, "--retry-failed")
    assert statuses(layout).get("failed", 0) == 0
    assert len(rows(layout)) == 5
    assert held.items() < crates(layout).items()
    shutil.rmtree(layout.state)
    assert tenuto_json("keep", "--retry-failed", "--archive", layout.root)["crates"] == []
    assert statuses(layout).get("failed", 0) == 0


def test_retry_that_fails_without_state_and_loses_it_again_makes_a_supplement_of_its_own_in_the_end(tmp_path):
    layout = shelf(tmp_path)
    first, second = broken(layout), broken(layout, "1/1.ogg")
    keep(layout, code=9)
    for file, content in (first, second):
        shutil.rmtree(layout.state)
        keep(layout, "--retry-failed", code=9)
        shutil.rmtree(layout.state)
        file.write_bytes(content)
        keep(layout, "--retry-failed", code=9 if file == first[0] else 0)
    assert statuses(layout) == {"kept": 5}
    numbers = [path.stem.rsplit("-", 2)[1] for path in crate_files(layout)]
    assert len(set(numbers)) == len(numbers) == 3


def test_recording_that_another_crate_held_is_failed_once_that_crate_is_lost(tmp_path):
    layout = shelf(tmp_path)
    file, content = broken(layout)
    keep(layout, code=9)
    (first,) = crate_files(layout)
    file.write_bytes(content)
    set_in(layout, selection={"value_cap_s": 900})
    assert verb(layout, "plan") == 0
    keep(layout)
    assert statuses(layout) == {"kept": 5}
    first.unlink()
    first.with_suffix(".torrent").unlink()
    assert statuses(layout) == {"kept": 1, "failed": 4}
    keep(layout, "--retry-failed")
    assert statuses(layout) == {"kept": 5}


def test_withdrawn_recordings_are_no_failures_without_state(tmp_path):
    shelf_ = a_shelf(tmp_path)
    shelf_.withdraw(CLOSED[0], "--destroy")
    before = statuses(shelf_.layout)
    shutil.rmtree(shelf_.layout.state)
    assert statuses(shelf_.layout) == before
    assert shelf_.json("keep", "--retry-failed")["crates"] == []
    assert failures(shelf_.layout) == {}


def test_dark_crates_that_cannot_be_read_stop_nothing_and_are_not_fetched_again(tmp_path):
    one = a_shelf(tmp_path)
    shutil.rmtree(one.layout.state)
    (one.keys / "identity.age").unlink()
    before = crates(one.layout)
    for words in ([], ["--retry-failed"]):
        said = one("keep", *words)[1]
        assert "1 dark crate cannot be read here without the identity" in said
        assert crates(one.layout) == before
    one.permit("[harvest]\nrate_per_s = 3")
    one("plan")
    shutil.rmtree(one.layout.state)
    one("keep")
    assert {path.name for path in one.layout.dark.iterdir()} <= before.keys()
    assert statuses(one.layout)["dark"] == 2


def _status_of(layout, track_id):
    table = track_statuses(layout, load_settings(layout.settings), open_current(layout), load_newest(layout))
    (row,) = (row for row in table.to_pylist() if row["track_id"] == track_id)
    return row["status"], row["reason"]


def test_crate_that_lost_its_torrent_and_has_rotted_gets_none(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    path = next(layout.crates.glob("*.zip"))
    path.with_suffix(".torrent").unlink()
    content = bytearray(path.read_bytes())
    content[20_000] ^= 1
    path.write_bytes(content)
    keep(layout, code=7)
    assert not path.with_suffix(".torrent").exists()
    content[20_000] ^= 1
    path.write_bytes(content)
    keep(layout)
    assert path.with_suffix(".torrent").exists()

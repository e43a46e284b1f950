"""A new plan takes over what was fetched for an older one and not sealed."""

import shutil

import pytest

from keep_maker import GRANT, Shop, bands, contents, keep, kept, put, replan, rows, set_in, shelf, store
from support import tenuto, tenuto_json
from tenuto.crates.journal import DraftFolder
from tenuto.crates.keep import Kept, fault_of

pytestmark = pytest.mark.long  # processes, and waiting for them


def stopped(layout):
    """Fetch all of it and seal nothing."""
    for folder in (layout.crates, layout.dark):
        folder.rmdir() if folder.exists() else None
        folder.touch()
    keep(layout, code=1)
    for folder in (layout.crates, layout.dark):
        folder.unlink()


@pytest.mark.parametrize("permission", [GRANT, None])
def test_recordings_fetched_for_an_older_plan_go_over_into_the_new_one(tmp_path, permission):
    layout = shelf(tmp_path, permission=permission)
    stopped(layout)
    put(tmp_path / "music/0/new.flac", 77, title="Neu")
    replan(layout)
    whole = contents(tmp_path / "music")
    for name in whole:
        (tmp_path / "music" / name).unlink() if name != "0/new.flac" else None
    done = tenuto("keep", "--archive", layout.root)
    assert "5 recordings fetched for an earlier plan" in done.stderr
    assert "5 recordings had been fetched for an earlier plan" in done.stdout
    assert {one.row["track_id"] for one in rows(layout)} == set(whole)
    assert list(layout.drafts.iterdir()) == []
    if permission:
        assert kept(layout) == whole


def test_file_that_changed_since_is_not_taken_over(tmp_path):
    layout = shelf(tmp_path)
    stopped(layout)
    put(tmp_path / "music/0/0.flac", 78, title="Anders")
    replan(layout)
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["carried"], done["recordings"]) == (4, 5)
    assert kept(layout) == contents(tmp_path / "music")


def test_other_tier_and_other_access_are_not_taken_over(tmp_path):
    put(tmp_path / "music/a.flac", 1, 6.0, title="A")
    layout = shelf(tmp_path)
    stopped(layout)
    set_in(layout, **bands("opus-32"))
    replan(layout)
    assert tenuto_json("keep", "--archive", layout.root)["carried"] == 0
    (one,) = rows(layout)
    assert one.row["tier"] == "opus-32"


def test_open_recordings_fetched_before_their_permission_ended_go_into_no_dark_crate_in_clear(tmp_path):
    layout = shelf(tmp_path)
    stopped(layout)
    (tmp_path / "permission.toml").write_text(GRANT.replace("may_give_out = true", "may_give_out = false"))
    replan(layout)
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["carried"], done["recordings"]) == (0, 5)
    assert all(one.content.startswith(b"age-encryption.org/v1") for one in rows(layout))


def test_service_is_asked_for_the_new_song_alone_though_its_evidence_is_new(tmp_path):
    with Shop() as server:
        layout = store(tmp_path, server)
        stopped(layout)
        server.manner.song = {"playCount": 7}
        replan(layout)
        server.forget()
        keep(layout)
        assert server.downloads() == []
        assert kept(layout) == server.sounds


def test_move_that_was_killed_before_it_was_noted_is_finished(tmp_path, monkeypatch):
    layout = shelf(tmp_path)
    stopped(layout)
    set_in(layout, selection={"value_cap_s": 900})
    replan(layout)
    whole = contents(tmp_path / "music")
    with monkeypatch.context() as patched:
        patched.setattr(DraftFolder, "note", _die)
        keep(layout, code=1)
    shutil.rmtree(tmp_path / "music")
    (tmp_path / "music").mkdir()
    assert tenuto_json("keep", "--archive", layout.root)["carried"] == 5
    assert kept(layout) == whole


def test_recording_that_a_crate_holds_meanwhile_is_not_taken_over(tmp_path):
    layout = shelf(tmp_path)
    stopped(layout)
    (draft,) = layout.drafts.iterdir()
    shutil.copytree(draft, tmp_path / "copy")
    keep(layout)
    shutil.move(tmp_path / "copy", layout.drafts / "testing-99-all-0001-00000000")
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["carried"], done["crates"]) == (0, [])
    assert list(layout.drafts.iterdir()) == []


def _die(*_):
    raise SystemError


@pytest.mark.parametrize(
    ("codes", "code"), [([], 0), ([5], 5), ([5, 1], 1), ([5, 7], 7), ([3, 5, 1], 1), ([3, 5], 3), ([42], 1)]
)
def test_bug_is_not_hidden_by_the_fault_of_a_source(codes, code):
    assert fault_of(Kept(errors=[("crate", "said", one) for one in codes])) == code
    assert fault_of(Kept(errors=[("crate", "said", one) for one in codes], failed={"recording-gone": 1})) == (code or 9)

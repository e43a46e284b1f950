"""Keeping what a folder holds: the originals' own bytes, once."""

import hashlib
import shutil

import pytest

from keep_maker import (
    GRANT,
    NAME,
    Shop,
    bands,
    contents,
    crates,
    failures,
    keep,
    kept,
    leftovers,
    music,
    outcomes,
    put,
    replan,
    rows,
    set_in,
    shelf,
    sound,
    statuses,
    store,
    table_of,
)
from support import tenuto, tenuto_json
from tenuto.archive import load_settings
from tenuto.crates import supplement
from tenuto.crates.holdings import crate_files

pytestmark = pytest.mark.long  # processes, and waiting for them


def test_kept_recordings_have_the_bytes_of_the_originals(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    assert kept(layout) == contents(tmp_path / "music")
    assert statuses(layout) == {"kept": 5}
    assert leftovers(layout) == []
    assert list(layout.drafts.iterdir()) == []
    for one in rows(layout):
        assert hashlib.sha256(one.content).hexdigest() == one.row["sha256"]
        assert one.row["tier"] == "original"


def test_second_keep_does_nothing(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    before = crates(layout)
    shutil.rmtree(tmp_path / "music")  # whoever asks for it now fails
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["crates"], done["held"], done["failed"]) == ([], 0, {})
    assert crates(layout) == before


def test_new_plan_over_the_same_edition_holds_everything_already(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    before = crates(layout)
    set_in(layout, selection={"value_cap_s": 900})
    assert tenuto_json("plan", "--archive", layout.root)["drafts"] == 1
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["crates"], done["held"]) == ([], 5)
    assert crates(layout) == before
    assert list(layout.drafts.iterdir()) == []


def test_new_harvest_with_one_more_file_keeps_that_file_alone(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    before = crates(layout)
    put(tmp_path / "music/0/new.flac", 77, title="Neu", album="Platte 0")
    replan(layout)
    done = tenuto_json("keep", "--archive", layout.root)
    assert (len(done["crates"]), done["recordings"], done["held"]) == (1, 1, 5)
    assert before.items() <= crates(layout).items()
    assert kept(layout) == contents(tmp_path / "music")


def test_file_that_changed_is_fetched_anew_after_the_next_harvest(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    put(tmp_path / "music/0/0.flac", 78, title="Anders", album="Platte 0")
    replan(layout)
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["recordings"], done["held"]) == (1, 4)
    held = {one.row["sha256"] for one in rows(layout)}
    assert hashlib.sha256((tmp_path / "music/0/0.flac").read_bytes()).hexdigest() in held


def test_file_that_changed_since_the_draft_was_stopped_is_fetched_anew(tmp_path):
    layout = shelf(tmp_path)
    blocker = _stop_before_sealing(layout)
    assert len([one for one in outcomes(layout).values() if one.is_kept]) == 5
    put(tmp_path / "music/0/0.flac", 79, title="Anders", album="Platte 0")
    blocker()
    keep(layout)
    assert kept(layout) == contents(tmp_path / "music")


def test_nothing_is_read_again_that_a_stopped_draft_has(tmp_path):
    layout = shelf(tmp_path)
    blocker = _stop_before_sealing(layout)
    wanted = contents(tmp_path / "music")
    shutil.rmtree(tmp_path / "music")
    (tmp_path / "music").mkdir()  # a folder must be there to be opened; nothing can be fetched from it
    blocker()
    keep(layout)
    assert kept(layout) == wanted


def _stop_before_sealing(layout):
    """Keep until all is fetched and the crate cannot be written; returns what lets it be."""
    place = layout.dark if table_of(layout, "drafts")[0]["access"] == "dark" else layout.crates
    if place.exists():
        place.rmdir()
    place.touch()  # no folder: no crate can be written
    keep(layout, code=1)
    return place.unlink


def test_two_drafts_with_two_workers_and_one_worker_give_the_same_crates(tmp_path):
    music(tmp_path / "music", 6)
    made = []
    for name, count in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        layout = shelf(tmp_path / name, tmp_path / "music", settings={"crates": {"recordings_max": 3}})
        keep(layout, "--workers", count)
        assert len(crate_files(layout)) == 2
        made.append(crates(layout))
    assert made[0] == made[1]


def test_same_bytes_twice_make_one_file_and_two_rows(tmp_path):
    put(tmp_path / "music/a/1.flac", 1, title="Eins", artist="A", album="B")
    shutil.copy(tmp_path / "music/a/1.flac", tmp_path / "music/a/2.flac")
    layout = shelf(tmp_path)
    keep(layout)
    found = rows(layout)
    assert {one.row["track_id"] for one in found} == {"a/1.flac", "a/2.flac"}
    assert len({one.row["path"] for one in found}) == 1


def test_same_bytes_twice_in_a_dark_crate_name_the_age_file_that_is_there(tmp_path):
    put(tmp_path / "music/a/1.flac", 1, title="Eins", artist="A", album="B")
    shutil.copy(tmp_path / "music/a/1.flac", tmp_path / "music/a/2.flac")
    layout = shelf(tmp_path, permission=None)
    keep(layout)
    found = rows(layout)
    assert len(found) == 2
    for one in found:
        assert hashlib.sha256(one.content).hexdigest() == one.row["sealed_sha256"]
        assert len(one.content) == one.row["sealed_bytes"]


def test_opus_tier_derives_from_the_original_and_gives_the_same_crate_twice(tmp_path):
    put(tmp_path / "music/1.flac", 1, 6.0, title="Eins", artist="A", album="B")
    original = (tmp_path / "music/1.flac").read_bytes()
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        layout = shelf(tmp_path / name, tmp_path / "music", settings=bands("opus-32"))
        keep(layout)
        (one,) = rows(layout)
        assert (one.row["tier"], one.row["codec"], one.row["is_lossy_to_lossy"]) == ("opus-32", "opus", False)
        assert one.row["derived_from"] == hashlib.sha256(original).hexdigest()
        assert one.row["path"].endswith(".opus")
        assert one.content[:4] == b"OggS"
        assert b"made into opus from an original" in crate_files(layout)[0].read_bytes()
        made.append(crates(layout))
    assert made[0] == made[1]


def test_what_a_source_calls_lossless_and_is_not_stays_as_it_is(tmp_path):
    with Shop(1, 1) as server:
        (song,) = server.songs.values()
        server.sounds[song["id"]] = lossy = sound(1, 30.0, "mp3")
        song |= {"suffix": "flac", "contentType": "audio/flac", "size": len(lossy) * 5, "duration": 30, "bitRate": 900}
        layout = store(tmp_path, server, settings=bands("opus-32"))
        assert [row["tier"] for row in table_of(layout, "tracks")] == ["opus-32"]
        keep(layout)
    (one,) = rows(layout)
    assert one.content == lossy
    assert (one.row["tier"], one.row["derived_from"]) == ("original", None)


def test_damaged_files_fail_with_a_code_and_the_rest_goes_on(tmp_path):
    music(tmp_path / "music", 4)
    whole = contents(tmp_path / "music")
    layout = shelf(tmp_path, prepare=False)
    file = tmp_path / "music/0/0.flac"
    content = file.read_bytes()
    replan(layout)
    file.write_bytes(content[: len(content) // 2])
    done = tenuto_json("keep", "--archive", layout.root, code=9)
    assert done["failed"] == {"recording-damaged": 1}
    assert "Lied 0" in done["failures"][0]
    assert statuses(layout) == {"kept": 3, "failed": 1}
    again = tenuto_json("keep", "--archive", layout.root, code=9)
    assert (again["crates"], again["failed"]) == ([], {"recording-damaged": 1})
    before = crates(layout)
    file.write_bytes(content)
    (crate,) = {name.removesuffix(".zip") for name in before if name.endswith(".zip")}
    mended = tenuto_json("keep", "--retry-failed", "--archive", layout.root)
    (supplement,) = mended["crates"]
    assert supplement.rsplit("-", 2)[1] == f"{int(crate.rsplit('-', 2)[1]) + 1:04d}"
    assert mended["failed"] == {}
    assert before.items() <= crates(layout).items()
    assert kept(layout) == whole
    assert statuses(layout) == {"kept": 4}
    assert tenuto_json("keep", "--retry-failed", "--archive", layout.root)["crates"] == []


def test_text_renamed_to_mp3_and_a_file_that_is_gone_each_fail_with_their_code(tmp_path):
    layout = shelf(tmp_path)
    (tmp_path / "music/0/2.mp3").write_text("this is no music at all\n" * 500)
    (tmp_path / "music/1/1.ogg").unlink()
    (tmp_path / "music/0/0.flac").write_bytes(b"")
    keep(layout, code=9)
    found = {key.code: key.reason for key in outcomes(layout).values() if key.code}
    assert set(found) == {"recording-damaged", "recording-gone"}
    assert statuses(layout) == {"kept": 2, "failed": 3}


def test_draft_of_which_all_failed_makes_no_crate_and_is_tried_again_only_on_demand(tmp_path):
    put(tmp_path / "music/a.flac", 1, title="A")
    whole = contents(tmp_path / "music")
    layout = shelf(tmp_path)
    (tmp_path / "music/a.flac").write_bytes(b"fLaC no more")
    keep(layout, code=9)
    assert crate_files(layout) == []
    assert failures(layout).keys() == {"recording-damaged"}
    (tmp_path / "music/a.flac").write_bytes(whole["a.flac"])
    keep(layout, code=9)
    assert crate_files(layout) == []
    keep(layout, "--retry-failed")
    assert kept(layout) == whole
    assert len(crate_files(layout)) == 1
    assert not list(layout.journals.glob("*.supplements.json"))


def test_retry_of_what_still_fails_counts_it_once_and_makes_nothing(tmp_path):
    layout = shelf(tmp_path)
    file = tmp_path / "music/0/0.flac"
    content = file.read_bytes()
    file.write_bytes(content[:2000])
    keep(layout, code=9)
    before = crates(layout)
    for _ in range(3):
        done = tenuto_json("keep", "--retry-failed", "--archive", layout.root, code=9)
        assert (done["crates"], done["failed"]) == ([], {"recording-damaged": 1})
    assert crates(layout) == before
    file.write_bytes(content)
    keep(layout, "--retry-failed")
    assert kept(layout) == contents(tmp_path / "music")


def test_supplements_that_a_killed_run_left_half_made_are_finished(tmp_path, monkeypatch):
    layout = shelf(tmp_path)
    file = tmp_path / "music/0/0.flac"
    content = file.read_bytes()
    file.write_bytes(content[:2000])
    keep(layout, code=9)
    file.write_bytes(content)
    with monkeypatch.context() as patched:
        patched.setattr(supplement, "_forget_failures", _die)
        keep(layout, "--retry-failed", code=1)
    keep(layout, "--retry-failed")
    assert kept(layout) == contents(tmp_path / "music")
    assert len(crate_files(layout)) == 2
    assert failures(layout) == {}


def _die(*_):
    raise SystemError


def test_torrent_that_is_lost_is_made_from_the_crate_without_asking_the_source(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    before = crates(layout)
    (path,) = crate_files(layout)
    path.with_suffix(".torrent").unlink()
    shutil.rmtree(tmp_path / "music")
    keep(layout)
    assert crates(layout) == before


@pytest.mark.parametrize("permission", [GRANT, None])
def test_crate_whose_process_was_killed_before_its_torrent_was_written_is_sealed_again(tmp_path, permission):
    layout = shelf(tmp_path, permission=permission)
    blocker = _stop_before_sealing(layout)
    (draft,) = layout.drafts.iterdir()
    shutil.copytree(draft, tmp_path / "copy")
    blocker()
    keep(layout)
    (path,) = crate_files(layout)
    path.with_suffix(".torrent").unlink()
    (layout.journals / f"{path.stem}.jsonl").unlink()
    (layout.holdings / f"{path.stem}.parquet").unlink()
    shutil.move(tmp_path / "copy", draft)
    shutil.rmtree(tmp_path / "music")
    (tmp_path / "music").mkdir()
    keep(layout)
    assert path.with_suffix(".torrent").exists()
    assert len(rows(layout)) == 5
    assert list(layout.drafts.iterdir()) == []


def test_crate_that_is_lost_is_made_again(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    before = crates(layout)
    for path in [*crate_files(layout), *layout.crates.glob("*.torrent")]:
        path.unlink()
    keep(layout)
    assert crates(layout) == before


def test_draft_left_beside_its_crate_is_closed_and_its_failures_are_tried_again(tmp_path):
    layout = shelf(tmp_path)
    file = tmp_path / "music/0/0.flac"
    content = file.read_bytes()
    file.write_bytes(content[:2000])
    keep(layout, code=9)
    (path,) = crate_files(layout)
    journal = layout.journals / f"{path.stem}.jsonl"
    folder = layout.drafts / path.stem
    folder.mkdir()
    journal.rename(folder / "journal.jsonl")  # as a kill between torrent and journal leaves it
    (folder / ".making-00000").write_bytes(content)
    done = tenuto_json("keep", "--archive", layout.root, code=9)
    assert done["failed"] == {"recording-damaged": 1}
    assert list(layout.drafts.iterdir()) == []
    file.write_bytes(content)
    keep(layout, "--retry-failed")
    assert kept(layout) == contents(tmp_path / "music")


def test_draft_of_an_older_plan_is_removed(tmp_path):
    layout = shelf(tmp_path)
    _stop_before_sealing(layout)()
    assert len(list(layout.drafts.iterdir())) == 1
    put(tmp_path / "music/0/new.flac", 77, title="Neu")
    replan(layout)
    keep(layout)
    assert list(layout.drafts.iterdir()) == []
    assert kept(layout) == contents(tmp_path / "music")


def test_file_damaged_on_our_disk_between_fetching_and_sealing_is_fetched_again(tmp_path):
    layout = shelf(tmp_path)
    blocker = _stop_before_sealing(layout)
    (draft,) = layout.drafts.iterdir()
    for file in sorted(draft.glob("0*"))[:2]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    blocker()
    done = tenuto("keep", "--archive", layout.root)
    assert "it is fetched again" in done.stderr
    assert kept(layout) == contents(tmp_path / "music")


def test_folder_that_is_no_longer_mounted_loses_no_recording(tmp_path):
    layout = shelf(tmp_path)
    (tmp_path / "music").rename(tmp_path / "away")
    (tmp_path / "music").mkdir()
    keep(layout, code=5)
    assert failures(layout) == {}
    (tmp_path / "music").rmdir()
    (tmp_path / "away").rename(tmp_path / "music")
    keep(layout)
    assert kept(layout) == contents(tmp_path / "music")


def test_empty_band_makes_no_draft(tmp_path):
    levels = [
        {"name": "known", "popularity_min": 50, "listens_min": 100, "tier": "original"},
        {"name": "rest", "tier": "original"},
    ]
    layout = shelf(tmp_path, settings={"selection": {"bands": levels}})
    keep(layout)
    assert kept(layout) == contents(tmp_path / "music")


def test_plan_of_nothing_is_kept_at_once(tmp_path):
    layout = shelf(tmp_path, permission=GRANT.replace("may_keep = true", "may_keep = false"))
    done = tenuto_json("keep", "--archive", layout.root)
    assert (done["crates"], done["failed"]) == ([], {})
    assert crate_files(layout) == []
    assert statuses(layout) == {"not_permitted": 5}


def test_archive_in_a_folder_with_an_apostrophe_is_kept(tmp_path):
    folder = tmp_path / "o'brien"
    folder.mkdir()
    try:
        layout = shelf(folder)
    except AssertionError:
        pytest.skip("harvest, build and plan do not take such a folder")
    keep(layout)
    assert kept(layout) == contents(folder / "music")


def test_modules_in_the_folder_one_is_in_are_not_imported(tmp_path, monkeypatch):
    layout = shelf(tmp_path)
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("queue", "msgspec", "tenuto", "av"):
        (trap / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(trap)
    keep(layout)


def test_link_in_place_of_a_file_is_not_followed(tmp_path):
    layout = shelf(tmp_path)
    (tmp_path / "secret.flac").write_bytes((tmp_path / "music/0/0.flac").read_bytes())
    (tmp_path / "music/0/0.flac").unlink()
    (tmp_path / "music/0/0.flac").symlink_to(tmp_path / "secret.flac")
    keep(layout, code=9)
    assert set(failures(layout)) == {"recording-unavailable"}


def test_source_that_was_removed_is_named(tmp_path, capsys):
    layout = shelf(tmp_path)
    assert load_settings(layout.settings).sources
    tenuto_json("source", "remove", NAME, "--archive", layout.root)
    keep(layout, code=3)
    assert "no source is called shop" in capsys.readouterr().err

"""`tenuto withdraw`: the recording is gone from all that is given out; every other byte is where it was, and can be proven."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from published_maker import (
    ALONE,
    CLOSED,
    OPEN,
    SOURCE,
    THRICE,
    TWINS,
    a_shelf,
    assert_published,
    entries_of,
    rows_in,
    snapshot,
    sound,
)
from support import need_program
from tenuto.catalogue import open_current
from tenuto.crates import check_crate
from tenuto.crates.holdings import crate_files
from tenuto.crates.journal import DraftFolder, Outcome, read_journal
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.crates.withdrawn import load_taken_back, lost_withdrawals, note_recordings
from tenuto.crates.zipform import LOCAL_BYTES
from tenuto.model.ids import track_key
from tenuto.publication import withdraw as withdrawing
from tenuto.publication.gate import Gate
from tenuto.publication.withdraw import unsettled
from tenuto.rights.withdrawals import parse_log

pytestmark = pytest.mark.long  # processes, and waiting for them


def _need(module):
    """A module of the dev extra; in CI it must be there."""
    if os.environ.get("TENUTO_CI"):
        __import__(module)
    return pytest.importorskip(module)


@pytest.fixture
def shelf(tmp_path):
    found = a_shelf(tmp_path)
    found("publish")
    return found


def _recordings(path):
    """Path in the bag -> offset and bytes of each recording."""
    crate = CrateFile(path)
    return {
        row["path"]: (row["offset"], crate.read_range(row["offset"], row["bytes"]))
        for row in crate.recordings().to_pylist()
    }


def _infohash(path):
    return read_metainfo(torrent_beside(path).read_bytes(), "torrent").infohash_v2


def assert_accepted(path, folder):
    """A crate is accepted by programs that know nothing of crates, by libtorrent, and by its own checker."""
    crate = CrateFile(path)
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    for words in ([need_program("unzip"), "-tqq", path], [need_program("7z"), "t", path]):
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    words = [need_program("bsdtar"), "-xOf", "-"]
    piped = subprocess.run(words, input=path.read_bytes(), env=env, capture_output=True, check=False)
    assert piped.returncode == 0, piped.stderr
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder / "bag")
    _need("bagit").Bag(str(folder / "bag" / crate.crate)).validate()
    checked = subprocess.run(
        [sys.executable, check_crate.__file__, str(path), str(torrent_beside(path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    _assert_torrent(path, folder)


def _assert_torrent(path, folder):
    """libtorrent makes the same info-hashes of the file, and finds it whole by our torrent."""
    lt = _need("libtorrent")
    ours = read_metainfo(torrent_beside(path).read_bytes(), "torrent")
    made = lt.create_torrent([lt.create_file_entry(path.name, path.stat().st_size)], piece_size=ours.piece_length)
    lt.set_piece_hashes(made, str(path.parent))
    info = lt.bencode(made.generate()[b"info"])
    assert hashlib.sha1(info, usedforsecurity=False).hexdigest() == ours.infohash_v1
    assert hashlib.sha256(info).hexdigest() == ours.infohash_v2
    session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                          "enable_natpmp": False})  # fmt: skip
    params = lt.load_torrent_buffer(torrent_beside(path).read_bytes())
    params.save_path = str(path.parent)
    handle = session.add_torrent(params)
    states = lt.torrent_status.states
    for _ in range(400):
        status = handle.status()
        if status.state in {states.seeding, states.finished} or status.errc.value():
            break
        session.wait_for_alert(25)
        session.pop_alerts()
    assert status.state == states.seeding, status.state
    assert status.progress == 1.0


TRACKS = {"first": OPEN[0], "middle": OPEN[1], "last": OPEN[2], "only": ALONE}


@pytest.mark.parametrize("which", TRACKS)
@pytest.mark.parametrize("destroy", [False, True])
def test_revision_is_accepted_by_everyone_and_every_other_byte_is_where_it_was(shelf, tmp_path, which, destroy):
    track = TRACKS[which]
    (path,) = shelf.crates_with(track)
    before, infohash, blocks = _recordings(path), _infohash(path), path.stat().st_blocks
    (gone,) = [row for row in rows_in(shelf, path) if row["track_id"] == track]
    offset, content = before.pop(gone["path"])
    header = CrateFile(path).entries[gone["path"]].header_offset
    done = shelf.withdraw(track, *(["--destroy"] if destroy else []))
    assert (done["revised"], len(done["kept_in"]), done["was_withdrawn"]) == ([path.stem], 0 if destroy else 1, False)

    crate = CrateFile(path)
    assert _recordings(path) == before
    assert crate.read_range(offset, len(content)) == bytes(len(content))
    name_bytes = crate.read_range(header, offset - header)
    assert name_bytes[LOCAL_BYTES:].startswith(f"{crate.crate}/withdrawn/_".encode())
    assert gone["path"].encode() not in path.read_bytes()
    assert (crate.revision, crate.info["Tenuto-Predecessor"]) == (1, infohash)
    (said,) = crate.withdrawn()
    assert (said.key, said.reason, said.offset, said.bytes) == (
        track_key(SOURCE, track),
        "rightsholder",
        offset,
        len(content),
    )
    if which == "only":
        assert path.stat().st_blocks * 512 < blocks * 512 - 80_000, "its data are a hole"
    assert_accepted(path, tmp_path)

    index = assert_published(shelf)
    (entry,) = [one for one in index.crates if one.crate == path.stem]
    assert (entry.revision, entry.predecessor, entry.redacted) == (1, infohash, ((offset, len(content)),))
    assert not {track_key(SOURCE, track), gone["sha256"]} & entries_of(shelf).keys()
    assert index.statuses["withdrawn"] == 1
    kept = [row for dark in shelf.layout.dark.glob("*.zip") for row in rows_in(shelf, dark) if row["track_id"] == track]
    assert [row["sha256"] for row in kept] == ([] if destroy else [gone["sha256"]])
    if not destroy:
        taken = tmp_path / "taken.flac"
        shelf("get", f"{SOURCE}:{track}", "--out", taken)
        assert hashlib.sha256(taken.read_bytes()).hexdigest() == gone["sha256"]


def test_crates_as_they_were_sealed_are_accepted_too(shelf, tmp_path):
    for number, path in enumerate(path for path in crate_files(shelf.layout) if path.parent == shelf.layout.crates):
        assert_accepted(path, tmp_path / str(number))


def test_revision_of_a_revision_goes_on_from_it(shelf, tmp_path):
    (path,) = shelf.crates_with(OPEN[0])
    for number, track in enumerate(OPEN[:3], 1):
        predecessor = _infohash(path)
        shelf.withdraw(track)
        crate = CrateFile(path)
        assert (crate.revision, crate.info["Tenuto-Predecessor"], len(crate.withdrawn())) == (
            number,
            predecessor,
            number,
        )
        assert_accepted(path, tmp_path / str(number))
        (entry,) = [one for one in assert_published(shelf).crates if one.crate == path.stem]
        assert (entry.revision, len(entry.redacted), entry.recordings) == (number, number, 3 - number)


def test_track_in_three_crates_leaves_all_of_them(shelf, tmp_path):
    paths = shelf.crates_with(THRICE)
    assert len(paths) == 3
    digests = {row["sha256"] for path in paths for row in rows_in(shelf, path) if row["track_id"] == THRICE}
    done = shelf.withdraw(THRICE)
    assert sorted(done["revised"]) == sorted(path.stem for path in paths)
    assert len(done["kept_in"]) == len(digests) == 3
    assert not digests & entries_of(shelf).keys()
    for number, path in enumerate(paths):
        assert_accepted(path, tmp_path / str(number))
    (line,) = parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries
    assert sorted(line.crates) == sorted(path.stem for path in paths)


def test_older_recording_of_a_track_is_found_by_its_own_digest(shelf):
    digests = [
        row["sha256"] for path in shelf.crates_with(THRICE) for row in rows_in(shelf, path) if row["track_id"] == THRICE
    ]
    for sha256 in digests:
        copy = json.loads(shelf("withdraw", sha256, "--reason", "error", "--json")[0])
        assert copy["tracks"] == [f"{SOURCE}:{THRICE}"]


def test_recording_that_two_tracks_share_goes_for_both(shelf, tmp_path):
    (path,) = shelf.crates_with(TWINS[0])
    (row,) = [row for row in rows_in(shelf, path) if row["track_id"] == TWINS[0]]
    shown = shelf("withdraw", f"{SOURCE}:{TWINS[0]}", "--reason", "law")[0]
    assert "withdrawn: 2 tracks" in shown
    assert f"1 track not named and with the same recording, {SOURCE}:{TWINS[1]}" in shown
    (said,) = CrateFile(path).withdrawn()
    assert said.offset == row["offset"]
    entries = entries_of(shelf)
    assert not {row["sha256"], *(track_key(SOURCE, track) for track in TWINS)} & entries.keys()
    assert len(parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries) == 2
    assert_accepted(path, tmp_path)
    assert assert_published(shelf).statuses["withdrawn"] == 2


def test_recording_named_by_its_digest_is_withdrawn_for_every_track_that_has_it(shelf):
    (path,) = shelf.crates_with(TWINS[0])
    (row,) = [row for row in rows_in(shelf, path) if row["track_id"] == TWINS[0]]
    done = json.loads(shelf("withdraw", row["sha256"], "--reason", "law", "--destroy", "--json")[0])
    assert done["tracks"] == [f"{SOURCE}:{track}" for track in TWINS]
    assert row["sha256"] not in entries_of(shelf)
    assert len(parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries) == 2


def test_withdrawing_twice_does_nothing_the_second_time(shelf):
    shelf.withdraw(OPEN[0])
    before = snapshot(shelf.root / "crates") | snapshot(shelf.publication) | snapshot(shelf.layout.dark)
    log = shelf.layout.withdrawals.read_bytes()
    again = shelf.withdraw(OPEN[0], reason="law")
    assert (again["was_withdrawn"], again["revised"], again["kept_in"]) == (True, [], [])
    assert snapshot(shelf.root / "crates") | snapshot(shelf.publication) | snapshot(shelf.layout.dark) == before
    assert shelf.layout.withdrawals.read_bytes() == log


def test_destroying_afterwards_takes_the_copy_too(shelf, tmp_path):
    (kept,) = shelf.withdraw(OPEN[0])["kept_in"]
    dark = shelf.layout.dark / f"{kept}.zip"
    (row,) = rows_in(shelf, dark)
    sealed = CrateFile(dark).read_range(row["offset"], row["sealed_bytes"])
    first = shelf.layout.withdrawals.read_bytes()
    done = shelf.withdraw(OPEN[0], "--destroy")
    assert (done["was_withdrawn"], done["revised"], done["kept_in"]) == (False, [kept], [])
    assert sealed[:4096] not in dark.read_bytes()
    assert rows_in(shelf, dark) == []
    assert_accepted(dark, tmp_path)
    assert shelf.layout.withdrawals.read_bytes().startswith(first), "appended, not rewritten"
    (line, more) = parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries
    assert (line.is_destroyed, more.is_destroyed, more.crates) == (False, True, ())
    assert_published(shelf)
    assert shelf.withdraw(OPEN[0])["was_withdrawn"], "destroyed once is destroyed for good"


def test_dark_recording_stays_where_it_is_unless_it_is_destroyed(shelf, tmp_path):
    (path,) = shelf.layout.dark.glob("*.zip")
    before = snapshot(shelf.layout.dark)
    done = shelf.withdraw(CLOSED[0])
    assert (done["revised"], snapshot(shelf.layout.dark) == before) == ([], True)
    rows = rows_in(shelf, path)
    other = CrateFile(path).read_range(rows[1]["offset"], rows[1]["sealed_bytes"])
    shelf.withdraw(CLOSED[0], "--destroy")
    assert [row["track_id"] for row in rows_in(shelf, path)] == [CLOSED[1]]
    assert CrateFile(path).read_range(rows[1]["offset"], rows[1]["sealed_bytes"]) == other
    assert CrateFile(path).read_range(rows[0]["offset"], rows[0]["sealed_bytes"]).strip(b"\0") == b""
    assert_accepted(path, tmp_path)
    index = assert_published(shelf)
    assert [one.recordings for one in index.dark] == [1]
    assert "crates" not in parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries[0].crates


def test_destroying_what_is_dark_says_that_it_needs_the_identity_and_is_finished_once_it_is_back(shelf):
    identity = shelf.keys / "identity.age"
    aside = identity.rename(shelf.keys / "aside")
    said = shelf("withdraw", f"{SOURCE}:{CLOSED[0]}", "--reason", "law", "--destroy", code=3)[1]
    assert "identity" in said
    assert assert_published(shelf).statuses["withdrawn"] == 1
    aside.rename(identity)
    shelf("publish")
    (path,) = shelf.layout.dark.glob("*.zip")
    assert [row["track_id"] for row in rows_in(shelf, path)] == [CLOSED[1]]


def test_track_that_is_not_held_yet_can_be_withdrawn(shelf):
    track = "open/Alpha Album/07 Opensong Septima.flac"
    sound(shelf.music / track, 1234)
    for verb in (("harvest",), ("catalogue", "build"), ("plan",)):
        shelf(*verb)
    done = shelf.withdraw(track)
    assert (done["revised"], done["kept_in"]) == ([], [])
    shelf("keep", code=None)
    shelf("publish")
    assert assert_published(shelf).statuses["withdrawn"] == 1
    assert track_key(SOURCE, track) not in entries_of(shelf)
    assert shelf.crates_with(track) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [(("shelf:nothing", "--reason", "law"), "nothing here is called"), (("a" * 64, "--reason", "law"), "nothing here is called"),
     ((f"shelf:{OPEN[0]}", "--reason", "because"), "there are rightsholder"), ((f"shelf:{OPEN[0]}",), "")],
)  # fmt: skip
def test_what_is_not_understood_changes_nothing(shelf, words, said):
    before = snapshot(shelf.root)
    assert said in shelf("withdraw", *words, code=2)[1]
    after = snapshot(shelf.root)
    assert {path for path in after if after[path] != before.get(path)} <= {
        ".tenuto.lock",
        *(path for path in after if path.startswith("state/holdings/")),
    }


def test_withdrawal_before_anything_is_published_takes_the_recording_out_all_the_same(tmp_path):
    shelf = a_shelf(tmp_path)
    done = shelf.withdraw(OPEN[0])
    assert (done["sequence"], len(done["revised"])) == (None, 1)
    assert not shelf.publication.exists()
    shelf("publish")
    assert track_key(SOURCE, OPEN[0]) not in entries_of(shelf)
    assert_published(shelf)


def test_second_name_of_a_crate_goes_though_the_index_is_lost(shelf):
    (path,) = shelf.crates_with(OPEN[0])
    (row,) = [row for row in rows_in(shelf, path) if row["track_id"] == OPEN[0]]
    content = CrateFile(path).read_range(row["offset"], row["bytes"])
    (shelf.publication / "index.json").unlink()
    shelf.withdraw(OPEN[0])
    assert not any(content[20_000:20_064] in file.read_bytes() for file in shelf.publication.rglob("*.zip"))
    assert_published(shelf)


def test_damaged_recording_holds_up_no_other_withdrawal_and_can_be_destroyed(shelf):
    (path,) = shelf.crates_with(OPEN[0])
    row = rows_in(shelf, path)[0]
    content = bytearray(path.read_bytes())
    content[row["offset"] + 5000] ^= 1
    path.write_bytes(content)
    said = shelf("withdraw", f"{SOURCE}:{OPEN[0]}", "--reason", "law", code=7)[1]
    assert "is damaged" in said
    assert path.stem not in [crate.crate for crate in assert_published(shelf).crates]
    assert "is damaged" in shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", code=7)[1]
    assert shelf.crates_with(ALONE) == []
    shelf.withdraw(OPEN[0], "--destroy")
    assert path.stem in [crate.crate for crate in assert_published(shelf).crates]


def test_log_that_lost_its_newest_lines_is_found_before_anything_is_published_or_withdrawn(shelf):
    shelf.withdraw(OPEN[0])
    shelf.withdraw(OPEN[1])
    whole = shelf.layout.withdrawals.read_bytes()
    shelf.layout.withdrawals.write_bytes(whole.splitlines(keepends=True)[0])
    for words in (("publish",), ("withdraw", f"{SOURCE}:{OPEN[2]}", "--reason", "law")):
        assert "bring back the longer one" in shelf(*words, code=7)[1]
    shelf.layout.withdrawals.unlink()
    shelf("publish", code=7)
    shelf.layout.withdrawals.write_bytes(whole)
    shelf("publish")


def test_name_of_the_dark_crate_that_keeps_a_copy_says_nothing_of_the_recording(shelf):
    (path,) = shelf.crates_with(OPEN[0])
    sha256 = rows_in(shelf, path)[0]["sha256"]
    (kept,) = shelf.withdraw(OPEN[0])["kept_in"]
    digest = kept.rpartition("-")[2]
    assert digest not in {sha256[:8], hashlib.sha256(sha256.encode()).hexdigest()[:8]}
    assert kept in [one.crate for one in shelf.index().dark]


def test_workshop_of_a_move_that_was_cut_off_is_cleared(shelf):
    work = shelf.layout.drafts / "testing-0-withdrawn-0001-00000000"
    work.mkdir(parents=True)
    (work / "recording").write_bytes(b"in clear")
    shelf("publish")
    assert not work.exists()
    assert Path(shelf.layout.root).is_dir()


# What was withdrawn stays so under another name (A1), in drafts (A4), and though the log is lost (A5).


def _digests_of(shelf, track):
    """The digests of a track's recordings in open crates."""
    rows = [row for path in shelf.crates_with(track) for row in rows_in(shelf, path)]
    return {row["sha256"] for row in rows if row["track_id"] == track}


def _forget_line(shelf, destroyed=True):
    """An archive in which a recording with a digest that was taken back lies under a track that the log does not know."""
    (sha256,) = _digests_of(shelf, ALONE)
    log = parse_log(b"", "log").with_one_more(
        key="e" * 64, reason="privacy", on=date(2026, 11, 20), is_destroyed=destroyed, crates=[]
    )
    note_recordings(shelf.layout, 1, [sha256], is_destroyed=destroyed)
    shelf.layout.withdrawals.write_bytes(log.encode())
    return sha256


def test_digests_of_what_is_withdrawn_are_noted_for_the_archive_alone(shelf):
    expected = _digests_of(shelf, THRICE) | _digests_of(shelf, ALONE)
    shelf.withdraw(THRICE)
    shelf.withdraw(ALONE, "--destroy")
    file = shelf.layout.withdrawn_recordings
    assert file.stat().st_mode & 0o777 == 0o600
    taken = load_taken_back(shelf.layout)
    assert taken.digests.keys() == expected
    assert sorted(taken.digests.values()) == [False, False, False, True]
    assert not (shelf.publication / file.name).exists()


@pytest.mark.parametrize("destroy", [False, True])
def test_recording_that_was_withdrawn_goes_though_its_track_has_another_key_now(shelf, destroy):
    sha256 = _forget_line(shelf, destroy)
    assert unsettled(shelf.layout, shelf.settings) != []
    shelf("publish")
    assert unsettled(shelf.layout, shelf.settings) == []
    assert sha256 not in entries_of(shelf)
    assert shelf.crates_with(ALONE) == []
    held = [row["sha256"] for path in shelf.layout.dark.glob("*.zip") for row in rows_in(shelf, path)]
    assert (sha256 in held) is not destroy
    assert_published(shelf)
    shelf("publish")
    if not destroy:
        log = parse_log(shelf.layout.withdrawals.read_bytes(), "log")
        again = log.with_one_more(key="e" * 64, reason="law", on=date(2026, 11, 20), is_destroyed=True, crates=[])
        note_recordings(shelf.layout, 2, [sha256], is_destroyed=True)
        shelf.layout.withdrawals.write_bytes(again.encode())
        shelf("publish")
        held = [row["sha256"] for path in shelf.layout.dark.glob("*.zip") for row in rows_in(shelf, path)]
        assert sha256 not in held


def test_gate_refuses_a_recording_whose_digest_was_withdrawn(shelf):
    _forget_line(shelf)
    edition, taken = open_current(shelf.layout), load_taken_back(shelf.layout)
    (path,) = shelf.crates_with(ALONE)
    table = CrateFile(path).recordings()
    gate = Gate(edition, taken.log, "worldwide", date(2026, 11, 20), taken)
    (refused,) = gate.refused({path.stem: table})[path.stem]
    assert (refused.track_id, refused.is_withdrawn) == (ALONE, True)
    derived = table.set_column(
        table.column_names.index("derived_from"), table.schema.field("derived_from"), table["sha256"]
    ).set_column(table.column_names.index("sha256"), table.schema.field("sha256"), pa.array(["f" * 64], pa.string()))
    assert gate.refused({path.stem: derived})[path.stem][0].is_withdrawn


def test_withdrawal_that_was_cut_off_before_its_line_is_refused_and_finished_by_the_same_command(shelf):
    (sha256,) = _digests_of(shelf, ALONE)
    note_recordings(shelf.layout, 1, [sha256], is_destroyed=False)
    assert "begun and is not in the log" in shelf("publish", code=6)[1]
    assert sha256 not in entries_of(shelf)
    shelf.withdraw(ALONE)
    assert shelf.crates_with(ALONE) == []
    assert_published(shelf)


def _a_draft(shelf, name, **values):
    """A draft that was not sealed, with one recording."""
    folder = DraftFolder(shelf.layout.drafts / name)
    (folder.path / "00000.flac").write_bytes(b"sound")
    blank = {"offer_digest": "0" * 16, "evidence_id": 1, "file": "00000.flac", "bytes": 5}
    folder.note(Outcome(key=hashlib.sha256(name.encode()).hexdigest(), **{**blank, **values}))
    return folder.path


def test_withdrawn_recording_leaves_drafts_that_were_not_sealed(shelf):
    (sha256,) = _digests_of(shelf, ALONE)
    clear = _a_draft(shelf, "clear", sha256=sha256)
    derived = _a_draft(shelf, "derived", sha256="1" * 64, derived_from=sha256)
    sealed = _a_draft(shelf, "sealed", sha256=sha256, sealed_bytes=5)
    other = _a_draft(shelf, "other", sha256="2" * 64)
    shown = shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law")[0]
    assert "deleted from crates that were not sealed yet" in shown

    def left(folder):
        return (folder / "00000.flac").exists(), len(list(read_journal(folder / "journal.jsonl")))

    assert [left(folder) for folder in (clear, derived, sealed, other)] == [
        (False, 0),
        (False, 0),
        (True, 1),
        (True, 1),
    ]
    shelf.withdraw(ALONE, "--destroy")
    assert (left(sealed), left(other)) == ((False, 0), (True, 1))
    assert "1" * 64 in load_taken_back(shelf.layout).digests, "the derivative that lay in a draft is known too"


def test_log_that_lacks_what_a_crate_says_was_withdrawn_is_found(shelf):
    shelf.withdraw(OPEN[0])
    whole = shelf.layout.withdrawals.read_bytes()
    shelf.layout.withdrawals.unlink()
    shutil.rmtree(shelf.publication)
    (crate,) = [
        path for path in crate_files(shelf.layout) if path.parent == shelf.layout.crates and CrateFile(path).revision
    ]
    assert lost_withdrawals(shelf.layout) == {crate.stem: [track_key(SOURCE, OPEN[0])]}
    for words in (("publish",), ("withdraw", f"{SOURCE}:{OPEN[1]}", "--reason", "law")):
        assert "bring the log back" in shelf(*words, code=7)[1]
    shelf.layout.withdrawals.write_bytes(whole)
    assert lost_withdrawals(shelf.layout) == {}
    shelf("publish")


def test_log_that_lost_its_newest_line_is_found_by_status(shelf):
    shelf.withdraw(OPEN[0])
    shelf.layout.withdrawals.unlink()
    assert "bring back the longer one" in shelf("status", code=7)[1]


# Full disks (B9), many at once (B10), crates that cannot be read (B18), no catalogue (B19).


def test_full_disk_at_one_crate_holds_up_no_other_and_says_what_is_needed(shelf, monkeypatch):
    paths, real = shelf.crates_with(THRICE), withdrawing.revise
    full = paths[0]

    def revise(layout, settings, path, removals):
        if path == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(layout, settings, path, removals)

    monkeypatch.setattr(withdrawing, "revise", revise)
    said = shelf("withdraw", f"{SOURCE}:{THRICE}", "--reason", "law", code=9)[1]
    assert f"crate {full.stem}: No space left" in said
    assert all(words in said for words in ("it needs", "there are", "not given out", "tenuto publish"))
    assert shelf.crates_with(THRICE) == [full]
    assert full.stem not in [crate.crate for crate in assert_published(shelf).crates]
    monkeypatch.undo()
    shelf("publish")
    assert shelf.crates_with(THRICE) == []
    assert full.stem in [crate.crate for crate in assert_published(shelf).crates]


def test_many_are_withdrawn_at_once_with_one_revision_of_each_crate(shelf):
    (path,) = shelf.crates_with(OPEN[0])
    tracks = [track for track in OPEN if path in shelf.crates_with(track)]
    assert len(tracks) > 1
    done = shelf.json("withdraw", *(f"{SOURCE}:{track}" for track in tracks), "--reason", "law")
    assert (sorted(done["tracks"]), done["revised"]) == (sorted(f"{SOURCE}:{track}" for track in tracks), [path.stem])
    assert CrateFile(path).revision == 1
    assert len(CrateFile(path).withdrawn()) == len(tracks)
    assert_published(shelf)


def test_everything_that_is_refused_is_withdrawn_at_once(shelf):
    shelf.permit("", '[[grant]]\npath = ["open/Lonely/*", "open/Twins/*"]\nmay_give_out = false')
    assert "tenuto withdraw --refused --reason permission-ended" in shelf("publish", code=6)[1]
    done = shelf.json("withdraw", "--refused", "--reason", "permission-ended")
    assert done["tracks"] == sorted(f"{SOURCE}:{track}" for track in (ALONE, *TWINS))
    assert shelf.json("publish")["withheld"] == {}
    again = shelf("withdraw", "--refused", "--reason", "permission-ended")[0]
    assert "nothing that could be read lies open and may not be given out" in again
    assert "--refused" in shelf("withdraw", "--reason", "law", code=2)[1]


def test_crates_that_cannot_be_read_are_named_and_not_said_to_hold_nothing(shelf):
    (path,) = shelf.crates_with(ALONE)
    path.write_bytes(b"nothing")
    shown = shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", code=7)[0]
    assert "no crate held it" not in shown
    assert f"could not be read: {path.stem}" in shown
    again = shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", code=7)[0]
    assert "nothing had to be done" not in again
    assert path.stem in again
    said = shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", "--destroy", code=7)[1]
    assert "whether a copy is in it" in said


@pytest.mark.parametrize("spoil", ["missing", "no edition", "cut", "zeros"])
def test_withdrawal_needs_no_catalogue(shelf, spoil):
    (path,) = shelf.crates_with(ALONE)
    (sha256,) = _digests_of(shelf, ALONE)
    table = open_current(shelf.layout).files("track")[0]
    if spoil == "missing":
        shutil.rmtree(shelf.layout.catalogue)
    elif spoil == "no edition":
        shutil.rmtree(table.parent)
    elif spoil == "cut":
        table.write_bytes(table.read_bytes()[:-100])
    else:
        table.write_bytes(bytes(table.stat().st_size))
    said = shelf("withdraw", f"{SOURCE}:{ALONE}", "--reason", "law", code=2 if spoil == "missing" else 7)[1]
    assert "tenuto catalogue build" in said
    assert path.stem in said
    assert not (shelf.publication / "crates" / path.name).exists()
    assert shelf.crates_with(ALONE) == []
    assert [one.key for one in parse_log(shelf.layout.withdrawals.read_bytes(), "log").entries] == [
        track_key(SOURCE, ALONE)
    ]
    assert sha256 in load_taken_back(shelf.layout).digests
    shelf("catalogue", "build")
    shelf("publish")
    assert_published(shelf)


def test_recording_is_taken_out_of_the_archive_by_the_words_that_withdraw_it(shelf, tmp_path):
    (sha256,) = _digests_of(shelf, ALONE)
    for number, what in enumerate((ALONE, f"{SOURCE}:{ALONE}", sha256, track_key(SOURCE, ALONE))):
        out = tmp_path / f"{number}.flac"
        shelf("get", what, "--out", out)
        assert hashlib.sha256(out.read_bytes()).hexdigest() == sha256

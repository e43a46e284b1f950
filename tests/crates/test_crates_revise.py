"""Revising: the crate is as it was or as it becomes, whatever happens on the way."""

import errno
import os
import subprocess
from datetime import date

import pytest

from published_maker import ALONE, OPEN, SOURCE, a_shelf, rows_in, snapshot
from tenuto.crates import revise as module
from tenuto.crates.hashing import metainfo_of
from tenuto.crates.merkle import leaves_of, pieces_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.revise import Removal, finish_revision, finish_revisions, revise
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.crates.verify import verify_crate
from tenuto.model.ids import track_key
from tenuto.rights.withdrawals import Log

DAY = date(2026, 11, 20)


@pytest.fixture
def shelf(tmp_path):
    return a_shelf(tmp_path)


def _removal(track):
    return Removal(track_key(SOURCE, track), "law", DAY)


def _revise(shelf, track):
    (path,) = shelf.crates_with(track)
    return path, revise(shelf.layout, shelf.settings, path, [_removal(track)])


def _is_whole(path):
    assert list(verify_crate(path, is_thorough=True).findings) == []
    assert sorted(
        one.name for one in path.parent.iterdir() if one.stem == path.stem or one.name.startswith(".")
    ) == sorted([path.name, torrent_beside(path).name])


def test_crate_without_the_track_is_left_as_it_is(shelf):
    (path,) = shelf.crates_with(OPEN[0])
    before = snapshot(path.parent)
    assert revise(shelf.layout, shelf.settings, path, [_removal(ALONE), _removal("nothing")]) is None
    assert snapshot(path.parent) == before


def test_revising_the_same_crate_gives_the_same_bytes(tmp_path):
    made = []
    for name in ("one", "two"):
        shelf = a_shelf(tmp_path / name)
        path, metainfo = _revise(shelf, OPEN[1])
        made.append((path.read_bytes(), metainfo.encode()))
    assert made[0] == made[1]


@pytest.mark.parametrize("step", ["copy_file_range", "pwrite", "write_durably", "replace", "fsync"])
def test_full_disk_at_any_step_leaves_the_old_state_whole(shelf, monkeypatch, step):
    (path,) = shelf.crates_with(OPEN[1])
    before = {name: one[0] for name, one in snapshot(path.parent).items()}

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        if step == "write_durably":
            patched.setattr(module, "write_durably", full)
        elif step == "replace":
            patched.setattr(type(path), "replace", full)
        elif step == "pwrite":
            patched.setattr(
                module.os, "copy_file_range", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "other"))
            )
            patched.setattr(module.os, "pwrite", full)
        else:
            patched.setattr(module.os, step, full)
        with pytest.raises(OSError, match="No space left"):
            _revise(shelf, OPEN[1])
    finish_revisions(shelf.layout)
    assert {name: one[0] for name, one in snapshot(path.parent).items()} == before
    _revise(shelf, OPEN[1])
    _is_whole(path)


def test_disk_that_is_full_indeed_leaves_the_old_state_whole(shelf, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=460k", "tmpfs", str(mount)], check=False).returncode
    ):
        pytest.skip("only root mounts a small file system")
    try:
        (path,) = shelf.crates_with(OPEN[1])
        shelf("publish")
        crates = shelf.layout.crates
        kept = [path, torrent_beside(path)]
        for one in kept:
            (mount / one.name).write_bytes(one.read_bytes())
        (mount / "filler").write_bytes(bytes(220_000))
        before = {name: digest[0] for name, digest in snapshot(mount).items()}
        aside = crates.rename(crates.with_name("aside"))
        crates.symlink_to(mount)
        said = shelf("withdraw", f"{SOURCE}:{OPEN[1]}", "--reason", "law", code=1)[1]
        assert "No space left" in said
        now = {name: digest[0] for name, digest in snapshot(mount).items()}
        assert {name: now[name] for name in before} == before
        (mount / "filler").unlink()
        for one in aside.iterdir():
            if not (mount / one.name).exists():
                (mount / one.name).symlink_to(one)
        shelf("publish", code=None)
        assert OPEN[1] not in [row["track_id"] for row in rows_in(shelf, mount / path.name)]
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_torrent_of_a_revision_that_was_cut_off_is_given_to_the_crate_that_it_is_of(shelf, monkeypatch):
    (path,) = shelf.crates_with(OPEN[1])
    old = torrent_beside(path).read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(module, "finish_revision", lambda _path: None)
        revised, metainfo = _revise(shelf, OPEN[1])
    assert torrent_beside(path).read_bytes() == old
    finish_revisions(shelf.layout)
    assert read_metainfo(torrent_beside(revised).read_bytes(), "torrent") == metainfo
    _is_whole(revised)


def test_publish_finishes_a_revision_that_was_cut_off(shelf, monkeypatch):
    shelf("publish")
    (path,) = shelf.crates_with(OPEN[1])
    with monkeypatch.context() as patched:
        patched.setattr(module, "finish_revision", lambda _path: None)
        _revise(shelf, OPEN[1])
    log = Log().with_one_more(
        key=track_key(SOURCE, OPEN[1]), reason="law", on=DAY, is_destroyed=False, crates=[path.stem]
    )
    shelf.layout.withdrawals.write_bytes(log.encode())
    shelf("publish")
    assert [one.revision for one in shelf.index().crates if one.crate == path.stem] == [1]
    _is_whole(path)


def test_torrent_of_a_revision_that_never_was_is_thrown_away(shelf):
    (path,) = shelf.crates_with(OPEN[1])
    (other,) = shelf.crates_with(ALONE)
    old = torrent_beside(path).read_bytes()
    torrent_beside(path).with_suffix(".torrent-next").write_bytes(torrent_beside(other).read_bytes())
    finish_revision(path)
    assert torrent_beside(path).read_bytes() == old
    _is_whole(path)


def test_file_system_that_cannot_tell_holes_loses_no_byte(shelf, monkeypatch):
    (path,) = shelf.crates_with(OPEN[1])
    rows = [row for row in rows_in(shelf, path) if row["track_id"] != OPEN[1]]
    before = {row["path"]: CrateFile(path).read_range(row["offset"], row["bytes"]) for row in rows}

    def cannot(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "lseek", cannot)
        patched.setattr(module.os, "copy_file_range", cannot)
        _revise(shelf, OPEN[1])
    assert {row["path"]: CrateFile(path).read_range(row["offset"], row["bytes"]) for row in rows} == before
    _is_whole(path)


def test_revision_of_a_sparse_crate_stays_sparse(shelf):
    path, _ = _revise(shelf, OPEN[0])
    first = path.stat().st_blocks
    revise(shelf.layout, shelf.settings, path, [_removal(OPEN[2])])
    assert path.stat().st_blocks < first
    _is_whole(path)


@pytest.mark.parametrize("track", [OPEN[0], OPEN[1], OPEN[2]])
@pytest.mark.parametrize("piece", [16_384, 65_536])
def test_hashes_of_a_revision_are_those_of_all_its_bytes_though_few_were_read(shelf, track, piece):
    (path,) = shelf.crates_with(track)
    content = path.read_bytes()
    sealed = metainfo_of(path.name, len(content), piece, leaves_of(content), pieces_of(content, piece))
    torrent_beside(path).write_bytes(sealed.encode())
    _, metainfo = _revise(shelf, track)
    content = path.read_bytes()
    assert metainfo == metainfo_of(path.name, len(content), piece, leaves_of(content), pieces_of(content, piece))
    assert CrateFile(path).info["Tenuto-Predecessor"] == sealed.infohash_v2

"""The file system, its room, and who may read what lies there."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keep_maker import keep, replan, set_in, shelf
from repair_maker import mirror
from support import make_archive
from tenuto.archive import Layout, load_settings
from tenuto.doctor import disk, private, room
from tenuto.doctor.result import Result
from tenuto.selection.plan import load_newest

GB = 10**9


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_archive(tmp_path)


def only(results: list[Result]) -> Result:
    assert len(results) == 1, results
    return results[0]


def as_kind(kind: str) -> Any:
    return lambda _: kind


# --- the file system


def test_a_common_disk_is_ok_and_nothing_stays_there(layout: Layout) -> None:
    before = sorted(layout.root.iterdir())
    assert only(disk.look(layout, GB, as_kind("ext4"))).state == "ok"
    assert sorted(layout.root.iterdir()) == before


@pytest.mark.parametrize(
    ("kind", "state"),
    [("tmpfs", "bad"), ("ramfs", "bad"), ("nfs4", "warning"), ("cifs", "warning"), ("fuse.sshfs", "warning"),
     ("overlay", "warning"), ("vfat", "bad"), ("xfs", "ok"), ("", "ok")],
)  # fmt: skip
def test_a_file_system_is_judged_by_its_kind(layout: Layout, kind: str, state: str) -> None:
    found = only(disk.look(layout, 10 * GB, as_kind(kind)))
    assert found.state == state
    assert bool(found.remedy) == (state != "ok")


def test_fat_is_enough_for_small_crates(layout: Layout) -> None:
    assert only(disk.look(layout, 4 * GB, as_kind("vfat"))).state == "ok"


def test_the_kind_of_a_real_file_system_is_read() -> None:
    assert disk.filesystem_of(Path("/proc")) == "proc"
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    assert bool(disk.filesystem_of(Path("/"))) == ("/" in mounted)  # a root of its own may be no mount


def test_the_nearest_and_latest_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    inner = tmp_path / "a b" / "c"
    inner.mkdir(parents=True)
    place = str(tmp_path.resolve() / "a b").replace(" ", "\\040")
    mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / {place} rw shared:1 - nfs4 host:/x rw\n"
        f"3 1 8:2 / {place} rw - btrfs /dev/sdb rw\n4 1 8:3 / {place}x rw - tmpfs none rw\nnonsense\n"
    )
    assert disk.filesystem_of(inner, mounts) == "btrfs"
    assert disk.filesystem_of(tmp_path, mounts) == "ext4"
    assert disk.filesystem_of(tmp_path, tmp_path / "none") == ""


def test_a_file_system_without_hard_links_is_a_warning(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    found = only(disk.look(layout, GB, as_kind("exfat")))
    assert found.state == "warning"
    assert "symbolic links" in found.message


def test_a_file_system_without_holes_is_a_note(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "has_holes", lambda _: False)
    assert only(disk.look(layout, GB, as_kind("exfat"))).state == "note"


def test_a_folder_that_cannot_be_written_is_bad() -> None:
    found = disk.look(Layout(Path("/proc/sys/kernel")), GB, as_kind("ext4"))[0]
    assert found.state == "bad"
    assert "nothing can be written in /proc/sys/kernel" in found.message
    assert found.remedy


def test_holes_are_seen_where_they_take_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.has_holes(tmp_path) in {True, False}
    monkeypatch.setattr(disk, "_HOLE_BYTES", 2)  # so short a file is all of one block: there is no hole in it
    assert not disk.has_holes(tmp_path)


@pytest.mark.parametrize(("free", "state"), [(10, "bad"), (20_000, "warning"), (10**7, "ok")])
def test_few_inodes_are_said(layout: Layout, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=10**7, f_favail=free, f_flag=0))
    assert only(disk.look(layout, GB, as_kind("ext4"))).state == state


def test_a_file_system_that_counts_no_inodes_has_enough(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0, f_flag=0))
    assert only(disk.look(layout, GB, as_kind("btrfs"))).state == "ok"


def test_a_publication_on_another_file_system_is_a_warning(layout: Layout) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == layout.root.stat().st_dev:
        pytest.skip("there is no second file system here")
    layout.crates.mkdir()
    layout.publication.symlink_to(shm)
    found = only(disk.look(layout, GB, as_kind("ext4")))
    assert found.state == "warning"
    assert "two file systems" in found.message


# --- room


def usage(monkeypatch: pytest.MonkeyPatch, free: int, total: int = 10**13) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=total))


def test_room_without_a_plan_is_ok_until_the_disk_is_nearly_full(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage(monkeypatch, 10**12)
    assert only(room.look(layout)).state == "ok"
    usage(monkeypatch, 10**8)
    assert only(room.look(layout)).state == "warning"


def test_what_the_plan_still_has_to_keep_is_told_by_the_crates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = shelf(tmp_path)
    plan = load_newest(layout)
    assert plan is not None
    need = room.still_to_keep(layout, plan)
    assert (need.bytes, need.fetched_bytes) == (plan.plan_bytes, 0)
    assert 0 < need.largest_bytes <= need.bytes
    for free, state in ((need.free_bytes - 1, "bad"), (need.free_bytes, "warning"), (need.free_bytes + 2 * GB, "ok")):
        usage(monkeypatch, free)
        found = only(room.look(layout))
        assert found.state == state, found
    draft = layout.drafts / "x"
    draft.mkdir(parents=True)
    assert room.size_of(draft) == 0
    shutil.rmtree(draft)
    monkeypatch.undo()
    keep(layout)
    assert room.still_to_keep(layout, plan).bytes == 0
    assert "nothing left to keep" in only(room.look(layout)).message
    set_in(layout, crates={"recordings_max": 1})
    replan(layout)
    again = load_newest(layout)
    assert again is not None
    assert again.plan != plan.plan
    assert room.still_to_keep(layout, again).bytes == 0, "what crates of an older plan hold is not kept again"


def test_a_plan_that_cannot_be_read_is_a_warning(layout: Layout) -> None:
    layout.plan("x").mkdir(parents=True)
    (layout.plans / "newest").write_text("x\n")
    found = only(room.look(layout))
    assert (found.state, found.remedy) == ("warning", "tenuto plan")


def test_a_mirror_needs_room_for_what_it_is_still_to_fetch_of_its_index_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = mirror(tmp_path)
    layout, settings = held.layout, load_settings(held.layout.settings)
    assert settings.mirror is not None

    def look(space: int = 100 * 10**12) -> Result:
        return only(room.look(layout, settings.model_copy(update={"mirror": wish.model_copy(update={"space": space})})))

    wish = settings.mirror
    usage(monkeypatch, 5000)
    assert look().state == "ok", "all is held, however much space was set aside"
    assert "nothing left to fetch" in look().message
    size = len(held.whole())
    held.file().unlink()
    usage(monkeypatch, size)
    assert look().state == "ok"
    usage(monkeypatch, size - 1)
    assert look().state == "bad"
    others = sum(len(held.whole(crate)) for crate in ("crate-b", "crate-c"))
    assert look(others + size - 1).state == "ok", "it does not fit into the space, so it is not fetched"
    layout.incoming.mkdir(parents=True)
    with (layout.incoming / "crate-a.zip").open("wb") as coming:
        coming.write(held.whole()[: 2**20])
        os.fsync(coming.fileno())
    assert look().state == "ok", "some of it is here already"
    usage(monkeypatch, size - 2**20 - 5000)
    assert look().state == "bad"


def test_a_mirror_that_shows_no_index_yet_is_not_said_to_lack_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = mirror(tmp_path)
    (held.layout.publication / "index.json").unlink()
    usage(monkeypatch, 5000)
    found = only(room.look(held.layout, load_settings(held.layout.settings)))
    assert found.state == "ok"
    assert "no index here says yet" in found.message


# --- who may read what


def test_a_new_archive_is_private_enough(layout: Layout) -> None:
    assert only(private.look(layout, {}, {})).state == "ok"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_the_digests_of_what_was_withdrawn_are_private(layout: Layout, mode: int) -> None:
    layout.withdrawn_recordings.write_bytes(b"")
    layout.withdrawn_recordings.chmod(mode)
    found = only(private.look(layout, {}, {}))
    assert (found.state, found.remedy) == ("bad", f"chmod 600 {layout.withdrawn_recordings}")
    layout.withdrawn_recordings.chmod(0o600)
    assert only(private.look(layout, {}, {})).state == "ok"


def test_dark_crates_and_drafts_are_private(layout: Layout) -> None:
    for folder in (layout.dark, layout.drafts):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    assert [one.state for one in private.look(layout, {}, {})] == ["bad", "bad"]
    for folder in (layout.dark, layout.drafts):
        folder.chmod(0o700)
    assert only(private.look(layout, {}, {})).state == "ok"


def test_settings_that_everybody_can_change_are_bad(layout: Layout) -> None:
    layout.settings.chmod(0o666)
    assert only(private.look(layout, {}, {})).remedy == f"chmod o-w {layout.settings}"


def test_logins_are_there_private_and_outside_of_the_archive(layout: Layout, tmp_path: Path) -> None:
    login = tmp_path / "login.toml"
    assert only(private.look(layout, {"s": login}, {})).state == "warning"
    login.write_text('user = "me"\n')
    login.chmod(0o644)
    assert only(private.look(layout, {"s": login}, {})).state == "bad"
    login.chmod(0o600)
    assert only(private.look(layout, {"s": login}, {})).state == "ok"
    inside = layout.root / "login.toml"
    shutil.copy2(login, inside)
    assert "inside the archive" in only(private.look(layout, {"s": inside}, {})).message


def test_a_permission_that_is_gone_is_a_warning(layout: Layout, tmp_path: Path) -> None:
    assert only(private.look(layout, {}, {"s": tmp_path / "gone.toml"})).state == "warning"

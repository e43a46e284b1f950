"""What has its name is whole: whatever happens while writing, the old content or the new one is there."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import need_program
from tenuto.archive import durable, remove_leftovers, write_durably
from tenuto.archive.durable import LEFTOVER_PREFIX, folder_durably, may_be_named, move_durably, name_again

# Ends itself before the n-th line that durable.py runs, as kill -9 would: nothing is cleaned up.
KILLED_AT_EVERY_LINE = """
import os, sys
from pathlib import Path
from tenuto.archive import durable

def killed_at(line, act):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = line
    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != durable.__file__:
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), 9)
        return trace
    sys.settrace(trace)
    act()
    os._exit(0)
"""
FILE_KILLED = (
    KILLED_AT_EVERY_LINE
    + """
file = Path(sys.argv[1]) / "f"
seen = set()
for line in range(1, 200):
    durable.write_durably(file, b"old")
    code = killed_at(line, lambda: durable.write_durably(file, b"new" * 100_000))
    content = file.read_bytes()
    assert content in (b"old", b"new" * 100_000), (line, content[:20])
    assert code != 0 or content != b"old", line
    seen.add((content == b"old", code))
    if code == 0:
        break
durable.remove_leftovers(file.parent)
print(sorted(seen), line > 5, os.listdir(sys.argv[1]))
"""
)
FOLDER_KILLED = (
    KILLED_AT_EVERY_LINE
    + """
base = Path(sys.argv[1])
def make(folder):
    with durable.folder_durably(folder) as beside:
        (beside / "a").write_bytes(b"a" * 100_000)
        (beside / "b").write_bytes(b"b" * 100_000)
for line in range(1, 200):
    folder = base / f"folder-{line}"
    code = killed_at(line, lambda: make(folder))
    if folder.exists():
        assert [(f.name, f.stat().st_size) for f in sorted(folder.iterdir())] == [("a", 100_000), ("b", 100_000)], line
    else:
        assert code == -9, (line, code)
        make(folder)
    if code == 0:
        break
durable.remove_leftovers(base)
print(line > 8, [name for name in os.listdir(base) if not name.startswith("folder-")])
"""
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run_script(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_is_old_or_new_when_its_writer_is_killed_at_any_line(tmp_path: Path) -> None:
    assert run_script(FILE_KILLED, tmp_path) == "[(False, -9), (False, 0), (True, -9)] True ['f']\n"


def test_a_folder_is_whole_or_absent_when_its_writer_is_killed_at_any_line(tmp_path: Path) -> None:
    assert run_script(FOLDER_KILLED, tmp_path) == "True []\n"


def test_a_file_has_its_name_only_after_its_bytes_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def tell_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def tell_replace(self: Path, target: Path) -> None:
        steps.append(f"{self.name} -> {target.name}")
        replace(self, target)

    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(Path, "replace", tell_replace)
    write_durably(tmp_path / "f", b"new")
    assert steps == ["fsync .making-f", ".making-f -> f", f"fsync {tmp_path.name}"]


def test_a_folder_has_its_name_only_after_its_files_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def tell_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def tell_rename(self: Path, target: Path) -> Path:
        steps.append(f"{self.name} -> {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(Path, "rename", tell_rename)
    with folder_durably(tmp_path / "edition") as beside:
        (beside / "a").write_bytes(b"a")
        (beside / "b").write_bytes(b"b")
    assert sorted(steps[:2]) == ["fsync a", "fsync b"]
    assert steps[2:] == ["fsync .making-edition", ".making-edition -> edition", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize("step", ["open", "fdopen", "fsync", "replace"])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_file_stays_as_it_was_and_nothing_is_left_when_a_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fault: BaseException
) -> None:
    write_durably(tmp_path / "f", b"old")

    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as faulty:
        faulty.setattr(Path if step == "replace" else os, step, fail)
        with pytest.raises(type(fault)):
            write_durably(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_folder_is_not_there_and_nothing_is_left_when_filling_it_fails(tmp_path: Path) -> None:
    def fill() -> None:
        with folder_durably(tmp_path / "edition") as beside:
            (beside / "a").write_bytes(b"a")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fill()
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_old_content_and_fills_no_further(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [need_program("mount"), "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a small disk")
    try:
        write_durably(disk / "f", b"old")
        free = os.statvfs(disk).f_bfree
        with pytest.raises(OSError, match="No space left") as caught:
            write_durably(disk / "f", b"x" * 200_000)
        assert caught.value.errno == errno.ENOSPC
        assert (disk / "f").read_bytes() == b"old"
        assert os.statvfs(disk).f_bfree == free
        with pytest.raises(OSError, match="No space left"), folder_durably(disk / "edition") as beside:
            (beside / "a").write_bytes(b"x" * 200_000)
        assert names(disk) == ["f"]
        write_durably(disk / "f", b"new")
        assert (disk / "f").read_bytes() == b"new"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("leftover", ["file", "folder"])
def test_what_an_interrupted_writer_left_is_in_nobodys_way(tmp_path: Path, leftover: str) -> None:
    place = tmp_path / f"{LEFTOVER_PREFIX}x"
    if leftover == "folder":
        place.mkdir()
        (place / "half").write_bytes(b"half")
        with folder_durably(tmp_path / "x") as beside:
            assert names(beside) == []
        assert names(tmp_path / "x") == []
    else:
        place.write_bytes(b"half")
        write_durably(tmp_path / "x", b"whole")
        assert (tmp_path / "x").read_bytes() == b"whole"
    assert names(tmp_path) == ["x"]


def test_leftovers_are_removed_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / ".making-a").write_bytes(b"")
    (tmp_path / ".making-b").mkdir()
    (tmp_path / ".making-b/c").write_bytes(b"")
    (tmp_path / "making-d").write_bytes(b"")
    (tmp_path / ".e").write_bytes(b"")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "nowhere")
    assert names(tmp_path) == [".e", "making-d"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_never_more_open_than_it_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    modes = []
    fsync = os.fsync

    def look(handle: int) -> None:
        modes.append(os.fstat(handle).st_mode & 0o777)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", look)
    old = os.umask(0o022)
    try:
        write_durably(tmp_path / "f", b"secret", mode)
    finally:
        os.umask(old)
    assert modes[0] == mode
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_every_folder_that_is_made_is_made_durable_in_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "_sync", synced.append)
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert len(synced) == 3


# -- another place, another name


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, *names: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for name in names:
        monkeypatch.setattr(os, name, fail)


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    path = tmp_path / "crates/a.zip"
    write_durably(path, b"crate")
    return path


def test_what_is_moved_to_another_disk_is_durable_there_before_it_goes_here(
    tmp_path: Path, crate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def tell_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def tell_replace(self: Path, target: Path) -> None:
        if self == crate:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        steps.append(f"{self.name} -> {target.name}")
        replace(self, target)

    def tell_unlink(self: Path, *, missing_ok: bool = False) -> None:
        steps.append(f"unlink {self.name}")
        unlink(self, missing_ok=missing_ok)

    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(Path, "replace", tell_replace)
    monkeypatch.setattr(Path, "unlink", tell_unlink)
    move_durably(crate, tmp_path / "disk/b.zip")
    beside = ".making-b.zip"
    assert steps == [f"fsync {beside}", f"{beside} -> b.zip", "fsync disk", "unlink a.zip", "fsync crates"]
    assert (tmp_path / "disk/b.zip").read_bytes() == b"crate"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK])
def test_a_symbolic_link_stands_in_where_there_can_be_no_hard_one(
    tmp_path: Path, crate: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number, "link")
    assert name_again(crate, tmp_path / "public/a.zip")
    assert (tmp_path / "public/a.zip").readlink() == Path("../crates/a.zip")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_fault_of_the_disk_is_no_reason_for_a_symbolic_link(
    tmp_path: Path, crate: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number, "link")
    with pytest.raises(OSError, match=os.strerror(number)):
        name_again(crate, tmp_path / "public/a.zip")
    assert names(tmp_path / "public") == []


def test_a_second_name_is_tried_also_in_a_folder_that_is_missing_and_nothing_stays(tmp_path: Path, crate: Path) -> None:
    assert may_be_named(crate, tmp_path / "public/crates")
    assert names(tmp_path) == names(crate.parent.parent) == ["crates"]
    assert names(crate.parent) == ["a.zip"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_second_name_that_cannot_be_tried_is_none_that_there_may_be(
    tmp_path: Path, crate: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number, "link", "symlink")
    assert not may_be_named(crate, tmp_path)

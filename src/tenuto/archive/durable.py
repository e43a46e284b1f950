"""Write beside, fsync, rename, fsync the folder: what has its name is whole (design, law 9)."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEFTOVER_PREFIX = ".making-"
"""What an interrupted write leaves; never read, removed by the next writer."""

_UNSUPPORTED = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that knows no links: FAT and exFAT, network disks, what is mounted by FUSE."""

_NO_HARD_LINK = _UNSUPPORTED | {errno.EXDEV, errno.EMLINK}
"""Where a symbolic link may do in place of a hard one: another disk, too many names, or a system that knows none."""

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What some network disks say where a folder is to be synced; names there are as durable as their server makes them."""

_PART_BYTES = 2**20


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `content`, whole or not at all, and make it survive a power cut."""
    make_folder(path.parent)
    beside = path.parent / f"{LEFTOVER_PREFIX}{path.name}"
    beside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # a full disk stays no fuller
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def folder_durably(path: Path) -> Iterator[Path]:
    """A folder to fill; when the block ends well it is synced and takes the name `path`, which must not exist."""
    make_folder(path.parent)
    beside = path.parent / f"{LEFTOVER_PREFIX}{path.name}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        for file in beside.iterdir():
            _sync(file)
        sync_folder(beside)
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each durable in the one that holds it."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def move_durably(path: Path, target: Path) -> None:
    """Give a file another place. On another disk it is copied, holes as holes, and goes where it was once the copy is durable."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_durably(path, target)
        path.unlink()
    else:
        sync_folder(target.parent)
    sync_folder(path.parent)


def name_again(file: Path, name: Path) -> bool:
    """Give a file a second name, in place of what had it: a hard link, else a relative symbolic link.

    False where the disk knows neither: then nothing has that name.
    """
    make_folder(name.parent)
    if name.exists() and name.samefile(file):
        return True
    beside = name.with_name(f"{LEFTOVER_PREFIX}{name.name}")
    beside.unlink(missing_ok=True)
    is_named = _linked(file, beside)
    if is_named:
        beside.replace(name)
    else:
        name.unlink(missing_ok=True)
    sync_folder(name.parent)
    return is_named


def may_be_named(file: Path, folder: Path) -> bool:
    """Whether a file can have a second name in a folder, which may be missing; it is tried, and leaves nothing.

    False also where it cannot be told: on a disk that is read-only, or full, or another's.
    """
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    beside = there / f"{LEFTOVER_PREFIX}{file.name}.{secrets.token_hex(8)}"  # others may try at the same time
    try:
        is_named = _linked(file, beside)
        beside.unlink(missing_ok=True)
    except OSError:
        return False
    return is_named


def remove_leftovers(folder: Path) -> None:
    """Delete what interrupted writers left in `folder`; call it only while holding the archive's lock."""
    if not folder.is_dir():
        return
    for leftover in folder.glob(f"{LEFTOVER_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _linked(file: Path, beside: Path) -> bool:
    """Whether a link could be made. Raises OSError where it is not the file system's kind that hinders it."""
    try:
        os.link(file, beside)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK or not file.exists():
            raise
    else:
        return True
    target = os.path.relpath(file, beside.parent)
    if not (beside.parent / target).exists():  # one of the folders is itself a link
        target = os.path.relpath(file.resolve(), beside.parent.resolve())
    try:
        beside.symlink_to(target)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _copy_durably(path: Path, target: Path) -> None:
    beside = target.with_name(f"{LEFTOVER_PREFIX}{target.name}")
    try:
        with path.open("rb") as source, beside.open("wb") as file:
            _pour(source, file)
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:  # a full disk stays no fuller
        beside.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _pour(source: BinaryIO, file: BinaryIO) -> None:
    """All of it; zeros become holes."""
    size = 0
    while part := source.read(_PART_BYTES):
        size += len(part)
        if part.count(0) == len(part):
            file.seek(size)
        else:
            file.write(part)
    file.truncate(size)
    file.flush()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

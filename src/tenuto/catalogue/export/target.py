"""The file that an export is written to: absent or whole, never somebody else's by mistake."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenuto.archive.durable import LEFTOVER_PREFIX, sync_folder
from tenuto.model.errors import ArchiveInUseError, UsageError


@contextmanager
def whole_file(path: Path, *, may_replace: bool) -> Iterator[Path]:
    """An empty file to fill beside `path`; when the block ends well it is synced and takes that name.

    Raises UsageError where the name is taken and must not be replaced, ArchiveInUseError where another process is writing it.
    What a killed process left is written over by the next one.
    """
    refuse_taken(path, may_replace=may_replace)
    beside = path.parent / f"{LEFTOVER_PREFIX}{path.name}"
    handle = _held(beside, path)
    try:
        os.ftruncate(handle, 0)
        yield beside
        os.fsync(handle)
        refuse_taken(path, may_replace=may_replace)
        beside.replace(path)
    except BaseException:  # a full disk stays no fuller
        beside.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    sync_folder(path.parent)


@contextmanager
def folder_held(folder: Path) -> Iterator[None]:
    """A folder in which no other process exports meanwhile. Raises UsageError without one, ArchiveInUseError where one does."""
    if not folder.is_dir():
        raise UsageError(f"--into: {folder} is no folder; make it, or name another")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ArchiveInUseError(f"another process exports into {folder}; wait for it, or name another folder") from None
    finally:
        os.close(handle)


def refuse_taken(path: Path, *, may_replace: bool) -> None:
    """Raise UsageError where nothing can be written under a name, or something is there that must stay."""
    if path.is_dir():
        raise UsageError(f"--into: {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--into: there is no folder {path.parent}; make it, or name another")
    if os.path.lexists(path) and not may_replace:
        raise UsageError(f"--into: {path} is there already; name another file, or add --force to replace it")


def _held(beside: Path, path: Path) -> int:
    """The open file, locked: two exports to one name would write into each other."""
    handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(handle), beside.stat())  # else another process was done with it just now
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    except BaseException:
        os.close(handle)
        raise
    if not is_there:
        os.close(handle)
        raise ArchiveInUseError(f"another process is writing {path}; wait for it, or name another file")
    return handle

"""Write beside, fsync, rename, fsync the folder: what has its name is whole (design, law 9)."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVER_PREFIX = ".making-"
"""What an interrupted write leaves; never read, removed by the next writer."""


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
        _sync(one.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder)


def remove_leftovers(folder: Path) -> None:
    """Delete what interrupted writers left in `folder`; call it only while holding the archive's lock."""
    if not folder.is_dir():
        return
    for leftover in folder.glob(f"{LEFTOVER_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The listing of a folder: every file with its size and time, and whether it is audio or a licence."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from tenuto.audio import AUDIO_SUFFIXES, sniff
from tenuto.sources import paths

ROLES = ("audio", "licence")
"""What is read of a file; a folder that cannot be listed leaves both open for all below it."""

_OF_AN_ARCHIVE = frozenset(
    {b"tenuto.toml", b".tenuto.lock", b"evidence", b"catalogue", b"plans", b"crates", b"dark", b"measures", b"publication",
     b"reports", b"state"}
)  # fmt: skip
"""An archive that lies in its own source is not music; neither is another one."""

_LICENCE_NAMES = re.compile(r"(?:copyright|licen[cs]e|copying)(?:[.-][a-z0-9.+-]{1,20})?", re.IGNORECASE)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the listing; `path` is percent-encoded where it is no plain text."""

    path: str
    bytes: int
    mtime_ns: int
    role: str = "other"
    problem: str = ""


def read_listing(body: bytes) -> Iterator[Entry]:
    """The lines of a listing."""
    decoder = msgspec.json.Decoder(Entry)
    return (decoder.decode(line) for line in body.splitlines())


def walk(root: Path) -> Iterator[Entry]:
    """Every file below `root` in the order of its path's bytes; links and devices are named, not opened."""
    pending = [b""]
    entries = []
    base = os.fsencode(root)
    while pending:
        folder = pending.pop()
        try:
            children = list(os.scandir(os.path.join(base, folder)))  # noqa: PTH118 -- bytes, which Path has not
        except OSError as error:
            entries.append(Entry(paths.encode(folder), 0, 0, "folder", f"folder cannot be read: {error.strerror}"))
            continue
        is_archive = any(child.name == b"tenuto.toml" for child in children)
        for child in children:
            if is_archive and child.name in _OF_AN_ARCHIVE:
                continue
            path = os.path.join(folder, child.name)  # noqa: PTH118 -- bytes
            if child.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                entries.append(_entry(child, path))
    yield from sorted(entries, key=lambda entry: entry.path)


def _entry(child: os.DirEntry[bytes], path: bytes) -> Entry:
    shown = paths.encode(path)
    size = 0
    try:
        status = child.stat(follow_symlinks=False)
        size = status.st_size
        if stat.S_ISLNK(status.st_mode):
            is_named = _role(shown, b"") != "other" or os.path.isdir(child.path)  # noqa: PTH112 -- bytes
            return Entry(shown, 0, 0, "link", "a symbolic link, which is not followed" if is_named else "")
        if not stat.S_ISREG(status.st_mode):
            return Entry(shown, 0, 0, "device")
        with open(child.path, "rb") as file:  # noqa: PTH123 -- bytes
            role = _role(shown, file.read(16))
    except OSError as error:
        return Entry(shown, size, 0, _role(shown, b""), f"cannot be read: {error.strerror}")
    return Entry(shown, status.st_size, status.st_mtime_ns, role)


def _role(path: str, head: bytes) -> str:
    name = PurePosixPath(path)
    if name.suffix.lstrip(".").casefold() in AUDIO_SUFFIXES or sniff(head):
        return "audio"
    return "licence" if _LICENCE_NAMES.fullmatch(name.name) else "other"

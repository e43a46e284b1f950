"""The crates that a mirror holds: those that are whole and of the index's revision lie in `crates/`, all others in `incoming/`.

What is in `crates/` was proven when it came. A file goes from one folder to the other by a rename, its torrent with it.
"""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from tenuto.archive import Layout, write_durably
from tenuto.archive.durable import make_folder, move_durably, name_again, sync_folder
from tenuto.crates.follow import follow
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import METAINFO_MAX_BYTES, Metainfo, read_metainfo
from tenuto.crates.verify import inspect_crate
from tenuto.model.errors import IntegrityError
from tenuto.publication.documents import IndexCrate


def torrent_of(layout: Layout, crate: IndexCrate) -> Metainfo:
    """The torrent of a crate as the mirror's publication has it; raises IntegrityError where it is not the one of the index."""
    path = layout.publication / crate.torrent.path
    if crate.torrent.bytes > METAINFO_MAX_BYTES:
        raise IntegrityError(
            f"the torrent of {crate.crate} has {crate.torrent.bytes:,} bytes by the index, more than any crate's"
        )
    try:
        with path.open("rb") as file:
            found = read_metainfo(file.read(METAINFO_MAX_BYTES + 1), str(path))
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({error.strerror or error}); run: tenuto mirror") from None
    said = (found.name, found.length, found.piece_length, found.pieces_root.hex(), found.infohash_v1, found.infohash_v2)
    due = (
        f"{crate.crate}.zip",
        crate.bytes,
        crate.piece_length,
        crate.pieces_root,
        crate.infohash_v1,
        crate.infohash_v2,
    )
    if said != due:
        raise IntegrityError(f"{path} is the torrent of {said}, the index promises {due}")
    return found


def is_held(layout: Layout, crate: IndexCrate) -> bool:
    """Whether a crate lies here whole, in the revision of the index."""
    path = crate_path(layout, crate.crate)
    try:
        if path.stat().st_size != crate.bytes:
            return False
        beside = torrent_beside(path)
        about = beside.stat()
        return _infohash_v2(beside, about.st_mtime_ns, about.st_size, about.st_ino) == crate.infohash_v2
    except (OSError, IntegrityError):
        return False


@lru_cache(maxsize=100_000)
def _infohash_v2(torrent: Path, *_stamp: int) -> str:
    """The info-hash of a torrent file, read once for each state of it that this process has seen."""
    return read_metainfo(torrent.read_bytes(), torrent.name).infohash_v2


def begun(layout: Layout) -> set[str]:
    """The crates of which there is something here, whole or not."""
    return {path.stem for folder in (layout.crates, layout.incoming) for path in folder.glob("*.zip")}


def set_aside(layout: Layout, crates: Collection[str]) -> dict[str, OSError]:
    """Give out no longer what the index does not name as it is here; the files stay, in `incoming/`.

    Returns what hindered moving one, such as `crates/` being on another disk and no room here. It stays where it is, and is named
    nowhere.
    """
    for crate in crates:
        (layout.publication / "crates" / f"{crate}.zip").unlink(missing_ok=True)
    make_folder(layout.incoming)
    stuck = {}
    for crate in crates:
        path = crate_path(layout, crate)
        try:
            move_durably(path, layout.incoming / path.name)
        except OSError as error:
            stuck[crate] = error
    for torrent in layout.crates.glob("*.torrent"):
        if not torrent.with_suffix(".zip").exists():
            torrent.unlink()
    if layout.crates.is_dir():
        sync_folder(layout.crates)
    return stuck


def begin(layout: Layout, crate: IndexCrate) -> Path:
    """The file that the crate will be, with all that is known of it already: zeros where something was withdrawn."""
    make_folder(layout.incoming)
    path = layout.incoming / f"{crate.crate}.zip"
    is_older = path.exists() and path.stat().st_size != crate.bytes
    if crate.redacted or is_older:
        follow(path, crate.redacted, crate.bytes)
    return path


def remove_withdrawn(layout: Layout, crate: IndexCrate) -> None:
    """Write the zeros of what was withdrawn into each file of an older revision, wherever it lies."""
    for path in (crate_path(layout, crate.crate), layout.incoming / f"{crate.crate}.zip"):
        if path.exists():
            follow(path, crate.redacted, crate.bytes)


def install(layout: Layout, crate: IndexCrate, torrent: Metainfo) -> None:
    """Make a fetched crate one that is held, and link it into the publication.

    Raises IntegrityError where its bytes are those that were signed, and it is no crate all the same.
    """
    coming, path = layout.incoming / f"{crate.crate}.zip", crate_path(layout, crate.crate)
    findings = inspect_crate(coming)
    if findings:
        raise IntegrityError(
            f"{crate.crate} came as it was signed, and it is no sound crate ({findings[0].code}: {findings[0].message}); it is not "
            "given out: tell the archive"
        )
    with coming.open("rb") as file:
        os.fsync(file.fileno())
    make_folder(layout.crates)
    write_durably(torrent_beside(path), torrent.encode())
    with suppress(OSError):  # a disk without modes
        coming.chmod(0o644)
    move_durably(coming, path)
    name_again(path, layout.publication / "crates" / path.name)


def link_all(layout: Layout, crates: Iterable[IndexCrate]) -> list[str]:
    """Name every held crate in the publication, after a kill between the two; returns those that its disk cannot name."""
    paths = [crate_path(layout, crate.crate) for crate in crates]
    return [path.stem for path in paths if not name_again(path, layout.publication / "crates" / path.name)]


def make_room(layout: Layout, kept: set[str], bytes_wanted: int, bytes_allowed: int) -> list[str]:
    """Delete what lies in `incoming/` and is not to be kept, the oldest first, until there is room; returns these crates."""
    spare = sorted(
        (path for path in layout.incoming.glob("*.zip") if path.stem not in kept), key=lambda path: path.stat().st_mtime
    )
    used = sum(size_on_disk(path) for path in spare)
    gone = []
    for path in spare:
        if bytes_wanted + used <= bytes_allowed:
            break
        used -= size_on_disk(path)
        path.unlink()
        gone.append(path.stem)
    return gone


def size_on_disk(path: Path) -> int:
    """What a file takes, holes left out."""
    return path.stat().st_blocks * 512


def crate_path(layout: Layout, crate: str) -> Path:
    """Where a crate lies that is held."""
    return layout.crates / f"{crate}.zip"

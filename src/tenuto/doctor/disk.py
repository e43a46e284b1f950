"""Where the archive lies: a disk that lasts, can be written, has second names (hard links), holes, and numbers for new files."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tenuto.archive import Layout
from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.doctor.result import Result

_TOPIC = "disk"
_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_THE_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "davfs", "virtiofs"}
)
_FILE_MAX_BYTES = {"vfat": 2**32 - 1, "msdos": 2**32 - 1}
_INODES_WANTED = 50_000
"""A draft has up to 20,000 recordings in files of their own, and a core builds one."""

_INODES_MIN = 1_000
_HOLE_BYTES = 2**22


def look(layout: Layout, target_bytes: int, type_of: Callable[[Path], str] | None = None) -> list[Result]:
    """The file system of the archive, tried with a file of a few bytes; `target_bytes` is how large a crate becomes."""
    kind = (type_of or filesystem_of)(layout.root)
    results = [*_kind(layout.root, kind, target_bytes), *_tried(layout.root), *_inodes(layout.root), *_apart(layout)]
    return results or [Result(_TOPIC, "ok", f"{layout.root} is on {kind or 'a file system of unknown kind'}: it can be "
                              "written, and has hard links and holes")]  # fmt: skip


def filesystem_of(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that a folder is on (`ext4`); empty where nobody says."""
    place, found, longest = str(folder.resolve()), "", -1
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if not rest or len(fields.split()) < 5:  # noqa: PLR2004 -- the fifth field is the mount point (proc(5))
            continue
        mount = _unescaped(fields.split()[4])
        is_above = mount in {"/", place} or place.startswith(mount + "/")
        if is_above and len(mount) >= longest:  # of two on one place the later is seen
            found, longest = rest.split()[0], len(mount)
    return found


def has_hard_links(folder: Path) -> bool:
    """Whether a file in the folder can have a second name."""
    first, second = folder / "first", folder / "second"
    first.write_bytes(b"tenuto")
    try:
        os.link(first, second)
    except OSError:
        return False
    return first.samefile(second)


def has_holes(folder: Path) -> bool:
    """Whether zeros that were never written take no room."""
    file = folder / "hole"
    with file.open("wb") as sparse:
        sparse.truncate(_HOLE_BYTES)
        sparse.seek(_HOLE_BYTES - 1)
        sparse.write(b"\1")
        sparse.flush()
        os.fsync(sparse.fileno())
        return os.fstat(sparse.fileno()).st_blocks * 512 < _HOLE_BYTES // 2


def _kind(root: Path, kind: str, target_bytes: int) -> list[Result]:
    if kind in _IN_MEMORY:
        message = f"{root} lies in memory ({kind}): all of it is gone when the machine restarts"
        return [Result(_TOPIC, "bad", message, f"move the archive to a disk: cp -a {root} /path/on/a/disk/")]
    if kind in _OVER_THE_NETWORK or (kind.startswith("fuse.") and kind != "fuse.mergerfs"):
        message = f"{root} is on another machine or service ({kind}): its lock and its syncs are only as good as that"
        return [
            Result(
                _TOPIC, "warning", message, "work in the archive from one machine only; better keep it on a local disk"
            )
        ]
    if kind == "overlay":
        message = f"{root} is in the layer of a container (overlay): it goes when the container is removed"
        return [
            Result(
                _TOPIC,
                "warning",
                message,
                "mount a folder of the host there: podman run --volume /path/on/host:/archive",
            )
        ]
    if target_bytes > (most := _FILE_MAX_BYTES.get(kind, target_bytes)):
        message = f"{root} is on {kind}, whose files end at {most / 2**30:.0f} GiB; a crate is to have {target_bytes / 1e9:.3g} GB"
        remedy = 'set target_bytes = "4 GB" under [crates] in tenuto.toml, or move the archive to ext4, xfs or btrfs'
        return [Result(_TOPIC, "bad", message, remedy)]
    return []


def _tried(root: Path) -> list[Result]:
    """What a few small files say; they are removed again."""
    try:
        with tempfile.TemporaryDirectory(prefix=f"{LEFTOVER_PREFIX}doctor-", dir=root) as name:
            is_linking, is_sparse = has_hard_links(Path(name)), has_holes(Path(name))
    except OSError as error:
        message = f"nothing can be written in {root}: {error.strerror or error}"
        return [Result(_TOPIC, "bad", message, _remedy_of(root, error))]
    results = []
    if not is_linking:
        message = (
            f"{root} is on a file system without hard links: publication/crates/ gets symbolic links if it knows these, else none, "
            "and web servers cannot give out crates from there"
        )
        remedy = "let the web server follow symbolic links, or move the archive to ext4, xfs or btrfs"
        results.append(Result(_TOPIC, "warning", message, remedy))
    if not is_sparse:
        message = f"{root} is on a file system without holes: a recording that is withdrawn keeps its room in its crate"
        results.append(Result(_TOPIC, "note", message, "move the archive to ext4, xfs or btrfs if that is too much"))
    return results


def _remedy_of(root: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"free some room; what takes it: du -x {root} | sort -n | tail"
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        return (
            f"the file system is mounted read-only; look why (sudo dmesg | tail), then: sudo mount -o remount,rw {root}"
        )
    owner = root.stat().st_uid
    if os.getuid() not in {owner, 0}:
        return f"the folder belongs to user {owner}, you are {os.getuid()}: work as that user, or sudo chown -R $USER {root}"
    return f"chmod u+rwx {root}"


def _inodes(root: Path) -> list[Result]:
    found = os.statvfs(root)
    if not found.f_files or found.f_favail >= _INODES_WANTED:  # btrfs and others count none
        return []
    message = f"the disk of {root} has numbers (inodes) for {found.f_favail:,} more files only"
    if found.f_favail < _INODES_MIN:
        return [
            Result(
                _TOPIC,
                "bad",
                message,
                f"delete what is not needed there; who has them: du --inodes -x {root} | sort -n | tail",
            )
        ]
    return [
        Result(
            _TOPIC,
            "warning",
            message,
            "before a large keep, free some, or set recordings_max lower under [crates] in tenuto.toml",
        )
    ]


def _apart(layout: Layout) -> list[Result]:
    """Crates and their publication on two file systems: no file has names on both."""
    if not (layout.crates.exists() and layout.publication.exists()):
        return []
    public = layout.publication / "crates"
    if layout.crates.stat().st_dev == (public if public.exists() else layout.publication).stat().st_dev:
        return []
    message = (
        f"{layout.crates} and {layout.publication} are on two file systems: crates are given out by symbolic links"
    )
    return [
        Result(_TOPIC, "warning", message, "keep both on one file system, or let the web server follow symbolic links")
    ]


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text

"""The small files of a publication, brought into a mirror: each by its digest in the signed index, so who gave it is all one."""

import hashlib
import os
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from tenuto.archive import write_durably
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.crates.torrent import METAINFO_MAX_BYTES
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress
from tenuto.publication.documents import INDEX_NAME, PUBLIC_KEY_NAME, SIGNATURE_NAME, Index, public_pem, shard_address
from tenuto.publication.lookup import SHARD_MAX_BYTES, Signed, check_digest
from tenuto.publication.places import Place
from tenuto.swarm.beside import in_threads

_FILE_MAX_BYTES = 2**36
"""No table of tracks comes there: what promises more is an attack."""

_READ_WHOLE_BYTES = 16 * 2**20
"""A larger file goes to the disk as it comes."""

_FEW = 16
"""So many files, those of a round in which little changed, come one after the other: new threads in each round leave memory."""

_AT_ONCE = 4
"""Files asked for at a time: each costs a round trip and two syncs, and a page of a browser asks for as many."""


def promised(index: Index) -> dict[str, tuple[str, int]]:
    """Address -> SHA-256 and the bytes that it may have, of each small file."""
    files = [crate.layers for crate in index.crates]
    files += [
        crate.torrent for crate in index.crates if crate.torrent.bytes <= METAINFO_MAX_BYTES
    ]  # others are refused later
    files += [index.status, index.withdrawals, index.feed, index.page]
    found = {one.path: (one.sha256, one.bytes) for one in files}
    shards = index.shards.sha256.items()
    return found | {shard_address(prefix, sha256): (sha256, SHARD_MAX_BYTES) for prefix, sha256 in shards}


def bring(place: Place, root: Path, index: Index, progress: Progress) -> list[str]:
    """Fetch every small file that is missing in `root` or is another; returns their addresses.

    Raises IntegrityError where the place has other bytes, SkipRecordError where it has none.
    """
    wanted = {address: what for address, what in promised(index).items() if not _is_here(root / address, what[0])}
    progress.begin("small files", len(wanted), "files")
    works = [partial(_bring_one, place, root, address, *what) for address, what in wanted.items()]
    with closing(in_threads(works, _AT_ONCE) if len(works) > _FEW else (work() for work in works)) as brought:
        for _ in brought:
            progress.advance()
    return list(wanted)


def _bring_one(place: Place, root: Path, address: str, sha256: str, size: int) -> None:
    if size > _FILE_MAX_BYTES:
        raise IntegrityError(f"{place.name}/{address} has {size:,} bytes by the index, more than any has")
    if size > _READ_WHOLE_BYTES:
        _stream(place, address, size, sha256, root / address)
    else:
        content = place.read(address, max_bytes=size)
        check_digest(f"{place.name}/{address}", content, sha256)
        write_durably(root / address, content)


class _Written:
    """A sink that writes a file, and knows its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.begin()

    def begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.sha256 = hashlib.sha256()

    def write(self, part: bytes) -> None:
        self._file.write(part)
        self.sha256.update(part)


def _stream(place: Place, address: str, size: int, sha256: str, path: Path) -> None:
    """Fetch a file that is too large to be held in memory."""
    make_folder(path.parent)
    beside = path.with_name(f"{LEFTOVER_PREFIX}{path.name}")
    try:
        with beside.open("wb") as file:
            sink = _Written(file)
            place.stream(address, sink, 0, size)
            found = sink.sha256.hexdigest()
            if found != sha256:
                raise IntegrityError(  # noqa: TRY301 -- what is half there goes, as at a full disk
                    f"{place.name}/{address} has sha256 {found}, the index promises {sha256}"
                )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # a full disk stays no fuller
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_index(root: Path, signed: Signed) -> None:
    """Make this index the one that the mirror's publication shows; all that it refers to, but crates, must be there."""
    pem = public_pem(signed.index.signing_public)
    if not _has(root / PUBLIC_KEY_NAME, pem):
        write_durably(root / PUBLIC_KEY_NAME, pem)
    if not _has(root / SIGNATURE_NAME, signed.signature) or not _has(root / INDEX_NAME, signed.content):
        write_durably(root / SIGNATURE_NAME, signed.signature)
        write_durably(root / INDEX_NAME, signed.content)


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _is_here(path: Path, sha256: str) -> bool:
    try:
        about = path.stat()
    except OSError:
        return False
    return S_ISREG(about.st_mode) and _sha256_of(path, about.st_mtime_ns, about.st_size, about.st_ino) == sha256


@lru_cache(maxsize=100_000)
def _sha256_of(path: Path, *_stamp: int) -> str:
    """The digest of a file, taken once for each state of it that this process has seen."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

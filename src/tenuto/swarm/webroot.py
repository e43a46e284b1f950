"""The small files of a publication, brought into a mirror: each by its digest in the signed index, so who gave it is all one."""

import hashlib
from pathlib import Path

from tenuto.archive import write_durably
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress
from tenuto.publication.documents import INDEX_NAME, PUBLIC_KEY_NAME, SIGNATURE_NAME, Index, public_pem, shard_address
from tenuto.publication.lookup import SHARD_MAX_BYTES, Signed, check_digest
from tenuto.publication.places import Place

_FILE_MAX_BYTES = 2**32
"""A small file is read whole; a larger one is an attack, or an archive that this version cannot mirror."""


def promised(index: Index) -> dict[str, tuple[str, int]]:
    """Address -> SHA-256 and the bytes that it may have, of each small file."""
    files = [one for crate in index.crates for one in (crate.layers, crate.torrent)]
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
    for address, (sha256, size) in wanted.items():
        if size > _FILE_MAX_BYTES:
            raise IntegrityError(f"{place.name}/{address} has {size:,} bytes by the index, more than is read at once")
        content = place.read(address, max_bytes=size)
        check_digest(f"{place.name}/{address}", content, sha256)
        write_durably(root / address, content)
        progress.advance()
    return list(wanted)


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
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256

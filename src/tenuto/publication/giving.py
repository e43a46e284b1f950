"""Giving a crate out: its file, torrent and layers in the web root, and its line in the index."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import pyarrow as pa

from tenuto.archive import write_durably
from tenuto.archive.durable import make_folder, name_again, sync_folder
from tenuto.crates.merkle import HASH_BYTES, root_of
from tenuto.crates.reader import CrateFile, closing_leaves
from tenuto.crates.seal import LEAVES_NAME, torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.model.errors import IntegrityError
from tenuto.model.progress import Progress
from tenuto.model.units import counted
from tenuto.publication.clients import load_back
from tenuto.publication.documents import FileRef, Index, IndexCrate, LeavesRef, shard_address

Kind = Literal["metadata", "evidence", "recordings"]


@dataclass(frozen=True, slots=True)
class OpenCrate:
    """A crate to be given out."""

    file: CrateFile
    metainfo: Metainfo
    recordings: pa.Table


def open_crate(path: Path, recordings: pa.Table) -> OpenCrate:
    """A crate of the archive with its torrent and what it holds; raises IntegrityError where they do not fit."""
    file, torrent = CrateFile(path), torrent_beside(path)
    if file.crate != path.stem:
        raise IntegrityError(f"{path} is crate {file.crate} under another name; give it its own name back")
    if not torrent.is_file():
        raise IntegrityError(
            f"crate {file.crate} has no torrent beside it ({torrent}); run: tenuto keep, which finishes a crate that was "
            f"cut off while it was sealed, or tenuto check {file.crate}"
        )
    metainfo = read_metainfo(torrent.read_bytes(), str(torrent))
    if metainfo.name != path.name or metainfo.length != file.size:
        raise IntegrityError(f"crate {file.crate} is not what its torrent says; run: tenuto check {file.crate}")
    return OpenCrate(file, metainfo, recordings)


def give_out(root: Path, crate: OpenCrate, before: Mapping[str, IndexCrate]) -> IndexCrate:
    """Put a crate's file, torrent and layers into the web root; what is there already stays.

    `before` are the crates of the signed index that is published. Raises IntegrityError where the crate is damaged.
    """
    file, metainfo = crate.file, crate.metainfo
    leaves, known = file.leaves, before.get(file.crate)
    if known is None or known.infohash_v2 != metainfo.infohash_v2:
        load_back(metainfo)
    torrent = write_once(root, f"torrents/{file.crate}.r{file.revision}.torrent", metainfo.encode())
    address = f"layers/{file.crate}.r{file.revision}.layers"
    layers = _known_ref(root, address, metainfo, known) or write_once(root, address, _layers(file, metainfo))
    name_again(file.path, root / "crates" / file.path.name)
    return IndexCrate(
        crate=file.crate, kind=cast("Kind", file.kind), band=file.band, revision=file.revision,
        predecessor=file.info.get("Tenuto-Predecessor") or None, bytes=file.size, recordings=crate.recordings.num_rows,
        licences=_licences(crate.recordings), piece_length=metainfo.piece_length,
        pieces_root=metainfo.pieces_root.hex(), infohash_v1=metainfo.infohash_v1,
        infohash_v2=metainfo.infohash_v2, leaves=LeavesRef(offset=leaves.offset, count=leaves.bytes // HASH_BYTES), layers=layers,
        torrent=torrent, redacted=tuple((one.offset, one.bytes) for one in file.withdrawn()),
        addresses=(f"crates/{file.path.name}",),
    )  # fmt: skip


def _licences(recordings: pa.Table) -> tuple[str, ...]:
    return tuple(sorted({licence for licence in recordings["licence"].to_pylist() if licence}))


def _layers(file: CrateFile, metainfo: Metainfo) -> bytes:
    """The piece layer, then the closing leaves; raises IntegrityError where the crate's own leaves lead elsewhere."""
    closing = closing_leaves(file)
    if root_of(file.read(LEAVES_NAME) + closing, metainfo.piece_length) != metainfo.pieces_root:
        raise IntegrityError(
            f"crate {file.crate} is damaged: its leaves do not lead to its root; run: tenuto check {file.crate}"
        )
    return metainfo.layer + closing


def _known_ref(root: Path, address: str, metainfo: Metainfo, before: IndexCrate | None) -> FileRef | None:
    """A layers file that stands as the signed index has it, for this very crate: its leaves need not be read again."""
    path = root / address
    if before is None or before.infohash_v2 != metainfo.infohash_v2 or not path.is_file():
        return None
    found = _ref(address, path.read_bytes())
    return found if found == before.layers else None


def write_once(root: Path, address: str, content: bytes) -> FileRef:
    """Write a file of the publication, unless it stands there with these very bytes."""
    path = root / address
    if not path.is_file() or path.read_bytes() != content:
        write_durably(path, content)
    return _ref(address, content)


def _ref(address: str, content: bytes) -> FileRef:
    return FileRef(path=address, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def say_unnamed(root: Path, crates: Sequence[str], progress: Progress) -> None:
    """Say that crates have no name in the web root, if there are such: their disk knows no links, and no copy is made."""
    if crates:
        progress.say(
            f"{root / 'crates'} lacks {counted(len(crates), 'crate')}: its disk knows neither hard nor symbolic "
            "links, and nothing is stored twice; a web server cannot give them from there, the swarm can (tenuto seed); for "
            "both, move all to a disk that knows links, such as ext4, xfs or btrfs"
        )


def remove_stale(root: Path, index: Index, progress: Progress) -> None:
    """Delete what the index does not refer to: superseded shards, torrents and layers, crates given out no more."""
    kept = {one.path for crate in index.crates for one in (crate.torrent, crate.layers)}
    kept |= {address for crate in index.crates for address in crate.addresses}
    kept |= {shard_address(prefix, sha256) for prefix, sha256 in index.shards.sha256.items()}
    for folder in ("recordings", "torrents", "layers", "crates"):
        if (root / folder).is_symlink():
            progress.say(
                f"{root / folder} is a link: nothing is deleted behind it; what no index refers to may lie there"
            )
            continue
        for path in (root / folder).glob("*"):
            if path.is_dir() and not path.is_symlink():
                progress.say(f"{path} is a folder and none of ours; it is served with the rest: move it away")
            elif f"{folder}/{path.name}" not in kept:
                path.unlink(missing_ok=True)  # a check, which holds no lock, takes away the link that it tried
        make_folder(root / folder)
        sync_folder(root / folder)

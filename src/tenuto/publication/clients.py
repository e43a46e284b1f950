"""The one place that asks libtorrent: whether clients read a torrent as we wrote it."""

from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError


def load_back(metainfo: Metainfo) -> None:
    """Raise IntegrityError where libtorrent reads the torrent otherwise: other info-hashes, another file, no v1 or no v2."""
    import libtorrent  # noqa: PLC0415 -- heavy, and only new torrents are read back

    try:
        read = libtorrent.load_torrent_buffer(metainfo.encode()).ti
    except RuntimeError as error:
        raise IntegrityError(f"libtorrent does not read the torrent of {metainfo.name}: {error}") from None
    if read is None:
        raise IntegrityError(f"libtorrent reads no torrent in that of {metainfo.name}")
    hashes, files = read.info_hashes(), read.layout()
    found = (
        str(hashes.v1),
        str(hashes.v2),
        files.num_files(),
        files.file_path(0),
        files.file_size(0),
        read.piece_length(),
    )
    wanted = (metainfo.infohash_v1, metainfo.infohash_v2, 1, metainfo.name, metainfo.length, metainfo.piece_length)
    if found != wanted:
        raise IntegrityError(f"libtorrent reads the torrent of {metainfo.name} as {found}, it was written as {wanted}")

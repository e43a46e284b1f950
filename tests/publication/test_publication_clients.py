"""What libtorrent, which clients run, reads in our torrents."""

from dataclasses import replace

import pytest

from tenuto.crates.hashing import metainfo_of
from tenuto.crates.merkle import leaves_of, pieces_of
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import IntegrityError
from tenuto.publication.clients import load_back

PIECE = 2**20


def torrent(size: int) -> Metainfo:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    return metainfo_of("a-1-b-0001-01234567.zip", size, PIECE, leaves_of(content), pieces_of(content, PIECE))


@pytest.mark.parametrize("size", [1, 16_384, 16_385, PIECE, PIECE + 1, 5 * PIECE + 7])
def test_torrent_is_read_back_as_it_was_written(size):
    load_back(torrent(size))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../climbs.zip"},
        {"piece_length": 3},
        {"length": 2 * PIECE},
        {"layer": b"\0" * 32},
        {"name": "CON\0.zip"},
    ],
)
def test_torrent_that_clients_read_otherwise_is_refused(change):
    with pytest.raises(IntegrityError, match="libtorrent"):
        load_back(replace(torrent(3 * PIECE), **change))

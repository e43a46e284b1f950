"""Leaves, layers and roots against a tree written down naively from BEP 52, and against libtorrent."""

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.crates import merkle

PIECE = 65_536


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def naive_root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [sha256(a + b) for a, b in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def naive(content: bytes, piece: int) -> tuple[bytes, list[bytes]]:
    """BEP 52: leaves of 16 KiB, filled with zero hashes up to a power of two; the layer at pieces."""
    leaves = [sha256(content[at : at + 16_384]) for at in range(0, len(content), 16_384)]
    width = 1
    while width < len(leaves):
        width *= 2
    if len(content) > piece:
        width = max(width, piece // 16_384)
    leaves += [bytes(32)] * (width - len(leaves))
    step = piece // 16_384
    layer = [naive_root(leaves[at : at + step]) for at in range(0, -(-len(content) // 16_384), step)]
    return naive_root(leaves), layer if len(content) > piece else []


def content_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@given(st.integers(1, 700_000), st.sampled_from([16_384, 32_768, 65_536, 262_144]), st.integers(0, 9))
@settings(deadline=None, max_examples=150)
def test_root_and_layer_are_those_of_a_naive_tree(size: int, piece: int, seed: int) -> None:
    content = content_of(size, seed)
    root, layer = naive(content, piece)
    leaves = merkle.leaves_of(content)
    assert merkle.root_of(leaves, piece) == root
    if layer:
        assert merkle.layer_of(leaves, piece) == b"".join(layer)
        assert merkle.root_of_layer(b"".join(layer), piece) == root
        assert [
            merkle.piece_root(merkle.leaves_of(content[at : at + piece]), piece) for at in range(0, size, piece)
        ] == layer


@pytest.mark.parametrize(
    "size", [1, 16_383, 16_384, 16_385, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 4 * PIECE, 5 * PIECE + 1]
)
def test_sizes_around_blocks_and_pieces_are_right(size: int) -> None:
    content = content_of(size, size)
    assert merkle.root_of(merkle.leaves_of(content), PIECE) == naive(content, PIECE)[0]
    assert len(merkle.leaves_of(content)) == 32 * merkle.blocks_in(size)


@given(st.integers(0, 300_000))
@settings(deadline=None, max_examples=50)
def test_pieces_are_sha1_of_pieces(size: int) -> None:
    content = content_of(size, 1)
    assert merkle.pieces_of(content, PIECE) == b"".join(
        hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, size, PIECE)
    )


def test_leaves_of_zeros_are_known_without_hashing_them() -> None:
    assert merkle.zero_leaves(3) == merkle.leaves_of(bytes(3 * 16_384))


@pytest.mark.parametrize(
    ("size", "piece"),
    [(1, 2**20), (16 * 2**30, 2**20), (16 * 2**30 + 1, 2**22), (128 * 2**30, 2**22), (128 * 2**30 + 1, 2**23)],
)
def test_pieces_grow_with_the_crate(size: int, piece: int) -> None:
    assert merkle.piece_length(size) == piece


@pytest.mark.parametrize("size", [1, 16_384, 70_000, 1_048_576, 1_048_577, 5_000_000])
def test_root_and_layer_are_those_of_libtorrent(tmp_path: Path, size: int) -> None:
    lt = pytest.importorskip("libtorrent")
    content = content_of(size, 3)
    (tmp_path / "a.zip").write_bytes(content)
    made = lt.create_torrent(lt.list_files(str(tmp_path / "a.zip")), 2**20, lt.create_torrent.v2_only)
    lt.set_piece_hashes(made, str(tmp_path))
    made = made.generate()
    file = made[b"info"][b"file tree"][b"a.zip"][b""]
    leaves = merkle.leaves_of(content)
    assert file[b"pieces root"] == merkle.root_of(leaves, 2**20)
    if size > 2**20:
        assert made[b"piece layers"][file[b"pieces root"]] == merkle.layer_of(leaves, 2**20)

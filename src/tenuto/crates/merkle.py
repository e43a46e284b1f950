"""The two kinds of hashes a crate file is held by: SHA-1 pieces (BEP 3) and the SHA-256 Merkle tree (BEP 52). Pure.

Leaves are SHA-256 digests of 16 KiB blocks, kept one after the other in one bytes object: 32 bytes each.
"""

import hashlib

BLOCK_BYTES = 16 * 1024
"""What a leaf covers (BEP 52)."""

HASH_BYTES = 32
NO_LEAF = bytes(HASH_BYTES)
"""Stands for a block behind the end of the file (BEP 52)."""

MIB = 2**20
_PIECES = ((16 * 2**30, MIB), (128 * 2**30, 4 * MIB))


def piece_length(file_bytes: int) -> int:
    """Bytes of a piece: 1 MiB up to 16 GiB, 4 MiB up to 128 GiB, 8 MiB above (design, section 4)."""
    return next((piece for limit, piece in _PIECES if file_bytes <= limit), 8 * MIB)


def blocks_in(file_bytes: int) -> int:
    """How many leaves a file has."""
    return -(-file_bytes // BLOCK_BYTES)


def leaves_of(content: bytes | bytearray | memoryview) -> bytes:
    """The leaves of bytes that begin on a block; the last block may be short."""
    view, sha256 = memoryview(content), hashlib.sha256
    return b"".join([sha256(view[at : at + BLOCK_BYTES]).digest() for at in range(0, len(view), BLOCK_BYTES)])


def pieces_of(content: bytes | bytearray | memoryview, piece_bytes: int) -> bytes:
    """The SHA-1 hashes of the pieces of bytes that begin on a piece: 20 bytes each."""
    view, sha1 = memoryview(content), hashlib.sha1
    return b"".join(
        [sha1(view[at : at + piece_bytes], usedforsecurity=False).digest() for at in range(0, len(view), piece_bytes)]
    )


def layer_of(leaves: bytes | bytearray, piece_bytes: int) -> bytes:
    """The piece layer: the hash of each piece from its leaves, the last piece filled up with NO_LEAF."""
    step = piece_bytes // BLOCK_BYTES * HASH_BYTES
    width = piece_bytes // BLOCK_BYTES
    return b"".join([_root(leaves[at : at + step], width, NO_LEAF) for at in range(0, len(leaves), step)])


def root_of(leaves: bytes | bytearray, piece_bytes: int) -> bytes:
    """The pieces root of a file by its leaves."""
    count = len(leaves) // HASH_BYTES
    if count <= piece_bytes // BLOCK_BYTES:
        return _root(leaves, _power_of_two(count), NO_LEAF)
    return root_of_layer(layer_of(leaves, piece_bytes), piece_bytes)


def root_of_layer(layer: bytes, piece_bytes: int) -> bytes:
    """The pieces root of a file that is longer than one piece, by its piece layer."""
    width = _power_of_two(len(layer) // HASH_BYTES)
    return _root(layer, width, _root(b"", piece_bytes // BLOCK_BYTES, NO_LEAF))


def piece_root(leaves: bytes, piece_bytes: int) -> bytes:
    """The hash of one piece by its leaves, those behind the end of the file left out."""
    return _root(leaves, piece_bytes // BLOCK_BYTES, NO_LEAF)


def _root(hashes: bytes | bytearray, width: int, filler: bytes) -> bytes:
    """The root over `width` (a power of two) hashes, those that are missing being `filler`."""
    sha256 = hashlib.sha256
    while width > 1:
        if len(hashes) // HASH_BYTES % 2:
            hashes = hashes + filler  # a new one: a bytearray is its owner's
        hashes = b"".join([sha256(hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
        filler = sha256(filler + filler).digest()
        width //= 2
    return bytes(hashes) or filler


def _power_of_two(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()


def zero_leaves(blocks: int) -> bytes:
    """The leaves of so many whole blocks of zeros."""
    return hashlib.sha256(bytes(BLOCK_BYTES)).digest() * blocks

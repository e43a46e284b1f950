"""Proving that bytes of a crate are the ones that its Merkle root was signed for (docs/format.md, Publication). Pure.

A recording begins on a block; it touches some pieces. Its own leaves and those of the other blocks of these pieces give the
hashes of the pieces, which the piece layer must hold; the layer must lead to the root. A crate of one piece has no layer: its
leaves lead to the root.
"""

from dataclasses import dataclass

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, blocks_in, piece_root, root_of, root_of_layer
from tenuto.model.errors import IntegrityError
from tenuto.publication.documents import IndexCrate, Location


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks of a recording (`first` to before `past`) and those of the pieces that it touches (`begin` to before `end`)."""

    begin: int
    first: int
    past: int
    end: int


def check_location(crate: IndexCrate, location: Location) -> None:
    """Raise IntegrityError where a location is none that this crate can have."""
    here = f"the shard says that {location.path!a} lies at byte {location.offset:,} of crate {crate.crate}"
    if crate.kind != "recordings":
        raise IntegrityError(f"{here}, which holds no recordings but {crate.kind}")
    if location.offset % BLOCK_BYTES:
        raise IntegrityError(f"{here}, which is no multiple of {BLOCK_BYTES:,}")
    end = location.offset + location.bytes
    if location.bytes == 0 or end > crate.bytes:
        raise IntegrityError(f"{here} and has {location.bytes:,} bytes; the crate has {crate.bytes:,}")
    for offset, size in crate.redacted:
        if location.offset < offset + size and offset < end:
            raise IntegrityError(
                f"{here}, which was withdrawn from it: bytes {offset:,} to {offset + size:,} are zeros"
            )


def span_of(crate: IndexCrate, location: Location) -> Span:
    """Which blocks a checked location has, and which ones its proof needs."""
    step = crate.piece_length // BLOCK_BYTES
    first, past = location.offset // BLOCK_BYTES, blocks_in(location.offset + location.bytes)
    return Span(first // step * step, first, past, min(-(-past // step) * step, crate.blocks))


def bytes_to_read(crate: IndexCrate, location: Location) -> int:
    """From the recording's first byte to the end of its last block."""
    return min(blocks_in(location.offset + location.bytes) * BLOCK_BYTES, crate.bytes) - location.offset


def split_layers(crate: IndexCrate, layers: bytes) -> tuple[bytes, bytes]:
    """The piece layer and the closing leaves of a layers file; raises IntegrityError where the layer misses the root."""
    layer, closing = layers[: crate.layer_bytes], layers[crate.layer_bytes :]
    if layer:
        found = root_of_layer(layer, crate.piece_length).hex()
        if found != crate.pieces_root:
            raise IntegrityError(
                f"{crate.layers.path} leads to the root {found}, the index promises {crate.pieces_root} "
                f"for crate {crate.crate}"
            )
    return layer, closing


def check_pieces(crate: IndexCrate, span: Span, leaves: bytes, layer: bytes) -> int:
    """How many pieces the leaves of `span.begin` to before `span.end` prove; raises IntegrityError at the first that differs.

    `layer` is one that leads to the root; empty for a crate of one piece.
    """
    step = crate.piece_length // BLOCK_BYTES
    if not layer:
        _compare(crate, 0, root_of(leaves, crate.piece_length).hex(), crate.pieces_root)
        return 1
    pieces = range(span.begin // step, -(-span.end // step))
    for piece in pieces:
        at = (piece * step - span.begin) * HASH_BYTES
        found = piece_root(leaves[at : at + step * HASH_BYTES], crate.piece_length)
        _compare(crate, piece, found.hex(), layer[piece * HASH_BYTES : (piece + 1) * HASH_BYTES].hex())
    return len(pieces)


def _compare(crate: IndexCrate, piece: int, found: str, promised: str) -> None:
    if found != promised:
        raise IntegrityError(
            f"piece {piece} of crate {crate.crate} hashes to {found}, the signed root promises {promised}: "
            "the bytes that came, or the leaves beside them, are not the crate's"
        )

"""A crate as a torrent: metainfo of a single-file hybrid (BEP 3 and BEP 52), written and read strictly. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, root_of_layer
from tenuto.model.errors import IntegrityError

CREATED_BY = "tenuto"
METAINFO_MAX_BYTES = 16 * 2**20
"""A crate of 128 GiB has 1.7 MB of metainfo; a larger file than this is no crate's."""

_SHA1_BYTES = 20
_DEPTH_MAX = 20


@dataclass(frozen=True, slots=True)
class Metainfo:
    """What a crate's torrent says: the file's name and length, its pieces (SHA-1) and its piece layer (SHA-256)."""

    name: str
    length: int
    piece_length: int
    pieces: bytes
    pieces_root: bytes
    layer: bytes

    def info(self) -> dict[str, Any]:
        """The info dictionary, whose digests are the info-hashes."""
        return {
            "file tree": {self.name: {"": {"length": self.length, "pieces root": self.pieces_root}}},
            "length": self.length,
            "meta version": 2,
            "name": self.name,
            "piece length": self.piece_length,
            "pieces": self.pieces,
        }

    def encode(self) -> bytes:
        """The torrent file."""
        layers = {self.pieces_root: self.layer} if self.layer else {}
        return bencode({"created by": CREATED_BY, "info": self.info(), "piece layers": layers})

    @property
    def infohash_v1(self) -> str:
        """SHA-1 of the info dictionary, hex (BEP 3)."""
        return hashlib.sha1(bencode(self.info()), usedforsecurity=False).hexdigest()

    @property
    def infohash_v2(self) -> str:
        """SHA-256 of the info dictionary, hex (BEP 52)."""
        return hashlib.sha256(bencode(self.info())).hexdigest()


def read_metainfo(content: bytes, what: str) -> Metainfo:
    """The metainfo in a torrent file; raises IntegrityError where it is not one that a crate has.

    Stricter than clients: the piece layers must be there and lead to the root, nothing may be unsorted or left over.
    """
    try:
        found = _metainfo(bdecode(content))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise IntegrityError(f"{what} is no torrent of a crate ({error})") from None
    if found.encode() != content:
        raise IntegrityError(f"{what} holds more or other than a crate's torrent does")
    return found


def _metainfo(values: Any) -> Metainfo:
    info = values[b"info"]
    name = info[b"name"].decode()
    file = info[b"file tree"][info[b"name"]][b""]
    root, size, piece = file[b"pieces root"], file[b"length"], info[b"piece length"]
    layer = values[b"piece layers"].get(root, b"")
    _check(isinstance(size, int) and size > 0 and size == info[b"length"], "its lengths differ")
    _check(isinstance(piece, int) and piece >= BLOCK_BYTES and piece & (piece - 1) == 0, f"pieces of {piece} bytes")
    count = -(-size // piece)
    _check(len(info[b"pieces"]) == count * _SHA1_BYTES, f"{len(info[b'pieces'])} bytes of pieces for {count} pieces")
    _check(len(root) == HASH_BYTES, "its root is no SHA-256")
    _check(
        bool(layer) == (count > 1) and len(values[b"piece layers"]) == (count > 1), "it has layers of something else"
    )
    if count > 1:
        _check(len(layer) == count * HASH_BYTES, f"{len(layer)} bytes of piece layer for {count} pieces")
        _check(root_of_layer(layer, piece) == root, "its piece layer does not lead to its root")
    return Metainfo(name, size, piece, info[b"pieces"], root, layer)


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)


def bencode(value: Any) -> bytes:
    """Bencoding (BEP 3) of dicts with str or bytes keys, lists, integers, str and bytes."""
    match value:
        case bool():
            raise TypeError("bencoding has no booleans")
        case int():
            return b"i%de" % value
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            items = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
            return b"d" + b"".join(bencode(key) + bencode(item) for key, item in items) + b"e"
    raise TypeError(f"bencoding has no {type(value).__name__}")


def bdecode(content: bytes) -> Any:
    """The value of bencoded bytes, strings as bytes; raises ValueError where they are not exactly one value."""
    if len(content) > METAINFO_MAX_BYTES:
        raise ValueError(f"{len(content)} bytes are more than a crate's torrent has")
    value, end = _decode(content, 0, 0)
    if end != len(content):
        raise ValueError(f"{len(content) - end} bytes follow its end")
    return value


def _decode(content: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEPTH_MAX:
        raise ValueError("it is nested too deep")
    kind = content[at : at + 1]
    if kind == b"i":
        end = content.index(b"e", at, at + 24)
        return _integer(content[at + 1 : end]), end + 1
    if kind == b"l":
        items, at = [], at + 1
        while content[at : at + 1] != b"e":
            item, at = _decode(content, at, depth + 1)
            items.append(item)
        return items, at + 1
    if kind == b"d":
        found: dict[bytes, Any] = {}
        at += 1
        while content[at : at + 1] != b"e":
            key, at = _decode(content, at, depth + 1)
            if not isinstance(key, bytes) or (found and key <= next(reversed(found))):
                raise ValueError("its keys are not sorted byte strings")
            found[key], at = _decode(content, at, depth + 1)
        return found, at + 1
    colon = content.index(b":", at, at + 12)
    length = _integer(content[at:colon])
    if length < 0 or colon + 1 + length > len(content):
        raise ValueError(f"a string of {length} bytes reaches over its end")
    return content[colon + 1 : colon + 1 + length], colon + 1 + length


def _integer(digits: bytes) -> int:
    value = int(digits)
    if b"%d" % value != digits:
        raise ValueError(f"{digits!r} is no bencoded integer")
    return value

"""The signed documents of a publication, checked whole before anything in them is believed (docs/format.md, Publication).

A document that fails raises IntegrityError: it is not what a publication promises to hold. What depends on one another within
a document (bounds, counts, sums) is checked here; what depends on other bytes is checked where these are read.
"""

import hashlib
import json
import re
from typing import Annotated, Any, Literal, Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, blocks_in
from tenuto.model.documents import Document
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import SOURCE_NAME

INDEX_FORMAT = "tenuto-index-1"
SHARD_FORMAT = "tenuto-shard-1"
INDEX_NAME = "index.json"
SIGNATURE_NAME = "index.json.sig"
PUBLIC_KEY_NAME = "signing.pub.pem"
SIGNATURE_BYTES = 64
"""Of an Ed25519 signature (RFC 8032)."""

SHARD_DIGITS_MAX = 4
PATH_MAX_CHARS = 1024
PIECE_MAX_BYTES = 64 * 2**20
"""Eight times the longest piece of a crate: the leaves of one piece stay small."""

_NUMBER_MAX = 2**63 - 1
_MISTAKES_SHOWN = 3
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS = re.compile(r"[A-Za-z0-9._/-]+")


def _relative(path: str) -> str:
    parts = path.split("/")
    if _HIDDEN.search(path) or any(char in path for char in '\\:*?"<>|%'):
        raise ValueError("has characters that no path here has")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("is no relative path")
    return path


def _address(path: str) -> str:
    if not _ADDRESS.fullmatch(path):
        raise ValueError("has characters that no address here has")
    return _relative(path)


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("is no power of two")
    return value


Count = Annotated[int, Field(ge=0, le=_NUMBER_MAX)]
Hex40 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Prefix = Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{0,{SHARD_DIGITS_MAX}}}$")]
Path = Annotated[str, StringConstraints(min_length=1, max_length=PATH_MAX_CHARS), AfterValidator(_relative)]
"""A path within a crate: as its names are."""

Address = Annotated[str, StringConstraints(min_length=1, max_length=PATH_MAX_CHARS), AfterValidator(_address)]
"""An address of the publication, relative to its root: nothing in it needs an escape in a URL."""

CrateName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}$")]
Archive = Annotated[str, StringConstraints(pattern=rf"^{SOURCE_NAME.pattern}$")]
Moment = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$")]


class _Strict(Document):
    """Numbers are numbers, texts are texts: nothing is turned into what it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileRef(_Strict):
    """A file of the publication, by its digest."""

    path: Address
    bytes: Count
    sha256: Hex64


class WithdrawalsRef(FileRef):
    """The list of withdrawals and how many lines it has."""

    entries: Count


class LeavesRef(_Strict):
    """Where the data of `leaves.bin` begin in the crate file, and how many leaves they are."""

    offset: Count
    count: Count


class DarkCrate(_Strict):
    """A crate that is kept and not given out: that it exists, and how large it is."""

    crate: CrateName
    band: str
    recordings: Count
    bytes: Count


class IndexCrate(_Strict):
    """An open crate as the index has it."""

    crate: CrateName
    kind: Literal["metadata", "evidence", "recordings"]
    band: str
    revision: Count
    predecessor: Hex64 | None
    bytes: Annotated[int, Field(gt=0, le=_NUMBER_MAX)]
    recordings: Count
    licences: tuple[str, ...]
    """Of its recordings, each once, sorted: the SPDX expressions that they are given out under."""
    piece_length: Annotated[int, Field(ge=BLOCK_BYTES, le=PIECE_MAX_BYTES), AfterValidator(_power_of_two)]
    pieces_root: Hex64
    infohash_v1: Hex40
    infohash_v2: Hex64
    leaves: LeavesRef
    layers: FileRef
    torrent: FileRef
    redacted: tuple[tuple[Count, Count], ...]
    addresses: Annotated[tuple[Address, ...], Field(min_length=1)]

    @property
    def blocks(self) -> int:
        """How many leaves its Merkle tree has."""
        return blocks_in(self.bytes)

    @property
    def layer_bytes(self) -> int:
        """How long its piece layer is: none where it is no longer than one piece."""
        return 0 if self.bytes <= self.piece_length else -(-self.bytes // self.piece_length) * HASH_BYTES

    @model_validator(mode="after")
    def _fits(self) -> Self:
        end = self.leaves.offset + self.leaves.count * HASH_BYTES
        if end > self.bytes or self.leaves.count > self.leaves.offset // BLOCK_BYTES:
            raise ValueError(f"leaves of {self.crate} reach over what they are leaves of")
        promised = self.layer_bytes + (self.blocks - self.leaves.count) * HASH_BYTES
        if self.layers.bytes != promised:
            raise ValueError(f"layers of {self.crate} have {self.layers.bytes} bytes, not {promised}")
        behind = 0
        for offset, size in self.redacted:
            if offset < behind or offset + size > self.bytes:
                raise ValueError(f"redacted ranges of {self.crate} overlap, are unsorted or reach over its end")
            behind = offset + size
        return self


class Shards(_Strict):
    """The shards that there are, by prefix."""

    digits: Annotated[int, Field(ge=0, le=SHARD_DIGITS_MAX)]
    sha256: dict[Prefix, Hex64]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(len(prefix) != self.digits for prefix in self.sha256):
            raise ValueError(f"a prefix has not {self.digits} digits")
        return self


class Index(_Strict):
    """`index.json`."""

    format: Literal["tenuto-index-1"]
    archive: Archive
    contact: str
    territory: str
    sequence: Count
    published_at: Moment
    signing_public: Hex64
    edition: str
    sources: tuple[Archive, ...]
    tracks: Count
    statuses: dict[str, Count]
    crates: tuple[IndexCrate, ...]
    dark: tuple[DarkCrate, ...]
    shards: Shards
    status: FileRef
    withdrawals: WithdrawalsRef
    feed: FileRef
    page: FileRef

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(self.statuses.values()) != self.tracks:
            raise ValueError(f"statuses add up to {sum(self.statuses.values())}, not to {self.tracks} tracks")
        names = [*(one.crate for one in self.crates), *(one.crate for one in self.dark)]
        if len(names) != len(set(names)):
            raise ValueError("a crate stands in it twice")
        return self


class Location(_Strict):
    """Where one recording lies: its data begin at `offset` of the crate file."""

    crate: CrateName
    path: Path
    offset: Count
    bytes: Count
    sha256: Hex64


class Shard(_Strict):
    """A part of the recordings: by track key and by the SHA-256 of the recording."""

    format: Literal["tenuto-shard-1"]
    prefix: Prefix
    entries: dict[Hex64, Annotated[tuple[Location, ...], Field(min_length=1)]]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not all(key.startswith(self.prefix) for key in self.entries):
            raise ValueError(f"an entry does not begin with {self.prefix!r}")
        return self


D = TypeVar("D", bound=_Strict)


def parse_index(content: bytes) -> Index:
    """The index in these bytes; raises IntegrityError where they are none, or of a format that is not known here."""
    return _parse(Index, content, INDEX_FORMAT, "the index")


def parse_shard(content: bytes) -> Shard:
    """The shard in these bytes; raises as `parse_index` does."""
    return _parse(Shard, content, SHARD_FORMAT, "the shard")


def encode_index(index: Index) -> bytes:
    """The bytes of `index.json`: the same index, the same bytes."""
    return _encode(index)


def encode_shard(shard: Shard) -> bytes:
    """The bytes of a shard: the same entries, the same bytes."""
    return _encode(shard)


def shard_name(prefix: str, content: bytes) -> str:
    """Where a shard of these bytes lies."""
    return shard_address(prefix, hashlib.sha256(content).hexdigest())


def shard_address(prefix: str, sha256: str) -> str:
    """Where a shard of this SHA-256 lies."""
    return f"recordings/{prefix}-{sha256[:8]}.json"


def sign(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """The Ed25519 signature over bytes."""
    return key.sign(content)


def verify_index(content: bytes, signature: bytes, public_hex: str) -> None:
    """Raise IntegrityError where the signature over these bytes is not this key's."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex)).verify(signature, content)
    except (InvalidSignature, ValueError):
        raise IntegrityError(
            f"{SIGNATURE_NAME} ({len(signature)} bytes) is no signature by the key {public_hex} over these "
            f"{len(content):,} bytes of {INDEX_NAME}"
        ) from None


def public_pem(signing_public: str) -> bytes:
    """An Ed25519 public key as SubjectPublicKeyInfo in PEM (RFC 8410), from its hex."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signing_public))
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _encode(document: Document) -> bytes:
    values = document.model_dump(mode="json")
    return (json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _parse(model: type[D], content: bytes, known: str, what: str) -> D:
    try:
        values: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is no JSON ({error}); it begins with {content[:24]!r}") from None
    said = values.get("format") if isinstance(values, dict) else None
    if said != known:
        raise IntegrityError(f"{what} is of format {str(said)[:40]!r}; this version reads {known}")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        listed = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in found[:_MISTAKES_SHOWN])
        more = f"; and {len(found) - _MISTAKES_SHOWN} more" if len(found) > _MISTAKES_SHOWN else ""
        raise IntegrityError(f"{what} is not as {known} has it: {listed}{more}") from None


def _place(parts: tuple[int | str, ...]) -> str:
    """Where in a document, in a form that a terminal can be shown."""
    return ascii(".".join(map(str, parts)))[1:-1][:120]

"""Shards: from a track, or the SHA-256 of a recording, to where it lies (docs/format.md, Publication). Pure."""

import json
from collections.abc import Mapping, Sequence

from tenuto.publication.documents import SHARD_DIGITS_MAX, Location, Shard, encode_shard

SHARD_BYTES = 32_768
"""What a shard may have, so that taking one song costs little beside it."""


def cut(entries: Mapping[str, Sequence[Location]]) -> tuple[int, dict[str, bytes]]:
    """The number of digits of the prefixes, and each shard's bytes by its prefix: the fewest digits that are enough."""
    sizes = {key: _entry_bytes(key, places) for key, places in entries.items()}
    for digits in range(1, SHARD_DIGITS_MAX + 1):
        if digits == SHARD_DIGITS_MAX or _largest(sizes, digits) <= SHARD_BYTES:
            break
    return digits, _shards(entries, digits)


def _entry_bytes(key: str, places: Sequence[Location]) -> int:
    """How long an entry is in its shard, the comma behind it included."""
    listed = json.dumps([place.model_dump() for place in places], ensure_ascii=False, separators=(",", ":"))
    return len(f'"{key}":{listed},'.encode())


def _largest(sizes: Mapping[str, int], digits: int) -> int:
    """The bytes of the largest shard."""
    frame = len(encode_shard(Shard(format="tenuto-shard-1", prefix="0" * digits, entries={}))) - 1
    found: dict[str, int] = {}
    for key, size in sizes.items():
        found[key[:digits]] = found.get(key[:digits], frame) + size
    return max(found.values(), default=0)


def _shards(entries: Mapping[str, Sequence[Location]], digits: int) -> dict[str, bytes]:
    grouped: dict[str, dict[str, tuple[Location, ...]]] = {}
    for key in sorted(entries):
        grouped.setdefault(key[:digits], {})[key] = tuple(entries[key])
    return {
        prefix: encode_shard(Shard(format="tenuto-shard-1", prefix=prefix, entries=found))
        for prefix, found in grouped.items()
    }

"""Shards: from a track, or the SHA-256 of a recording, to where it lies (docs/format.md, Publication). Pure."""

from collections.abc import Iterable, Mapping

from tenuto.publication.documents import SHARD_DIGITS_MAX, Location, Shard, encode_shard

SHARD_BYTES = 32_768
"""What a shard may have, so that taking one song costs little beside it."""


def cut(entries: Mapping[str, Iterable[Location]]) -> tuple[int, dict[str, bytes]]:
    """The number of digits of the prefixes, and each shard's bytes by its prefix: the fewest digits that are enough."""
    for digits in range(1, SHARD_DIGITS_MAX + 1):
        shards = _shards(entries, digits)
        if all(len(content) <= SHARD_BYTES for content in shards.values()):
            break
    return digits, shards


def _shards(entries: Mapping[str, Iterable[Location]], digits: int) -> dict[str, bytes]:
    grouped: dict[str, dict[str, tuple[Location, ...]]] = {}
    for key in sorted(entries):
        grouped.setdefault(key[:digits], {})[key] = tuple(entries[key])
    return {
        prefix: encode_shard(Shard(format="tenuto-shard-1", prefix=prefix, entries=found))
        for prefix, found in grouped.items()
    }

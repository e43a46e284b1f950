"""Which band a track is in, what is kept for it, and how many bytes that will be."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tenuto.selection.candidates import Candidates, Ints
from tenuto.selection.value import durations_s

OPUS_OVERHEAD_FRAC = 0.015
OPUS_HEAD_BYTES = 4096
"""Ogg pages and lacing add 1-1.5 % to an Opus stream of 60-120 kbit/s (RFC 3533, RFC 7845), tags and headers a few kB."""

ORIGINAL = "original"
NONE = "none"


class BandLike(Protocol):
    """A band of the policy."""

    name: str
    popularity_min: int
    listens_min: int
    tier: str


def band_numbers(tracks: Candidates, bands: Sequence[BandLike]) -> Ints:
    """The number of each track's band: the first that its popularity or, without one, its listens reach.

    Where a source tells neither, nothing says that a track is unheard: it is in the first band.
    """
    heard = tracks.assumed_listens
    numbers = np.full(len(tracks), len(bands) - 1, dtype=np.int64)
    for number in range(len(bands) - 1, -1, -1):
        band = bands[number]
        by_popularity = (tracks.popularity >= 0) & (tracks.popularity >= band.popularity_min)
        by_listens = (tracks.popularity < 0) & (heard >= 0) & (heard >= band.listens_min)
        numbers[by_popularity | by_listens] = number
    numbers[(tracks.popularity < 0) & (heard < 0)] = 0
    return numbers


def original_bytes(tracks: Candidates) -> Ints:
    """Bytes of the original as the source says, else from bit rate and duration; -1 where neither tells."""
    from_rate = (tracks.bit_rate_bps > 0) & (tracks.duration_ms > 0)
    estimated = np.where(from_rate, tracks.bit_rate_bps / 8 * tracks.duration_ms / 1000, -1)
    return np.where(tracks.bytes >= 0, tracks.bytes, estimated).astype(np.int64)


def opus_bytes(tracks: Candidates, kbit_per_s: int) -> Ints:
    """What an Opus derivative will take: bit rate times duration, and the container."""
    stream = kbit_per_s * 125 * durations_s(tracks)
    return np.ceil(stream * (1 + OPUS_OVERHEAD_FRAC) + OPUS_HEAD_BYTES).astype(np.int64)


def choose_tiers(
    tracks: Candidates, band: Ints, bands: Sequence[BandLike], *, lossy_to_lossy: bool
) -> tuple[list[str], Ints, list[str]]:
    """For each track its tier, the bytes that it will take, and why the tier differs from its band's (else empty).

    A lossy original stays as it is unless the policy says otherwise in words; so does one of which the source does not
    say whether it is lossless, and one that is smaller than its derivative would be.
    """
    originals = original_bytes(tracks)
    tiers = np.array([bands[number].tier for number in band], dtype=object)
    sizes = originals.copy()
    reasons = np.full(len(tracks), "", dtype=object)
    for tier in sorted({entry.tier for entry in bands if entry.tier not in {ORIGINAL, NONE}}):
        wanted = tiers == tier
        derived = opus_bytes(tracks, int(tier.partition("-")[2]))
        lossy = wanted & (tracks.lossless != 1) & (not lossy_to_lossy)
        small = wanted & ~lossy & (originals >= 0) & (originals <= derived)
        reasons[lossy & (tracks.lossless == 0)] = "a lossy original stays as it is"
        reasons[lossy & (tracks.lossless < 0)] = "not known to be lossless, so it stays as it is"
        reasons[small] = f"the original is smaller than {tier} would be"
        tiers[lossy | small] = ORIGINAL
        derive = wanted & ~lossy & ~small
        sizes[derive] = derived[derive]
        reasons[derive & (tracks.lossless != 1)] = "lossy to lossy, as the policy says in words"
    return list(tiers), sizes, list(reasons)

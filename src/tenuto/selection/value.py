"""What a track is worth to the archive: listens, weighted by how long they last.

Where a source gives no counts, its order stands in (1/rank) or its popularity; where it gives nothing, every track
weighs the same. Only counts are listens: no share of listens is made from the rest.
"""

import numpy as np

from tenuto.selection.candidates import Candidates, Floats

_FALLBACK_DURATION_S = 210.0
"""The mean of recordings in the field, where an edition knows no duration at all (facts of the field, section 6)."""


def weights(tracks: Candidates) -> Floats:
    """How much each track is heard, as far as its source tells; what a list by listens leaves out comes after its last."""
    last = np.zeros(int(tracks.source.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(last, tracks.source, tracks.rank)
    rank = np.where(tracks.rank > 0, tracks.rank, last[tracks.source] + 1)
    ranked = np.where(tracks.assumed_listens == 0, 0.0, 1.0 / rank)
    popular = np.where(tracks.popularity >= 0, tracks.popularity.astype(np.float64), ranked)
    return np.where(tracks.listens >= 0, tracks.listens.astype(np.float64), popular)


def durations_s(tracks: Candidates) -> Floats:
    """Seconds; where unknown from bytes and bit rate, else the edition's median."""
    known = tracks.duration_ms > 0
    from_rate = (tracks.bytes > 0) & (tracks.bit_rate_bps > 0)
    median = float(np.median(tracks.duration_ms[known])) / 1000 if known.any() else _FALLBACK_DURATION_S
    estimated = np.where(from_rate, tracks.bytes * 8 / np.maximum(tracks.bit_rate_bps, 1), median)
    return np.where(known, tracks.duration_ms / 1000, estimated)


def values(tracks: Candidates, measure: str, cap_s: int) -> Floats:
    """`listens`, or `listened_seconds`: listens times the shorter of duration and `cap_s`."""
    heard = weights(tracks)
    return heard if measure == "listens" else heard * np.minimum(durations_s(tracks), float(cap_s))

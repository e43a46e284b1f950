"""Cutting a plan into crate drafts: by band and access, then by release, so that an album stays together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenuto.selection.candidates import Bools, Ints


@dataclass(frozen=True, slots=True)
class Draft:
    """One crate to be: its band, its number within the band, what goes in; `digest` is of tracks and tiers."""

    crate: str
    band: str
    seq: int
    access: str
    recordings: int
    bytes: int
    digest: str
    rows: tuple[int, ...]


def cut(
    chosen: Bools, band: Ints, band_names: Sequence[str], is_open: Bools, release: Ints, size: Ints,
    names: Sequence[str], *, prefix: str, target_bytes: int, recordings_max: int,
) -> list[Draft]:  # fmt: skip
    """The drafts in order; `names` (source, id and tier of each row) go into the digest, `prefix` into the crate's id."""
    rows = np.flatnonzero(chosen)
    order = rows[np.lexsort((rows, release[rows] < 0, ~is_open[rows], band[rows]))]
    drafts: list[Draft] = []
    seqs: dict[int, int] = {}
    for group in _groups(order, band, is_open):
        number = int(band[group[0]])
        for part in _parts(group, release, size, target_bytes, recordings_max):
            seqs[number] = seqs.get(number, 0) + 1
            digest = hashlib.sha256("\n".join(names[row] for row in part).encode()).hexdigest()[:8]
            name = band_names[number]
            drafts.append(
                Draft(
                    crate=f"{prefix}-{name}-{seqs[number]:04d}-{digest}",
                    band=name,
                    seq=seqs[number],
                    access="open" if is_open[part[0]] else "dark",
                    recordings=len(part),
                    bytes=int(size[part].sum()),
                    digest=digest,
                    rows=tuple(int(row) for row in part),
                )
            )
    return drafts


def _groups(order: Ints, band: Ints, is_open: Bools) -> list[Ints]:
    """Runs of one band and one access."""
    if not len(order):
        return []
    key = band[order] * 2 + is_open[order]
    return list(np.split(order, np.flatnonzero(np.diff(key)) + 1))


def _parts(group: Ints, release: Ints, size: Ints, target_bytes: int, recordings_max: int) -> list[Ints]:
    """A run cut where the next release would overfill a crate; a release larger than a crate is cut itself."""
    parts: list[list[int]] = [[]]
    filled = 0
    for album in _albums(group, release):
        album_bytes = int(size[album].sum())
        if parts[-1] and (filled + album_bytes > target_bytes or len(parts[-1]) + len(album) > recordings_max):
            parts.append([])
            filled = 0
        for row in album:
            if parts[-1] and (filled + int(size[row]) > target_bytes or len(parts[-1]) >= recordings_max):
                parts.append([])
                filled = 0
            parts[-1].append(int(row))
            filled += int(size[row])
    return [np.array(part, dtype=np.int64) for part in parts if part]


def _albums(group: Ints, release: Ints) -> list[Ints]:
    """Runs of one release; a track without a release stands alone."""
    ids = np.where(release[group] >= 0, release[group], -1 - np.arange(len(group)))
    return list(np.split(group, np.flatnonzero(np.diff(ids)) + 1))

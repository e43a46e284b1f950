"""How releases and tracks lie: the sizes of releases, and which tracks are the same recording as which others.

A catalogue is made of blocks of 10,000 releases and 43,700 tracks. Each block holds the same slots in an order of its own; a
slot says how large its release is and whether it is a new recording, the same recording as another slot's, or another
version (live, remix) of it. The other slot lies in another block, at a distance that is the slot's own: so what a
track is follows from its number alone, and whoever is asked for its recording need not read the rest.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tenuto.bench.chance import F64, I64, Bools, Dice

BLOCK_TRACKS = 43_700
BLOCK_RELEASES = 10_000
"""4.37 tracks a release: 256.0 M tracks to 58.6 M releases (facts of the field, section 1), rounded so that pages of 100 fit."""

NEW, SAME, VERSION = 0, 1, 2
"""A recording of its own; the same recording as the origin's; another version of the origin's song."""

SAME_SHARE = 1 - 186 / 256.04
"""Tracks that are not the first of their recording: 186 M distinct ISRCs of 256.04 M tracks."""

VERSIONS_MAX = 20
"""Tracks of one recording at most (facts of the field, section 1: versions per ISRC up to 20)."""

_SIZES = ((1, 0.60), (2, 0.68), (3, 0.72), (4, 0.76), (5, 0.795), (6, 0.82), (9, 0.865), (14, 0.945), (20, 0.978),
          (40, 0.994), (100, 0.999), (250, 1.0))  # fmt: skip
"""(tracks at most, share of releases with no more): mostly singles, as published; the shape of the rest is ours."""

_MANY_BLOCKS = 20
"""From so many blocks on what the cut-off last one would have had adds one more at most; in fewer, up to seven."""

_SHARE_VERSION = 0.03
_SHARE_DONOR = 0.45
_ALBUM_TRACKS = 7
_COMPILATION_TRACKS = 15
_REISSUE, _DELUXE, _SINGLE, _COMPILATION = 0.62, 0.72, 0.90, 1.0
"""Of the releases that may repeat others: whole again; with more tracks; a single of an album; a compilation."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The slots of a block. Releases: `sizes`, `first` slot, `donor` (a release whose artist it shares, or -1) at the
    distance `donor_shift` in blocks. Tracks, by slot: `release`, `kind`, `origin` (a slot), `shift` (in blocks).
    """

    sizes: I64
    first: I64
    donor: I64
    donor_shift: I64
    is_compilation: Bools
    release: I64
    kind: I64
    origin: I64
    shift: I64

    @property
    def releases(self) -> int:
        """Releases in a whole block."""
        return len(self.sizes)

    @property
    def tracks(self) -> int:
        """Tracks in a whole block."""
        return len(self.release)


def layout_of(seed: int, tracks: int) -> Layout:
    """The slots for a catalogue of so many tracks; one smaller than a block has a block of its own size."""
    most = VERSIONS_MAX - (1 if tracks > _MANY_BLOCKS * BLOCK_TRACKS else 7)
    if tracks >= BLOCK_TRACKS:
        return _layout(seed, BLOCK_RELEASES, BLOCK_TRACKS, most)
    return _layout(seed, max(1, round(tracks * BLOCK_RELEASES / BLOCK_TRACKS)), tracks, most)


def singles(count: int) -> Layout:
    """A block of new singles, which nothing repeats."""
    none, ones = np.full(count, -1, dtype=np.int64), np.ones(count, dtype=np.int64)
    numbers, zeros = np.arange(count), np.zeros(count, dtype=np.int64)
    return Layout(ones, numbers, none, zeros, zeros.astype(np.bool_), numbers, zeros, none, zeros)


def sizes_of(releases: int, tracks: int) -> I64:
    """Tracks of each release, ascending: quantiles of the distribution, moved by single tracks until the sum is right."""
    quantiles = (np.arange(releases) + 0.5) / releases
    shares = [0.0, *(share for _, share in _SIZES)]
    bounds = [0.0, *(float(size) for size, _ in _SIZES)]
    sizes = np.maximum(1, np.ceil(np.interp(quantiles, shares, bounds))).astype(np.int64)
    sizes[quantiles < shares[1]] = 1
    while (missing := tracks - int(sizes.sum())) != 0:
        movable = np.flatnonzero(sizes > 1) if missing < 0 or sizes[-1] > 1 else np.array([releases - 1])
        part = movable[-min(abs(missing), len(movable)) :]
        sizes[part] += 1 if missing > 0 else -1
    return np.sort(sizes)


@lru_cache(maxsize=4)
def _layout(seed: int, releases: int, tracks: int, most: int) -> Layout:
    dice = Dice(seed)
    sizes = sizes_of(releases, tracks)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return _Arranging(dice, sizes, first, most).arranged()


class _Arranging:
    """Deciding, slot by slot, what repeats what."""

    def __init__(self, dice: Dice, sizes: I64, first: I64, most: int) -> None:
        releases, tracks = len(sizes), int(sizes.sum())
        numbers = np.arange(releases)
        self._dice, self._sizes, self._first, self._most = dice, sizes, first, most
        self._donor = np.full(releases, -1, dtype=np.int64)
        self._donor_shift = np.zeros(releases, dtype=np.int64)
        self._compilation = np.zeros(releases, dtype=np.bool_)
        self._release = np.repeat(numbers, sizes)
        self._kind = np.zeros(tracks, dtype=np.int64)
        self._origin = np.full(tracks, -1, dtype=np.int64)
        self._shift = np.zeros(tracks, dtype=np.int64)
        self._members = np.ones(tracks, dtype=np.int64)
        order = np.argsort(dice.bits("layout order", numbers), kind="stable")
        donors = order[: max(1, round(releases * _SHARE_DONOR))]
        self._donors: list[int] = donors.tolist()
        self._albums = [d for d in self._donors if sizes[d] >= _ALBUM_TRACKS]
        self._by_size: dict[int, list[int]] = {}
        for donor in self._donors:
            self._by_size.setdefault(int(sizes[donor]), []).append(donor)
        self._left = round(tracks * SAME_SHARE)
        self._rest: list[int] = order[len(donors) :].tolist()

    def arranged(self) -> Layout:
        """Repeat until the published share of repeated tracks is reached; then versions."""
        way = self._dice.unit("layout way", np.arange(len(self._sizes)))
        pick = self._dice.unit("layout pick", np.arange(len(self._sizes)))
        for release in self._rest:
            if self._left <= 0:
                break
            self._repeat(release, float(way[release]), float(pick[release]))
        self._versions()
        return Layout(self._sizes, self._first, self._donor, self._donor_shift, self._compilation, self._release,
                      self._kind, self._origin, self._shift)  # fmt: skip

    def _repeat(self, release: int, way: float, pick: float) -> None:
        size = int(self._sizes[release])
        if size >= _COMPILATION_TRACKS and way >= _DELUXE:
            self._compile(release)
        elif size == 1 and _DELUXE <= way < _SINGLE and self._albums:
            album = self._albums[int(len(self._albums) * pick**2)]
            self._copy(release, album, int(self._first[album]) + int(pick * 1e6) % int(self._sizes[album]), 1)
        elif _REISSUE <= way < _DELUXE and size > 1:
            smaller = [s for s in range(max(1, size - 6), size) if s in self._by_size]
            if smaller:
                same = self._by_size[smaller[-1]]
                donor = same[int(len(same) * pick**2)]
                self._copy(release, donor, int(self._first[donor]), int(self._sizes[donor]))
        elif same := self._by_size.get(size, []):
            donor = same[int(len(same) * pick**2)]
            self._copy(release, donor, int(self._first[donor]), size)

    def _copy(self, release: int, donor: int, origin: int, count: int) -> None:
        """`count` tracks of a release are those of the donor from the slot `origin` on."""
        if count > self._left or self._members[origin : origin + count].max() >= self._most:
            return
        shift = int(self._dice.bits("layout shift", np.array([release]))[0] >> np.uint64(34))
        here = slice(int(self._first[release]), int(self._first[release]) + count)
        self._kind[here], self._shift[here] = SAME, shift
        self._origin[here] = np.arange(origin, origin + count)
        self._members[origin : origin + count] += 1
        self._donor[release], self._donor_shift[release] = donor, shift
        self._left -= count

    def _compile(self, release: int) -> None:
        """Each track is another release's."""
        slots = np.arange(int(self._first[release]), int(self._first[release] + self._sizes[release]))
        picks: F64 = self._dice.unit("layout compile", slots)
        shifts = self._dice.bits("layout compile shift", slots) >> np.uint64(34)
        self._compilation[release] = True
        for slot, pick, shift in zip(slots.tolist(), picks.tolist(), shifts.tolist(), strict=True):
            donor = self._donors[int(len(self._donors) * pick**2)]
            origin = int(self._first[donor])
            if self._left > 0 and self._members[origin] < self._most:
                self._kind[slot], self._origin[slot], self._shift[slot] = SAME, origin, shift
                self._members[origin] += 1
                self._left -= 1

    def _versions(self) -> None:
        """Some tracks are other versions of the one before them; some singles of an album's track."""
        slots = np.arange(len(self._kind))
        is_so = self._dice.unit("layout version", slots) < _SHARE_VERSION
        repeated = set(self._origin[self._origin >= 0].tolist())
        for slot in np.flatnonzero(is_so & (self._kind == NEW)).tolist():
            release = int(self._release[slot])
            if slot in repeated or self._compilation[release]:
                continue
            if slot > self._first[release] and self._kind[slot - 1] == NEW:
                self._kind[slot], self._origin[slot] = VERSION, slot - 1
            elif self._sizes[release] == 1 and self._albums and self._donor[release] < 0:
                album = self._albums[slot % len(self._albums)]
                shift = int(self._dice.bits("layout shift", np.array([release]))[0] >> np.uint64(34))
                self._kind[slot], self._origin[slot], self._shift[slot] = VERSION, int(self._first[album]), shift
                self._donor[release], self._donor_shift[release] = album, shift

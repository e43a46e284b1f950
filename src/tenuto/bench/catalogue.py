"""A catalogue as columns, one block at a time: everything is a function of (seed, number of tracks) and of the place asked for.

Things are numbered twice. A track's *number* (block x tracks of a block + slot) is its own: all that it is follows from it.
Its *row* is its place in the tables: each block has an order of its own. Releases likewise; artists have rows only.
"""

import math
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench import figures, names
from tenuto.bench.chance import I64, Bools, Dice, step_through
from tenuto.bench.columns import ROLES, TYPES, Artists, Order, Releases, Tracks
from tenuto.bench.genres import GENRES
from tenuto.bench.identifiers import isrcs, ordered_ids, power, random_ids, upcs
from tenuto.bench.layout import BLOCK_RELEASES, SAME, VERSION, Layout, layout_of, singles

_ROLE_SHARES = np.array([0.2, 0.72, 0.76, 0.94])
"""Upper bounds of the shares of roles behind the first name (ours)."""

_MORE_NAMES = (0.78, 0.95)
"""Tracks with one name, with at most two; the others have three (ours)."""

_ARTIST_EXPONENT = 2.0
"""How much more the first artists have made than the others: of 15 M the first has some ten thousand releases (ours)."""

_OWN_ISRC, _WRONG_ISRC = 0.04, 0.002
"""Of tracks of the same recording, those with another ISRC; of all recordings, those with the ISRC of another (ours)."""

_NO_ISRC = 0.004
_SAME_DURATION = 0.55
_MOVED_MAX_MS = 2_000
_SAME_UPC = 0.06
"""Of reissues, those with the UPC of the first issue (ours)."""

_LANGUAGE_KNOWN = 0.6
MARKET_SETS = 400
_TITLES_OF_RELEASES = 2**44
_DISC_TRACKS = 20
_ONE_DISC_MAX = 24
_TYPE_BOUNDS = np.array([4, 7])


class Catalogue:
    """The catalogue of a seed with so many tracks."""

    def __init__(self, seed: int, tracks: int) -> None:
        self.seed, self.tracks = seed, tracks
        self.dice = Dice(seed)
        self.layout = layout_of(seed, tracks)
        self.blocks = math.ceil(tracks / self.layout.tracks)

    @property
    def artists(self) -> int:
        """How many artists: 15.43 to 256.04 tracks."""
        return max(1, round(self.tracks * figures.ARTISTS / figures.TRACKS))

    @cached_property
    def releases(self) -> int:
        """How many releases."""
        return (self.blocks - 1) * self.layout.releases + len(self._last.releases)

    def order(self, block: int) -> Order:
        """The order of a block, cut off where the catalogue ends."""
        return self._last if block == self.blocks - 1 else self._order(block, self.layout.tracks)

    def names_of(self, rows: I64) -> pa.Array:
        """The names of artists."""
        return names.names(self.dice, rows)

    def languages_of(self, rows: I64) -> I64:
        """The languages of artists, as numbers in `words.LANGUAGES`."""
        return names.languages(self.dice, rows)

    def artist_ids(self, rows: I64) -> pa.Array:
        """The ids of artists; they ascend with the row."""
        return ordered_ids(self.dice, "artist", rows, self.artists)

    def artist_columns(self, first: int, count: int) -> Artists:
        """Artists `[first, first + count)`."""
        rows = np.arange(first, min(first + count, self.artists))
        counts, ranks = figures.genre_ranks(self.dice, rows, len(GENRES))
        chance = (self._artist_rank(rows) + self.dice.unit("artist popularity", rows)) / self.artists
        popular = figures.popularity(chance)
        followers = np.exp(popular * 0.16 + self.dice.unit("followers", rows) * 6).astype(np.int64)
        return Artists(
            first, self.artist_ids(rows), self.names_of(rows), counts, GENRES.take(pa.array(ranks)), popular, followers
        )

    def release_columns(self, block: int, order: Order, popularity: I64) -> Releases:
        """The releases of a block; `popularity` is that of its tracks."""
        layout, dice = self.layout, self.dice
        slots = order.releases
        numbers = block * layout.releases + slots
        first_row = block * layout.releases
        home, is_again = self._donor(block, slots)
        of = np.where(is_again, home, numbers)
        artists = self._artist_of(of)
        year = np.maximum(figures.years(dice, numbers), np.where(is_again, figures.years(dice, of), 0))
        days, known = figures.dates(dice, numbers, year)
        label = names.labels(dice, figures.label_ranks(dice, numbers, self.releases))
        lines = pc.binary_join_element_wise(pa.array(year).cast(pa.string()), label, " ")
        types = np.searchsorted(_TYPE_BOUNDS, order.sizes, side="right")
        is_same_upc = is_again & (dice.unit("upc again", numbers) < _SAME_UPC)
        return Releases(
            first_row=first_row,
            numbers=numbers,
            ids=ordered_ids(dice, "release", first_row + np.arange(len(slots)), self.releases),
            titles=self._release_titles(block, slots, numbers, of, artists),
            types=np.where(layout.is_compilation[slots], TYPES.index("compilation"), types),
            labels=label,
            upcs=upcs(dice, np.where(is_same_upc, home, numbers)),
            dates=days,
            known=known,
            copyright_c=lines,
            copyright_p=pc.if_else(pa.array(dice.unit("copyright", numbers) < 0.9), lines, None),  # noqa: PLR2004 -- ours
            popularity=np.maximum.reduceat(popularity, np.concatenate([[0], np.cumsum(order.sizes)[:-1]])),
            tracks_counts=order.sizes,
            artists=artists,
        )

    def track_columns(self, block: int, order: Order) -> Tracks:
        """The tracks of a block."""
        layout, dice = self.layout, self.dice
        slots = order.slots
        numbers = block * layout.tracks + slots
        kind = layout.kind[slots]
        origin, is_there = self._origin(block, slots)
        is_same, is_version = is_there & (kind == SAME), is_there & (kind == VERSION)
        songs = np.where(is_there, origin, numbers)
        recordings = np.where(is_same, origin, numbers)
        release = np.repeat(np.arange(len(order.sizes)), order.sizes)
        main = self._main_artist(block, slots, origin, is_there)
        spoken = self.languages_of(main)
        counts, artists, roles = self._credits(songs, main)
        guests, is_featured = _seconds(counts, artists, roles)
        popular, listens, silent = self.heard(block, order)
        years = figures.years(dice, self._release_number(recordings))
        is_spread = order.sizes[release] > _ONE_DISC_MAX
        return Tracks(
            first_row=block * layout.tracks,
            numbers=numbers,
            recordings=recordings,
            ids=random_ids(dice, "track", numbers),
            titles=self._track_titles(numbers, songs, spoken, is_same, is_version, guests, is_featured),
            release=release,
            disc=np.where(is_spread, order.places // _DISC_TRACKS + 1, 1),
            number=np.where(is_spread, order.places % _DISC_TRACKS + 1, order.places + 1),
            duration_ms=self._durations(numbers, recordings, is_same),
            is_explicit=dice.unit("explicit", recordings) < figures.EXPLICIT_SHARE,
            isrcs=self._isrcs(numbers, recordings, is_same, years),
            popularity=popular,
            listens=listens,
            silent=silent,
            languages=np.where(dice.unit("language known", recordings) < _LANGUAGE_KNOWN, spoken, -1),
            markets=self.markets(block, order),
            credit_counts=counts,
            artists=artists,
            roles=roles,
        )

    def popularity(self, block: int, order: Order) -> I64:
        """The popularity of each track of a block."""
        return figures.popularity(self.dice.unit("popularity", block * self.layout.tracks + order.slots))

    def markets(self, block: int, order: Order) -> I64:
        """The number of the set of markets of each track of a block: that of its release."""
        of = self._release_number(block * self.layout.tracks + order.slots)
        return power(self.dice.unit("markets", of), MARKET_SETS, 4.0)

    def heard(self, block: int, order: Order) -> tuple[I64, I64, I64]:
        """Popularity and listens of each track of a block, and the places of those without a count."""
        popular = self.popularity(block, order)
        return popular, *figures.listens(self.dice, block * self.layout.tracks + order.slots, popular)

    def credits(self, block: int, order: Order) -> tuple[I64, I64, I64]:
        """How many credits each track of a block has; then artists (rows) and roles, one after the other."""
        origin, is_there = self._origin(block, order.slots)
        songs = np.where(is_there, origin, block * self.layout.tracks + order.slots)
        return self._credits(songs, self._main_artist(block, order.slots, origin, is_there))

    def page_order(self, block: int, order: Order) -> I64:
        """The releases of a block as they stand on the pages, which is not the order of their ids."""
        numbers = block * self.layout.releases + order.releases
        return np.argsort(self.dice.bits("page order", numbers), kind="stable")

    def recordings(self, block: int, slots: I64) -> I64:
        """The number of the recording that each track of a block holds: that of the first track with it."""
        origin, is_there = self._origin(block, slots)
        return np.where(is_there & (self.layout.kind[slots] == SAME), origin, block * self.layout.tracks + slots)

    @cached_property
    def _last(self) -> Order:
        return self._order(self.blocks - 1, self.tracks - (self.blocks - 1) * self.layout.tracks)

    @cached_property
    def _is_in_last(self) -> Bools:
        """By slot, whether the last block has the track."""
        is_in = np.zeros(self.layout.tracks, dtype=np.bool_)
        is_in[self._last.slots] = True
        return is_in

    def _order(self, block: int, tracks: int) -> Order:
        layout, one = self.layout, np.array([block])
        factors = _coprime(layout.releases)
        factor = factors[int(self.dice.below("order", one, len(factors))[0])]
        start = int(self.dice.below("order start", one, layout.releases)[0])
        releases = (np.arange(layout.releases) * factor + start) % layout.releases
        sizes = layout.sizes[releases]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        count = int(np.searchsorted(starts, tracks))
        releases, sizes = releases[:count], sizes[:count].copy()
        sizes[-1] = tracks - starts[count - 1]
        places = figures.within(sizes)
        return Order(releases, sizes, np.repeat(layout.first[releases], sizes) + places, places)

    def _origin(self, block: int, slots: I64) -> tuple[I64, Bools]:
        """The number of the track that each repeats, and whether it repeats one."""
        layout = self.layout
        origin = layout.origin[slots]
        there = self._elsewhere(block, layout.shift[slots], origin)
        return there * layout.tracks + origin, origin >= 0

    def _donor(self, block: int, slots: I64) -> tuple[I64, Bools]:
        """The number of the release whose artist each has, and whether there is one."""
        layout = self.layout
        donor = layout.donor[slots]
        there = self._elsewhere(block, layout.donor_shift[slots], layout.first[donor])
        return there * layout.releases + donor, donor >= 0

    def _elsewhere(self, block: int, shift: I64, slots: I64) -> I64:
        """The blocks at a distance; where the last one is cut off before the slot, another."""
        there = (block - shift) % self.blocks
        if self.blocks == 1:
            return there
        is_cut = (there == self.blocks - 1) & ~self._is_in_last[slots]
        return np.where(is_cut, (block - shift) % (self.blocks - 1), there)

    def _release_number(self, tracks: I64) -> I64:
        layout = self.layout
        return tracks // layout.tracks * layout.releases + layout.release[tracks % layout.tracks]

    def _main_artist(self, block: int, slots: I64, origin: I64, is_there: Bools) -> I64:
        layout = self.layout
        home, is_again = self._donor(block, layout.release[slots])
        own = np.where(is_again, home, block * layout.releases + layout.release[slots])
        return self._artist_of(np.where(is_there, self._release_number(origin), own))

    def _artist_of(self, releases: I64) -> I64:
        """The row of a release's artist: each artist has a release of its own, the others go to few."""
        total = self.blocks * self.layout.releases
        due = releases * self.artists // total
        is_first = ((releases + 1) * self.artists // total) > due
        rank = np.where(is_first, due, power(self.dice.unit("artist", releases), self.artists, _ARTIST_EXPONENT))
        return self._artist_row(rank)

    def _artist_row(self, rank: I64) -> I64:
        """Ranks spread over the rows, so that an id says nothing of how much an artist has made."""
        return (rank * step_through(self.artists) + self.seed % self.artists) % self.artists

    def _artist_rank(self, rows: I64) -> I64:
        """`_artist_row` undone: those who have made most are the most popular."""
        back = pow(step_through(self.artists), -1, self.artists) if self.artists > 1 else 0
        return (rows - self.seed % self.artists) % self.artists * back % self.artists

    def _credits(self, songs: I64, main: I64) -> tuple[I64, I64, I64]:
        """Counts, artists and roles."""
        counts = 1 + np.searchsorted(np.array(_MORE_NAMES), self.dice.unit("names", songs), side="right")
        place = figures.within(counts)
        which = np.repeat(songs, counts) * 4 + place
        drawn = self._artist_row(power(self.dice.unit("credit", which), self.artists, _ARTIST_EXPONENT))
        roles = np.searchsorted(_ROLE_SHARES, self.dice.unit("role", which), side="right")
        return counts, np.where(place == 0, np.repeat(main, counts), drawn), np.where(place == 0, 0, roles)

    def _track_titles(
        self, numbers: I64, songs: I64, spoken: I64, is_same: Bools, is_version: Bools, guests: I64, is_featured: Bools
    ) -> pa.Array:
        title = names.titles(self.dice, songs, spoken)
        said = np.flatnonzero(is_featured & (self.dice.unit("featured in title", numbers) < 0.25))  # noqa: PLR2004 -- ours
        is_said = np.zeros(len(numbers), dtype=np.bool_)
        is_said[said] = True
        place = np.where(is_said, np.cumsum(is_said) - 1, -1)
        guest = self.names_of(guests[said]).take(pa.array(place, mask=place < 0))
        title = names.featuring(title, is_said, guest)
        title = names.version_titles(self.dice, numbers, is_version, title)
        return names.respelled(self.dice, numbers, is_same, title)

    def _release_titles(self, block: int, slots: I64, numbers: I64, of: I64, artists: I64) -> pa.Array:
        """A single is called as its track, an album has a title of its own; a reissue is called as the first issue."""
        layout = self.layout
        first = layout.first[slots]
        origin, is_there = self._origin(block, first)
        is_single = layout.sizes[slots] == 1
        key = np.where(is_single, np.where(is_there, origin, block * layout.tracks + first), of + _TITLES_OF_RELEASES)
        title = names.titles(self.dice, key, self.languages_of(artists))
        return names.reissued(self.dice, numbers, (of != numbers) & ~is_single, title)

    def _durations(self, numbers: I64, recordings: I64, is_same: Bools) -> I64:
        """Sources measure the same recording within two seconds."""
        chance = self.dice.unit("duration moved", numbers)
        moved = ((chance - _SAME_DURATION) / (1 - _SAME_DURATION) * 2 - 1) * _MOVED_MAX_MS
        is_moved = is_same & (chance >= _SAME_DURATION)
        length = figures.duration_ms(self.dice, recordings)
        return np.maximum(1_000, length + np.where(is_moved, moved.astype(np.int64), 0))

    def _isrcs(self, numbers: I64, recordings: I64, is_same: Bools, years: I64) -> pa.Array:
        """One a recording; a few tracks have one of their own, a few recordings that of another, a few tracks none."""
        dice = self.dice
        is_own = is_same & (dice.unit("isrc of its own", numbers) < _OWN_ISRC)
        is_wrong = dice.unit("isrc is wrong", recordings) < _WRONG_ISRC
        wrong = self.layout.first[self.layout.release[recordings % self.layout.tracks]]
        wrong = recordings // self.layout.tracks * self.layout.tracks + wrong
        which = np.where(is_own, numbers, np.where(is_wrong, wrong, recordings))
        kept = figures.years(dice, self._release_number(which))
        made = isrcs(dice, which, np.where(is_own | is_wrong, kept, years))
        return pc.if_else(pa.array(dice.unit("isrc is missing", numbers) < _NO_ISRC), None, made)


class NewReleases(Catalogue):
    """Singles that came later, by artists that are there already."""

    def __init__(self, before: Catalogue, count: int, step: int) -> None:
        self._before = before
        self.step = step
        self.seed, self.tracks = before.seed, count
        self.dice = Dice(before.seed, f"step {step}")
        self.layout: Layout = singles(min(count, BLOCK_RELEASES))
        self.blocks = math.ceil(count / self.layout.tracks)

    @property
    def artists(self) -> int:
        """Those of the catalogue."""
        return self._before.artists

    def names_of(self, rows: I64) -> pa.Array:
        """Those of the catalogue."""
        return self._before.names_of(rows)

    def languages_of(self, rows: I64) -> I64:
        """Those of the catalogue."""
        return self._before.languages_of(rows)

    def artist_ids(self, rows: I64) -> pa.Array:
        """Those of the catalogue."""
        return self._before.artist_ids(rows)


def _seconds(counts: I64, artists: I64, roles: I64) -> tuple[I64, Bools]:
    """For each track its second name and whether that one is featured."""
    second = np.minimum(np.cumsum(counts) - counts + 1, len(artists) - 1)
    return artists[second], (counts > 1) & (roles[second] == ROLES.index("featured"))


@lru_cache(maxsize=4)
def _coprime(count: int) -> list[int]:
    """Numbers up to `count` that have no divisor in common with it: steps that visit each of so many."""
    return [number for number in range(1, count + 1) if math.gcd(number, count) == 1]

"""What a part of a catalogue is: columns of equal length, one set for each table."""

from dataclasses import dataclass

import pyarrow as pa

from tenuto.bench.chance import I64, Bools

TYPES = ("single", "ep", "album", "compilation")
ROLES = ("artist", "featured", "remixer", "composer", "producer")


@dataclass(frozen=True, slots=True)
class Artists:
    """Artists in row order."""

    first_row: int
    ids: pa.Array
    names: pa.Array
    genre_counts: I64
    genres: pa.Array
    popularity: I64
    followers: I64


@dataclass(frozen=True, slots=True)
class Releases:
    """Releases of a block in row order; `numbers` are their own, `dates` days since 1970, `known` the characters of the
    date that are known (4, 7 or 10), `types` numbers in TYPES.
    """

    first_row: int
    numbers: I64
    ids: pa.Array
    titles: pa.Array
    types: I64
    labels: pa.Array
    upcs: pa.Array
    dates: I64
    known: I64
    copyright_c: pa.Array
    copyright_p: pa.Array
    popularity: I64
    tracks_counts: I64
    artists: I64


@dataclass(frozen=True, slots=True)
class Tracks:
    """Tracks of a block in row order; `release` counts within the block, `recordings` is the truth about which are the same.

    `silent` are the places of tracks without a count of listens. Credits: `credit_counts` of each track, then `artists`
    (rows) and `roles` (numbers in ROLES) one after the other.
    """

    first_row: int
    numbers: I64
    recordings: I64
    ids: pa.Array
    titles: pa.Array
    release: I64
    disc: I64
    number: I64
    duration_ms: I64
    is_explicit: Bools
    isrcs: pa.Array
    popularity: I64
    listens: I64
    silent: I64
    languages: I64
    markets: I64
    credit_counts: I64
    artists: I64
    roles: I64


@dataclass(frozen=True, slots=True)
class Order:
    """What stands where in a block: releases by row, slots of tracks by row, each track's place in its release."""

    releases: I64
    sizes: I64
    slots: I64
    places: I64

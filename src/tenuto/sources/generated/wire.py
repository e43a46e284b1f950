"""What stands on the pages of a generated source (docs/format.md); values that cannot be are refused in decoding, texts of a
form (ISRC, UPC, dates) when they are looked at together (records.py).
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from tenuto.sources.values import DURATION_MAX_MS

PAGE = 100
"""Records on a page at most."""

UINT32_MAX = 2**32 - 1

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=UINT32_MAX)]
_Total = Annotated[int, Meta(ge=0, le=2**53)]
_Percent = Annotated[int, Meta(ge=0, le=100)]


class Credit(Struct, frozen=True, gc=False):
    """A name in a track's credits, in order."""

    artist_id: _Text
    role: _Text = "artist"


class Artist(Struct, omit_defaults=True, gc=False):
    """An artist on a page."""

    id: _Text
    name: _Text | None = None
    genres: tuple[_Text, ...] = ()
    popularity: _Percent | None = None
    followers: _Total | None = None


class Release(Struct, omit_defaults=True, gc=False):
    """A release on a page; of `release_date` holds what `release_date_precision` says."""

    id: _Text
    title: _Text | None = None
    type: _Text | None = None
    label: _Text | None = None
    upc: _Text | None = None
    release_date: Annotated[str, Meta(min_length=1, max_length=10)] | None = None
    release_date_precision: _Text | None = None
    copyright_c: _Text | None = None
    copyright_p: _Text | None = None
    popularity: _Percent | None = None
    tracks_count: _Count | None = None
    artist_ids: tuple[_Text, ...] = ()


class Track(Struct, omit_defaults=True, gc=False):
    """A track on a page; `markets` is a number in the page's `market_sets`."""

    id: _Text
    title: _Text | None = None
    isrc: Annotated[str, Meta(min_length=12, max_length=12)] | None = None
    duration_ms: Annotated[int, Meta(ge=1, le=DURATION_MAX_MS)] | None = None
    explicit: bool | None = None
    popularity: _Percent | None = None
    listens: _Total | None = None
    disc_number: Annotated[int, Meta(ge=0, le=9_999)] | None = None
    track_number: Annotated[int, Meta(ge=0, le=99_999)] | None = None
    release_id: _Text | None = None
    credits: tuple[Credit, ...] = ()
    languages: tuple[_Text, ...] = ()
    markets: Annotated[int, Meta(ge=0)] | None = None


class Page(Struct, omit_defaults=True, gc=False):
    """A page of any of the three lists."""

    total: _Total | None = None
    artists: list[Artist] = []
    releases: list[Release] = []
    tracks: list[Track] = []
    market_sets: Any = None

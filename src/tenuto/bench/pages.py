"""The pages of a generated source: a block of columns as JSON answers of 100 records each."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np
import pyarrow as pa

from tenuto.bench.catalogue import MARKET_SETS, Catalogue
from tenuto.bench.chance import Dice
from tenuto.bench.changes import Changed
from tenuto.bench.columns import ROLES, TYPES, Artists, Releases, Tracks
from tenuto.bench.words import CODES
from tenuto.sources.generated import PAGE, Artist, Credit, Page, Release, Track

_ENCODER = msgspec.json.Encoder()
_CODES = """
    AD AE AR AT AU BE BG BO BR CA CH CL CO CR CY CZ DE DK DO EC EE EG ES FI FR GB GR GT HK HN HR HU ID IE IL IN IS IT JO JP KR
    LI LT LU LV MA MC MT MX MY NG NI NL NO NZ PA PE PH PL PT PY RO RS SA SE SG SI SK SV TH TR TW UA US UY VN ZA
"""
_MARKETS = _CODES.split()
_LANGUAGES = [(code,) for code in CODES]
_PRECISIONS = {4: "year", 7: "month", 10: "day"}


def artist_pages(artists: Artists, total: int) -> Iterator[tuple[str, bytes]]:
    """Request and body of each page; the first row must begin one."""
    genres = artists.genres.to_pylist()
    ends = np.cumsum(artists.genre_counts).tolist()
    columns = zip(artists.ids.to_pylist(), artists.names.to_pylist(), ends, artists.genre_counts.tolist(),
                  artists.popularity.tolist(), artists.followers.tolist(), strict=True)  # fmt: skip
    items = [Artist(one, name, tuple(genres[end - count : end]), popularity, followers)
             for one, name, end, count, popularity, followers in columns]  # fmt: skip
    for place in range(0, len(items), PAGE):
        yield f"artists?offset={artists.first_row + place}", _ENCODER.encode(Page(total, items[place : place + PAGE]))


def release_pages(
    catalogue: Catalogue, releases: Releases, shuffled: Sequence[int], first: int, total: int
) -> Iterator[tuple[str, bytes]]:
    """Request and body of each page, in an order that is not that of the ids; `first` is the offset of the first page."""
    dates = np.datetime_as_string(releases.dates.astype("datetime64[D]"), "D").tolist()
    artists = catalogue.artist_ids(releases.artists).to_pylist()
    columns = zip(releases.ids.to_pylist(), releases.titles.to_pylist(), releases.types.tolist(), releases.labels.to_pylist(),
                  releases.upcs.to_pylist(), dates, releases.known.tolist(), releases.copyright_c.to_pylist(),
                  releases.copyright_p.to_pylist(), releases.popularity.tolist(), releases.tracks_counts.tolist(), artists,
                  strict=True)  # fmt: skip
    items = [Release(one, title, TYPES[kind], label, upc, date[:known], _PRECISIONS[known], c, p, popularity, count, (artist,))
             for one, title, kind, label, upc, date, known, c, p, popularity, count, artist in columns]  # fmt: skip
    listed = [items[row] for row in shuffled]
    for place in range(0, len(listed), PAGE):
        body = _ENCODER.encode(Page(total, releases=listed[place : place + PAGE]))
        yield f"releases?offset={first + place}", body


def track_pages(
    catalogue: Catalogue,
    tracks: Tracks,
    now: Changed,
    release_ids: pa.Array,
    shuffled: Sequence[int],
    first: int,
    total: int,
) -> Iterator[tuple[str, bytes]]:
    """Request and body of each page; a track that is gone leaves its place empty, so that the pages after it stay the same."""
    ends = np.cumsum(tracks.credit_counts)
    names = [Credit(one, ROLES[role]) for one, role in
             zip(catalogue.artist_ids(tracks.artists).to_pylist(), tracks.roles.tolist(), strict=True)]  # fmt: skip
    listens: list[int | None] = now.listens.tolist()
    for row in tracks.silent.tolist():
        listens[row] = None
    columns = zip(now.ids.to_pylist(), tracks.titles.to_pylist(), tracks.isrcs.to_pylist(), tracks.duration_ms.tolist(),
                  tracks.is_explicit.tolist(), now.popularity.tolist(), listens, tracks.disc.tolist(), tracks.number.tolist(),
                  release_ids.take(pa.array(tracks.release)).to_pylist(), (ends - tracks.credit_counts).tolist(), ends.tolist(),
                  tracks.languages.tolist(), tracks.markets.tolist(), strict=True)  # fmt: skip
    items = [
        Track(one, title, isrc, ms, explicit, popularity, heard, disc, number, release, tuple(names[begin:end]),
              _LANGUAGES[language] if language >= 0 else (), markets)
        for (one, title, isrc, ms, explicit, popularity, heard, disc, number, release, begin, end, language, markets) in columns
    ]  # fmt: skip
    is_there = now.is_there.tolist()
    for place in range(0, len(shuffled), PAGE):
        listed = [items[row] for row in shuffled[place : place + PAGE] if is_there[row]]
        yield f"tracks?offset={first + place}", _ENCODER.encode(_with_markets(listed, total))


def _with_markets(listed: list[Track], total: int) -> Page:
    """A page on which each set of markets stands once, and tracks name it by its place."""
    used = list(dict.fromkeys(track.markets for track in listed))
    place = {name: number for number, name in enumerate(used)}
    for track in listed:
        track.markets = place[track.markets]
    return Page(total, tracks=listed, market_sets=[market_codes(name) for name in used])


@lru_cache(maxsize=MARKET_SETS)
def market_codes(number: int) -> list[str]:
    """The countries of one of the sets; the first is all of them, and by far the commonest."""
    chance = Dice(0).unit("market set", number * MARKET_SETS + np.arange(len(_MARKETS)))
    share = 1.0 if number == 0 else (number % 20 + 1) / 21
    return [name for name, drawn in zip(_MARKETS, chance.tolist(), strict=True) if drawn < share]

"""A generated catalogue (`tenuto bench generate`): what its pages mean. It lies on no network, so it cannot be asked.

A page is a JSON object with `total` and the list that its request names: `artists`, `releases` or `tracks`, up to 100
each (docs/format.md). Nearly every page is as it should be, so a page is first decoded whole into types that check what
they hold; only where that fails is it read with patience, record by record, by the same rules.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Annotated

import msgspec
from pydantic import Field

from tenuto.model.answers import Answer
from tenuto.model.columns import Columns, as_columns, as_records
from tenuto.model.documents import Document
from tenuto.model.errors import SourceRefusedError
from tenuto.model.records import CountSeen, MarketSetSeen, Seen
from tenuto.sources import values
from tenuto.sources.generated.patient import odd_columns
from tenuto.sources.generated.records import (
    LISTENS_SCOPE,
    artist_columns,
    market_set_columns,
    release_columns,
    track_columns,
)
from tenuto.sources.generated.wire import PAGE, Artist, Credit, Page, Release, Track

__all__ = [
    "LISTENS_SCOPE",
    "PAGE",
    "Artist",
    "Credit",
    "Options",
    "Page",
    "Release",
    "Track",
    "columns",
    "parse",
    "refused",
]

_MARKET_SET_MAX_BYTES = 4_096
"""Of the JSON of a set; a longer one is read with patience, so that what is remembered is bounded."""


class _Page(Page):
    """A page whose sets of markets are still JSON: most were seen before."""

    market_sets: list[msgspec.Raw] | None = None


_PAGES = msgspec.json.Decoder(_Page)


class Options(Document):
    """What the catalogue is made from."""

    seed: Annotated[int, Field(ge=0)]
    tracks: Annotated[int, Field(ge=1)]


def refused(name: str) -> SourceRefusedError:
    """Why a generated source cannot be harvested."""
    return SourceRefusedError(f"{name} is a generated source and cannot be asked; a later harvest of it is made by: "
                              "tenuto bench generate --harvest 2")  # fmt: skip


def parse(answer: Answer) -> Iterator[Seen]:
    """The artists, releases or tracks of a page, and how many tracks there are in all."""
    return chain.from_iterable(map(as_records, columns(answer)))


def columns(answer: Answer) -> Iterator[Columns]:
    """The same as columns."""
    try:
        page = _PAGES.decode(answer.body)
        market_sets = [_market_set(bytes(one)) for one in page.market_sets or ()]
        found = [market_set_columns(market_sets)] if market_sets else []
        found += [artist_columns(page.artists)] if page.artists else []
        found += [release_columns(page.releases)] if page.releases else []
        found += [track_columns(page.tracks, market_sets)] if page.tracks else []
    except (ValueError, RecursionError):
        return odd_columns(answer.body)
    if page.tracks and page.total is not None:
        found += as_columns([CountSeen(what="track", of="total", count=page.total)])
    return iter(found)


def _market_set(content: bytes) -> MarketSetSeen:
    """A set of markets from its JSON; raises ValueError where it is none."""
    if len(content) > _MARKET_SET_MAX_BYTES:
        raise ValueError("a set of markets is too long")
    return _known_market_set(content)


@lru_cache(maxsize=4_096)
def _known_market_set(content: bytes) -> MarketSetSeen:
    found = values.market_set(msgspec.json.decode(content))
    if found is None:
        raise ValueError("a set of markets cannot be")
    return found

"""A generated catalogue (`tenuto bench generate`): what its pages mean. It lies on no network, so it cannot be asked.

A page is a JSON object with `total` and the list that its request names: `artists`, `releases` or `tracks`, up to 100
each (docs/format.md). Nearly every page is as it should be, so a page is first decoded whole into types that check what
they hold; only where that fails is it read with patience, record by record, by the same rules.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from pydantic import Field

from tenuto.model.answers import Answer
from tenuto.model.documents import Document
from tenuto.model.errors import SourceRefusedError
from tenuto.model.records import CountSeen, Seen
from tenuto.sources.generated.patient import odd_records
from tenuto.sources.generated.records import LISTENS_SCOPE, artist_seen, releases_seen, tracks_seen
from tenuto.sources.generated.wire import PAGE, Artist, Credit, Page, Release, Track

__all__ = ["LISTENS_SCOPE", "PAGE", "Artist", "Credit", "Options", "Page", "Release", "Track", "parse", "refused"]

_PAGES = msgspec.json.Decoder(Page)


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
    try:
        page = _PAGES.decode(answer.body)
        seen = [*map(artist_seen, page.artists), *releases_seen(page.releases), *tracks_seen(page.tracks)]
    except (ValueError, RecursionError):
        return odd_records(answer.body)
    if page.tracks and page.total is not None:
        seen.append(CountSeen(what="track", of="total", count=page.total))
    return iter(seen)

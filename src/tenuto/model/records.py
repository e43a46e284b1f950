"""What a connector sees in one answer: plain values, None where the source is silent.

A record is keyed by the source's own id. Several answers may speak of one thing (a list, then the thing itself): the
catalogue takes those of the newest harvest that saw it and merges them field by field, the fullest record first.
"""

import msgspec


class _Record(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, omit_defaults=True):
    """In JSON its name is `type`, and what the source is silent about is left out: digests of contents go by that."""


class ArtistSeen(_Record, frozen=True, kw_only=True, gc=False):
    """An artist as one answer describes it."""

    artist_id: str
    name: str | None = None
    sort_name: str | None = None
    genres: tuple[str, ...] = ()
    popularity: int | None = None
    followers_count: int | None = None
    releases_count: int | None = None
    artist_id_musicbrainz: str | None = None
    isni: str | None = None


class ReleaseSeen(_Record, frozen=True, kw_only=True, gc=False):
    """A release; `release_date` is what is known of it: `1911`, `1911-05` or `1911-05-18`."""

    release_id: str
    title: str | None = None
    release_type: str | None = None
    label: str | None = None
    upc: str | None = None
    release_date: str | None = None
    copyright_c: str | None = None
    copyright_p: str | None = None
    popularity: int | None = None
    tracks_count: int | None = None
    release_id_musicbrainz: str | None = None
    genres: tuple[str, ...] = ()
    artist_ids: tuple[str, ...] = ()


class CreditSeen(_Record, frozen=True, kw_only=True, gc=False):
    """One name in a track's credits; the order of credits is kept."""

    artist_id: str
    role: str = "artist"


class OfferSeen(_Record, frozen=True, kw_only=True, gc=False):
    """What the source offers to fetch for a track: as it says, not yet heard.

    `path` is the place that the source names (for people and for grants by path), `fetch_id` what `fetch` needs.
    """

    fetch_id: str
    path: str | None = None
    bytes: int | None = None
    mime: str | None = None
    codec: str | None = None
    bit_rate_bps: int | None = None
    sample_rate_hz: int | None = None
    channels_count: int | None = None
    is_lossless: bool | None = None


class TrackSeen(_Record, frozen=True, kw_only=True, gc=False):
    """A track; `licence_text` is what the track itself says of its licence, word for word; `market_set_id` is a MarketSetSeen's."""

    track_id: str
    title: str | None = None
    release_id: str | None = None
    disc_number: int | None = None
    track_number: int | None = None
    duration_ms: int | None = None
    is_explicit: bool | None = None
    isrc: str | None = None
    recording_id_musicbrainz: str | None = None
    popularity: int | None = None
    listens_count: int | None = None
    listens_scope: str | None = None
    genres: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    market_set_id: int | None = None
    licence_text: str | None = None
    attribution: str | None = None
    credits: tuple[CreditSeen, ...] = ()
    offer: OfferSeen | None = None


class MarketSetSeen(_Record, frozen=True, kw_only=True, gc=False):
    """The countries in which a source offers something: ISO 3166-1 codes, sorted, with a space between (none: ""). The id is made
    of these (`sources.values.market_set`), so that it names the same countries wherever it stands.
    """

    market_set_id: int
    markets: str


class ListensSeen(_Record, frozen=True, kw_only=True, gc=False):
    """A count of listens from a list of its own; `counted_on` is an ISO date."""

    track_id: str
    listens_count: int
    counted_on: str
    listens_scope: str


class RankSeen(_Record, frozen=True, kw_only=True, gc=False):
    """A place in a list by listens, 1 the most heard, of a release or a track: an order, never a count."""

    listens_rank: int
    release_id: str | None = None
    track_id: str | None = None


class LicenceFileSeen(_Record, frozen=True, kw_only=True, gc=False):
    """A licence file found beside recordings: a DEP-5 `copyright` or a LICENSE; it speaks for what lies below."""

    path: str
    text: str


class CorrectionSeen(_Record, frozen=True, kw_only=True, gc=False):
    """One field set by hand, with the reason and who says so."""

    corrected_source: str
    kind: str
    own_id: str
    field: str
    value: str | None
    reason: str
    corrected_by: str


class CountSeen(_Record, frozen=True, kw_only=True, gc=False):
    """How many of something the source says there are, to be held against what was found."""

    what: str
    of: str
    count: int


class ProblemSeen(_Record, frozen=True, kw_only=True, gc=False):
    """Something wrong in an answer; becomes a finding that names the evidence."""

    code: str
    subject: str
    message: str


Seen = (
    ArtistSeen
    | ReleaseSeen
    | TrackSeen
    | MarketSetSeen
    | ListensSeen
    | RankSeen
    | LicenceFileSeen
    | CorrectionSeen
    | CountSeen
    | ProblemSeen
)

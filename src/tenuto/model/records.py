"""What a connector sees in one answer: plain values, None where the source is silent.

A record is keyed by the source's own id. Several answers may speak of one thing (a list, then the thing itself): the
catalogue takes those of the newest harvest that saw it and merges them field by field, the fullest record first.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtistSeen:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSeen:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSeen:
    """One name in a track's credits; the order of credits is kept."""

    artist_id: str
    role: str = "artist"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSeen:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSeen:
    """A track; `licence_text` is what the track itself says of its licence, word for word."""

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
    licence_text: str | None = None
    attribution: str | None = None
    credits: tuple[CreditSeen, ...] = ()
    offer: OfferSeen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListensSeen:
    """A count of listens from a list of its own; `counted_on` is an ISO date."""

    track_id: str
    listens_count: int
    counted_on: str
    listens_scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSeen:
    """A place in a list by listens, 1 the most heard, of a release or a track: an order, never a count."""

    listens_rank: int
    release_id: str | None = None
    track_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFileSeen:
    """A licence file found beside recordings: a DEP-5 `copyright` or a LICENSE; it speaks for what lies below."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionSeen:
    """One field set by hand, with the reason and who says so."""

    corrected_source: str
    kind: str
    own_id: str
    field: str
    value: str | None
    reason: str
    corrected_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSeen:
    """How many of something the source says there are, to be held against what was found."""

    what: str
    of: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSeen:
    """Something wrong in an answer; becomes a finding that names the evidence."""

    code: str
    subject: str
    message: str


Seen = (
    ArtistSeen
    | ReleaseSeen
    | TrackSeen
    | ListensSeen
    | RankSeen
    | LicenceFileSeen
    | CorrectionSeen
    | CountSeen
    | ProblemSeen
)

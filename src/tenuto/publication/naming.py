"""Which tracks a word of the operator's names, and which others have the same recordings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from tenuto.archive import Layout
from tenuto.catalogue import open_current
from tenuto.crates.holdings import Survey
from tenuto.crates.journal import Outcome
from tenuto.model.errors import TenutoError, UsageError
from tenuto.model.ids import track_key

_SHA256 = re.compile("[0-9a-f]{64}")
Track = tuple[str, str]
"""Source and id."""


def find_tracks(
    layout: Layout, found: Sequence[tuple[Path, pa.Table]], what: str, drafts: Sequence[Outcome] = ()
) -> list[Track]:
    """The tracks (source, id) that a word of the operator's names; raises UsageError where it names none.

    A SHA-256 is that of a recording, as it is kept or as its original was, or a track key; a track has been in crates or is live.
    """
    names = ("source", "track_id", "sha256", "derived_from")
    held = {
        (source, track_id): what in {sha256, original}
        for _, table in found
        for source, track_id, sha256, original in zip(*(table[name].to_pylist() for name in names), strict=True)
        if what in {sha256, original, track_id, f"{source}:{track_id}"}
        or (_SHA256.fullmatch(what) and track_key(source, track_id) == what)
    }
    in_drafts = _live_keys(layout, {one.key for one in drafts if what in {one.sha256, one.derived_from}})
    tracks = sorted({*held, *in_drafts, *_live(layout, what)})
    if not tracks:
        raise UsageError(
            f"nothing here is called {what!r}: name a track as SOURCE:TRACK_ID (as in catalogue/*/track.parquet), "
            "or a recording by its SHA-256"
        )
    exact = [track for track in tracks if f"{track[0]}:{track[1]}" == what]
    if exact:
        return exact
    if len(tracks) > 1 and not in_drafts and not any(held.values()):
        listed = ", ".join(f"{source}:{track_id}" for source, track_id in tracks[:5])
        raise UsageError(f"{what!r} is the id of {len(tracks)} tracks ({listed}); name one of them as SOURCE:TRACK_ID")
    return tracks


def with_twins(
    layout: Layout, looked: Survey, drafts: Sequence[Outcome], named: set[Track]
) -> tuple[set[Track], dict[str, set[str]]]:
    """The tracks, with all that have a recording of theirs, or of such a one; and track key -> the digests of its recordings."""
    digests: dict[str, set[str]] = {}
    tracks: dict[str, Track] = {track_key(*track): track for track in named}
    names = ("source", "track_id", "sha256", "derived_from")
    for _, table in looked.found:
        for source, track_id, *found in zip(*(table[name].to_pylist() for name in names), strict=True):
            key = track_key(source, track_id)
            digests.setdefault(key, set()).update(filter(None, found))
            tracks[key] = (source, track_id)
    for one in drafts:
        digests.setdefault(one.key, set()).update(filter(None, (one.sha256, one.derived_from)))
    holders: dict[str, set[str]] = {}
    for key, found_digests in digests.items():
        for sha256 in found_digests:
            holders.setdefault(sha256, set()).add(key)
    every, fresh = set[str](), {track_key(*track) for track in named}
    while fresh:
        every |= fresh
        fresh = {key for one in fresh for sha256 in digests.get(one, ()) for key in holders[sha256]} - every
    of_drafts = _live_keys(layout, every - tracks.keys())
    return {tracks[key] for key in every if key in tracks} | set(of_drafts), {
        key: digests.get(key, set()) for key in every
    }


def _live(layout: Layout, what: str) -> list[Track]:
    """The tracks of the current edition that have this id, name or key; none where there is no edition."""
    said = "track_id = $what OR source || ':' || track_id = $what OR ($is_key AND sha256(source || chr(10) || track_id) = $what)"
    return _asked(layout, said, {"what": what, "is_key": _SHA256.fullmatch(what) is not None})


def _live_keys(layout: Layout, keys: set[str]) -> list[Track]:
    """The tracks of the current edition that have these keys."""
    return _asked(layout, "sha256(source || chr(10) || track_id) IN $keys", {"keys": sorted(keys)}) if keys else []


def _asked(layout: Layout, said: str, values: Mapping[str, object]) -> list[Track]:
    try:
        table = open_current(layout).rows("track")
        with duckdb.connect() as con:
            found = con.execute(f"SELECT source, track_id FROM {table} WHERE {said}", dict(values)).fetchall()
    except (TenutoError, duckdb.Error):
        return []  # a withdrawal needs no catalogue: what is held is known from the crates
    return [(source, track_id) for source, track_id in found]

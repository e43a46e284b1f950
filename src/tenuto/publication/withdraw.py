"""Taking a recording back: at once out of what is given out, then out of every crate; the log says that it was, and why."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from tenuto.archive import Layout, Settings, write_durably
from tenuto.archive.keys import load_signing_key
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.crates.holdings import survey
from tenuto.crates.moving import clear_workshops, move_to_dark
from tenuto.crates.revise import Removal, finish_revisions, revise, rows_of
from tenuto.crates.seal import torrent_beside
from tenuto.crates.wanted import load_log
from tenuto.model.errors import SettingsError, TenutoError, UsageError
from tenuto.model.ids import track_key
from tenuto.model.progress import Progress
from tenuto.publication.publish import Published, known_log, publish
from tenuto.rights import Action, may
from tenuto.rights.withdrawals import REASONS, Withdrawal, statement_of

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was withdrawn: the tracks, the crates that were written anew, the dark ones that keep a copy."""

    tracks: tuple[tuple[str, str], ...]
    revised: tuple[str, ...]
    kept_in: tuple[str, ...]
    was_withdrawn: bool
    published: Published | None


@dataclass(slots=True)
class Settled:
    """What was done of the log: crates written anew, dark ones that keep a copy, the crates that could not be, and why."""

    revised: list[str] = field(default_factory=list)
    kept_in: list[str] = field(default_factory=list)
    faults: dict[str, TenutoError] = field(default_factory=dict)


def withdraw(
    layout: Layout, settings: Settings, what: str, reason: str, progress: Progress, *, is_destroyed: bool = False,
    today: date | None = None,
) -> Withdrawn:  # fmt: skip
    """Withdraw a track (`SOURCE:TRACK_ID`), or every track of a recording (its SHA-256).

    Killed at any moment, what was decided stands in the log, and `publish`, or the same command, finishes it.
    Raises UsageError where nothing of that name is known, or the reason is none; SettingsError, before anything is done, where
    the publication cannot be signed. A crate that cannot be written anew is given out no more, and its fault is raised at the end.
    """
    if reason not in REASONS:
        raise UsageError(f"--reason {reason!r} is none; there are {', '.join(REASONS)}")
    on = today or datetime.now(UTC).date()
    is_public = layout.publication.is_dir() and any(layout.publication.iterdir())
    if is_public:
        load_signing_key(layout.operator_path(settings.keys.folder), settings.keys.signing_public)
        open_current(layout)
    finish_revisions(layout)
    looked, log = survey(layout, settings), known_log(layout)
    tracks = find_tracks(layout, looked.found, what)
    known = log.by_key()
    places = _open_crates(layout, looked.found, {track_key(*track) for track in tracks})
    fresh = [key for key in sorted(places) if key not in known or (is_destroyed and not known[key].is_destroyed)]
    for key in fresh:
        log = log.with_one_more(key=key, reason=reason, on=on, is_destroyed=is_destroyed, crates=places[key])
    if fresh:
        write_durably(layout.withdrawals, log.encode())
    settled, published = carry_out(layout, settings, progress, today=on, is_public=is_public)
    for fault in settled.faults.values():
        raise fault
    if is_destroyed and looked.unread:
        raise SettingsError(
            f"{', '.join(path.stem for path in looked.unread)} cannot be read without the identity: whether a copy is in it, to be "
            "destroyed, is not known; withdrawn it is. Bring the identity back from your backup, then run: tenuto publish"
        )
    return Withdrawn(
        tuple(tracks), tuple(settled.revised), tuple(settled.kept_in), was_withdrawn=not fresh, published=published
    )


def carry_out(
    layout: Layout, settings: Settings, progress: Progress, *, today: date | None = None, is_public: bool = True
) -> tuple[Settled, Published | None]:
    """Do what the log says and publish: what is withdrawn leaves the publication before any crate is touched."""
    if is_public and unsettled(layout, settings):
        publish(layout, settings, progress, today=today)
    settled = settle(layout, settings, progress)
    return settled, publish(layout, settings, progress, today=today) if is_public else None


def settle(layout: Layout, settings: Settings, progress: Progress) -> Settled:
    """Take out of the crates what the log withdraws; one that cannot be written anew does not hold up the others."""
    finish_revisions(layout)
    clear_workshops(layout, settings)
    known, result = load_log(layout).by_key(), Settled()
    if not known:
        return result
    looked = survey(layout, settings)
    dark = {
        (key, sha256)
        for path, table in looked.found
        if path.parent == layout.dark and torrent_beside(path).is_file()
        for key, sha256 in zip(_keys(table), table["sha256"].to_pylist(), strict=True)
    }
    for path, table in looked.found:
        keys = _to_take_out(layout, path, known) & set(_keys(table))
        if not keys:
            continue
        progress.say(f"crate {path.stem}: {len(keys)} withdrawn, it is written anew without them")
        staying = {key for key in keys if not known[key].is_destroyed and _may_keep(known[key], settings)}
        try:
            if path.parent != layout.dark and (kept := rows_of(table, staying)):
                made = move_to_dark(layout, settings, path, table.take(kept), known, dark)
                result.kept_in += [one.stem for one in made]
            revise(layout, settings, path, [Removal(key, known[key].reason, known[key].on) for key in sorted(keys)])
            result.revised.append(path.stem)
        except TenutoError as error:
            result.faults[path.stem] = error
            progress.say(f"crate {path.stem} could not be written anew: {error}")
    return result


def find_tracks(layout: Layout, found: Sequence[tuple[Path, pa.Table]], what: str) -> list[tuple[str, str]]:
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
    tracks = sorted({*held, *_live(layout, what)})
    if not tracks:
        raise UsageError(
            f"nothing here is called {what!r}: name a track as SOURCE:TRACK_ID (as in catalogue/*/track.parquet), "
            "or a recording by its SHA-256"
        )
    exact = [track for track in tracks if f"{track[0]}:{track[1]}" == what]
    if exact:
        return exact
    if len(tracks) > 1 and not any(held.values()):
        listed = ", ".join(f"{source}:{track_id}" for source, track_id in tracks[:5])
        raise UsageError(f"{what!r} is the id of {len(tracks)} tracks ({listed}); name one of them as SOURCE:TRACK_ID")
    return tracks


def _live(layout: Layout, what: str) -> Sequence[tuple[str, str]]:
    """The tracks of the current edition that have this id, name or key."""
    if read_pointer(layout.catalogue / "current") is None:
        return []
    table = open_current(layout).table("track")
    with duckdb.connect() as con:
        said = """SELECT source, track_id FROM read_parquet($table) WHERE track_id = $what OR source || ':' || track_id = $what
                  OR ($is_key AND sha256(source || chr(10) || track_id) = $what)"""
        values = {"table": str(table), "what": what, "is_key": _SHA256.fullmatch(what) is not None}
        return [(source, track_id) for source, track_id in con.execute(said, values).fetchall()]


def _open_crates(layout: Layout, found: Sequence[tuple[Path, pa.Table]], keys: set[str]) -> dict[str, list[str]]:
    """Track key -> the open crates that hold it; dark ones are nobody's business."""
    places: dict[str, list[str]] = {key: [] for key in keys}
    for path, table in found:
        if path.parent != layout.dark:
            for key in keys & set(_keys(table)):
                places[key].append(path.stem)
    return places


def _keys(table: pa.Table) -> list[str]:
    """The track key of each row."""
    pairs = zip(table["source"].to_pylist(), table["track_id"].to_pylist(), strict=True)
    return [track_key(source, track_id) for source, track_id in pairs]


def _to_take_out(layout: Layout, path: Path, known: Mapping[str, Withdrawal]) -> set[str]:
    """What is withdrawn from a crate: from an open one all, from a dark one what is destroyed."""
    return {key for key, one in known.items() if one.is_destroyed or path.parent != layout.dark}


def _may_keep(withdrawal: Withdrawal, settings: Settings) -> bool:
    return may([statement_of(withdrawal)], Action.KEEP, settings.archive.territory, withdrawal.on).is_allowed


def unsettled(layout: Layout, settings: Settings) -> list[tuple[Path, int]]:
    """The crates that still hold what the log withdraws, and how many tracks; those that cannot be read are left out."""
    known = load_log(layout).by_key()
    found = []
    for path, table in survey(layout, settings).found if known else []:
        if rows := rows_of(table, _to_take_out(layout, path, known)):
            found.append((path, len(rows)))
    return found

"""Taking a recording back: at once out of what is given out, then out of every crate; the log says that it was, and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from tenuto.archive import Layout, Settings, write_durably
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.crates.holdings import all_holdings
from tenuto.crates.moving import move_to_dark
from tenuto.crates.revise import Removal, revise, rows_of
from tenuto.crates.wanted import load_log
from tenuto.model.errors import UsageError
from tenuto.model.ids import track_key
from tenuto.model.progress import Progress
from tenuto.publication.publish import Published, publish
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


def withdraw(
    layout: Layout, settings: Settings, what: str, reason: str, progress: Progress, *, is_destroyed: bool = False,
    today: date | None = None,
) -> Withdrawn:  # fmt: skip
    """Withdraw a track (`SOURCE:TRACK_ID`), or every track of a recording (its SHA-256).

    Killed at any moment, what was decided stands in the log, and `publish`, or the same command, finishes it.
    Raises UsageError where nothing of that name is known, or the reason is none.
    """
    if reason not in REASONS:
        raise UsageError(f"--reason {reason!r} is none; there are {', '.join(REASONS)}")
    on = today or datetime.now(UTC).date()
    tracks = find_tracks(layout, settings, what)
    log = load_log(layout)
    known = log.by_key()
    keys = {track_key(source, track_id) for source, track_id in tracks}
    fresh = [key for key in sorted(keys) if key not in known or (is_destroyed and not known[key].is_destroyed)]
    for key in fresh:
        crates = _crates_with(layout, settings, {key})
        log = log.with_one_more(key=key, reason=reason, on=on, is_destroyed=is_destroyed, crates=crates)
    if fresh:
        write_durably(layout.withdrawals, log.encode())
    is_public = (layout.publication / "index.json").is_file()
    if is_public and fresh:
        publish(
            layout, settings, progress, today=on
        )  # at once: the crates that hold it are not given out until they are revised
    revised, kept_in = settle(layout, settings, progress)
    published = publish(layout, settings, progress, today=on) if is_public else None
    return Withdrawn(tuple(tracks), tuple(revised), tuple(kept_in), was_withdrawn=not fresh, published=published)


def settle(layout: Layout, settings: Settings, progress: Progress) -> tuple[list[str], list[str]]:
    """Do what the log says and is not done yet: returns the crates that were revised, and the dark ones that keep a copy."""
    known = load_log(layout).by_key()
    revised: list[str] = []
    kept_in: list[str] = []
    for path, table in list(all_holdings(layout, settings)) if known else []:
        is_dark = path.parent == layout.dark
        keys = {key for key, one in known.items() if one.is_destroyed or not is_dark}
        rows = rows_of(table, keys)
        if not rows:
            continue
        progress.say(f"crate {path.stem}: {len(rows)} withdrawn, it is written anew without them")
        removals = [Removal(key, one.reason, one.on) for key, one in known.items() if key in keys]
        staying = {key for key in keys if not known[key].is_destroyed and _may_keep(known[key], settings)}
        if not is_dark and (kept := rows_of(table, staying)):
            kept_in += [dark.stem for dark in move_to_dark(layout, settings, path, table.take(kept), known)]
        revise(layout, settings, path, removals)
        revised.append(path.stem)
    return revised, kept_in


def find_tracks(layout: Layout, settings: Settings, what: str) -> list[tuple[str, str]]:
    """The tracks (source, id) that a word of the operator's names; raises UsageError where it names none."""
    held = {
        (source, track_id): sha256
        for _, table in all_holdings(layout, settings)
        for source, track_id, sha256 in zip(
            *(table[n].to_pylist() for n in ("source", "track_id", "sha256")), strict=True
        )
    }
    if _SHA256.fullmatch(what):
        found = [track for track, sha256 in held.items() if sha256 == what]
        found += [track for track in held if track_key(*track) == what]
    else:
        found = sorted(
            {track for track in [*held, *_live(layout, what)] if what in {f"{track[0]}:{track[1]}", track[1]}}
        )
    if not found:
        raise UsageError(
            f"nothing here is called {what!r}: name a track as SOURCE:TRACK_ID (as in catalogue/*/track.parquet), "
            "or a recording by its SHA-256"
        )
    if len(found) > 1 and not _SHA256.fullmatch(what):
        listed = ", ".join(f"{source}:{track_id}" for source, track_id in found[:5])
        raise UsageError(f"{what!r} is the id of {len(found)} tracks ({listed}); name one of them as SOURCE:TRACK_ID")
    return found


def _live(layout: Layout, what: str) -> Sequence[tuple[str, str]]:
    if read_pointer(layout.catalogue / "current") is None:
        return []
    table = open_current(layout).table("track")
    with duckdb.connect() as con:
        said = "SELECT source, track_id FROM read_parquet(?) WHERE track_id = ? OR source || ':' || track_id = ?"
        return [(source, track_id) for source, track_id in con.execute(said, [str(table), what, what]).fetchall()]


def _crates_with(layout: Layout, settings: Settings, keys: set[str]) -> list[str]:
    """The open crates that hold a track; dark ones are nobody's business."""
    return [
        path.stem
        for path, table in all_holdings(layout, settings)
        if path.parent != layout.dark and rows_of(table, keys)
    ]


def _may_keep(withdrawal: Withdrawal, settings: Settings) -> bool:
    return may([statement_of(withdrawal)], Action.KEEP, settings.archive.territory, withdrawal.on).is_allowed


def unsettled(layout: Layout, settings: Settings) -> list[tuple[Path, int]]:
    """The crates that still hold what the log withdraws, and how many tracks."""
    known = load_log(layout).by_key()
    found = []
    for path, table in all_holdings(layout, settings) if known else []:
        keys = {key for key, one in known.items() if one.is_destroyed or path.parent != layout.dark}
        if rows := rows_of(table, keys):
            found.append((path, len(rows)))
    return found

"""Taking a recording back: at once out of what is given out, then out of every crate; the log says that it was, and why."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from tenuto.archive import Layout, Settings, remove_leftovers, write_durably
from tenuto.archive.durable import sync_folder
from tenuto.archive.keys import load_signing_key
from tenuto.catalogue import open_current
from tenuto.crates.holdings import Survey, survey
from tenuto.crates.moving import clear_workshops, move_to_dark
from tenuto.crates.revise import Removal, finish_revisions, revise
from tenuto.crates.seal import torrent_beside
from tenuto.crates.withdrawn import TakenBack, clear_drafts, drafted, load_taken_back, load_whole, note_all
from tenuto.model.errors import IntegrityError, PartlyDoneError, SettingsError, TenutoError, UsageError
from tenuto.model.ids import track_key
from tenuto.model.progress import Progress
from tenuto.model.units import format_bytes
from tenuto.publication.naming import Track, find_tracks, with_twins
from tenuto.publication.publish import Published, publish, refused_now
from tenuto.rights import Action, may
from tenuto.rights.withdrawals import REASONS, Log, Withdrawal, statement_of


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was withdrawn: the tracks, the crates that were written anew, the dark ones that keep a copy.

    `same_bytes` are those of the tracks that were not named and have a recording of one that was; `drafted` counts recordings
    deleted from drafts; `unread` are the crates that could not be read, so that nobody knows whether they hold one.
    """

    tracks: tuple[Track, ...]
    revised: tuple[str, ...]
    kept_in: tuple[str, ...]
    was_withdrawn: bool
    published: Published | None
    same_bytes: tuple[Track, ...] = ()
    drafted: int = 0
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class Settled:
    """What was done of the log: crates written anew, dark ones that keep a copy, the crates that could not be, and why."""

    revised: list[str] = field(default_factory=list)
    kept_in: list[str] = field(default_factory=list)
    faults: dict[str, TenutoError] = field(default_factory=dict)
    drafted: int = 0


def withdraw(
    layout: Layout, settings: Settings, whats: Sequence[str], reason: str, progress: Progress, *, is_destroyed: bool = False,
    is_refused: bool = False, today: date | None = None,
) -> Withdrawn:  # fmt: skip
    """Withdraw tracks (`SOURCE:TRACK_ID`) and recordings (SHA-256), with every track that has one of their recordings.

    `is_refused` adds all that the gate refuses today. Killed at any moment, what was decided stands in the log, and `publish`,
    or the same command, finishes it. Raises UsageError where nothing of that name is known, or the reason is none; SettingsError,
    before anything is done, where the publication cannot be signed. A crate that cannot be written anew is given out no more, and
    its fault is raised at the end; so is what keeps the publication from being made anew.
    """
    if reason not in REASONS:
        raise UsageError(f"--reason {reason!r} is none; there are {', '.join(REASONS)}")
    if not whats and not is_refused:
        raise UsageError(
            "name what to withdraw: SOURCE:TRACK_ID or a SHA-256; or all that may not be given out: --refused"
        )
    on = today or datetime.now(UTC).date()
    is_public = layout.publication.is_dir() and any(layout.publication.iterdir())
    if is_public:
        load_signing_key(layout.operator_path(settings.keys.folder), settings.keys.signing_public)
    finish_revisions(layout)
    looked, taken, drafts = survey(layout, settings), load_whole(layout), drafted(layout)
    named = {track for what in whats for track in find_tracks(layout, looked.found, what, drafts)}
    if is_refused:
        refused = refused_now(layout, settings, open_current(layout), taken, looked, on)
        named |= {(one.source, one.track_id) for found in refused.values() for one in found if not one.is_withdrawn}
    tracks, digests = with_twins(layout, looked, drafts, named)
    log = _note(
        layout, taken, reason, on, _open_crates(layout, looked.found, set(digests)), digests, is_destroyed=is_destroyed
    )
    settled, published = carry_out(layout, settings, progress, today=on, is_public=is_public)
    for fault in settled.faults.values():
        raise fault
    if is_destroyed:
        _need_all(looked)
    return Withdrawn(
        tuple(sorted(tracks)), tuple(settled.revised), tuple(settled.kept_in), was_withdrawn=log == taken.log,
        published=published, same_bytes=tuple(sorted(tracks - named)), drafted=settled.drafted,
        unread=tuple(sorted(path.stem for path in (*looked.unread, *looked.damaged))),
    )  # fmt: skip


def _note(
    layout: Layout, taken: TakenBack, reason: str, on: date, places: Mapping[str, Sequence[str]],
    digests: Mapping[str, set[str]], *, is_destroyed: bool,
) -> Log:  # fmt: skip
    """The log with a line for each track that has none that says as much; the digests of the recordings are noted before it."""
    known, log, noted = taken.log.by_key(), taken.log, list[tuple[int, bool, set[str]]]()
    for key in sorted(digests):
        earlier = known.get(key)
        if earlier is None or (is_destroyed and not earlier.is_destroyed):
            log = log.with_one_more(
                key=key, reason=reason, on=on, is_destroyed=is_destroyed, crates=places.get(key, ())
            )
            noted.append((len(log.entries), is_destroyed, digests[key]))
        else:
            noted.append((earlier.seq, earlier.is_destroyed, digests[key] - taken.digests.keys()))
    note_all(layout, noted)
    if log != taken.log:
        write_durably(layout.withdrawals, log.encode())
    return log


def _need_all(looked: Survey) -> None:
    """Raise where a crate could not be read that may hold a copy of what is to be destroyed."""
    if looked.unread:
        raise SettingsError(
            f"{', '.join(path.stem for path in looked.unread)} cannot be read without the identity: whether a copy is in it, to be "
            "destroyed, is not known; withdrawn it is. Bring the identity back from your backup, then run: tenuto publish"
        )
    if looked.damaged:
        raise IntegrityError(
            f"{', '.join(path.stem for path in looked.damaged)} cannot be read: whether a copy is in it, to be destroyed, is not "
            "known; withdrawn it is. Bring the crate back from a copy, then run: tenuto publish; or delete it"
        )


def carry_out(
    layout: Layout, settings: Settings, progress: Progress, *, today: date | None = None, is_public: bool = True
) -> tuple[Settled, Published | None]:
    """Do what the log says and publish: what is withdrawn leaves the publication before any crate is touched.

    Where the publication cannot be made anew (no catalogue), the crates leave it as they are, and why is raised at the end.
    """
    pending = [path for path, _ in unsettled(layout, settings)] if is_public else []
    if pending:
        try:
            publish(layout, settings, progress, today=today)
        except (TenutoError, OSError, duckdb.Error, pa.ArrowException) as error:
            progress.say(f"the publication cannot be made anew ({error}); what holds the withdrawn leaves it at once")
            _drop(layout, pending)
    settled = settle(layout, settings, progress)
    if not is_public:
        return settled, None
    try:
        return settled, publish(layout, settings, progress, today=today)
    except (duckdb.Error, pa.ArrowException) as error:
        raise IntegrityError(
            f"{_done(settled)}the catalogue cannot be read ({error}); run: tenuto catalogue build, then tenuto publish"
        ) from None
    except (UsageError, IntegrityError, SettingsError) as error:
        if not pending and not settled.revised:
            raise
        raise type(error)(f"{_done(settled)}{error}; then run: tenuto publish") from None


def _done(settled: Settled) -> str:
    """What was done though publishing failed."""
    said = (
        f"withdrawn, and written anew: {', '.join(settled.revised)}; the publication is not: "
        if settled.revised
        else ""
    )
    return said + "".join(f"{fault}; " for fault in settled.faults.values())


def _drop(layout: Layout, crates: Iterable[Path]) -> None:
    """Take crates out of the web root without any other change to it."""
    folder = layout.publication / "crates"
    for path in crates:
        (folder / path.name).unlink(missing_ok=True)
    if folder.is_dir():
        sync_folder(folder)


def settle(layout: Layout, settings: Settings, progress: Progress) -> Settled:
    """Take out of crates and drafts what the log withdraws; a crate that cannot be written anew does not hold up the others."""
    finish_revisions(layout)
    clear_workshops(layout, settings)
    remove_leftovers(layout.holdings)
    taken, result = load_taken_back(layout), Settled()
    if not taken.log.entries:
        return result
    result.drafted = clear_drafts(layout, taken)
    looked = survey(layout, settings)
    dark = {
        (key, sha256)
        for path, table in looked.found
        if path.parent == layout.dark and torrent_beside(path).is_file()
        for key, sha256 in zip(_keys(table), table["sha256"].to_pylist(), strict=True)
    }
    for path, table in looked.found:
        gone = taken.taken_out(table, is_dark=path.parent == layout.dark)
        if not gone:
            continue
        progress.say(f"crate {path.stem}: {len(gone)} withdrawn, it is written anew without them")
        try:
            if path.parent != layout.dark:
                result.kept_in += _keep_dark(layout, settings, path, table, gone, dark)
            removals = [Removal(one.key, one.reason, one.on, table["sha256"][row].as_py()) for row, one in gone.items()]
            revise(layout, settings, path, removals)
            result.revised.append(path.stem)
        except (TenutoError, OSError) as error:
            fault = _out_of_room(layout, settings, path, error) if isinstance(error, OSError) else error
            result.faults[path.stem] = fault
            progress.say(f"crate {path.stem} could not be written anew: {fault}")
    return result


def _keep_dark(
    layout: Layout, settings: Settings, path: Path, table: pa.Table, gone: Mapping[int, Withdrawal], dark: set[tuple[str, str]]
) -> list[str]:  # fmt: skip
    """Put into dark crates what is taken out of an open one and may be kept; returns their names."""
    rows, keys = [row for row, one in gone.items() if _may_keep(one, settings)], _keys(table)
    if not rows:
        return []
    made = move_to_dark(layout, settings, path, table.take(rows), {keys[row]: gone[row] for row in rows}, dark)
    return [one.stem for one in made]


def _out_of_room(layout: Layout, settings: Settings, path: Path, error: OSError) -> TenutoError:
    """What the system refused while a crate was written anew, and what to do."""
    clear_workshops(layout, settings)
    free = shutil.disk_usage(path.parent).free
    return PartlyDoneError(
        f"crate {path.stem}: {error.strerror or error}; to be written anew it needs {format_bytes(path.stat().st_size)} free in "
        f"{path.parent}, there are {format_bytes(free)}; until then it is not given out, and the withdrawn recording is still in "
        "it here: make room, then run: tenuto publish"
    )


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


def _may_keep(withdrawal: Withdrawal, settings: Settings) -> bool:
    return may([statement_of(withdrawal)], Action.KEEP, settings.archive.territory, withdrawal.on).is_allowed


def unsettled(layout: Layout, settings: Settings) -> list[tuple[Path, int]]:
    """The crates that still hold what the log withdraws, and how many tracks; those that cannot be read are left out."""
    taken, found = load_taken_back(layout), []
    for path, table in survey(layout, settings).found if taken.log.entries else ():
        if rows := taken.taken_out(table, is_dark=path.parent == layout.dark):
            found.append((path, len(rows)))
    return found

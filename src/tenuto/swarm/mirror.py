"""Holding a part of somebody's publication: following its signed index, fetching its crates from whoever has them.

In this order, so that a kill at any moment leaves less than was there at worst, never something wrong: the index is read and its
number noted; what it no longer names is given out no longer; the small files come, then the index; then crates, one rename each.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tenuto.archive import ArchiveLock, Layout, Settings
from tenuto.archive.durable import remove_leftovers
from tenuto.model.errors import IntegrityError, SkipRecordError, SourceError, TenutoError, UsageError
from tenuto.model.progress import Progress
from tenuto.model.units import format_bytes, format_duration
from tenuto.publication.documents import INDEX_NAME, Index
from tenuto.publication.giving import remove_stale
from tenuto.publication.known import Known, KnownPlaces, default_known_file, own_key
from tenuto.publication.lookup import Signed, read_signed
from tenuto.publication.places import FolderPlace, WebPlace, open_place
from tenuto.swarm import holding, webroot
from tenuto.swarm.choice import Choice, check_choice, choose
from tenuto.swarm.copies import Donor
from tenuto.swarm.fetching import Mirror, Mirrored, fetch_all
from tenuto.swarm.founding import Wish, changed, check, find_mirror, made, write
from tenuto.swarm.seeding import Seeder, described, read_own_signed, watch
from tenuto.swarm.session import Session

DEFAULT_PORT = 6881
"""Where `tenuto seed` listens if nothing else is said: the place's own host is asked there, whoever else there is."""

_PUBLISHING_S = (1.0, 4.0)
"""The pauses before the index is read again where the small files are not those that it promises."""


@dataclass(frozen=True, slots=True)
class Job:
    """What `tenuto mirror` is asked for: the folder, the wish, the key that must have signed (None: the one first seen)."""

    into: Path
    wish: Wish
    key: str | None = None
    swarm: Mapping[str, Any] = field(default_factory=dict)
    """Settings of [swarm] that hold for this run."""
    is_seeding: bool = False
    every_s: float = 600.0
    patience_s: float = 180.0


def mirror(job: Job, progress: Progress, on_round: Callable[[Mirrored], None]) -> None:
    """Follow a publication once; where the job is seeding too, again and again, giving out meanwhile, until told to stop.

    Raises UsageError, IntegrityError, SourceError, OSError where the first round cannot be done; later ones are tried again.
    """
    existing = find_mirror(job.into)
    layout = existing[0] if existing else Layout(job.into.expanduser().absolute())
    settings = existing[1] if existing else None
    of = job.wish.of or (settings.mirror.of if settings and settings.mirror else None)
    if of is None:
        raise UsageError("INDEX is missing: the address or folder of the publication that is to be mirrored")
    with ExitStack() as closing:
        place = _place(of, is_new=job.wish.of is not None)
        if isinstance(place, WebPlace):
            closing.callback(place.close)
        signed = None
        if settings is None:
            check(job.wish)
            known = KnownPlaces(default_known_file(dict(os.environ)))
            pinned = job.key or _known_key(place, known)
            signed = read_signed(place, pinned, known.highest(pinned) if pinned else 0)
            _say_key(signed, job.key, progress)
        elif job.key not in {None, settings.keys.signing_public}:
            raise UsageError(
                f"--key {job.key} is not the key that this mirror pins, {settings.keys.signing_public}; a mirror of "
                "another key is made in another folder"
            )
        settings = _wished(layout, settings, signed, job.wish)
        layout.root.mkdir(parents=True, exist_ok=True)
        closing.enter_context(ArchiveLock(layout.seeding_lock, "mirror"))
        with ArchiveLock(layout.lock, "mirror"):
            if existing is None and find_mirror(layout.root) is not None:
                raise UsageError(f"{job.into} has become a mirror just now, by another run; run the same again")
            write(layout, settings)
        swarm = settings.swarm.model_copy(update=dict(job.swarm))
        swarm = swarm.model_copy(update={"peers": (*swarm.peers, _host_of(place))})
        session = closing.enter_context(Session(swarm, progress.say))
        seeder = Seeder(layout, settings, session, progress.say) if job.is_seeding else None
        work = Mirror(layout, settings, Donor(place), session, seeder, progress, job.patience_s, job.every_s)
        done = _round(work, signed)
        on_round(done)
        while seeder is not None:
            progress.say(f"{described(seeder, settings)}, on port {session.port}; Ctrl-C ends it")
            next_at = time.monotonic() + (0.0 if done.is_overtaken else job.every_s)
            watch(session, seeder, settings, progress.say, lambda at=next_at: time.monotonic() >= at)  # type: ignore[misc]
            try:
                done = _round(work, None)
                on_round(done)
            except (TenutoError, OSError) as error:
                done.is_overtaken = False
                progress.say(
                    f"{error}; what is here is given out, and it is tried again in {format_duration(job.every_s)}"
                )


def _place(of: str, *, is_new: bool) -> FolderPlace | WebPlace:
    """Where the publication is; a folder that was there when the mirror was made may be away now."""
    if is_new or "://" in of or Path(of).exists():
        return open_place(of)
    return FolderPlace(Path(of.removesuffix(f"/{INDEX_NAME}")))


def _wished(layout: Layout, settings: Settings | None, signed: Signed | None, wish: Wish) -> Settings:
    """The mirror's settings with what is wished for; those of a new one are of the index that was read.

    Raises UsageError where the publication has nothing of it.
    """
    index: Index | None
    if signed is not None:
        index, settings = signed.index, made(signed.index, wish)
    else:
        assert settings is not None
        index, settings = _shown(layout, settings), changed(settings, wish)
    if index is not None and settings.mirror is not None and (wish.bands or wish.licences):
        check_choice(index, settings.mirror)
    return settings


def _round(work: Mirror, signed: Signed | None) -> Mirrored:
    """Follow once, with the archive's lock: others may check and repair between rounds."""
    with ArchiveLock(work.layout.lock, "mirror"):
        before = work.place.received_bytes
        try:
            signed = _noted(work, signed)
        except SourceError as error:
            if not (work.layout.publication / INDEX_NAME).is_file():
                raise
            work.progress.say(f"{error}; going on with the index that is here")
        done = _followed(work, signed)
        done.place_bytes = work.place.received_bytes - before
        return done


def _followed(work: Mirror, signed: Signed | None) -> Mirrored:
    """Follow. A place that is publishing just now shows files that fit no index for a moment: then the index is read again."""
    for pause_s in _PUBLISHING_S:
        try:
            return follow(work, signed)
        except (IntegrityError, SkipRecordError):
            if signed is None:
                raise
        time.sleep(pause_s)
        signed = _noted(work, None)
    return follow(work, signed)


def _noted(work: Mirror, signed: Signed | None) -> Signed:
    """The signed index of the place, its number noted: none below the highest one ever seen is taken.

    Raises OtherKeyError at another key than the pinned one, IntegrityError at an older index.
    """
    notes, pinned = KnownPlaces(work.layout.known), work.settings.keys.signing_public
    shown = _shown(work.layout, work.settings)
    highest = max(notes.highest(pinned), shown.sequence if shown else 0)
    signed = signed or read_signed(work.place, pinned, highest)
    index = signed.index
    seen = Known(archive=index.archive, signing_public=index.signing_public, sequence=index.sequence)
    notes.note(work.place.name, seen)
    return signed


def _known_key(place: FolderPlace | WebPlace, places: KnownPlaces) -> str | None:
    """The key that this place was seen with before, by this machine's user; of one's own archive the one in its settings."""
    if isinstance(place, FolderPlace) and (own := own_key(place.root)):
        return own
    known = places.get(place.name)
    return known.signing_public if known else None


def _say_key(signed: Signed, key: str | None, progress: Progress) -> None:
    if key is None:
        progress.say(
            f"{signed.index.archive} signs with the key {signed.index.signing_public}, which is pinned from now on; compare it "
            "with what the archive says of itself, or give it with --key"
        )


def _host_of(place: FolderPlace | WebPlace) -> str:
    """Where the place's own `tenuto seed` would listen."""
    host = (urlsplit(place.name).hostname or "localhost") if isinstance(place, WebPlace) else "127.0.0.1"
    return f"[{host}]:{DEFAULT_PORT}" if ":" in host else f"{host}:{DEFAULT_PORT}"


def follow(mirror: Mirror, signed: Signed | None) -> Mirrored:
    """Bring the mirror to this index, and its crates with it; None: the place is away, go on with the index that is here."""
    layout, before = mirror.layout, mirror.place.received_bytes
    index = signed.index if signed else read_own_signed(layout, mirror.settings)
    done = Mirrored(index, signed is not None and not _is_shown(layout, mirror.settings, signed))
    for folder in (layout.publication, layout.crates, layout.incoming):
        remove_leftovers(folder)
    aside = _changed(layout, index)
    for name in aside if mirror.seeder is not None else ():
        mirror.seeder.drop(name)  # type: ignore[union-attr]
    holding.set_aside(layout, aside)
    if signed is not None:
        webroot.bring(mirror.place, layout.publication, index, mirror.progress)
        webroot.put_index(layout.publication, signed)
        remove_stale(layout.publication, index, mirror.progress)
    assert mirror.settings.mirror is not None
    held = {crate.crate for crate in index.crates if holding.is_held(layout, crate)}
    choice = choose(index, held, holding.begun(layout), mirror.settings.mirror)
    done.left_out = choice.left_out
    for crate in index.crates:  # what was withdrawn goes at once, before anything is fetched, wanted or not
        if crate.redacted and (layout.incoming / f"{crate.crate}.zip").exists():
            holding.begin(layout, crate)
    if mirror.seeder is not None:
        mirror.seeder.refresh(is_forced=True)  # what is here is given out while the rest comes, which may take days
    _make_room(mirror, choice, done)
    if _is_behind(mirror, index):
        why = "a newer index was seen, and its place is away: nothing is fetched by the older one that is here"
        done.left |= {crate.crate: why for crate in choice.crates if not holding.is_held(layout, crate)}
    else:
        fetch_all(mirror, choice.crates, done)
    done.held = [crate for crate in index.crates if holding.is_held(layout, crate)]
    holding.link_all(layout, done.held)
    done.moved = [name for name in aside if name in done.fetched]
    if mirror.seeder is not None:
        mirror.seeder.refresh(is_forced=True)
    done.place_bytes = mirror.place.received_bytes - before
    return done


def _is_behind(mirror: Mirror, index: Index) -> bool:
    """Whether a newer index was seen than the one that is followed: what it took back may not come again."""
    return index.sequence < KnownPlaces(mirror.layout.known).highest(mirror.settings.keys.signing_public)


def _is_shown(layout: Layout, settings: Settings, signed: Signed) -> bool:
    """Whether this index is the one that the mirror shows already; raises IntegrityError at two of one number."""
    shown = _shown(layout, settings)
    if shown is None:
        return False
    if shown.sequence == signed.index.sequence and shown != signed.index:
        raise IntegrityError(
            f"there are two indexes with the number {shown.sequence}, both signed by {shown.signing_public}: the archive "
            f"{shown.archive} has signed twice, or its key is in other hands; nothing was taken: ask it"
        )
    return shown == signed.index


def _shown(layout: Layout, settings: Settings) -> Index | None:
    """The index that the mirror shows, if it has one."""
    try:
        return read_own_signed(layout, settings)
    except (TenutoError, OSError):
        return None


def _changed(layout: Layout, index: Index) -> list[str]:
    """The crates in `crates/` that the index does not name as they are."""
    named = {crate.crate: crate for crate in index.crates}
    here = [path.stem for path in layout.crates.glob("*.zip")]
    return [name for name in here if name not in named or not holding.is_held(layout, named[name])]


def _make_room(mirror: Mirror, choice: Choice, done: Mirrored) -> None:
    """Delete what is not wanted any more where its place is, and say what does not fit on the disk."""
    assert mirror.settings.mirror is not None
    layout, space = mirror.layout, mirror.settings.mirror.space
    wanted = {crate.crate for crate in choice.crates}
    coming = [crate for crate in choice.crates if not holding.is_held(layout, crate)]
    missing = sum(crate.bytes for crate in coming) - sum(
        holding.size_on_disk(path) for path in layout.incoming.glob("*.zip") if path.stem in wanted
    )
    about = os.statvfs(layout.root)
    free = about.f_bavail * about.f_frsize
    spare = sum(holding.size_on_disk(path) for path in layout.incoming.glob("*.zip") if path.stem not in wanted)
    done.dropped = holding.make_room(layout, wanted, choice.bytes, space)
    if missing > free + spare:
        mirror.progress.say(
            f"the disk has {format_bytes(free)} free and {format_bytes(missing)} are to come: it will be full before all is here; "
            "free some, or give a smaller --space"
        )

"""Following somebody's publication: once, or again and again while what is held is given out.

The index of the place is read and its number noted before anything is done by it (round.py).
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
from tenuto.model.errors import IntegrityError, SettingsError, SkipRecordError, SourceError, TenutoError, UsageError
from tenuto.model.progress import Progress
from tenuto.model.units import format_duration
from tenuto.publication.documents import INDEX_NAME
from tenuto.publication.known import Known, KnownPlaces, default_known_file, own_key
from tenuto.publication.lookup import Signed
from tenuto.publication.places import FolderPlace, WebPlace, open_place
from tenuto.publication.rereading import IndexReader
from tenuto.swarm.choice import check_choice
from tenuto.swarm.copies import Donor
from tenuto.swarm.founding import Wish, changed, check, find_mirror, made, write
from tenuto.swarm.own_index import shown
from tenuto.swarm.round import follow, is_shown
from tenuto.swarm.seeding import Seeder, described, watch
from tenuto.swarm.session import Session
from tenuto.swarm.work import Mirror, Mirrored

DEFAULT_PORT = 6881
"""Where `tenuto seed` listens if nothing else is said: the place's own host is asked there, whoever else there is."""

_PUBLISHING_S = (1.0, 4.0)
"""The pauses before the index is read again where the small files are not those that it promises."""


_ENDS_AT_START = (UsageError, SettingsError, IntegrityError)
"""What ends a run that was just begun: words, settings, and an index that is not to be believed."""


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
    """Follow a publication; where the job is seeding too, again and again, giving out meanwhile, until told to stop.

    Raises UsageError, SettingsError, and IntegrityError where the place's index is not to be believed. Raises SourceError, OSError
    where a round cannot be done; one that is seeding raises these in the first round of a new mirror alone, and tries again later.
    """
    existing = find_mirror(job.into)
    layout = existing[0] if existing else Layout(job.into.expanduser().absolute())
    settings = existing[1] if existing else None
    followed = settings.mirror.of if settings and settings.mirror else None
    of = job.wish.of or followed
    if of is None:
        raise UsageError("INDEX is missing: the address or folder of the publication that is to be mirrored")
    with ExitStack() as closing:
        place, watched = _opened(closing, of, is_new=job.wish.of is not None)
        signed, reader = None, IndexReader(watched)
        if settings is None:
            check(job.wish)
            known = KnownPlaces(default_known_file(dict(os.environ)))
            pinned = job.key or _known_key(place, known)
            signed = reader.read(pinned, known.highest(pinned) if pinned else 0)
            _say_key(signed, job.key, progress)
        elif job.key not in {None, settings.keys.signing_public}:
            raise UsageError(
                f"--key {job.key} is not the key that this mirror pins, {settings.keys.signing_public}; a mirror of "
                "another key is made in another folder"
            )
        elif followed is not None and _is_elsewhere(place, followed):
            signed = reader.read(settings.keys.signing_public, _highest(layout, settings))
            is_shown(layout, settings, signed)  # nothing is written before it is known to be the same archive's
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
        donor = Donor(place)
        work = Mirror(layout, settings, donor, watched, reader, session, seeder, progress, job.patience_s, job.every_s)
        if seeder is None:
            _follow_to_the_end(work, signed, on_round, is_told=job.key is not None)
        else:
            if existing is not None:
                _give_out(work, seeder)
            _follow_for_ever(work, seeder, signed, on_round, is_new=existing is None, is_told=job.key is not None)


def _follow_to_the_end(
    work: Mirror, signed: Signed | None, on_round: Callable[[Mirrored], None], *, is_told: bool
) -> None:
    """A round, and another one as long as each ends with a newer index than the one before."""
    highest = -1
    while True:
        before = work.received_bytes if highest >= 0 else 0
        done = _round(work, *_asked(work, signed, is_told=is_told))
        done.place_bytes = work.received_bytes - before
        on_round(done)
        if not done.is_overtaken or done.index.sequence <= highest:
            return
        highest, signed = done.index.sequence, None


def _follow_for_ever(
    work: Mirror, seeder: Seeder, signed: Signed | None, on_round: Callable[[Mirrored], None], *, is_new: bool, is_told: bool
) -> None:  # fmt: skip
    """Round after round, and between them what is here is given out; a round that cannot be done is tried again later."""
    say, is_first = work.progress.say, True
    while True:
        pause_s, before = work.pause_s(), 0 if is_first else work.received_bytes
        ends: tuple[type[Exception], ...] = _ENDS_AT_START if is_first else ()
        try:
            asked = _asked(work, signed, is_told=is_told)
            if is_first:
                ends = (TenutoError, OSError) if is_new else (UsageError, SettingsError)
            done = _round(work, *asked)
            done.place_bytes = work.received_bytes - before
            on_round(done)
            pause_s = 0.0 if done.is_overtaken else pause_s
        except (TenutoError, OSError) as error:
            if isinstance(error, ends):
                raise
            say(f"{error}; what is here is given out, and it is tried again in {format_duration(work.every_s)}")
        signed, is_first = None, False
        say(f"{described(seeder, work.settings)}, on port {work.session.port}; Ctrl-C ends it")
        next_at = time.monotonic() + pause_s
        watch(work.session, seeder, work.settings, say, lambda at=next_at: time.monotonic() >= at)  # type: ignore[misc]


def _give_out(work: Mirror, seeder: Seeder) -> None:
    """What is held is given out before the place is asked for anything: it may be away, or slow."""
    try:
        seeder.refresh(is_forced=True)
        work.progress.say(f"{described(seeder, work.settings)}, while {work.place.name} is asked for its index")
    except (TenutoError, OSError) as error:
        work.progress.say(f"nothing can be given out yet: {error}")


def _opened(closing: ExitStack, of: str, *, is_new: bool) -> tuple[FolderPlace | WebPlace, FolderPlace | WebPlace]:
    """The place, twice, for two threads."""
    place = _place(of, is_new=is_new)
    if not isinstance(place, WebPlace):
        return place, _place(of, is_new=is_new)
    closing.callback(place.close)
    return place, place.again()


def _is_elsewhere(place: FolderPlace | WebPlace, followed: str) -> bool:
    """Whether a place is another one than the one that is followed, however each was typed."""
    try:
        before = _place(followed, is_new=False)
    except UsageError:  # there is another thing by now where it was
        return True
    if isinstance(before, WebPlace):
        before.close()
    return place.name != before.name


def _place(of: str, *, is_new: bool) -> FolderPlace | WebPlace:
    """Where the publication is; a folder that was there when the mirror was made may be away now."""
    if is_new or "://" in of or Path(of).exists():
        return open_place(of)
    return FolderPlace(Path(of.removesuffix(f"/{INDEX_NAME}")))


def _wished(layout: Layout, settings: Settings | None, signed: Signed | None, wish: Wish) -> Settings:
    """The mirror's settings with what is wished for; those of a new one are of the index that was read.

    Raises UsageError where the publication has nothing of it.
    """
    index = signed.index if signed is not None else None
    if settings is None:
        assert index is not None
        settings = made(index, wish)
    else:
        index, settings = index or shown(layout, settings), changed(settings, wish)
    if index is not None and settings.mirror is not None and (wish.bands or wish.licences):
        check_choice(index, settings.mirror)
    return settings


def _asked(work: Mirror, signed: Signed | None, *, is_told: bool) -> tuple[Signed | None, str]:
    """The place's index, or None and why it cannot be had: then the one that is here is gone by.

    Raises SourceError where none is here, or what makes the place's index one that is not to be believed.
    """
    try:
        return _noted(work, signed, is_told=is_told), ""
    except SourceError as error:
        if not (work.layout.publication / INDEX_NAME).is_file():
            raise
        work.progress.say(f"{error}; going on with the index that is here")
        return None, str(error)


def _round(work: Mirror, signed: Signed | None, fault: str) -> Mirrored:
    """Follow once, with the archive's lock: others may check and repair between rounds."""
    with ArchiveLock(work.layout.lock, "mirror"):
        done = _followed(work, signed)
        done.place_fault = fault
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


def _noted(work: Mirror, signed: Signed | None, *, is_told: bool = False) -> Signed:
    """The signed index of the place, its number noted: none below the highest one ever seen is taken. `is_told` is whether the
    operator has named the key.

    Raises OtherKeyError at another key than the pinned one, IntegrityError at an older index, or at another one of its number.
    """
    if signed is None:
        highest = _highest(work.layout, work.settings)
        signed = work.reader.read(work.settings.keys.signing_public, highest)
    is_shown(work.layout, work.settings, signed)
    _tell_machine(work, work.note(signed.index), is_told=is_told)
    return signed


def _tell_machine(work: Mirror, seen: Known, *, is_told: bool) -> None:
    """Let this machine's user know the place by this key too, as `get` does; a key that is known stays, unless one was named."""
    if isinstance(work.place, FolderPlace) and own_key(work.place.root) is not None:
        return
    notes = KnownPlaces(default_known_file(dict(os.environ)))
    try:
        before = notes.get(work.place.name)
        if before is None or is_told or before.signing_public == seen.signing_public:
            notes.note(work.place.name, seen)
    except (TenutoError, OSError) as error:  # the mirror has its own notes
        work.progress.say(f"this machine's own notes of {work.place.name} cannot be kept: {error}")


def _highest(layout: Layout, settings: Settings) -> int:
    """The highest number of an index that this mirror has seen."""
    here = shown(layout, settings)
    return max(KnownPlaces(layout.known).highest(settings.keys.signing_public), here.sequence if here else 0)


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

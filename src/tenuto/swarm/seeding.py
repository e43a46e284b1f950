"""Giving out the crates that the signed index names, and no other: what leaves the index leaves the swarm.

The third gate is asked here too (design, law 5): an archive of one's own judges each crate by today's statements, not only when it
is published; a mirror has nothing but its archive's index. Where index or gate cannot be asked for longer than a moment, nothing is
given out: what was taken back meanwhile is not known.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.model.errors import IntegrityError, TenutoError, UsageError
from tenuto.model.units import counted, format_bytes
from tenuto.publication.documents import INDEX_NAME, Index
from tenuto.swarm.own_index import NothingPublishedError, is_behind, read_own_signed
from tenuto.swarm.session import Session

LOOK_EVERY_S = 1.0
"""How soon a withdrawal is followed: the index is looked at so often, by its file's time alone."""

_ASK_AGAIN_S = 3600.0
"""Rights that end with a day are asked for so often."""

_SAY_EVERY_S = 60.0
_STEP_S = 0.5
_TRY_AGAIN_S = 4.0
"""What could not be read is tried again so soon."""

_INDEX_GRACE_S = 10.0
"""So long an index may be unreadable, or not its signature's, before nothing is given out any more."""

_MENDING_S = 5.0
"""A crate that was found damaged is given out again once its file has changed, and rested for so long: repair writes in place."""

_GATE_GRACE_S = 60.0
"""So long nobody may be able to tell what may be given out today, before nothing is: a catalogue is being built anew, say."""

_Torrent = tuple[tuple[int, ...], Metainfo, str]
"""What a torrent's file was when it was read, what it said, and its info-hash (v2)."""

Say = Callable[[str], None]


@dataclass(slots=True)
class _Lost:
    """A crate that the session dropped: its file as it was when it was given out, as it was seen last, and since when it is so."""

    given_out: tuple[int, ...]
    seen: tuple[int, ...]
    seen_at: float

    def is_mended(self, now: tuple[int, ...]) -> bool:
        """Whether the file is another, and nobody seems to write to it any more."""
        if now != self.seen:
            self.seen, self.seen_at = now, time.monotonic()
        return now != self.given_out and time.monotonic() - self.seen_at >= _MENDING_S


class Seeder:
    """Keeps a session giving out what the archive's publication names; `refresh` follows what has changed."""

    def __init__(
        self, layout: Layout, settings: Settings, session: Session, say: Say, names: tuple[str, ...] = ()
    ) -> None:
        self.given_out: dict[str, Metainfo] = {}
        self._layout = layout
        self._settings = settings
        self._session = session
        self._say = say
        self._names = names
        self._stamp: tuple[int, ...] | None = None
        self._asked_at = 0.0
        self._has_begun = False
        self._failing: dict[str, float] = {}
        self._torrents: dict[str, _Torrent] = {}
        self._has_said_behind = False
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._lost: dict[str, _Lost] = {}

    def refresh(self, *, is_forced: bool = False) -> bool:
        """Follow the publication where it has changed since; returns whether it was looked at.

        Raises what hinders it. A crate that was given out still is then, for a moment: none where the index is gone.
        """
        self._note_lost()
        mended = {crate for crate, lost in self._lost.items() if lost.is_mended(self._file_stamp(crate))}
        stamp, now = _stamp(self._layout), time.monotonic()
        if not is_forced and not mended and stamp == self._stamp and now - self._asked_at < _ASK_AGAIN_S:
            return False
        self._stamp = None  # what fails is looked at again, also where all is as it was before
        with self._failing_after("index", _INDEX_GRACE_S):
            index = read_own_signed(self._layout, self._settings)
            is_older = is_behind(self._layout, self._settings, index)
        here = self._here(index)
        for crate in [name for name, torrent in self.given_out.items() if here.get(name) != torrent]:
            self.drop(crate)  # at once, whatever else cannot be read
        with self._failing_after("gate", _GATE_GRACE_S):
            refused = _refused(self._layout, self._settings)
        for crate, torrent in here.items():
            if crate in refused:
                self.drop(crate)
                self._say(f"{crate} is not given out: {refused[crate]}; run: tenuto publish")
            elif crate not in self.given_out and not is_older and (crate in mended or crate not in self._lost):
                self.add(crate, torrent)
        for crate in mended:  # whatever hindered it now, its file no longer does
            self._lost.pop(crate, None)
        if is_older and not self._has_said_behind:
            self._say(
                "a newer index was seen than the one that is here: no further crate is given out by it; run: tenuto mirror"
            )
        self._has_said_behind, self._has_begun = is_older, True
        self._stamp, self._asked_at = stamp, now
        return True

    def add(self, crate: str, torrent: Metainfo) -> None:
        """Give out a crate that has come, without a look at all the others."""
        self._session.seed(torrent, self._layout.crates)
        self.given_out[crate] = torrent
        self._stamps[crate] = self._file_stamp(crate)
        self._lost.pop(crate, None)

    def drop(self, crate: str) -> None:
        """Give a crate out no longer, at once: its file is about to change."""
        self._lost.pop(crate, None)
        if self.given_out.pop(crate, None) is not None:
            self._session.remove(f"{crate}.zip")

    def _note_lost(self) -> None:
        """What the session has dropped, since its file is damaged, is not given out: until that file has changed."""
        for crate in [name for name in self.given_out if not self._session.is_here(f"{name}.zip")]:
            del self.given_out[crate]
            self._lost[crate] = _Lost(self._stamps[crate], self._file_stamp(crate), time.monotonic())

    def _file_stamp(self, crate: str) -> tuple[int, ...]:
        return _stamp_of(self._layout.crates / f"{crate}.zip")

    @contextmanager
    def _failing_after(self, what: str, grace_s: float) -> Iterator[None]:
        """Give out nothing any more where this has failed for so long, or where nothing is published."""
        try:
            yield
        except Exception as error:
            now = time.monotonic()
            since = self._failing.setdefault(what, now)
            if self.given_out and (isinstance(error, NothingPublishedError) or now - since >= grace_s):
                for crate in list(self.given_out):
                    self.drop(crate)
                self._say(f"nothing is given out any more: {error}")
            raise
        self._failing.pop(what, None)

    def _here(self, index: Index) -> dict[str, Metainfo]:
        """The crates that the index names and that lie here as it has them."""
        unknown = sorted(set(self._names) - {crate.crate for crate in index.crates})
        if unknown and not self._has_begun:  # later they are those that were taken back
            raise UsageError(
                f"the publication names no crate {', '.join(unknown)}; run: tenuto status, or tenuto publish"
            )
        before, self._torrents = self._torrents, {}
        for crate in index.crates:
            if self._names and crate.crate not in self._names:
                continue
            path = self._layout.crates / f"{crate.crate}.zip"
            try:
                found = _read_torrent(torrent_beside(path), before.get(crate.crate))
                if found[2] == crate.infohash_v2 and path.stat().st_size == crate.bytes:
                    self._torrents[crate.crate] = found
            except (OSError, IntegrityError):
                continue  # not here, or not as the index has it: `check` says what is wrong
        return {name: found[1] for name, found in self._torrents.items()}


def seed(
    layout: Layout, settings: Settings, names: tuple[str, ...], say: Say, until: Callable[[], bool] = lambda: False
) -> None:
    """Give crates out until told to stop (Ctrl-C), following each publication."""
    with Session(settings.swarm, say) as session:
        seeder = Seeder(layout, settings, session, say, names)
        seeder.refresh()
        say(f"{described(seeder, settings)}, on port {session.port}; Ctrl-C ends it")
        watch(session, seeder, settings, say, until)


def watch(session: Session, seeder: Seeder, settings: Settings, say: Say, until: Callable[[], bool]) -> None:
    """Serve until `until` says so; a publication that changes is followed, one that is unreadable for a moment is waited for."""
    looked_at, said_at, said, fault = 0.0, time.monotonic(), session.traffic, ""
    while not until():
        session.step(_STEP_S)
        now = time.monotonic()
        if now - looked_at >= LOOK_EVERY_S:
            looked_at = now
            try:
                before = dict(seeder.given_out)
                if seeder.refresh():
                    fault = ""
                    if seeder.given_out != before:
                        say(f"the publication has changed: {described(seeder, settings)}")
            except (TenutoError, OSError) as error:
                if seeder.given_out and str(error) != fault:
                    say(
                        f"what may be given out cannot be told now ({error}); what was given out before still is, for a moment"
                    )
                fault, looked_at = str(error), now + _TRY_AGAIN_S
        if now - said_at >= _SAY_EVERY_S:
            traffic = session.traffic
            if traffic != said:
                say(f"given out {format_bytes(traffic.sent_bytes)} so far, {counted(traffic.peers, 'peer')} now")
            said_at, said = now, traffic


def described(seeder: Seeder, settings: Settings) -> str:
    """What is given out, in a few words."""
    size = format_bytes(sum(torrent.length for torrent in seeder.given_out.values()))
    return f"{settings.archive.name}: giving out {counted(len(seeder.given_out), 'crate')}, {size}"


def _refused(layout: Layout, settings: Settings) -> dict[str, str]:
    """Crates of an archive of one's own that may not be given out today, and why."""
    if settings.mirror is not None:
        return {}
    from tenuto.catalogue import open_current  # noqa: PLC0415 -- a mirror needs none of these, and they are heavy
    from tenuto.crates.holdings import survey  # noqa: PLC0415
    from tenuto.crates.withdrawn import load_taken_back  # noqa: PLC0415
    from tenuto.publication.publish import refused_now  # noqa: PLC0415

    today = datetime.now(UTC).date()
    looked, taken = survey(layout, settings), load_taken_back(layout)
    found = refused_now(layout, settings, open_current(layout), taken, looked, today)
    return {crate: tracks[0].reason for crate, tracks in found.items()}


def _read_torrent(path: Path, known: _Torrent | None) -> _Torrent:
    """A torrent; read anew only where its file is not the one that it was. Raises IntegrityError, OSError."""
    about = path.stat()
    stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
    if known is not None and known[0] == stamp:
        return known
    torrent = read_metainfo(path.read_bytes(), path.name)
    return stamp, torrent, torrent.infohash_v2


def _stamp(layout: Layout) -> tuple[int, ...]:
    """What changes with a publication, with a withdrawal that could not be published, with any crate that is replaced."""
    found: list[int] = []
    for path in (layout.publication / INDEX_NAME, layout.withdrawals, layout.crates):
        found += _stamp_of(path)
    return tuple(found)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0, 0
    return about.st_mtime_ns, about.st_ino, about.st_size

"""Giving out the crates that the signed index names, and no other: what leaves the index leaves the swarm.

The third gate is asked here too (design, law 5): an archive of one's own judges each crate by today's statements, not only when it
is published; a mirror has nothing but its archive's index.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from tenuto.archive import Layout, Settings
from tenuto.archive.layout import read_pointer
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.model.errors import IntegrityError, TenutoError, UsageError
from tenuto.model.units import counted, format_bytes
from tenuto.publication.documents import INDEX_NAME, SIGNATURE_NAME, Index, parse_index, verify_index
from tenuto.swarm.session import Session

LOOK_EVERY_S = 1.0
"""How soon a withdrawal is followed: the index is looked at so often, by its file's time alone."""

_ASK_AGAIN_S = 3600.0
"""Rights that end with a day are asked for so often."""

_SAY_EVERY_S = 60.0
_STEP_S = 0.5
_UNREADABLE_S = 10.0

Say = Callable[[str], None]


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

    def refresh(self, *, is_forced: bool = False) -> bool:
        """Follow the publication where it has changed since; returns whether it was looked at."""
        stamp, now = _stamp(self._layout), time.monotonic()
        if not is_forced and stamp == self._stamp and now - self._asked_at < _ASK_AGAIN_S:
            return False
        here = self._here(is_first=self._stamp is None)
        for crate in [name for name, torrent in self.given_out.items() if here.get(name) != torrent]:
            self.drop(crate)  # at once, whatever else cannot be read
        refused = _refused(self._layout, self._settings)
        for crate, torrent in here.items():
            if crate in refused:
                self.drop(crate)
                self._say(f"{crate} is not given out: {refused[crate]}; run: tenuto publish")
            elif crate not in self.given_out:
                self._session.seed(torrent, self._layout.crates)
                self.given_out[crate] = torrent
        self._stamp, self._asked_at = stamp, now
        return True

    def add(self, crate: str, torrent: Metainfo) -> None:
        """Give out a crate that has come, without a look at all the others."""
        self._session.seed(torrent, self._layout.crates)
        self.given_out[crate] = torrent

    def drop(self, crate: str) -> None:
        """Give a crate out no longer, at once: its file is about to change."""
        if self.given_out.pop(crate, None) is not None:
            self._session.remove(f"{crate}.zip")

    def _here(self, *, is_first: bool) -> dict[str, Metainfo]:
        """The crates that the index names and that lie here as it has them."""
        index = read_own_signed(self._layout, self._settings)
        unknown = sorted(set(self._names) - {crate.crate for crate in index.crates})
        if unknown and is_first:  # later they are those that were taken back
            raise UsageError(
                f"the publication names no crate {', '.join(unknown)}; run: tenuto status, or tenuto publish"
            )
        found = {}
        for crate in index.crates:
            if self._names and crate.crate not in self._names:
                continue
            path = self._layout.crates / f"{crate.crate}.zip"
            try:
                torrent = read_metainfo(torrent_beside(path).read_bytes(), torrent_beside(path).name)
                if torrent.infohash_v2 == crate.infohash_v2 and path.stat().st_size == crate.bytes:
                    found[crate.crate] = torrent
            except (OSError, IntegrityError):
                continue  # not here, or not as the index has it: `check` says what is wrong
        return found


def read_own_signed(layout: Layout, settings: Settings) -> Index:
    """The index of the archive's own publication (in a mirror: of the one it follows), held to the pinned key.

    It and its signature are replaced one after the other: what does not fit is read again for a while.
    """
    for last in (False, False, False, True):
        try:
            content = (layout.publication / INDEX_NAME).read_bytes()
            verify_index(content, (layout.publication / SIGNATURE_NAME).read_bytes(), settings.keys.signing_public)
            return parse_index(content)
        except FileNotFoundError:
            run = "tenuto mirror" if settings.mirror else "tenuto publish"
            raise UsageError(f"{layout.publication} holds no signed index: nothing is published; run: {run}") from None
        except IntegrityError:
            if last:
                raise
            time.sleep(0.3)
    raise AssertionError


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
    looked_at, said_at, said = 0.0, time.monotonic(), session.traffic
    while not until():
        session.step(_STEP_S)
        now = time.monotonic()
        if now - looked_at >= LOOK_EVERY_S:
            looked_at = now
            try:
                before = set(seeder.given_out.items())
                if seeder.refresh() and set(seeder.given_out.items()) != before:
                    say(f"the publication has changed: {described(seeder, settings)}")
            except (TenutoError, OSError) as error:
                say(f"the publication cannot be read now ({error}); what was given out before still is")
                looked_at = now + _UNREADABLE_S
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
    if settings.mirror is not None or read_pointer(layout.catalogue / "current") is None:
        return {}
    from tenuto.catalogue import open_current  # noqa: PLC0415 -- a mirror needs none of these, and they are heavy
    from tenuto.crates.holdings import survey  # noqa: PLC0415
    from tenuto.crates.withdrawn import load_taken_back  # noqa: PLC0415
    from tenuto.publication.publish import refused_now  # noqa: PLC0415

    today = datetime.now(UTC).date()
    looked, taken = survey(layout, settings), load_taken_back(layout)
    found = refused_now(layout, settings, open_current(layout), taken, looked, today)
    return {crate: tracks[0].reason for crate, tracks in found.items()}


def _stamp(layout: Layout) -> tuple[int, ...]:
    """What changes with a publication, with a withdrawal that could not be published, with any crate that is replaced."""
    found: list[int] = []
    for path in (layout.publication / INDEX_NAME, layout.withdrawals, layout.crates):
        try:
            about = path.stat()
            found += (about.st_mtime_ns, about.st_ino, about.st_size)
        except OSError:
            found += (0, 0, 0)
    return tuple(found)

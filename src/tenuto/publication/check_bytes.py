"""Every byte of the crates, while other processes may be at work in the archive: nothing is held.

A crate that has become another one since it was read is read again; what is reported is true of a file that stood still.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.archive.lock import wait_for_rest
from tenuto.crates.seal import torrent_beside
from tenuto.crates.verify import Verified, verify_crate
from tenuto.model.errors import TenutoError
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.publication.documents import INDEX_NAME, Index, parse_index

LOOKS_MAX = 3
"""How often at most something is looked at that changes each time."""

_Identity = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _State:
    """A crate as it stood when it was read: where any of it has changed, what was found may be so no more."""

    file: _Identity | None
    torrent: _Identity | None
    infohash_v2: str | None
    """That the index says."""
    is_due: bool
    """Whether the archive's own index names it, so that it has to be there."""


def read_crates(
    layout: Layout, settings: Settings, paths: Sequence[Path], progress: Progress, *, is_thorough: bool
) -> tuple[Verified, ...]:
    """Prove these crates; one that was removed meanwhile, and that the index does not name, is left out.

    Where there are findings, it waits until nobody works in the archive, and looks again at what has changed.
    """
    now, done = _Now(layout, settings), dict[Path, tuple[_State, Verified | None]]()

    def has_changed(path: Path) -> bool:
        return path not in done or done[path][0] != now.state(path)

    for look in range(LOOKS_MAX):
        stale = [path for path in paths if has_changed(path)]
        if not stale:
            break
        for path in stale:
            if look:
                progress.say(f"{path.stem} has changed since it was read, and is read again")
            state = now.state(path)
            done[path] = state, _read(path, state, now, progress, is_thorough=is_thorough)
        if any(found is not None and found.findings for _, found in done.values()):
            wait_for_rest(layout.lock, progress.say)
    else:
        for path, (_, found) in done.items():
            if found is not None and found.findings and has_changed(path):
                found.findings = [_restless(path)]
    return tuple(found for _, found in done.values() if found is not None)


def read_index(layout: Layout) -> Index | None:
    """The index of the publication as it says of itself; None where none can be read."""
    try:
        return parse_index((layout.publication / INDEX_NAME).read_bytes())
    except (OSError, TenutoError):
        return None


class _Now:
    """What stands in the archive at this moment; the index is read again whenever it is another file."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._is_mirror = settings.mirror is not None
        self._seen: _Identity | None = None
        self._infohashes: dict[str, str] = {}
        self._dark: set[str] = set()

    def state(self, path: Path) -> _State:
        seen = identity_of(self._layout.publication / INDEX_NAME)
        if seen != self._seen:
            index = read_index(self._layout)
            self._infohashes = {crate.crate: crate.infohash_v2 for crate in index.crates} if index else {}
            self._dark = {crate.crate for crate in index.dark} if index else set()
            self._seen = seen
        is_open = path.parent == self._layout.crates
        infohash = self._infohashes.get(path.stem) if is_open else None
        is_named = infohash is not None if is_open else path.stem in self._dark
        is_due = is_named and not self._is_mirror  # a mirror holds what it has room for
        return _State(identity_of(path), identity_of(torrent_beside(path)), infohash, is_due)


def identity_of(path: Path) -> _Identity | None:
    """What changes when a file is replaced or written to; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _read(path: Path, state: _State, now: _Now, progress: Progress, *, is_thorough: bool) -> Verified | None:
    if state.file is None and not state.is_due:
        return None
    try:
        return verify_crate(path, is_thorough=is_thorough, infohash_v2=state.infohash_v2, progress=progress)
    except Exception:  # a file that is cut or written over while it is parsed may be anything
        if now.state(path) == state:
            raise
        return Verified(path.stem, findings=[_restless(path)])


def _restless(path: Path) -> Finding:
    said = f"it has changed each of the {LOOKS_MAX} times that it was read; run: tenuto check {path.stem}"
    return Finding(code="check-incomplete", subject=path.stem, message=said)

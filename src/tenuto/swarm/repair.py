"""Mending an archive or a mirror: damaged crates piece by piece from wherever they are whole, and what is promised and not there.

Nothing is believed that the crate's torrent does not prove, and nothing that is good is written over.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tenuto.archive import Layout, Settings, write_durably
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.crates.holdings import crate_files
from tenuto.crates.mend import Mender, damaged_in
from tenuto.crates.merkle import blocks_in
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo
from tenuto.crates.verify import Verified, verify_crate
from tenuto.crates.verify_bytes import Range
from tenuto.model.errors import IntegrityError, SourceError, UsageError, system_fault
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.model.units import counted, format_bytes
from tenuto.publication.documents import IndexCrate
from tenuto.publication.places import FolderPlace
from tenuto.publication.places.web import TIMEOUT_S
from tenuto.sources.http import Http, user_agent
from tenuto.swarm.copies import Donor, Inode, inode_of, open_donors
from tenuto.swarm.own_index import is_behind
from tenuto.swarm.own_publication import (
    link_public,
    mend_small_files,
    overtaken,
    read_own_index,
    unlinked,
    unpublished,
)
from tenuto.swarm.peers import SWARM, fetch_from_peers, has_somebody
from tenuto.swarm.repaired import Mending, Repaired
from tenuto.swarm.session import Session
from tenuto.swarm.torrents import Torrents, read_beside

PATIENCE_S = 60.0
"""How long the swarm may give nothing."""

_PATIENCE_BEFORE_S = 15.0
"""How long peers are asked where a web server without ranges would send all of a crate for one block of it."""

_ROOM_BYTES = 2**20
"""Left free beside a crate that is brought back: its torrent, the folder."""


_BEHIND = "a newer index was seen than the one that is here, which may have taken things back; run: tenuto mirror first"


def repair(
    layout: Layout, settings: Settings, names: Sequence[str], places: Sequence[str], peers: Sequence[str], progress: Progress, *,
    patience_s: float = PATIENCE_S,
) -> Repaired:  # fmt: skip
    """Mend the named crates, or all, and what the publication of a mirror lacks.

    `places` are asked in their order, then whom a mirror follows, then copies in the own publication, last the swarm with `peers`.
    Raises UsageError where a crate or place is none. What stays damaged is named in what is returned.
    """
    with ExitStack() as closing:
        return _Repair(layout, settings, places, peers, progress, patience_s, closing).run(names)


class _Repair:
    def __init__(
        self, layout: Layout, settings: Settings, places: Sequence[str], peers: Sequence[str], progress: Progress,
        patience_s: float, closing: ExitStack,
    ) -> None:  # fmt: skip
        self._layout = layout
        self._settings = settings
        self._progress = progress
        self._patience_s = patience_s
        self._closing = closing
        self._session: Session | None = None
        self._swarm = settings.swarm.model_copy(update={"peers": (*peers, *settings.swarm.peers)})
        self._http = Http(user_agent(settings.archive.name, settings.archive.contact), TIMEOUT_S)
        closing.callback(self._http.close)
        self._donors = open_donors([*places, *self._followed()], self._http)
        self._index, self._fault = read_own_index(layout, settings)
        self._is_behind = self._index is not None and is_behind(layout, settings, self._index)
        self._torrents = Torrents(
            layout,
            self._index,
            self._donors,
            progress,
            is_mirror=settings.mirror is not None,
            is_behind=self._is_behind,
        )

    def run(self, names: Sequence[str]) -> Repaired:
        """Mend it all."""
        done, there = Repaired(), {path.stem: path for path in crate_files(self._layout)}
        missing = self._missing(names, set(there))
        if self._is_behind:
            self._progress.say(f"{_BEHIND}; only damage in crates that are here is mended")
        wanted = [path for crate, path in there.items() if not names or crate in names]
        if not names:
            self._mend_small_files(done)
        done.crates += [self._guarded(Mending(path.stem), partial(self._mend, path=path)) for path in wanted]
        done.crates += [self._guarded(Mending(one.crate), partial(self._restore, entry=one)) for one in missing]
        _remove_stale(self._layout.crates)
        done.bytes = sum(one.bytes for one in done.crates)
        if not names:
            done.findings += self._fault
        if self._settings.mirror is None and self._index is not None:
            done.findings += unlinked(self._layout, self._index, [one.crate for one in done.crates if not one.why])
            done.findings += unpublished(self._layout, self._index) if not names else []
        return done

    def _mend_small_files(self, done: Repaired) -> None:
        if self._index is not None and self._is_behind:
            done.findings += overtaken(self._layout, self._index)
        elif self._settings.mirror is not None and self._index is not None:
            mend_small_files(self._layout, self._index, self._donors, self._progress, done)

    def _followed(self) -> list[str]:
        """The place that a mirror follows, if it is there; one that is not is said, and no reason to stop."""
        if self._settings.mirror is None:
            return []
        of = self._settings.mirror.of
        if "://" in of:
            return [of]
        folder = self._layout.operator_path(of)
        if not folder.is_dir():
            self._progress.say(f"{of}, which this mirror follows, is not there now")
            return []
        return [str(folder)]

    def _missing(self, names: Sequence[str], there: set[str]) -> list[IndexCrate]:
        """Crates that are promised and not there. A mirror holds what it holds: there only those that are named."""
        entries = {crate.crate: crate for crate in self._index.crates} if self._index else {}
        unknown = sorted(set(names) - there - entries.keys())
        if unknown:
            known = ", ".join(sorted(there | entries.keys())) or "none"
            raise UsageError(
                f"no crate here is called {', '.join(unknown)}, and the index names none so; there are {known}"
            )
        wanted = set(names) if names or self._settings.mirror else entries.keys()
        return [entry for crate, entry in entries.items() if crate in wanted and crate not in there]

    def _guarded(self, about: Mending, work: Callable[[Mending], None]) -> Mending:
        """One crate; what goes wrong with it is said of it, and the others go on."""
        try:
            work(about)
        except OSError as error:
            about.why = system_fault(error)
        except (IntegrityError, SourceError) as error:
            about.why = str(error)
        return about

    def _mend(self, about: Mending, path: Path) -> None:
        """A crate that is there."""
        if not path.is_file():
            about.findings = _verified(path, None, self._progress).findings
            raise IntegrityError(
                f"{path} is no file, so nothing was written there; move it away and run the same again"
            )
        entry = self._torrents.entry(path.stem) if path.parent == self._layout.crates else None
        due = entry.infohash_v2 if entry else None
        try:
            metainfo, origin = self._torrents.of(path)
        except IntegrityError:
            found = _verified(path, due, self._progress)
            about.findings, about.bytes, about.revision = found.findings, found.bytes, found.revision
            raise
        about.torrent = origin or about.torrent
        found = _verified(path, due, self._progress)
        over = path.stat().st_size - metainfo.length
        faults: list[str] = []
        if found.damaged or over > 0:
            faults = self._patch(about, path, metainfo, found.damaged, is_given_out=due == metainfo.infohash_v2)
            found = _verified(path, due, self._progress)
            if over > 0 and not found.damaged:
                about.cut_bytes = _cut_off(path, metainfo)
                found = _verified(path, due, self._progress)
        about.findings, about.bytes, about.revision = found.findings, metainfo.length, found.revision
        if found.findings:
            about.why = self._why(found, metainfo, entry, faults)
        elif self._settings.mirror is not None and due == metainfo.infohash_v2:
            about.is_linked = link_public(path, self._layout.publication / "crates" / path.name)

    def _patch(
        self, about: Mending, path: Path, metainfo: Metainfo, damaged: Iterable[Range], *, is_given_out: bool
    ) -> list[str]:
        """Mend a file in place; returns why nobody gave all of it.

        Places that give parts of files come first, then peers; who sends a whole crate for one block is asked last.
        """
        about.bytes, faults = metainfo.length, list[str]()
        donors = self._asked(path, inode_of(path) or (0, 0))
        frugal = [donor for donor in donors if donor.is_frugal(metainfo.name)]
        wasteful = [donor for donor in donors if donor not in frugal]
        left = self._ask_places(about, path, metainfo, damaged, frugal, faults)
        if left and self._is_behind:
            faults.append(f"the swarm is not asked: {_BEHIND}")
        elif left and not is_given_out:
            faults.append("the swarm is not asked for what the signed index does not name")
        elif left:
            faults.append(
                self._ask_peers(about, path.parent, metainfo, left, is_last=all(donor.is_down for donor in wasteful))
            )
            left = damaged_in(path, metainfo, self._progress) if wasteful else []
        if left and wasteful:
            self._ask_places(about, path, metainfo, left, wasteful, faults)
        return faults

    def _ask_places(
        self, about: Mending, path: Path, metainfo: Metainfo, damaged: Iterable[Range], donors: Sequence[Donor],
        faults: list[str],
    ) -> list[Range]:  # fmt: skip
        """Let places mend a file, one after the other; returns what is left, and adds to `faults` why."""
        own = inode_of(path) or (0, 0)
        with Mender(path, metainfo, damaged, self._progress) as mender:
            for donor in donors:
                if not mender.left:
                    break
                offer = donor.give(mender, metainfo.name, own, self._progress)
                about.came(donor.name, offer.received_bytes)
                if mender.left:
                    faults.append(offer.said(donor.name))
                if offer.differing:
                    self._progress.say(f"{about.crate}: {faults[-1]}")
            about.patched.pieces += mender.patched.pieces
            about.patched.blocks += mender.patched.blocks
            about.patched.bytes += mender.patched.bytes
            return [one for ranges in mender.left.values() for one in ranges]

    def _asked(self, path: Path, own: Inode) -> list[Donor]:
        """The places to be asked, in order; for dark crates, only folders."""
        is_dark = path.parent == self._layout.dark
        donors = [donor for donor in self._donors if donor.is_folder or not is_dark]
        if not is_dark and inode_of(self._layout.publication / "crates" / path.name) not in {None, own}:
            donors.append(Donor(FolderPlace(self._layout.publication)))
        return donors

    def _ask_peers(
        self, about: Mending, folder: Path, metainfo: Metainfo, left: Sequence[Range], *, is_last: bool
    ) -> str:
        """Let the swarm mend what is left; returns why it did not. It has less time where somebody else can be asked after it."""
        if not has_somebody(self._swarm):
            return "no peers are known (--peer HOST:PORT)"
        if self._session is None:
            self._session = self._closing.enter_context(Session(self._swarm, self._progress.say))
        patience_s = self._patience_s if is_last else min(self._patience_s, _PATIENCE_BEFORE_S)
        asked = fetch_from_peers(self._session, metainfo, folder, self._progress, patience_s)
        about.came(SWARM, asked.received_bytes)
        still = _pieces(damaged_in(folder / metainfo.name, metainfo, self._progress), metainfo)
        for number in _pieces(left, metainfo) - still:
            size = min(metainfo.piece_length, metainfo.length - number * metainfo.piece_length)
            about.patched.pieces += 1
            about.patched.blocks += blocks_in(size)
            about.patched.bytes += size
        return asked.fault

    def _restore(self, about: Mending, entry: IndexCrate) -> None:
        """A crate that the index promises and that is not there."""
        path = self._layout.crates / f"{entry.crate}.zip"
        public = self._layout.publication / "crates" / path.name
        about.findings = [
            Finding(code="crate-unreadable", subject=entry.crate, message="the index promises it, and it is not there")
        ]
        if os.path.lexists(path):
            raise IntegrityError(
                f"{path} is no file, so nothing was written there; move it away and run the same again"
            )
        if self._is_behind:
            raise IntegrityError(f"it is not brought back: {_BEHIND}")
        if self._torrents.entry(entry.crate) is None:
            raise IntegrityError(
                "it was withdrawn from since the index was signed, so it is not brought back by it; run: tenuto publish"
            )
        beside = read_beside(path)
        found = (beside, "") if beside and beside.infohash_v2 == entry.infohash_v2 else self._torrents.promised(entry)
        if found is None:
            raise IntegrityError("its torrent is nowhere; name a place that has it with --from")
        metainfo, origin = found
        make_folder(path.parent)
        if not _has_other_name(public, path):
            self._bring(about, path, metainfo, sum(count for _, count in entry.redacted))
        about.torrent, about.restored = origin, True
        if origin:
            write_durably(torrent_beside(path), metainfo.encode())
        self._mend(about, path)

    def _bring(self, about: Mending, path: Path, metainfo: Metainfo, zeros: int) -> None:
        """Make a file from wherever it can be had; what came is kept where it is not all, and used the next time."""
        folder = path.parent / f"{LEFTOVER_PREFIX}{path.stem}"
        make_folder(folder)
        beside = folder / path.name
        damaged = damaged_in(beside, metainfo, self._progress)
        beside.touch()
        needed = max(0, sum(count for _, count in damaged) - zeros) + _ROOM_BYTES  # withdrawn bytes stay a hole
        if (free := shutil.disk_usage(folder).free) < needed:
            raise IntegrityError(
                f"it needs {format_bytes(needed)}, and {format_bytes(free)} are free at {path.parent}: make room"
            )
        faults = self._patch(about, beside, metainfo, damaged, is_given_out=True)
        if damaged_in(beside, metainfo, self._progress):
            if beside.stat().st_size == 0:
                shutil.rmtree(folder)
            raise IntegrityError(f"it is missing, and not all of it could be had: {'; '.join(faults)}")
        _cut_off(beside, metainfo)
        beside.rename(path)
        shutil.rmtree(folder, ignore_errors=True)
        sync_folder(path.parent)

    def _why(self, found: Verified, metainfo: Metainfo, entry: IndexCrate | None, faults: Sequence[str]) -> str:
        if found.damaged:
            pieces = len(_pieces(found.damaged, metainfo))
            said = (
                "; ".join(fault for fault in faults if fault)
                or "nothing was given to mend it from: name a copy with --from"
            )
            return f"{counted(pieces, 'piece')} of it still damaged: {said}"
        if entry is not None and entry.infohash_v2 != metainfo.infohash_v2:
            run = "tenuto mirror" if self._settings.mirror else "tenuto publish"
            return f"it is whole, and of another revision than the index names; run: {run}"
        return "every byte is as its torrent promises: what is wrong was sealed so; no copy mends that"


def _verified(path: Path, due: str | None, progress: Progress) -> Verified:
    return verify_crate(path, infohash_v2=due, progress=progress)


def _pieces(ranges: Iterable[Range], metainfo: Metainfo) -> set[int]:
    """The pieces that ranges lie in."""
    step = metainfo.piece_length
    return {number for at, count in ranges for number in range(at // step, -(-(at + count) // step))}


def _cut_off(path: Path, metainfo: Metainfo) -> int:
    with Mender(path, metainfo, ()) as mender:
        return mender.cut_off()


def _has_other_name(public: Path, path: Path) -> bool:
    """Whether a crate that is missing was there under its other name, in the publication; it has both again."""
    if not public.is_file() or public.is_symlink():
        return False
    try:
        os.link(public, path)
    except OSError:  # on another file system it is a copy, and mended from like one
        return False
    sync_folder(path.parent)
    return True


def _remove_stale(crates: Path) -> None:
    """Remove what was begun of crates that are there by now."""
    for folder in crates.glob(f"{LEFTOVER_PREFIX}*"):
        if folder.is_dir() and (crates / f"{folder.name.removeprefix(LEFTOVER_PREFIX)}.zip").is_file():
            shutil.rmtree(folder, ignore_errors=True)

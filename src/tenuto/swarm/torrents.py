"""Which torrent vouches for a crate, and bringing it back where it is missing or wrong.

A crate in the signed index is held to that; a dark one, or one that the index does not name as it is, to the torrent beside it,
or to one that its own leaves lead to. What was withdrawn since the index was signed does not come back by it; in a mirror that has
seen a newer index than the one it shows that may be anything.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tenuto.archive import Layout, write_durably
from tenuto.crates.hashing import hash_file, metainfo_of
from tenuto.crates.merkle import piece_length, root_of
from tenuto.crates.reader import CrateFile, closing_leaves
from tenuto.crates.revise import finish_revision, pieces_root
from tenuto.crates.seal import LEAVES_NAME, torrent_beside
from tenuto.crates.torrent import METAINFO_MAX_BYTES, Metainfo, read_metainfo
from tenuto.crates.verify import PIECES, verify_crate
from tenuto.model.errors import IntegrityError, TenutoError
from tenuto.model.progress import Progress
from tenuto.publication.documents import Index, IndexCrate
from tenuto.swarm.copies import Donor

OURSELVES = "the crate's own bytes"
_NONE = "its torrent is missing or another crate's, and none was found that can be trusted"


class Torrents:
    """The torrents of an archive's crates. What was withdrawn since is in the log of an archive of one's own; a mirror's index
    says all, unless the mirror is behind: then the index vouches for nothing.
    """

    def __init__(
        self, layout: Layout, index: Index | None, donors: Sequence[Donor], progress: Progress, *, is_mirror: bool,
        is_behind: bool = False,
    ) -> None:  # fmt: skip
        self._layout = layout
        self._donors = donors
        self._progress = progress
        self._entries = {crate.crate: crate for crate in index.crates} if index else {}
        self._withdrawn_since: set[str] | None = set()
        if is_behind:
            self._withdrawn_since = None
        elif index is not None and not is_mirror:
            self._withdrawn_since = _withdrawn_since(layout.withdrawals, index)

    def entry(self, crate: str) -> IndexCrate | None:
        """What the signed index says of a crate; None where a withdrawal has gone over it since, or may have."""
        is_stale = self._withdrawn_since is None or crate in self._withdrawn_since
        return None if is_stale else self._entries.get(crate)

    def of(self, path: Path) -> tuple[Metainfo, str]:
        """What vouches for a crate file, and from where its torrent was brought back ("": it was there).

        Raises IntegrityError where nothing does.
        """
        _settle_revision(path)
        beside, entry = read_beside(path), self.entry(path.stem) if path.parent == self._layout.crates else None
        if beside is not None and (entry is None or beside.infohash_v2 == entry.infohash_v2):
            return beside, ""
        if entry is not None and not _is_of_another_revision(path, beside, entry):
            found = self.promised(entry)
            if found is None:
                raise IntegrityError(f"{_NONE}; name a place that has it with --from")
        elif beside is not None:
            return beside, ""
        else:
            found = self._by_leaves(path)
        metainfo, origin = found
        write_durably(torrent_beside(path), metainfo.encode())
        return metainfo, origin

    def promised(self, entry: IndexCrate) -> tuple[Metainfo, str] | None:
        """The torrent that the signed index promises, and where it was found."""
        name = f"{entry.crate}.zip"
        for metainfo, origin in self._offered(name, entry):
            if metainfo.infohash_v2 == entry.infohash_v2 and metainfo.name == name:
                return metainfo, origin
        path = self._layout.crates / name
        if path.is_file() and path.stat().st_size == entry.bytes:
            self._progress.say(f"{entry.crate}: its torrent is nowhere; it is made anew from its bytes")
            leaves, pieces = hash_file(path, entry.piece_length, self._progress)
            made = metainfo_of(name, entry.bytes, entry.piece_length, leaves, pieces)
            if made.infohash_v2 == entry.infohash_v2:
                return made, OURSELVES
        return None

    def _offered(self, name: str, entry: IndexCrate | None) -> Iterator[tuple[Metainfo, str]]:
        own = self._layout.publication / entry.torrent.path if entry else None
        found = _read(own) if own else None
        if found is not None:
            yield found, "publication/"
        for donor in self._donors if entry else [one for one in self._donors if one.is_folder]:
            for metainfo in donor.torrents(name, [entry.torrent.path] if entry else ()):
                yield metainfo, donor.name

    def _by_leaves(self, path: Path) -> tuple[Metainfo, str]:
        """A torrent that the crate's own leaves lead to, or the one of a crate that is whole in itself."""
        for metainfo, origin in self._offered(path.name, None):
            if metainfo.name == path.name and metainfo.piece_length in PIECES and _leads_to(path, metainfo):
                return metainfo, origin
        if all(
            one.code in {"torrent-missing", "torrent-damaged"}
            for one in verify_crate(path, progress=self._progress).findings
        ):
            piece_bytes = piece_length(path.stat().st_size)
            leaves, pieces = hash_file(path, piece_bytes, self._progress)
            return metainfo_of(path.name, path.stat().st_size, piece_bytes, leaves, pieces), OURSELVES
        raise IntegrityError(
            f"{_NONE}: the crate is damaged, or no folder named with --from has a torrent that its leaves lead to"
        )


def read_beside(path: Path) -> Metainfo | None:
    """The torrent beside a crate file, if it can be one of it."""
    found = _read(torrent_beside(path))
    return found if found and found.name == path.name and found.piece_length in PIECES else None


def _read(torrent: Path) -> Metainfo | None:
    try:
        with torrent.open("rb") as file:
            return read_metainfo(file.read(METAINFO_MAX_BYTES + 1), torrent.name)
    except (OSError, IntegrityError):
        return None


def _is_of_another_revision(path: Path, beside: Metainfo | None, entry: IndexCrate) -> bool:
    """Whether a crate is not the one that the index names: it says so itself, or its leaves lead to the torrent beside it."""
    try:
        if CrateFile(path).revision != entry.revision:
            return True
    except (TenutoError, OSError):
        pass
    return beside is not None and _leads_to(path, beside)


def _leads_to(path: Path, metainfo: Metainfo) -> bool:
    """Whether the leaves in a crate, and those of its closing bytes, lead to the root of a torrent."""
    try:
        crate = CrateFile(path)
        leaves = crate.read(LEAVES_NAME) + closing_leaves(crate)
        return crate.size == metainfo.length and root_of(leaves, metainfo.piece_length) == metainfo.pieces_root
    except (TenutoError, OSError):
        return False


def _settle_revision(path: Path) -> None:
    """Give a crate the torrent of its revision where a kill came between the two.

    Raises IntegrityError where the crate is damaged, so that nobody can tell which of the two is due.
    """
    coming = torrent_beside(path).with_suffix(".torrent-next")
    if not coming.exists():
        return
    roots = {found.pieces_root for found in (_read(coming), _read(torrent_beside(path))) if found}
    try:
        is_known = pieces_root(CrateFile(path), coming) in roots
    except (TenutoError, OSError):
        is_known = False
    if not is_known:
        raise IntegrityError(
            f"a revision of it was cut off ({coming.name}) and it is damaged: nobody can tell which of its two torrents is due; "
            "bring the crate and its torrent back from a copy, then run: tenuto publish"
        )
    finish_revision(path)


def _withdrawn_since(log: Path, index: Index) -> set[str] | None:
    """The crates that the log of withdrawals names behind what the index knows of it; None where nobody can say."""
    try:
        lines = log.read_bytes().splitlines() if log.exists() else []
        if len(lines) < index.withdrawals.entries:
            return None
        return {str(crate) for line in lines[index.withdrawals.entries :] for crate in json.loads(line)["crates"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None

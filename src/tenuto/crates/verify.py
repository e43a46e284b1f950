"""Checking one crate file against its torrent: every byte by its hashes, and that it is the crate that docs/format.md describes.

Hostile, damaged and cut files give findings, all of them; nothing is raised and nothing is changed.
"""

import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenuto.crates.hashing import leaves_bytes
from tenuto.crates.merkle import BLOCK_BYTES, piece_length
from tenuto.crates.seal import LEAVES_NAME, torrent_beside
from tenuto.crates.torrent import METAINFO_MAX_BYTES, Metainfo, read_metainfo
from tenuto.crates.verify_bag import Bag, check_file, check_withdrawn, read_bag
from tenuto.crates.verify_bytes import Promise, Proof, Range, merged, prove
from tenuto.crates.verify_rows import check_rows
from tenuto.crates.verify_zip import Structure, read_structure
from tenuto.model.errors import IntegrityError
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress, Silent

PIECES = frozenset(n * 2**20 for n in (1, 4, 8))
"""Bytes that a piece of a crate may have (docs/format.md, Torrent)."""

_SHOWN = 5
"""Places named in one sentence; `damaged` has all of them."""


@dataclass(slots=True)
class Verified:
    """What checking a crate file found; it is whole where `findings` is empty."""

    crate: str
    revision: int | None = None
    """As bag-info.txt says, None where nothing readable says it."""
    bytes: int = 0
    """Read and proved."""
    infohash_v2: str = ""
    """Of the torrent beside it."""
    damaged: list[Range] = field(default_factory=list)
    """Offset and length of what must be fetched again, in whole blocks; reaches to the due end where the file is cut."""
    findings: list[Finding] = field(default_factory=list)


def verify_crate(
    path: Path, *, is_thorough: bool = False, infohash_v2: str | None = None, progress: Progress | None = None
) -> Verified:
    """Check a crate file against the torrent beside it, and against `infohash_v2` where the caller knows it.

    Reads every byte once and proves it by its SHA-256 block; `is_thorough` adds the SHA-1 pieces, and each file's SHA-256
    and CRC-32.
    """
    check = _Check(path, progress or Silent())
    try:
        check.run(infohash_v2, is_thorough=is_thorough)
    except OSError as error:
        check.report("crate-unreadable", "", f"the system does not let us read it: {error.strerror or error}")
    check.done.findings.sort()
    return check.done


def inspect_crate(path: Path) -> list[Finding]:
    """What is wrong with a crate whose bytes have been proven already: whether it is a crate at all, and describes itself truly."""
    done = Verified(path.name.removesuffix(".zip"))

    def report(code: str, inner: str, message: str) -> None:
        done.findings.append(
            Finding(code=code, subject=f"{done.crate}/{inner}" if inner else done.crate, message=message)
        )

    with path.open("rb") as file:
        _described(file.fileno(), done.crate, path.stat().st_size, report)
    return sorted(done.findings)


def _described(
    descriptor: int, crate: str, size: int, report: Callable[[str, str, str], None]
) -> tuple[Structure, Bag]:
    """The structure of a crate file and its bag, what they say of one another checked."""
    structure = read_structure(descriptor, crate, size, report)
    bag = read_bag(descriptor, structure, report)
    if bag.is_known:
        check_withdrawn(structure, bag, report)
        if bag.access == "open" and bag.info.get("Tenuto-Kind") == "recordings":
            check_rows(bag, report)
    return structure, bag


class _Check:
    def __init__(self, path: Path, progress: Progress) -> None:
        self.done = Verified(path.name.removesuffix(".zip"))
        self._path = path
        self._progress = progress

    def report(self, code: str, path: str, message: str) -> None:
        """Note a finding about the crate, or about a file in it."""
        subject = f"{self.done.crate}/{path}" if path else self.done.crate
        self.done.findings.append(Finding(code=code, subject=subject, message=message))

    def run(self, infohash_v2: str | None, *, is_thorough: bool) -> None:
        """Check the torrent, then the file."""
        metainfo = self._metainfo(infohash_v2)
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            about = os.fstat(descriptor)
            if stat.S_ISREG(about.st_mode):
                self._check(descriptor, about.st_size, metainfo, is_thorough=is_thorough)
            else:
                self.report("crate-unreadable", "", "it is no file")
        finally:
            os.close(descriptor)

    def _metainfo(self, infohash_v2: str | None) -> Metainfo | None:
        beside = torrent_beside(self._path)
        try:
            with beside.open("rb") as file:
                found = read_metainfo(file.read(METAINFO_MAX_BYTES + 1), beside.name)
        except FileNotFoundError:
            self.report(
                "torrent-missing",
                "",
                f"{beside.name} is not beside it; what it is held against is in itself only; {self._mend}",
            )
            return None
        except (IntegrityError, OSError, AttributeError) as error:
            # AttributeError: values of another type than bencoded torrents have there.
            self.report(
                "torrent-damaged", "", f"{beside.name} cannot be used: {' '.join(str(error).split())}; {self._mend}"
            )
            return None
        self.done.infohash_v2 = found.infohash_v2
        if infohash_v2 is not None and infohash_v2 != found.infohash_v2:
            self.report("torrent-damaged", "", f"{beside.name} has infohash {found.infohash_v2}, due is {infohash_v2}")
        if found.name != self._path.name:
            self.report("torrent-damaged", "", f"{beside.name} is of {found.name!r}; {self._mend}")
            return None
        if found.piece_length not in PIECES:
            self.report(
                "torrent-damaged", "", f"{beside.name} has pieces of {found.piece_length:,} bytes, as no crate has"
            )
            return None
        return found

    def _check(self, descriptor: int, there: int, metainfo: Metainfo | None, *, is_thorough: bool) -> None:
        due = metainfo.length if metainfo else there
        size = min(there, due)
        if there < due:
            self.report("crate-cut", "", f"it ends at byte {there:,}, {due - there:,} bytes are missing; {self._mend}")
            self.done.damaged.append((there, due - there))
        if there > due:
            self.report("zip-structure", "", f"{there - due:,} bytes follow its end at byte {due:,}")
        structure, bag = _described(descriptor, self.done.crate, size, self.report)
        self.done.revision = bag.revision
        self._check_pieces(metainfo)
        self._progress.begin(f"check {self.done.crate}", size, "bytes")
        proof = prove(descriptor, _promise(size, metainfo, structure, bag, is_thorough=is_thorough), self._progress)
        self.done.bytes = size
        for name, (sha256, crc32) in proof.digests.items():
            path = name.removeprefix(f"{structure.crate}/")
            check_file(path, bag, sha256, crc32, self.report)
        self._report_proof(proof, structure)

    def _check_pieces(self, metainfo: Metainfo | None) -> None:
        """A revision keeps the pieces of its predecessor; only the first has those that are due to its size."""
        if metainfo and self.done.revision == 0 and metainfo.piece_length != (due := piece_length(metainfo.length)):
            self.report(
                "torrent-damaged",
                "",
                f"its torrent has pieces of {metainfo.piece_length:,} bytes, {due:,} are due to its size",
            )

    @property
    def _mend(self) -> str:
        return f"run: tenuto repair {self.done.crate}"

    def _report_proof(self, proof: Proof, structure: Structure) -> None:
        self.done.damaged = merged([*self.done.damaged, *proof.damaged, *proof.unreadable])
        for path, ranges in _by_file(proof.unreadable, structure):
            self.report("crate-unreadable", path, f"the disk does not give {_said(ranges)}; {self._mend}")
        for path, ranges in _by_file(merged([*proof.damaged]), structure):
            self.report("block-damaged", path, f"other bytes than were sealed in {_said(ranges)}; {self._mend}")
        for path, ranges in _by_file(proof.not_zero, structure):
            self.report("withdrawn-not-zero", path, f"was withdrawn and is not zeros in {_said(ranges)}")
        if proof.leaves_differ:
            self.report(
                "leaves-mismatch",
                LEAVES_NAME,
                f"it has other leaves than the blocks in {_said(proof.leaves_differ)}; {self._mend}",
            )
        if proof.pieces_differ:
            self.report("piece-differs", "", f"SHA-1 differs of the pieces in {_said(proof.pieces_differ)}")


def _promise(size: int, metainfo: Metainfo | None, structure: Structure, bag: Bag, *, is_thorough: bool) -> Promise:
    piece = metainfo.piece_length if metainfo else piece_length(size)
    is_one_piece = metainfo is not None and metainfo.length <= piece
    leaves = bag.files.get(LEAVES_NAME)
    return Promise(
        size=size,
        piece_bytes=piece,
        is_one_piece=is_one_piece,
        hashes=(metainfo.layer or metainfo.pieces_root) if metainfo else b"",
        pieces=metainfo.pieces if metainfo and is_thorough else b"",
        leaves=leaves if leaves and leaves.bytes <= leaves_bytes(leaves.header_offset) else None,
        is_leaves_whole=bag.is_leaves_whole,
        zeros=[(one.offset, one.bytes) for one in structure.neutral if one.offset % BLOCK_BYTES == 0],
        files=bag.front if is_thorough else (),
    )


def _by_file(ranges: Sequence[Range], structure: Structure) -> list[tuple[str, list[Range]]]:
    """Ranges by the file that they lie in; headers belong to the file behind them, what is behind the last to the crate."""
    entries = sorted([*structure.live, *structure.neutral], key=lambda one: one.header_offset)
    begins = [entry.header_offset for entry in entries]
    found: dict[str, list[Range]] = {}
    for at, count in ranges:
        first = max(0, bisect_right(begins, at) - 1)
        behind = entries[-1].end if entries else 0
        for entry in entries[first:]:
            low, high = max(at, entry.header_offset), min(at + count, entry.end)
            if entry.header_offset >= at + count:
                break
            if low < high:
                found.setdefault(structure.path_of(entry), []).append((low, high - low))
        if at + count > behind:
            found.setdefault("", []).append((max(at, behind), at + count - max(at, behind)))
    return list(found.items())


def _said(ranges: Sequence[Range]) -> str:
    """`bytes 16,384 to 32,767 (block 1)`: the first places in words, and how many more there are."""
    shown = [f"bytes {at:,} to {at + count - 1:,} ({_blocks(at, count)})" for at, count in ranges[:_SHOWN]]
    more = f" and {len(ranges) - _SHOWN:,} more places" if len(ranges) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def _blocks(at: int, count: int) -> str:
    first, last = at // BLOCK_BYTES, (at + count - 1) // BLOCK_BYTES
    return f"block {first}" if first == last else f"blocks {first}-{last}"

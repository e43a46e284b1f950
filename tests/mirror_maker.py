"""A publication whose crates have pieces, bands, licences and revisions; mirrors of it; peers that are honest or poisoned."""

import atexit
import contextlib
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import libtorrent
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crate_maker import INFO, Made, make_crate, withdraw_by_hand
from publication_maker import Publication, _file
from tenuto.archive import Layout
from tenuto.crates.merkle import BLOCK_BYTES, leaves_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.crates.verify import verify_crate
from tenuto.publication.documents import Index, IndexCrate, Shards, WithdrawalsRef
from tenuto.swarm.founding import Wish
from tenuto.swarm.mirror import Job, mirror
from tenuto.swarm.work import Mirrored

MIB = 2**20
GB = 10**9
QUIET: Mapping[str, Any] = {"listen": "127.0.0.1:0", "reach": "peers"}
CRATES = {
    "meta-0001": ("metadata", "", (), (30_000,)),
    "heard-a": ("recordings", "heard", ("CC0-1.0",), (MIB, 3 * BLOCK_BYTES + 5, 2 * MIB, MIB + 7, 40_001)),
    "heard-b": ("recordings", "heard", ("CC-BY-4.0",), (MIB + 300_000, 300_000)),
    "rare-c": ("recordings", "unheard", ("CC-BY-4.0", "CC0-1.0"), (700_000, MIB)),
    "rare-d": ("recordings", "unheard", ("CC-BY-NC-4.0",), (70_000, 2)),
}
"""Crate -> kind, band, licences, bytes of its recordings; rare-d and the metadata are no longer than one piece."""


@dataclass
class World:
    """An archive's publication, the torrents of its crates, and what its crates were in each revision."""

    root: Path
    key: Ed25519PrivateKey
    index: Index
    songs: dict[str, tuple[str, ...]]
    older: dict[tuple[str, int], bytes] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / "publication"

    @property
    def made(self) -> Publication:
        return Publication(self.folder, self.key, self.index, {}, {})

    @property
    def public(self) -> str:
        return self.made.public

    def file(self, crate: str) -> Path:
        return self.root / "crates" / f"{crate}.zip"

    def whole(self, crate: str) -> bytes:
        return self.file(crate).read_bytes()

    def torrent(self, crate: str) -> Metainfo:
        return read_metainfo(torrent_beside(self.file(crate)).read_bytes(), crate)

    def crate(self, name: str) -> IndexCrate:
        return next(one for one in self.index.crates if one.crate == name)

    def song(self, crate: str, number: int) -> bytes:
        """The bytes of a recording, as the first revision has it."""
        made = self.older.get((crate, 0))
        path = self.file(crate)
        if made is not None:
            path = self.root / f"{crate}.first"
            path.write_bytes(made)
        entry = CrateFile(path).entries[self.songs[crate][number]]
        return path.read_bytes()[entry.offset : entry.end]

    def sign(self, **changed: Any) -> None:
        """Sign the index, some of it changed, with a higher number."""
        self.index = self.index.model_copy(update={"sequence": self.index.sequence + 1, **changed})
        made = self.made
        made.sign()
        self.index = made.index

    def withdraw(self, crate: str, *numbers: int) -> None:
        """The next revision of a crate, without these recordings, and its publication."""
        path, before = self.file(crate), self.crate(crate)
        self.older[crate, before.revision] = path.read_bytes()
        with_torrent = Made(path, self.torrent(crate), self.songs[crate])
        withdraw_by_hand(with_torrent, [self.songs[crate][number] for number in numbers])
        self.put(_entry(self, crate, before))

    def drop(self, crate: str) -> None:
        """Publish without a crate."""
        self.take_out(crate)
        (self.folder / "crates" / f"{crate}.zip").unlink()

    def take_out(self, crate: str) -> None:
        """Publish an index that does not name a crate; its file stays where it is."""
        self.sign(crates=tuple(one for one in self.index.crates if one.crate != crate))

    def put(self, entry: IndexCrate) -> None:
        """Publish with this entry of a crate."""
        there = [one for one in self.index.crates if one.crate != entry.crate]
        order = {name: at for at, name in enumerate(CRATES)}
        self.sign(crates=tuple(sorted((*there, entry), key=lambda one: order.get(one.crate, 99))))

    def add(self, crate: str, sizes: Sequence[int], kind: str = "recordings", band: str = "heard", **how: Any) -> None:
        """Another crate, published."""
        _make(self, crate, kind, sizes, **how)
        self.put(_new_entry(self, crate, kind, band, ("CC0-1.0",)))


def _make(world: World, crate: str, kind: str, sizes: Sequence[int], **how: Any) -> None:
    folder = world.root / "crates"
    folder.mkdir(exist_ok=True)
    made = make_crate(folder, sizes, crate=crate, info=replace(INFO, kind=kind), seed=zlib.crc32(crate.encode()), **how)
    world.songs[crate] = made.songs


def _new_entry(world: World, crate: str, kind: str, band: str, licences: tuple[str, ...]) -> IndexCrate:
    none = {"revision": 0, "predecessor": None, "redacted": (), "infohash_v2": "0" * 64}
    return _entry(world, crate, None, kind=kind, band=band, licences=licences, **none)


def _entry(world: World, crate: str, before: IndexCrate | None, **said: Any) -> IndexCrate:
    """What the index says of a crate file as it is, its small files written."""
    path, meta, file = world.file(crate), world.torrent(crate), CrateFile(world.file(crate))
    count = file.leaves.bytes // 32
    closing = leaves_of(path.read_bytes()[count * BLOCK_BYTES :])
    public = world.folder / "crates" / path.name
    public.parent.mkdir(parents=True, exist_ok=True)
    public.unlink(missing_ok=True)
    shutil.copyfile(path, public)
    revision = before.revision + 1 if before else 0
    if before:
        said = {
            "kind": before.kind,
            "band": before.band,
            "licences": before.licences,
            "predecessor": before.infohash_v2,
        }
        said["redacted"] = tuple(sorted((one.offset, one.bytes) for one in file.withdrawn()))
    return IndexCrate(**{
        **said, "crate": crate, "revision": revision, "bytes": meta.length, "recordings": len(world.songs[crate]),
        "piece_length": meta.piece_length, "pieces_root": meta.pieces_root.hex(), "infohash_v1": meta.infohash_v1,
        "infohash_v2": meta.infohash_v2, "leaves": {"offset": file.leaves.offset, "count": count},
        "layers": _file(world.folder, f"layers/{crate}.r{revision}.layers", meta.layer + closing).model_dump(),
        "torrent": _file(world.folder, f"torrents/{crate}.r{revision}.torrent", meta.encode()).model_dump(),
        "addresses": (f"crates/{crate}.zip",),
    })  # fmt: skip


@cache
def _pattern() -> World:
    folder = Path(tempfile.mkdtemp(prefix="tenuto-mirror-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    public = folder / "publication"
    none = _file(public, "withdrawals.jsonl", b"")
    index = Index(
        format="tenuto-index-1", archive="testing", contact="tests@archive.invalid", territory="worldwide", sequence=7,
        published_at="2026-11-20T12:00:00Z", signing_public="0" * 64, edition="2026-11-20-0123abcd", sources=("demo",), tracks=0,
        statuses={}, crates=(), dark=(), shards=Shards(digits=1, sha256={}), status=_file(public, "status.parquet", b"PAR1"),
        feed=_file(public, "feed.atom", b"<feed/>"), page=_file(public, "index.html", b"<!doctype html>"),
        withdrawals=WithdrawalsRef(**none.model_dump(), entries=0),
    )  # fmt: skip
    world = World(folder, Ed25519PrivateKey.generate(), index, {})
    for crate, (kind, _, _, sizes) in CRATES.items():
        _make(world, crate, kind, sizes)
    entries = [_new_entry(world, crate, kind, band, licences) for crate, (kind, band, licences, _) in CRATES.items()]
    world.sign(crates=tuple(entries), sequence=7)
    return world


def a_world(folder: Path) -> World:
    """A copy of the publication, made once."""
    pattern = _pattern()
    shutil.copytree(pattern.root, folder / "world")
    return World(folder / "world", pattern.key, pattern.index, dict(pattern.songs))


class Said:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, *_: Any) -> None:
        """Nobody looks."""

    def advance(self, *_: Any) -> None:
        """Nobody looks."""

    def say(self, message: str) -> None:
        self.lines.append(message)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Holder:
    """A mirror's folder, worked in this process."""

    root: Path
    of: str
    said: Said = field(default_factory=Said)
    rounds: list[Mirrored] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def __call__(
        self, *, of: str | Path | None = None, space: int | None = 10 * GB, bands: Sequence[str] = (),
        licences: Sequence[str] = (), peers: Sequence[str] = (), patience_s: float = 3.0, every_s: float = 600.0,
        key: str | None = None, **swarm: Any,
    ) -> Mirrored:  # fmt: skip
        """Until it is done; the last round."""
        wish = Wish(str(of or self.of), space, tuple(bands) or None, tuple(licences) or None)
        options = {**QUIET, "peers": tuple(peers), **swarm}
        self.rounds.clear()
        job = Job(self.root, wish, key, options, patience_s=patience_s, every_s=every_s)
        mirror(job, self.said, self.rounds.append)
        return self.rounds[-1]

    def crates(self) -> set[str]:
        return {path.stem for path in self.layout.crates.glob("*.zip")}

    def assert_holds(self, world: World, *crates: str) -> None:
        """These crates and no others, byte for byte, with their torrents, named in the publication."""
        assert self.crates() == set(crates)
        for crate in crates:
            path = self.layout.crates / f"{crate}.zip"
            assert path.read_bytes() == world.whole(crate), crate
            assert (self.layout.publication / "crates" / path.name).samefile(path)
            assert verify_crate(path, infohash_v2=world.crate(crate).infohash_v2).findings == []
        links = {path.stem for path in (self.layout.publication / "crates").glob("*.zip")}
        assert links == set(crates)

    def files_with(self, content: bytes) -> list[Path]:
        """The files of the mirror that have these bytes somewhere."""
        return [path for path in self.root.rglob("*") if path.is_file() and content in path.read_bytes()]


def words_of(holder: Holder, *more: str) -> list[str]:
    """The verb for this mirror, which nobody from elsewhere reaches."""
    return ["mirror", holder.of, "--into", str(holder.root), "--listen", "127.0.0.1:0", "--reach", "peers", *more]


def tail_bytes(before: bytes, after: bytes, piece: int = MIB) -> int:
    """At most so much of a revision may be received: the pieces from the end of `leaves.bin` on."""
    del before
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zip"
        path.write_bytes(after)
        end = CrateFile(path).leaves.end
    return len(after) - end // piece * piece


# -- peers


class Peer:
    """A libtorrent session of our own on 127.0.0.1. `lies` gives out what lies there, right or wrong."""

    def __init__(self, *, lies: bool = False, rate: int = 0) -> None:
        self.session = libtorrent.session({
            "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
            "enable_natpmp": False, "disable_hash_checks": lies, "allow_multiple_connections_per_ip": True,
            "alert_mask": 0, "upload_rate_limit": rate,
        })  # fmt: skip
        if rate:
            every = libtorrent.ip_filter()
            every.add_rule("0.0.0.0", "255.255.255.255", 1 << self.session.global_peer_class_id)
            self.session.set_peer_class_filter(every)
        self.handles: list[Any] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.session.listen_port()}"

    def seed(self, torrent: Metainfo, folder: Path) -> Any:
        asked = libtorrent.load_torrent_buffer(torrent.encode())
        asked.save_path = str(folder)
        flags = libtorrent.torrent_flags
        asked.flags = (asked.flags | flags.seed_mode | flags.disable_pex) & ~flags.auto_managed & ~flags.paused
        self.handles.append(self.session.add_torrent(asked))
        return self.handles[-1]

    def fetch(self, torrent: Metainfo, folder: Path, address: str) -> Any:
        """Ask somebody for a crate."""
        asked = libtorrent.load_torrent_buffer(torrent.encode())
        asked.save_path = str(folder)
        flags = libtorrent.torrent_flags
        asked.flags = (asked.flags | flags.disable_pex) & ~flags.auto_managed & ~flags.paused
        host, _, port = address.rpartition(":")
        asked.peers = [(host, int(port))]
        self.handles.append(self.session.add_torrent(asked))
        return self.handles[-1]

    @property
    def sent_bytes(self) -> int:
        return sum(handle.status().total_payload_upload for handle in self.handles)

    def close(self) -> None:
        self.session.pause()
        for handle in self.handles:
            self.session.remove_torrent(handle)
        self.handles.clear()


@contextmanager
def seeding(
    world: World, *crates: str, folder: Path | None = None, lies: bool = False, rate: int = 0
) -> Iterator[Peer]:
    """A peer that gives out crates of the world (of the files in `folder`, where it is given)."""
    peer = Peer(lies=lies, rate=rate)
    try:
        for crate in crates or tuple(CRATES):
            peer.seed(world.torrent(crate), folder or world.root / "crates")
        yield peer
    finally:
        peer.close()


def poisoned(world: World, folder: Path, every: int = 1) -> Path:
    """The crates with other bytes in every so manieth piece."""
    folder.mkdir()
    for crate in CRATES:
        content = bytearray(world.whole(crate))
        for at in range(0, len(content), every * MIB):
            content[at : at + 64] = bytes(byte ^ 0xFF for byte in content[at : at + 64])
        (folder / f"{crate}.zip").write_bytes(content)
    return folder


def wait_until(is_so: Any, what: str, timeout_s: float = 8.0) -> None:
    """Wait for it, not for ever."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def without_crates(world: World) -> Path:
    """The publication with no crates in it: they come from peers alone."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(world.folder / "crates")
    (world.folder / "crates").mkdir()
    return world.folder

"""An archive of one's own, and a mirror, around the small publication made by hand; their crates damaged in every way."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crate_maker import make_crate
from publication_maker import Publication, _file, write_shards
from support import make_archive
from tenuto.archive import Layout, load_settings
from tenuto.cli import _run
from tenuto.crates.merkle import BLOCK_BYTES, leaves_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.verify import verify_crate
from tenuto.model.progress import Silent
from tenuto.publication.documents import Index, IndexCrate, LeavesRef, WithdrawalsRef
from tenuto.swarm.repair import repair
from tenuto.swarm.repaired import Repaired

SWARM = '[swarm]\nlisten = "127.0.0.1:0"\nreach = "peers"\n'
MIRROR = """\
format = 1
[archive]
name = "testing"
contact = "mirrors@archive.invalid"
[keys]
signing_public = "{public}"
[mirror]
of = "{of}"
space = "1 GB"
salt = "0123456789abcdef"
{swarm}"""


@dataclass
class Place:
    """An archive or a mirror, with whole copies of its crates and of its publication elsewhere."""

    layout: Layout
    publication: Publication
    """As it was made: nothing in it is ever damaged."""
    copies: Path

    def file(self, crate: str = "crate-a") -> Path:
        return self.layout.crates / f"{crate}.zip"

    def whole(self, crate: str = "crate-a") -> bytes:
        return (self.copies / f"{crate}.zip").read_bytes()

    def is_whole(self, crate: str = "crate-a") -> bool:
        return self.file(crate).read_bytes() == self.whole(crate) and not verify_crate(self.file(crate)).findings

    def entry(self, crate: str, path: str) -> Any:
        return CrateFile(self.copies / f"{crate}.zip").entries[path]

    def repair(self, *names: str, places: Any = (), peers: Any = (), patience_s: float = 60.0) -> Repaired:
        settings = load_settings(self.layout.settings)
        every = [str(place) for place in places]
        return repair(self.layout, settings, names, every, peers, Silent(), patience_s=patience_s)


SIZES = {
    "crate-a": (1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * 2**20 + 77, 40_001),
    "crate-b": (300, 2 * 2**20),
    "crate-c": (70_000, 2),
}
"""Crate -> bytes of its recordings; crate-c is no longer than one piece."""


def make_publication(root: Path) -> Publication:
    """A signed publication of whole small crates."""
    crates = tuple(_crate(root, crate, sizes) for crate, sizes in SIZES.items())
    none = _file(root, "withdrawals.jsonl", b"")
    index = Index(
        format="tenuto-index-1", archive="testing", contact="tests@archive.invalid", territory="worldwide", sequence=7,
        published_at="2026-11-20T12:00:00Z", signing_public="0" * 64, edition="2026-11-20-0123abcd", sources=("demo",), tracks=0,
        statuses={}, crates=crates, dark=(), shards=write_shards(root, {}), status=_file(root, "status.parquet", b"PAR1"),
        feed=_file(root, "feed.atom", b"<feed/>"), page=_file(root, "index.html", b"<!doctype html>"),
        withdrawals=WithdrawalsRef(**none.model_dump(), entries=0),
    )  # fmt: skip
    made = Publication(root, Ed25519PrivateKey.generate(), index, {}, {})
    made.sign()
    return made


def _crate(root: Path, crate: str, sizes: tuple[int, ...]) -> IndexCrate:
    made = make_crate(root / "crates", sizes, crate=crate)
    made.torrent.unlink()
    meta, leaves = made.metainfo, CrateFile(made.path).leaves
    count = leaves.bytes // 32
    closing = leaves_of(made.path.read_bytes()[count * BLOCK_BYTES :])
    return IndexCrate(
        crate=crate, kind="recordings", band="core", revision=0, predecessor=None, bytes=meta.length, recordings=len(sizes),
        licences=(), piece_length=meta.piece_length, pieces_root=meta.pieces_root.hex(), infohash_v1=meta.infohash_v1,
        infohash_v2=meta.infohash_v2, leaves=LeavesRef(offset=leaves.offset, count=count),
        layers=_file(root, f"layers/{crate}.r0.layers", meta.layer + closing),
        torrent=_file(root, f"torrents/{crate}.r0.torrent", meta.encode()), redacted=(), addresses=(f"crates/{crate}.zip",),
    )  # fmt: skip


def own_archive(folder: Path) -> Place:
    """An archive whose publication is the one made by hand."""
    made, layout = make_publication(folder / "made"), make_archive(folder)
    text = layout.settings.read_text()
    key = load_settings(layout.settings).keys.signing_public
    layout.settings.write_text(text.replace(key, made.public) + "\n" + SWARM)
    return _settle(folder, layout, made)


def mirror(folder: Path, of: str | None = None) -> Place:
    """A mirror of it, made by hand."""
    made, layout = make_publication(folder / "made"), Layout(folder / "mirror")
    layout.root.mkdir()
    layout.settings.write_text(MIRROR.format(public=made.public, of=of or folder / "nowhere", swarm=SWARM))
    return _settle(folder, layout, made)


def _settle(folder: Path, layout: Layout, made: Publication) -> Place:
    """The crates with their torrents, linked into a copy of the publication; and copies in a plain folder."""
    shutil.copytree(made.root, layout.publication)
    layout.crates.mkdir(exist_ok=True)
    copies = folder / "copies"
    copies.mkdir()
    for public in sorted((layout.publication / "crates").glob("*.zip")):
        os.link(public, layout.crates / public.name)
        torrent = made.root / f"torrents/{public.stem}.r0.torrent"
        shutil.copy(torrent, layout.crates / f"{public.stem}.torrent")
        shutil.copy(public, copies)
    return Place(layout, made, copies)


def add_dark(place: Place) -> Path:
    """A dark crate of several pieces in an archive, and a copy with its torrent."""
    place.layout.dark.mkdir(mode=0o700, exist_ok=True)
    made = make_crate(place.layout.dark, (2_500_000, 40_000), is_dark=True)
    shutil.copy(made.path, place.copies)
    shutil.copy(made.torrent, place.copies)
    return made.path


def flip(path: Path, *places: int) -> None:
    """Flip a bit of bytes, in place; the file keeps its inode."""
    with path.open("r+b") as file:
        for at in places:
            at += path.stat().st_size if at < 0 else 0  # noqa: PLW2901
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x40]))


def put(path: Path, content: bytes) -> None:
    """Other content in place; the file keeps its inode."""
    with path.open("r+b") as file:
        file.truncate(len(content))
        file.write(content)


def state(path: Path) -> tuple[bytes, int, int]:
    """What a file is: its bytes, when they were written, which file it is."""
    about = path.stat()
    return path.read_bytes(), about.st_mtime_ns, about.st_ino


@dataclass
class Command:
    """`tenuto repair` in this process."""

    capture: pytest.CaptureFixture[str]
    place: Place

    def __call__(self, *words: str | Path, code: int = 0) -> tuple[str, str]:
        self.capture.readouterr()
        ended = _run(["repair", *map(str, words), "--archive", str(self.place.layout.root)])
        out, said = self.capture.readouterr()
        assert ended == code, (ended, out, said)
        return out, said

    def json(self, *words: str | Path, code: int = 0) -> Any:
        out, _ = self(*words, "--json", code=code)
        assert out.count("\n") == 1
        return json.loads(out)


Damage = Callable[[Place], int]

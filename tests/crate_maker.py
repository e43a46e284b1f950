"""Small crates as sealing makes them, their torrents beside them, and a revision made by hand from docs/format.md."""

import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from tenuto.crates import zipform
from tenuto.crates.bag import BagInfo, parse_manifest
from tenuto.crates.hashing import metainfo_of
from tenuto.crates.merkle import HASH_BYTES, leaves_of, piece_length, pieces_of, root_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import Item, closing_files, item, lay_out, seal, tail_of, torrent_beside
from tenuto.crates.tables import RECORDINGS, encode_table
from tenuto.crates.torrent import Metainfo
from tenuto.crates.verify import verify_crate

CRATE = "testing-1-core-0001-0a1b2c3d"
ODD_SIZES = (20_001, 3)
INFO = BagInfo(
    archive="testing", contact="tests@archive.invalid", crate=CRATE, description="recordings of band core, open",
    dated=date(2026, 1, 2), kind="recordings", access="open", band="core", edition="2026-01-02-0a1b2c3d",
    plan="2026-01-02-0a1b2c3d-4e5f6071",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A crate that was made: its file, its torrent, the paths of its recordings."""

    path: Path
    metainfo: Metainfo
    songs: tuple[str, ...]

    @property
    def torrent(self) -> Path:
        return torrent_beside(self.path)


def songs(sizes: Sequence[int] = ODD_SIZES, seed: int = 1, *, is_dark: bool = False) -> list[Item]:
    """Recordings of random bytes under names as crates have them."""
    chance, made = random.Random(seed), []
    for number, size in enumerate(sizes, 1):
        content = chance.randbytes(size)
        name = f"data/audio/Ärger & Söhne/Ein Album/{number:02d} Lied [{sha256(content).hexdigest()[:8]}].flac"
        made.append(item(f"data/recordings/{number:06d}.age" if is_dark else name, content))
    return made


def rows_of(files: Sequence[Item], offsets: dict[str, int]) -> list[dict[str, Any]]:
    """Rows of recordings.parquet."""
    return [
        {"path": one.path, "offset": offsets[one.path], "bytes": one.bytes, "sha256": one.sha256, "crc32": one.crc32,
         "tier": "original", "is_lossy_to_lossy": False, "source": "demo", "track_id": f"t{number}", "evidence_id": number}
        for number, one in enumerate(files, 1)
    ]  # fmt: skip


def tail_files(
    rows: Sequence[dict[str, Any]], withdrawn: Sequence[dict[str, Any]] = (), revision: int = 0
) -> list[Item]:
    """A describing tail of an open crate."""
    table = pa.Table.from_pylist(list(rows), RECORDINGS)
    said = {"format": "tenuto-withdrawn-1", "revision": revision, "withdrawn": list(withdrawn)}
    return [
        item("data/recordings.parquet", encode_table(table)),
        item("data/licences/CC0-1.0.txt", b"CC0-1.0\n"),
        item("data/attribution.txt", b"nobody\n"),
        item("data/withdrawn.json", json.dumps(said).encode()),
        item("data/index.html", b"<!doctype html>\n"),
    ]


def make_crate(
    folder: Path,
    sizes: Sequence[int] = ODD_SIZES,
    *,
    is_dark: bool = False,
    crate: str = CRATE,
    info: BagInfo = INFO,
    seed: int = 1,
    rename: Callable[[str], str] = str,
    mend_rows: Callable[[list[dict[str, Any]]], Any] = list,
    mend_tail: Callable[[list[Item]], list[Item]] = list,
) -> Made:
    """Seal a small crate; the callables make it off before it is sealed, so that its hashes are right all the same."""
    files = [replace(one, path=rename(one.path)) for one in songs(sizes, seed, is_dark=is_dark)]
    front = lay_out(crate, files)
    if is_dark:
        said = b'{"format": "tenuto-withdrawn-1", "revision": 0, "withdrawn": []}'
        tail = [item("data/tables/recordings.age", b"age-encryption.org/v1\n?" * 9), item("data/withdrawn.json", said)]
        info = replace(info, access="dark")
    else:
        offsets = {path: entry.offset for path, entry in front.entry_of().items()}
        rows = rows_of(files, offsets)
        tail = tail_files(mend_rows(rows) or rows)
    path = folder / f"{crate}.zip"
    metainfo = seal(path, front, mend_tail(tail), replace(info, crate=crate))
    return Made(path, metainfo, tuple(one.path for one in files))


def write_torrent(path: Path) -> Metainfo:
    """Give a crate file that was changed by hand a torrent that agrees with it."""
    content = path.read_bytes()
    piece = piece_length(len(content))
    made = metainfo_of(path.name, len(content), piece, leaves_of(content), pieces_of(content, piece))
    torrent_beside(path).write_bytes(made.encode())
    return made


def withdraw_by_hand(made: Made, gone: Sequence[str], *, with_zeros: bool = True) -> Made:
    """The next revision, written from docs/format.md, "Revisions", without the code that does it."""
    crate = CrateFile(made.path)
    content = bytearray(made.path.read_bytes())
    listed = json.loads(crate.read("data/withdrawn.json"))["withdrawn"]
    for path in gone:
        entry = crate.entries[path]
        prefix = f"{crate.crate}/withdrawn/"
        was = len(entry.name.encode())
        neutral = prefix[:was] + "_" * (was - len(prefix))
        name_at = entry.header_offset + 30
        content[name_at : name_at + was] = neutral.encode()
        content[entry.header_offset + 14 : entry.header_offset + 18] = zlib.crc32(bytes(entry.bytes)).to_bytes(
            4, "little"
        )
        if with_zeros:
            content[entry.offset : entry.end] = bytes(entry.bytes)
        listed.append({"key": "ab" * 32, "reason": "rightsholder", "on": "2026-11-20", "header_offset": entry.header_offset,
                       "offset": entry.offset, "bytes": entry.bytes})  # fmt: skip
    del content[crate.leaves.header_offset :]
    digests = parse_manifest(crate.read("manifest-sha256.txt")) | parse_manifest(crate.read("tagmanifest-sha256.txt"))
    kept = {
        path: entry
        for path, entry in crate.entries.items()
        if entry.end <= crate.leaves.header_offset and path not in gone
    }
    rows = [row for row in crate.recordings().to_pylist() if row["path"] not in gone]
    info = replace(INFO, crate=crate.crate, revision=crate.revision + 1, predecessor=made.metainfo.infohash_v2)
    leaves = item("leaves.bin", leaves_of(content)[: crate.leaves.header_offset // 16_384 * HASH_BYTES])
    tail = tail_files(rows, listed, info.revision)
    described = [(path, entry.bytes, digests[path]) for path, entry in kept.items()]
    files = [leaves, *tail, *closing_files(described, tail, leaves, info)]
    made.path.write_bytes(bytes(content) + b"".join(tail_of(crate.crate, list(kept.values()), crate.leaves, files)))
    return Made(made.path, write_torrent(made.path), tuple(path for path in made.songs if path not in gone))


def rewrite_directory(path: Path, change: Callable[[list[zipform.Entry]], list[zipform.Entry]]) -> None:
    """Write another central directory behind the entries, and a torrent that agrees."""
    crate = CrateFile(path)
    entries = list(crate.entries.values())
    begin = entries[-1].end
    path.write_bytes(path.read_bytes()[:begin] + zipform.directory(change(entries), begin))
    write_torrent(path)


def root_by_leaves(content: bytes) -> bytes:
    """The pieces root of bytes."""
    return root_of(leaves_of(content), piece_length(len(content)))


def flip_all(path: Path, first: int, step: int) -> tuple[int, list[int]]:
    """Flip a bit of every `step`-th byte of a copy, one after the other: how many were tried, and which `verify_crate` missed."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        copy = Path(shutil.copy(path, folder))
        shutil.copy(torrent_beside(path), folder)
        whole, unfound = path.read_bytes(), []
        places = range(first, len(whole), step)
        with copy.open("r+b", buffering=0) as file:
            for at in places:
                os.pwrite(file.fileno(), bytes([whole[at] ^ (1 << at % 8)]), at)
                if not verify_crate(copy).findings:
                    unfound.append(at)
                os.pwrite(file.fileno(), whole[at : at + 1], at)
    return len(places), unfound

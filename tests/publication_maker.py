"""A small real publication made by hand (not by publish.py), and web servers for it: honest, without ranges, lying."""

import hashlib
import random
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenuto.crates.bag import BagInfo
from tenuto.crates.merkle import BLOCK_BYTES, leaves_of
from tenuto.crates.seal import item, lay_out, seal
from tenuto.model.ids import track_key
from tenuto.publication.documents import (
    DarkCrate,
    FileRef,
    Index,
    IndexCrate,
    LeavesRef,
    Location,
    Shard,
    Shards,
    WithdrawalsRef,
    encode_index,
    encode_shard,
    shard_name,
    sign,
)

MIB = 2**20
SONGS = {
    "crate-a": {"first": 1, "block": BLOCK_BYTES, "block+1": BLOCK_BYTES + 1, "long": 3 * MIB + 77, "shared": 40_001, "last": 5000},
    "crate-b": {"tiny": 300, "shared": 40_001, "whole": 2 * MIB},
    "crate-c": {"only": 70_000, "two": 2},
}  # fmt: skip
"""Crate -> song -> bytes; crate-c is no longer than one piece; `shared` is the same recording in two crates."""

DIGITS = 1


def song(name: str, size: int) -> bytes:
    """The bytes of a song: always the same."""
    return random.Random(f"{name} {size}").randbytes(size)


@dataclass(slots=True)
class Publication:
    """What was published, and the key; `entries` are of all shards."""

    root: Path
    key: Ed25519PrivateKey
    index: Index
    entries: dict[str, tuple[Location, ...]]
    songs: dict[str, bytes]

    @property
    def public(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    def location(self, name: str, nth: int = 0) -> Location:
        return self.entries[track_key("radio", f"id:{name}")][nth]

    def crate(self, name: str) -> IndexCrate:
        return next(one for one in self.index.crates if one.crate == name)

    def crate_file(self, name: str) -> Path:
        return self.root / "crates" / f"{name}.zip"

    def point(self, name: str, **changed: Any) -> None:
        """Make the shards say something else of a song (of its first location alone), and sign that."""
        here = self.location(name)
        there = (here.model_copy(update=changed),)
        for key in (track_key("radio", f"id:{name}"), here.sha256):
            self.entries[key] = there
        self.sign(shards=write_shards(self.root, self.entries))

    def change_crate(self, name: str, **changed: Any) -> None:
        """Make the index say something else of a crate, and sign that."""
        crates = [one.model_copy(update=changed) if one.crate == name else one for one in self.index.crates]
        self.sign(crates=tuple(crates))

    def sign(self, **changed: Any) -> None:
        """Write the index, some of it changed; its key is always the one that signs."""
        self.index = self.index.model_copy(update={**changed, "signing_public": self.public})
        content = encode_index(self.index)
        (self.root / "index.json").write_bytes(content)
        (self.root / "index.json.sig").write_bytes(sign(content, self.key))


def make_publication(root: Path) -> Publication:
    """Crates, layers, torrents, shards and the signed index in `root`."""
    songs = {name: song(name, size) for sizes in SONGS.values() for name, size in sizes.items()}
    entries: dict[str, tuple[Location, ...]] = {}
    crates = tuple(_crate(root, crate, songs, entries) for crate in SONGS)
    status = _file(root, "status.parquet", b"PAR1 not really")
    feed = _file(root, "feed.atom", b"<feed/>")
    page = _file(root, "index.html", b"<!doctype html>")
    none = _file(root, "withdrawals.jsonl", b"")
    key = Ed25519PrivateKey.generate()
    index = Index(
        format="tenuto-index-1", archive="testing", contact="tests@archive.invalid", territory="worldwide", sequence=7,
        published_at="2026-11-20T12:00:00Z", signing_public="0" * 64, edition="2026-11-20-0123abcd", sources=("shelf", "radio"),
        tracks=12,
        statuses={"kept": 10, "dark": 2}, crates=crates,
        dark=(DarkCrate(crate="crate-d", band="dark", recordings=2, bytes=99),),
        shards=write_shards(root, entries), status=status, feed=feed, page=page,
        withdrawals=WithdrawalsRef(**none.model_dump(), entries=0),
    )  # fmt: skip
    made = Publication(root, key, index, entries, songs)
    made.sign()
    return made


def write_shards(root: Path, entries: dict[str, tuple[Location, ...]]) -> Shards:
    """Every shard of these entries, and what the index says of them."""
    digests = {}
    for prefix in sorted({key[:DIGITS] for key in entries}):
        own = {key: found for key, found in entries.items() if key.startswith(prefix)}
        content = encode_shard(Shard(format="tenuto-shard-1", prefix=prefix, entries=own))
        _file(root, shard_name(prefix, content), content)
        digests[prefix] = hashlib.sha256(content).hexdigest()
    return Shards(digits=DIGITS, sha256=digests)


def _crate(root: Path, crate: str, songs: dict[str, bytes], entries: dict[str, tuple[Location, ...]]) -> IndexCrate:
    front = lay_out(crate, [item(f"data/audio/Ann/Öl/{name}.flac", songs[name]) for name in SONGS[crate]])
    info = BagInfo(archive="testing", contact="tests@archive.invalid", crate=crate, description="songs", dated=date(2026, 11, 20),
                   kind="recordings", access="open", band="a", edition="2026-11-20-0123abcd", plan="p")  # fmt: skip
    path = root / "crates" / f"{crate}.zip"
    meta = seal(path, front, [item("data/attribution.txt", b"Ann\n" * 9000)], info)
    path.with_suffix(".torrent").unlink()
    for name, entry in zip(SONGS[crate], front.entries[1:], strict=True):
        sha256 = hashlib.sha256(songs[name]).hexdigest()
        here = Location(
            crate=crate, path=f"data/audio/Ann/Öl/{name}.flac", offset=entry.offset, bytes=entry.bytes, sha256=sha256
        )
        for key in (sha256, track_key("radio", f"id:{name}")):
            entries[key] = (*entries.get(key, ()), here)
    count = front.leaves.bytes // 32
    closing = leaves_of(path.read_bytes()[count * BLOCK_BYTES :])
    return IndexCrate(
        crate=crate, kind="recordings", band="a", revision=0, predecessor=None, bytes=meta.length, recordings=len(SONGS[crate]),
        licences=("CC0-1.0",),
        piece_length=meta.piece_length, pieces_root=meta.pieces_root.hex(), infohash_v1=meta.infohash_v1,
        infohash_v2=meta.infohash_v2, leaves=LeavesRef(offset=front.leaves.offset, count=count),
        layers=_file(root, f"layers/{crate}.r0.layers", meta.layer + closing),
        torrent=_file(root, f"torrents/{crate}.r0.torrent", meta.encode()), redacted=(), addresses=(f"crates/{crate}.zip",),
    )  # fmt: skip


def _file(root: Path, path: str, content: bytes) -> FileRef:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    return FileRef(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


# -- servers


@dataclass(slots=True)
class Asked:
    """One request: `range` is the first and last byte that were asked for."""

    path: str
    range: tuple[int, int] | None
    headers: dict[str, str]


Trick = Callable[["Handler", Asked, bytes], None]
"""Answers in place of the truth; it is given the file's real bytes."""


@dataclass(slots=True)
class Site:
    """A folder on the web; `lies` are tried in order: (what the path ends with, trick, how often or None for ever)."""

    root: Path
    url: str = ""
    gives_ranges: bool = True
    log: list[Asked] = field(default_factory=list)
    lies: list[list[Any]] = field(default_factory=list)

    def lie(self, ending: str, trick: Trick, times: int | None = None) -> None:
        self.lies.append([ending, trick, times])

    def trick_for(self, path: str) -> Trick | None:
        for lie in self.lies:
            if path.endswith(lie[0]) and lie[2] != 0:
                lie[2] = None if lie[2] is None else lie[2] - 1
                return lie[1]
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together
    server: "_Server"

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        site = self.server.site
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        asked = Asked(
            unquote(self.path).lstrip("/"), (int(match[1]), int(match[2])) if match else None, dict(self.headers)
        )
        site.log.append(asked)
        file = site.root / asked.path
        content = file.read_bytes() if file.is_file() else None
        trick = site.trick_for(asked.path)
        if trick is not None:
            trick(self, asked, content or b"")
        elif content is None:
            self.reply(404, b"<h1>Not here</h1>" * 20_000)
        elif asked.range is None or not site.gives_ranges:
            self.reply(200, content)
        else:
            self.reply_range(asked, content)

    def reply_range(self, asked: Asked, content: bytes) -> None:
        assert asked.range is not None
        first, last = asked.range[0], min(asked.range[1], len(content) - 1)
        if first >= len(content):
            self.reply(416, b"", Content_Range=f"bytes */{len(content)}")
        else:
            self.reply(206, content[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}")

    def reply(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        if length is not None and length != len(body):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    site: Site
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that stops early is what some tests want."""


@contextmanager
def serving(root: Path, *, gives_ranges: bool = True) -> Iterator[Site]:
    """The folder on the web while the block lasts."""
    server = _Server(("127.0.0.1", 0), Handler)
    server.site = Site(root, f"http://127.0.0.1:{server.server_address[1]}", gives_ranges)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving_plainly(root: Path) -> Iterator[str]:
    """The folder by `python -m http.server`, which knows no ranges."""
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert found
            _wait_for(found[0])
            yield found[0]
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"{url}/index.json", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


# -- lies


def answer(status: int, body: bytes = b"", **headers: str) -> Trick:
    return lambda handler, asked, content: handler.reply(status, body, **headers)


def html_page(handler: Handler, asked: Asked, content: bytes) -> None:
    handler.reply(200, b"<!doctype html><title>Welcome</title>" * 9, Content_Type="text/html")


def whole_as_part(handler: Handler, asked: Asked, content: bytes) -> None:
    """206 with all of the file."""
    handler.reply(206, content, Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")


def part_without_range(handler: Handler, asked: Asked, content: bytes) -> None:
    assert asked.range
    handler.reply(206, content[asked.range[0] : asked.range[1] + 1])


def neighbour(handler: Handler, asked: Asked, content: bytes) -> None:
    """The bytes one block further, called those that were asked for."""
    assert asked.range
    first, last = asked.range
    handler.reply(206, content[first + BLOCK_BYTES : last + 1 + BLOCK_BYTES].ljust(last + 1 - first, b"x"),
                  Content_Range=f"bytes {first}-{last}/{len(content)}")  # fmt: skip


def honest_neighbour(handler: Handler, asked: Asked, content: bytes) -> None:
    """The bytes one block further, and it says so."""
    assert asked.range
    handler.reply_range(Asked(asked.path, (asked.range[0] + BLOCK_BYTES, asked.range[1] + BLOCK_BYTES), {}), content)


def other_bytes(handler: Handler, asked: Asked, content: bytes) -> None:
    """One bit of every answer is another."""
    changed = bytearray(content)
    changed[asked.range[0] if asked.range else len(changed) // 2] ^= 1
    if asked.range:
        handler.reply_range(asked, bytes(changed))
    else:
        handler.reply(200, bytes(changed))


def truncated(handler: Handler, asked: Asked, content: bytes) -> None:
    """Half of what was announced, then the end."""
    assert asked.range
    first, last = asked.range
    part = content[first : last + 1]
    handler.reply(206, part[: len(part) // 2], len(part), Content_Range=f"bytes {first}-{last}/{len(content)}")


def short_and_content(handler: Handler, asked: Asked, content: bytes) -> None:
    """Half of what the range says, announced as such."""
    assert asked.range
    first, last = asked.range
    handler.reply(206, content[first : (first + last) // 2], Content_Range=f"bytes {first}-{last}/{len(content)}")


def endless(handler: Handler, asked: Asked, content: bytes) -> None:
    """A body that does not end, in the name of what was asked for."""
    handler.close_connection = True
    first, last = asked.range or (0, 0)
    said = f"HTTP/1.1 {206 if asked.range else 200} Yes\r\nContent-Range: bytes {first}-{last}/{len(content)}\r\n\r\n"
    handler.wfile.write(said.encode() + content[first : last + 1])
    while True:
        handler.wfile.write(bytes(65536))

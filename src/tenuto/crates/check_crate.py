"""Proves that an archive crate is whole. Needs Python 3.8 or newer and nothing else.

    python3 check_crate.py CRATE.zip                 the crate by its own manifests, leaves and checksums
    python3 check_crate.py CRATE.zip CRATE.torrent   and by its torrent, which nobody can change along with the crate
    python3 check_crate.py FOLDER                    a crate that was unpacked
    python3 check_crate.py                           the unpacked crate that this script lies in

Prints what is wrong, then OK or DAMAGED; the exit code is 0, 1, or 2 where it did not understand what to check.
"""

import hashlib
import json
import sys
import unicodedata
import zipfile
from pathlib import Path
from typing import Any, Iterator

BLOCK = 16384  # bytes that one line of leaves.bin stands for: a leaf is the SHA-256 of a block, 32 bytes


def digest(file: Any) -> str:
    """SHA-256 of an open file; reading an entry of a ZIP to its end also checks its CRC-32."""
    found = hashlib.sha256()
    for part in iter(lambda: file.read(2**20), b""):
        found.update(part)
    return found.hexdigest()


def check_bag(names: Any, open_file: Any, size_of: Any) -> Iterator[str]:
    """Each file by the manifests, and the manifests by what is there (RFC 8493)."""
    for manifest, is_payload in (("manifest-sha256.txt", True), ("tagmanifest-sha256.txt", False)):
        if manifest not in names or size_of(manifest) > 2**28:
            yield f"{manifest} is missing, or too large"
            continue
        with open_file(manifest) as file:
            listed = {line[66:]: line[:64] for line in file.read().decode().split("\n") if line}
        there = {name for name in names if name.startswith("data/") == is_payload} - {"tagmanifest-sha256.txt"}
        for name in sorted(there ^ set(listed)):
            yield f"{name} is {'missing' if name in listed else 'not in ' + manifest}"
        for name in sorted(there & set(listed)):
            try:
                with open_file(name) as file:
                    if digest(file) != listed[name]:
                        yield f"{name} is not what {manifest} says"
            except (OSError, EOFError, zipfile.BadZipFile) as error:
                yield f"{name} cannot be read: {error}"
    payload = [size_of(name) for name in names if name.startswith("data/")]
    if "bag-info.txt" in names and size_of("bag-info.txt") < 2**16:
        with open_file("bag-info.txt") as file:
            if f"Payload-Oxum: {sum(payload)}.{len(payload)}" not in file.read().decode("utf-8", "replace").split("\n"):
                yield f"bag-info.txt tells another Payload-Oxum than {sum(payload)}.{len(payload)}"


def check_folder(folder: Path) -> Iterator[str]:
    """An unpacked crate."""
    plain = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    # Some systems write ä as a and two dots: names are compared in one spelling.
    files = {unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): path for path in plain}
    yield from check_bag(set(files), lambda name: files[name].open("rb"), lambda name: files[name].stat().st_size)


def check_zip(path: Path, torrent: Any) -> Iterator[str]:
    """A crate as one file."""
    with path.open("rb") as file:
        leaves, pieces = read_blocks(file, torrent[b"info"][b"piece length"] if torrent else 0)
        if torrent:
            yield from check_torrent(path.stat().st_size, leaves, pieces, torrent[b"info"])
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
            packed = [one.filename for one in entries.values() if one.compress_type or one.flag_bits & 9]
            if packed or len(entries) < len(archive.infolist()):
                raise ValueError(f"a name stands in it twice, or entries are packed: {packed[:5]}")
            yield from check_bag(
                set(entries), lambda name: archive.open(entries[name]), lambda name: entries[name].file_size
            )
            if "leaves.bin" in entries:
                said, covered = archive.read(entries["leaves.bin"]), entries["leaves.bin"].header_offset // BLOCK * 32
                wrong = [at // 32 for at in range(0, covered, 32) if said[at : at + 32] != leaves[at : at + 32]]
                if wrong or len(said) != covered:
                    yield f"leaves.bin disagrees with {len(wrong)} blocks of {BLOCK} bytes, the first are {wrong[:5]}"
            if "data/withdrawn.json" in entries:
                for one in json.loads(archive.read(entries["data/withdrawn.json"]))["withdrawn"]:
                    file.seek(one["offset"])
                    parts = (min(BLOCK, one["bytes"] - at) for at in range(0, one["bytes"], BLOCK))
                    if any(file.read(part) != bytes(part) for part in parts):
                        yield f"what was withdrawn on {one['on']} is still there, at byte {one['offset']}"


def read_blocks(file: Any, piece_length: int) -> Any:
    """SHA-256 of each block; SHA-1 of each piece where a torrent tells how long they are."""
    leaves, pieces = bytearray(), bytearray()
    for piece in iter(lambda: file.read(min(piece_length or 2**20, 2**26)), b""):
        leaves += b"".join([hashlib.sha256(piece[at : at + BLOCK]).digest() for at in range(0, len(piece), BLOCK)])
        pieces += hashlib.sha1(piece).digest() if piece_length else b""
    return leaves, pieces


def check_torrent(size: int, leaves: bytes, pieces: bytes, info: Any) -> Iterator[str]:
    """The file by its torrent: version 1 is SHA-1 of pieces (BEP 3), version 2 a tree of SHA-256 (BEP 52)."""
    told = info[b"file tree"][info[b"name"]][b""]
    if not size == info[b"length"] == told[b"length"]:
        yield f"it has {size} bytes, its torrent says {info[b'length']}"
    if pieces != info[b"pieces"]:
        wrong = [at // 20 for at in range(0, len(pieces), 20) if pieces[at : at + 20] != info[b"pieces"][at : at + 20]]
        yield f"{len(wrong)} pieces of {info[b'piece length']} bytes differ from the torrent, the first are {wrong[:5]}"
    level = leaves + bytes((32 << (len(leaves) // 32 - 1).bit_length()) - len(leaves))
    while len(level) > 32:  # two digests become one, up to the root
        level = b"".join([hashlib.sha256(level[at : at + 64]).digest() for at in range(0, len(level), 64)])
    if level != told[b"pieces root"]:
        yield "its tree of SHA-256 does not lead to the root that its torrent says"


def read_torrent(data: bytes, at: int = 0) -> Any:
    """A value in bencoding (BEP 3), and where it ends."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at, at + 24)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = read_torrent(data, at)
            items.append(item)
        return (items if kind == b"l" else {items[n]: items[n + 1] for n in range(0, len(items), 2)}), at + 1
    begin = data.index(b":", at, at + 12) + 1
    end = begin + int(data[at : begin - 1])
    return data[begin:end], end


def main(words: Any) -> int:
    """Check what the words name; returns the exit code."""
    here = Path(__file__).resolve().parent.parent
    paths = [Path(word) for word in words] or ([here] if (here / "bagit.txt").is_file() else [])
    if len(paths) not in (1, 2) or not all(path.exists() for path in paths) or (len(paths) > 1 and paths[0].is_dir()):
        print(__doc__)
        return 2
    wrong: Any = []
    try:
        torrent = read_torrent(paths[1].read_bytes())[0] if len(paths) > 1 else None
        wrong.extend(check_folder(paths[0]) if paths[0].is_dir() else check_zip(paths[0], torrent))
    except Exception as error:
        wrong.append(f"it cannot be read to its end: {type(error).__name__}: {error}")
    print(*wrong, f"{'DAMAGED' if wrong else 'OK'} {paths[0]}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

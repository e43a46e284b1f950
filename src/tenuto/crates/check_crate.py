#!/usr/bin/env python3
"""Proves that an archive crate is whole. Needs Python 3.8 or newer, and nothing else.

    python3 check_crate.py CRATE.zip                  the crate by its own manifests, leaves and checksums
    python3 check_crate.py CRATE.zip CRATE.torrent    ... and by its torrent: nobody changed crate and manifest together
    python3 check_crate.py FOLDER                     a crate that was unpacked
    python3 check_crate.py                            the unpacked crate that this script lies in

Prints each thing that is wrong, then OK or DAMAGED. Exit code: 0 whole, 1 damaged, 2 the words did not fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile

BLOCK = 16384
MANIFESTS = {"manifest-sha256.txt": True, "tagmanifest-sha256.txt": False}  # whether it lists data/


def digest(file):
    """SHA-256 of an open file; a ZIP entry is checked by its CRC-32 on the way."""
    found = hashlib.sha256()
    for part in iter(lambda: file.read(2**20), b""):
        found.update(part)
    return found.hexdigest()


def check_bag(names, open_file, size_of):
    """Each file by the manifests, and the manifests by what is there; yields what is wrong."""
    for manifest, is_payload in MANIFESTS.items():
        if manifest not in names or size_of(manifest) > 2**28:
            yield "%s is missing, or too large" % manifest
            continue
        with open_file(manifest) as file:
            lines = file.read().decode("utf-8", "replace").split("\n")
        listed = {path: sha256 for sha256, _, path in (line.partition("  ") for line in lines if line)}
        there = {name for name in names if name.startswith("data/") == is_payload} - {"tagmanifest-sha256.txt"}
        for name in sorted(there ^ set(listed)):
            yield "%s is %s" % (name, "missing" if name in listed else "not in " + manifest)
        for name in sorted(there & set(listed)):
            try:
                with open_file(name) as file:
                    if digest(file) != listed[name]:
                        yield "%s is not what %s says" % (name, manifest)
            except (OSError, EOFError, zipfile.BadZipFile) as error:
                yield "%s cannot be read: %s" % (name, error)
    payload = [size_of(name) for name in names if name.startswith("data/")]
    if "bag-info.txt" in names and size_of("bag-info.txt") < 2**16:
        with open_file("bag-info.txt") as file:
            if b"\nPayload-Oxum: %d.%d\n" % (sum(payload), len(payload)) not in b"\n" + file.read():
                yield "bag-info.txt tells another Payload-Oxum than %d.%d" % (sum(payload), len(payload))


def check_folder(folder):
    """An unpacked crate."""
    for top, folders, files in os.walk(folder):
        for name in folders + files:
            if os.path.islink(os.path.join(top, name)):
                yield "%s is a link, which no crate has" % os.path.join(top, name)
                return
    paths = [os.path.join(top, name) for top, _, files in os.walk(folder) for name in files]
    names = {os.path.relpath(path, folder).replace(os.sep, "/"): path for path in paths}
    yield from check_bag(set(names), lambda name: open(names[name], "rb"), lambda name: os.path.getsize(names[name]))


def check_zip(path, torrent):
    """A crate as one file."""
    with open(path, "rb") as file:
        leaves, pieces = read_blocks(file, torrent[b"info"][b"piece length"] if torrent else 0)
        if torrent:
            yield from check_torrent(os.path.getsize(path), leaves, pieces, torrent)
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if len(infos) < len(archive.infolist()) or any(info.compress_type or info.flag_bits & 9 for info in infos.values()):
                yield "it has a name twice, or an entry that is packed or encrypted"
                return
            yield from check_bag(set(infos), lambda name: archive.open(infos[name]), lambda name: infos[name].file_size)
            if "leaves.bin" in infos:
                said = archive.read(infos["leaves.bin"])
                covered = infos["leaves.bin"].header_offset // BLOCK
                wrong = [n for n in range(covered) if said[32 * n : 32 * n + 32] != leaves[n]]
                if wrong or len(said) != 32 * covered:
                    yield "leaves.bin disagrees with %d blocks, the first at byte %d" % (len(wrong), BLOCK * min(wrong, default=0))
            if "data/withdrawn.json" in infos:
                for one in json.loads(archive.read(infos["data/withdrawn.json"]))["withdrawn"]:
                    file.seek(one["offset"])
                    parts = [BLOCK] * (one["bytes"] // BLOCK) + [one["bytes"] % BLOCK]
                    if any(file.read(part) != bytes(part) for part in parts):
                        yield "the recording withdrawn on %s is still there, at byte %d" % (one["on"], one["offset"])


def read_blocks(file, piece_length):
    """SHA-256 of each block, and SHA-1 of each piece where a torrent tells how long they are."""
    leaves, pieces, sha1, at = [], [], hashlib.sha1(), 0
    for block in iter(lambda: file.read(BLOCK), b""):
        leaves.append(hashlib.sha256(block).digest())
        if piece_length:
            sha1.update(block)
            at += len(block)
            if at % piece_length == 0:
                pieces.append(sha1.digest())
                sha1 = hashlib.sha1()
    return leaves, pieces + ([sha1.digest()] if piece_length and at % piece_length else [])


def check_torrent(size, leaves, pieces, torrent):
    """The file by its torrent, version 1 (SHA-1 of pieces) and version 2 (a tree of SHA-256, BEP 52)."""
    info = torrent[b"info"]
    told = info[b"file tree"][info[b"name"]][b""]
    if size != info[b"length"] or size != told[b"length"]:
        yield "it has %d bytes, its torrent says %d" % (size, info[b"length"])
    said = [info[b"pieces"][at : at + 20] for at in range(0, len(info[b"pieces"]), 20)]
    wrong = [n for n in range(max(len(said), len(pieces))) if said[n : n + 1] != pieces[n : n + 1]]
    if wrong:
        yield "%d pieces differ from the torrent, the first at byte %d" % (len(wrong), wrong[0] * info[b"piece length"])
    while len(leaves) & (len(leaves) - 1) or not leaves:
        leaves = leaves + [bytes(32)]
    while len(leaves) > 1:
        leaves = [hashlib.sha256(leaves[n] + leaves[n + 1]).digest() for n in range(0, len(leaves), 2)]
    if leaves[0] != told[b"pieces root"]:
        yield "its SHA-256 tree does not lead to the root that its torrent says"


def read_torrent(data, at=0, depth=0):
    """A value in bencoding (BEP 3) and where it ends."""
    if depth > 20:
        raise ValueError("nested too deep")
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at, at + 24)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = read_torrent(data, at, depth + 1)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at, at + 12)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


def main(words):
    """Check what the words name; the exit code."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    words = words or ([here] if os.path.exists(os.path.join(here, "bagit.txt")) else [])
    if not 1 <= len(words) <= 2 or words[0].startswith("-") or not all(map(os.path.exists, words)):
        print(__doc__.strip())
        return 2
    count = 0
    try:
        torrent = None
        if len(words) == 2:
            with open(words[1], "rb") as file:
                torrent = read_torrent(file.read(2**26))[0]
        for wrong in check_folder(words[0]) if os.path.isdir(words[0]) else check_zip(words[0], torrent):
            print(wrong)
            count += 1
    except Exception as error:
        print("it cannot be read to its end: %s: %s" % (type(error).__name__, error))
        count += 1
    print("%s %s" % ("DAMAGED" if count else "OK", words[0]))
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

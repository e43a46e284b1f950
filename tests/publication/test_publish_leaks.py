"""A scan of all that is public, packed or not, for anything of dark and withdrawn recordings."""

import base64
import gzip
import io
import zipfile
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest

from published_maker import ALONE, CLOSED, OPEN, SOURCE, THRICE, TWINS, a_shelf, assert_published, rows_in
from tenuto.crates.holdings import crate_files
from tenuto.crates.merkle import BLOCK_BYTES, HASH_BYTES, leaves_of
from tenuto.crates.reader import CrateFile
from tenuto.model.ids import track_key

pytestmark = pytest.mark.long  # processes, and waiting for them


@dataclass
class Secrets:
    """What must not be found anywhere: bytes, by what they are."""

    found: dict[bytes, str] = field(default_factory=dict)
    titles: dict[bytes, str] = field(default_factory=dict)
    """Metadata crates may name titles in their tables, and nothing else may."""

    def digest(self, sha256: str, what: str) -> None:
        raw = bytes.fromhex(sha256)
        for form in (sha256.encode(), sha256.upper().encode(), raw, base64.b64encode(raw), base64.b32encode(raw)):
            self.found[form] = what
        self.found[f"[{sha256[:8]}]".encode()] = f"{what}, in a name"

    def audio(self, content: bytes, crc32: int, what: str) -> None:
        for place in (0, len(content) // 4, len(content) // 2, len(content) - 64):
            window = content[place : place + 64]
            if len(set(window)) > 16:
                self.found[window] = f"bytes {place} of {what}"
        self.found[crc32.to_bytes(4, "little") + len(content).to_bytes(4, "little") * 2] = f"header of {what}"

    def leaves(self, leaves: bytes, what: str) -> None:
        for number in range(0, len(leaves), HASH_BYTES):
            self.found[leaves[number : number + HASH_BYTES]] = f"leaf {number // HASH_BYTES} of {what}"

    def track(self, track: str) -> None:
        name = track.rpartition("/")[2]
        self.found |= {part.encode(): f"path of {track}" for part in (track, name)}
        self.titles[name[3:].removesuffix(".flac").encode()] = f"name of {track}"


def secrets_of(shelf, path, tracks):
    """All that tells of these tracks of a crate: taken before they are withdrawn."""
    secrets, crate = Secrets(), CrateFile(path)
    for row in rows_in(shelf, path):
        if row["track_id"] not in tracks:
            continue
        secrets.track(row["track_id"])
        source = shelf.music / row["track_id"]
        if not crate.is_dark:
            content = crate.read_range(row["offset"], row["bytes"])
            header = crate.entries[row["path"]].header_offset
            first, last = (
                header // BLOCK_BYTES * BLOCK_BYTES,
                -(-(row["offset"] + row["bytes"]) // BLOCK_BYTES) * BLOCK_BYTES,
            )
            secrets.leaves(leaves_of(crate.read_range(first, last - first)), row["track_id"])
            secrets.found[row["path"].encode()] = f"path of {row['track_id']}"
        else:
            content = source.read_bytes()
            secrets.audio(crate.read_range(row["offset"], row["sealed_bytes"]), 1, f"age file of {row['track_id']}")
            secrets.digest(row["sealed_sha256"], f"age digest of {row['track_id']}")
        secrets.audio(content, row["crc32"], row["track_id"])
        secrets.leaves(leaves_of(content), row["track_id"])
        secrets.digest(row["sha256"], f"digest of {row['track_id']}")
        secrets.found[track_key(SOURCE, row["track_id"])[:64].encode() + b'":[{'] = f"shard entry of {row['track_id']}"
    return secrets


def layers_in(name, content):
    """The content, and all that is packed in it: (where, bytes)."""
    yield name, content
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                yield from layers_in(f"{name}!{entry}", archive.read(entry))
    elif content[:2] == b"\x1f\x8b":
        yield f"{name}!gunzipped", gzip.decompress(content)
    elif content[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(content))
        for column in table.column_names:
            yield f"{name}!{column}", repr(table[column].to_pylist()).encode()
        yield f"{name}!footer", repr(table.schema.metadata).encode()


def leaks(shelf, *secrets):
    """What is found of the secrets in publication/ and in the open crates with what lies beside them."""
    found = []
    for folder in (shelf.publication, shelf.layout.crates):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            where = str(file.relative_to(shelf.root))
            for place, content in [(where, where.encode()), *layers_in(where, file.read_bytes())]:
                is_table = place == where or place.endswith(("track.parquet", "!title", "!footer"))
                may_name = "-metadata-" in where and is_table
                for secret in secrets:
                    sought = secret.found | ({} if may_name else secret.titles)
                    found += [f"{what} in {place}" for needle, what in sought.items() if needle in content]
    return found


@pytest.fixture
def shelf(tmp_path):
    return a_shelf(tmp_path)


def test_scan_finds_what_is_given_out(shelf):
    """The scan itself is tried on what is public: it finds bytes, digests, leaves, names and entries."""
    (path,) = shelf.crates_with(OPEN[1])
    secrets = secrets_of(shelf, path, [OPEN[1]])
    shelf("publish")
    found = " ".join(leaks(shelf, secrets))
    for words in (
        "bytes ",
        "digest of",
        "leaf 0 of",
        "header of",
        "path of",
        "name of",
        "shard entry",
        "in a name",
        "!sha256",
    ):
        assert words in found, words


def test_nothing_of_dark_recordings_is_public(shelf):
    (path,) = shelf.layout.dark.glob("*.zip")
    shelf("publish")
    assert_published(shelf)
    assert leaks(shelf, secrets_of(shelf, path, CLOSED)) == []


def test_nothing_of_a_recording_that_another_track_shares_is_public_after_one_was_withdrawn(shelf):
    (path,) = shelf.crates_with(TWINS[0])
    secrets = secrets_of(shelf, path, TWINS)
    shelf("publish")
    shelf.withdraw(TWINS[0])
    assert leaks(shelf, secrets) == []


@pytest.mark.parametrize("destroy", [False, True])
def test_nothing_of_withdrawn_recordings_is_public_after_they_were(shelf, destroy):
    gone = (OPEN[0], OPEN[4], ALONE, THRICE, *TWINS)
    secrets = [
        secrets_of(shelf, path, gone) for path in crate_files(shelf.layout) if path.parent == shelf.layout.crates
    ]
    secrets += [secrets_of(shelf, path, CLOSED) for path in shelf.layout.dark.glob("*.zip")]
    assert sum(len(one.found) for one in secrets) > 100
    shelf("publish")
    assert leaks(shelf, *secrets) != []
    for track in (*gone, CLOSED[1]):
        shelf.withdraw(track, *(["--destroy"] if destroy else []))
    index = assert_published(shelf)
    assert index.statuses["withdrawn"] == 7
    assert leaks(shelf, *secrets) == []
    revised = {crate.crate: crate.revision for crate in index.crates if crate.revision}
    for folder in ("torrents", "layers"):
        names = {path.stem for path in (shelf.publication / folder).iterdir()}
        assert names == {f"{crate.crate}.r{crate.revision}" for crate in index.crates}
    assert revised


def test_nothing_of_a_withheld_crate_is_public(shelf):
    (path,) = shelf.crates_with(ALONE)
    secrets = secrets_of(shelf, path, [ALONE])
    shelf("publish")
    shelf.permit("", '[[grant]]\npath = ["open/Lonely/*"]\nmay_give_out = false')
    shelf("publish", code=6)
    found = [one for one in leaks(shelf, secrets) if " in publication/" in one]
    assert found == []

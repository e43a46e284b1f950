"""A crate that is whole has no findings; everything else has the ones that say what is wrong and where."""

import io
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crate_maker import INFO, Made, flip_all, make_crate, rewrite_directory, withdraw_by_hand, write_torrent
from tenuto.crates import verify_bytes, zipform
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import item
from tenuto.crates.tables import RECORDINGS
from tenuto.crates.torrent import Metainfo, read_metainfo
from tenuto.crates.verify import Verified, verify_crate
from tenuto.crates.verify_hash import Shape
from tenuto.crates.verify_helper import Helper
from tenuto.crates.zipform import Entry
from tenuto.model.progress import Silent

CRATE_CODES = {
    "crate-unreadable", "crate-cut", "block-damaged", "leaves-mismatch", "piece-differs", "torrent-missing",
    "torrent-damaged", "zip-structure", "name-unsafe", "format-unknown", "bag-incomplete", "bag-info", "bag-manifest",
    "file-differs", "recording-mismatch", "withdrawn-mismatch", "withdrawn-not-zero",
}  # fmt: skip
MANY = (3_000_000, 70_001, 9_000_000, 1)


def codes(verified: Verified) -> set[str]:
    return {finding.code for finding in verified.findings}


def messages(verified: Verified, code: str) -> str:
    return "\n".join(f"{one.subject}: {one.message}" for one in verified.findings if one.code == code)


def patch(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def flip(path: Path, at: int) -> None:
    patch(path, at, bytes([path.read_bytes()[at] ^ 1]))


# --- whole


@pytest.mark.parametrize("sizes", [(1,), (20_001, 3), (16_384,), (1_048_576,), MANY, (0, 5)])
@pytest.mark.parametrize("is_dark", [False, True], ids=["open", "dark"])
@pytest.mark.parametrize("is_thorough", [False, True], ids=["default", "all"])
def test_a_whole_crate_has_no_findings(
    tmp_path: Path, sizes: tuple[int, ...], *, is_dark: bool, is_thorough: bool
) -> None:
    made = make_crate(tmp_path, sizes, is_dark=is_dark)
    found = verify_crate(made.path, is_thorough=is_thorough, infohash_v2=made.metainfo.infohash_v2)
    assert found.findings == []
    assert (found.crate, found.revision, found.bytes, found.damaged) == (
        made.path.stem,
        0,
        made.path.stat().st_size,
        [],
    )
    assert found.infohash_v2 == made.metainfo.infohash_v2


@pytest.mark.parametrize("is_thorough", [False, True], ids=["default", "all"])
def test_a_revision_made_by_hand_is_whole(tmp_path: Path, *, is_thorough: bool) -> None:
    first = withdraw_by_hand(make_crate(tmp_path, MANY), make_crate(tmp_path, MANY).songs[1:3])
    found = verify_crate(first.path, is_thorough=is_thorough)
    assert (found.findings, found.revision) == ([], 1)


def test_every_code_of_crates_has_a_test_here_that_is_named_after_it() -> None:
    tested = " ".join(globals())
    assert [code for code in sorted(CRATE_CODES) if f"test_{code.replace('-', '_')}" not in tested] == []


# --- damage


def test_block_damaged_says_which_file_block_and_bytes_and_how_to_repair(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    entry = CrateFile(made.path).entries[made.songs[2]]
    at = entry.offset + 3_333_333
    flip(made.path, at)
    found = verify_crate(made.path)
    block = at // 16_384
    assert codes(found) == {"block-damaged"}
    assert found.damaged == [(block * 16_384, 16_384)]
    said = messages(found, "block-damaged")
    assert made.songs[2] in said
    assert f"(block {block})" in said
    assert f"run: tenuto repair {made.path.stem}" in said


def test_damage_is_located_in_several_files_at_once_and_headers_count_to_their_file(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    entries = CrateFile(made.path).entries
    places = [entries[path].offset for path in made.songs[:3]]
    for at in places:
        flip(made.path, at)
    found = verify_crate(made.path)
    assert found.damaged == [(at, 16_384) for at in places]
    assert [one.subject.partition("/")[2] for one in found.findings] == sorted(made.songs[:3])


def test_damaged_leaves_do_not_hide_where_else_damage_is(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    crate = CrateFile(made.path)
    song = crate.entries[made.songs[0]].offset
    flip(made.path, song)
    flip(made.path, crate.leaves.offset + 32 * (song // 16_384 + 2))
    found = verify_crate(made.path)
    assert {"block-damaged", "file-differs"} <= codes(found)
    assert any(at <= song < at + count for at, count in found.damaged)
    assert any(at <= crate.leaves.offset < at + count for at, count in found.damaged)


def test_without_a_torrent_blocks_are_still_located_by_the_leaves(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    made.torrent.unlink()
    at = CrateFile(made.path).entries[made.songs[0]].offset
    flip(made.path, at)
    found = verify_crate(made.path)
    assert codes(found) == {"torrent-missing", "block-damaged"}
    assert found.damaged == [(at, 16_384)]


def test_so_much_damage_that_it_would_fill_the_memory_is_noted_by_buffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_bytes, "_RANGES_MAX", 1)
    made = make_crate(tmp_path, MANY)
    for path in made.songs[:3]:
        flip(made.path, CrateFile(made.path).entries[path].offset)
    assert codes(verify_crate(made.path)) == {"block-damaged"}


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_every_single_byte_that_is_flipped_is_found(tmp_path: Path, step: int) -> None:
    made = make_crate(tmp_path, (1,))
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        tested, unfound = zip(*pool.map(flip_all, [made.path] * 2, [0, step], [2 * step] * 2), strict=True)
    assert sum(tested) == -(-made.path.stat().st_size // step)
    assert unfound == ([], [])
    assert verify_crate(made.path).findings == []


def test_crate_cut_at_every_thousandth_byte_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    whole = made.path.read_bytes()
    for at in range(0, len(whole), 1000):
        made.path.write_bytes(whole[:at])
        found = verify_crate(made.path)
        assert "crate-cut" in codes(found), at
        assert sum(found.damaged[-1]) == len(whole)
        made.torrent.rename(tmp_path / "away")
        assert {"crate-cut", "torrent-missing"} <= codes(verify_crate(made.path))
        (tmp_path / "away").rename(made.torrent)


@pytest.mark.parametrize("has_torrent", [True, False])
@pytest.mark.parametrize("behind", [b"\0", b"PK\5\6" + bytes(18), bytes(70_000), Random(3000).randbytes(3000)])
def test_bytes_behind_the_end_are_found(tmp_path: Path, behind: bytes, *, has_torrent: bool) -> None:
    made = make_crate(tmp_path)
    made.path.write_bytes(made.path.read_bytes() + behind)
    if not has_torrent:
        made.torrent.unlink()
    assert codes(verify_crate(made.path)) & {"zip-structure", "crate-cut"}


# --- reading


def test_crate_unreadable_is_found_where_there_is_no_file(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    made.path.unlink()
    assert codes(verify_crate(made.path)) == {"crate-unreadable"}
    made.path.mkdir()
    assert codes(verify_crate(made.path)) == {"crate-unreadable"}
    made.path.rmdir()
    os.mkfifo(made.path)
    assert codes(verify_crate(made.path)) == {"crate-unreadable"}


def test_crate_unreadable_names_the_blocks_that_the_disk_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_crate(tmp_path, MANY)
    bad = CrateFile(made.path).entries[made.songs[1]].offset
    read = os.preadv

    def failing(descriptor: int, buffers: list[memoryview], at: int, *flags: int) -> int:
        if at <= bad < at + len(buffers[0]):
            raise OSError(5, "Input/output error")
        return read(descriptor, buffers, at, *flags)

    monkeypatch.setattr(os, "preadv", failing)
    found = verify_crate(made.path)
    assert codes(found) == {"crate-unreadable", "block-damaged"}
    assert found.damaged == [(bad, 16_384)]


# --- the helper process


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """Small crates are hashed by two processes too; the helpers that were begun."""
    begun: list[Helper] = []
    begin = Helper.__init__

    def noted(helper: Helper, *words: Any) -> None:
        begin(helper, *words)
        begun.append(helper)

    monkeypatch.setattr(verify_bytes, "TASK_BYTES", 8 * 2**20)
    monkeypatch.setattr(verify_bytes, "_HELPED_BYTES", 0)
    monkeypatch.setattr(Helper, "__init__", noted)
    return begun


LARGE = (3_000_000, 15_000_000, 5, 10_000_000, 70_001)


@pytest.mark.parametrize("is_thorough", [False, True], ids=["default", "all"])
def test_a_helper_finds_what_one_process_finds(tmp_path: Path, helped: list[Helper], *, is_thorough: bool) -> None:
    made = make_crate(tmp_path, LARGE)
    assert verify_crate(made.path, is_thorough=is_thorough).findings == []
    for path in made.songs:
        flip(made.path, CrateFile(made.path).entries[path].end - 1)
    found = verify_crate(made.path, is_thorough=is_thorough)
    assert len(helped) == 2
    assert all(one._process is not None and one._process.returncode is not None for one in helped)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(verify_bytes, "TASK_BYTES", 128 * 2**20)
        assert verify_crate(made.path, is_thorough=is_thorough) == found
    assert len(helped) == 2
    assert sum(finding.code == "block-damaged" for finding in found.findings) >= len(made.songs) - 1


@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat", "/no/such/program", "/bin/yes"])
def test_a_helper_that_fails_leaves_the_work_to_this_process(
    tmp_path: Path, helped: list[Helper], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    made = make_crate(tmp_path, LARGE)
    monkeypatch.setattr(sys, "executable", program)
    found = verify_crate(made.path, is_thorough=True)
    assert (found.findings, found.bytes) == ([], made.path.stat().st_size)
    assert len(helped) == 1


def test_ctrl_c_leaves_no_helper(tmp_path: Path, helped: list[Helper]) -> None:
    made = make_crate(tmp_path, LARGE)

    class Pressed(Silent):
        def advance(self, done: int = 1, total: int | None = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_crate(made.path, progress=Pressed())
    assert [one._process and one._process.returncode for one in helped] == [-9]


def test_a_helper_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    made = make_crate(tmp_path, LARGE)
    with made.path.open("rb") as file:
        helper = Helper(file.fileno(), Shape(2**20, is_one_piece=False, has_pieces=False), lambda: False)
        assert helper._process is not None
        assert helper._process.stdin is not None
        helper._process.stdin.close()
        assert helper._process.wait(10) == 0
        with helper:
            pass


def test_a_file_that_is_cut_while_it_is_read_has_findings(tmp_path: Path, helped: list[Helper]) -> None:
    made = make_crate(tmp_path, LARGE)

    class Cutting(Silent):
        def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
            os.truncate(made.path, 9_000_000)

    assert {"crate-unreadable", "block-damaged"} <= codes(verify_crate(made.path, progress=Cutting()))


# --- the torrent


def test_torrent_missing_is_found_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    made.torrent.unlink()
    assert codes(verify_crate(made.path)) == {"torrent-missing"}


@pytest.mark.parametrize(
    "content", [b"", b"d4:infoi3ee", b"d4:infod4:namei3eee", b"l" * 5000, b"9999999999:", b"d", b"i" + b"1" * 30 + b"e"]
)
def test_torrent_damaged_is_found(tmp_path: Path, content: bytes) -> None:
    made = make_crate(tmp_path)
    made.torrent.write_bytes(content)
    assert codes(verify_crate(made.path)) == {"torrent-damaged"}


@pytest.mark.parametrize(
    "change",
    [{"name": "other.zip"}, {"piece_length": 65_536, "pieces": bytes(40), "layer": b""}, {"layer": bytes(32)}],
)
def test_a_torrent_of_something_else_is_found(tmp_path: Path, change: dict[str, Any]) -> None:
    made = make_crate(tmp_path)
    made.torrent.write_bytes(replace(made.metainfo, **change).encode())
    assert "torrent-damaged" in codes(verify_crate(made.path))


def test_a_torrent_with_another_infohash_than_the_index_says_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    assert codes(verify_crate(made.path, infohash_v2="00" * 32)) == {"torrent-damaged"}


def test_piece_differs_is_found_only_where_everything_is_checked(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    pieces = bytearray(made.metainfo.pieces)
    pieces[25] ^= 1
    made.torrent.write_bytes(replace(made.metainfo, pieces=bytes(pieces)).encode())
    assert codes(verify_crate(made.path)) == set()
    found = verify_crate(made.path, is_thorough=True)
    assert codes(found) == {"piece-differs"}
    assert "bytes 1,048,576 to 2,097,151" in messages(found, "piece-differs")


# --- leaves


def test_leaves_mismatch_is_found_where_leaves_were_sealed_wrongly(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    flip(made.path, CrateFile(made.path).leaves.offset + 40)
    write_torrent(made.path)
    found = verify_crate(made.path)
    assert codes(found) == {"leaves-mismatch", "file-differs"}
    assert "(block 1)" in messages(found, "leaves-mismatch")


def test_leaves_replaced_by_garbage_are_damage(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    leaves = CrateFile(made.path).leaves
    patch(made.path, leaves.offset, os.urandom(leaves.bytes))
    found = verify_crate(made.path)
    assert {"block-damaged", "file-differs", "leaves-mismatch"} <= codes(found)
    assert any(at <= leaves.offset < at + count for at, count in found.damaged)


# --- the ZIP


def header_at(made: Made, name: str) -> int:
    return CrateFile(made.path).entries[name].header_offset


@pytest.mark.parametrize(
    ("field", "value"),
    [(6, 0x0808), (6, 0x0801), (6, 0), (8, 8), (4, 20), (10, 1), (12, 0x5A21)],
    ids=["data descriptor", "encrypted", "no UTF-8", "deflated", "version", "time", "date"],
)
@pytest.mark.parametrize("where", ["bagit.txt", "data/withdrawn.json"])
def test_zip_structure_is_found_in_a_local_header(tmp_path: Path, where: str, field: int, value: int) -> None:
    made = make_crate(tmp_path)
    patch(made.path, header_at(made, where) + field, struct.pack("<H", value))
    write_torrent(made.path)
    found = verify_crate(made.path)
    assert "zip-structure" in codes(found)
    assert where in messages(found, "zip-structure")


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: [*entries, entries[-1]],
        lambda entries: entries[:-4] + entries[-3:],
        lambda entries: [*entries, Entry(entries[1].name, 5, 40, 3, 9)],
        lambda entries: [entries[1], entries[0], *entries[2:]],
        lambda entries: [*entries[:-1], replace(entries[-1], crc32=0)],
        lambda entries: [*entries[:-1], replace(entries[-1], bytes=2**33)],
        lambda entries: [*entries[:-1], replace(entries[-1], header_offset=2**40)],
        lambda entries: [*entries[:-1], replace(entries[-1], name="else/where")],
        lambda entries: [],
        lambda entries: entries * 3000,
    ],
)
def test_zip_structure_is_found_in_a_central_directory(
    tmp_path: Path, change: Callable[[list[Entry]], list[Entry]]
) -> None:
    made = make_crate(tmp_path)
    rewrite_directory(made.path, change)
    assert "zip-structure" in codes(verify_crate(made.path, is_thorough=True))


def test_a_directory_that_claims_to_be_huge_costs_nothing(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    end = made.path.stat().st_size - 22
    patch(made.path, end + 12, struct.pack("<I", 0xFFFFFFFE))
    assert "zip-structure" in codes(verify_crate(made.path))
    patch(made.path, end + 8, b"\xff" * 12)
    assert "zip-structure" in codes(verify_crate(made.path))


def test_what_is_no_crate_at_all_has_findings_and_no_traceback(tmp_path: Path) -> None:
    for content in (
        b"",
        b"PK\5\6" + bytes(18),
        b"PK\3\4" + os.urandom(90_000),
        b"PK\3\4\0\0" * 20_000,
        os.urandom(50_000),
    ):
        path = tmp_path / "odd.zip"
        path.write_bytes(content)
        assert {"torrent-missing", "bag-incomplete"} <= codes(verify_crate(path, is_thorough=True))


def test_a_zip_made_by_other_tools_is_found_to_be_no_crate(tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("odd/bagit.txt", "BagIt-Version: 1.0\n" * 99)
    assert {"zip-structure", "bag-incomplete"} <= codes(verify_crate(path))


def test_a_hole_between_entries_and_bytes_before_the_first_are_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    made.path.write_bytes(b"\0" + made.path.read_bytes())
    write_torrent(made.path)
    assert "zip-structure" in codes(verify_crate(made.path))


def test_an_entry_that_was_renamed_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    content = made.path.read_bytes().replace(b"d/data/attribution.txt", b"d/data/attributiun.txt")
    made.path.write_bytes(content)
    write_torrent(made.path)
    assert {"bag-incomplete", "bag-manifest"} <= codes(verify_crate(made.path))


@pytest.mark.parametrize(
    "name",
    ["../x", "data/audio/../../x", "data/audio/a\0b", "data/audio//b", "data/audio/con.flac", "data/audio/a:b", "data/audio/a.",
     "data/audio/ a", "data/audio/e\u0301", "data/audio/a\u202eb", "data/audio/" + "x" * 121, "data/audio/a%41",
     "data/audio/" + "/".join(["y" * 60] * 4), "data/audio/.."],
)  # fmt: skip
def test_name_unsafe_is_found(tmp_path: Path, name: str) -> None:
    made = make_crate(tmp_path, (5,), rename=lambda _: name, mend_rows=lambda rows: rows)
    assert "name-unsafe" in codes(verify_crate(made.path))


def test_names_outside_the_folder_of_the_crate_are_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    other = made.path.with_name("other.zip")
    made.path.rename(other)
    assert {"name-unsafe", "torrent-missing"} <= codes(verify_crate(other))


def test_two_names_that_some_systems_take_for_one_are_found(tmp_path: Path) -> None:
    folders = iter(["Ä", "ä"])
    made = make_crate(tmp_path, rename=lambda path: f"data/audio/{next(folders)}/{path.rpartition('/')[2]}")
    assert codes(verify_crate(made.path)) == {"name-unsafe"}


# --- the bag


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (replace(INFO, kind="music"), "bag-info"),
        (replace(INFO, access="secret"), "bag-info"),
        (replace(INFO, revision=1), "bag-info"),
        (replace(INFO, predecessor="ab" * 32), "bag-info"),
    ],
)
def test_bag_info_is_found(tmp_path: Path, info: Any, code: str) -> None:
    assert code in codes(verify_crate(make_crate(tmp_path, info=info).path))


def rewrite_info(made: Made, old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    made.path.write_bytes(made.path.read_bytes().replace(old, new))
    write_torrent(made.path)


def test_format_unknown_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    rewrite_info(made, b"tenuto-crate-1", b"tenuto-crate-9")
    assert "format-unknown" in codes(verify_crate(made.path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\nPayload-Oxum: ", b"\nPayload-Oxum: 9"),
        (b"\nBag-Size: ", b"\nBag-Sise: "),
        (b"\nExternal-Identifier: t", b"\nExternal-Identifier: u"),
    ],
)
def test_another_payload_oxum_and_label_are_found(tmp_path: Path, old: bytes, new: bytes) -> None:
    made = make_crate(tmp_path)
    patch(made.path, made.path.read_bytes().index(old), new)
    write_torrent(made.path)
    assert "bag-info" in codes(verify_crate(made.path))


def test_bag_incomplete_is_found_where_a_describing_file_is_not_there(tmp_path: Path) -> None:
    for number in (0, 3):
        made = make_crate(tmp_path, mend_tail=lambda tail, n=number: tail[:n] + tail[n + 1 :])
        assert codes(verify_crate(made.path)) == {"bag-incomplete"}


def test_a_describing_tail_in_another_order_or_with_something_else_is_found(tmp_path: Path) -> None:
    for change in (lambda tail: tail[::-1], lambda tail: [*tail, item("data/odd.txt", b"")]):
        assert codes(verify_crate(make_crate(tmp_path, mend_tail=change).path)) == {"zip-structure"}


def turned(manifest: bytes) -> bytes:
    first, _, rest = manifest.partition(b"\n")
    return rest + first + b"\n"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (turned, "bag-manifest"),
        (lambda manifest: b"x" * len(manifest), "bag-manifest"),
        (lambda manifest: b"\xff" * len(manifest), "bag-manifest"),
        (lambda manifest: manifest.replace(b"index.html", b"indox.html"), "bag-incomplete"),
    ],
    ids=["another order", "no digests", "no UTF-8", "another name"],
)
def test_bag_manifest_is_found(tmp_path: Path, change: Callable[[bytes], bytes], code: str) -> None:
    made = make_crate(tmp_path)
    crate = CrateFile(made.path)
    patch(made.path, crate.entries["manifest-sha256.txt"].offset, change(crate.read("manifest-sha256.txt")))
    write_torrent(made.path)
    assert {"bag-manifest", "file-differs", code} <= codes(verify_crate(made.path))


def test_file_differs_is_found_in_the_tail_at_once_and_in_recordings_by_all(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    flip(made.path, CrateFile(made.path).entries["data/index.html"].offset)
    write_torrent(made.path)
    assert codes(verify_crate(made.path)) == {"file-differs"}
    other = make_crate(tmp_path / "b", MANY)
    flip(other.path, CrateFile(other.path).entries[other.songs[2]].end - 1)
    other.torrent.unlink()
    found = verify_crate(other.path, is_thorough=True)
    assert codes(found) == {"torrent-missing", "block-damaged", "file-differs"}
    assert messages(found, "file-differs").count(other.songs[2]) == 2


# --- the table


def swap(rows: list[dict[str, Any]], **values: Any) -> None:
    rows[0].update(values)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: swap(rows, offset=5), lambda rows: swap(rows, bytes=5), lambda rows: swap(rows, sha256="ab" * 32),
        lambda rows: swap(rows, sha256=None), lambda rows: swap(rows, crc32=5), lambda rows: swap(rows, path="data/audio/x"),
        lambda rows: swap(rows, path=None), lambda rows: swap(rows, tier="opus"), lambda rows: swap(rows, tier="opus-96"),
        lambda rows: swap(rows, derived_from="ab" * 32), lambda rows: swap(rows, track_id="t2"),
        lambda rows: swap(rows, track_id=None), lambda rows: swap(rows, sealed_bytes=5), lambda rows: rows[:1],
    ],
)  # fmt: skip
def test_recording_mismatch_is_found(tmp_path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    made = make_crate(tmp_path, mend_rows=change)
    assert codes(verify_crate(made.path)) == {"recording-mismatch"}


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", Random(9000).randbytes(9000), b"PAR1" + Random(500).randbytes(500) + b"\0\1\0\0PAR1"]
)
def test_a_table_of_garbage_is_found(tmp_path: Path, content: bytes) -> None:
    made = make_crate(tmp_path, mend_tail=lambda tail: [item("data/recordings.parquet", content), *tail[1:]])
    assert codes(verify_crate(made.path)) == {"recording-mismatch"}


def table_of(columns: dict[str, Any], rows: int = 1) -> bytes:
    """A table of the right columns whose other values are null."""
    made = io.BytesIO()
    values = [columns.get(one.name, pa.nulls(rows, one.type)) for one in RECORDINGS]
    table = pa.Table.from_arrays([pa.array(one, field.type) if isinstance(one, list) else one
                                  for one, field in zip(values, RECORDINGS, strict=True)], schema=RECORDINGS)  # fmt: skip
    pq.write_table(table, made, compression="zstd", write_statistics=False)
    return made.getvalue()


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        ({"track_id": ["x" * 200_000_000]}, 1, "unpack to more than"),
        ({"title": ["x" * 200_000_000]}, 1, "unpack to more than"),
        ({"path": ["x" * 300_000] * 200}, 200, "a text of 300,000 bytes"),
        ({}, 3_000_000, "3,000,000 rows"),
    ],
    ids=["one huge text", "in a column that is not read", "one large text in every row", "many rows"],
)
def test_a_table_that_is_a_bomb_is_found_and_takes_no_memory(
    tmp_path: Path, columns: dict[str, Any], rows: int, said: str
) -> None:
    content = table_of(columns, rows)
    assert len(content) < 500_000
    made = make_crate(tmp_path, mend_tail=lambda tail: [item("data/recordings.parquet", content), *tail[1:]])
    code = (
        "import sys, pathlib; from tenuto.crates.verify import verify_crate; "
        "print(verify_crate(pathlib.Path(sys.argv[1])).findings); print(pathlib.Path('/proc/self/status').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", code, made.path], capture_output=True, text=True, check=True)
    findings, _, status = done.stdout.partition("\n")
    assert said in findings
    assert int(status.partition("VmHWM:")[2].split()[0]) < 400_000


# --- withdrawals


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"null", b"[" * 90_000, b'{"format": "tenuto-withdrawn-9", "revision": 0, "withdrawn": []}',
     b'{"format": "tenuto-withdrawn-1", "revision": 4, "withdrawn": []}',
     b'{"format": "tenuto-withdrawn-1", "revision": 0, "withdrawn": [3]}',
     b'{"format": "tenuto-withdrawn-1", "revision": 0, "withdrawn": [{"key": 3}]}',
     b'{"format": "tenuto-withdrawn-1", "revision": 0, "withdrawn": [{"key": "' + b"ab" * 32 + b'", "reason": "r", '
     b'"on": "2026-01-01", "header_offset": 3, "offset": 16384, "bytes": 5}]}'],
)  # fmt: skip
def test_withdrawn_mismatch_is_found(tmp_path: Path, said: bytes) -> None:
    made = make_crate(tmp_path, mend_tail=lambda tail: [*tail[:3], item("data/withdrawn.json", said), *tail[4:]])
    assert codes(verify_crate(made.path)) == {"withdrawn-mismatch"}


def test_withdrawn_not_zero_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    found = verify_crate(withdraw_by_hand(made, made.songs[1:3], with_zeros=False).path)
    assert codes(found) == {"withdrawn-not-zero"}


def test_one_byte_that_is_left_at_the_end_of_a_withdrawn_recording_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path, (70_001, 70_000))
    entry = CrateFile(made.path).entries[made.songs[0]]
    gone = withdraw_by_hand(made, made.songs[:1])
    flip(gone.path, entry.end - 1)
    write_torrent(gone.path)
    assert "withdrawn-not-zero" in codes(verify_crate(gone.path))


def test_an_entry_that_the_directory_hides_without_a_withdrawal_is_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    rewrite_directory(made.path, lambda entries: [one for one in entries if not one.name.endswith("index.html")])
    found = verify_crate(made.path)
    assert "not in the central directory" in messages(found, "zip-structure")


def test_the_torrent_of_a_made_crate_is_read_back(tmp_path: Path) -> None:
    made = make_crate(tmp_path, MANY)
    again: Metainfo = read_metainfo(made.torrent.read_bytes(), "it")
    assert again == made.metainfo
    assert zipform.LOCAL_BYTES == 30

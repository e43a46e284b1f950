"""Crates are ZIP archives that other people's programs open, whatever their size."""

import os
import subprocess
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate_maker import Made, make_crate, withdraw_by_hand
from support import need_program
from tenuto.crates import zipform
from tenuto.crates.reader import CrateFile
from tenuto.crates.zipform import Entry

SIZES = (70_001, 1, 300_000)
ENGLISH = {**os.environ, "LC_ALL": "C.UTF-8"}


@pytest.fixture(params=["first", "revision"])
def made(tmp_path: Path, request: pytest.FixtureRequest) -> Made:
    crate = make_crate(tmp_path / "made", SIZES)
    return crate if request.param == "first" else withdraw_by_hand(crate, crate.songs[1:2])


def run(*words: str | Path, stdin: Path | None = None, cwd: Path | None = None) -> str:
    with (stdin or Path(os.devnull)).open("rb") as source:
        done = subprocess.run(
            [*map(str, words)], stdin=source, capture_output=True, text=True, check=False, env=ENGLISH, cwd=cwd
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_same(folder: Path, made: Made) -> None:
    """What was unpacked is what the crate says."""
    crate = CrateFile(made.path)
    there = {
        file.relative_to(folder / crate.crate).as_posix()
        for file in (folder / crate.crate).rglob("*")
        if file.is_file()
    }
    assert there - {name for name in there if name.startswith("withdrawn/")} == set(crate.entries)
    for path, entry in crate.entries.items():
        found = sha256((folder / crate.crate / path).read_bytes()).digest()
        assert found == sha256(crate.read_range(entry.offset, entry.bytes)).digest()


def test_zipfile_of_python_reads_it(made: Made) -> None:
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0].endswith("/bagit.txt")


def test_unzip_finds_no_errors_and_unpacks_it(made: Made, tmp_path: Path) -> None:
    program = need_program("unzip")
    assert "No errors detected" in run(program, "-t", made.path)
    run(program, "-q", made.path, "-d", tmp_path / "out")
    assert_same(tmp_path / "out", made)


def test_7z_finds_no_errors_and_unpacks_it(made: Made, tmp_path: Path) -> None:
    program = need_program("7z")
    said = run(program, "t", made.path)
    assert "Everything is Ok" in said
    assert "Warning" not in said
    run(program, "x", "-y", f"-o{tmp_path / 'out'}", made.path)
    assert_same(tmp_path / "out", made)


def test_bsdtar_unpacks_it_from_a_pipe(made: Made, tmp_path: Path) -> None:
    program = need_program("bsdtar")
    out = tmp_path / "out"
    out.mkdir()
    with subprocess.Popen(["cat", str(made.path)], stdout=subprocess.PIPE) as source:
        done = subprocess.run(
            [program, "-xf", "-", "-C", str(out)], stdin=source.stdout, capture_output=True, check=False, env=ENGLISH
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same(out, made)


def test_recordings_are_aligned_and_nothing_else_is(tmp_path: Path) -> None:
    made = make_crate(tmp_path, SIZES)
    crate = CrateFile(made.path)
    aligned = {
        path
        for path, entry in crate.entries.items()
        if entry.offset - entry.header_offset - 30 > len(entry.name.encode())
    }
    assert aligned == {*made.songs, "leaves.bin"}
    assert all(crate.entries[path].offset % 16_384 == 0 for path in aligned)


@given(
    name=st.text("aäz", min_size=1, max_size=100),
    at=st.integers(0, 2**40),
    size=st.integers(0, 2**40),
    is_aligned=st.booleans(),
)
def test_a_header_is_as_long_as_there_is_room_and_aligned_data_are(
    name: str, at: int, size: int, *, is_aligned: bool
) -> None:
    entry = zipform.place(name, at, size, 7, is_aligned=is_aligned)
    assert len(zipform.local_header(entry)) == entry.offset - at
    assert entry.offset % 16_384 == 0 or not is_aligned
    assert entry.offset - at < 16_384 + 30 + 20 + 4 + len(name.encode())
    assert len(zipform.neutral_header(entry, "withdrawn/", 9)) == entry.offset - at


def write_sparse(path: Path, entries: list[Entry], contents: dict[str, bytes]) -> None:
    with path.open("wb") as file:
        for entry in entries:
            file.seek(entry.header_offset)
            file.write(zipform.local_header(entry) + contents.get(entry.name, b""))
        file.seek(entries[-1].end)
        file.write(zipform.directory(entries, entries[-1].end))


def test_an_entry_behind_4_gib_is_found_by_others(tmp_path: Path) -> None:
    hole = zipform.place("a/hole", 0, 2**32 - 2, 0, is_aligned=True)
    last = zipform.place("a/last", hole.end, 5, zlib.crc32(b"hello"), is_aligned=True)
    path = tmp_path / "a.zip"
    write_sparse(path, [hole, last], {"a/last": b"hello"})
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a/last") == b"hello"
    assert run(need_program("unzip"), "-p", path, "a/last") == "hello"
    assert run(need_program("7z"), "x", "-so", path, "a/last") == "hello"


def test_an_entry_larger_than_4_gib_is_found_by_others(tmp_path: Path) -> None:
    size = 2**32 + 7
    hole = zipform.place("a/hole", 0, size, 0, is_aligned=True)
    last = zipform.place("a/last", hole.end, 5, zlib.crc32(b"hello"), is_aligned=False)
    path = tmp_path / "a.zip"
    write_sparse(path, [hole, last], {"a/last": b"hello"})
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a/last") == b"hello"
        assert archive.getinfo("a/hole").file_size == size
    assert run(need_program("unzip"), "-p", path, "a/last") == "hello"
    assert str(size) in run(need_program("7z"), "l", path)


def test_more_entries_than_16_bits_count_are_all_found(tmp_path: Path) -> None:
    entries, at = [], 0
    for number in range(65_536):
        entries.append(zipform.place(f"a/{number}", at, 0, 0, is_aligned=False))
        at = entries[-1].end
    path = tmp_path / "a.zip"
    path.write_bytes(b"".join(map(zipform.local_header, entries)) + zipform.directory(entries, at))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 65_536

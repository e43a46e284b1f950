"""A crate's torrent is what other programs make of the same file, and nothing else is read as one."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate_maker import make_crate
from tenuto.crates.torrent import METAINFO_MAX_BYTES, Metainfo, bdecode, bencode, read_metainfo
from tenuto.model.errors import IntegrityError

MANY = (3_000_000, 70_001)


@pytest.fixture(scope="module")
def metainfo(tmp_path_factory: pytest.TempPathFactory) -> Metainfo:
    return make_crate(tmp_path_factory.mktemp("crate"), MANY).metainfo


@pytest.mark.parametrize("sizes", [(5,), (1_048_576,), MANY])
def test_infohashes_are_those_of_libtorrent(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    lt = pytest.importorskip("libtorrent")
    made = make_crate(tmp_path, sizes)
    found = lt.torrent_info(str(made.torrent)).info_hashes()
    assert str(found.v1) == made.metainfo.infohash_v1
    assert str(found.v2) == made.metainfo.infohash_v2


@pytest.mark.parametrize("sizes", [(5,), MANY])
def test_what_libtorrent_makes_of_the_file_has_the_same_hashes(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    lt = pytest.importorskip("libtorrent")
    made = make_crate(tmp_path, sizes)
    theirs = lt.create_torrent(lt.list_files(str(made.path)), made.metainfo.piece_length)
    lt.set_piece_hashes(theirs, str(tmp_path))
    theirs = theirs.generate()
    assert theirs[b"info"][b"pieces"] == made.metainfo.pieces
    assert theirs[b"info"][b"file tree"][made.path.name.encode()][b""][b"pieces root"] == made.metainfo.pieces_root
    assert b"".join(theirs[b"piece layers"].values()) == made.metainfo.layer


def test_infohash_v1_is_that_of_torf(tmp_path: Path) -> None:
    torf = pytest.importorskip("torf")
    made = make_crate(tmp_path)
    assert torf.Torrent.read(made.torrent, validate=False).infohash == made.metainfo.infohash_v1


def test_a_torrent_is_read_back_as_it_was_written(metainfo: Metainfo) -> None:
    assert read_metainfo(metainfo.encode(), "it") == metainfo
    info = bencode(bdecode(metainfo.encode())[b"info"])
    assert hashlib.sha256(info).hexdigest() == metainfo.infohash_v2


def values(metainfo: Metainfo) -> dict[bytes, Any]:
    found: dict[bytes, Any] = bdecode(metainfo.encode())
    return found


def changed(metainfo: Metainfo, *path: bytes, to: Any) -> bytes:
    whole = values(metainfo)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return bencode(whole)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ((b"piece layers",), {}), ((b"piece layers",), {b"x" * 32: b"y" * 32}), ((b"info", b"length"), 5),
        ((b"info", b"piece length"), 1000), ((b"info", b"piece length"), 0), ((b"info", b"piece length"), -65_536),
        ((b"info", b"pieces"), b"x" * 20), ((b"info", b"pieces"), 3), ((b"info", b"meta version"), 1),
        ((b"info", b"private"), 1), ((b"announce",), b"http://tracker.invalid"), ((b"info", b"name"), b"other"),
        ((b"info", b"name"), b"\xff"), ((b"info",), 3), ((b"info",), []), ((b"info", b"file tree"), {}),
        ((b"created by",), b"someone"), ((b"creation date",), 5),
    ],
)  # fmt: skip
def test_what_no_crate_has_is_refused(metainfo: Metainfo, path: tuple[bytes, ...], to: Any) -> None:
    with pytest.raises(IntegrityError, match="it"):
        read_metainfo(changed(metainfo, *path, to=to), "it")


def test_a_layer_that_leads_elsewhere_is_refused(metainfo: Metainfo) -> None:
    wrong = bytes([metainfo.layer[0] ^ 1]) + metainfo.layer[1:]
    with pytest.raises(IntegrityError, match="does not lead to its root"):
        read_metainfo(replace(metainfo, layer=wrong).encode(), "it")


@pytest.mark.parametrize(
    "content",
    [b"", b"d", b"i5", b"i05e", b"i-0e", b"ie", b"5:abc", b"1000000000:", b"99999999999999999999:", b"-1:", b"d1:bi1e1:ai1ee",
     b"d1:ai1e1:ai1ee", b"di1ei1ee", b"l" * 100 + b"e" * 100, b"l" * 100_000, b"d1:a" * 50, b"i1ei2e", b"5abc", b"x", b"de",
     b"i" + b"9" * 5000 + b"e", b" 1:a", b"+1:a", b"0_1:a"],
)  # fmt: skip
def test_malformed_metainfo_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_metainfo(content, "it")


def test_bytes_behind_the_end_and_files_too_large_are_refused(metainfo: Metainfo) -> None:
    with pytest.raises(IntegrityError, match="1 bytes follow"):
        read_metainfo(metainfo.encode() + b"x", "it")
    with pytest.raises(IntegrityError, match="more than a crate's torrent"):
        read_metainfo(bytes(METAINFO_MAX_BYTES + 1), "it")


BENCODED = st.recursive(
    st.integers(-(10**20), 10**20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(BENCODED)
@settings(deadline=None)
def test_every_value_comes_back(value: Any) -> None:
    assert bdecode(bencode(value)) == value


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_bytes_are_one_value_or_refused(content: bytes) -> None:
    try:
        value = bdecode(content)
    except ValueError:
        return
    assert bencode(value) == content

"""Crates, dark crates and revisions as the real code makes them are whole."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from crate_maker import CRATE, INFO, Made, songs
from published_maker import ALONE, OPEN, SOURCE, TWINS, a_shelf
from tenuto.crates import revise as revising
from tenuto.crates.hashing import metainfo_of
from tenuto.crates.holdings import crate_files
from tenuto.crates.merkle import leaves_of, piece_length, pieces_of
from tenuto.crates.reader import CrateFile
from tenuto.crates.revise import Removal, revise
from tenuto.crates.seal import item, lay_out, seal, torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.crates.verify import Verified, verify_crate
from tenuto.model.ids import track_key


def assert_whole(path: Path) -> Verified:
    """Both ways of checking find nothing; what the crate is."""
    infohash = read_metainfo(torrent_beside(path).read_bytes(), path.name).infohash_v2
    found = [verify_crate(path, is_thorough=is_thorough, infohash_v2=infohash) for is_thorough in (False, True)]
    assert [one.findings for one in found] == [[], []]
    assert found[0] == found[1]
    return found[0]


def test_all_crates_of_an_archive_are_whole_through_withdrawals(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path)
    shelf("publish")
    paths = crate_files(shelf.layout)
    kinds = {(CrateFile(path).kind, CrateFile(path).is_dark) for path in paths}
    assert {("recordings", False), ("recordings", True), ("metadata", False)} <= kinds
    assert {assert_whole(path).revision for path in paths} == {0}

    (crate,) = shelf.crates_with(OPEN[0])
    others = [track for track in OPEN if shelf.crates_with(track) == [crate]]
    (twins,) = shelf.crates_with(TWINS[0])
    (alone,) = shelf.crates_with(ALONE)
    for expected, track in enumerate(others[:2], 1):
        shelf.withdraw(track)
        assert assert_whole(crate).revision == expected
    for track in TWINS:
        shelf.withdraw(track)
        assert_whole(twins)
    if alone.exists():
        shelf.withdraw(ALONE)
    for path in crate_files(shelf.layout):
        assert_whole(path)
    assert any("-0-withdrawn-" in path.name for path in crate_files(shelf.layout))


def test_revisions_made_one_after_the_other_are_whole_until_nothing_is_left(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path)
    for path in crate_files(shelf.layout):
        crate = CrateFile(path)
        if crate.is_dark or crate.kind != "recordings":
            continue
        tracks = crate.recordings()["track_id"].to_pylist()
        for expected, track in enumerate(tracks, 1):
            removal = Removal(track_key(SOURCE, track), "other", date(2026, 11, 20))
            assert revise(shelf.layout, shelf.settings, path, [removal]) is not None
            assert assert_whole(path).revision == expected


def test_a_dark_crate_that_was_revised_is_whole(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path)
    dark = [path for path in crate_files(shelf.layout) if CrateFile(path).is_dark]
    assert dark
    for path in dark:
        keys = {track_key(row["source"], row["track_id"]) for row in revising.read_holdings(
            CrateFile(path), shelf.layout, shelf.settings).to_pylist()}  # fmt: skip
        for key in sorted(keys):
            revise(shelf.layout, shelf.settings, path, [Removal(key, "law", date(2026, 11, 21))])
            assert_whole(path)
        assert verify_crate(path).revision == len(keys)


def with_pieces(made: Path, piece_bytes: int) -> None:
    """A torrent of the same bytes with other pieces."""

    content = made.read_bytes()
    metainfo = metainfo_of(made.name, len(content), piece_bytes, leaves_of(content), pieces_of(content, piece_bytes))
    torrent_beside(made).write_bytes(metainfo.encode())


def test_only_a_revision_may_have_the_pieces_of_another_size(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path)
    path = shelf.crates_with(OPEN[0])[0]
    with_pieces(path, 4 * 2**20)
    assert {one.code for one in verify_crate(path).findings} == {"torrent-damaged"}
    revise(shelf.layout, shelf.settings, path, [Removal(track_key(SOURCE, OPEN[0]), "law", date(2026, 11, 21))])
    before = read_metainfo(torrent_beside(path).read_bytes(), "it")
    assert before.piece_length == 4 * 2**20 != piece_length(before.length)
    assert_whole(path)
    with_pieces(path, 2 * 2**20)
    assert {one.code for one in verify_crate(path).findings} == {"torrent-damaged"}


@pytest.mark.parametrize(("kind", "folder"), [("metadata", "data/catalogue"), ("evidence", "data/evidence")])
def test_crates_of_metadata_and_of_evidence_are_whole(tmp_path: Path, kind: str, folder: str) -> None:
    files = [replace(one, path=f"{folder}/{number}.bin") for number, one in enumerate(songs((40_001, 3, 2_000_000)))]
    path = tmp_path / f"{CRATE}.zip"
    metainfo = seal(path, lay_out(CRATE, files), [item("data/about.txt", b"about\n")], replace(INFO, kind=kind))
    assert_whole(path)
    assert Made(path, metainfo, ()).torrent.exists()

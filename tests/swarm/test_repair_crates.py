"""`tenuto repair`, one crate at a time: whatever is damaged is as it was sealed again, and no more is fetched than that takes."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crate_maker import Made, withdraw_by_hand
from publication_maker import Site, serving, serving_plainly
from repair_maker import Place, add_dark, flip, mirror, put, state
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.model.errors import UsageError
from tenuto.publication.places.protocol import STEP_BYTES

MIB = 2**20


@pytest.fixture
def site(place: Place) -> Iterator[Site]:
    with serving(place.publication.root) as served:
        yield served


WHERE: dict[str, Callable[[Place], int]] = {
    "first byte": lambda place: 0,
    "first block": lambda place: 9_000,
    "audio": lambda place: 2 * MIB + 5,
    "leaves.bin": lambda place: place.entry("crate-a", "leaves.bin").offset + 40,
    "tail": lambda place: place.entry("crate-a", "data/attribution.txt").offset + 7,
    "manifest": lambda place: place.entry("crate-a", "manifest-sha256.txt").offset,
    "central directory": lambda place: place.entry("crate-a", "tagmanifest-sha256.txt").end + 3,
    "last byte": lambda place: -1,
}


@pytest.mark.parametrize("where", WHERE)
def test_one_flipped_byte_takes_one_piece_at_most_and_the_crate_is_as_it_was_sealed(
    place: Place, site: Site, where: str
) -> None:
    path = place.file()
    _, _, inode = state(path)
    flip(path, WHERE[where](place))
    done = place.repair(places=[site.url])
    assert place.is_whole()
    assert path.stat().st_ino == inode
    assert path.samefile(place.layout.publication / "crates" / path.name), "mended in place, so under both its names"
    (one,) = [one for one in done.crates if one.is_mended]
    assert (one.crate, one.patched.pieces, one.patched.blocks) == ("crate-a", 1, 1)
    assert one.patched.bytes <= BLOCK_BYTES
    assert 0 < done.received_bytes <= MIB
    assert not done.left
    assert not done.all_findings


@pytest.mark.parametrize("where", ["first byte", "audio"])
def test_where_the_leaves_tell_the_block_only_that_block_comes(place: Place, site: Site, where: str) -> None:
    flip(place.file(), WHERE[where](place))
    done = place.repair(places=[site.url])
    assert done.received_bytes == BLOCK_BYTES
    asked_bytes = [asked.range and asked.range[1] - asked.range[0] + 1 for asked in site.log]
    assert asked_bytes == [1, BLOCK_BYTES], "whether it gives ranges, then the block"


def test_damage_in_every_piece_is_mended_block_by_block(place: Place, site: Site) -> None:
    flip(place.file(), 5, MIB + 5, 2 * MIB + 5, 2 * MIB + 100_000)
    done = place.repair(places=[site.url])
    assert place.is_whole()
    assert done.received_bytes == 4 * BLOCK_BYTES


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "cut within a block": lambda content: content[: MIB + 77],
    "cut at a piece": lambda content: content[: 2 * MIB],
    "cut by a byte": lambda content: content[:-1],
    "empty": lambda content: b"",
    "grown": lambda content: content + b"more" * 9000,
    "grown by a byte": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "zeros in the middle": lambda content: content[:MIB] + bytes(MIB) + content[2 * MIB :],
    "something else": lambda content: b"not a crate at all" * 9,
    "shifted": lambda content: content[1:] + b"\0",
    "damaged and grown": lambda content: b"X" + content[1:] + b"Y",
}


@pytest.mark.parametrize("crate", ["crate-a", "crate-c"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_cut_grown_or_written_over_is_whole_again_in_its_place(
    place: Place, change: str, crate: str
) -> None:
    path = place.file(crate)
    inode = path.stat().st_ino
    put(path, CHANGES[change](place.whole(crate)))
    done = place.repair(crate, places=[place.copies])
    assert place.is_whole(crate), done
    assert path.stat().st_ino == inode
    assert done.left == []
    again = place.repair(crate, places=[place.copies])
    assert not any(one.is_mended for one in again.crates)


def test_a_tail_that_only_grew_needs_no_copy(place: Place) -> None:
    put(place.file(), place.whole() + b"behind")
    (one, *_) = place.repair("crate-a").crates
    assert (one.cut_bytes, one.received, one.patched.pieces) == (6, {}, 0)
    assert place.is_whole()


def test_bytes_behind_the_end_stay_until_all_else_proves(place: Place) -> None:
    put(place.file(), b"X" + place.whole()[1:] + b"behind")
    done = place.repair("crate-a")
    assert len(done.left) == 1
    assert place.file().read_bytes().endswith(b"behind")


def test_nothing_is_written_where_nothing_is_damaged(place: Place) -> None:
    before = {
        path: state(path) for path in sorted(place.layout.root.rglob("*")) if path.is_file() and "lock" not in path.name
    }
    done = place.repair(places=[place.copies])
    assert [one.crate for one in done.crates] == ["crate-a", "crate-b", "crate-c"]
    assert not done.left
    assert not done.findings
    assert done.received_bytes == 0
    assert before == {path: state(path) for path in before}


# -- what is missing


@pytest.mark.parametrize("crate", ["crate-a", "crate-c"])
def test_a_crate_that_lost_one_name_gets_it_back_from_the_other(place: Place, crate: str) -> None:
    place.file(crate).unlink()
    torrent_beside(place.file(crate)).unlink()
    done = place.repair()
    assert place.is_whole(crate)
    assert place.file(crate).samefile(place.layout.publication / "crates" / f"{crate}.zip")
    (one,) = [one for one in done.crates if one.is_mended]
    assert (one.restored, one.received, one.torrent) == (True, {}, "publication/")
    assert not done.left


@pytest.mark.parametrize("source", ["web", "folder", "plain web"])
def test_a_crate_that_is_nowhere_here_is_brought_back_whole(place: Place, source: str) -> None:
    for path in (place.file(), place.layout.publication / "crates/crate-a.zip", torrent_beside(place.file())):
        path.unlink()
    if source == "folder":
        done = place.repair(places=[place.copies])
    else:
        with serving(place.publication.root, gives_ranges=source == "web") as served:
            done = place.repair(places=[served.url])
    assert place.is_whole()
    (one,) = [one for one in done.crates if one.is_mended]
    assert one.restored
    assert place.entry("crate-a", "leaves.bin").offset < done.received_bytes <= len(place.whole()) + 2 * STEP_BYTES
    assert [finding.message for finding in done.findings] == ["it is missing; run: tenuto publish"]
    assert not list(place.layout.crates.glob(".*"))


def test_what_could_not_all_be_brought_back_is_used_the_next_time(place: Place, tmp_path: Path) -> None:
    for path in (place.file(), place.layout.publication / "crates/crate-a.zip"):
        path.unlink()
    half = tmp_path / "half"
    half.mkdir()
    (half / "crate-a.zip").write_bytes(place.whole()[: 2 * MIB + 5])
    done = place.repair("crate-a", places=[half])
    (one,) = done.left
    assert "not all of it could be had" in one.why
    assert not place.file().exists()
    with serving(place.publication.root) as served:
        done = place.repair("crate-a", places=[served.url])
    assert place.is_whole()
    assert done.received_bytes < len(place.whole()) - 2 * MIB + 10
    assert not list(place.layout.crates.glob(".*"))


def test_what_was_begun_of_a_crate_that_is_there_by_now_is_removed(place: Place) -> None:
    (place.layout.crates / ".making-crate-a").mkdir()
    (place.layout.crates / ".making-crate-a/crate-a.zip").write_bytes(b"half")
    place.repair()
    assert not list(place.layout.crates.glob(".*"))


def test_where_there_are_no_second_names_the_copy_in_the_publication_is_mended_from(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.file().unlink()

    def link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    done = place.repair()
    assert place.is_whole()
    assert done.left == []


def test_a_crate_that_nobody_has_is_named(place: Place) -> None:
    for path in (place.file(), place.layout.publication / "crates/crate-a.zip"):
        path.unlink()
    done = place.repair(places=[place.layout.root.parent])
    (one,) = done.left
    assert one.crate == "crate-a"
    assert "not all of it could be had" in one.why
    assert "holds no such crate" in one.why
    assert not list(place.layout.crates.glob(".*"))
    assert [finding.code for finding in one.findings] == ["crate-unreadable"]


def test_a_folder_in_the_place_of_a_crate_is_said_and_others_go_on(place: Place) -> None:
    place.file().unlink()
    place.file().mkdir()
    flip(place.file("crate-b"), 5)
    done = place.repair(places=[place.copies])
    (one,) = done.left
    assert "is no file" in one.why
    assert place.is_whole("crate-b")


# -- torrents


@pytest.mark.parametrize("how", ["missing", "of another", "no torrent", "empty", "publication too", "nowhere"])
def test_a_torrent_is_restored_before_the_crate_is(place: Place, site: Site, how: str) -> None:
    torrent, public = torrent_beside(place.file()), place.layout.publication / "torrents/crate-a.r0.torrent"
    right = torrent.read_bytes()
    torrent.unlink()
    if how in {"publication too", "nowhere"}:
        public.unlink()
    if how == "of another":
        shutil.copy(torrent_beside(place.file("crate-b")), torrent)
    if how in {"no torrent", "empty"}:
        torrent.write_bytes(b"d3:cowi1ee" if how == "no torrent" else b"")
    if how != "nowhere":  # there the crate itself is what the torrent is made of
        flip(place.file(), MIB)
    done = place.repair("crate-a", places=[] if how == "nowhere" else [site.url])
    assert torrent.read_bytes() == right
    assert place.is_whole()
    (one,) = done.crates
    assert one.torrent == {"nowhere": "the crate's own bytes", "publication too": site.url}.get(how, "publication/")


def test_a_torrent_that_is_nowhere_of_a_damaged_crate_is_said(place: Place) -> None:
    torrent_beside(place.file()).unlink()
    (place.layout.publication / "torrents/crate-a.r0.torrent").unlink()
    flip(place.file(), MIB)
    before = state(place.file())
    (one,) = place.repair("crate-a", places=[place.copies]).left
    assert "name a place that has it with --from" in one.why
    assert {finding.code for finding in one.findings} == {"block-damaged", "torrent-missing"}
    assert state(place.file()) == before


def test_a_torrent_from_a_place_that_lies_is_not_taken(place: Place, tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    (liar / "torrents").mkdir(parents=True)
    other = torrent_beside(place.file("crate-b")).read_bytes()
    (liar / "torrents/crate-a.r0.torrent").write_bytes(other)
    (liar / "crate-a.torrent").write_bytes(other)
    torrent_beside(place.file()).unlink()
    (place.layout.publication / "torrents/crate-a.r0.torrent").unlink()
    flip(place.file(), MIB)
    assert len(place.repair("crate-a", places=[liar]).left) == 1
    assert not torrent_beside(place.file()).exists()


# -- dark crates


@pytest.mark.parametrize("at", [5, 1_500_000, -1], ids=["first", "within", "last"])
def test_a_dark_crate_is_mended_from_a_folder_and_asked_for_nowhere_else(place: Place, site: Site, at: int) -> None:
    path = add_dark(place)
    whole = path.read_bytes()
    flip(path, at)
    (one,) = place.repair(path.stem, places=[site.url]).left
    assert "the swarm is not asked" in one.why
    assert site.log == []
    done = place.repair(path.stem, places=[site.url, place.copies])
    assert path.read_bytes() == whole
    assert done.left == []
    assert site.log == []


def test_a_dark_torrent_is_trusted_only_where_the_crates_own_leaves_lead_to_it(place: Place) -> None:
    path = add_dark(place)
    right = torrent_beside(path).read_bytes()
    torrent_beside(path).unlink()
    flip(path, 1_500_000)  # a recording: leaves and tail are as they were
    (one,) = place.repair(path.stem).left
    assert "none was found that can be trusted" in one.why
    place.repair(path.stem, places=[place.copies])
    assert torrent_beside(path).read_bytes() == right
    assert path.read_bytes() == (place.copies / path.name).read_bytes()

    torrent_beside(path).unlink()
    flip(path, -1)
    (one,) = place.repair(path.stem, places=[place.copies]).left
    assert "none was found that can be trusted" in one.why
    assert not torrent_beside(path).exists()


def test_a_whole_dark_crate_without_torrent_gets_it_from_itself(place: Place) -> None:
    path = add_dark(place)
    right = torrent_beside(path).read_bytes()
    torrent_beside(path).unlink()
    (one,) = place.repair(path.stem).crates
    assert (one.torrent, one.why) == ("the crate's own bytes", "")
    assert torrent_beside(path).read_bytes() == right


# -- revisions


@pytest.mark.parametrize("is_damaged", [False, True], ids=["whole", "damaged"])
@pytest.mark.parametrize("torrent", ["right", "missing"])
def test_a_crate_of_a_later_revision_than_the_index_is_not_put_back(
    place: Place, tmp_path: Path, torrent: str, *, is_damaged: bool
) -> None:
    """After a withdrawal, before it is published: the index and every mirror still have what was taken out."""
    path = place.file("crate-b")
    path.unlink()  # a revision is another file
    shutil.copy(place.copies / path.name, path)
    made = Made(path, read_metainfo(torrent_beside(path).read_bytes(), ""), ())
    withdraw_by_hand(made, [next(name for name in CrateFile(path).entries if name.endswith(".flac"))])
    shutil.copytree(place.layout.crates, tmp_path / "backup")
    revised = path.read_bytes()
    if is_damaged:
        flip(path, MIB)
    if torrent == "missing":
        torrent_beside(path).unlink()
    (one,) = place.repair("crate-b", places=[place.publication.root]).crates
    assert one.why
    place.repair("crate-b", places=[place.publication.root, place.copies, tmp_path / "backup"])
    assert path.read_bytes() == revised


@pytest.mark.parametrize("is_damaged", [False, True], ids=["whole", "damaged"])
def test_what_was_withdrawn_from_since_the_index_was_signed_is_not_restored_by_it(
    place: Place, is_damaged: bool
) -> None:
    """The log names the crate: its torrent in the index, and copies elsewhere, may hold what was taken out."""
    place.layout.withdrawals.write_text('{"crates":["crate-a"],"seq":1}\n')
    if is_damaged:
        torrent_beside(place.file()).unlink()
        flip(place.file(), MIB)
    else:
        place.file().unlink()
    (one,) = place.repair("crate-a", places=[place.copies, place.publication.root]).left
    assert "tenuto publish" in one.why or "none was found that can be trusted" in one.why
    assert is_damaged or not place.file().exists()
    assert not torrent_beside(place.file()).exists() or not is_damaged


# -- words


def test_an_unknown_crate_and_a_place_that_is_none_are_usage_errors(place: Place, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no crate here is called nonsense"):
        place.repair("nonsense")
    with pytest.raises(UsageError, match="is no folder"):
        place.repair(places=[tmp_path / "nowhere"])


# -- mirrors


def test_a_mirror_brings_back_only_what_is_asked_for_and_links_it(tmp_path: Path) -> None:
    place = mirror(tmp_path, of=str(tmp_path / "made"))
    for crate in ("crate-a", "crate-b"):
        place.file(crate).unlink()
        torrent_beside(place.file(crate)).unlink()
        (place.layout.publication / f"crates/{crate}.zip").unlink()
    done = place.repair("crate-a")
    assert place.is_whole()
    assert not place.file("crate-b").exists()
    assert place.file().samefile(place.layout.publication / "crates/crate-a.zip")
    assert done.left == []


def test_a_mirror_is_mended_from_whom_it_follows_and_gets_its_links_back(tmp_path: Path) -> None:
    place = mirror(tmp_path, of=str(tmp_path / "made"))
    flip(place.file(), MIB)
    (place.layout.publication / "crates/crate-b.zip").unlink()
    shutil.copy(place.file("crate-c"), tmp_path / "other")
    (tmp_path / "other").replace(place.layout.publication / "crates/crate-c.zip")
    done = place.repair("crate-a", "crate-b", "crate-c")
    assert place.is_whole()
    assert all(
        place.file(crate).samefile(place.layout.publication / f"crates/{crate}.zip")
        for crate in ("crate-a", "crate-b", "crate-c")
    )
    assert [one.is_linked for one in done.crates] == [False, True, True]
    assert done.left == []


def test_a_copy_in_the_own_publication_mends_the_crate(place: Place) -> None:
    public = place.layout.publication / "crates/crate-a.zip"
    shutil.copy(public, public.with_suffix(".copy"))
    public.with_suffix(".copy").replace(public)
    flip(place.file(), 3)
    done = place.repair("crate-a")
    assert place.is_whole()
    assert [finding.message for finding in done.findings] == ["it is another file than the crate; run: tenuto publish"]


def test_a_server_without_ranges_is_read_once(place: Place) -> None:
    flip(place.file(), 5, 2 * MIB + 5)
    with serving_plainly(place.publication.root) as url:
        done = place.repair("crate-a", places=[url])
    assert place.is_whole()
    assert done.received_bytes <= len(place.whole()) + MIB

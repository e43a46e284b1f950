"""What places may do to us while a crate is mended: other bytes, too few, lies, silence. Nothing unproven is ever written."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import tenuto.swarm.copies
import tenuto.swarm.repair
from publication_maker import (
    answer,
    html_page,
    other_bytes,
    part_without_range,
    serving,
    short_and_content,
    truncated,
    whole_as_part,
)
from repair_maker import Command, Place, add_dark, flip, mirror, own_archive, put, state
from tenuto.archive.settings import SwarmSettings, load_settings
from tenuto.crates.mend import Mender, damaged_in
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.crates.seal import torrent_beside
from tenuto.crates.torrent import read_metainfo
from tenuto.model.progress import Silent
from tenuto.sources.http import Http, user_agent

pytestmark = pytest.mark.usefixtures("no_pauses")

MIB = 2**20


@pytest.fixture
def command(place: Place, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(capfd, place)  # type: ignore[arg-type]


def folder_with(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / "crate-a.zip").write_bytes(content)
    return folder


# -- bad sources


def test_a_source_with_other_bytes_is_named_and_the_next_is_asked(place: Place, tmp_path: Path) -> None:
    bad = folder_with(tmp_path / "bad", b"X" * len(place.whole()))
    flip(place.file(), MIB)
    before = state(place.file())
    (one,) = place.repair("crate-a", places=[bad]).left
    assert f"{bad} has other bytes for 1 piece" in one.why
    assert state(place.file()) == before, "not even its time"
    done = place.repair("crate-a", places=[bad, place.copies])
    assert place.is_whole()
    assert done.left == []
    # the block alone, then the piece, then the block from the other one
    assert done.crates[0].received == {str(bad): BLOCK_BYTES + MIB, str(place.copies): BLOCK_BYTES}


def test_a_source_of_another_length_gives_what_fits(place: Place, tmp_path: Path) -> None:
    short = folder_with(tmp_path / "short", place.whole()[: MIB + 20_000])
    flip(place.file(), 5, MIB + 5, 2 * MIB + 5)
    done = place.repair("crate-a", places=[short])
    (one,) = done.left
    assert "1 piece of it still damaged" in one.why
    assert "is cut off" in one.why
    assert done.crates[0].patched.pieces == 2
    assert len(place.repair("crate-a", places=[short, place.copies]).left) == 0
    assert place.is_whole()


LIES = {
    "other bytes": other_bytes,
    "the whole as a part": whole_as_part,
    "a part without its range": part_without_range,
    "cut short": truncated,
    "short and content": short_and_content,
    "a page": html_page,
    "an error": answer(500, b"no"),
    "forbidden": answer(403, b"no"),
    "not there": answer(404, b"no"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_writes_nothing_and_the_next_mends(place: Place, lie: str) -> None:
    flip(place.file(), 5, 2 * MIB)
    before = state(place.file())
    with serving(place.publication.root) as site:
        site.lie("crate-a.zip", LIES[lie])
        (one,) = place.repair("crate-a", places=[site.url]).left
        assert site.url in one.why
        # What its headers lie about are the right bytes all the same: these prove.
        assert state(place.file()) == before or lie in {"the whole as a part", "a part without its range"}
        done = place.repair("crate-a", places=[site.url, place.copies])
    assert done.left == []
    assert place.is_whole()


def test_a_server_that_is_gone_is_waited_for_once(place: Place) -> None:
    with serving(place.publication.root) as site:
        url = site.url
    for crate in ("crate-a", "crate-b"):
        flip(place.file(crate), 5)
    done = place.repair(places=[url, place.copies])
    assert done.left == []
    assert place.is_whole()
    assert place.is_whole("crate-b")


def test_two_copies_with_different_damage_mend_one_another(place: Place, tmp_path: Path) -> None:
    other = folder_with(tmp_path / "other", place.whole())
    flip(place.file(), 5, MIB + 9 * BLOCK_BYTES, -1)
    flip(other / "crate-a.zip", 2 * BLOCK_BYTES, MIB, 2 * MIB + 7)
    damaged = other / "crate-a.zip"
    done = place.repair("crate-a", places=[other])
    assert done.left == [], "the blocks that we lack are good over there"
    assert place.is_whole()
    here = state(place.file())
    shutil.copy(torrent_beside(place.file()), other)
    there = own_archive(tmp_path / "there")
    there.layout.settings.write_text(place.layout.settings.read_text())
    shutil.rmtree(there.layout.publication)
    shutil.copytree(place.layout.publication, there.layout.publication)
    put(there.file(), damaged.read_bytes())
    shutil.copy(torrent_beside(place.file()), torrent_beside(there.file()))
    assert there.repair("crate-a", places=[place.layout.root]).left == []
    assert there.file().read_bytes() == here[0]


def test_the_same_piece_damaged_in_different_blocks_is_mended_by_blocks(place: Place, tmp_path: Path) -> None:
    other = folder_with(tmp_path / "other", place.whole())
    flip(place.file(), MIB + 3 * BLOCK_BYTES)
    flip(other / "crate-a.zip", MIB + 4 * BLOCK_BYTES)
    done = place.repair("crate-a", places=[other])
    assert done.left == []
    assert done.received_bytes == BLOCK_BYTES


@pytest.mark.parametrize("shape", ["archive", "mirror", "publication", "plain", "dark"])
def test_a_folder_may_be_of_any_shape(place: Place, tmp_path: Path, shape: str) -> None:
    root = tmp_path / "shape"
    inside = {
        "archive": "crates",
        "mirror": "publication/crates",
        "publication": "crates",
        "plain": ".",
        "dark": "dark",
    }[shape]
    (root / inside).mkdir(parents=True)
    path = add_dark(place) if shape == "dark" else place.file()
    shutil.copy(place.copies / path.name, root / inside)
    flip(path, 5)
    assert place.repair(path.stem, places=[root]).left == []
    assert path.read_bytes() == (place.copies / path.name).read_bytes()


def test_the_own_crate_is_no_source_of_itself(place: Place) -> None:
    flip(place.file(), 5)
    done = place.repair("crate-a", places=[place.layout.root, place.layout.crates, place.layout.publication])
    assert len(done.left) == 1
    assert done.received_bytes == 0


# -- the own disk


def test_a_file_that_may_not_be_written_is_said_and_others_are_mended(place: Place) -> None:
    for crate in ("crate-a", "crate-b"):
        flip(place.file(crate), 5)
    done = subprocess.run(["chattr", "+i", str(place.file())], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        (one,) = place.repair(places=[place.copies]).left
    finally:
        subprocess.run(["chattr", "-i", str(place.file())], check=True)
    assert "the system says" in one.why
    assert place.is_whole("crate-b")


def test_a_disk_that_is_full_is_said_and_the_crate_is_mended_once_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = 16 * MIB
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        place = own_archive(tmp_path)
        shutil.copytree(place.layout.root, disk / "archive")
        small = Place(type(place.layout)(disk / "archive"), place.publication, place.copies)
        (small.layout.publication / "crates/crate-a.zip").unlink()
        put(small.file(), small.whole()[: MIB + 5])
        ballast = disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 300_000)
        (one,) = small.repair("crate-a", places=[small.copies]).left
        assert "No space left on device" in one.why
        ballast.unlink()
        assert small.repair("crate-a", places=[small.copies]).left == []
        assert small.is_whole()
        small.file().unlink()
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 300_000)
        (one,) = small.repair("crate-a", places=[small.copies]).left
        assert "make room" in one.why
        assert not small.file().exists()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# -- the swarm


@pytest.fixture
def peer(place: Place) -> Any:
    """Somebody who gives out all crates, on this machine."""
    from tenuto.swarm.session import Session  # noqa: PLC0415

    with Session(SwarmSettings(listen="127.0.0.1:0", reach="peers")) as session:
        for crate in ("crate-a", "crate-b", "crate-c"):
            torrent = read_metainfo((place.publication.root / f"torrents/{crate}.r0.torrent").read_bytes(), crate)
            session.seed(torrent, place.copies)
        yield f"127.0.0.1:{session.port}"


def test_the_swarm_gives_what_no_place_has_and_only_the_damaged_pieces(place: Place, peer: str) -> None:
    inode = place.file().stat().st_ino
    flip(place.file(), MIB + 5)
    done = place.repair("crate-a", peers=[peer], patience_s=30)
    assert done.left == []
    assert place.is_whole()
    assert place.file().stat().st_ino == inode
    assert set(done.crates[0].received) == {"swarm"}
    assert done.received_bytes <= MIB + 4 * BLOCK_BYTES
    assert (done.crates[0].patched.pieces, done.crates[0].restored) == (1, False)


@pytest.mark.parametrize("damage", ["missing", "cut", "grown"])
def test_the_swarm_mends_every_length(place: Place, peer: str, damage: str) -> None:
    if damage == "missing":
        place.file().unlink()
        (place.layout.publication / "crates/crate-a.zip").unlink()
    else:
        put(place.file(), place.whole()[: MIB + 9] if damage == "cut" else b"X" + place.whole()[1:] + b"more")
    done = place.repair("crate-a", peers=[peer], patience_s=30)
    assert done.left == []
    assert place.is_whole()


def test_a_swarm_in_which_nobody_is_is_given_up(place: Place) -> None:
    flip(place.file(), 5)
    (one,) = place.repair("crate-a", peers=["127.0.0.1:9"], patience_s=1.5).left
    assert "swarm: nobody gave it for 2 s" in one.why or "swarm: nobody gave it for 1 s" in one.why


def test_dark_crates_are_never_asked_of_the_swarm(place: Place, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("the swarm was asked")

    monkeypatch.setattr(tenuto.swarm.repair, "fetch_from_peers", never)
    path = add_dark(place)
    flip(path, 5)
    assert len(place.repair(path.stem, peers=[peer]).left) == 1


# -- the command


def test_the_command_mends_and_says_how_much_came_over_the_wire(place: Place, command: Command) -> None:
    flip(place.file(), 5)
    out, said = command("--from", place.copies)
    assert (
        f"crate-a: 1 piece mended (1 block, 16.4 kB); received 16.4 kB from {place.copies} (the crate has 3.33 MB)"
        in out
    )
    assert out.splitlines()[-1].endswith("checked; all is whole again")
    assert "check crate-a" in said
    out, _ = command()
    assert out.splitlines()[-1].endswith("nothing is damaged, nothing was done")


def test_the_command_names_what_it_cannot_mend(place: Place, command: Command) -> None:
    flip(place.file(), 5)
    out, _ = command(code=7)
    assert "not mended: crate-a: 1 piece of it still damaged: no peers are known" in out
    assert "Traceback" not in out


def test_the_command_gives_json(place: Place, command: Command) -> None:
    flip(place.file(), 5)
    flip(place.file("crate-b"), 7)
    (place.copies / "crate-b.zip").unlink()
    found = command.json("--from", place.copies, code=7)
    assert set(found) == {"is_whole", "mended", "left", "files", "received_bytes", "findings"}
    assert found["is_whole"] is False
    assert found["mended"] == [
        {"crate": "crate-a", "revision": 0, "pieces": 1, "blocks": 1, "bytes": BLOCK_BYTES, "restored": False, "torrent": "",
         "received": {str(place.copies): BLOCK_BYTES}, "cut_bytes": 0}
    ]  # fmt: skip
    assert set(found["left"]) == {"crate-b"}
    assert {one["code"] for one in found["left"]["crate-b"]["findings"]} >= {"block-damaged"}
    assert found["received_bytes"] == BLOCK_BYTES
    found = command.json("crate-a")
    assert (found["is_whole"], found["mended"], found["left"], found["findings"]) == (True, [], {}, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "/nowhere/at/all"], "is no folder"),
        (["--from", "http://u:p@h.invalid"], "login"),
        (["--peer", "nonsense"], "a peer is HOST:PORT"),
        (["crate-z"], "no crate here is called crate-z"),
    ],
    ids=["folder", "login", "peer", "crate"],
)
def test_words_that_do_not_fit_are_a_sentence(place: Place, command: Command, words: list[str], message: str) -> None:
    _, said = command(*words, code=2)
    assert message in said
    assert "u:p" not in said


def test_check_says_to_repair_and_then_finds_nothing(place: Place, command: Command) -> None:
    from tenuto.cli import _run  # noqa: PLC0415

    root = str(place.layout.root)
    flip(place.file(), 5)
    assert _run(["check", "crate-a", "--archive", root]) == 7
    out, _ = command.capture.readouterr()
    assert out.splitlines()[-1] == "Next: tenuto repair"
    assert "run: tenuto repair crate-a" in out
    command("crate-a", "--from", place.copies)
    assert _run(["check", "crate-a", "--archive", root]) == 0


def test_settings_of_the_swarm_hold(place: Place) -> None:
    assert load_settings(place.layout.settings).swarm.reach == "peers"


def test_a_mirror_fetches_small_files_again(tmp_path: Path) -> None:
    pytest.importorskip("tenuto.swarm.webroot")
    place = mirror(tmp_path, of=str(tmp_path / "made"))
    names = ("feed.atom", "layers/crate-a.r0.layers", "torrents/crate-b.r0.torrent")
    wanted = {name: (place.layout.publication / name).read_bytes() for name in names}
    (place.layout.publication / names[0]).write_bytes(b"other")
    (place.layout.publication / names[1]).unlink()
    flip(place.layout.publication / names[2], 9)
    done = place.repair()
    assert sorted(done.files) == sorted(names)
    assert wanted == {name: (place.layout.publication / name).read_bytes() for name in names}
    assert done.left == []
    assert done.findings == []


def test_a_mirror_without_anybody_says_which_small_file_differs_and_a_whole_one_says_nothing(tmp_path: Path) -> None:
    place = mirror(tmp_path)
    assert place.repair().findings == []
    (place.layout.publication / "feed.atom").write_bytes(b"other")
    (one,) = place.repair().findings
    assert (one.code, one.subject) == ("publication-differs", "publication/feed.atom")
    assert "--from" in one.message
    archive = tmp_path / "another"
    archive.mkdir()
    shutil.copytree(tmp_path / "made", archive / "publication")
    assert place.repair(places=[place.copies, archive]).findings == []


def test_small_files_of_an_own_archive_are_for_publish_to_mend(place: Place, command: Command) -> None:
    (place.layout.publication / "feed.atom").unlink()
    out, _ = command(code=7)
    assert "publication-differs: publication/feed.atom: it is not what the index promises; run: tenuto publish" in out
    assert "the crates are whole" in out.splitlines()[-1]


def test_a_damaged_index_is_said_and_crates_are_mended_by_their_torrents(place: Place) -> None:
    (place.layout.publication / "index.json.sig").write_bytes(bytes(64))
    flip(place.file(), 5)
    done = place.repair(places=[place.copies])
    assert place.is_whole()
    assert [one.code for one in done.findings] == ["index-damaged"]


# -- a server that does not answer


def test_a_server_that_does_not_answer_is_asked_once_a_while_and_then_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenuto.swarm.copies, "DOWN_S", 0.5)
    http = Http(user_agent("testing", "tests@archive.invalid"), 5.0)
    with serving(place.publication.root) as site:
        (donor,) = tenuto.swarm.copies.open_donors([site.url], http)
        site.lie(".zip", answer(503, b"no"), 1)
        assert not any(donor.is_frugal(f"{crate}.zip") for crate in ("crate-a", "crate-b", "crate-c"))
        assert len(site.log) == 1
        assert list(donor.torrents("crate-a.zip", ["torrents/crate-a.r0.torrent"])) == []
        assert len(site.log) == 1
        assert donor.is_down
        time.sleep(0.6)
        assert not donor.is_down
        assert donor.is_frugal("crate-a.zip")
        assert len(list(donor.torrents("crate-a.zip", ["torrents/crate-a.r0.torrent"]))) == 1
    http.close()


def test_a_refused_connection_does_not_end_a_place_for_good(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenuto.swarm.copies, "DOWN_S", 0.5)
    http = Http(user_agent("testing", "tests@archive.invalid"), 5.0)
    flip(place.file(), 5)
    metainfo = read_metainfo(torrent_beside(place.file()).read_bytes(), "crate-a")

    def give() -> bool:
        with Mender(place.file(), metainfo, damaged_in(place.file(), metainfo, Silent())) as mender:
            said = donor.give(mender, "crate-a.zip", (0, 0), Silent())
            return not mender.left and not said.faults

    with serving(place.publication.root) as site:
        (donor,) = tenuto.swarm.copies.open_donors([site.url], http)
        site.lie(".zip", answer(503, b""), 3)
        assert not give()
        assert donor.is_down
        time.sleep(0.6)
        assert give()
    assert place.is_whole()
    http.close()

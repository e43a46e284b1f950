"""What a mirror holds in the course of time: revisions, withdrawals, less space, lost files; nothing whole is fetched again."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from mirror_maker import CRATES, MIB, Holder, World, seeding, tail_bytes, without_crates, words_of
from publication_maker import serving
from tenuto.archive import load_settings
from tenuto.cli import _run
from tenuto.model.errors import ArchiveInUseError

pytestmark = pytest.mark.usefixtures("alone")

ALL = tuple(CRATES)


# -- revisions


def test_a_revision_is_moved_to_with_the_tail_alone_on_the_wire(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world) as peer:
            holder(peers=[peer.address])
        gone = [world.song("heard-a", number) for number in (0, 2)]
        before = world.whole("heard-a")
        world.withdraw("heard-a", 0, 2)
        without_crates(world)
        with seeding(world) as peer:
            done = holder(peers=[peer.address])
            due = tail_bytes(before, world.whole("heard-a"))
            assert done.moved == ["heard-a"]
            assert 0 < done.swarm_bytes <= due
            assert peer.sent_bytes <= due
    holder.assert_holds(world, *ALL)
    for song in gone:
        for at in (0, len(song) // 2, len(song) - 64):
            assert holder.files_with(song[at : at + 64]) == []


def test_from_a_folder_the_tail_alone_is_read(world: World, holder: Holder) -> None:
    holder()
    before = world.whole("heard-a")
    world.withdraw("heard-a", 2)
    done = holder()
    small = sum(path.stat().st_size for path in world.folder.rglob("*") if path.is_file() and path.suffix != ".zip")
    assert done.place_bytes <= tail_bytes(before, world.whole("heard-a")) + small
    holder.assert_holds(world, *ALL)


def test_three_revisions_are_one_move(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world) as peer:
            holder(peers=[peer.address])
        before = world.whole("heard-a")
        for numbers in ((0,), (2,), (3, 4)):
            world.withdraw("heard-a", *numbers)
        without_crates(world)
        with seeding(world) as peer:
            done = holder(peers=[peer.address])
        assert done.swarm_bytes <= tail_bytes(before, world.whole("heard-a"))
    assert world.crate("heard-a").revision == 3
    holder.assert_holds(world, *ALL)


def test_a_revision_that_comes_while_a_download_is_half_done_leaves_nothing_withdrawn(
    world: World, tmp_path: Path
) -> None:
    without_crates(world)
    first = world.song("heard-a", 2)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        # A part came, then the disk was pulled: every other piece, the end of the file among them.
        with seeding(world, *(crate for crate in ALL if crate != "heard-a")) as peer:
            holder(peers=[peer.address], patience_s=1.0)
        assert "heard-a" not in holder.crates()
        content = bytearray(world.whole("heard-a"))
        for at in range(0, len(content), 2 * MIB):
            content[at : at + MIB] = bytes(len(content[at : at + MIB]))
        (holder.layout.incoming / "heard-a.zip").write_bytes(content)
        assert any(holder.files_with(first[at : at + 64]) for at in range(0, len(first) - 64, 256 * 1024))
        world.withdraw("heard-a", 2)
        without_crates(world)
        done = holder(patience_s=1.0)  # nobody gives anything: what was withdrawn goes all the same
        assert "heard-a" in done.left
        for at in range(0, len(first) - 64, 4096):
            assert holder.files_with(first[at : at + 64]) == []
            if at > 40 * 4096:
                break
        assert not any(
            first[at : at + 64] in (holder.layout.incoming / "heard-a.zip").read_bytes()
            for at in range(0, len(first) - 64, 65536)
        )
        with seeding(world) as peer:
            done = holder(peers=[peer.address])
            assert done.swarm_bytes < len(content)
    holder.assert_holds(world, *ALL)


def test_a_base_that_does_not_fit_any_more_keeps_nothing_withdrawn(world: World, holder: Holder) -> None:
    """It left the index, and came back as a revision that is not wanted now: its zeros are written all the same."""
    holder()
    song = world.song("heard-b", 1)
    entry = world.crate("heard-b")
    world.drop("heard-b")
    holder()
    world.put(entry)
    world.withdraw("heard-b", 1)
    holder(space=5 * 10**6)
    assert holder.files_with(song[1000:1064]) == []
    assert holder.files_with(song[-64:]) == []


def test_a_crate_that_leaves_the_index_and_comes_back_is_not_fetched_again(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world) as peer:
            holder(peers=[peer.address])
        entry = world.crate("heard-b")
        world.take_out("heard-b")
        done = holder()
        assert done.left == {}
        holder.assert_holds(world, *(set(ALL) - {"heard-b"}))
        world.put(entry)
        done = holder()
        assert (done.fetched, done.swarm_bytes) == (["heard-b"], 0)
    holder.assert_holds(world, *ALL)


def test_metadata_of_an_older_edition_goes_when_its_room_is_needed(world: World, holder: Holder) -> None:
    space = sum(crate.bytes for crate in world.index.crates) + world.crate("meta-0001").bytes + 20_000
    holder(space=space)
    world.add("meta-0002", (30_000,), kind="metadata", band="")
    world.take_out("meta-0001")
    done = holder(space=space)
    assert done.dropped == []
    assert (holder.layout.incoming / "meta-0001.zip").exists()
    world.add("rare-e", (20_000,), band="unheard")
    done = holder(space=space)
    assert done.dropped == ["meta-0001"]
    assert done.fetched == ["rare-e"]
    assert not (holder.layout.incoming / "meta-0001.zip").exists()


# -- what was lost here


def lose(holder: Holder, what: str) -> None:
    if what == "state":
        shutil.rmtree(holder.layout.root / "state")
    elif what == "torrents":
        for path in holder.layout.crates.glob("*.torrent"):
            path.unlink()
    elif what == "links":
        shutil.rmtree(holder.layout.publication / "crates")
    elif what == "publication":
        shutil.rmtree(holder.layout.publication)
    elif what == "known.json":
        holder.layout.known.unlink()
    elif what == "one torrent is junk":
        (holder.layout.crates / "heard-a.torrent").write_bytes(b"junk")


@pytest.mark.parametrize("what", ["state", "torrents", "links", "publication", "known.json", "one torrent is junk"])
def test_what_is_lost_beside_the_crates_costs_no_crate(world: World, tmp_path: Path, what: str) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world) as peer:
            holder(peers=[peer.address])
        lose(holder, what)
        done = holder()
        assert done.left == {}
        assert done.swarm_bytes == 0
    holder.assert_holds(world, *ALL)


def test_a_held_crate_that_was_deleted_comes_again_alone(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site, seeding(world) as peer:
        holder = Holder(tmp_path / "mirror", site.url)
        holder(peers=[peer.address])
        for folder in (holder.layout.crates, holder.layout.publication / "crates"):
            (folder / "heard-b.zip").unlink()
        done = holder(peers=[peer.address])
        assert done.fetched == ["heard-b"]
        assert done.swarm_bytes == world.crate("heard-b").bytes
    holder.assert_holds(world, *ALL)


def test_a_run_with_nothing_new_writes_and_fetches_nothing(world: World, holder: Holder) -> None:
    holder()

    def state() -> dict[str, tuple[int, int]]:
        every = [path for path in holder.root.rglob("*") if path.is_file() and ".lock" not in path.name]
        return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in every}

    before = state()
    done = holder()
    assert (done.is_new, done.fetched, done.left, done.dropped) == (False, [], {}, [])
    assert state() == before


# -- the place is away


@pytest.mark.parametrize("kind", ["folder", "web"])
def test_with_the_place_away_it_goes_on_with_what_is_here_and_peers_serve(
    world: World, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url if kind == "web" else str(world.folder))
        with seeding(world, "heard-a", "meta-0001") as peer:
            holder(peers=[peer.address], patience_s=1.0)
    holder.assert_holds(world, "heard-a", "meta-0001")
    away = world.folder.rename(tmp_path / "away")
    with seeding(world) as peer:
        words = ["--into", str(holder.root), "--listen", "127.0.0.1:0", "--reach", "peers", "--peer", peer.address]
        assert _run(["mirror", *words]) == 5, "it is known that nothing newer is followed, though all came"
        assert _run(["mirror", "--json", *words]) == 5
    out, err = capfd.readouterr()
    assert "the place could not be read" in out.splitlines()[-3]
    assert str(json.loads(out.splitlines()[-1])["place_fault"]) in err
    away.rename(world.folder)
    holder.assert_holds(world, *ALL)


def test_a_new_mirror_of_a_place_that_is_away_is_not_begun(world: World, tmp_path: Path) -> None:
    with serving(world.folder) as site:
        url = site.url
    holder = Holder(tmp_path / "mirror", url)
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        holder()
    assert not holder.root.exists()


# -- folders


@pytest.mark.parametrize("what", ["not empty", "an archive", "a file", "a broken link"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(
    world: World, holder: Holder, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if what == "not empty":
        holder.root.mkdir()
        (holder.root / "letters.txt").write_text("dear")
    elif what == "an archive":
        from support import make_archive  # noqa: PLC0415

        make_archive(holder.root)
        holder.root = holder.root / "archive"
    elif what == "a file":
        holder.root.write_text("file")
    else:
        holder.root.symlink_to("nowhere")
    before = {str(path) for path in holder.root.parent.rglob("*")}
    code = _run(words_of(holder, "--space", "1GB"))
    said = capfd.readouterr().err
    if what == "a broken link":
        assert code != 0
        assert "a bug" not in said
        return
    assert code == 2, said
    assert "--into" in said
    assert {str(path) for path in holder.root.parent.rglob("*")} == before


@pytest.mark.parametrize("left", ["lost+found", ".making-tenuto.toml", ".tenuto-seed.lock"])
def test_a_new_disk_and_what_a_kill_at_the_beginning_left_are_an_empty_folder(
    world: World, holder: Holder, left: str
) -> None:
    holder.root.mkdir()
    (holder.root / left).mkdir() if left == "lost+found" else (holder.root / left).touch()
    holder()
    holder.assert_holds(world, *ALL)


def test_two_mirrors_in_one_folder_are_one_too_many(world: World, holder: Holder) -> None:
    from tenuto.archive import ArchiveLock  # noqa: PLC0415

    holder()
    with ArchiveLock(holder.layout.seeding_lock, "mirror"), pytest.raises(ArchiveInUseError):
        holder()
    with ArchiveLock(holder.layout.lock, "check"):
        assert _run(words_of(holder)) == 8


@pytest.mark.parametrize("text", ["", "junk = [", "format = 1", "format = 2\n", "format = 1\n[mirror]\nof = 3\n", "\x00"],
                         ids=["empty", "no toml", "bare", "later", "wrong", "zero"])  # fmt: skip
def test_settings_that_cannot_be_read_are_said(
    world: World, holder: Holder, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    holder()
    holder.layout.settings.write_text(text)
    assert _run(words_of(holder)) == 3
    assert "tenuto.toml" in capfd.readouterr().err
    assert holder.layout.settings.read_text() == text
    assert holder.crates() == set(ALL)


# -- what is asked

BAD = {
    "no index": (["mirror", "--space", "1GB"], "INDEX"),
    "no space": (["mirror", "{of}"], "--space"),
    "no bytes": (["mirror", "{of}", "--space", "0"], "--space"),
    "no size": (["mirror", "{of}", "--space", "much"], "--space"),
    "less than none": (["mirror", "{of}", "--space=-5GB"], "--space"),
    "no such band": (["mirror", "{of}", "--space", "1GB", "--bands", "hard"], "there are heard, unheard"),
    "a band that is no name": (["mirror", "{of}", "--space", "1GB", "--bands", "Heard Ones"], "bands"),
    "no such licence": (["mirror", "{of}", "--space", "1GB", "--licence", "GPL*"], "there are CC-BY-4.0, CC-BY-NC-4.0, CC0-1.0"),
    "a licence with a line feed": (["mirror", "{of}", "--space", "1GB", "--licence", "C\nC*"], "licence"),
    "a folder with a line feed": (["mirror", "{of}/a\nb", "--space", "1GB"], "a\\nb"),
    "no key": (["mirror", "{of}", "--space", "1GB", "--key", "abc"], "--key"),
    "no duration": (["mirror", "{of}", "--space", "1GB", "--every", "soon"], "--every"),
    "no peer": (["mirror", "{of}", "--space", "1GB", "--peer", "nobody"], "HOST:PORT"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_refused_and_nothing_is_begun(
    world: World, holder: Holder, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words, expected = BAD[case]
    words = [word.replace("{of}", holder.of) for word in words]
    assert _run([*words, "--into", str(holder.root)]) == 2
    said = capfd.readouterr().err
    assert expected in said or case == "a folder with a line feed"
    assert "a bug" not in said
    assert not holder.root.exists()


@pytest.mark.parametrize("words", [("--bands", "hard"), ("--licence", "GPL*"), ("--bands", "Heard Ones"), ("--licence", "C\nC")],
                         ids=["band", "licence", "no name", "no line"])  # fmt: skip
def test_a_wish_that_is_refused_later_changes_nothing(world: World, holder: Holder, words: tuple[str, ...]) -> None:
    holder(bands=("heard",))
    before = holder.layout.settings.read_bytes()
    assert _run(words_of(holder, *words)) == 2
    assert holder.layout.settings.read_bytes() == before
    holder.assert_holds(world, "meta-0001", "heard-a", "heard-b")
    assert _run(words_of(holder)) == 0


def test_the_last_crate_of_a_band_that_is_wanted_is_withdrawn_and_the_mirror_follows(
    world: World, holder: Holder
) -> None:
    holder(bands=("heard",), licences=("CC0*",))
    world.drop("heard-a")
    done = holder(space=None)
    assert done.left == {}
    holder.assert_holds(world, "meta-0001")
    settings = load_settings(holder.layout.settings)
    assert settings.mirror is not None
    assert settings.mirror.bands == ("heard",)


def test_space_too_small_for_anything_holds_nothing_and_says_so(
    world: World, holder: Holder, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run(words_of(holder, "--space", "10kB")) == 0
    assert "5 crates, 8.09 MB, did not fit" in capfd.readouterr().out
    holder.assert_holds(world)
    assert _run(words_of(holder, "--space", "1GB")) == 0
    holder.assert_holds(world, *ALL)


def test_less_space_than_what_is_held_deletes_nothing_that_the_index_names(
    world: World, holder: Holder, capfd: pytest.CaptureFixture[str]
) -> None:
    holder()
    world.add("heard-e", (50_000,))
    assert _run(words_of(holder, "--space", "2MB")) == 0
    holder.assert_holds(world, *ALL)
    shown = capfd.readouterr().out
    assert "1 crate, " in shown.split("index number")[1], "what did not fit is what is not here"
    assert re.search(r"^5 crates, 6\.\d+ MB over the space; nothing is deleted$", shown, re.MULTILINE), shown
    assert _run(words_of(holder, "--json")) == 0
    held = sum(world.crate(crate).bytes for crate in ALL)
    assert json.loads(capfd.readouterr().out)["over_space_bytes"] == held - 2_000_000


def test_more_space_than_the_disk_has_is_no_fault_while_it_fits(world: World, holder: Holder) -> None:
    holder(space=10**18)
    holder.assert_holds(world, *ALL)


def test_the_verbs_of_an_own_archive_are_refused_in_a_mirror(
    world: World, holder: Holder, capfd: pytest.CaptureFixture[str]
) -> None:
    holder()
    for words in (
        ["publish"],
        ["keep"],
        ["harvest"],
        ["plan"],
        ["catalogue", "build"],
        ["withdraw", "a:b", "--reason", "law"],
    ):
        code = _run([*words, "--archive", str(holder.root)])
        said = capfd.readouterr().err
        assert code == 2, (words, code, said)
        assert "mirror" in said, (words, said)
    assert _run(["repair", "--archive", str(holder.root)]) == 0, capfd.readouterr().err
    assert os.path.isdir(holder.root)  # noqa: PTH112
    assert holder.crates() == set(ALL)

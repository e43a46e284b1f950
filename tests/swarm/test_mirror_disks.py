"""Archives and mirrors on disks that know no hard links, no links at all, no modes, no locks; and over two disks."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tenuto.archive.durable
from mirror_maker import CRATES, MIB, Holder, World
from published_maker import Shelf
from repair_maker import Place
from tenuto.archive import ArchiveLock, load_settings
from tenuto.archive.durable import may_be_named, move_durably, name_again, sync_folder
from tenuto.cli import _run
from tenuto.model.errors import ArchiveInUseError
from tenuto.model.progress import Silent
from tenuto.model.units import format_bytes
from tenuto.publication.check import check
from tenuto.publication.places import FolderPlace
from tenuto.swarm.own_index import shown
from tenuto.swarm.seeding import Seeder
from tenuto.swarm.session import Session
from tenuto.swarm.status import mirror_status

pytestmark = pytest.mark.usefixtures("alone")
ALL = tuple(CRATES)
LACKS = "knows neither hard nor symbolic links"


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    monkeypatch.setattr(os, "symlink", refusing(errno.ENOSYS))


@pytest.fixture
def two_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder named `crates` is on a disk of its own."""
    rename, link = Path.replace, os.link

    def replace(path: Path, target: Path) -> Path:
        if (path.parent.name == "crates") != (Path(target).parent.name == "crates"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
        return rename(path, target)

    def refuse(source: Any, target: Any, **more: Any) -> None:
        if "publication" in str(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        link(source, target, **more)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(os, "link", refuse)


# -- a mirror


def public(holder: Holder) -> list[Path]:
    return sorted((holder.layout.publication / "crates").iterdir())


@pytest.mark.usefixtures("no_hard_links")
def test_a_mirror_without_hard_links_has_symbolic_ones_that_can_be_moved_with_it(world: World, holder: Holder) -> None:
    holder()
    holder.assert_holds(world, *ALL)
    assert all(path.is_symlink() and not path.readlink().is_absolute() for path in public(holder))
    assert LACKS not in holder.said.text
    moved = holder.root.rename(holder.root.with_name("elsewhere"))
    assert all(path.is_file() for path in (moved / "publication/crates").iterdir())


@pytest.mark.usefixtures("no_links")
def test_a_mirror_without_links_holds_all_stores_nothing_twice_and_says_what_is_missing(
    world: World, holder: Holder
) -> None:
    done = holder()
    assert (done.left, holder.crates()) == ({}, set(ALL))
    assert public(holder) == []
    (line,) = [line for line in holder.said.lines if LACKS in line]
    assert "lacks 5 crates" in line
    assert "the swarm can" in line
    assert len(holder.files_with(world.song("heard-b", 1))) == 1
    world.withdraw("heard-a", 1)
    done = holder()
    assert (done.moved, done.left) == (["heard-a"], {})
    assert (holder.layout.crates / "heard-a.zip").read_bytes() == world.whole("heard-a")
    world.drop("heard-b")
    holder()
    assert holder.crates() == set(ALL) - {"heard-b"}


@pytest.mark.usefixtures("no_links")
def test_a_mirror_without_links_gives_out_all_that_it_holds(world: World, holder: Holder) -> None:
    holder()
    settings = load_settings(holder.layout.settings)
    with Session(settings.swarm.model_copy(update={"listen": "127.0.0.1:0", "reach": "peers"})) as session:
        seeder = Seeder(holder.layout, settings, session, print)
        seeder.refresh()
        assert set(seeder.given_out) == set(ALL)


@pytest.mark.parametrize("kind", ["no_hard_links", "no_links"])
def test_a_disk_in_the_post_is_mirrored_whatever_links_it_knows(
    world: World, holder: Holder, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "no_links":
        monkeypatch.setattr(os, "symlink", refusing(errno.EPERM))
    request.getfixturevalue("no_hard_links")
    holder()
    other = Holder(holder.root.with_name("other"), str(holder.layout.publication))
    assert other().left == {}
    assert other.crates() == set(ALL)


@pytest.mark.usefixtures("no_links")
def test_what_stood_under_the_name_is_not_served_on(world: World, holder: Holder) -> None:
    holder()
    stale = holder.layout.publication / "crates/heard-a.zip"
    stale.write_bytes(b"a revision from which something was withdrawn since")
    holder()
    assert public(holder) == []


def test_a_mirror_of_before_gets_its_names_once_its_disk_knows_links(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refusing(errno.EPERM))
        patched.setattr(os, "symlink", refusing(errno.EPERM))
        holder()
    holder()
    holder.assert_holds(world, *ALL)


@pytest.mark.usefixtures("no_links")
def test_a_full_disk_is_not_taken_for_one_without_links(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "symlink", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        holder()


def test_a_disk_without_modes_is_no_fault(world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    assert holder().left == {}
    holder.assert_holds(world, *ALL)


# -- two disks


@pytest.mark.usefixtures("two_disks")
def test_crates_on_another_disk_are_moved_there_whole_and_back(world: World, holder: Holder) -> None:
    assert holder().left == {}
    holder.assert_holds(world, *ALL)
    assert list(holder.layout.incoming.iterdir()) == []
    world.withdraw("heard-a", 2)
    world.drop("heard-b")
    done = holder()
    assert (done.left, done.moved) == ({}, ["heard-a"])
    holder.assert_holds(world, *(set(ALL) - {"heard-b"}))
    assert [path.name for path in holder.layout.incoming.iterdir()] == ["heard-b.zip"]


@pytest.mark.usefixtures("two_disks")
def test_where_there_is_no_room_to_set_crates_aside_withdrawals_are_followed_and_nothing_else_stops(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder()
    songs = [world.song("heard-a", 2), world.song("heard-b", 0)]
    world.withdraw("heard-a", 2)
    world.withdraw("heard-b", 0)
    world.take_out("rare-c")
    real = tenuto.archive.durable._pour

    def full(source: Any, file: Any) -> None:
        if "incoming" in file.name and "heard-b" not in file.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, file)

    with monkeypatch.context() as patched:
        patched.setattr(tenuto.archive.durable, "_pour", full)
        done = holder()
    assert set(done.left) == {"heard-a", "rare-c"}
    assert all("could not be moved" in why and "No space left" in why for why in done.left.values())
    assert done.moved == ["heard-b"], "one stops no other"
    assert shown(holder.layout, load_settings(holder.layout.settings)) == world.index
    assert {path.stem for path in public(holder)} == {"meta-0001", "heard-b", "rare-d"}
    assert [holder.files_with(song) for song in songs] == [[], []]
    done = holder()
    assert (done.left, done.moved) == ({}, ["heard-a"])
    holder.assert_holds(world, *(set(ALL) - {"rare-c"}))


def test_a_folder_whose_crates_lead_to_another_disk_is_named_as_the_reason(
    world: World, holder: Holder, tmp_path: Path
) -> None:
    crate = world.folder / "crates/heard-a.zip"
    crate.symlink_to(crate.rename(tmp_path / "away.zip"))
    done = holder(patience_s=1.0)
    assert set(done.left) == {"heard-a"}
    assert "leads out of the publication" in done.left["heard-a"].partition(";")[0]


def test_a_crates_folder_that_is_a_link_works(world: World, holder: Holder, tmp_path: Path) -> None:
    holder()
    away = tmp_path / "disk/large/crates"
    away.parent.mkdir(parents=True)
    holder.layout.crates.rename(away)
    holder.layout.crates.symlink_to(away)
    world.withdraw("heard-a", 0)
    assert holder().left == {}
    holder.assert_holds(world, *ALL)


def test_what_is_moved_to_another_disk_keeps_its_holes_and_leaves_nothing_at_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one/file", tmp_path / "two/file"
    one.parent.mkdir()
    two.parent.mkdir()
    content = b"a" * MIB + bytes(8 * MIB) + b"z" + bytes(3 * MIB)
    one.write_bytes(content)
    monkeypatch.setattr(Path, "replace", refusing(errno.EXDEV))
    with pytest.raises(OSError, match="cross-device"):  # here the last rename fails too
        move_durably(one, two)
    assert one.read_bytes() == content
    assert list(two.parent.iterdir()) == []
    monkeypatch.setattr(Path, "replace", lambda a, b: refusing(errno.EXDEV)() if a == one else a.rename(b))
    move_durably(one, two)
    assert not one.exists()
    assert two.read_bytes() == content
    assert two.stat().st_blocks * 512 <= 4 * MIB


# -- an archive of one's own


@pytest.mark.usefixtures("no_links")
def test_publishing_without_links_says_so_and_all_is_given_out(shelf: Shelf) -> None:
    for path in (shelf.publication / "crates").iterdir():
        path.unlink()
    _, said = shelf("publish")
    assert said.count(LACKS) == 1
    assert list((shelf.publication / "crates").iterdir()) == []
    with Session(shelf.settings.swarm) as session:
        seeder = Seeder(shelf.layout, shelf.settings, session, print)
        seeder.refresh()
        assert set(seeder.given_out) == {crate.crate for crate in shelf.index().crates}


@pytest.mark.usefixtures("no_hard_links")
def test_publishing_without_hard_links_names_each_crate(shelf: Shelf) -> None:
    for path in (shelf.publication / "crates").iterdir():
        path.unlink()
    assert LACKS not in shelf("publish")[1]
    assert {path.stem for path in (shelf.publication / "crates").iterdir()} == {
        crate.crate for crate in shelf.index().crates
    }
    shelf("check")


def test_repair_misses_no_name_that_there_cannot_be(place: Place, no_links: None) -> None:
    for path in (place.layout.publication / "crates").iterdir():
        path.unlink()
    assert place.repair().all_findings == []


def test_repair_misses_a_name_that_there_can_be(place: Place) -> None:
    for path in (place.layout.publication / "crates").iterdir():
        path.unlink()
    assert {one.code for one in place.repair().all_findings} == {"publication-differs"}
    assert may_be_named(place.file(), place.layout.publication / "crates")
    assert list((place.layout.publication / "crates").iterdir()) == []


# -- the parts


def test_a_link_leads_there_also_where_the_publication_is_itself_a_link(tmp_path: Path, no_hard_links: None) -> None:
    crate, public = tmp_path / "archive/crates/a.zip", tmp_path / "archive/publication/crates/a.zip"
    crate.parent.mkdir(parents=True)
    crate.write_bytes(b"crate")
    (tmp_path / "srv/www/public").mkdir(parents=True)
    (tmp_path / "archive/publication").symlink_to(tmp_path / "srv/www/public")
    assert name_again(crate, public)
    assert public.read_bytes() == b"crate"
    assert name_again(crate, public)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_each_way_in_which_a_disk_says_that_it_knows_no_links_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file, name = tmp_path / "file", tmp_path / "name"
    file.write_bytes(b"crate")
    monkeypatch.setattr(os, "link", refusing(number))
    monkeypatch.setattr(os, "symlink", refusing(number))
    assert not name_again(file, name)
    assert not may_be_named(file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_missing_gets_no_name(tmp_path: Path, no_hard_links: None) -> None:
    with pytest.raises(OSError):  # noqa: PT011 -- whatever the system says of it
        name_again(tmp_path / "none", tmp_path / "name")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_tried_is_no_disk_without_links(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert may_be_named(file, tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_its_server_cannot_sync_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(tenuto.archive.durable.os, "fsync", refusing(number))
    sync_folder(tmp_path)
    monkeypatch.setattr(tenuto.archive.durable.os, "fsync", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


def test_a_disk_without_locks_is_named_as_that_and_not_as_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOTSUP))
    with pytest.raises(OSError, match="knows no locks") as raised, ArchiveLock(tmp_path / "lock", "mirror"):
        pass
    assert not isinstance(raised.value, ArchiveInUseError)


def test_a_folder_beside_the_publication_is_read_in_an_archive_alone(tmp_path: Path) -> None:
    root = tmp_path / "publication"
    for folder in (root, tmp_path / "crates", tmp_path / "dark"):
        folder.mkdir()
    (tmp_path / "crates/a.zip").write_bytes(b"crate")
    (tmp_path / "dark/d.zip").write_bytes(b"dark")
    with pytest.raises(Exception, match=r"holds no crates/a\.zip"):
        FolderPlace(root).read("crates/a.zip", max_bytes=10)
    (tmp_path / "tenuto.toml").write_text("")
    place = FolderPlace(root)
    assert place.read("crates/a.zip", max_bytes=10) == b"crate"
    for path in ("crates/../dark/d.zip", "crates/../tenuto.toml", "../crates/a.zip/../../tenuto.toml", "dark/d.zip"):
        with pytest.raises(Exception, match=r"leads out|holds no|cannot be opened"):
            place.read(path, max_bytes=10)
    (tmp_path / "crates/out.zip").symlink_to(tmp_path / "dark/d.zip")
    with pytest.raises(Exception, match="leads out"):
        place.read("crates/out.zip", max_bytes=10)


def test_a_crates_folder_that_leads_away_is_not_read(tmp_path: Path) -> None:
    root, away = tmp_path / "disk/publication", tmp_path / "away"
    root.mkdir(parents=True)
    away.mkdir()
    (away / "a.zip").write_bytes(b"secret")
    (tmp_path / "disk/tenuto.toml").write_text("")
    (tmp_path / "disk/crates").symlink_to(away)
    with pytest.raises(Exception, match="holds no"):
        FolderPlace(root).read("crates/a.zip", max_bytes=10)


def test_what_rests_is_named_with_what_it_takes(
    world: World, holder: Holder, capsys: pytest.CaptureFixture[str]
) -> None:
    holder()
    world.drop("heard-b")
    holder()
    status = mirror_status(holder.layout, load_settings(holder.layout.settings))
    taken = (holder.layout.incoming / "heard-b.zip").stat().st_blocks * 512
    assert status["resting_bytes"] == {"heard-b": taken}
    assert _run(["status", "--archive", str(holder.root)]) == 0
    assert f"deleted when room is needed; {format_bytes(taken)}\n" in capsys.readouterr().out


# -- check


def missing_of(holder: Holder) -> list[str]:
    done = check(holder.layout, load_settings(holder.layout.settings), (), Silent())
    return [finding.subject for finding in done.all_findings]


@pytest.mark.usefixtures("no_links")
def test_check_says_nothing_of_names_that_the_disk_cannot_have(world: World, holder: Holder) -> None:
    holder()
    assert public(holder) == []
    assert missing_of(holder) == []


def test_check_names_a_crate_whose_name_is_gone_where_there_could_be_one(world: World, holder: Holder) -> None:
    holder()
    gone = public(holder)[0]
    gone.unlink()
    assert missing_of(holder) == [f"publication/crates/{gone.name}"]

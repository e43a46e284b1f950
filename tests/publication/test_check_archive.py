"""`tenuto check`: what is wrong between the parts of an archive, each by its code, all of it at once."""

import errno
import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harvesting import verb
from keep_maker import GRANT, NAME, contents, keep, rows, shelf
from mirror_maker import CRATES, Holder, a_world
from tenuto.archive import Layout, load_settings
from tenuto.crates.holdings import all_holdings
from tenuto.model.ids import track_key
from tenuto.model.progress import Silent
from tenuto.publication.check import check
from tenuto.publication.publish import publish
from tenuto.rights.withdrawals import Log


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = shelf(tmp_path_factory.mktemp("made"))
    keep(layout)
    assert verb(layout, "publish") == 0
    return layout


@pytest.fixture
def layout(made: Layout, tmp_path: Path) -> Layout:
    """A copy of a published archive; hard links become files of their own, as any copy makes them."""
    shutil.copytree(made.root, tmp_path / "archive")
    shutil.copytree(made.root.parent / "keys", tmp_path / "keys")
    copy = Layout(tmp_path / "archive")
    copy.settings.write_text(copy.settings.read_text().replace(str(made.root.parent), str(tmp_path)))
    return copy


def found(layout: Layout, capsys: pytest.CaptureFixture[str], *words: str, code: int = 7) -> dict[str, str]:
    """Code -> message of everything that check says."""
    capsys.readouterr()
    ended = verb(layout, "check", "--json", *words)
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert ended == code, said
    every = [*said["findings"], *(one for crate in said["crates"] for one in crate["findings"])]
    assert said["is_whole"] is (not every)
    return {one["code"]: f"{one['subject']}: {one['message']}" for one in every}


def crate_file(layout: Layout) -> Path:
    return next(path for path in sorted(layout.crates.glob("*.zip")) if "metadata" not in path.name)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.unlink()  # a hard link's other name keeps its bytes
    path.write_bytes(content)


def test_whole_archive_has_no_findings_and_ends_with_0(layout, capsys):
    assert found(layout, capsys, code=0) == {}
    assert found(layout, capsys, "--all", code=0) == {}


def test_one_crate_alone_is_checked_when_it_is_named(layout, capsys):
    crate = crate_file(layout)
    (layout.crates / "stray.txt").write_text("not looked at")
    assert found(layout, capsys, crate.stem, code=0) == {}
    flip(crate, 20_000)
    assert set(found(layout, capsys, crate.stem)) == {"block-damaged"}


def test_unknown_crate_is_refused_with_those_that_there_are(layout, capsys):
    assert verb(layout, "check", "nonesuch") == 2
    assert crate_file(layout).stem in capsys.readouterr().err


def test_nothing_is_changed_by_a_check(layout, capsys):
    flip(crate_file(layout), 20_000)
    before = contents(layout.root)
    found(layout, capsys, "--all")
    after = contents(layout.root)
    assert {name for name in before if not name.startswith("state/")} == {
        n for n in after if not n.startswith("state/")
    }
    assert all(after[name] == content for name, content in before.items() if not name.startswith((".tenuto", "state/")))


def test_file_orphaned_where_something_lies_among_the_crates_or_in_the_publication(layout, capsys):
    (layout.crates / "gone.torrent").write_bytes(b"d")
    assert "crates/gone.torrent" in found(layout, capsys)["file-orphaned"]
    (layout.crates / "gone.torrent").unlink()
    (layout.publication / "recordings" / "0-12345678.json").write_text("{}")
    assert "publication/recordings/0-12345678.json" in found(layout, capsys)["file-orphaned"]


def orphans(layout: Layout, capsys: pytest.CaptureFixture[str], code: int = 7) -> dict[str, str]:
    """Subject -> message of every `file-orphaned`; nothing else is found."""
    capsys.readouterr()
    assert verb(layout, "check", "--json") == code
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {one["code"] for one in said["findings"]} <= {"file-orphaned"}
    return {one["subject"]: one["message"] for one in said["findings"]}


def test_file_orphaned_for_everything_in_the_publication_that_its_index_does_not_name(layout, capsys):
    root = layout.publication
    (root / "secret.txt").write_text("x")
    (root / "backup" / "deep").mkdir(parents=True)
    (root / "backup" / "deep" / "song.flac").write_text("x")
    (root / "crates" / "more").mkdir()
    (root / ".hidden").write_text("x")
    (root / ".making-1234").write_text("x")
    (root / "link").symlink_to("/etc/passwd")
    (root / "crates" / "all").symlink_to(layout.dark)
    (root / "nowhere").symlink_to("nothing")
    (root / "layers" / "old.layers").write_text("x")
    found = orphans(layout, capsys)
    moved = {"secret.txt", "backup", "crates/more", ".hidden", "link", "nowhere"}
    assert {name for name, said in found.items() if "move it away" in said} == {f"publication/{name}" for name in moved}
    gone = {".making-1234", "crates/all", "layers/old.layers"}
    assert {name for name, said in found.items() if "publish removes it" in said} == {
        f"publication/{name}" for name in gone
    }
    assert len(found) == len(moved | gone)


def test_what_check_says_that_publish_removes_is_removed(layout, capsys):
    root = layout.publication
    (root / ".making-1234").write_text("x")
    (root / "crates" / "all").symlink_to(root)
    (root / "torrents" / "old.torrent").write_text("x")
    assert len(orphans(layout, capsys)) == 3
    assert verb(layout, "publish") == 0
    assert orphans(layout, capsys, code=0) == {}


def test_index_damaged_where_it_is_not_signed_by_the_archives_key(layout, capsys):
    flip(layout.publication / "index.json.sig", 5)
    assert "no signature" in found(layout, capsys)["index-damaged"]
    (layout.publication / "index.json.sig").unlink()
    assert "index-damaged" in found(layout, capsys)


def test_publication_differs_where_a_file_of_it_was_changed_or_is_gone(layout, capsys):
    flip(layout.publication / "status.parquet", 100)
    assert "status.parquet" in found(layout, capsys)["publication-differs"]
    assert verb(layout, "publish") == 0
    assert found(layout, capsys, code=0) == {}
    next((layout.publication / "layers").iterdir()).unlink()
    assert "it is missing" in found(layout, capsys)["publication-differs"]
    assert verb(layout, "publish") == 0
    assert found(layout, capsys, code=0) == {}


def test_publication_differs_where_its_copy_of_a_crate_is_another_file(layout, capsys):
    public = layout.publication / "crates" / crate_file(layout).name
    flip(public, 30_000)
    assert "not the crate of the archive" in found(layout, capsys)["publication-differs"]


def test_statuses_differ_where_the_publication_says_others(layout, capsys):
    crate = crate_file(layout)
    for path in (crate, crate.with_suffix(".torrent"), layout.holdings / f"{crate.stem}.parquet"):
        path.unlink()
    (layout.journals / f"{crate.stem}.jsonl").unlink(missing_ok=True)
    codes = found(layout, capsys)
    assert {"statuses-differ", "publication-differs"} <= set(codes)


def test_withdrawal_log_that_was_changed_is_found(layout, capsys):
    track = next(iter(sorted((layout.root.parent / "archive" / "state" / "journals").glob("*.jsonl"))))
    assert track.exists()
    layout.withdrawals.write_text('{"seq": 1}\n')
    assert "line 1" in found(layout, capsys)["withdrawal-log"]


def test_withdrawal_pending_where_the_log_is_ahead_of_the_crates(layout, capsys):
    _, table = next(iter(all_holdings(layout, load_settings(layout.settings))))
    key = track_key(table["source"][0].as_py(), table["track_id"][0].as_py())
    log = Log().with_one_more(key=key, reason="law", on=date(2026, 1, 2), is_destroyed=False, crates=[])
    layout.withdrawals.write_bytes(log.encode())
    assert "tenuto publish" in found(layout, capsys)["withdrawal-pending"]
    assert verb(layout, "publish") == 0
    assert found(layout, capsys, code=0) == {}


def test_dark_exposed_where_others_can_read_the_folder(layout, capsys):
    layout.dark.mkdir(mode=0o700, exist_ok=True)
    layout.dark.chmod(0o755)
    assert "chmod" in found(layout, capsys)["dark-exposed"]


def moved(crate: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in (crate, crate.with_suffix(".torrent")):
        path.rename(folder / path.name)


def test_dark_exposed_where_an_open_crate_lies_among_the_dark(layout, capsys):
    crate = crate_file(layout)
    moved(crate, layout.dark)
    assert f"dark/{crate.name}: an open crate lies among the dark ones" in found(layout, capsys)["dark-exposed"]


def test_dark_exposed_where_a_dark_crate_lies_among_the_open(tmp_path, capsys):
    layout = shelf(tmp_path, permission=GRANT.replace("may_give_out = true", "may_give_out = false"))
    keep(layout)
    assert found(layout, capsys, code=0) == {}
    crate = next(layout.dark.glob("*.zip"))
    moved(crate, layout.crates)
    assert (
        f"crates/{crate.name}: a dark crate lies among the open ones; move it to dark/"
        in (found(layout, capsys)["dark-exposed"])
    )


def test_giving_out_ended_where_a_right_in_a_published_crate_has_ended(tmp_path):
    today = datetime.now(UTC).date()
    layout = shelf(tmp_path, permission=f"{GRANT}until = {today}\n")
    keep(layout)
    assert verb(layout, "publish") == 0
    settings, tomorrow = load_settings(layout.settings), today + timedelta(days=1)
    assert check(layout, settings, (), Silent(), today=today).all_findings == []
    (ended,) = check(layout, settings, (), Silent(), today=tomorrow).all_findings
    assert (ended.code, ended.subject) == ("giving-out-ended", crate_file(layout).stem)
    assert "5 tracks in it may not be given out today" in ended.message
    assert "tenuto publish, then tenuto withdraw --refused --reason permission-ended" in ended.message
    assert check(layout, settings, (ended.subject,), Silent(), today=tomorrow).all_findings == []
    publish(layout, settings, Silent(), today=tomorrow)
    assert "giving-out-ended" not in {
        one.code for one in check(layout, settings, (), Silent(), today=tomorrow).all_findings
    }


def test_withdrawal_log_that_lost_its_newest_lines_is_found(layout, capsys):
    tracks = [f"{NAME}:{one.row['track_id']}" for one in rows(layout)[:2]]
    for track in tracks:
        assert verb(layout, "withdraw", track, "--reason", "privacy") == 0
    assert found(layout, capsys, code=0) == {}
    whole = layout.withdrawals.read_bytes()
    layout.withdrawals.write_bytes(whole.splitlines(keepends=True)[0])
    assert "is not its beginning" in found(layout, capsys)["withdrawal-log"]
    shutil.rmtree(layout.publication)
    assert "that withdrawals.jsonl lacks" in found(layout, capsys)["withdrawal-log"]
    layout.withdrawals.unlink()
    assert "that withdrawals.jsonl lacks" in found(layout, capsys)["withdrawal-log"]
    layout.withdrawals.write_bytes(whole)
    assert found(layout, capsys, code=0) == {}


def test_all_findings_come_at_once(layout, capsys):
    flip(crate_file(layout), 20_000)
    flip(layout.publication / "feed.atom", 10)
    (layout.crates / "stray").write_text("x")
    assert {"block-damaged", "publication-differs", "file-orphaned"} <= set(found(layout, capsys, "--all"))


# -- what need not be there


def test_name_that_is_missing_is_no_finding_where_the_disk_cannot_be_asked(layout, capsys, monkeypatch):
    for path in (layout.publication / "crates").iterdir():
        path.unlink()
    assert set(found(layout, capsys)) == {"publication-differs"}

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    assert found(layout, capsys, code=0) == {}


def test_mirror_need_not_hold_everything_but_what_it_names(tmp_path, capsys):
    world = a_world(tmp_path)
    holder = Holder(tmp_path / "mirror", str(world.folder))
    holder(bands=["heard"])
    assert 0 < len(holder.crates()) < len(CRATES)
    assert found(holder.layout, capsys, code=0) == {}
    name = holder.layout.publication / "crates/rare-c.zip"
    name.write_bytes(world.whole("rare-c"))
    assert "rare-c.zip" in found(holder.layout, capsys)["publication-differs"]
    name.unlink()
    name.symlink_to("../../crates/rare-c.zip")
    assert "rare-c.zip" in found(holder.layout, capsys)["publication-differs"]

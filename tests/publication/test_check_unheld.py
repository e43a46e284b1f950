"""A check holds nothing: others withdraw, repair and publish under it, and what it says is true all the same."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event

import pytest

from mirror_maker import Holder, a_world
from published_maker import ALONE, OPEN, SOURCE, Shelf, a_shelf
from support import tenuto, tenuto_json
from tenuto.archive import ArchiveLock, Layout, Settings, load_settings
from tenuto.archive import lock as lock_module
from tenuto.cli import run as run_module
from tenuto.crates import holdings
from tenuto.crates.holdings import crate_files, holdings_of, read_holdings
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.verify import Verified, verify_crate
from tenuto.model.findings import Finding
from tenuto.model.progress import Silent
from tenuto.publication import check as module
from tenuto.publication import check_bytes
from tenuto.publication.check import Checked, check

pytestmark = pytest.mark.long  # processes, and waiting for them


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = a_shelf(tmp_path)
    made("publish")
    return made


class Held(Silent):
    """Stands where a crate's bytes begin to be read, once, until it may go on."""

    def __init__(self, crate: str) -> None:
        self.label, self.reached, self.go = f"check {crate}", Event(), Event()
        self.said: list[str] = []

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        if label == self.label and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(60)

    def say(self, message: str) -> None:
        self.said.append(message)


@contextmanager
def under_check(layout: Layout, settings: Settings, at: str, names: Sequence[str] = ()) -> Iterator["Future[Checked]"]:
    """A check that stands in the middle of a crate as long as the block lasts."""
    held = Held(at)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(check, layout, settings, names, held)
        try:
            assert held.reached.wait(60), ended.result(0)
            yield ended
        finally:
            held.go.set()


def checking(shelf: Shelf, at: Path, *names: str) -> "contextmanager[Future[Checked]]":
    return under_check(shelf.layout, shelf.settings, at.stem, names)  # type: ignore[return-value]


def crate_of(shelf: Shelf, track: str) -> Path:
    return shelf.crates_with(track)[0]


def last(shelf: Shelf) -> Path:
    return crate_files(shelf.layout)[-1]


def of(done: Checked, path: Path) -> Verified:
    (found,) = [one for one in done.crates if one.crate == path.stem]
    return found


def flip(path: Path, track: str) -> int:
    """Change a bit in the middle of a recording, in place; returns where."""
    row = next(row for row in CrateFile(path).recordings().to_pylist() if row["track_id"] == track)
    at = row["offset"] + row["bytes"] // 2
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))
    return int(at)


def codes(done: Checked) -> list[tuple[str, str]]:
    return [(one.code, one.subject.partition("/")[0]) for one in done.all_findings]


# -- withdrawn under it


def test_withdrawal_is_done_while_a_crate_is_read_and_its_new_revision_is_read_too(shelf: Shelf) -> None:
    path = crate_of(shelf, OPEN[0])
    with checking(shelf, path) as ended:
        shelf.withdraw(OPEN[0])
        assert not ended.done()
    assert codes(ended.result()) == []
    assert of(ended.result(), path).revision == 1


def test_withdrawal_from_a_crate_that_was_read_already_makes_it_read_again(shelf: Shelf) -> None:
    path = crate_of(shelf, OPEN[0])
    assert path != last(shelf)
    with checking(shelf, last(shelf)) as ended:
        shelf.withdraw(OPEN[0], "--destroy")
    assert codes(ended.result()) == []
    assert of(ended.result(), path).revision == 1


def test_crate_alone_that_is_withdrawn_from_is_read_again(shelf: Shelf) -> None:
    path = crate_of(shelf, OPEN[0])
    with checking(shelf, path, path.stem) as ended:
        shelf.withdraw(OPEN[0])
    assert [(one.revision, one.findings) for one in ended.result().crates] == [(1, [])]


def test_withdrawal_that_has_begun_is_waited_for_where_something_was_found(shelf: Shelf) -> None:
    path, said = crate_of(shelf, OPEN[0]), Held("")
    torrent = torrent_beside(path).read_bytes()
    lock = ArchiveLock(shelf.layout.lock, "withdraw").__enter__()
    torrent_beside(path).unlink()  # the moment between a crate and its torrent

    def finish(message: str) -> None:
        said.said.append(message)
        if len(said.said) == 1:
            torrent_beside(path).write_bytes(torrent)
            lock.__exit__(None, None, None)

    said.say = finish  # type: ignore[method-assign]
    assert codes(check(shelf.layout, shelf.settings, [path.stem], said)) == []
    assert "tenuto withdraw (process " in said.said[0]
    assert said.said[1:] == [f"{path.stem} has changed since it was read, and is read again"]


# -- repaired, replaced and removed under it


@pytest.mark.parametrize("is_read_already", [False, True])
def test_crate_that_is_repaired_is_found_whole(shelf: Shelf, tmp_path: Path, is_read_already: bool) -> None:
    path = crate_of(shelf, OPEN[0])
    (tmp_path / "copies").mkdir()
    shutil.copy2(path, tmp_path / "copies" / path.name)
    flip(path, OPEN[0])
    with checking(shelf, last(shelf) if is_read_already else path) as ended:
        shelf("repair", path.stem, "--from", tmp_path / "copies")
    assert codes(ended.result()) == []


def test_crate_that_is_replaced_by_a_damaged_one_is_found_damaged(shelf: Shelf, tmp_path: Path) -> None:
    path = crate_of(shelf, OPEN[0])
    shutil.copy2(path, tmp_path / path.name)
    flip(tmp_path / path.name, OPEN[0])
    with checking(shelf, path, path.stem) as ended:
        (tmp_path / path.name).replace(path)
    assert codes(ended.result()) == [("block-damaged", path.stem)]


def test_crate_that_is_removed_and_published_no_more_is_left_out(shelf: Shelf) -> None:
    path = crate_of(shelf, ALONE)
    for at in (path, next(one for one in crate_files(shelf.layout) if one != path)):
        with checking(shelf, at) as ended:
            for file in (path, torrent_beside(path)):
                file.unlink(missing_ok=True)
            shelf("publish")
        assert codes(ended.result()) == []
        assert path.stem not in [one.crate for one in ended.result().crates]


@pytest.mark.parametrize("is_alone", [False, True])
def test_crate_that_is_gone_and_that_the_index_names_is_a_finding(shelf: Shelf, is_alone: bool) -> None:
    path = crate_of(shelf, ALONE)
    with checking(shelf, path, *[path.stem] * is_alone) as ended:
        path.unlink()
    assert ("crate-unreadable", path.stem) in codes(ended.result())


# -- real damage


def test_damage_elsewhere_is_found_though_something_is_withdrawn_meanwhile(shelf: Shelf) -> None:
    path, damaged = crate_of(shelf, OPEN[0]), crate_of(shelf, ALONE)
    assert path != damaged
    flip(damaged, ALONE)
    for at in (path, damaged):
        with checking(shelf, at) as ended:
            shelf.withdraw(OPEN[0])
        assert codes(ended.result()) == [("block-damaged", damaged.stem)]


def test_damage_in_the_crate_that_is_withdrawn_from_is_found_in_its_new_revision(shelf: Shelf) -> None:
    path = crate_of(shelf, OPEN[0])
    other = next(row["track_id"] for row in CrateFile(path).recordings().to_pylist() if row["track_id"] != OPEN[0])
    flip(path, other)
    with checking(shelf, path) as ended:
        shelf.withdraw(OPEN[0])
    assert codes(ended.result()) == [("block-damaged", path.stem)]
    assert of(ended.result(), path).revision == 1


def test_crate_that_changes_at_each_look_is_said_not_to_be_known(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    path, looks = crate_of(shelf, ALONE), []

    def restless(crate: Path, **how: object) -> Verified:
        found = verify_crate(crate, **how)  # type: ignore[arg-type]
        if crate == path:
            looks.append(crate)
            flip(path, ALONE)
            if len(looks) == 2:
                raise ValueError("cut while it was parsed")
        return found

    flip(path, ALONE)
    monkeypatch.setattr(check_bytes, "verify_crate", restless)
    assert codes(check(shelf.layout, shelf.settings, [path.stem], Silent())) == [("check-incomplete", path.stem)]
    assert len(looks) == 3


def test_bug_in_reading_a_crate_that_stands_still_is_raised(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Verified:
        raise ZeroDivisionError

    monkeypatch.setattr(check_bytes, "verify_crate", fail)
    with pytest.raises(ZeroDivisionError):
        check(shelf.layout, shelf.settings, (), Silent())


# -- the archive as a whole


def test_what_lies_about_only_while_another_works_is_no_finding(shelf: Shelf) -> None:
    leftover, held = shelf.layout.crates / ".making-x.zip", Held("")
    leftover.touch()
    lock = ArchiveLock(shelf.layout.lock, "keep").__enter__()

    def finish(_: str) -> None:
        leftover.unlink()
        lock.__exit__(None, None, None)

    held.say = finish  # type: ignore[method-assign]
    assert codes(check(shelf.layout, shelf.settings, (), held)) == []


def test_what_every_look_finds_is_reported_though_somebody_works_at_each(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = module.check_whole, []

    def disturbed(*words: object) -> Iterator[Finding]:
        looks.append(words)
        with ArchiveLock(shelf.layout.lock, "publish"):
            yield from real(*words)  # type: ignore[arg-type]
            yield Finding(code="file-orphaned", subject=f"crates/{len(looks)}", message="for a moment")

    (shelf.layout.crates / "stray").touch()
    monkeypatch.setattr(module, "check_whole", disturbed)
    done = check(shelf.layout, shelf.settings, (), Silent())
    assert [(one.code, one.subject) for one in done.findings] == [("file-orphaned", "crates/stray")]
    assert len(looks) == 3


def test_whole_archive_is_checked_though_another_works_in_it_all_the_time(shelf: Shelf) -> None:
    with ArchiveLock(shelf.layout.lock, "keep"):
        assert codes(check(shelf.layout, shelf.settings, (), Silent())) == []


def test_two_checks_at_once_are_two_checks(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, real = Barrier(2), module.check_whole

    def together(*words: object) -> Iterator[Finding]:
        barrier.wait(60)
        yield from real(*words)  # type: ignore[arg-type]

    flip(crate_of(shelf, ALONE), ALONE)
    shutil.rmtree(shelf.layout.holdings)
    monkeypatch.setattr(module, "check_whole", together)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(check, shelf.layout, shelf.settings, (), Silent()) for _ in range(2)]
    for one in both:
        assert codes(one.result()) == [("block-damaged", crate_of(shelf, ALONE).stem)]


def test_check_is_refused_where_another_works_as_it_begins_and_where_no_archive_is(
    shelf: Shelf, tmp_path: Path
) -> None:
    with ArchiveLock(shelf.layout.lock, "keep"):
        assert "in use by tenuto keep" in shelf("check", code=8)[1]
    (tmp_path / "nothing").mkdir()
    before = list((tmp_path / "nothing").iterdir())
    tenuto("check", "--archive", tmp_path / "nothing", code=2)
    assert list((tmp_path / "nothing").iterdir()) == before


def test_check_of_a_run_waits_for_who_works_as_it_begins(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf("run")
    held: list[ArchiveLock] = []
    real, nap = run_module.say, lock_module.sleep

    def say(text: str) -> None:
        real(text)
        if text.startswith("publish took"):
            held.append(ArchiveLock(shelf.layout.lock, "withdraw").__enter__())

    def finish(seconds: float) -> None:
        if held:
            held.pop().__exit__(None, None, None)
        nap(seconds)

    monkeypatch.setattr(run_module, "say", say)
    monkeypatch.setattr(lock_module, "sleep", finish)
    shown, said = shelf("run")
    assert "tenuto withdraw (process " in said
    assert "everything is as it was sealed" in shown
    assert held == []


def test_check_needs_to_write_nothing_into_the_archive(shelf: Shelf) -> None:
    before = shelf.layout.lock.stat()
    shelf("check")
    assert shelf.layout.lock.stat().st_mtime_ns == before.st_mtime_ns


def test_what_a_crate_held_before_it_was_written_anew_is_not_taken_for_what_it_holds(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, is_first = crate_of(shelf, OPEN[0]), [True]

    def overtaken(*words: object) -> object:
        found = read_holdings(*words)  # type: ignore[arg-type]
        if is_first.pop() if is_first else False:
            shelf.withdraw(OPEN[0])
        return found

    shutil.rmtree(shelf.layout.holdings)
    monkeypatch.setattr(holdings, "read_holdings", overtaken)
    assert OPEN[0] in holdings_of(shelf.layout, shelf.settings, path)["track_id"].to_pylist()
    assert OPEN[0] not in holdings_of(shelf.layout, shelf.settings, path)["track_id"].to_pylist()
    assert list(shelf.layout.holdings.glob(".making-*")) == []


def test_mirror_moves_to_a_revision_under_its_check(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    holder = Holder(tmp_path / "mirror", str(world.folder))
    holder()
    settings = load_settings(holder.layout.settings)
    with under_check(holder.layout, settings, "heard-a") as ended:
        world.withdraw("heard-a", 1)
        holder()
    assert codes(ended.result()) == []
    assert of(ended.result(), holder.layout.crates / "heard-a.zip").revision == 1


# -- as processes

_HOLDING = """
import sys
from tenuto.cli import main
from tenuto.cli.progress import TerminalProgress
real, at, stood = TerminalProgress.begin, sys.argv.pop(1), []
def begin(self, label, *words):
    if label == f"check {at}" and not stood:
        stood.append(at)
        print("standing", file=sys.stderr, flush=True)
        sys.stdin.readline()
    real(self, label, *words)
TerminalProgress.begin = begin
main()
"""


@contextmanager
def process_held(shelf: Shelf, at: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A verb, as a process, that stands in the middle of reading a crate as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _HOLDING, at.stem, *words, "--archive", str(shelf.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        while (line := process.stderr.readline()) != "standing\n":
            assert line, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.long
def test_withdrawal_does_not_wait_for_a_check_of_another_process(shelf: Shelf) -> None:
    path = crate_of(shelf, OPEN[0])
    with process_held(shelf, path, "check", "--json") as checker:
        assert tenuto_json("check", "--archive", shelf.root)["is_whole"]
        done = tenuto_json("withdraw", f"{SOURCE}:{OPEN[0]}", "--reason", "rightsholder", "--archive", shelf.root)
        assert done["revised"] == [path.stem]
        out, err = checker.communicate("go\n", timeout=60)
    assert checker.returncode == 0, out + err
    assert '"is_whole":true' in out
    assert f'"crate":"{path.stem}","revision":1' in out


@pytest.mark.long
def test_withdrawal_does_not_wait_for_the_check_of_a_run(shelf: Shelf) -> None:
    shelf("run")
    path = crate_of(shelf, OPEN[0])
    with process_held(shelf, path, "run", "--json") as runner:
        tenuto("withdraw", f"{SOURCE}:{OPEN[0]}", "--reason", "rightsholder", "--archive", shelf.root)
        out, err = runner.communicate("go\n", timeout=60)
    assert runner.returncode == 0, out + err
    assert "everything is as it was sealed" in out
    assert CrateFile(path).revision == 1

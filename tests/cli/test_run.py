"""`tenuto run`: all stages in order; what stops it, what does not, and what it says at the end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harvesting import LOGIN, NAME, archive_of, verb
from keep_maker import GRANT, Shop, kept, leftovers, put, set_in, shelf, sound, statuses
from published_maker import snapshot
from support import make_archive, tenuto
from tenuto.archive import ArchiveLock, Layout
from tenuto.cli import run as module
from tenuto.crates.holdings import crate_files

pytestmark = pytest.mark.long  # processes, and waiting for them

STAGES = ["harvest", "catalogue build", "plan", "keep", "publish", "check"]
Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`tenuto run` in this process; its stdout and stderr. `code` is what it must end with."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_archive(layout: Layout, *words: str, code: int = 0) -> tuple[str, str]:
        capfd.readouterr()
        ended = verb(layout, "run", *words)
        out, err = capfd.readouterr()
        assert ended == code, f"exit {ended}\n{out}\n{err}"
        assert "a bug" not in err
        return out, err

    return run_archive


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An archive of a folder that was run once."""
    layout = shelf(tmp_path_factory.mktemp("made"), prepare=False)
    assert verb(layout, "run") == 0
    return layout


@pytest.fixture
def layout(made: Layout, tmp_path: Path) -> Layout:
    """A copy of it; what was a hard link is one."""
    subprocess.run(["cp", "-a", made.root, tmp_path / "archive"], check=True)
    shutil.copytree(made.root.parent / "keys", tmp_path / "keys")
    for name in ("permission.toml", "music"):
        copy = shutil.copytree if (made.root.parent / name).is_dir() else shutil.copyfile
        copy(made.root.parent / name, tmp_path / name)
    copied = Layout(tmp_path / "archive")
    copied.settings.write_text(copied.settings.read_text().replace(str(made.root.parent), str(tmp_path)))
    return copied


def as_json(out: str) -> dict[str, Any]:
    (only,) = out.splitlines()
    found: dict[str, Any] = json.loads(only)
    return found


def stage(document: dict[str, Any], name: str) -> dict[str, Any]:
    (only,) = [one for one in document["stages"] if one["stage"] == name]
    return only  # type: ignore[no-any-return]


def nobody() -> str:
    """An address at which nobody answers."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


def of_service(folder: Path, server: Shop, **settings: Any) -> Layout:
    """An archive of the lying service, nothing done yet."""
    layout = archive_of(folder, server.url, permission=GRANT)
    set_in(layout, **settings)
    return layout


def add_source(layout: Layout, name: str, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TENUTO_{name.upper()}_USER", "me")
    monkeypatch.setenv(f"TENUTO_{name.upper()}_PASSWORD", "secret-7f3a")
    assert verb(layout, "source", "add", "subsonic", location, "--name", name) == 0


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    with path.open("r+b") as file:
        file.write(content)


def a_crate(layout: Layout) -> Path:
    return next(path for path in crate_files(layout) if "-metadata-" not in path.name)


# -- the way through


def test_run_takes_a_folder_all_the_way_into_a_publication_and_sums_it_up(run: Run, tmp_path: Path) -> None:
    layout = shelf(tmp_path, prepare=False)
    out, err = run(layout)
    music = {str(path.relative_to(tmp_path / "music")): path.read_bytes() for path in (tmp_path / "music").rglob("*.*")}
    assert kept(layout) == music
    assert (layout.publication / "index.json").is_file()
    assert leftovers(layout) == []
    rows = [re.split(r"\s{2,}", row.strip())[0] for row in out.splitlines()]
    assert [row for row in rows if row in STAGES] == STAGES
    for said in ("tracks       5: 5 kept", "recordings   5, ", " open, 0 dark; 0 withdrawn",
                 f"publication  {layout.publication}", "Next: python3 -m http.server", "Next: tenuto seed"):  # fmt: skip
        assert said in out
    assert [line.partition(" took ")[0] for line in err.splitlines() if " took " in line] == STAGES
    assert verb(layout, "check", "--all") == 0


def test_second_run_changes_no_byte_and_each_stage_says_that_it_had_nothing_to_do(run: Run, layout: Layout) -> None:
    before = {
        folder: snapshot(folder) for folder in (layout.publication, layout.crates, layout.catalogue, layout.plans)
    }
    out, _ = run(layout)
    for folder, files in before.items():
        after = snapshot(folder)
        for pointer in ("current", "newest"):  # written by every build and plan: its time says when
            assert after.get(pointer, ("",))[0] == files.get(pointer, ("",))[0]
            after.pop(pointer, None), files.pop(pointer, None)
        assert after == files, folder
    for said in ("edition .*, unchanged", "plan .*, unchanged", "nothing to keep", "unchanged: 2 crates given out"):
        assert re.search(said, out), said


def test_json_is_one_object_with_the_documented_keys(
    run: Run, layout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    document = as_json(run(layout, "--json")[0])
    assert list(document) == ["stages", "exit_code", "status", "publication", "seconds"]
    assert [one["stage"] for one in document["stages"]] == STAGES
    assert {tuple(one) for one in document["stages"]} == {("stage", "result", "seconds", "exit_code", "message")}
    assert {(one["exit_code"], one["message"]) for one in document["stages"]} == {(0, "")}
    assert sum(one["seconds"] for one in document["stages"]) <= document["seconds"] + 0.01
    assert (document["exit_code"], document["publication"]) == (0, str(layout.publication))
    assert verb(layout, "status", "--json") == 0
    assert document["status"] == as_json(capfd.readouterr().out)


def test_new_music_is_taken_up_by_the_next_run_and_what_was_there_stays(run: Run, layout: Layout) -> None:
    before = kept(layout)
    put(layout.root.parent / "music/new/9.flac", 90, title="Neu")
    out, _ = run(layout)
    assert "sealed 1 crate with 1 recording" in out
    assert kept(layout).keys() == before.keys() | {"new/9.flac"}


def test_withdrawn_between_two_runs_it_stays_withdrawn(run: Run, layout: Layout) -> None:
    gone = min(kept(layout))
    assert verb(layout, "withdraw", f"{NAME}:{gone}", "--reason", "privacy", "--destroy") == 0
    out, _ = run(layout)
    assert "4 kept, 1 withdrawn" in out
    assert "1 withdrawn" in out.split("crates  ")[1]
    assert gone not in kept(layout)
    assert statuses(layout) == {"kept": 4, "withdrawn": 1}


# -- what does not stop it


def test_source_that_is_down_does_not_hold_up_the_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = shelf(tmp_path, prepare=False)
    add_source(layout, "gone", nobody(), monkeypatch)
    out, err = run(layout, code=5)
    assert "tenuto: gone: " in err
    assert "failed: gone (earlier harvests count)" in out
    assert "5 kept" in out
    assert "Next: tenuto run, once what failed is mended" in out
    assert "secret-7f3a" not in out + err


def test_source_that_forbids_asking_does_not_hold_up_the_others_and_ends_with_6(
    run: Run, layout: Layout, tmp_path: Path
) -> None:
    file = tmp_path / "no.toml"
    file.write_text(GRANT.replace("[[grant]]", "[harvest]\nmetadata = false\n[[grant]]"))
    assert (
        verb(layout, "source", "add", "folder", str(tmp_path / "music"), "--name", "shut", "--permission", str(file))
        == 0
    )
    document = as_json(run(layout, "--json", code=6)[0])
    assert stage(document, "harvest")["exit_code"] == 6
    assert "forbids harvesting" in stage(document, "harvest")["message"]
    assert stage(document, "check")["exit_code"] == 0


def test_source_that_goes_down_after_a_run_leaves_what_stands_as_it_is(run: Run, tmp_path: Path) -> None:
    with Shop() as server:
        layout = of_service(tmp_path, server)
        run(layout)
        assert kept(layout) == server.sounds
        before = snapshot(layout.publication), snapshot(layout.crates)
        server.go_down()
        document = as_json(run(layout, "--json", code=5)[0])
    assert [one["exit_code"] for one in document["stages"]] == [5, 0, 0, 0, 0, 0]
    assert stage(document, "harvest")["result"].startswith("no source answered; failed: shop")
    assert (snapshot(layout.publication), snapshot(layout.crates)) == before


def test_source_that_goes_away_while_it_is_kept_is_named_and_the_next_run_goes_on(run: Run, tmp_path: Path) -> None:
    with Shop(3, 2) as server:
        layout = of_service(tmp_path, server, crates={"recordings_max": 2})
        server.lie(
            lambda handler, asked: (server.go_down(), handler.connection.close()), call="download", own_id="so-0002-1"
        )
        document = as_json(run(layout, "--json", code=5)[0])
        assert stage(document, "keep")["exit_code"] == 5
        assert [one["stage"] for one in document["stages"]] == STAGES
        assert stage(document, "publish")["exit_code"] == stage(document, "check")["exit_code"] == 0
        assert sum(document["status"]["statuses"].values()) == 6
        server.lies.pop()
        server.come_back()
        run(layout)
        assert kept(layout) == server.sounds


def test_no_harvest_ever_finished_ends_there_with_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = make_archive(tmp_path)
    layout.settings.write_text(layout.settings.read_text().replace("tries = 5", "tries = 1"))
    add_source(layout, "gone", nobody(), monkeypatch)
    out, err = run(layout, code=5)
    assert "no source has ever been harvested to its end" in err
    assert "no source gave anything" in out
    assert "catalogue build" not in out
    document = as_json(run(layout, "--json", code=5)[0])
    assert [one["stage"] for one in document["stages"]] == ["harvest"]
    assert document["status"]["edition"] is None


def test_recording_that_fails_is_named_and_the_rest_is_published(run: Run, tmp_path: Path) -> None:
    music = tmp_path / "music"
    put(music / "good.flac", 1)
    whole = sound(2, 3.0)
    (music / "cut.flac").write_bytes(whole[: len(whole) // 2])
    layout = shelf(tmp_path, prepare=False)
    out, _ = run(layout, code=9)
    assert "1 recording failed" in out
    assert re.search(r"^keep: .*cut\.flac", out, re.MULTILINE)
    assert "try again with: tenuto keep --retry-failed" in out
    assert "good.flac" in kept(layout)
    out, _ = run(layout, code=9)
    assert "nothing to keep; 1 recording failed, now or before" in out


# -- damage


def test_damaged_crate_ends_with_7_and_names_repair(run: Run, layout: Layout) -> None:
    flip(a_crate(layout), 20_000)
    out, _ = run(layout, code=7)
    assert re.search(r"^check: block-damaged: ", out, re.MULTILINE)
    assert "Next: tenuto repair" in out
    document = as_json(run(layout, "--json", code=7)[0])
    assert [one["stage"] for one in document["stages"]] == STAGES
    assert stage(document, "check")["exit_code"] == 7


def test_crate_of_recordings_that_cannot_be_read_stops_it_in_keep_and_names_repair(run: Run, layout: Layout) -> None:
    crate = a_crate(layout)
    with crate.open("r+b") as file:
        file.truncate(crate.stat().st_size // 2)
    before = snapshot(layout.publication)
    out, _ = run(layout, code=7)
    assert re.search(r"^keep +stopped here", out, re.MULTILINE)
    assert crate.stem in out
    assert "tenuto repair" in out
    assert snapshot(layout.publication) == before


def test_crate_that_is_damaged_at_publish_is_left_out_and_the_check_still_runs(run: Run, layout: Layout) -> None:
    flip(a_crate(layout).with_suffix(".torrent"), 40)
    document = as_json(run(layout, "--json", code=7)[0])
    assert [one["exit_code"] for one in document["stages"]] == [0, 0, 0, 0, 7, 7]
    assert "1 left out as damaged" in stage(document, "publish")["result"]
    assert a_crate(layout).stem in stage(document, "publish")["message"]


def test_withheld_crate_ends_with_6_and_what_mends_it_is_said(run: Run, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "permission.toml").write_text(GRANT.replace("may_give_out = true", "may_give_out = false"))
    out, _ = run(layout, code=6)
    assert "1 withheld" in out
    assert re.search(r"^publish: crate .*tenuto withdraw --refused", out, re.MULTILINE)
    assert "everything is as it was sealed" in out


# -- what stops it


def test_lock_that_another_holds_ends_with_8(run: Run, layout: Layout) -> None:
    for words in ((), ("--json",)):
        with ArchiveLock(layout.lock, "withdraw"):
            out, err = run(layout, *words, code=8)
        assert out == ""
        assert "in use by tenuto withdraw" in err


def test_lock_that_another_takes_between_two_stages_stops_it_there(
    run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held = module.say, []

    def say(text: str) -> None:
        real(text)
        if text.startswith("plan took"):
            held.append(ArchiveLock(layout.lock, "withdraw").__enter__())

    monkeypatch.setattr(module, "say", say)
    document = as_json(run(layout, "--json", code=8)[0])
    held[0].__exit__(None, None, None)
    assert [(one["stage"], one["exit_code"]) for one in document["stages"]][-2:] == [("plan", 0), ("keep", 8)]
    monkeypatch.undo()
    assert verb(layout, "run") == 0


@pytest.mark.parametrize("words", [[], ["--json"], ["--every", "1d"]])
def test_broken_settings_end_with_3_and_nothing_is_done(run: Run, layout: Layout, words: list[str]) -> None:
    layout.settings.write_text(layout.settings.read_text().replace("[politeness]", "[politness]"))
    out, err = run(layout, *words, code=3)
    assert out == ""
    assert "did you mean politeness" in err


def test_archive_without_a_source_ends_with_3(run: Run, tmp_path: Path) -> None:
    assert "no source yet" in run(make_archive(tmp_path), code=3)[1]


def test_login_that_is_missing_stops_it_with_3_in_harvest(run: Run, layout: Layout) -> None:
    assert verb(layout, "source", "add", "subsonic", nobody(), "--name", "other") == 0
    out, err = run(layout, code=3)
    assert "TENUTO_OTHER_PASSWORD" in err
    assert "keep" not in [row.split()[0] for row in out.splitlines() if row]


def test_full_disk_stops_it_with_a_sentence_and_it_goes_on_once_there_is_room(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = shelf(tmp_path, prepare=False)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for place, stage_name in (("tenuto.evidence.harvests.durable.write_durably", "harvest"),
                              ("tenuto.selection.plan.write_durably", "plan"),
                              ("tenuto.publication.publish.write_durably", "publish")):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(place, full)
            document = as_json(run(layout, "--json", code=1)[0])
        last = document["stages"][-1]
        assert (last["stage"], last["exit_code"], last["result"]) == (stage_name, 1, "stopped here")
        assert "No space left on device" in last["message"]
    run(layout)
    assert len(kept(layout)) == 5


def test_bug_in_a_stage_stops_it_there_and_says_so(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("at noon")

    monkeypatch.setattr("tenuto.crates.keep.keep", fail)
    monkeypatch.delenv("TENUTO_DEBUG", raising=False)
    assert verb(layout, "run") == 1
    out, err = capfd.readouterr()
    assert "a bug: ZeroDivisionError: at noon" in err
    assert "stopped here" in out
    assert "Next: mend what is said above; then tenuto run goes on" in out
    monkeypatch.setenv("TENUTO_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        verb(layout, "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_ends_with_130_and_says_in_which_stage(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        layout = make_archive(tmp_path)
        place = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert verb(layout, "source", "add", "subsonic", place, "--name", NAME) == 0
        process = begin(layout, "--json")
        silent.accept()[0].close()
        time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "tenuto: stopped in harvest; nothing is lost: tenuto run goes on where it stopped" in err
    assert "Traceback" not in err


def test_stopped_while_it_keeps_it_leaves_no_process_and_goes_on_after(run: Run, tmp_path: Path) -> None:
    with Shop() as server:
        layout = of_service(tmp_path, server)
        entered = threading.Event()
        server.lie(lambda handler, asked: (entered.set(), time.sleep(0.5), handler.connection.close()), call="download")
        process = begin(layout)
        assert entered.wait(30)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
        assert "tenuto: stopped in keep; nothing is lost" in err
        assert group(process) == []
        server.lies.pop()
        run(layout)
        assert kept(layout) == server.sounds


def test_it_is_refused_in_a_mirror(run: Run, layout: Layout) -> None:
    text = re.sub(r"(?ms)^\[sources.*?(?=^\[(?!sources)|\Z)", "", layout.settings.read_text())
    mirror = '\n[mirror]\nof = "https://example.org/"\nspace = "1 GB"\nsalt = "0123456789abcdef"\n'
    layout.settings.write_text(text + mirror)
    out, err = run(layout, code=2)
    assert out == ""
    assert "this is a mirror of testing, which alone can run" in err


@pytest.mark.long
def test_disk_that_is_full_at_any_moment_stops_it_with_a_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        for number in range(4):
            put(tmp_path / f"music/{number}.wav", number, 4.0)
        layout = shelf(disk, tmp_path / "music", prepare=False)
        stopped = set()
        for left in (0, 16, 40, 100, 180, 300, 500, 800, 1100, 1400, 1700, 2000, 2500):
            with (disk / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(disk).free - left * 1024 or 1)
            done = tenuto("run", "--archive", layout.root, code=None)
            (disk / "ballast").unlink()
            assert done.returncode in {0, 1}, done.stderr
            assert "a bug" not in done.stderr, (left, done.stderr)
            if done.returncode:
                assert "No space left on device" in done.stderr, (left, done.stderr)
                stopped |= {row.split("  ")[0] for row in done.stdout.splitlines() if "stopped here" in row}
        assert verb(layout, "run") == 0
        assert len(kept(layout)) == 4
        assert leftovers(layout) == []
        assert "keep" in stopped
        assert len(stopped) > 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# -- again and again


@pytest.mark.parametrize(
    "every", ["", "soon", "1", "1 week", "-1d", "1m", "59s", "0.5 min", "367 d", "999999999d", "1e9s", "nan d"]
)
def test_every_that_is_no_duration_or_out_of_bounds_ends_with_2(run: Run, layout: Layout, every: str) -> None:
    before = snapshot(layout.evidence)
    out, err = run(layout, f"--every={every}", code=2)
    assert out == ""
    assert "--every: " in err
    assert snapshot(layout.evidence) == before


def begin(layout: Layout, *words: str, every_min_s: float = 60.0) -> "subprocess.Popen[str]":
    """`tenuto run` as a process; `every_min_s` is as short as --every may be."""
    script = f"import tenuto.cli.run as r, tenuto.cli as c; r._EVERY_MIN_S = {every_min_s}; c.main()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script, "run", *words, "--archive", str(layout.root)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **LOGIN}, start_new_session=True,
    )  # fmt: skip


def lines_of(stream: Any) -> Iterator[tuple[float, str]]:
    for line in stream:
        yield time.monotonic(), line


def group(process: "subprocess.Popen[str]") -> list[str]:
    """What is alive of its processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError):
            continue
        if int(own) == process.pid and state != "Z":
            found.append(folder.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_runs_again_and_ends_at_once_with_130_while_it_sleeps(layout: Layout, number: signal.Signals) -> None:
    process = begin(layout, "--every", "4s", "--json", every_min_s=1)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    reader.start()
    documents = []
    assert process.stdout is not None
    for at, text in lines_of(process.stdout):
        documents.append((at, json.loads(text)))
        if len(documents) == 2:
            break
    until = time.monotonic() + 10
    while sum("next run begins" in one or "the next begins now" in one for one in said) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    stopped_at = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - stopped_at < 2.0
    reader.join(5)
    assert [document["exit_code"] for _, document in documents] == [0, 0]
    begun = [at - document["seconds"] for at, document in documents]
    assert 3.5 < begun[1] - begun[0] < 8.0
    assert "stopped" in "".join(said[-1:])
    assert re.search(r"the next run begins at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+, in \d+ s", "".join(said))
    assert group(process) == []
    process.stdout.close()
    process.stderr.close()


def test_every_goes_on_after_faults_and_ends_where_the_settings_break(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds
        if len(naps) == 1:
            held.pop().__exit__(None, None, None)
        elif len(naps) == 2:
            layout.settings.write_text("what is this")

    clock, held = [1000.0], [ArchiveLock(layout.lock, "withdraw").__enter__()]
    monkeypatch.setattr(module.time, "sleep", nap)
    monkeypatch.setattr(module, "_now_s", lambda: clock[0])
    codes: list[int] = []
    real = module._run_once
    monkeypatch.setattr(module, "_run_once", lambda *a, **k: codes.append(real(*a, **k)) or codes[-1])
    assert module.run(every="2 min", archive=layout.root) == 3
    assert codes == [8, 0, 3]
    assert naps == [120.0, 120.0]


def test_every_keeps_to_its_times_and_begins_at_once_after_a_run_that_took_longer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock, begun = [0.0], []
    took = iter([10.0, 250.0, 1.0, 30.0, 0.0])

    def once(*_: object, **__: object) -> int:
        begun.append(clock[0])
        clock[0] += next(took)
        return 130 if len(begun) == 5 else 5

    monkeypatch.setattr(module, "_run_once", once)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(module, "_now_s", lambda: clock[0])
    assert module._run_again(Path(), 100.0, json=False) == 130
    assert begun == [0.0, 100.0, 350.0, 450.0, 550.0]
    assert "took longer than --every: the next begins now" in capfd.readouterr().err

"""`tenuto doctor` as a command: exit codes, JSON, inside an archive and outside, and what it leaves behind."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import make_archive, tenuto
from tenuto.archive import ArchiveLock, Layout
from tenuto.cli import _run
from tenuto.doctor import clock, disk, speed

pytestmark = pytest.mark.long  # processes, and waiting for them

Run = Callable[..., tuple[int, str, str]]
MACHINE = {
    "cores", "memory_bytes", "descriptors", "sha256_bytes_per_s", "disk_write_bytes_per_s", "disk_read_bytes_per_s",
}  # fmt: skip
MIRROR = f"""\
format = 1
[archive]
name = "testing"
contact = "tests@archive.invalid"
[keys]
signing_public = "{"ab" * 32}"
[mirror]
of = "https://archive.invalid/"
space = "1 MB"
salt = "0123456789abcdef"
"""


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in this process; the disk's kind and speed, and the kernel's clock are as on a good machine."""
    monkeypatch.setattr(disk, "filesystem_of", lambda _: "ext4")
    monkeypatch.setattr(clock, "synchronised", lambda: True)
    monkeypatch.setattr(speed, "measure", lambda folder: speed.Speed(1e9, 1e8, 1e8) if folder else speed.Speed(1e9))
    monkeypatch.delenv("TENUTO_ARCHIVE", raising=False)

    def run_words(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = _run(["doctor", *map(str, words)])
        return (code, *capfd.readouterr())

    return run_words


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_archive(tmp_path)


def topics(document: dict[str, Any], *states: str) -> list[str]:
    return [one["topic"] for one in document["results"] if one["state"] in states]


def test_a_new_archive_is_well_but_its_keys_are_not_backed_up(run: Run, layout: Layout) -> None:
    code, out, _ = run("--archive", layout.root, "--json")
    found = json.loads(out)
    assert (code, found["is_well"]) == (0, True), found
    assert set(found) == {"is_well", "results", "machine"}
    assert set(found["machine"]) == MACHINE
    assert all(set(one) == {"topic", "state", "message", "remedy"} for one in found["results"])
    assert "backup" in topics(found, "warning")
    assert {"settings", "python", "clock", "disk", "room", "keys", "backup", "privacy", "ports", "limits", "libraries",
            "speed"} == set(topics(found, "ok", "note", "warning"))  # fmt: skip


def test_outside_of_any_archive_only_the_machine_is_looked_at(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("--json")
    assert code == 0
    assert {"python", "clock", "ports", "limits", "libraries", "speed"} == set(
        topics(json.loads(out), "ok", "note", "warning")
    )
    code, out, _ = run()
    assert code == 0
    assert "This folder is no archive" in out
    assert list(tmp_path.iterdir()) == []


def test_the_archive_that_one_stands_in_is_looked_at(run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(layout.root)
    assert "archive testing" in run()[1]


@pytest.mark.parametrize("by", ["option", "environment"])
def test_an_archive_that_is_named_and_is_none_ends_with_2(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("TENUTO_ARCHIVE", str(tmp_path))
    code, out, err = run(*(["--archive", tmp_path] if by == "option" else []))
    assert (code, out) == (2, "")
    assert f"no archive at {tmp_path}" in err


def test_something_bad_ends_with_9_and_comes_with_its_remedy(run: Run, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "keys" / "signing.pem").chmod(0o644)
    code, out, _ = run("--archive", layout.root)
    assert code == 9
    assert f"-> chmod 600 {tmp_path / 'keys' / 'signing.pem'}" in out
    assert "1 thing bad" in out


@pytest.mark.parametrize("content", [b"this is = = no toml", b'x = "\xff"', b"", b"format = 1\n"], ids=repr)
def test_broken_settings_are_one_bad_result_and_the_rest_goes_on(run: Run, layout: Layout, content: bytes) -> None:
    layout.settings.write_bytes(content)
    code, out, _ = run("--archive", layout.root, "--json")
    found = json.loads(out)
    assert code == 9
    assert topics(found, "bad") == ["settings"]
    assert "disk" in topics(found, "ok")


def test_a_look_that_breaks_is_one_warning_and_the_rest_goes_on(
    run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("just so")

    monkeypatch.setattr(clock, "look", broken)
    code, out, err = run("--archive", layout.root, "--json")
    found = json.loads(out)
    assert code == 0
    (one,) = [one for one in found["results"] if one["topic"] == "clock"]
    assert (one["state"], one["message"]) == ("warning", "this could not be looked at: ZeroDivisionError: just so")
    assert "Traceback" not in err
    assert "speed" in topics(found, "ok")


def test_what_may_not_be_read_is_bad_and_is_no_bug(run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/secret/signing.pem")

    monkeypatch.setattr("tenuto.doctor.keys.look", refused)
    code, out, _ = run("--archive", layout.root)
    assert code == 9
    assert "Permission denied: /secret/signing.pem" in out
    assert "report it" not in out


def test_a_mirror_has_no_keys_to_look_at(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tenuto.toml").write_text(MIRROR)
    code, out, _ = run("--archive", tmp_path, "--json")
    found = json.loads(out)
    assert code == 0, found
    assert "a mirror of testing" in found["results"][0]["message"]
    assert not {"keys", "backup"} & {one["topic"] for one in found["results"]}
    (room,) = [one for one in found["results"] if one["topic"] == "room"]
    assert "how much of its 1 MB this mirror will fill, no index here says yet" in room["message"]
    code, _, err = run("--archive", tmp_path, "--keys-backup", tmp_path)
    assert code == 2
    assert "has no keys" in err


def test_a_backup_is_compared_and_remembered(run: Run, layout: Layout, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (tmp_path / "keys").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
        (copy / file.name).chmod(0o600)
    code, out, _ = run("--archive", layout.root, "--keys-backup", copy)
    assert code == 0
    assert "lay on the same disk as the keys" in out
    assert (tmp_path / "keys" / "backup.json").is_file()
    (copy / "identity.age").write_text("another\n")
    assert run("--archive", layout.root, "--keys-backup", copy)[0] == 9


@pytest.mark.parametrize("case", ["no archive", "no folder"])
def test_a_backup_that_cannot_be_compared_ends_with_2(
    run: Run, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--keys-backup", tmp_path] if case == "no archive" else [
        "--keys-backup", tmp_path / "nowhere", "--archive", layout.root]  # fmt: skip
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "--keys-backup" in err


def test_it_looks_while_another_process_works_and_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    layout = make_archive(tmp_path)
    with ArchiveLock(layout.lock, "keep"):
        before = {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")}
        start = time.monotonic()
        done = tenuto("doctor", "--archive", layout.root, code=None)
        assert time.monotonic() - start < 20
        assert done.returncode in {0, 9}
        assert "looking" in done.stderr
        assert {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")} == before


def test_few_open_files_of_a_real_process_are_said(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = subprocess.run(
        [sys.executable, "-m", "tenuto", "doctor", "--json"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "TENUTO_ARCHIVE"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard)),
    )
    found = json.loads(done.stdout)
    assert found["machine"]["descriptors"] == 128
    (one,) = [one for one in found["results"] if one["topic"] == "limits" and "open files" in one["message"]]
    assert one["state"] == "warning"
    assert "ulimit -n 256" in one["remedy"]

"""Python, libraries, ports, limits, speed: what a machine without any archive is asked."""

import os
import socket
import sys
import time
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

import pytest

from tenuto.doctor import libraries, limits, ports, speed, trial, versions
from tenuto.doctor.limits import Limits
from tenuto.doctor.result import Result
from tenuto.doctor.speed import Speed


def states(results: list[Result]) -> list[str]:
    return [one.state for one in results]


# --- Python and versions


def test_this_python_and_what_is_installed_are_as_asked_for() -> None:
    (only,) = versions.look()
    assert (only.topic, only.state) == ("python", "ok")


@pytest.mark.parametrize("python", [(3, 10, 12), (3, 14, 0), (2, 7, 18)], ids=str)
def test_a_python_that_tenuto_is_not_made_for_is_bad(python: tuple[int, int, int]) -> None:
    found = versions.look(python)[0]
    assert found.state == "bad"
    assert ".".join(map(str, python)) in found.message
    assert "make clean setup" in found.remedy


def test_an_old_and_a_missing_library_are_named_with_the_command_that_brings_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "duckdb":
            raise metadata.PackageNotFoundError(name)
        return "2.0.11" if name == "libtorrent" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {one.message: one for one in versions.look() if one.state == "bad"}
    assert set(found) == {
        "libtorrent 2.0.11 is installed, Tenuto needs 2.1.1 or later",
        "the library duckdb is not installed",
    }
    assert all(sys.executable in one.remedy and "-m pip install" in one.remedy for one in found.values())
    assert any("'libtorrent>=2.1.1'" in one.remedy for one in found.values())


@pytest.mark.parametrize(
    ("older", "newer"), [("2.9", "2.10"), ("1.0rc1", "1.0.1"), ("2", "2.0.1"), ("18.0.9", "18.1")], ids=str
)
def test_versions_are_compared_by_number(older: str, newer: str) -> None:
    assert versions.parts_of(older) < versions.parts_of(newer)
    assert versions.parts_of("2.0") == versions.parts_of("2")


# --- libraries


def test_every_library_is_really_used_and_works_here() -> None:
    found = libraries.look(libraries.begin(), wait_max_s=60)
    assert states(found) == ["ok"], found
    assert all(name in found[0].message for name in trial.TRIALS)


@pytest.mark.parametrize("name", sorted(trial.TRIALS))
def test_a_trial_says_what_it_did(name: str) -> None:
    assert trial.TRIALS[name]()


def test_a_decoder_that_does_not_decode_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in trial.SAMPLES.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".ogg" else content)
    monkeypatch.setattr(trial, "SAMPLES", tmp_path)
    with pytest.raises(RuntimeError, match="a whole sample of vorbis is not decoded"):
        trial.try_av()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_library_that_kills_its_process_is_bad_and_the_others_are_well() -> None:
    begun = libraries.begin(
        {
            "av": python("import os, signal; os.kill(os.getpid(), signal.SIGILL)"),
            "duckdb": python(""),
            "pyrage": python("raise ImportError('libsomething.so.1: cannot open shared object file')"),
        }
    )
    found = libraries.look(begun, wait_max_s=60)
    assert states(found) == ["ok", "bad", "bad"]
    assert "duckdb" in found[0].message
    assert "av 1" in found[1].message
    assert "dies with SIGILL on this processor" in found[1].message
    assert "libsomething.so.1" in found[2].message
    assert "--force-reinstall 'pyrage>=" in found[2].remedy


def test_libraries_that_hang_are_not_waited_for_and_are_one_warning() -> None:
    hanging = python("import time; time.sleep(60)")
    begun = libraries.begin({"duckdb": python(""), "av": hanging, "pyrage": hanging})
    begun[0].process.wait()
    start = time.monotonic()
    found = libraries.look(begun, wait_max_s=1)
    assert time.monotonic() - start < 10
    assert states(found) == ["ok", "warning"]
    assert "av, pyrage: not tried out within 1 s" in found[1].message
    assert all(one.process.poll() is not None for one in begun)


def test_a_library_that_cannot_be_loaded_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soundfile.py").write_text("raise OSError('sndfile library not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = [sys.executable, "-m", "tenuto.doctor.trial", "soundfile"]
    (only,) = libraries.look(libraries.begin({"soundfile": words}), wait_max_s=60)
    assert only.state == "bad"
    assert "sndfile library not found" in only.message


def test_what_lies_in_the_folder_one_stands_in_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyrage.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert states(libraries.look(libraries.begin(), wait_max_s=60)) == ["ok"]
    assert not (tmp_path / "was-run").exists()


# --- ports


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def test_a_free_port_is_ok_and_what_cannot_be_seen_from_here_is_said() -> None:
    free = free_port()
    found = ports.look(f"127.0.0.1:{free}")
    assert states(found) == ["ok", "note"]
    assert "cannot be seen from here" in found[1].message
    assert f"forward port {free}" in found[1].remedy
    assert states(ports.look(f"127.0.0.1:{free}", is_public=False)) == ["ok"]


@pytest.mark.parametrize("kind", ["TCP", "UDP"])
def test_a_port_that_is_taken_is_a_warning_with_its_holder(kind: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        if kind == "TCP":
            held.listen()
        port = held.getsockname()[1]
        (only,) = [
            one for one in ports.look(f"127.0.0.1:{port},127.0.0.1:{port}", is_public=False) if one.state != "ok"
        ]
    assert only.state == "warning"
    assert f"port {port} ({kind}) is taken by process {os.getpid()}: " in only.message
    assert "listen = " in only.remedy


def test_a_port_that_was_closed_a_moment_ago_is_free() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
    assert states(ports.look(f"127.0.0.1:{port}", is_public=False)) == ["ok"]


def test_our_own_seeding_may_hold_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "holder_of", lambda *_: (4711, "/usr/bin/python3 -m tenuto seed --archive /srv/a"))
    with socket.create_server(("127.0.0.1", 0)) as held:
        found = ports.look(f"127.0.0.1:{held.getsockname()[1]}", is_public=False)
    assert states(found) == ["ok"]
    assert "tenuto seed (process 4711)" in found[0].message


@pytest.mark.parametrize("listen", ["eth0:6881", "6881", "0.0.0.0:99999", ""], ids=repr)
def test_an_address_that_cannot_be_tried_is_a_note(listen: str) -> None:
    assert states(ports.look(listen)) == ["note"]


# --- limits

PLENTY = Limits(descriptors=1024, descriptors_most=4096, memory_bytes=16 * 10**9, cores=4)


def test_enough_of_all_is_ok() -> None:
    assert states(limits.look(PLENTY)) == ["ok", "ok"]
    assert "however many crates" in limits.look(PLENTY)[0].message


@pytest.mark.parametrize(
    ("most", "remedy"), [(4096, "ulimit -n 256"), (255, "LimitNOFILE=256 in the systemd unit, or")]
)
def test_too_few_open_files_to_seed_is_a_warning(most: int, remedy: str) -> None:
    found = limits.look(Limits(255, most, 16 * 10**9, 4))[0]
    assert found.state == "warning"
    assert remedy in found.remedy


def test_no_end_of_open_files_is_enough() -> None:
    assert states(limits.look(Limits(-1, -1, 10**10, 1))) == ["ok", "ok"]
    assert "ulimit -n" in limits.look(Limits(64, -1, 10**10, 1))[0].remedy


@pytest.mark.parametrize(("memory_bytes", "remedy"), [(512 * 10**6, "--workers 1"), (4 * 10**9, "--workers 10")])
def test_little_memory_is_a_warning(memory_bytes: int, remedy: str) -> None:
    found = limits.look(Limits(4096, 4096, memory_bytes, 64))[1]
    assert found.state == "warning"
    assert remedy in found.remedy


def test_what_this_machine_has_is_measured() -> None:
    found = limits.measure()
    assert found.cores >= 1
    assert found.memory_bytes > 10**8


# --- speed


def test_speed_is_measured_quickly_and_leaves_nothing(tmp_path: Path) -> None:
    start = time.monotonic()
    found = speed.measure(tmp_path)
    assert time.monotonic() - start < 10
    assert list(tmp_path.iterdir()) == []
    assert found.sha256 > 10**6
    assert found.fault or (found.write is not None and found.read is not None and min(found.write, found.read) > 0)


def test_a_folder_that_cannot_be_written_is_not_measured_and_says_why() -> None:
    found = speed.measure(Path("/sys/kernel"))
    assert found.write is None
    assert found.fault


def test_speed_without_a_folder_is_that_of_the_processor() -> None:
    found = speed.measure(None)
    assert (found.write, found.read) == (None, None)
    assert states(speed.look(found, None)) == ["ok"]


def test_a_disk_with_little_room_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**8}))
    found = speed.measure(tmp_path)
    assert found.write is None
    assert states(speed.look(found, 0)) == ["note"]


@pytest.mark.parametrize(
    ("crates_bytes", "said"),
    [
        (0, "a check of 1 TB would take about 2.8 hours"),
        (10**12, "the 1 TB here takes about 2.8 hours"),
        (10, "a second"),
    ],
    ids=str,
)
def test_what_the_speed_means_is_said(crates_bytes: int, said: str) -> None:
    (only,) = speed.look(Speed(10**9, 10**8, 10**8), crates_bytes)
    assert only.state == "ok"
    assert said in only.message


def test_a_slow_disk_is_a_warning() -> None:
    assert states(speed.look(Speed(10**9, 10**6, 10**8), 10)) == ["warning"]

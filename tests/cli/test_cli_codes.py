"""Every verb ends with the exit code that docs/errors.md promises, says why on stderr, and leaves stdout to results."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support import make_archive, tenuto, tenuto_json
from tenuto.archive import ArchiveLock, Layout
from tenuto.cli import _run

PERMISSION = 'format = "tenuto-permission-1"\ngrantor = "X"\nground = "owner"\ngranted_on = 2026-01-01\n'
LOGIN = {"TENUTO_S_USER": "me", "TENUTO_S_PASSWORD": "secret-7f3a"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "300")

    def run_words(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = _run([str(word) for word in words])
        return (code, *capfd.readouterr())

    return run_words


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_archive(tmp_path)


def with_source(layout: Layout, text: str) -> None:
    with layout.settings.open("a") as file:
        file.write(text)


def music(folder: Path) -> Path:
    (folder / "music").mkdir()
    return folder / "music"


IN_ARCHIVE = [
    ["source", "list"], ["source", "test", "x"], ["source", "remove", "x"], ["source", "add", "folder", ".", "--name", "x"],
    ["harvest"], ["catalogue", "build"], ["catalogue", "info"], ["plan"], ["status"],
]  # fmt: skip
WRITING = [
    words for words in IN_ARCHIVE if words[0] != "status" and words[-1] not in {"list", "info"} and "test" not in words
]


def test_every_verb_that_needs_an_archive_is_in_the_lists_above(run: Run) -> None:
    for words in IN_ARCHIVE:
        assert "--archive" in run(*words[:2] if words[0] in {"source", "catalogue"} else words[:1], "--help")[1]
    assert len(WRITING) == 5


# --- 2, usage


@pytest.mark.parametrize("words", IN_ARCHIVE, ids=" ".join)
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_a_verb_ends_with_2_where_there_is_no_archive(
    run: Run, tmp_path: Path, words: list[str], json_: list[str]
) -> None:
    code, out, err = run(*words, *json_, "--archive", tmp_path)
    assert (code, out) == (2, "")
    assert f"no archive at {tmp_path}" in err
    assert "tenuto init" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["init"],
        ["init", "FOLDER", "--name", "a"],
        ["init", "FOLDER", "--contact", "a"],
        ["source", "nosuch"],
        ["source", "add", "folder"],
        ["source", "add", "folder", "."],
        ["source", "add", "folder", ".", "--name", "x", "--rate-per-s", "quick"],
        ["source", "test"],
        ["source", "remove"],
        ["source", "permission"],
        ["source", "permission", "nowhere.toml"],
        ["plan", "--nosuch"],
        ["plan", "--budget"],
        ["status", "more"],
        ["catalogue", "build", "--jason"],
    ],
    ids=" ".join,
)
def test_words_that_do_not_fit_end_with_2(run: Run, words: list[str]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "--budget", "lots"],
        ["plan", "--budget", "101%"],
        ["source", "remove", "nobody"],
        ["source", "add", "folder", ".", "--name", "x", "--permission", "nowhere.toml"],
        ["source", "add", "folder", ".", "--name", "x", "--credentials", "nowhere.toml"],
        ["source", "add", "folder", ".", "--name", "x", "--option", "novalue"],
        ["source", "add", "folder", ".", "--name", "x", "--option", "=v"],
        ["catalogue", "build"],
        ["catalogue", "info"],
        ["plan"],
    ],
    ids=" ".join,
)
def test_words_that_do_not_fit_this_archive_end_with_2_and_change_nothing(
    run: Run, layout: Layout, words: list[str]
) -> None:
    before = layout.settings.read_bytes()
    code, out, err = run(*words, "--archive", layout.root)
    assert (code, out) == (2, "")
    assert err.strip()
    assert layout.settings.read_bytes() == before


@pytest.mark.parametrize("words", [["--name", "A B", "--contact", "x"], ["--name", "a", "--contact", " "]])
def test_init_with_a_name_that_cannot_be_ends_with_2_and_makes_nothing(
    run: Run, tmp_path: Path, words: list[str]
) -> None:
    code, out, err = run("init", tmp_path / "a", *words, "--keys", tmp_path / "k")
    assert (code, out) == (2, "")
    assert "1 mistake" in err
    assert list(tmp_path.iterdir()) == []


def test_init_twice_ends_with_2_and_changes_nothing(run: Run, layout: Layout, tmp_path: Path) -> None:
    before = layout.settings.read_bytes()
    code, _, err = run("init", layout.root, "--name", "b", "--contact", "c", "--keys", tmp_path / "other")
    assert code == 2
    assert "is an archive already" in err
    assert layout.settings.read_bytes() == before


# --- 3, settings


@pytest.mark.parametrize("words", IN_ARCHIVE, ids=" ".join)
def test_a_verb_ends_with_3_where_the_settings_are_wrong_and_says_all_of_it(
    run: Run, layout: Layout, words: list[str]
) -> None:
    text = layout.settings.read_text().replace("tries = ", "trys = ").replace('"100%"', '"a lot"')
    layout.settings.write_text(text)
    code, out, err = run(*words, "--archive", layout.root)
    assert (code, out) == (3, "")
    assert "tenuto.toml has 2 mistakes" in err
    assert "did you mean tries?" in err
    assert layout.settings.read_text() == text


@pytest.mark.parametrize("words", IN_ARCHIVE, ids=" ".join)
@pytest.mark.parametrize("content", [b"this is = = no toml", b'x = "\xff"', b""])
def test_a_verb_ends_with_3_where_the_settings_cannot_be_read(
    run: Run, layout: Layout, words: list[str], content: bytes
) -> None:
    layout.settings.write_bytes(content)
    code, out, err = run(*words, "--archive", layout.root)
    assert (code, out) == (3, "")
    assert "tenuto.toml" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["harvest"], "no source yet; add one with"),
        (["harvest", "nobody"], "no source is called nobody"),
        (["source", "test", "nobody"], "no source is called nobody"),
        (["source", "add", "gramophone", "/x", "--name", "x"], "'gramophone' is none; there are"),
        (["source", "add", "folder", "/x", "--name", "X Y"], "a name has 1-40 lower-case letters"),
        (["source", "add", "folder", "/x", "--name", "x", "--rate-per-s", "0"], "rate_per_s: "),
        (["source", "add", "folder", "/x", "--name", "x", "--option", "colour=blue"], "options.colour: "),
        (
            ["source", "add", "subsonic", "http://x.invalid", "--name", "x", "--option", "login=magic"],
            "options.login: ",
        ),
    ],
    ids=str,
)
def test_what_cannot_stand_in_the_settings_ends_with_3_and_changes_nothing(
    run: Run, layout: Layout, words: list[str], said: str
) -> None:
    before = layout.settings.read_bytes()
    code, out, err = run(*words, "--archive", layout.root)
    assert (code, out) == (3, "")
    assert said in err
    assert layout.settings.read_bytes() == before


def test_a_permission_that_is_wrong_ends_with_3_wherever_it_is_read(run: Run, layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(PERMISSION.replace("owner", "whim").replace("grantor", "grantr"))
    for words in (
        ["source", "permission", file],
        ["source", "add", "folder", music(tmp_path), "--name", "x", "--permission", file, "--archive", layout.root],
    ):
        code, out, err = run(*words)
        assert (code, out) == (3, "")
        assert "p.toml has 3 mistakes" in err
    assert "[sources.x]" not in layout.settings.read_text()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_credentials_file_that_others_can_read_ends_with_3(
    run: Run, layout: Layout, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "login.toml"
    file.write_text('user = "me"\npassword = "secret-7f3a"\n')
    file.chmod(mode)
    added = run(
        "source",
        "add",
        "subsonic",
        "http://127.0.0.1:9",
        "--name",
        "s",
        "--credentials",
        file,
        "--archive",
        layout.root,
    )
    assert added[0] in {0, 3}
    if added[0] == 0:
        code, out, err = run("source", "test", "s", "--archive", layout.root)
        assert (code, out) == (3, "")
        assert f"(mode 0{mode:o}); run: chmod 600 {file}" in err
        assert "secret-7f3a" not in err


def test_a_server_without_a_login_ends_with_3_and_says_how_to_give_one(run: Run, layout: Layout) -> None:
    run("source", "add", "subsonic", "http://127.0.0.1:9", "--name", "my-server", "--archive", layout.root)
    for verb in (["source", "test"], ["harvest"]):
        code, out, err = run(*verb, "my-server", "--archive", layout.root)
        assert (code, out) == (3, "")
        assert "TENUTO_MY_SERVER_PASSWORD" in err


# --- logins never on the command line


@pytest.mark.parametrize("key", ["password", "PASSWORD", "token", "user", "api_key", "apikey", "secret"])
def test_a_login_on_the_command_line_is_refused_without_repeating_it(run: Run, layout: Layout, key: str) -> None:
    before = layout.settings.read_bytes()
    code, out, err = run(
        "source",
        "add",
        "subsonic",
        "http://x.invalid",
        "--name",
        "s",
        "--option",
        f"{key}=secret-7f3a",
        "--archive",
        layout.root,
    )
    assert (code, out) == (2, "")
    assert "never goes on the command line" in err
    assert "secret-7f3a" not in err
    assert layout.settings.read_bytes() == before


@pytest.mark.parametrize(
    "location",
    [
        "http://me:secret-7f3a@x.invalid",
        "https://secret-7f3a@x.invalid/rest",
        "http://x.invalid/rest/ping.view?u=me&p=secret-7f3a",
        "http://x.invalid/#secret-7f3a",
        "HTTP://me:secret-7f3a@x.invalid",
        "me:secret-7f3a@x.invalid",
    ],
)
def test_an_address_that_may_hold_a_login_is_refused_without_repeating_it(
    run: Run, layout: Layout, location: str
) -> None:
    before = layout.settings.read_bytes()
    code, out, err = run("source", "add", "subsonic", location, "--name", "s", "--archive", layout.root)
    assert (code, out) == (2, "")
    assert "LOCATION is refused" in err
    assert "secret-7f3a" not in err
    assert layout.settings.read_bytes() == before


def test_a_login_in_settings_written_by_hand_is_refused_without_repeating_it(run: Run, layout: Layout) -> None:
    with_source(layout, '\n[sources.s]\nkind = "subsonic"\nlocation = "http://me:secret-7f3a@x.invalid"\n')
    code, out, err = run("status", "--archive", layout.root)
    assert (code, out) == (3, "")
    assert "A login in it would be written down" in err
    assert "secret-7f3a" not in err


# --- 5, 6, 7, 8, 130


def test_a_server_that_is_gone_ends_with_5(run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    layout.settings.write_text(layout.settings.read_text().replace("tries = 5", "tries = 1"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        run(
            "source",
            "add",
            "subsonic",
            f"http://127.0.0.1:{closed.getsockname()[1]}",
            "--name",
            "s",
            "--archive",
            layout.root,
        )
        for verb in (["source", "test"], ["harvest"]):
            code, out, err = run(*verb, "s", "--archive", layout.root)
            assert (code, out) == (5, "")
            assert "secret-7f3a" not in err


def test_a_permission_that_forbids_asking_ends_with_6_and_keeps_nothing(
    run: Run, layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "p.toml").write_text(PERMISSION + "[harvest]\nmetadata = false\n")
    run(
        "source",
        "add",
        "folder",
        music(tmp_path),
        "--name",
        "x",
        "--permission",
        tmp_path / "p.toml",
        "--archive",
        layout.root,
    )
    for verb in (["harvest"], ["source", "test"]):
        code, out, err = run(*verb, "x", "--archive", layout.root)
        assert (code, out) == (6, "")
        assert "forbids harvesting its metadata; nothing was asked" in err
    assert not layout.evidence.exists()


def test_json_of_a_harvest_that_failed_is_one_line_and_the_code_is_that_of_the_fault(
    run: Run, layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "p.toml").write_text(PERMISSION + "[harvest]\nmetadata = false\n")
    run(
        "source",
        "add",
        "folder",
        music(tmp_path),
        "--name",
        "x",
        "--permission",
        tmp_path / "p.toml",
        "--archive",
        layout.root,
    )
    code, out, _ = run("harvest", "x", "--json", "--archive", layout.root)
    assert code == 6
    (only,) = json.loads(out)["failed"]
    assert (only["source"], only["exit_code"]) == ("x", 6)
    with wave.open(str(tmp_path / "music" / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    run("source", "add", "folder", tmp_path / "music", "--name", "y", "--archive", layout.root)
    code, out, _ = run("harvest", "--json", "--archive", layout.root)
    assert code == 9
    assert [harvest["source"] for harvest in json.loads(out)["harvests"]] == ["y"]


@pytest.mark.parametrize("verb", [["catalogue", "info"], ["plan"], ["status"]], ids=" ".join)
def test_an_edition_that_is_not_what_was_promised_ends_with_7(run: Run, layout: Layout, verb: list[str]) -> None:
    folder = layout.edition("2026-01-01-00000000")
    folder.mkdir(parents=True)
    (layout.catalogue / "current").write_text(f"{folder.name}\n")
    for content in (None, b"{", b"[]", b'{"format": "tenuto-edition-999"}', b"\xff"):
        if content is not None:
            (folder / "edition.json").write_bytes(content)
        code, out, err = run(*verb, "--archive", layout.root)
        assert (code, out) == (7, ""), (content, err)


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_verb_that_writes_ends_with_8_where_another_works(run: Run, layout: Layout, words: list[str]) -> None:
    with ArchiveLock(layout.lock, "harvest"):
        code, out, err = run(*words, "--archive", layout.root)
    assert (code, out) == (8, "")
    assert "in use by tenuto harvest (process " in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_verb_that_is_stopped_ends_with_130_and_says_how_to_go_on(layout: Layout, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        place = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tenuto("source", "add", "subsonic", place, "--name", "s", "--archive", layout.root)
        words = [sys.executable, "-m", "tenuto", "harvest", "--archive", str(layout.root)]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | LOGIN
        ) as stopped:
            silent.accept()[0].close()  # it has begun to ask
            time.sleep(0.1)
            stopped.send_signal(number)
            out, err = stopped.communicate(timeout=30)
    assert (stopped.returncode, out) == (130, "")
    assert "stopped; what was finished is kept" in err
    assert "Traceback" not in err
    assert "secret-7f3a" not in err


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["source", "permission", "--template"]], ids=" ".join
)
def test_a_reader_that_goes_away_is_no_fault(layout: Layout, words: Sequence[str]) -> None:
    where = ["--archive", str(layout.root)] if words[0] == "status" else []
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-m", "tenuto", *words, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 0


@pytest.mark.parametrize(("place", "code"), [(None, 130), ("/archive/crates/a.zip", 1)])
def test_a_disk_that_cannot_be_read_is_no_closed_terminal(place: str | None, code: int) -> None:
    script = f"""
import errno, sys
import tenuto.cli
def fail(*_, **__):
    sys.stdin.read()
    raise OSError(errno.EIO, "Input/output error", {place!r})
tenuto.cli.app = fail
tenuto.cli.main(["check"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        writer.stdin.close()
        said = writer.stderr.read().decode()
    assert writer.returncode == code, said
    assert ("the system says /archive/crates/a.zip: Input/output error" in said) == (code == 1)


def test_a_bug_ends_with_1_and_says_how_to_see_it(run: Run, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("at noon")

    monkeypatch.setattr("tenuto.crates.status.archive_status", fail)
    monkeypatch.delenv("TENUTO_DEBUG", raising=False)
    code, out, err = run("status", "--archive", layout.root)
    assert (code, out) == (1, "")
    assert "a bug: ZeroDivisionError: at noon" in err
    assert "TENUTO_DEBUG=1" in err
    monkeypatch.setenv("TENUTO_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("status", "--archive", layout.root)


def test_a_disk_that_is_full_ends_with_1_and_is_called_no_bug(
    run: Run, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    before = layout.settings.read_bytes()
    code, out, err = run("source", "add", "folder", music(tmp_path), "--name", "x", "--archive", layout.root)
    assert (code, out) == (1, "")
    assert "the system says: No space left on device" in err
    assert layout.settings.read_bytes() == before


# --- what is not written


def test_no_verb_writes_into_an_archive_that_it_only_looks_at(run: Run, layout: Layout) -> None:
    for words in (["status"], ["source", "list"], ["catalogue", "info"]):
        run(*words, "--archive", layout.root)
    assert [file.name for file in layout.root.iterdir()] == ["tenuto.toml"]


def test_an_archive_may_be_named_by_the_environment_and_by_where_one_stands(tmp_path: Path, layout: Layout) -> None:
    named = tenuto_json("status", env={"TENUTO_ARCHIVE": str(layout.root)})
    assert named["archive"] == "testing"
    here = subprocess.run(
        [sys.executable, "-m", "tenuto", "status", "--json"], cwd=layout.root, capture_output=True, check=True
    )
    assert json.loads(here.stdout) == named


def test_a_word_that_is_no_utf8_ends_with_2(run: Run) -> None:
    code, out, err = run("status", "--archive", "bad\udcff")
    assert (code, out) == (2, "")
    assert "no UTF-8" in err


def test_one_source_that_the_system_refuses_does_not_stop_the_next(run: Run, layout: Layout, tmp_path: Path) -> None:
    folder = music(tmp_path)
    with wave.open(str(folder / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    for name in ("a", "b"):
        run("source", "add", "folder", folder, "--name", name, "--archive", layout.root)
    layout.evidence.mkdir()
    layout.harvests("a").write_text("a file where a folder should be")
    code, out, _ = run("harvest", "--json", "--archive", layout.root)
    said = json.loads(out)
    assert code == 9
    assert [one["source"] for one in said["failed"]] == ["a"]
    assert [one["source"] for one in said["harvests"]] == ["b"]


def test_a_source_is_not_tested_while_another_process_asks(run: Run, layout: Layout, tmp_path: Path) -> None:
    run("source", "add", "folder", music(tmp_path), "--name", "a", "--archive", layout.root)
    with ArchiveLock(layout.lock, "harvest"):
        code, _, err = run("source", "test", "a", "--archive", layout.root)
    assert code == 8
    assert "tenuto harvest" in err

"""A harvest that is stopped, resumed, resumed otherwise, or run twice at once; and one of a folder."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import lying_server as lying
from harvesting import (
    LOGIN,
    NAME,
    PERMISSION,
    answers,
    archive_of,
    codes,
    evidence_set,
    folders,
    leaks,
    manifest_of,
    run,
    shop,
)
from lying_server import PASSWORD, LyingServer
from support import tenuto
from tenuto.archive import Layout
from tenuto.archive.template import with_source
from tenuto.evidence.harvests import unfinished_harvest
from tenuto.model.answers import FAILED, MISSING
from tenuto.sources.folder import Folder, connector


def started(layout: Layout, server: LyingServer, answered: int) -> subprocess.Popen[str]:
    """`tenuto harvest` as a process that has had so many answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tenuto", "harvest", "--archive", str(layout.root)],
        env={**os.environ, **LOGIN}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while len(server.requests(answered=True)) < answered:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_harvest_that_is_stopped_keeps_what_came_and_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    with LyingServer(albums=12, songs=1, delay_s=0.03) as server:
        layout = shop(tmp_path, server, politeness={"concurrency": 4})
        process = started(layout, server, 9)
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        assert "stopped" in err
        assert leaks(layout.root, {PASSWORD} | server.secrets_sent(), out, err) == []
        [folder] = folders(layout)
        assert not (folder / "harvest.json").exists()
        had = set(answers(folder)) | {"robots.txt"}
        assert had == set(server.requests(answered=True))  # what was on its way when the stop came is kept too
        server.forget()
        assert run(layout) == 0
        assert set(server.requests()) & had == {"robots.txt"}
        assert folders(layout) == [folder]
        assert manifest_of(layout).reconciled[0].found == 12


@pytest.mark.long
def test_a_second_process_is_told_who_works_in_the_archive(tmp_path: Path) -> None:
    with LyingServer(delay_s=0.1) as server:
        layout = shop(tmp_path, server)
        process = started(layout, server, 1)
        second = tenuto("harvest", "--archive", layout.root, env=LOGIN, code=8)
        assert f"process {process.pid}" in second.stderr
        assert process.communicate(timeout=30) is not None
        assert process.returncode == 0
        assert len(server.requests()) == len(set(server.requests()))
        assert run(layout) == 0


def interrupted(folder: Path, server: LyingServer, **settings: object) -> Layout:
    """An archive whose harvest stopped half-way."""
    layout = shop(folder, server, **settings)
    server.go_down(after=8)
    assert run(layout) == 5
    server.come_back()
    server.forget()
    return layout


def change(layout: Layout, old: str, new: str) -> None:
    text = layout.settings.read_text()
    assert old in text
    layout.settings.write_text(text.replace(old, new))


def test_an_interrupted_harvest_is_left_behind_when_asked_to(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = interrupted(tmp_path, server)
        assert run(layout, "--fresh") == 0
        assert len(folders(layout)) == 2
        assert server.requests().count("ping?f=json") == 1
        assert manifest_of(layout).harvest == folders(layout)[1].name


def test_an_interrupted_harvest_is_left_behind_when_the_source_is_another(tmp_path: Path) -> None:
    with LyingServer() as server, LyingServer(albums=2) as other:
        layout = interrupted(tmp_path, server)
        change(layout, server.url, other.url)
        assert run(layout) == 0
        assert server.log == []
        assert len(folders(layout)) == 2
        assert manifest_of(layout).reconciled[0].found == 6


def test_an_interrupted_harvest_goes_on_when_only_the_manners_change(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = interrupted(tmp_path, server)
        change(layout, "concurrency = 2", "concurrency = 5")
        assert run(layout) == 0
        assert len(folders(layout)) == 1
        assert "ping?f=json" not in server.requests()


def test_robots_txt_that_forbids_by_now_stops_a_harvest_that_goes_on(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = interrupted(tmp_path, server)
        server.manner.robots = (200, b"User-agent: *\nDisallow: /\n")
        assert run(layout) == 6
        assert server.requests() == ["robots.txt"]


def test_a_permission_withdrawn_in_between_stops_a_harvest_that_goes_on(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = interrupted(tmp_path, server, permission=PERMISSION.format(metadata="true"))
        (tmp_path / "permission.toml").write_text(PERMISSION.format(metadata="false"))
        assert run(layout) == 6
        assert server.log == []


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty folder", "no start"])
def test_a_harvest_whose_files_suffered_goes_on_and_ends_whole(tmp_path: Path, damage: str) -> None:
    with LyingServer() as server:
        layout = interrupted(tmp_path, server)
        [folder] = folders(layout)
        [file] = folder.glob("*.warc.gz")
        raw = bytearray(file.read_bytes())
        if damage == "torn":
            file.write_bytes(raw[:-30])
        elif damage == "flipped":
            raw[len(raw) // 2] ^= 0xFF
            file.write_bytes(raw)
        elif damage == "empty folder":
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            (folder / "started.json").write_text("{")
        assert run(layout) == 0
        assert manifest_of(layout).reconciled[0].found == len(server.songs)
        assert codes(layout) == ({"evidence-damaged"} if damage == "flipped" else set())
        assert len(folders(layout)) == (1 if damage in {"torn", "flipped"} else 2)


def test_the_newest_folder_alone_may_be_resumed(tmp_path: Path) -> None:
    assert unfinished_harvest(tmp_path / "nowhere") is None
    for name, is_done in (("20260101T000000Z-00", False), ("20260102T000000Z-00", True)):
        (tmp_path / name).mkdir()
        if is_done:
            (tmp_path / name / "harvest.json").touch()
    assert unfinished_harvest(tmp_path) is None
    (tmp_path / "20260103T000000Z-00").mkdir()
    assert unfinished_harvest(tmp_path) == tmp_path / "20260103T000000Z-00"


def test_a_finished_harvest_lists_its_files_with_their_digests(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
    [folder] = folders(layout)
    [listed] = json.loads((folder / "harvest.json").read_text())["files"]
    content = (folder / listed["name"]).read_bytes()
    assert (listed["bytes"], listed["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert listed["records"] == len(answers(folder))


def test_two_harvests_of_what_did_not_change_hold_equal_evidence(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = shop(tmp_path, server)
        assert run(layout) == run(layout) == 0
        one, two = folders(layout)
        assert evidence_set(one) == evidence_set(two)
        server.albums[2]["song"][0]["title"] = "renamed"
        assert run(layout) == 0
        changed = evidence_set(folders(layout)[2]) ^ evidence_set(one)
        assert {key.partition("?")[0] for key, *_ in changed} == {"getAlbum", "search3"}


# A folder


def a_shelf(root: Path, count: int = 6) -> Path:
    root.mkdir()
    for number in range(count):
        soundfile.write(root / f"{number}.flac", np.zeros((800, 1)), 8000)
    return root


def shelf_archive(folder: Path, shelf: Path) -> Layout:
    return archive_of(folder, str(shelf), "folder")


def test_a_folder_is_harvested_whatever_is_wrong_with_some_of_its_files(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path / "shelf")
    (shelf / "empty.ogg").touch()
    (shelf / "poem.mp3").write_text("a poem " * 500)
    (shelf / "link.flac").symlink_to("0.flac")
    (shelf / os.fsdecode(b"caf\xe9\n \xff .flac")).write_bytes((shelf / "0.flac").read_bytes())
    layout = shelf_archive(tmp_path, shelf)
    assert run(layout) == 0
    assert manifest_of(layout).reconciled[0].found == 7
    assert manifest_of(layout).robots is None
    evidence = evidence_set(folders(layout)[0])
    assert run(layout) == 0
    assert evidence_set(folders(layout)[1]) == evidence


def test_a_file_that_goes_away_in_mid_harvest_is_missing_and_the_rest_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = a_shelf(tmp_path / "shelf")
    fetch = Folder.fetch

    def vanishing(self: Folder, request: object) -> object:
        answer = fetch(self, request)  # type: ignore[arg-type]
        if answer.request.key == "listing":
            (shelf / "3.flac").unlink()
        return answer

    monkeypatch.setattr(Folder, "fetch", vanishing)
    layout = shelf_archive(tmp_path, shelf)
    assert run(layout) == 9
    kept = answers(folders(layout)[0])
    assert kept["audio/3.flac"].outcome == MISSING
    assert manifest_of(layout).reconciled[0].found == 5


def test_a_file_that_cannot_be_read_is_failed_and_the_listing_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = a_shelf(tmp_path / "shelf")
    real, listed = os.open, []

    def refusing(path: object, *how: object, **more: object) -> int:
        if str(path).endswith("3.flac"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *how, **more)  # type: ignore[arg-type]

    walk = connector.walk
    monkeypatch.setattr(connector, "walk", lambda root: listed.append(root) or walk(root))
    monkeypatch.setattr(connector.os, "open", refusing)
    layout = shelf_archive(tmp_path, shelf)
    assert run(layout) == 9
    assert answers(folders(layout)[0])["audio/3.flac"].outcome == FAILED
    assert len(listed) == 1


def test_a_folder_is_asked_for_nothing_twice_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = a_shelf(tmp_path / "shelf")
    fetch, asked = Folder.fetch, []

    def stopping(self: Folder, request: object) -> object:
        asked.append(request.key)  # type: ignore[attr-defined]
        if len(asked) == 4:
            raise KeyboardInterrupt
        return fetch(self, request)  # type: ignore[arg-type]

    monkeypatch.setattr(Folder, "fetch", stopping)
    layout = shelf_archive(tmp_path, shelf)
    assert run(layout) == 130
    kept = set(answers(folders(layout)[0]))
    assert len(kept) >= 3
    assert run(layout) == 0
    assert set(asked[4:]) >= set(answers(folders(layout)[0])) - kept
    assert not (set(asked[len(kept) + 1 :]) & kept)
    monkeypatch.undo()
    assert run(layout) == 0
    one, two = folders(layout)
    assert evidence_set(one) == evidence_set(two)


def test_several_sources_are_harvested_and_the_fault_of_one_leaves_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LyingServer(albums=1) as server:
        layout = shop(tmp_path, server)
        shelf = {"kind": "folder", "location": str(a_shelf(tmp_path / "shelf"))}
        nowhere = {"kind": "folder", "location": str(tmp_path / "nowhere")}
        text = with_source(with_source(layout.settings.read_text(), "shelf", shelf), "attic", nowhere)
        layout.settings.write_text(text)
        server.lie(lying.answer(500), call="ping")
        assert run(layout) == 9
        assert (layout.harvests("shelf")).is_dir()
        err = capfd.readouterr().err
        assert f"tenuto: {NAME}: " in err
        assert "tenuto: attic: " in err

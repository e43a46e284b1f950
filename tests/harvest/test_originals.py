"""Fetching recordings: whole or not at all, digests taken on the way, and politely."""

import hashlib
import os
import threading
import time
import zlib
from pathlib import Path

import pytest

from harvesting import LOGIN, NAME, archive_of
from keep_maker import Shop, body, endless, put
from lying_server import answer, drop
from tenuto.archive import load_settings
from tenuto.harvest.originals import open_originals
from tenuto.harvest.pace import Pace, slot
from tenuto.model.errors import RetriableError, SkipRecordError, SourceDownError, SourceRefusedError
from tenuto.model.progress import Silent
from tenuto.sources.folder.connector import Folder

MAX = 10**7


class Said(Silent):
    def __init__(self):
        self.sentences = []

    def say(self, message):
        self.sentences.append(message)


@pytest.fixture(autouse=True)
def _login(monkeypatch):
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def server():
    with Shop() as running:
        yield running


def opened(folder, location, kind="subsonic", progress=None, **politeness):
    layout = archive_of(folder, location, kind, politeness=politeness)
    return open_originals(layout, load_settings(layout.settings), NAME, progress or Silent())


def test_recording_is_written_whole_with_the_digests_of_its_bytes(server, tmp_path):
    with opened(tmp_path, server.url) as originals:
        for own, content in server.sounds.items():
            fetched = originals.fetch(own, tmp_path / own, MAX)
            assert (tmp_path / own).read_bytes() == content
            assert fetched.sha256 == hashlib.sha256(content).hexdigest()
            assert (fetched.bytes, fetched.crc32) == (len(content), zlib.crc32(content))


def test_second_try_begins_anew(server, tmp_path):
    with opened(tmp_path, server.url) as originals:
        content = server.sounds["so-0000-0"]
        server.lie(body(content[:100], Content_Length="999999"), own_id="so-0000-0", times=1)
        fetched = originals.fetch("so-0000-0", tmp_path / "x", MAX)
        assert (tmp_path / "x").read_bytes() == content
        assert fetched.bytes == len(content)


def test_tries_end_and_the_greeting_tells_whether_the_source_is_still_there(server, tmp_path):
    with opened(tmp_path, server.url, tries=3) as originals:
        server.lie(answer(500), call="download", own_id="so-0000-0")
        with pytest.raises(RetriableError, match="given up after 3 tries"):
            originals.fetch("so-0000-0", tmp_path / "x", MAX)
        assert server.downloads().count("so-0000-0") == 3
        server.go_down()
        with pytest.raises(SourceDownError, match="run tenuto keep again"):
            originals.fetch("so-0000-1", tmp_path / "x", MAX)


def test_source_that_is_down_from_the_first_is_said_with_the_right_command(server, tmp_path):
    server.lie(drop, call="ping")
    with pytest.raises(SourceDownError) as caught, opened(tmp_path, server.url):
        pass
    assert "tenuto keep" in str(caught.value)
    assert "tenuto harvest" not in str(caught.value)


def test_endless_body_is_cut_off(server, tmp_path):
    server.lie(endless, call="download")
    with opened(tmp_path, server.url) as originals, pytest.raises(SkipRecordError, match="cut off"):
        originals.fetch("so-0000-0", tmp_path / "x", 3 * 2**20)
    assert (tmp_path / "x").stat().st_size <= 3 * 2**20


def test_full_disk_is_an_error_of_the_system_and_not_of_the_source(tmp_path):
    put(tmp_path / "music/a.flac", 1)
    with (
        opened(tmp_path, str(tmp_path / "music"), "folder") as originals,
        pytest.raises(OSError, match="No space left"),
    ):
        originals.fetch("a.flac", _Full(), MAX)


class _Full:
    """A path on a disk that is full."""

    def open(self, mode):
        return Path("/dev/full").open(mode, buffering=0)


def test_file_that_changes_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    file = put(tmp_path / "music/a.flac", 1)
    right, changed = Folder.download, []

    def download(self, request, sink, max_bytes):
        found = right(self, request, sink, max_bytes)
        if not changed:
            changed.append(put(file, 2, 0.9))
        return found

    monkeypatch.setattr(Folder, "download", download)
    said = Said()
    with opened(tmp_path, str(tmp_path / "music"), "folder", said) as originals:
        fetched = originals.fetch("a.flac", tmp_path / "x", MAX)
    assert (tmp_path / "x").read_bytes() == file.read_bytes()
    assert fetched.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert any("changed while it was read" in sentence for sentence in said.sentences)


@pytest.mark.parametrize("what", ["gone", "link", "folder", "fifo", "unreadable", "outside"])
def test_what_is_no_plain_file_of_the_folder_is_not_read(what, tmp_path):
    music = tmp_path / "music"
    put(music / "other.flac", 1)
    put(tmp_path / "secret.flac", 2)
    own = "a.flac"
    if what == "link":
        (music / own).symlink_to(tmp_path / "secret.flac")
    elif what == "folder":
        (music / own).mkdir()
    elif what == "fifo":
        os.mkfifo(music / own)
    elif what == "unreadable":
        (music / own).symlink_to(own)
    elif what == "outside":
        (music / "sub").symlink_to(tmp_path)
        own = "sub/missing.flac"
    with opened(tmp_path, str(music), "folder") as originals, pytest.raises(SkipRecordError) as caught:
        originals.fetch(own, tmp_path / "x", MAX)
    assert caught.value.is_gone == (what in {"gone", "outside"})


def test_folder_that_was_taken_away_is_no_file_that_is_gone(tmp_path):
    music = tmp_path / "music"
    put(music / "a.flac", 1)
    with opened(tmp_path, str(music), "folder") as originals:
        music.rename(tmp_path / "away")
        with pytest.raises(SourceRefusedError, match="mount it"):
            originals.fetch("a.flac", tmp_path / "x", MAX)


def test_state_of_a_file_tells_that_it_changed_and_is_empty_where_nobody_knows(server, tmp_path):
    file = put(tmp_path / "music/a.flac", 1)
    (tmp_path / "other").mkdir()
    with opened(tmp_path, str(tmp_path / "music"), "folder") as originals:
        before = originals.state_of("a.flac")
        os.utime(file, (1, 1))
        assert originals.state_of("a.flac") != before
        assert originals.state_of("b.flac") == ""
    with opened(tmp_path / "other", server.url) as originals:
        assert originals.state_of("so-0000-0") == ""


def test_pause_that_the_source_asks_for_holds_for_everyone(tmp_path):
    one, other = Pace(1000, tmp_path / "pace"), Pace(1000, tmp_path / "pace")
    one.wait()
    one.hold_back(0.3)
    begun = time.monotonic()
    other.wait()
    assert time.monotonic() - begun >= 0.25


def test_places_are_as_many_as_the_source_allows(tmp_path):
    now, most, lock = [0], [0], threading.Lock()

    def work():
        with slot(tmp_path / "slots", "shop", 2):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.05)
            with lock:
                now[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2

"""Exporting: the file is absent or whole, nobody's file is lost, and what cannot be is said."""

import fcntl
import json
import os
import sqlite3
import subprocess
import zipfile
from contextlib import closing

import bagit
import pytest

from export_maker import NAME, TRACKS, make_edition, rows
from support import make_archive, need_program
from tenuto.archive import load_settings
from tenuto.catalogue import open_current
from tenuto.catalogue.export import sqlite as sqlite_module
from tenuto.catalogue.export import write_csv, write_jsonl, write_sqlite
from tenuto.cli import _run
from tenuto.model.errors import ArchiveInUseError, IntegrityError, UsageError
from tenuto.model.progress import Silent
from tenuto.publication.metadata import metadata_crate
from tenuto.sources import check_options

ROWS = rows()
WRITERS = [write_sqlite, write_jsonl, write_csv]


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = make_archive(tmp_path_factory.mktemp("made"))
    make_edition(layout, {}, "2025-01-01-00000000")
    make_edition(layout, ROWS)
    return layout


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    return make_edition(make_archive(tmp_path_factory.mktemp("own")), ROWS)


def _names(folder):
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_is_there_stays_unless_it_may_be_replaced(edition, tmp_path, write):
    file = tmp_path / "out"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"there already.*--force"):
        write(edition, file, Silent())
    assert (file.read_text(), _names(tmp_path)) == ("mine", ["out"])
    write(edition, file, Silent(), may_replace=True)
    assert (file.stat().st_size > TRACKS, _names(tmp_path)) == (True, ["out"])


def test_a_file_that_appears_meanwhile_stays(edition, tmp_path):
    file = tmp_path / "out"

    class Meanwhile(Silent):
        def begin(self, label, total=None, unit=""):
            file.write_text("mine")

    with pytest.raises(UsageError, match="there already"):
        write_jsonl(edition, file, Meanwhile())
    assert (file.read_text(), _names(tmp_path)) == ("mine", ["out"])


def test_a_link_that_leads_nowhere_is_a_name_that_is_taken(edition, tmp_path):
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(UsageError, match="there already"):
        write_csv(edition, tmp_path / "out", Silent())
    assert _names(tmp_path) == ["out"]


def test_what_a_killed_export_left_is_written_over_and_a_link_in_its_place_is_not_followed(edition, tmp_path):
    (tmp_path / ".making-out").write_bytes(b"x" * 10_000_000)
    write_sqlite(edition, tmp_path / "out", Silent())
    with closing(sqlite3.connect(tmp_path / "out")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".making-more").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        write_csv(edition, tmp_path / "more", Silent())
    assert (tmp_path / "victim").read_text() == "mine"


def test_two_exports_to_one_name_do_not_write_into_each_other(edition, tmp_path):
    with (tmp_path / ".making-out").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ArchiveInUseError, match="another process is writing"):
            write_csv(edition, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", WRITERS)
def test_a_stop_leaves_nothing(edition, tmp_path, write):
    class Stopped(Silent):
        def advance(self, done=1, total=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(edition, tmp_path / "out", Stopped())
    assert _names(tmp_path) == []


def test_a_stop_is_heard_within_a_long_statement(edition, tmp_path, monkeypatch):
    class Stopped(Silent):
        def advance(self, done=1, total=None):
            if not done:
                raise KeyboardInterrupt

    monkeypatch.setattr(sqlite_module, "_STEPS", 10)
    with pytest.raises(KeyboardInterrupt):
        write_sqlite(edition, tmp_path / "out", Stopped())
    assert _names(tmp_path) == []


def test_a_database_for_which_there_is_no_room_is_said_as_the_system_says_it(edition, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_module, "_SETTINGS", (*sqlite_module._SETTINGS, "max_page_count = 20"))
    with pytest.raises(OSError, match="No space left") as raised:
        write_sqlite(edition, tmp_path / "out", Silent())
    assert raised.value.filename
    assert _names(tmp_path) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_single_bit_that_flipped_is_said_and_nothing_is_written(tmp_path, write):
    edition = make_edition(make_archive(tmp_path), ROWS)
    (file,) = edition.files("track")
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    (tmp_path / "to").mkdir()
    with pytest.raises(IntegrityError, match=r"track\.parquet has sha256 .*tenuto catalogue build"):
        write(edition, tmp_path / "to" / "out", Silent())
    assert _names(tmp_path / "to") == []


@pytest.fixture
def verb(layout, capsys):
    """The verb within this process: what it printed, and on stderr."""

    def run(*words, code=0, archive=layout.root):
        assert _run(["catalogue", "export", "--archive", str(archive), *map(str, words)]) == code
        return capsys.readouterr()

    return run


def test_the_verb_writes_each_form(verb, tmp_path):
    for form, name in (("sqlite", "out.db"), ("csv", "out.csv.gz"), ("jsonl", "out.jsonl.zst")):
        words = ("--as", form, "--into", tmp_path / name)
        assert json.loads(verb(*words, "--json").out) == {
            "edition": NAME, "form": form, "path": str(tmp_path / name), "tracks": TRACKS,
            "bytes": (tmp_path / name).stat().st_size}  # fmt: skip
    assert "there already" in verb(*words, code=2).err
    assert f"edition {NAME}, {TRACKS} tracks" in verb(*words, "--force").out


def test_stdout_takes_lines_alone(verb):
    lines = verb("--into", "-", "--as", "jsonl").out.split("\n")
    assert [json.loads(line)["track_row"] for line in lines[:-1]] == list(range(TRACKS))
    for off in (("--as", "sqlite"), ("--as", "crate"), ("--as", "csv", "--json")):
        assert "--into -" in verb("--into", "-", *off, code=2).err


def test_an_edition_is_named_and_one_that_is_not_there_is_said(verb, tmp_path):
    words = ("--as", "csv", "--into")
    older = json.loads(verb(*words, tmp_path / "a.csv", "--edition", "2025-01-01-00000000", "--json").out)
    assert (older["edition"], older["tracks"]) == ("2025-01-01-00000000", 0)
    for name in ("2024-01-01-00000000", "../../elsewhere", ""):
        said = verb(*words, tmp_path / "b.csv", f"--edition={name}", code=2).err
        assert f"there is no edition {name!r}; there are: 2025-01-01-00000000, {NAME}" in said
    assert "there is no folder" in verb(*words, tmp_path / "no" / "b.csv", code=2).err
    assert "is a folder" in verb(*words, tmp_path, code=2).err
    assert _names(tmp_path) == ["a.csv"]


def test_an_archive_without_a_catalogue_says_what_to_do(verb, tmp_path):
    root = make_archive(tmp_path).root
    assert "tenuto catalogue build" in verb("--as", "csv", "--into", tmp_path / "a", archive=root, code=2).err


def test_a_crate_is_the_file_that_is_published_and_strangers_accept_it(layout, verb, tmp_path):
    words = ("--as", "crate", "--into")
    path = json.loads(verb(*words, tmp_path, "--json").out)["path"]
    assert not layout.crates.is_dir() or _names(layout.crates) == [], "an export changes nothing in the archive"
    name = f"testing-metadata-{NAME}"
    assert (path, _names(tmp_path)) == (str(tmp_path / f"{name}.zip"), [f"{name}.torrent", f"{name}.zip"])
    assert "there already" in verb(*words, tmp_path, code=2).err
    published = metadata_crate(layout, load_settings(layout.settings, check_options), open_current(layout))
    for suffix in (".zip", ".torrent"):
        assert published.with_suffix(suffix).read_bytes() == (tmp_path / f"{name}{suffix}").read_bytes()
    subprocess.run([need_program("unzip"), "-tq", path], check=True, capture_output=True)
    with zipfile.ZipFile(path) as crate:
        crate.extractall(tmp_path / "out")
    assert bagit.Bag(str(tmp_path / "out" / name)).validate()
    assert "is no folder" in verb(*words, tmp_path / "no", code=2).err


def test_two_crates_into_one_folder_do_not_write_into_each_other(verb, tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another process exports into" in verb("--as", "crate", "--into", tmp_path, code=8).err
    finally:
        os.close(handle)
    assert _names(tmp_path) == []

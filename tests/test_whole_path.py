"""From a folder to a plan by the command line alone: the numbers that a person sees, asserted.

The whole path runs as processes, once; its variations run the same command line in this one.
"""

import contextlib
import io
import json
import shutil
import signal
from pathlib import Path

import mutagen
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from support import shared_data, tenuto_json
from tenuto.cli import main

RATE_HZ = 44_100
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2020 The Players
License: CC-BY-SA-4.0

Files: b/*
Copyright: 2021 Somebody Else
License: Do-What-I-Say-1.0
"""


def _sound(path, seconds, **tags):
    """A tone with tags, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(int(RATE_HZ * seconds)) / RATE_HZ)
    soundfile.write(path, tone, RATE_HZ)
    opened = mutagen.File(path, easy=True)
    if opened is not None and tags:
        if opened.tags is None:
            opened.add_tags()
        for name, value in tags.items():
            opened[name] = value
        opened.save()


def _music(folder):
    """Two albums in three formats, a WAV without tags, DEP-5, and things that are no music."""
    _sound(folder / "a/1.flac", 2, title="One", artist="Anna", album="First", date="1999", tracknumber="1/2")
    _sound(folder / "a/2.ogg", 3, title="Two", artist=["Anna", "Bert"], album="First", date="1999", tracknumber="2/2")
    _sound(folder / "b/3.mp3", 2, title="Drei ä \U0001f3b5", artist="Clara", album="Second", date="2001-05")
    _sound(folder / "b/4.wav", 1)
    (folder / "b/empty.ogg").touch()
    (folder / "b/page.ogg").write_bytes(b"<html>not found</html>" * 20)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0 no music")
    (folder / "debian").mkdir()
    (folder / "debian/copyright").write_text(COPYRIGHT)


def _inside(*words, code=0):
    """The command line in this process: its stdout and stderr; `code` is what it must end with."""
    shown, said, on_terminate = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    signal.signal(signal.SIGTERM, on_terminate)
    assert code is None or ended.value.code == code, said.getvalue()
    return shown.getvalue(), said.getvalue()


def _inside_json(*words, code=0):
    (shown,) = _inside(*words, "--json", code=code)[0].splitlines()
    return json.loads(shown)


class _Archive:
    """The command line in one archive; `built` is what the first build said."""

    def __init__(self, root, run=_inside_json):
        self.root = root
        self.run = run
        self.built = {}

    def __call__(self, *words, code=0):
        return self.run(*words, "--archive", self.root, code=code)


def _new_archive(folder, music, run=_inside_json):
    archive = _Archive(folder / "archive", run)
    run("init", archive.root, "--name", "shelf-copy", "--contact", "tests@archive.invalid", "--keys", folder / "keys")
    archive("source", "add", "folder", music, "--name", "shelf")
    return archive


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A folder of music and its archive, harvested and built once, to be copied."""
    folder = tmp_path_factory.mktemp("pattern")
    _music(folder / "music")
    archive = _new_archive(folder, folder / "music")
    archive("harvest")
    archive("catalogue", "build")
    return folder


@pytest.fixture
def shelf(pattern, tmp_path):
    """A copy of the pattern that knows its own folder of music."""
    shutil.copytree(pattern, tmp_path, dirs_exist_ok=True)
    archive = _Archive(tmp_path / "archive")
    settings = archive.root / "tenuto.toml"
    settings.write_text(settings.read_text().replace(str(pattern), str(tmp_path)))
    archive.built = archive("catalogue", "info")
    return archive


def test_folder_becomes_evidence_edition_plan_and_status_whose_numbers_agree(tmp_path):
    _music(tmp_path / "music")
    archive = _new_archive(tmp_path, tmp_path / "music", tenuto_json)
    assert archive("status")["next"].startswith("tenuto harvest")
    (harvest,) = archive("harvest")["harvests"]
    assert (harvest["source"], harvest["tracks_found"], harvest["outcomes"]) == ("shelf", 4, {"ok": 7})
    assert archive("status")["next"] == "tenuto catalogue build"

    edition = archive("catalogue", "build")
    assert edition["is_new"]
    assert {name: table["rows"] for name, table in edition["tables"].items()} == {
        "artist": 3, "release": 2, "track": 4, "link": 0, "credit": 4, "offer": 4, "statement": 2, "history": 0, "tombstone": 0,
        "correction": 0, "market_set": 0, "availability": 0, "description": 0, "finding": 3}  # fmt: skip
    assert edition["findings"] == {"file-empty": 1, "file-not-audio": 1, "licence-unknown": 1}
    assert edition["licences"] == {"CC-BY-SA-4.0": 2, "unknown": 2}
    assert edition["sources"] == {"shelf": {"kind": "folder", "tracks": 4, "tombstones": 0}}

    sizes = {path: (tmp_path / "music" / path).stat().st_size for path in ("a/1.flac", "a/2.ogg", "b/3.mp3", "b/4.wav")}
    plan = archive("plan")
    assert (plan["tracks"], plan["statuses"], plan["plan_bytes"]) == (4, {"planned": 4}, sum(sizes.values()))
    assert {(group["access"], group["tracks"]) for group in plan["groups"]} == {("open", 2), ("dark", 2)}
    assert (plan["listens"], plan["listens_kept_frac"], plan["drafts"], plan["drafts_dark"]) == (None, None, 2, 1)
    rows = pq.read_table(f"{plan['path']}/tracks.parquet").to_pylist()
    assert {row["track_id"]: (row["original_bytes"], row["access"]) for row in rows} == {
        path: (size, "open" if path.startswith("a/") else "dark") for path, size in sizes.items()}  # fmt: skip

    status = archive("status")
    assert (status["tracks"], status["tombstones"], status["statuses"]) == (4, 0, {"planned": 4})
    assert sum(status["licences"].values()) == 4
    assert (status["edition"], status["plan"], status["plan_is_current"]) == (edition["edition"], plan["plan"], True)


def test_tags_of_every_format_reach_the_catalogue(shelf):
    edition = shelf.built
    tracks = {row["track_id"]: row for row in pq.read_table(f"{edition['path']}/track.parquet").to_pylist()}
    offers = {row["track_row"]: row for row in pq.read_table(f"{edition['path']}/offer.parquet").to_pylist()}
    shown = {own: (row["title"], row["track_number"], round(row["duration_ms"] / 1000), offers[row["track_row"]]["codec"],
                   offers[row["track_row"]]["is_lossless"]) for own, row in tracks.items()}  # fmt: skip
    assert shown == {"a/1.flac": ("One", 1, 2, "flac", True), "a/2.ogg": ("Two", 2, 3, "vorbis", False),
                     "b/3.mp3": ("Drei ä \U0001f3b5", None, 2, "mp3", False), "b/4.wav": (None, None, 1, "pcm", True)}  # fmt: skip
    releases = {row["title"]: (str(row["release_date"]), row["release_date_precision"])
                for row in pq.read_table(f"{edition['path']}/release.parquet").to_pylist()}  # fmt: skip
    assert releases == {"First": ("1999-01-01", "year"), "Second": ("2001-05-01", "month")}


def test_unchanged_folder_gives_the_same_edition_and_plan_again(shelf):
    first, plan = shelf.built, shelf("plan")
    shelf("harvest")
    second = shelf("catalogue", "build")
    assert (second["edition"], second["is_new"]) == (first["edition"], False)
    assert shelf("plan")["plan"] == plan["plan"]


def test_file_that_comes_and_one_that_goes_make_a_second_edition(shelf, tmp_path):
    first = shelf.built
    shelf("plan")
    _sound(tmp_path / "music/a/5.flac", 1, title="Five", album="First")
    (tmp_path / "music/b/4.wav").unlink()
    shelf("harvest")
    second = shelf("catalogue", "build")
    assert second["is_new"]
    assert second["edition"] != first["edition"]
    status = shelf("status")
    assert (status["tracks"], status["tombstones"], status["plan_is_current"]) == (4, 1, False)
    assert (status["statuses"], status["next"]) == ({"unplanned": 4}, "tenuto plan")
    stones = pq.read_table(f"{second['path']}/tombstone.parquet").to_pylist()
    assert [row["own_id"] for row in stones] == ["b/4.wav"]
    assert Path(first["path"]).is_dir()


def test_permission_opens_what_it_names_and_closes_what_it_forbids(shelf, tmp_path):
    file = tmp_path / "permission.toml"
    file.write_text(
        'format = "tenuto-permission-1"\ngrantor = "A. Keeper"\nground = "owner"\ngranted_on = 2026-01-31\n'
        '[[grant]]\npath = "b/*"\nlicence = "CC0-1.0"\n[[grant]]\npath = "a/1.flac"\nmay_keep = false\n'
    )
    shelf("source", "add", "folder", tmp_path / "music", "--name", "shelf", "--permission", file)
    shelf("harvest")
    edition = shelf("catalogue", "build")
    assert edition["licences"] == {"CC-BY-SA-4.0": 2, "CC0-1.0": 2}
    plan = shelf("plan")
    assert plan["statuses"] == {"planned": 3, "not_permitted": 1}
    assert plan["drafts_dark"] == 0


def test_budget_of_the_command_line_overrides_the_settings_and_says_what_it_leaves_out(shelf):
    plan = shelf("plan", "--budget", "60%")
    assert plan["plan_bytes"] <= plan["budget_bytes"] < plan["original_bytes"]
    assert plan["statuses"]["over_budget"] >= 1
    assert sum(plan["statuses"].values()) == 4
    assert shelf("status")["statuses"] == plan["statuses"]
    assert "500 GB" in _inside("plan", "--budget", "plenty", "--archive", shelf.root, code=2)[1]


def test_plan_prints_its_table_for_people(shelf):
    shown, _ = _inside("plan", "--archive", shelf.root)
    for words in (
        "what will be kept",
        "original",
        "open",
        "dark",
        "every track has one status",
        "no share of listens",
        "free",
    ):
        assert words in shown


def test_folder_of_files_that_broke_other_readers_is_harvested_built_and_planned(tmp_path):
    fixtures = shared_data("beets-fixtures") / "test" / "rsrc"
    archive = _new_archive(tmp_path, fixtures)
    (harvest,) = archive("harvest", code=None)["harvests"]
    edition = archive("catalogue", "build")
    plan = archive("plan")
    assert harvest["tracks_found"] == edition["tables"]["track"]["rows"] == plan["tracks"] > 30
    assert sum(plan["statuses"].values()) == plan["tracks"]
    assert edition["findings"]
    assert archive("status")["statuses"] == plan["statuses"]

"""`tenuto bench generate`: the same bytes every time, read by every verb, a later harvest with exactly the planned changes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenuto.archive.layout import Layout
from tenuto.bench import truth
from tenuto.bench.catalogue import Catalogue
from tenuto.bench.changes import planned
from tenuto.bench.generate import generate
from tenuto.bench.wanted import Wanted, parts_of
from tenuto.catalogue import open_current
from tenuto.cli import _run
from tenuto.evidence import finished_harvests, read_records
from tenuto.model.progress import Silent
from tenuto.model.tables import TABLES

pytestmark = pytest.mark.long  # processes, and waiting for them

TRACKS, SEED = 2_000, 7
Ask = Callable[..., Any]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """A verb with --json: its one line, decoded; the text of stderr where it fails."""

    def ask_verb(*words: str | Path | int, code: int = 0) -> Any:
        capfd.readouterr()
        assert _run([*map(str, words), "--json"]) == code
        said = capfd.readouterr()
        return json.loads(said.out) if code == 0 else said.err

    return ask_verb


def made(ask: Ask, folder: Path, *words: str | Path | int, code: int = 0) -> Any:
    return ask("bench", "generate", "--tracks", TRACKS, "--seed", SEED, "--into", folder, *words, code=code)


def evidence(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((folder / "evidence/generated").rglob("*.warc.gz"))}


def table(folder: Path, name: str) -> pa.Table:
    return open_current(Layout.find(folder)).read(name)


def test_the_same_tracks_and_seed_give_the_same_bytes(ask: Ask, tmp_path: Path) -> None:
    first = made(ask, tmp_path / "one")
    made(ask, tmp_path / "two", "--keys", tmp_path / "elsewhere")
    assert evidence(tmp_path / "one") == evidence(tmp_path / "two")
    assert first["tracks"] == TRACKS
    assert first["harvest"] == "20260131T000000Z-00"
    assert first["bytes"] == sum(map(len, evidence(tmp_path / "one").values()))
    [file] = (tmp_path / "one/evidence/generated").rglob("*.warc.gz")
    before = file.stat().st_ino
    assert made(ask, tmp_path / "one") == first
    assert file.stat().st_ino == before


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    found = set()
    for seed in (1, 2):
        generate(tmp_path / str(seed), "bench", Wanted(seed=seed, tracks=100, on=date(2026, 1, 31)), 1, Silent())
        [file] = (tmp_path / str(seed)).rglob("*.warc.gz")
        found.add(file.read_bytes())
    assert len(found) == 2


@pytest.mark.parametrize("tracks", [1, 2, 99, 101])
def test_a_tiny_catalogue_is_whole_too(tmp_path: Path, tracks: int) -> None:
    manifest = generate(tmp_path, "bench", Wanted(seed=1, tracks=tracks, on=date(2026, 1, 31)), 1, Silent())
    assert manifest.reconciled[0].found == tracks
    [file] = tmp_path.rglob("*.warc.gz")
    assert len([one for one in read_records(file) if one.answer]) == manifest.files[0].records


def test_records_are_those_of_a_harvest(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a")
    [manifest] = finished_harvests(tmp_path / "a/evidence/generated")
    [file] = (tmp_path / "a/evidence/generated").rglob("*.warc.gz")
    records = list(read_records(file))
    assert manifest.files[0].records == len(records) == manifest.outcomes["ok"]
    assert all(record.kind == "generated" and record.answer and record.answer.http_status == 200 for record in records)
    keys = [record.answer.request.key for record in records if record.answer]
    assert len(set(keys)) == len(keys)
    assert {"artists?offset=0", "releases?offset=0", "tracks?offset=0", "tracks?offset=1900"} <= set(keys)
    ids = [
        release["id"]
        for release in json.loads(
            next(r.answer.body for r in records if r.answer and "releases" in r.answer.request.key)
        )["releases"]
    ]
    assert ids != sorted(ids)


def test_every_verb_reads_it_and_finds_nothing_amiss(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a")
    built = ask("catalogue", "build", "--archive", tmp_path / "a")
    catalogue = Catalogue(SEED, TRACKS)
    assert built["tracks"] == TRACKS
    assert built["tables"]["release"]["rows"] == catalogue.releases
    assert built["tables"]["artist"]["rows"] == catalogue.artists
    assert built["findings"] == {}
    assert ask("plan", "--archive", tmp_path / "a")["tracks"] == TRACKS
    assert ask("status", "--archive", tmp_path / "a")["tracks"] == TRACKS


def test_tables_made_at_once_are_those_that_are_built_from_the_evidence(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a")
    ask("catalogue", "build", "--archive", tmp_path / "a")
    at_once = ask("bench", "tables", "--tracks", TRACKS, "--seed", SEED, "--into", tmp_path / "b")
    found = open_current(Layout.find(tmp_path / "b"))
    assert at_once["edition"] == found.info.edition
    for name in TABLES:
        built, mine = table(tmp_path / "a", name), found.read(name)
        others = {"evidence_id", "cluster_row"} & set(built.schema.names)
        if name != "link":
            assert mine.drop_columns(list(others)).to_pylist() == built.drop_columns(list(others)).to_pylist(), name
        if "evidence_id" in others:
            pairs = set(
                zip(built.column("evidence_id").to_pylist(), mine.column("evidence_id").to_pylist(), strict=True)
            )
            assert len(pairs) == len({one for one, _ in pairs}) == len({two for _, two in pairs}), name
    built_bytes = sum(one.bytes for one in open_current(Layout.find(tmp_path / "a")).info.tables.values())
    assert at_once["bytes"] == pytest.approx(built_bytes, rel=0.01)


def test_truth_names_the_recording_of_each_track(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a", "--truth", tmp_path / "truth.parquet")
    ask("catalogue", "build", "--archive", tmp_path / "a")
    said = {row["track_id"]: row["recording"] for row in pq.read_table(tmp_path / "truth.parquet").to_pylist()}
    ids = table(tmp_path / "a", "track").column("track_id").to_pylist()
    found = truth(SEED, TRACKS, np.arange(TRACKS)).tolist()
    assert said == dict(zip(ids, found, strict=True))
    assert len(set(found)) == pytest.approx(TRACKS * 186 / 256.04, rel=0.01)


def test_a_second_harvest_has_exactly_the_planned_changes(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a")
    ask("catalogue", "build", "--archive", tmp_path / "a")
    before = {row["track_id"]: row for row in table(tmp_path / "a", "track").to_pylist()}
    second = made(ask, tmp_path / "a", "--harvest", 2, "--changed", 0.05, "--truth", tmp_path / "truth.parquet")
    built = ask("catalogue", "build", "--archive", tmp_path / "a")
    after = {row["track_id"]: row for row in table(tmp_path / "a", "track").to_pylist()}
    plan = planned(Catalogue(SEED, TRACKS), (0.05,))
    assert all(plan.values())
    assert 60 < sum(len(plan[name]) for name in ("popularity", "vanished", "renamed")) < 140
    assert before.keys() - after.keys() == {*plan["vanished"], *plan["renamed"]}
    assert after.keys() - before.keys() == {*plan["back"], *plan["appeared"]}
    stayed = before.keys() & after.keys()
    assert {one for one in stayed if before[one]["popularity"] != after[one]["popularity"]} == set(plan["popularity"])
    for old, new in zip(plan["renamed"], plan["back"], strict=True):
        assert (before[old]["title"], before[old]["isrc"]) == (after[new]["title"], after[new]["isrc"])
    gone = table(tmp_path / "a", "tombstone").column("own_id").to_pylist()
    assert set(gone) == {*plan["vanished"], *plan["renamed"]}
    assert second["tracks"] == built["tracks"] == len(after)
    assert second["harvest"] == "20260302T000000Z-00"
    said = {row["track_id"]: row["recording"] for row in pq.read_table(tmp_path / "truth.parquet").to_pylist()}
    assert said.keys() == after.keys()
    assert built["findings"] == {}
    history = table(tmp_path / "a", "history").to_pylist()
    assert {str(row["seen_on"]) for row in history} == {"2026-01-31", "2026-03-02"}


def test_a_third_harvest_goes_on_from_the_second(ask: Ask, tmp_path: Path) -> None:
    made(ask, tmp_path / "a")
    made(ask, tmp_path / "a", "--harvest", 2, "--changed", 0.05)
    third = made(ask, tmp_path / "a", "--harvest", 3)
    built = ask("catalogue", "build", "--archive", tmp_path / "a")
    plan = planned(Catalogue(SEED, TRACKS), (0.05, 0.01))
    assert built["tracks"] == third["tracks"]
    ids = set(table(tmp_path / "a", "track").column("track_id").to_pylist())
    assert {*plan["back"], *plan["appeared"]} <= ids
    assert not {*plan["vanished"], *plan["renamed"]} & ids
    assert built["findings"] == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--harvest", "3"], "needs those before it"),
        (["--changed", "0.1"], "--changed is a share"),
        (["--harvest", "2", "--changed", "2"], "--changed is a share"),
        (["--harvest", "2", "--on", "2026-01-31"], "needs a later day"),
        (["--tracks", "100"], "a source called generated already"),
        (["--workers", "0"], "1 or more"),
        (["--on", "2026-03-01"], "is of 2026-01-31"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(ask: Ask, tmp_path: Path, words: list[str], said: str) -> None:
    made(ask, tmp_path / "a")
    before = evidence(tmp_path / "a")
    options = {"--tracks": str(TRACKS), "--seed": str(SEED), "--into": str(tmp_path / "a")}
    options |= dict(zip(words[0::2], words[1::2], strict=True))
    assert said in ask("bench", "generate", *[word for pair in options.items() for word in pair], code=2)
    assert evidence(tmp_path / "a") == before


def test_it_cannot_be_harvested_and_says_so_in_a_sentence(
    ask: Ask, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made(ask, tmp_path / "a")
    capfd.readouterr()
    assert _run(["harvest", "generated", "--archive", str(tmp_path / "a")]) == 5
    assert "is a generated source and cannot be asked" in capfd.readouterr().err


def test_what_was_begun_with_other_parameters_is_left_alone(tmp_path: Path) -> None:
    first = Wanted(seed=1, tracks=100, on=date(2026, 1, 31))
    generate(tmp_path, "bench", first, 1, Silent())
    with pytest.raises(Exception, match="begun with other parameters"):
        generate(tmp_path, "bench", Wanted(seed=2, tracks=100, on=first.on), 1, Silent())


def test_files_stay_below_a_gigabyte_and_memory_flat_at_any_size() -> None:
    """A part is four blocks whatever the number of tracks is: 175,000 tracks at 140 bytes."""
    parts = parts_of(Wanted(seed=1, tracks=3_000_000, on=date(2026, 1, 31)))
    assert max(part.tracks for part in parts) == 174_800
    assert sum(part.tracks for part in parts) == 3_000_000


@pytest.mark.long
@pytest.mark.timeout(300)  # 400,000 tracks, three times
def test_killed_in_the_middle_and_run_again_it_gives_the_same_bytes(tmp_path: Path) -> None:
    wanted = Wanted(seed=5, tracks=400_000, on=date(2026, 1, 31))
    generate(tmp_path / "whole/evidence/generated", "bench", wanted, 1, Silent())
    words = [sys.executable, "-m", "tenuto", "bench", "generate", "--tracks", "400000", "--seed", "5",
             "--into", str(tmp_path / "killed"), "--workers", "2"]  # fmt: skip
    killed = 0
    for wait_s in (2.0, 3.0, 4.0, 6.0):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(wait_s)
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            time.sleep(1.5)  # its workers notice
    subprocess.run(words, check=True, timeout=200, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert killed
    assert evidence(tmp_path / "killed") == evidence(tmp_path / "whole")
    manifests = [finished_harvests(tmp_path / name / "evidence/generated") for name in ("killed", "whole")]
    assert manifests[0] == manifests[1]
    assert not list((tmp_path / "killed").rglob(".making-*"))

"""`tenuto bench catalogue` and `tenuto bench tables`: what they say adds up, and nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenuto.archive import Layout
from tenuto.bench import answers, measure, wanted
from tenuto.bench.measure import Asked, read_evidence
from tenuto.bench.watch import Watch
from tenuto.catalogue.build import build_read
from tenuto.cli import _run
from tenuto.model.progress import Silent

pytestmark = pytest.mark.long  # catalogues, and processes that ask them

TRACKS = 20_000
PATIENCE_S = 120
Ask = Callable[..., Any]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """A verb with --json: its one line, decoded; the text of stderr where it fails."""

    def ask_verb(*words: str | Path | float, code: int = 0) -> Any:
        capfd.readouterr()
        assert _run([*map(str, words), "--json"]) == code
        said = capfd.readouterr()
        return json.loads(said.out) if code == 0 else said.err

    return ask_verb


def test_all_is_measured_and_nothing_stays(ask: Ask, tmp_path: Path) -> None:
    said = ask("bench", "catalogue", "--tracks", TRACKS, "--seed", 5, "--temp", tmp_path, "--sqlite", "--stream")
    assert list(tmp_path.iterdir()) == []
    phases = said["phases"]
    building_s = sum(phases[name]["seconds"] for name in ("read", "merge", "id index"))
    assert said["build_tracks_per_s"] == pytest.approx(TRACKS / building_s)
    assert said["index_tracks_per_s"] == pytest.approx(TRACKS / phases["text index"]["seconds"])
    assert 50 < said["bytes_per_track"] < 80
    assert 8 < said["id_keys_bytes_per_track"] < 40
    assert said["id_keys_bytes_per_track"] <= said["id_index_bytes_per_track"] < 150
    assert 40 < said["index_bytes_per_track"] < 90
    assert 0.9 < said["clusters_precision"] <= 1
    assert 0.9 < said["clusters_recall"] <= 1
    assert said["clusters_looked_at"] == 1
    for name in ("lookup", "text"):
        assert 0 < said[f"{name}_p50_ms"] <= said[f"{name}_p95_ms"]
        assert 0 < said["sqlite"][f"{name}_p50_ms"] <= said["sqlite"][f"{name}_p95_ms"]
    assert said["cold_start_ms"] > said["cold_start_cpu_ms"] * 0.5 > 0
    assert 50e6 < said["peak_rss_bytes"] < 2e9
    assert said["peak_rss_bytes"] == max(
        phase["peak_bytes"] for name, phase in phases.items() if name not in {"generate", "compare clusters", "sqlite"}
    )
    assert len(said["grouping_s"]) == 5
    assert set(said["sqlite"]["grouping"]) <= set(said["grouping_s"])
    assert said["machine"]["processors"] >= 1
    assert {"tenuto", "duckdb", "tantivy", "sqlite"} <= set(said["versions"])


def test_an_edition_that_is_there_is_asked_and_stays(ask: Ask, tmp_path: Path) -> None:
    made = ask("bench", "tables", "--tracks", TRACKS, "--seed", 5, "--into", tmp_path / "a")
    said = ask("bench", "catalogue", "--tables", tmp_path / "a", "--no-text")
    assert (said["tracks"], said["bytes_per_track"]) == (TRACKS, made["bytes_per_track"])
    assert said["lookup_p95_ms"] > 0
    assert "text_p95_ms" not in said
    assert len(said["grouping_s"]) == 5
    again = ask("bench", "catalogue", "--tables", tmp_path / "a")
    assert again["text_p95_ms"] > 0
    assert ask("bench", "catalogue", "--tables", tmp_path / "a")["index_tracks_per_s"] is None
    assert ask("status", "--archive", tmp_path / "a")["tracks"] == TRACKS


def test_streamed_evidence_gives_the_same_edition_and_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (wanted, answers):
        monkeypatch.setattr(module, "BLOCKS_A_FILE", 1)
    monkeypatch.setattr(measure, "processors", lambda: 1)  # other processes would write files as large as ever
    editions = []
    for is_streamed in (False, True):
        layout = Layout(tmp_path / str(is_streamed))
        asked = Asked(tracks=50_000, is_streamed=is_streamed, files_at_once=1)
        harvests, read = read_evidence(layout, asked, Watch(), Silent())
        left = list(layout.evidence.rglob("*.warc.gz"))
        assert len(left) == (0 if is_streamed else 2)
        editions.append(build_read(layout, harvests, read, Silent()).edition)
    assert editions[0].info == editions[1].info
    assert editions[0].info.tables["track"].rows == 50_000
    assert editions[0].info.findings == {}


def stopped(words: list[str], folder: Path, until: str, number: signal.Signals) -> float:
    """Stop a verb, its processes too, when something is there; the seconds that it took to end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tenuto", "bench", *words, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    end = time.monotonic() + PATIENCE_S
    while not any(folder.glob(until)):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    begun = time.monotonic()
    os.killpg(process.pid, number)
    out, error = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, b""), error
    assert b"Traceback" not in error
    return time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    words = ["catalogue", "--tracks", "300000", "--temp", str(tmp_path)]
    stopped(words, tmp_path, "*/archive/evidence/**/*.warc.gz", number)
    assert list(tmp_path.iterdir()) == []


def test_tables_that_were_stopped_are_made_by_the_same_command(ask: Ask, tmp_path: Path) -> None:
    words = ["tables", "--seed", "5", "--into", str(tmp_path / "a"), "--tracks"]
    assert stopped([*words, "3000000"], tmp_path, "a/catalogue/*/track-*.parquet", signal.SIGINT) < PATIENCE_S / 2
    assert not (tmp_path / "a/catalogue/current").exists()
    settings = tmp_path / "a/tenuto.toml"
    settings.write_text(settings.read_text().replace("3000000", "2000"))
    assert ask("bench", *words, 2_000)["tracks"] == 2_000
    assert list(tmp_path.glob("a/**/.making-*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("catalogue",), "either --tracks N, or --tables"),
        (("catalogue", "--tracks", 5, "--tables", "x"), "either --tracks N, or --tables"),
        (("catalogue", "--tracks", 0), "--tracks is from 1"),
        (("catalogue", "--tracks", 2**33), "--tracks is from 1"),
        (("catalogue", "--tracks", 5, "--seed", -1), "--seed is 0 or more"),
        (("catalogue", "--tracks", 5, "--memory", "lots"), "--memory: 'lots' is no size"),
        (("catalogue", "--tracks", 5, "--memory", "1GB"), "give 2GB or more"),
        (("catalogue", "--tracks", 5, "--temp", "nowhere"), "--temp: nowhere is no folder"),
        (("catalogue", "--tracks", 4 * 10**9), "free, 4,000,000,000 tracks may take"),
        (("catalogue", "--tables", "nowhere"), "nowhere"),
        (("catalogue", "--tables", "nowhere", "--stream"), "leave out --stream"),
        (("tables", "--tracks", 5, "--seed", 1, "--into", "a", "--changed", 0.6), "--changed 0.6 is no share"),
        (("tables", "--tracks", 0, "--seed", 1, "--into", "a"), "--tracks is from 1"),
    ],
)
def test_what_cannot_be_is_refused_with_nothing_done(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str | float, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in ask("bench", *words, code=2)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_not_written_into_an_archive_that_is_there(ask: Ask, tmp_path: Path) -> None:
    ask("init", tmp_path / "a", "--name", "a", "--contact", "a@b.invalid", "--keys", tmp_path / "keys")
    before = sorted(tmp_path.rglob("*"))
    assert "is an archive already" in ask(
        "bench", "tables", "--tracks", 5, "--seed", 1, "--into", tmp_path / "a", code=2
    )
    assert sorted(tmp_path.rglob("*")) == before

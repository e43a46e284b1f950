"""SIGKILL of `tenuto harvest` at random moments: resumed to the end, the evidence is that of a harvest nobody killed."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvesting import LOGIN, NAME, answers, evidence_set, folders, leaks, manifest_of, shop
from lying_server import PASSWORD, LyingServer
from support import tenuto, tenuto_json
from tenuto.archive import Layout
from tenuto.evidence import read_records

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260102"))
CATALOGUE = {"albums": 30, "songs": 3, "page_max": 7, "delay_s": 0.01, "gives_user_fields": True}
POLITE = {"concurrency": 3, "rate_per_s": 300, "timeout_s": 10.0, "tries": 3}


@dataclass(frozen=True, slots=True)
class Ending:
    """What a harvest and a build amount to."""

    evidence: frozenset[tuple[str, str, str]]
    edition: str
    tables: dict[str, str]


def ending(layout: Layout) -> Ending:
    """Build the catalogue and take it all together."""
    built = tenuto_json("catalogue", "build", "--archive", layout.root)
    edition = layout.edition(built["edition"])
    tables = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(edition.glob("*.parquet"))}
    assert len(tables) > 5
    return Ending(frozenset(evidence_set(folders(layout)[-1])), built["edition"], tables)


def begin(layout: Layout) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", "harvest", "--archive", str(layout.root)], env={**os.environ, **LOGIN},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def kill_at_random(layout: Layout, server: LyingServer, chance: random.Random, requests: int) -> bool:
    """Start a harvest and kill it: after so many requests and a moment, or while it starts. False: it ended before."""
    process = begin(layout)
    after = chance.randrange(requests) if chance.random() < 0.85 else 0
    deadline = time.monotonic() + 30
    while after and len(server.requests()) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.03) if after else chance.uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def kept_keys(layout: Layout) -> set[str]:
    """The requests whose answers are whole in the files of the last harvest, unless it is finished."""
    if not layout.harvests(NAME).is_dir() or (folders(layout)[-1] / "harvest.json").exists():
        return set()
    found = [record for file in sorted(folders(layout)[-1].glob("*.warc.gz")) for record in read_records(file)]
    assert sum(record.answer is None for record in found) <= 1  # the torn last one
    return {record.answer.request.key for record in found if record.answer is not None}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_harvest_killed_at_random_moments_ends_as_if_nobody_had_killed_it(tmp_path: Path) -> None:
    day = datetime.now(UTC).date()
    with LyingServer(**CATALOGUE) as server:
        layout = shop(tmp_path / "undisturbed", server, politeness=POLITE)
        tenuto("harvest", "--archive", layout.root, env=LOGIN)
        undisturbed, requests = ending(layout), len(server.log)
        whole = {key for key, *_ in undisturbed.evidence}
    chance, kills, number = random.Random(SEED), 0, 0
    while kills < KILLS:
        number += 1
        with LyingServer(**CATALOGUE) as server:
            layout = shop(tmp_path / f"killed-{number}", server, politeness=POLITE)
            for _ in range(chance.choice([1, 1, 2, 4])):
                had = kept_keys(layout)
                server.forget()
                kills += kill_at_random(layout, server, chance, requests)
                assert not {key for key in server.requests() if key in had} - {"robots.txt"}, (SEED, number)
            had = kept_keys(layout)
            server.forget()
            tenuto("harvest", "--archive", layout.root, env=LOGIN)
            again = set(server.requests()) & had
            assert again <= {"robots.txt"} or not had, (SEED, number, again)
            assert set(server.requests()) <= whole | {"robots.txt"}
            assert manifest_of(layout).findings == ()
            answers(folders(layout)[-1])  # nothing stands there twice
            if datetime.now(UTC).date() != day:
                pytest.skip("midnight passed: the days of the evidence differ")
            assert ending(layout) == undisturbed, (SEED, number)
            assert leaks(layout.root, {PASSWORD} | server.secrets_sent()) == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_harvest_whose_service_and_process_both_die_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    chance = random.Random(SEED + 1)
    with LyingServer(**CATALOGUE) as server:
        layout = shop(tmp_path / "undisturbed", server, politeness=POLITE)
        tenuto("harvest", "--archive", layout.root, env=LOGIN)
        undisturbed, requests = frozenset(evidence_set(folders(layout)[-1])), len(server.log)
    with LyingServer(**CATALOGUE) as server:
        layout = shop(tmp_path / "killed", server, politeness={**POLITE, "pause_max_s": 0.05, "tries": 2})
        for _ in range(max(4, KILLS)):
            server.forget()
            server.go_down(after=chance.randrange(4, 25))
            kill_at_random(layout, server, chance, requests)
            server.come_back()
        tenuto("harvest", "--archive", layout.root, env=LOGIN)
        assert evidence_set(folders(layout)[-1]) == undisturbed
        assert manifest_of(layout).findings == ()

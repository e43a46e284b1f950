"""A real Supysonic with real files: all of it is found, and it does not notice that anybody listened."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.chorales import render
from demo.running import DemoError
from demo.service import Service, ensure_environment, listen
from harvesting import archive_of, codes, leaks, manifest_of
from support import tenuto, tenuto_json
from tenuto.archive import Layout

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("TENUTO_DEMO_VENV", ROOT / ".venv-demo"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Supysonic over the rendered chorales, which people have listened to."""
    try:
        ensure_environment(VENV, print)
    except (DemoError, OSError) as error:
        pytest.skip(f"the environment of Supysonic cannot be made: {error}")
    folder = tmp_path_factory.mktemp("service")
    render(folder / "music")
    with Service(VENV, folder / "service", folder / "music", print) as running:
        assert listen(running, 7) > 0
        yield running


def memory(service: Service) -> dict[str, list[tuple[object, ...]]]:
    """All that Supysonic remembers of music, listening and likes; not the names of the programs that asked."""
    with sqlite3.connect(f"file:{service.database}?mode=ro", uri=True) as con:
        names = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        names.remove("client_prefs")
        found = {name: sorted(con.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}
    con.close()
    return found


def login(service: Service) -> dict[str, str]:
    return {"TENUTO_SHOP_USER": service.user, "TENUTO_SHOP_PASSWORD": service.password}


def archive(service: Service, folder: Path) -> Layout:
    return archive_of(folder, service.url, politeness={"timeout_s": 10.0, "concurrency": 3})


@pytest.mark.long
def test_a_real_service_is_harvested_whole_and_forgets_that_it_was(service: Service, tmp_path: Path) -> None:
    before = memory(service)
    assert sum(count for (count,) in _plays(service)) > 0
    layout = archive(service, tmp_path)
    done = tenuto("harvest", "--archive", layout.root, env=login(service))
    songs = len(list(service.music.rglob("*.flac")))
    assert manifest_of(layout).reconciled[0].found == songs > 3
    assert codes(layout) == set()
    assert memory(service) == before
    assert leaks(layout.root, {service.password}, done.stdout, done.stderr) == []
    built = tenuto_json("catalogue", "build", "--archive", layout.root)
    assert built["tables"]["track"]["rows"] == songs


def _plays(service: Service) -> list[tuple[int]]:
    with sqlite3.connect(f"file:{service.database}?mode=ro", uri=True) as con:
        rows: list[tuple[int]] = con.execute("SELECT play_count FROM track").fetchall()
    con.close()
    return rows


@pytest.mark.long
def test_a_real_service_harvested_twice_gives_one_edition(service: Service, tmp_path: Path) -> None:
    layout = archive(service, tmp_path)
    editions = set()
    for _ in range(2):
        tenuto("harvest", "--archive", layout.root, env=login(service))
        editions.add(tenuto_json("catalogue", "build", "--archive", layout.root)["edition"])
    assert len(editions) == 1


@pytest.mark.long
def test_a_real_service_refuses_a_wrong_password_and_we_say_what_to_set(service: Service, tmp_path: Path) -> None:
    layout = archive(service, tmp_path)
    wrong = {**login(service), "TENUTO_SHOP_PASSWORD": "wr0ng-passw0rd"}
    done = tenuto("harvest", "--archive", layout.root, env=wrong, code=5)
    assert "TENUTO_SHOP_PASSWORD" in done.stderr
    assert leaks(layout.root, {"wr0ng-passw0rd"}, done.stdout, done.stderr) == []

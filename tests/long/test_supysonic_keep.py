"""A real Supysonic with real files: what is kept of it are the files themselves, and it does not notice that anybody listened."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.chorales import render
from demo.running import DemoError
from demo.service import Service, ensure_environment, listen
from harvesting import archive_of, leaks
from keep_maker import GRANT, crates, rows
from support import tenuto, tenuto_json

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


def plays(service: Service) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{service.database}?mode=ro", uri=True) as con:
        found = con.execute("SELECT id, play_count, last_play FROM track ORDER BY id").fetchall()
    con.close()
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_recordings_of_a_real_service_are_kept_byte_for_byte_and_count_as_no_listen(
    service: Service, tmp_path: Path
) -> None:
    login = {"TENUTO_SHOP_USER": service.user, "TENUTO_SHOP_PASSWORD": service.password}
    layout = archive_of(tmp_path, service.url, permission=GRANT, politeness={"timeout_s": 20.0, "concurrency": 2})
    document = layout.settings.read_text().replace('tier = "opus-75"', 'tier = "original"')
    layout.settings.write_text(document)
    tenuto("harvest", "--archive", layout.root, env=login)
    tenuto_json("catalogue", "build", "--archive", layout.root)
    tenuto_json("plan", "--archive", layout.root)
    before = plays(service)
    done = tenuto("keep", "--archive", layout.root, env=login, timeout_s=300)
    assert plays(service) == before
    assert {one.content for one in rows(layout)} == {file.read_bytes() for file in service.music.rglob("*.flac")}
    made = crates(layout)
    again = tenuto_json("keep", "--archive", layout.root, env=login)
    assert (again["crates"], again["failed"]) == ([], {})
    assert crates(layout) == made
    assert leaks(layout.root, {service.password}, done.stdout, done.stderr) == []

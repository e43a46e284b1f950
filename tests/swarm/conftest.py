"""What these tests share: publications, mirrors of them, and settings that spare them waiting."""

from pathlib import Path

import pytest

from mirror_maker import Holder, World, a_world
from published_maker import Shelf, a_shelf
from repair_maker import SWARM, Place, own_archive


@pytest.fixture
def world(tmp_path: Path) -> World:
    return a_world(tmp_path)


@pytest.fixture
def holder(tmp_path: Path, world: World) -> Holder:
    return Holder(tmp_path / "mirror", str(world.folder))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return own_archive(tmp_path)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An archive of one's own that is published, and gives out on this machine alone."""
    made = a_shelf(tmp_path / "shelf")
    with made.layout.settings.open("a") as file:
        file.write(f"\n{SWARM}")
    made("publish")
    return made


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that fails is asked again at once."""
    monkeypatch.setattr("tenuto.publication.places.web.PAUSES_S", (0.0, 0.0))


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is known of places is kept with the test, not with the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, at_home: None, no_pauses: None) -> None:
    """A mirror in this process that waits for no publishing to end."""
    monkeypatch.setattr("tenuto.swarm.mirror._PUBLISHING_S", (0.0,))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, at_home: None, no_pauses: None) -> None:
    """A mirror in this process that soon gives up a place that says nothing, and soon asks it where peers say nothing."""
    monkeypatch.setattr("tenuto.publication.places.web.TIMEOUT_S", 1.5)
    monkeypatch.setattr("tenuto.swarm.fetching.LONELY_S", 1.0)

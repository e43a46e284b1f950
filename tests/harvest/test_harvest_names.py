"""Harvests are ordered by their names, whatever the clock says."""

from datetime import UTC, datetime
from pathlib import Path

from tenuto.harvest.run import _next_name
from tenuto.model.progress import Silent

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def test_a_harvest_after_one_under_a_clock_in_the_future_is_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "20300101T000000Z-00").mkdir()
    assert _next_name(tmp_path, NOW, Silent()) == "20300101T000001Z-00"


def test_harvests_of_one_second_are_counted(tmp_path: Path) -> None:
    assert _next_name(tmp_path / "none yet", NOW, Silent()) == "20261120T120000Z-00"
    (tmp_path / "20261120T120000Z-00").mkdir()
    assert _next_name(tmp_path, NOW, Silent()) == "20261120T120000Z-01"

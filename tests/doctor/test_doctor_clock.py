"""The clock against the kernel, the year, and what the archive says."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support import make_archive
from tenuto.archive import Layout
from tenuto.doctor import clock

NOW = datetime.now(UTC)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_archive(tmp_path)


def test_a_clock_that_is_synchronised_is_ok_in_an_archive_and_outside(layout: Layout) -> None:
    assert [one.state for one in clock.look(None, NOW, is_synchronised=True)] == ["ok"]
    assert [one.state for one in clock.look(layout, NOW, is_synchronised=True)] == ["ok"]


def test_a_clock_that_is_not_synchronised_is_a_warning_and_one_that_cannot_be_asked_is_not() -> None:
    (only,) = clock.look(None, NOW, is_synchronised=False)
    assert only.state == "warning"
    assert "timedatectl" in only.remedy
    assert [one.state for one in clock.look(None, NOW, is_synchronised=None)] == ["ok"]


def test_the_kernel_answers_or_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.synchronised() in {True, False, None}
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert clock.synchronised() is None


@pytest.mark.parametrize("year", [1970, 2025, 2101])
def test_a_year_that_cannot_be_is_bad(year: int) -> None:
    (only,) = clock.look(None, datetime(year, 3, 1, tzinfo=UTC), is_synchronised=True)
    assert only.state == "bad"
    assert str(year) in only.message


def test_an_edition_from_the_future_is_bad(layout: Layout) -> None:
    layout.edition("2099-01-01-00000000").mkdir(parents=True)
    (only,) = clock.look(layout, NOW, is_synchronised=True)
    assert only.state == "bad"
    assert "edition 2099-01-01-00000000" in only.message


@pytest.mark.parametrize("seconds", [3600, -60])
def test_a_publication_is_not_from_the_future(layout: Layout, seconds: int) -> None:
    layout.publication.mkdir()
    published_at = (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (layout.publication / "index.json").write_text(json.dumps({"published_at": published_at}))
    (only,) = clock.look(layout, NOW, is_synchronised=True)
    assert only.state == ("bad" if seconds > 0 else "ok")
    assert ("published_at" in only.message) == (seconds > 0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"published_at": 7}', b'{"published_at": "soon"}'], ids=repr)
def test_a_publication_that_cannot_be_read_is_not_this_looks_business(layout: Layout, content: bytes) -> None:
    layout.publication.mkdir()
    (layout.publication / "index.json").write_bytes(content)
    assert [one.state for one in clock.look(layout, NOW, is_synchronised=True)] == ["ok"]


def test_a_file_from_the_future_is_bad_and_named(layout: Layout) -> None:
    layout.crates.mkdir()
    file = layout.crates / "a.torrent"
    file.write_bytes(b"")
    os.utime(file, (NOW.timestamp() + 86_400,) * 2)
    (only,) = clock.look(layout, NOW, is_synchronised=True)
    assert only.state == "bad"
    assert str(file) in only.message

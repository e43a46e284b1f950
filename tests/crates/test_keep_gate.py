"""The gate at keeping and at sealing: what the plan may have thought, and what holds today."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harvesting import verb
from keep_maker import (
    GRANT,
    NAME,
    bands,
    contents,
    crates,
    failures,
    keep,
    kept,
    music,
    outcomes,
    put,
    rows,
    shelf,
    statuses,
    table_of,
)
from support import tenuto_json
from tenuto.crates import wanted
from tenuto.crates.holdings import crate_files
from tenuto.crates.withdrawn import note_recordings
from tenuto.model.ids import track_key
from tenuto.rights.withdrawals import Log, parse_log

TODAY = datetime.now(UTC).date()


def test_what_a_permission_forbids_to_keep_is_not_fetched(tmp_path):
    grant = GRANT + '[[grant]]\npath = "0/*"\nmay_keep = false\n'
    layout = shelf(tmp_path, permission=grant)
    keep(layout)
    assert set(kept(layout)) == {name for name in contents(tmp_path / "music") if name.startswith("1/")}
    assert statuses(layout) == {"kept": 2, "not_permitted": 3}


def test_prohibition_that_came_into_force_since_the_plan_is_refused_and_not_fetched(tmp_path, monkeypatch):
    """A grant whose day has passed is no grant: an open draft is not sealed open."""
    layout = shelf(tmp_path, permission=GRANT + f"until = {TODAY + timedelta(days=1)}\n")
    assert {row["access"] for row in table_of(layout, "drafts")} == {"open"}
    _at(monkeypatch, tmp_path, TODAY + timedelta(days=2))
    done = tenuto_json("keep", "--archive", layout.root, code=9)
    assert done["failed"] == {"recording-refused": 5}
    assert crate_files(layout) == []
    reason = failures(layout)["recording-refused"]
    assert "does not hold for worldwide" in reason
    assert "run tenuto plan" in reason


def test_grant_that_ends_while_the_rest_is_fetched_is_not_sealed_open(tmp_path, monkeypatch):
    music(tmp_path / "music", 4)
    grant = GRANT + f'[[grant]]\npath = "0/*"\nlicence = "CC-BY-4.0"\nuntil = {TODAY}\n'
    layout = shelf(tmp_path, permission=grant)
    layout.crates.rmdir() if layout.crates.exists() else None
    layout.crates.touch()  # fetched, and not sealed
    keep(layout, code=1)
    layout.crates.unlink()
    _at(monkeypatch, tmp_path, TODAY + timedelta(days=1))
    done = tenuto_json("keep", "--archive", layout.root, code=9)
    assert (done["recordings"], done["failed"]) == (2, {"recording-refused": 2})
    assert {one.row["track_id"][:2] for one in rows(layout)} == {"1/"}


def test_refused_recordings_get_no_supplement_while_the_gate_refuses_them(tmp_path, monkeypatch):
    grant = GRANT + f'[[grant]]\npath = "0/*"\nlicence = "CC-BY-4.0"\nuntil = {TODAY}\n'
    layout = shelf(tmp_path, permission=grant)
    with monkeypatch.context() as patched:
        _at(patched, tmp_path, TODAY + timedelta(days=1))
        keep(layout, code=9)
        before = crates(layout)
        for _ in range(2):
            done = tenuto_json("keep", "--retry-failed", "--archive", layout.root, code=9)
            assert (done["crates"], done["failed"]) == ([], {"recording-refused": 3})
        assert not list(layout.journals.glob("*.supplements.json"))
    keep(layout, "--retry-failed")  # the day is put right, and the gate says yes
    assert before.items() < crates(layout).items()
    assert kept(layout) == contents(tmp_path / "music")


def test_withdrawn_track_is_not_put_into_an_open_crate(tmp_path):
    layout = shelf(tmp_path)
    _withdraw(layout, "0/0.flac", is_destroyed=False)
    keep(layout)
    assert failures(layout) == {}
    assert set(kept(layout)) == set(contents(tmp_path / "music")) - {"0/0.flac"}
    keep(layout)


def test_destroyed_track_is_not_fetched_into_a_dark_crate_and_a_withdrawn_one_may_be(tmp_path):
    put(tmp_path / "music/a.flac", 1, title="A")
    put(tmp_path / "music/b.flac", 2, title="B")
    put(tmp_path / "music/c.flac", 3, title="C")
    layout = shelf(tmp_path, permission=None)
    _withdraw(layout, "a.flac", is_destroyed=True)
    _withdraw(layout, "b.flac", is_destroyed=False)
    keep(layout)
    assert set(kept(layout)) == {"b.flac", "c.flac"}


def test_track_withdrawn_after_it_was_fetched_is_not_sealed(tmp_path):
    layout = shelf(tmp_path)
    layout.crates.rmdir() if layout.crates.exists() else None
    layout.crates.touch()
    keep(layout, code=1)
    layout.crates.unlink()
    _withdraw(layout, "0/0.flac", is_destroyed=True)
    keep(layout)
    assert "0/0.flac" not in kept(layout)
    gone = (tmp_path / "music/0/0.flac").read_bytes()
    assert not any(gone in path.read_bytes() for path in layout.root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("permission", "is_destroyed", "is_refused"),
    [(GRANT, False, True), (GRANT, True, True), (None, False, False), (None, True, True)],
)
def test_recording_that_was_taken_back_is_refused_under_another_id(tmp_path, permission, is_destroyed, is_refused):
    layout = shelf(tmp_path, permission=permission)
    content = (tmp_path / "music/0/0.flac").read_bytes()
    note_recordings(layout, 1, [hashlib.sha256(content).hexdigest()], is_destroyed=is_destroyed)
    keep(layout, code=9 if is_refused else 0)
    assert ("0/0.flac" not in kept(layout)) == is_refused
    assert len(rows(layout)) == 5 - is_refused
    if is_refused:
        assert failures(layout)["recording-refused"].startswith("withdrawn (")
        assert content not in _all_bytes(layout)
        keep(layout, "--retry-failed", code=9)
        assert len(rows(layout)) == 4


@pytest.mark.parametrize("of", ["original", "derivative"])
def test_derivative_of_what_was_taken_back_is_refused_by_either_digest(tmp_path, of):
    put(tmp_path / "music/a.flac", 1, 6.0, title="A")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        layout = shelf(tmp_path / name, tmp_path / "music", settings=bands("opus-32"))
        if name == "one":
            keep(layout)
            (one,) = rows(layout)
    digest = one.row["derived_from"] if of == "original" else one.row["sha256"]
    note_recordings(layout, 1, [digest], is_destroyed=False)
    keep(layout, code=9)
    assert rows(layout) == []
    assert failures(layout).keys() == {"recording-refused"}


@pytest.mark.parametrize("of", ["original", "derivative"])
def test_recording_taken_back_after_it_was_fetched_under_another_id_is_not_sealed(tmp_path, of):
    put(tmp_path / "music/a.flac", 1, 6.0, title="A")
    layout = shelf(tmp_path, settings=bands("opus-32"))
    layout.crates.rmdir() if layout.crates.exists() else None
    layout.crates.touch()
    keep(layout, code=1)
    layout.crates.unlink()
    (outcome,) = outcomes(layout).values()
    (file,) = layout.drafts.glob("*/0*")
    content = file.read_bytes()
    note_recordings(layout, 1, [outcome.derived_from if of == "original" else outcome.sha256], is_destroyed=False)
    keep(layout, code=9)
    assert crate_files(layout) == []
    assert failures(layout)["recording-refused"].startswith("withdrawn (")
    assert content not in _all_bytes(layout)


def test_draft_of_which_all_was_destroyed_meanwhile_leaves_nothing(tmp_path):
    put(tmp_path / "music/a.flac", 1, title="A")
    layout = shelf(tmp_path)
    layout.crates.rmdir() if layout.crates.exists() else None
    layout.crates.touch()
    keep(layout, code=1)
    layout.crates.unlink()
    _withdraw(layout, "a.flac", is_destroyed=True)
    keep(layout)
    assert list(layout.drafts.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--retry-failed"]])
def test_plan_of_an_older_edition_is_not_carried_out(tmp_path, words, capsys):
    layout = shelf(tmp_path)
    (tmp_path / "permission.toml").write_text(GRANT.replace("may_keep = true", "may_keep = false"))
    assert verb(layout, "harvest") == 0
    assert verb(layout, "catalogue", "build") == 0
    keep(layout, *words, code=2)
    said = capsys.readouterr().err
    assert "was made from an older edition" in said
    assert "run: tenuto plan" in said
    assert crate_files(layout) == []
    assert tenuto_json("status", "--archive", layout.root)["next"] == "tenuto plan"
    assert verb(layout, "plan") == 0
    keep(layout, *words)
    assert crate_files(layout) == []


def test_gate_goes_by_the_day_of_utc(monkeypatch):
    class Clock:
        @staticmethod
        def now(zone):
            assert zone is UTC
            return datetime(2026, 1, 31, 23, 59, tzinfo=UTC)

    monkeypatch.setattr(wanted, "datetime", Clock)
    assert wanted.today().isoformat() == "2026-01-31"
    sources = Path(wanted.__file__).parents[1].rglob("*.py")
    assert [path.name for path in sources if "date.today()" in path.read_text()] == []


def _all_bytes(layout):
    return b"".join(path.read_bytes() for path in layout.root.rglob("*") if path.is_file())


def _withdraw(layout, track_id, *, is_destroyed):
    log = Log()
    if layout.withdrawals.exists():
        log = parse_log(layout.withdrawals.read_bytes(), "log")
    key = track_key(NAME, track_id)
    log = log.with_one_more(key=key, reason="rightsholder", on=TODAY, is_destroyed=is_destroyed, crates=())
    layout.withdrawals.write_bytes(log.encode())


CLOCK = """\
import datetime
import tenuto.crates.wanted

tenuto.crates.wanted.today = lambda: datetime.date.fromisoformat("{day}")
"""


def _at(monkeypatch, folder, day):
    """Another day for the processes that are started from now on: `sitecustomize` is read before anything else."""
    place = folder / "clock"
    place.mkdir()
    (place / "sitecustomize.py").write_text(CLOCK.format(day=day.isoformat()))
    monkeypatch.setenv("PYTHONPATH", str(place))


def test_keep_stops_where_the_log_of_withdrawals_has_lost_what_a_crate_says(tmp_path):
    layout = shelf(tmp_path)
    keep(layout)
    assert verb(layout, "withdraw", f"{NAME}:0/0.flac", "--reason", "law", "--destroy") == 0
    layout.withdrawals.unlink()
    keep(layout, code=7)

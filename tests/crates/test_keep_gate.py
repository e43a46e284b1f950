"""The gate at keeping and at sealing: what the plan may have thought, and what holds today."""

from datetime import date, timedelta

from keep_maker import GRANT, NAME, contents, crates, failures, keep, kept, music, put, rows, shelf, statuses, table_of
from support import tenuto_json
from tenuto.crates.holdings import crate_files
from tenuto.model.ids import track_key
from tenuto.rights.withdrawals import Log, parse_log

TODAY = date.today()  # noqa: DTZ011 -- the gate goes by the operator's day


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


def _withdraw(layout, track_id, *, is_destroyed):
    log = Log()
    if layout.withdrawals.exists():
        log = parse_log(layout.withdrawals.read_bytes(), "log")
    key = track_key(NAME, track_id)
    log = log.with_one_more(key=key, reason="rightsholder", on=TODAY, is_destroyed=is_destroyed, crates=())
    layout.withdrawals.write_bytes(log.encode())


CLOCK = """\
import datetime

_Real = datetime.date


class _Kind(type(_Real)):
    def __instancecheck__(cls, one):
        return isinstance(one, _Real)


class date(_Real, metaclass=_Kind):
    @classmethod
    def today(cls):
        return _Real.fromisoformat("{day}")


datetime.date = date
"""


def _at(monkeypatch, folder, day):
    """Another day for the processes that are started from now on: `sitecustomize` is read before anything else."""
    place = folder / "clock"
    place.mkdir()
    (place / "sitecustomize.py").write_text(CLOCK.format(day=day.isoformat()))
    monkeypatch.setenv("PYTHONPATH", str(place))

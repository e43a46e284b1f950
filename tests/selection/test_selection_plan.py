"""The plan: every track one status with a reason, numbers that anyone can recompute, written once."""

import json
import os
import shutil
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

import evidence_maker as made
from support import make_archive
from tenuto.archive import SourceSettings, load_settings
from tenuto.archive.settings import Band
from tenuto.crates.status import archive_status
from tenuto.model.errors import IntegrityError
from tenuto.model.statuses import STATUSES
from tenuto.selection import load_newest, make_plan

LOSSLESS = {"suffix": "flac", "contentType": "audio/flac", "bitRate": 900, "size": 30_000_000, "duration": 240}
SONGS = (
    made.song("t1", playCount=50, size=5_000_000, duration=200),
    made.song("t2", playCount=0, **LOSSLESS),
    made.song("t3", playCount=0, size=4_000_000, duration=200),
    made.song("t4", playCount=9, size=6_000_000, duration=200),
    made.song("t5", playCount=1, size=None, bitRate=None),
    made.song("t6", playCount=700, size=3_000_000),
)


def _archive(tmp_path, songs=SONGS, *, grants=('licence = "CC0-1.0"',), more=()):
    layout = make_archive(tmp_path)
    made.keep(
        layout, "shop", [made.permission(*grants), made.album("r1", songs[:3]), made.album("r2", songs[3:]), *more]
    )
    return layout, load_settings(layout.settings)


def _plan(layout, settings, budget=None):
    return make_plan(layout, settings, made.edition_of(layout), budget)


def _rows(layout, plan, name="tracks"):
    return pq.read_table(layout.plan(plan.plan) / f"{name}.parquet").to_pylist()


def _by_id(layout, plan):
    return {row["track_id"]: row for row in _rows(layout, plan)}


def _changed(settings, **selection):
    return settings.model_copy(update={"selection": settings.selection.model_copy(update=selection)})


def test_each_track_has_one_status_and_a_reason_and_they_add_up(tmp_path):
    layout, settings = _archive(tmp_path, grants=('licence = "CC0-1.0"', 'track = "t6"\nmay_keep = false'))
    plan = _plan(layout, settings, "12 MB")
    found = _by_id(layout, plan)
    assert found["t5"]["status"] == "unavailable"
    assert found["t6"]["status"] == "not_permitted"
    assert "forbids keeping" in found["t6"]["reason"]
    assert all(row["reason"] and row["status"] in STATUSES for row in found.values())
    assert sum(plan.statuses.values()) == sum(plan.reasons.values()) == plan.tracks == len(SONGS)
    assert {status: sum(row["status"] == status for row in found.values()) for status in plan.statuses} == plan.statuses


def test_numbers_of_a_plan_can_be_recomputed_from_its_tables(tmp_path):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, settings, "13 MB")
    rows, drafts = _rows(layout, plan), _rows(layout, plan, "drafts")
    kept = [row for row in rows if row["status"] == "planned"]
    assert 0 < len(kept) < len(rows)
    assert plan.plan_bytes == sum(row["planned_bytes"] for row in kept) <= plan.budget_bytes == 13_000_000
    assert plan.plan_bytes == sum(group.bytes for group in plan.groups) == sum(draft["bytes"] for draft in drafts)
    assert len(kept) == sum(group.tracks for group in plan.groups) == sum(draft["recordings"] for draft in drafts)
    assert plan.value_kept_frac == pytest.approx(sum(row["value"] for row in kept) / sum(row["value"] for row in rows))
    assert plan.value_kept_frac <= plan.value_bound_frac <= 1
    assert plan.listens == sum(row["listens_count"] for row in rows) == 760
    assert plan.listens_kept_frac == pytest.approx(sum(row["listens_count"] for row in kept) / 760)
    assert plan.original_bytes == sum(row["original_bytes"] or 0 for row in rows)
    assert (plan.drafts, plan.drafts_dark) == (len(drafts), sum(draft["access"] == "dark" for draft in drafts))


def test_every_planned_track_is_in_one_draft_of_its_band_and_access(tmp_path):
    layout, settings = _archive(tmp_path, grants=('licence = "CC0-1.0"', 'track = "t1"\nmay_give_out = false'))
    plan = _plan(layout, settings)
    drafts = {row["draft"]: row for row in _rows(layout, plan, "drafts")}
    held = dict.fromkeys(drafts, 0)
    for row in _rows(layout, plan):
        assert (row["draft"] is not None) == (row["planned_bytes"] is not None) == (row["status"] == "planned")
        if row["draft"] is not None:
            held[row["draft"]] += 1
            assert (row["band"], row["access"]) == (drafts[row["draft"]]["band"], drafts[row["draft"]]["access"])
    assert held == {number: row["recordings"] for number, row in drafts.items()}
    assert {row["access"] for row in drafts.values()} == {"open", "dark"}


def test_default_policy_keeps_lossy_as_it_is_and_makes_opus_of_unheard_lossless(tmp_path):
    layout, settings = _archive(tmp_path)
    found = _by_id(layout, _plan(layout, settings))
    assert {own: (row["band"], row["tier"]) for own, row in found.items()} == {
        "t1": ("heard", "original"), "t2": ("unheard", "opus-75"), "t3": ("unheard", "original"),
        "t4": ("heard", "original"), "t5": ("heard", "original"), "t6": ("heard", "original")}  # fmt: skip
    assert found["t3"]["reason"] == "a lossy original stays as it is"
    assert found["t2"]["planned_bytes"] < found["t2"]["original_bytes"] / 10


def test_lossy_to_lossy_is_marked_in_the_tracks_and_counted_in_the_reasons(tmp_path):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, _changed(settings, lossy_to_lossy=True))
    assert _by_id(layout, plan)["t3"]["reason"] == "lossy to lossy, as the policy says in words"
    assert plan.reasons["lossy to lossy, as the policy says in words"] == 1


def test_band_of_which_nothing_is_kept_is_excluded(tmp_path):
    layout, settings = _archive(tmp_path)
    bands = (Band(name="heard", popularity_min=1, listens_min=1, tier="original"), Band(name="rest", tier="none"))
    found = _by_id(layout, _plan(layout, _changed(settings, bands=bands)))
    assert {own for own, row in found.items() if row["status"] == "excluded"} == {"t2", "t3"}
    assert found["t2"]["reason"] == "the policy keeps nothing of band rest"


def test_same_edition_and_policy_leave_the_plan_as_it_is(tmp_path):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, settings)
    before = {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in layout.plan(plan.plan).iterdir()}
    assert _plan(layout, settings) == plan
    assert {
        file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in layout.plan(plan.plan).iterdir()
    } == before


def test_plan_is_made_again_to_the_byte_when_it_was_deleted(tmp_path):
    layout, settings = _archive(tmp_path)
    sums = made.sha256s(layout.plan(_plan(layout, settings).plan))
    shutil.rmtree(layout.plans)
    assert made.sha256s(layout.plan(_plan(layout, settings).plan)) == sums


@pytest.mark.parametrize("change", ["budget", "policy", "territory", "crates", "edition"])
def test_other_policy_or_edition_is_another_plan_and_the_first_stays(tmp_path, change):
    layout, settings = _archive(tmp_path)
    first = _plan(layout, settings)
    sums = made.sha256s(layout.plan(first.plan))
    if change == "territory":
        settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"territory": "DE"})})
    elif change == "crates":
        settings = settings.model_copy(update={"crates": settings.crates.model_copy(update={"recordings_max": 2})})
    elif change == "policy":
        settings = _changed(settings, value_cap_s=60)
    elif change == "edition":
        made.keep(layout, "shop", [made.album("r9", [made.song("new")])], made.DAY + timedelta(days=1))
    second = _plan(layout, settings, "10 MB" if change == "budget" else None)
    assert second.plan != first.plan
    assert second.number == first.number + 1
    assert load_newest(layout) == second
    assert made.sha256s(layout.plan(first.plan)) == sums
    assert second.plan.startswith(second.edition)


@pytest.mark.parametrize("budget", ["0", "0%"])
def test_budget_of_nothing_plans_nothing(tmp_path, budget):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, settings, budget)
    assert (plan.plan_bytes, plan.drafts, plan.value_kept_frac, plan.listens_kept_frac, plan.groups) == (
        0,
        0,
        0.0,
        0.0,
        (),
    )
    assert plan.statuses == {"over_budget": 5, "unavailable": 1}


def test_budget_as_a_share_is_one_of_the_bytes_of_the_originals(tmp_path):
    layout, settings = _archive(tmp_path)
    assert _plan(layout, settings, "50%").budget_bytes == 24_000_000
    assert _plan(layout, settings, "100%").budget_bytes == 48_000_000 == _plan(layout, settings).original_bytes


def test_plan_of_an_empty_catalogue_is_empty_and_divides_by_nothing(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([])])
    plan = _plan(layout, load_settings(layout.settings))
    assert (plan.tracks, plan.statuses, plan.plan_bytes, plan.value_kept_frac, plan.listens) == (0, {}, 0, None, None)
    assert _rows(layout, plan) == _rows(layout, plan, "drafts") == []


def test_rank_orders_the_choice_but_no_share_of_listens_is_made_of_it(tmp_path):
    songs = [made.song(f"t{n}") for n in range(1, 7)]
    layout, settings = _archive(tmp_path, songs, more=[made.frequent("r2", "r1")])
    plan = _plan(layout, settings, "6 MB")
    assert {own for own, row in _by_id(layout, plan).items() if row["status"] == "planned"} == {"t4", "t5", "t6"}
    assert (plan.listens, plan.listens_kept_frac) == (None, None)
    assert all(group.listens is None for group in plan.groups)
    assert "order" in plan.listens_note
    assert all(row["listens_count"] is None for row in _rows(layout, plan))


def test_source_that_tells_nothing_of_listens_says_so(tmp_path):
    layout, settings = _archive(tmp_path, [made.song("t1")])
    plan = _plan(layout, settings)
    assert (plan.listens, plan.listens_kept_frac) == (None, None)
    assert "no listens" in plan.listens_note


def test_scope_of_listens_stands_in_the_note(tmp_path):
    layout, settings = _archive(tmp_path, more=[made.listens([("t1", 4, "2026-01-01")])])
    assert "service, user" in _plan(layout, settings).listens_note


GRANTS = {
    'licence = "CC0-1.0"': {"worldwide", "DE", "FR"},
    'licence = "CC0-1.0"\nuntil = 2026-02-28': set(),
    'licence = "CC0-1.0"\nuntil = 2026-03-01': {"worldwide", "DE", "FR"},
    'licence = "CC0-1.0"\nterritories = ["DE"]': {"DE"},
    'licence = "nobody knows this one"': set(),
    "may_keep = true": set(),
    "may_give_out = true": {"worldwide", "DE", "FR"},
}
"""Grants, and the territories for which what they speak of is open on 1 March 2026, the day of the newest evidence."""


@pytest.mark.parametrize("territory", ["worldwide", "DE", "FR"])
def test_what_may_not_be_given_out_there_and_then_is_planned_dark(tmp_path, territory):
    layout = make_archive(tmp_path)
    for number, grant in enumerate(GRANTS):
        made.keep(layout, f"shop{number}", [made.permission(grant), made.album("r1", [made.song("t1")])])
    settings = load_settings(layout.settings)
    settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"territory": territory})})
    plan = _plan(layout, settings)
    assert plan.statuses == {"planned": len(GRANTS)}
    assert {int(row["source"][4:]): row["access"] for row in _rows(layout, plan)} == {
        number: "open" if territory in where else "dark" for number, where in enumerate(GRANTS.values())}  # fmt: skip
    drafts = {row["access"]: row["recordings"] for row in _rows(layout, plan, "drafts")}
    is_open = sum(territory in where for where in GRANTS.values())
    assert drafts == {"open": is_open, "dark": len(GRANTS) - is_open}
    assert plan.drafts_dark == 1


def test_track_that_the_source_does_not_offer_is_unavailable(tmp_path):
    layout, settings = _archive(tmp_path, [made.song("t1", size=0)])
    plan = _plan(layout, settings)
    assert plan.statuses == {"unavailable": 1}


def test_newest_plan_of_an_archive_without_one_is_none(tmp_path):
    assert load_newest(make_archive(tmp_path)) is None


@pytest.mark.parametrize("content", ["{", '{"format": "tenuto-plan-9"}', "[]", '{"format": "tenuto-plan-1"}'])
def test_plan_that_this_version_does_not_know_is_refused_with_the_next_command(tmp_path, content):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, settings)
    (layout.plan(plan.plan) / "plan.json").write_text(content)
    with pytest.raises(IntegrityError, match="tenuto plan"):
        load_newest(layout)


def test_status_adds_up_before_and_after_a_plan_and_after_a_newer_edition(tmp_path):
    layout, settings = _archive(tmp_path)
    assert archive_status(layout, settings)["tracks"] == 0
    made.edition_of(layout)
    before = archive_status(layout, settings)
    assert (before["tracks"], before["statuses"], before["plan"]) == (6, {"unplanned": 6}, None)
    plan = _plan(layout, settings, "12 MB")
    after = archive_status(layout, settings)
    assert after["statuses"] == plan.statuses
    assert sum(after["statuses"].values()) == after["tracks"] == sum(after["licences"].values())
    made.keep(layout, "shop", [made.album("r9", [made.song("new")])], made.DAY + timedelta(days=1))
    made.edition_of(layout)
    newer = archive_status(layout, settings)
    assert (newer["tracks"], newer["tombstones"], newer["statuses"]) == (1, 6, {"unplanned": 1})
    assert (newer["plan"], newer["plan_is_current"]) == (plan.plan, False)


def test_damaged_plan_stops_no_other_and_its_number_is_not_given_again(tmp_path):
    layout, settings = _archive(tmp_path)
    first, second = _plan(layout, settings, "12 MB"), _plan(layout, settings, "13 MB")
    (layout.plan(second.plan) / "plan.json").write_text("{")
    assert (first.number, _plan(layout, settings, "14 MB").number) == (1, 3)
    again = _plan(layout, settings, "13 MB")
    assert (again.plan, again.number) == (second.plan, 4)
    assert load_newest(layout) == again


def _touch(file, seconds):
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + seconds * 10**9))


def test_status_says_build_after_a_newer_harvest_and_plan_after_other_settings(tmp_path):
    layout, settings = _archive(tmp_path)
    chosen = SourceSettings(kind="subsonic", location="http://music.invalid")
    settings = settings.model_copy(update={"sources": {"shop": chosen}})
    _plan(layout, settings, "12 MB")
    assert archive_status(layout, settings)["next"] == "tenuto keep"
    assert archive_status(layout, _changed(settings, value_cap_s=7))["next"].startswith("tenuto plan")
    folder = made.keep(layout, "shop", [made.album("r1", SONGS[:3])], made.DAY + timedelta(days=1))
    _touch(folder / "harvest.json", 5)
    assert archive_status(layout, settings)["next"] == "tenuto catalogue build"


def test_plan_json_is_the_plan_and_names_its_policy(tmp_path):
    layout, settings = _archive(tmp_path)
    plan = _plan(layout, settings, "12 MB")
    document = json.loads((layout.plan(plan.plan) / "plan.json").read_bytes())
    assert document == plan.model_dump(mode="json")
    assert (document["policy"]["budget"], document["policy"]["territory"]) == ("12 MB", "worldwide")

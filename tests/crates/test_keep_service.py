"""Keeping what a service gives: every way in which it can fail, each with its code, without its secrets, and the rest goes on."""

import json
import random
import shutil
import time
from itertools import pairwise

import pytest

from harvesting import LOGIN, NAME, leaks
from keep_maker import (
    Shop,
    body,
    crates,
    cut,
    endless,
    failures,
    keep,
    kept,
    music,
    outcomes,
    replan,
    rows,
    set_in,
    sound,
    statuses,
    store,
)
from lying_server import PASSWORD, answer, drop, html_page, redirect, stall, subsonic_error, truncate
from support import tenuto
from tenuto.archive import load_settings
from tenuto.crates import recording
from tenuto.crates.holdings import crate_files
from tenuto.crates.journal import DraftFolder
from tenuto.crates.wanted import edition_of, load_drafts, load_log, load_wanted
from tenuto.harvest.originals import open_originals
from tenuto.model.ids import track_key
from tenuto.model.progress import Silent
from tenuto.selection.plan import load_newest

XML = (
    b'<?xml version="1.0"?>'
    b'<subsonic-response status="failed" version="1.16.1"><error code="70" message="Song not found"/></subsonic-response>'
)


@pytest.fixture
def server():
    with Shop() as running:
        yield running


def test_recordings_of_a_service_are_kept_byte_for_byte_and_asked_for_once(server, tmp_path):
    layout = store(tmp_path, server)
    keep(layout)
    assert kept(layout) == server.sounds
    assert sorted(server.downloads()) == sorted(server.sounds)
    server.forget()
    keep(layout)
    assert server.log == []


def test_new_harvest_and_plan_with_nothing_changed_fetch_nothing(server, tmp_path):
    layout = store(tmp_path, server)
    keep(layout)
    before = crates(layout)
    server.manner.song = {"playCount": 7}  # the evidence is another, the file is not
    replan(layout)
    set_in(layout, selection={"value_cap_s": 900})
    replan(layout)
    server.forget()
    keep(layout)
    assert server.downloads() == []
    assert crates(layout) == before


def test_song_whose_file_changed_is_fetched_anew_after_the_next_harvest(server, tmp_path):
    layout = store(tmp_path, server)
    keep(layout)
    changed = next(iter(server.sounds))
    server.sounds[changed] = sound(999, 0.7)
    server.songs[changed]["size"] = len(server.sounds[changed])
    replan(layout)
    server.forget()
    keep(layout)
    assert server.downloads() == [changed]


LIES = {
    "html": (html_page, "recording-unavailable"),
    "html called audio": (body(b"<!doctype html><title>Oops</title>" * 99), "recording-damaged"),
    "json error": (subsonic_error(0), "recording-unavailable"),
    "json not found": (subsonic_error(70), "recording-gone"),
    "json called audio": (
        body(b'{"subsonic-response":{"status":"failed","error":{"code":70,"message":"x"}}}'),
        "recording-gone",
    ),
    "other json": (body(b'{"error": "try later"}', "application/json"), "recording-unavailable"),
    "xml error": (body(XML, "text/xml"), "recording-gone"),
    "xml called audio": (body(XML), "recording-gone"),
    "0 bytes": (body(b""), "recording-damaged"),
    "404": (answer(404), "recording-gone"),
    "410": (answer(410), "recording-gone"),
    "400": (answer(400), "recording-unavailable"),
    "500": (answer(500), "recording-unavailable"),
    "503": (answer(503), "recording-unavailable"),
    "reset": (drop, "recording-unavailable"),
    "stall": (stall(1.4), "recording-unavailable"),
    "text": (body(b"no music, just words\n" * 300, "audio/mpeg"), "recording-damaged"),
    "zeros": (body(bytes(40_000)), "recording-damaged"),
    "redirect elsewhere": (redirect("http://198.51.100.7/x?{login}"), "recording-unavailable"),
    "redirect to a file": (redirect("file:///etc/passwd"), "recording-unavailable"),
    "redirect for ever": (redirect("/rest/download.view?id=so-0000-0&{login}"), "recording-unavailable"),
    "packed": (body(b"x", Content_Encoding="gzip"), "recording-unavailable"),
    "short": (truncate, "recording-unavailable"),
}


@pytest.fixture(scope="module")
def lied_to(tmp_path_factory):
    """A keep of a service that tells each lie about one recording, and the truth about two."""
    with Shop(1, len(LIES) + 2) as server:
        layout = store(tmp_path_factory.mktemp("lies"), server)
        bad = dict(zip(LIES, server.sounds, strict=False))
        for lie, (trick, _) in LIES.items():
            server.lie(trick, call="download", own_id=bad[lie])
        done = tenuto("keep", "--archive", layout.root, env=LOGIN, code=9)
        yield layout, server, bad, done


@pytest.mark.parametrize("lie", LIES)
def test_recording_that_cannot_be_had_fails_with_its_code_and_a_reason(lie, lied_to):
    layout, _, bad, _ = lied_to
    outcome = outcomes(layout)[track_key(NAME, bad[lie])]
    assert outcome.code == LIES[lie][1], outcome.reason
    assert outcome.reason


def test_what_can_be_had_is_kept_beside_what_cannot_and_no_secret_is_told(lied_to):
    layout, server, bad, done = lied_to
    assert kept(layout) == {own: content for own, content in server.sounds.items() if own not in bad.values()}
    assert statuses(layout) == {"kept": 2, "failed": len(LIES)}
    assert "a bug" not in done.stderr
    assert "recording-damaged 4" in done.stdout
    assert "--retry-failed" in done.stdout
    assert leaks(layout.root, {PASSWORD} | server.secrets_sent(), done.stdout, done.stderr) == []


def test_failed_recording_is_tried_again_on_demand_into_a_supplement_beside_the_sealed_crate(server, tmp_path):
    layout = store(tmp_path, server)
    server.lie(answer(404), call="download", own_id="so-0000-0", times=1)
    keep(layout, code=9)
    before = crates(layout)
    server.forget()
    keep(layout, code=9)
    assert server.downloads() == []
    keep(layout, "--retry-failed")
    assert server.downloads() == ["so-0000-0"]
    assert before.items() < crates(layout).items()
    assert kept(layout) == server.sounds
    assert statuses(layout) == {"kept": 6}
    first, second = (path.stem for path in crate_files(layout))
    assert int(second.rsplit("-", 2)[1]) == int(first.rsplit("-", 2)[1]) + 1
    server.forget()
    keep(layout, "--retry-failed")
    assert server.log == []


def test_recording_cut_off_at_random_points_is_never_kept(tmp_path):
    chance = random.Random(7)
    with Shop(2, 6) as server:
        layout = store(tmp_path, server)
        parts = {}
        for own, content in server.sounds.items():
            parts[own] = content[: chance.randrange(1, len(content) - 1)]
            announced = chance.random() < 0.5
            trick = cut(content, len(parts[own])) if announced else body(parts[own])
            server.lie(trick, call="download", own_id=own)
        keep(layout, code=9)
        assert crate_files(layout) == []
        assert {one.code for one in outcomes(layout).values()} <= {"recording-damaged", "recording-unavailable"}
        assert len(outcomes(layout)) == 12


def test_server_error_that_passes_is_waited_for(server, tmp_path):
    layout = store(tmp_path, server)
    server.lie(answer(500), call="download", own_id="so-0000-0", times=1)
    server.lie(drop, call="download", own_id="so-0000-1", times=1)
    server.lie(cut(server.sounds["so-0001-0"], 700), call="download", own_id="so-0001-0", times=1)
    keep(layout)
    assert kept(layout) == server.sounds


def test_wrong_login_stops_the_draft_and_says_what_to_set(server, tmp_path, capsys):
    layout = store(tmp_path, server)
    server.lie(answer(401), call="download")
    keep(layout, code=5)
    said = capsys.readouterr().err
    assert "TENUTO_SHOP_PASSWORD" in said
    assert failures(layout) == {}
    assert len(server.downloads()) <= 2
    server.lies.pop()
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds


def test_login_refused_at_the_greeting_stops_the_draft(server, tmp_path, capsys):
    layout = store(tmp_path, server)
    server.manner.login = "nobody"
    keep(layout, code=5)
    assert "TENUTO_SHOP_PASSWORD" in capsys.readouterr().err
    assert server.downloads() == []


def test_short_wish_to_wait_is_kept(server, tmp_path):
    layout = store(tmp_path, server, pause_max_s=5)
    server.lie(answer(429, Retry_After="1"), call="download", own_id="so-0000-1", times=1)
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds
    asked = [one.at for one in server.log if one.call == "download" and one.query["id"] == "so-0000-1"]
    assert asked[1] - asked[0] >= 1.0


def test_long_wish_to_wait_ends_the_run_and_the_next_goes_on(server, tmp_path, capsys):
    layout = store(tmp_path, server)
    server.lie(answer(429, Retry_After="3600"), call="download", own_id="so-0001-0", times=1)
    keep(layout, code=5)
    said = capsys.readouterr().err
    assert "3600 s" in said
    assert "tenuto keep" in said
    assert failures(layout) == {}
    had = server.downloads()
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds
    assert not set(server.downloads()) & set(had) - {"so-0001-0"}


def test_service_that_goes_away_leaves_the_draft_open_and_nothing_failed(server, tmp_path, capsys):
    layout = store(tmp_path, server)
    server.lie(lambda handler, asked: (server.go_down(), drop(handler, asked)), call="download", own_id="so-0001-0")
    keep(layout, code=5)
    said = capsys.readouterr().err
    assert "run tenuto keep again" in said
    assert "tenuto harvest" not in said
    assert failures(layout) == {}
    assert crate_files(layout) == []
    server.lies.pop()
    server.come_back()
    had = {own for own in server.sounds if track_key(NAME, own) in outcomes(layout)}
    assert had
    server.forget()
    keep(layout)
    assert kept(layout) == server.sounds
    assert not set(server.downloads()) & had


def test_service_that_is_away_is_not_asked_for_every_draft(tmp_path):
    with Shop(8, 2) as server:
        layout = store(tmp_path, server, settings={"crates": {"recordings_max": 2}})
        server.forget()
        server.go_down()
        keep(layout, "--workers", "2", code=5)
        assert len(server.log) <= 8


def test_endless_body_is_cut_off_at_the_limit(server, tmp_path, monkeypatch):
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    layout = store(tmp_path, server)
    monkeypatch.setattr(recording, "_SLACK_BYTES", 2**20)
    server.lie(endless, call="download", own_id="so-0000-0")
    plan = load_newest(layout)
    edition = edition_of(layout, plan)
    (draft,) = load_drafts(layout, plan)
    wanted = next(
        one for one in load_wanted(layout, plan, edition, draft, load_log(layout)) if one.track_id == "so-0000-0"
    )
    folder = DraftFolder(tmp_path / "draft")
    with open_originals(layout, load_settings(layout.settings), NAME, Silent()) as originals:
        outcome = recording.keep_recording(wanted, 0, folder, originals, (), lambda _: False)
    assert outcome.code == "recording-unavailable"
    assert "cut off" in outcome.reason
    assert [path.name for path in folder.path.iterdir()] == ["journal.jsonl"]


def test_other_bytes_the_second_time_are_kept_as_they_came_whole(server, tmp_path):
    """What was fetched first is lost with its file; the crate describes what is in it."""
    layout = store(tmp_path, server)
    layout.crates.rmdir() if layout.crates.exists() else None
    layout.crates.touch()
    keep(layout, code=1)
    layout.crates.unlink()
    (draft,) = layout.drafts.iterdir()
    damaged = min(draft.glob("0*"))
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    server.sounds["so-0000-0"] = sound(555, 0.5)
    keep(layout)
    assert kept(layout) == server.sounds
    for one in rows(layout):
        assert one.row["bytes"] == len(one.content)


def test_ceiling_on_the_rate_holds_over_two_workers(tmp_path):
    with Shop(6, 2) as server:
        layout = store(tmp_path, server, settings={"crates": {"recordings_max": 4}}, rate_per_s=2000)
        set_in(layout, politeness={"rate_per_s": 10, "concurrency": 4})
        server.forget()
        begun = time.monotonic()
        keep(layout, "--workers", "2")
        took_s = time.monotonic() - begun
        times = sorted(server.times())
        assert len(server.downloads()) == 12
        gaps = [b - a for a, b in pairwise(times)]
        assert times[-1] - times[0] >= (len(times) - 1) * 0.1 * 0.97, (took_s, gaps)


def test_no_more_recordings_are_in_hand_at_once_than_the_source_allows(tmp_path):
    with Shop(6, 2) as server:
        server.lies[0].trick = _slowly(server, server.lies[0].trick)
        layout = store(tmp_path, server, settings={"crates": {"recordings_max": 4}})
        set_in(layout, politeness={"concurrency": 1})
        server.now = server.most = 0
        keep(layout, "--workers", "2")
        assert server.most == 1


def _slowly(server, trick):
    def slow(handler, asked):
        with server.lock:
            server.now += 1
            server.most = max(server.most, server.now)
        time.sleep(0.05)
        with server.lock:
            server.now -= 1
        trick(handler, asked)

    return slow


def test_robots_that_forbid_downloads_refuse_each_recording_and_ask_for_none(tmp_path):
    rules = b"User-agent: *\nDisallow: /rest/download\n"
    with Shop(1, 2) as server:
        layout = store(tmp_path, server, permission=None)
        server.manner.robots = (200, rules)
        keep(layout, code=9)
        assert set(failures(layout)) == {"recording-refused"}
        assert server.downloads() == []


def test_no_secret_is_in_any_file_or_output_after_a_keep_with_every_lie(tmp_path):
    with Shop(2, 3, login="token", echoes_login=True, sets_cookie=True) as server:
        layout = store(tmp_path, server)

        def blab(handler, asked):
            handler.reply(asked, str(asked.query).encode(), 500, "text/plain")

        def blab_json(handler, asked):
            message = f"login {asked.query} is wrong"
            reply = {"subsonic-response": {"status": "failed", "error": {"code": 0, "message": message}}}
            handler.reply(asked, json.dumps(reply).encode(), 200, "application/json")

        server.lie(blab, call="download", own_id="so-0000-0")
        server.lie(blab_json, call="download", own_id="so-0000-1")
        server.lie(redirect("http://198.51.100.7/x?{login}"), call="download", own_id="so-0001-0")
        done = tenuto("keep", "--json", "--archive", layout.root, env=LOGIN, code=9)
        assert len(failures(layout)) == 1
        assert leaks(layout.root, {PASSWORD, "c00kie-5e55ion"} | server.secrets_sent(), done.stdout, done.stderr) == []


def test_two_sources_in_one_plan_are_kept_and_one_that_is_away_does_not_spoil_the_other(tmp_path):
    music(tmp_path / "music", 3)
    with Shop(1, 2) as server:
        layout = store(tmp_path, server, settings={"crates": {"recordings_max": 2}})
        tenuto("source", "add", "folder", tmp_path / "music", "--name", "shelf", "--archive", layout.root)
        replan(layout)
        server.go_down()
        keep(layout, code=5)
        assert len(kept(layout)) >= 2
        server.come_back()
        keep(layout)
        assert len(rows(layout)) == 5
    shutil.rmtree(tmp_path / "music")

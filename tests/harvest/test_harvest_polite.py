"""Politeness, as the service's own log shows it: the rate, the pauses, robots.txt, the permission."""

import random
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

import lying_server as lying
from harvesting import LOGIN, NAME, PERMISSION, codes, folders, leaks, manifest_of, records, run, shop, verb
from lying_server import PASSWORD, USER, LyingServer
from support import tenuto
from tenuto.evidence import Redactor
from tenuto.harvest.asking import GIVEN_UP, Asker
from tenuto.harvest.pace import Pace, Stopped
from tenuto.harvest.robots import read_robots
from tenuto.model.answers import FAILED, MISSING, OK, Answer, Request
from tenuto.model.errors import RetriableError, RightsError, SkipRecordError, SourceDownError
from tenuto.model.progress import Silent

GRANTED = PERMISSION.format(metadata="true")


def keeps_ceiling(times: list[float], rate_per_s: float) -> bool:
    """No stretch of time holds more requests than the rate allows; one may have been a moment longer on its way."""
    gap_s = 1 / rate_per_s
    return all(
        times[later] - times[first] >= (later - first) * gap_s - 0.06
        for first in range(len(times))
        for later in range(first + 1, len(times))
    )


@pytest.mark.parametrize("redirects", [False, True])
def test_the_ceiling_is_kept_with_many_askers_at_once(tmp_path: Path, redirects: bool) -> None:
    with LyingServer(albums=8, songs=1, delay_s=0.03) as server:
        if redirects:
            for own in server.albums:
                server.lie(
                    lying.redirect(f"/rest/getAlbum?id={own['id']}&f=json"), call="getAlbum", own_id=own["id"], times=1
                )
        layout = shop(tmp_path, server, politeness={"rate_per_s": 60, "concurrency": 8})
        assert run(layout) == 0
        assert len(server.times()) > (28 if redirects else 20)
        assert keeps_ceiling(server.times(), 60)


def test_the_ceiling_is_kept_over_a_stop_and_a_new_start(tmp_path: Path) -> None:
    with LyingServer(albums=8, songs=1) as server:
        layout = shop(tmp_path, server, politeness={"rate_per_s": 50, "tries": 1})
        server.go_down(after=6)
        assert run(layout) == 5
        server.come_back()
        assert run(layout) == 0
        assert keeps_ceiling(server.times(), 50)


@pytest.mark.parametrize(
    ("settings", "robots", "rate"),
    [
        ({"rate_per_s": 25.0}, b"", 25),
        ({"permission": GRANTED + "rate_per_s = 20\n"}, b"", 20),
        ({"permission": GRANTED + "rate_per_s = 30\n"}, b"User-agent: *\nCrawl-delay: 0.05\n", 20),
        ({}, b"User-agent: tenuto\nCrawl-delay: 0.05\n", 20),
        ({"permission": GRANTED}, b"User-agent: *\nDisallow: /\nCrawl-delay: 0.05\n", 20),
    ],
    ids=["source", "permission", "lowest", "robots", "robots outranked"],
)
def test_the_lowest_of_all_ceilings_holds(
    tmp_path: Path, settings: dict[str, object], robots: bytes, rate: float
) -> None:
    with LyingServer(albums=1, songs=1, robots=(200, robots)) as server:
        layout = shop(tmp_path, server, **settings)
        assert run(layout) == 0
        assert keeps_ceiling(server.times()[1:], rate)
        assert not keeps_ceiling(server.times()[1:], rate / 2)


@pytest.mark.parametrize("delay", [b"-1", b"inf", b"x"])
def test_a_crawl_delay_that_is_none_changes_nothing(tmp_path: Path, delay: bytes) -> None:
    with LyingServer(albums=2, songs=1, robots=(200, b"User-agent: *\nCrawl-delay: " + delay)) as server:
        layout = shop(tmp_path, server, politeness={"rate_per_s": 100})
        assert run(layout) == 0
        assert keeps_ceiling(server.times(), 100)


@pytest.mark.parametrize("is_date", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_pause_that_the_service_asks_for_is_kept_by_all_askers(tmp_path: Path, is_date: bool) -> None:
    with LyingServer(albums=12, songs=1, delay_s=0.02) as server:
        said: list[float] = []
        told: list[float] = []

        def too_many(handler: object, asked: lying.Asked) -> None:
            until = format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2), usegmt=True)
            lying.answer(429, Retry_After=until if is_date else "1")(handler, asked)  # type: ignore[arg-type]
            said.append(time.monotonic())
            told.append(asked.at)

        server.lie(too_many, call="getAlbum", own_id="al-0003", times=1)
        layout = shop(tmp_path, server, politeness={"pause_max_s": 9, "concurrency": 6, "rate_per_s": 60})
        assert run(layout) == 0
        in_flight_s = 0.1  # what was on its way when the answer came
        later = [at - said[0] for at in server.times() if at > said[0] + in_flight_s]
        assert min(later) >= (0.9 if is_date else 0.97)
        assert manifest_of(layout).findings == ()


def test_a_pause_longer_than_we_wait_ends_the_run_and_says_how_long(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LyingServer() as server:
        server.lie(lying.answer(503, Retry_After="3600"), call="search3")
        layout = shop(tmp_path, server)
        assert run(layout) == 5
        assert "asks to wait 3600 s" in capfd.readouterr().err
        asked = server.requests().count(next(key for key in server.requests() if key.startswith("search3")))
        assert asked == 1  # nobody tried again in spite of the wish
        server.lies.clear()
        assert run(layout) == 0


class Told(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class NotedPace(Pace):
    """A pace that waits for nothing and notes the pauses."""

    def __init__(self) -> None:
        super().__init__(1e9)
        self.held: list[float] = []

    def hold_back(self, seconds: float) -> None:
        self.held.append(seconds)


class Failing:
    """A source whose every answer is a fault."""

    def __init__(self, *faults: Exception | int) -> None:
        self._faults: Iterable[Exception | int] = iter(faults)

    def fetch(self, request: Request) -> Answer:
        fault = next(self._faults)  # type: ignore[call-overload]
        if isinstance(fault, Exception):
            raise fault
        return Answer(request, b"x", "text/plain", datetime.now(UTC), fault)

    def check(self, answer: Answer) -> None:
        if answer.http_status != 200:
            raise RetriableError(f"HTTP {answer.http_status} for hunter2")


def asker(source: object, tries: int = 5, pause_max_s: float = 300, progress: Told | None = None) -> Asker:
    return Asker(
        source, Redactor(["hunter2"]), NotedPace(), progress or Told(), tries, pause_max_s, chance=random.Random(4)
    )  # type: ignore[arg-type]


def test_pauses_grow_by_doubling_and_stay_below_their_limit() -> None:
    one = asker(Failing(*[503] * 9), tries=9, pause_max_s=20)
    assert one.ask(Request("x")).outcome == GIVEN_UP
    held = one.pace.held  # type: ignore[attr-defined]
    assert [0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(held[:5])] == [True] * 5
    assert all(10 <= pause <= 20 for pause in held[5:])
    assert len(held) == 8


def test_a_wish_of_the_source_goes_before_our_own_pauses() -> None:
    one = asker(Failing(RetriableError("a", 7.0), RetriableError("b", 0.0), RetriableError("c"), 200))
    assert one.ask(Request("x")).outcome == OK
    held = one.pace.held  # type: ignore[attr-defined]
    assert held[:2] == [7.0, 0.0]
    assert 2 <= held[2] <= 4


def test_the_last_bad_answer_is_kept_and_silence_is_told_in_our_own_words() -> None:
    assert asker(Failing(*[503] * 5)).ask(Request("x")).http_status == 503
    silent = asker(Failing(*[RetriableError("no answer, hunter2")] * 5)).ask(Request("x"))
    assert (silent.outcome, silent.http_status, silent.body) == (
        GIVEN_UP,
        0,
        b"no answer, [cut]; given up after 5 tries",
    )
    assert asker(Failing(*[503] * 5)).ask(Request("x"), is_demanded=True).outcome == FAILED
    with pytest.raises(SourceDownError, match="given up after 5 tries"):
        asker(Failing(*[RetriableError("no answer")] * 5)).ask(Request("x"), is_demanded=True)


@pytest.mark.parametrize(("is_gone", "outcome"), [(True, MISSING), (False, FAILED)])
def test_what_cannot_be_had_is_not_asked_again(is_gone: bool, outcome: str) -> None:
    one = asker(Failing(SkipRecordError("gone with hunter2", is_gone=is_gone)))
    kept = one.ask(Request("x"))
    assert (kept.outcome, kept.body) == (outcome, b"gone with [cut]")


def test_nothing_that_is_said_holds_a_secret() -> None:
    progress = Told()
    asker(Failing(*[503] * 5), progress=progress).ask(Request("x"))
    assert len(progress.said) == 4
    assert all("[cut]" in said and "hunter2" not in said for said in progress.said)


def test_a_pace_lets_nobody_go_before_a_pause_is_over_not_even_who_waits_already() -> None:
    pace, went = Pace(1000), []

    def wait() -> None:
        for _ in range(3):
            pace.wait()
            went.append(time.monotonic())

    pace.hold_back(0.05)
    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    pace.hold_back(0.4)  # while they wait for the shorter one
    for thread in threads:
        thread.join()
    assert min(went) >= begun + 0.39
    assert len(went) == 12


def test_a_pace_that_is_stopped_wakes_everybody_and_lets_nobody_go() -> None:
    pace, ends = Pace(0.01), []

    def wait() -> None:
        try:
            pace.wait()
        except Stopped:
            ends.append("stopped")

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    pace.stop()
    for thread in threads:
        thread.join(2)
    assert ends == ["stopped"] * 5
    with pytest.raises(Stopped):
        Pace.wait(pace)


def test_a_ceiling_is_lowered_and_never_raised() -> None:
    pace = Pace(50)
    pace.slow_down(1000)
    assert pace._gap_s == pytest.approx(1 / 50)
    pace.slow_down(5)
    assert pace._gap_s == pytest.approx(1 / 5)


# robots.txt

FORBIDS_ALL = b"User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(
    "robots",
    [
        (200, FORBIDS_ALL),
        (200, b"\xef\xbb\xbf" + FORBIDS_ALL),
        (200, FORBIDS_ALL.replace(b"\n", b"\r\n")),
        (200, b"User-agent: tenuto\nDisallow: /rest/\n\nUser-agent: *\nAllow: /\n"),
        (200, b"User-agent: *\nDisallow: /rest/ping.view\n"),
        (200, b"User-agent: *\nDisallow: /rest/search3.view\n"),
        (200, b"User-agent: *\nDisallow: /*?\n"),
        (500, b""),
        (503, b""),
        (429, b""),
        (200, b"\xff\n" + FORBIDS_ALL),
    ],
    ids=[
        "all",
        "byte order mark",
        "CRLF",
        "by name",
        "greeting",
        "one list",
        "queries",
        "500",
        "503",
        "429",
        "odd bytes",
    ],
)
def test_nothing_else_is_asked_where_robots_txt_forbids(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], robots: tuple[int, bytes]
) -> None:
    with LyingServer(robots=robots) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 6
        assert {asked.call for asked in server.log} == {"robots.txt"}
        assert server.secrets_sent() == set()
        assert "tenuto source permission --template" in capfd.readouterr().err
        assert not list(layout.harvests(NAME).glob("*/harvest.json"))
        server.manner.robots = (404, b"")
        assert run(layout) == 0


@pytest.mark.parametrize(
    "robots",
    [
        (404, FORBIDS_ALL),
        (403, b""),
        (200, b""),
        (200, b"<!doctype html><p>No such page"),
        (200, b"User-agent: tenuto\nAllow: /\n\nUser-agent: *\nDisallow: /\n"),
        (200, b"User-agent: googlebot\nDisallow: /\n"),
        (200, b"User-agent: *\nDisallow: /private\n"),
    ],
)
def test_a_harvest_goes_on_where_robots_txt_lets_it(tmp_path: Path, robots: tuple[int, bytes]) -> None:
    with LyingServer(robots=robots) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        read = manifest_of(layout).robots
        assert read is not None
        assert (read.http_status, read.is_allowed, read.is_outranked) == (robots[0], True, False)
        assert server.requests().count("robots.txt") == 1


@pytest.mark.parametrize("robots", [(200, FORBIDS_ALL), (200, b"User-agent: *\nDisallow: /rest/getAlbum\n")])
def test_a_permission_on_file_outranks_robots_txt_and_the_harvest_says_so(
    tmp_path: Path, robots: tuple[int, bytes]
) -> None:
    with LyingServer(robots=robots) as server:
        layout = shop(tmp_path, server, permission=GRANTED)
        assert run(layout) == 0
        manifest = manifest_of(layout)
        assert manifest.robots is not None
        assert manifest.robots.is_outranked is True
        assert manifest.robots.is_allowed is False
        assert manifest.permission is not None
        assert manifest.permission.grantor == "The operator"


def test_a_permission_outranks_rules_that_cannot_be_read_too(tmp_path: Path) -> None:
    for trick in (lying.answer(500), lying.redirect("http://elsewhere.invalid/robots.txt")):
        with LyingServer() as server:
            server.lie(trick, call="robots.txt")
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            assert run(shop(folder / "without", server)) == 6
            assert server.secrets_sent() == set()
            layout = shop(folder / "with", server, permission=GRANTED)
            assert run(layout) == 9  # what failed is said
            assert [finding["subject"] for finding in manifest_of(layout).findings] == ["robots.txt"]
            assert manifest_of(layout).reconciled[0].found == len(server.songs)


def test_rules_that_forbid_only_what_comes_later_stop_the_harvest_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LyingServer(robots=(200, b"User-agent: *\nDisallow: /rest/getAlbum.view\n")) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 6
        assert "getAlbum" not in {asked.call for asked in server.log}
        assert "getAlbum.view" in capfd.readouterr().err


def test_a_permission_that_forbids_metadata_lets_nothing_be_asked(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = shop(tmp_path, server, permission=PERMISSION.format(metadata="false"))
        assert run(layout) == 6
        assert server.log == []


def test_robots_txt_that_does_not_come_is_no_leave_to_ask(tmp_path: Path) -> None:
    with LyingServer() as server:
        server.lie(lying.drop, call="robots.txt")
        assert run(shop(tmp_path, server)) == 5
        assert {asked.call for asked in server.log} == {"robots.txt"}


def test_rules_are_read_for_the_agent_that_asks() -> None:
    body = b"User-agent: tenuto\nDisallow: /a\nCrawl-delay: 3\nUser-agent: *\nDisallow: /b\n"
    answer = Answer(Request("robots.txt", "http://h/robots.txt"), body, "text/plain", datetime.now(UTC), 200)
    read, rules = read_robots(answer, "tenuto/1 (x; y)", [Request("b", "http://h/b")], None)
    assert (read.is_allowed, rules.delay_s) == (True, 3.0)
    with pytest.raises(RightsError, match="http://h/a"):
        rules.check(Request("a", "http://h/a?x=1"))


# Logins


def test_a_wrong_password_says_what_to_set_and_is_not_tried_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LyingServer(login="nobody") as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 5
        printed = capfd.readouterr()
        assert f"TENUTO_{NAME.upper()}_PASSWORD" in printed.err
        assert {asked.call for asked in server.log} == {"robots.txt", "ping"}
        assert len([asked for asked in server.log if asked.call == "ping"]) == 2  # token, then password: each once
        assert leaks(layout.root, {PASSWORD} | server.secrets_sent(), printed.out, printed.err) == []
        server.manner.login = "any"
        assert run(layout) == 0


def test_a_password_that_turns_wrong_in_mid_harvest_stops_it_and_it_goes_on_with_the_right_one(tmp_path: Path) -> None:
    with LyingServer(albums=8) as server:
        layout = shop(tmp_path, server)
        server.lie(_then_nobody(server), call="getAlbum", own_id="al-0004", times=1)
        assert run(layout) == 5
        kept = len(server.requests(answered=True))
        assert run(layout) == 5
        server.manner.login = "any"
        server.forget()
        assert run(layout) == 0
        assert len(server.requests()) < kept
        assert manifest_of(layout).findings == ()


def _then_nobody(server: LyingServer) -> lying.Trick:
    def trick(handler: object, asked: lying.Asked) -> None:
        server.manner.login = "nobody"
        lying.subsonic_error(40)(handler, asked)  # type: ignore[arg-type]

    return trick


def test_without_a_login_nothing_is_asked_and_the_message_says_what_to_set(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LyingServer() as server:
        assert run(shop(tmp_path, server), login={}) == 3
        assert server.log == []
        assert f"TENUTO_{NAME.upper()}_USER" in capfd.readouterr().err


def test_a_login_comes_from_a_file_that_only_its_owner_can_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "login.toml"
    file.write_text(f'user = "{USER}"\npassword = "{PASSWORD}"\n')
    file.chmod(0o600)
    with LyingServer(login="token") as server:
        layout = shop(tmp_path, server, credentials=str(file))
        assert run(layout, login={}) == 0
        file.chmod(0o640)
        assert run(layout, login={}) == 3
        printed = capfd.readouterr()
        assert "chmod 600" in printed.err
        file.chmod(0o600)
        file.write_text(f'user = "{USER}"\npasword = "{PASSWORD}"\n')
        assert run(layout, login={}) == 3
        printed = capfd.readouterr()
        assert leaks(layout.root, {PASSWORD}, printed.out, printed.err) == []


def test_a_debugging_run_prints_no_login_either(tmp_path: Path) -> None:
    with LyingServer(echoes_login=True) as server:
        server.lie(lying.answer(500), call="getAlbum")
        layout = shop(tmp_path, server)
        done = tenuto("harvest", "--archive", layout.root, env={**LOGIN, "TENUTO_DEBUG": "1"}, code=None)
        secrets = {PASSWORD} | server.secrets_sent()
        assert done.returncode == 9
        assert leaks(layout.root, secrets, done.stdout, done.stderr) == []


def test_a_source_is_tested_with_a_page_and_nothing_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with LyingServer(echoes_login=True) as server:
        layout = shop(tmp_path, server)
        assert verb(layout, "source", "test", NAME) == 0
        assert {asked.call for asked in server.log} == {"robots.txt", "ping", "search3", "getAlbumList2"}
        assert not layout.harvests(NAME).exists()
        printed = capfd.readouterr()
        assert leaks(layout.root, {PASSWORD} | server.secrets_sent(), printed.out, printed.err) == []
        server.manner.robots = (200, FORBIDS_ALL)
        server.forget()
        assert verb(layout, "source", "test", NAME) == 6
        assert {asked.call for asked in server.log} == {"robots.txt"}
        server.manner.robots = (404, b"")
        server.go_down()
        assert verb(layout, "source", "test", NAME) == 5


def test_every_request_says_who_asks(tmp_path: Path) -> None:
    with LyingServer() as server:
        layout = shop(tmp_path, server)
        assert run(layout) == 0
        agents = {asked.headers["User-Agent"] for asked in server.log}
        assert agents == {manifest_of(layout).user_agent}
        assert "tests@archive.invalid" in agents.pop()


def test_terms_are_kept_without_cookies_and_forbid_where_the_operator_reads_so(tmp_path: Path) -> None:
    with LyingServer(sets_cookie=True) as server:
        server.lie(lying.answer(200, b"<p>Be nice. Write to legal@shop.invalid", "text/html"), call="terms")
        options = {"terms": f"{server.url}/terms", "terms_permit": "no"}
        assert run(shop(tmp_path / "no", server, options=options)) == 6
        assert {asked.call for asked in server.log} == {"terms"}
        layout = shop(tmp_path / "yes", server, options={**options, "terms_permit": "yes"})
        assert run(layout) == 0
        assert leaks(layout.root, {"c00kie-5e55ion"}) == []
        assert b"legal@shop.invalid" in b"".join(_kept(layout.root))
        assert codes(layout) == set()


def _kept(root: Path) -> list[bytes]:
    return [record.answer.body for folder in sorted((root / "evidence" / NAME).iterdir()) for record in records(folder)]


def test_folders_of_a_source_are_named_by_time(tmp_path: Path) -> None:
    with LyingServer(albums=1) as server:
        layout = shop(tmp_path, server)
        assert run(layout) == run(layout) == 0
        names = [folder.name for folder in folders(layout)]
        assert len(set(names)) == 2
        assert names == sorted(names)

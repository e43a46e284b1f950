"""A real Chromium opens the page of an unpacked crate from the disk: it plays, plays on, and breaks no rule of its own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from support import need_program
from tenuto.crates.player import Song, render_player

pytestmark = pytest.mark.long

RATE_HZ = 48_000
BASE = Song(
    href="", title="", artists="Artist", release="Release", track_number=1, duration_ms=2_000, bytes=1, codec="",
    licence="CC-BY-4.0", licence_url="https://creativecommons.org/licenses/by/4.0/", attribution="By the test",
    tier="original", sha256="9c1e" * 16,
)  # fmt: skip
# What soundfile writes: suffix, format, subtype, codec as the page names it.
FORMATS = (
    ("ogg", "OGG", "VORBIS", "Ogg Vorbis"),
    ("opus", "OGG", "OPUS", "Opus"),
    ("flac", "FLAC", "PCM_16", "FLAC"),
    ("mp3", "MP3", "MPEG_LAYER_III", "MP3"),
    ("wav", "WAV", "PCM_16", "PCM"),
)
NAME = "100% #1? \"Valse\" & 'co' <b> ütf 夜"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@dataclass
class Opened:
    """A page in the browser, and all that it complained of or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def audio(self, expression: str) -> Any:
        """What an expression about the page's audio element gives."""
        return self.page.evaluate(
            f"(() => {{ const audio = document.getElementById('audio'); return {expression}; }})()"
        )

    def wait_for_audio(self, condition: str) -> None:
        """Ask until it is so; playwright's own waiting evaluates strings in the page, which the page's policy forbids."""
        for _ in range(100):
            if self.audio(condition):
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"not within 10 s: {condition}; {self.complaints}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright (the wheel's own browsers are not needed)."""
    program = need_program("chromium")
    if not os.environ.get("TENUTO_CI"):  # in CI its absence fails, elsewhere it skips
        pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with import_module("playwright.sync_api").sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an unpacked crate, a song in each format; its path holds what addresses must escape."""
    numpy, soundfile = pytest.importorskip("numpy"), pytest.importorskip("soundfile")
    data = tmp_path_factory.mktemp("crate 50% #2") / "data"
    songs = []
    for number, (suffix, container, subtype, codec) in enumerate(FORMATS, 1):
        href = f"audio/Artist/Release/{number:02} {NAME} [1a2b3c4d].{suffix}"
        tone = 0.1 * numpy.sin(numpy.arange(2 * RATE_HZ) * (2 * numpy.pi * 220 * number / RATE_HZ))
        path = data / href
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, RATE_HZ, format=container, subtype=subtype)
        songs.append(
            replace(
                BASE, href=href, title=f"{codec} {HOSTILE}", track_number=number, codec=codec, bytes=path.stat().st_size
            )
        )
    songs.append(replace(BASE, href="audio/gone.ogg", title="gone", release="Lost", licence_url="javascript:alert(1)"))
    (data / "index.html").write_bytes(render_player("testing-1", "testing", "tests@archive.invalid", "e", songs, 0))
    return data


@pytest.fixture
def opened(browser: Any, crate: Path) -> Iterator[Opened]:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        found = open_page(context, crate / "index.html")
        yield found


def open_page(context: Any, path: Path) -> Opened:
    """Open a page from the disk; what it complains of and asks for is noted from the first byte on."""
    found = Opened(context.new_page())

    def dismissed(dialog: Any) -> None:
        found.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    found.page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.complaints.append(f"error: {error}"))
    found.page.on("dialog", dismissed)
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective));"
    )
    found.page.goto(path.as_uri())
    return found


@pytest.mark.parametrize("index", range(len(FORMATS)), ids=[name for *_, name in FORMATS])
def test_chromium_plays_a_song_from_the_disk_when_it_is_clicked(opened: Opened, index: int) -> None:
    opened.page.locator(".song").nth(index).click()
    opened.wait_for_audio("audio.currentTime > 0.2")
    before = opened.audio("audio.currentTime")
    opened.wait_for_audio(f"audio.currentTime > {before} + 0.1")
    assert opened.audio("audio.error") is None
    assert abs(opened.audio("audio.duration") - 2) < 0.2
    assert opened.page.inner_text("#now-title") == f"{FORMATS[index][3]} {HOSTILE}"
    assert opened.page.get_attribute("#now-licence a", "href") == BASE.licence_url
    assert opened.page.inner_text("#now-attribution") == BASE.attribution
    assert opened.complaints == []
    assert all(address.startswith(("file:", "data:")) for address in opened.requests), opened.requests


def test_chromium_plays_on_with_the_next_song_when_one_ends(opened: Opened) -> None:
    opened.page.locator(".song").first.click()
    opened.wait_for_audio("audio.currentTime > 0.1")
    opened.audio("(audio.currentTime = 1.7)")
    opened.wait_for_audio("audio.src.endsWith('.opus') && audio.currentTime > 0.1")
    assert opened.page.locator(".song[aria-current]").count() == 1
    assert opened.page.locator(".song").nth(1).get_attribute("aria-current") == "true"
    assert opened.complaints == []


def test_keys_play_pause_step_and_filter_when_they_are_pressed(opened: Opened) -> None:
    keys = opened.page.keyboard
    keys.press("Space")
    opened.wait_for_audio("!audio.paused && audio.currentTime > 0")
    keys.press("Space")
    opened.wait_for_audio("audio.paused")
    keys.press("n")
    opened.wait_for_audio("!audio.paused && audio.src.endsWith('.opus')")
    keys.press("p")
    opened.wait_for_audio("!audio.paused && audio.src.endsWith('.ogg')")
    keys.press("/")
    keys.type("FLAC n p")
    assert opened.page.input_value("#filter") == "FLAC n p"
    assert opened.page.locator(".song").count() == 1
    assert opened.page.inner_text("#shown") == "1 of 6 songs"
    assert opened.audio("audio.src.endsWith('.ogg')")
    assert opened.complaints == []


def test_page_says_what_to_do_when_the_file_is_not_beside_it(opened: Opened) -> None:
    opened.page.locator(".song").last.click()
    opened.page.wait_for_selector("#fault:not([hidden])")
    assert "unpack the whole crate" in opened.page.inner_text("#fault")
    assert opened.page.locator("#now-licence a").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_page_has_no_sideways_scroll_when_the_screen_is_narrow(
    browser: Any, crate: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        found = open_page(context, crate / "index.html")
        found.page.locator(".song").nth(1).click()
        found.page.click("summary")
        found.page.screenshot(path=tmp_path / f"player-{width}-{scheme}.png")
        assert found.page.evaluate("document.documentElement.scrollWidth") == width
        assert found.complaints == []


def test_page_is_ready_within_a_second_when_a_crate_holds_20_000_songs(browser: Any, tmp_path: Path) -> None:
    songs = [
        replace(
            BASE, href=f"audio/{i // 12}/{i}.ogg", title=f"Title {i}", release=f"Release {i // 12}", sha256=f"{i:064x}"
        )
        for i in range(20_000)
    ]
    (tmp_path / "index.html").write_bytes(render_player("testing-1", "testing", "", "e", songs, 0))
    with browser.new_context() as context:
        found = open_page(context, tmp_path / "index.html")
        assert found.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 1_000
        assert found.page.locator(".song").count() < 1_000
        found.page.fill("#filter", "title 19999")
        assert found.page.locator(".song").count() == 1
        assert found.complaints == []

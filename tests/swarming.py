"""What the tests with whole programs need: an archive with crates of some size, programs that end with their test, a small site."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from published_maker import Shelf, begin_shelf, sha256_of, sound

SONG_S = 60.0
"""Noise of so long has 1.9 MB."""


def large_shelf(folder: Path, songs: int, target_bytes: int) -> Shelf:
    """An archive that is published: crates of about `target_bytes`, and the small one of metadata."""
    for number in range(songs):
        path = folder / f"music/open/Album {number // 4}/{number:02d} Song {number}.flac"
        sound(path, number, SONG_S + number / 10)
    shelf = begin_shelf(folder, target_bytes)
    shelf("keep")
    shelf("publish")
    return shelf


def crates_of(shelf: Shelf) -> dict[str, str]:
    """The crate files that are published, and their digests."""
    return {
        f"{crate.crate}.zip": sha256_of(shelf.layout.crates / f"{crate.crate}.zip") for crate in shelf.index().crates
    }


def digests_in(folder: Path) -> dict[str, str]:
    """The crate files in a folder, and their digests."""
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*.zip"))}


def tenuto_words(*words: str | Path) -> list[str]:
    """The command line as the words of a process."""
    return [sys.executable, "-m", "tenuto", *map(str, words)]


@contextmanager
def running(
    words: Sequence[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program and its children, in a group of their own that ends with the block; what it says goes into `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **(env or {})}, cwd=cwd,
        )  # fmt: skip
    try:
        yield process
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]", timeout_s: float = 15.0) -> None:
    """Ctrl-C to the whole group, and SIGKILL where that is not heard."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever is left of the group


def wait_for(is_so: Callable[[], Any], what: str, timeout_s: float, *logs: Path) -> Any:
    """Wait until something is so; fails with what the programs said."""
    end = time.monotonic() + timeout_s
    while not (found := is_so()):
        if time.monotonic() > end:
            said = "\n".join(
                f"-- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists()
            )
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}\n{said}")
        time.sleep(0.2)
    return found


def says(log: Path, words: str) -> Callable[[], bool]:
    """Whether a program has said something."""
    return lambda: log.exists() and words in log.read_text(errors="replace")


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind((host, 0))
        return int(asked.getsockname()[1])


class SmallFiles(SimpleHTTPRequestHandler):
    """A publication without its crates: those come from peers, or not at all."""

    def do_GET(self) -> None:
        if self.path.startswith("/crates/"):
            self.send_error(404)
        else:
            super().do_GET()

    do_HEAD = do_GET  # noqa: N815 -- its name there

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(handler: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """A web server in a thread; its address."""
    server = ThreadingHTTPServer((host, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def small_files(publication: Path) -> Any:
    """The handler of a site of small files."""
    return partial(SmallFiles, directory=str(publication))


def forget(folder: Path) -> None:
    """Destroy a folder."""
    shutil.rmtree(folder)
    assert not folder.exists()


def tell(capsys: pytest.CaptureFixture[str], figures: str) -> None:
    """Show what a test has measured, whatever comes of it."""
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")


def main() -> None:
    """FOLDER HOST PORT: the site of small files as a program, which can be started in a network namespace."""
    folder, host, port = sys.argv[1:]
    ThreadingHTTPServer((host, int(port)), small_files(Path(folder))).serve_forever()


if __name__ == "__main__":
    main()

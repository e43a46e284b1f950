"""A real Supysonic on this machine alone, as the music service that is to be archived."""

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .audience import export_listens, listen
from .environment import ensure_environment
from .running import DemoError, Say, run, stop
from .subsonic import Client

__all__ = ["Service", "ensure_environment", "export_listens", "listen"]

USER = "archivist"
FOLDER_NAME = "music"
LIFELINE = Path(__file__).with_name("lifeline.py")
CLI_TIMEOUT_S = 120
START_TIMEOUT_S = 30
POLL_S = 0.05

# Places are relative to the service's folder, where every Supysonic program is started.
CONFIG = """\
[base]
database_uri = sqlite:///supysonic.db
scanner_extensions = aac aiff flac m4a mp3 oga ogg opus wav wv

[webapp]
cache_dir = cache
log_file = supysonic.log
mount_webui = off

[daemon]
socket = supysonic.sock
run_watcher = off
"""


class Service:
    """Supysonic while the `with` block lasts: `url`, `user`, `password`, `database`.

    `folder` keeps its settings, database and logs; an existing database is used again, so that ids and listens stay,
    and `music` is scanned for changes. The password is new each time and is written nowhere. The server ends with the
    block, with this process at the latest, however that ends.
    """

    def __init__(self, venv: Path, folder: Path, music: Path, say: Say) -> None:
        self.folder = folder.resolve()
        self.music = music.resolve()
        self.database = self.folder / "supysonic.db"
        self.user = USER
        self.password = secrets.token_urlsafe(24)
        self.port = 0
        self._bin = venv.absolute() / "bin"
        self._say = say
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the address for a Subsonic client, without `/rest`."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        """Open a new connection to the service, logged in."""
        return Client(self.port, self.user, self.password)

    def __enter__(self) -> Self:
        try:
            self._set_up()
            server = self._start()  # begins while it is scanned
            self._scan()
            self._wait_until_it_answers(server)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _set_up(self) -> None:
        """Set up user and folder. The password goes to a prompt, so that no process list shows it."""
        self._say("Supysonic is set up and scans the music")
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        (self.folder / "supysonic.conf").write_text(CONFIG, encoding="utf-8")
        is_new = not self.database.exists()
        is_known = not is_new and USER in self._cli("user", "list").split()
        self._cli("user", "changepass" if is_known else "add", USER, typed=f"{self.password}\n" * 2)
        if is_new or str(self.music) not in self._cli("folder", "list"):
            self._cli("folder", "add", FOLDER_NAME, str(self.music))

    def _scan(self) -> None:
        scan = self._cli("folder", "scan", "--foreground").splitlines()
        self._say("; ".join(line for line in scan if line.startswith(("Added", "Deleted", "Errors", "- "))))

    def _cli(self, *arguments: str, typed: str | None = None) -> str:
        return run(
            [self._bin / "supysonic-cli", *arguments],
            doing=f"supysonic-cli {' '.join(arguments[:2])}",
            say=self._say,
            timeout_s=CLI_TIMEOUT_S,
            cwd=self.folder,
            env=self._environment(),
            typed=typed,
        )

    def _environment(self) -> dict[str, str]:
        """Keep other settings and a running daemon of this user away from ours, and ours from them."""
        return {"HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"), "LC_ALL": "C.UTF-8"}

    def _start(self) -> subprocess.Popen[bytes]:
        self.port = free_port()
        command = [self._bin / "python", LIFELINE, self._bin / "supysonic-server"]
        options = ["-S", "waitress", "-h", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *options],
                cwd=self.folder,
                env={**os.environ, **self._environment()},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._server

    def _wait_until_it_answers(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise DemoError(f"Supysonic ended with {server.returncode}; see {self.folder / 'server.log'}")
            try:
                with self.client() as client:
                    client.ask("ping")
            except OSError:
                time.sleep(POLL_S)
            else:
                return
        raise DemoError(f"Supysonic does not answer after {START_TIMEOUT_S} s; see {self.folder / 'server.log'}")

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            stop(server)


def free_port() -> int:
    """Give a TCP port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port

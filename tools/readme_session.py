"""The session in the README, run for real: `python tools/readme_session.py` writes what its commands print.

The tests run it again and compare (tests/docs). The guide in docs/first-archive.md is run by the same `Shell`.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PORTS = ("6881", "8000")
"""Ports of the documents. Here they are free ones, and what is printed says those of the documents."""

_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_BIN = Path(sys.executable).parent
_FOUND_DAMAGE = 7

sys.path.insert(0, str(ROOT / "tools"))
from demo import chorales  # noqa: E402 -- found through the path above
from demo.background import Background  # noqa: E402
from demo.service import free_port  # noqa: E402


class Shell:
    """Commands as a reader types them, in `folder`, which is their home too; what runs beside them ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._ports = {port: str(free_port()) for port in PORTS}
        self._beside = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.close()

    def run(self, script: str, may_end_with: Sequence[int] = (0,)) -> list[str]:
        """Run a script of bash to its end, which is its first failure; returns what it printed, stderr left out."""
        command = ["bash", "-euo", "pipefail", "-c", self._with_free_ports(script)]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode not in may_end_with:
            raise SystemExit(f"{script.strip()}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return self._as_printed(done.stdout)

    def start(self, command: str) -> list[str]:
        """Start `tenuto …` or `python3 -m MODULE …` beside what follows; returns what it said when it was up."""
        program, *words = shlex.split(self._with_free_ports(command))
        script = _BIN / program
        if program == "python3":
            found = find_spec(words[1])
            assert found is not None
            script, words = Path(str(found.origin)), words[2:]
        self._count += 1
        log = self.folder / f".beside-{self._count}.log"
        is_server = "http.server" in command
        background = Background(
            script, words, self.folder, log, lambda said: self._answers() if is_server else bool(said)
        )
        self._beside.enter_context(background)
        return [] if is_server else self._as_printed(background.said())

    def _answers(self) -> bool:
        """Whether there is a web server on the port that is 8000 in the documents."""
        try:
            socket.create_connection(("127.0.0.1", int(self._ports["8000"])), 1).close()
        except OSError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        """A home of its own, so that no key is written to the reader's, and none of it is believed here."""
        path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
        outside = {name: text for name, text in os.environ.items() if not name.startswith(("TENUTO_", "XDG_"))}
        return {**outside, "PATH": path, "HOME": str(self.folder), "COLUMNS": "100"}

    def _with_free_ports(self, text: str) -> str:
        return re.sub(rf"(?<=[: ])({'|'.join(PORTS)})\b", lambda found: self._ports[found[1]], text)

    def _as_printed(self, text: str) -> list[str]:
        for port, free in self._ports.items():
            text = re.sub(rf"(?:(?<=:)|(?<=port )){free}\b", port, text)
        return [line.rstrip() for line in text.replace(f"{self.folder}/", "").splitlines()]


def written() -> str:
    """The session as it stands in the README."""
    found = _BLOCK.search(README.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("README.md has no console session")
    return found[0]


def run(session: str, folder: Path) -> str:
    """The commands of a session, run in `folder` with the rendered chorales as `music`, and what each prints."""
    chorales.render(folder / "music")
    lines = []
    with Shell(folder) as shell:
        for line in (line for line in session.splitlines() if line.startswith("$ ")):
            command = line[2:]
            if command.endswith("&"):
                said = shell.start(command[:-1])
            else:
                said = shell.run(command, (0, _FOUND_DAMAGE) if command.startswith("tenuto check") else (0,))
            lines += [line, *said, ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Run the session and write it into the README."""
    with tempfile.TemporaryDirectory() as folder:
        session = run(written(), Path(folder))
    README.write_text(_BLOCK.sub(lambda _: session, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The session in the README, run for real: `python tools/readme_session.py` writes what its commands print.

The tests run it again and compare (tests/docs).
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


def written() -> str:
    """The session as it stands in the README."""
    found = _BLOCK.search(README.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("README.md has no console session")
    return found[0]


def run(session: str, folder: Path) -> str:
    """The commands of a session, run in `folder` with the rendered chorales as `music`, and what each prints."""
    sys.path.insert(0, str(ROOT / "tools"))
    from demo import chorales  # noqa: PLC0415 -- found through the path above

    chorales.render(folder / "music")
    environment = {**os.environ, "COLUMNS": "100", "XDG_STATE_HOME": str(folder / "state")}
    lines = []
    for command in (line for line in session.splitlines() if line.startswith("$ ")):
        words = [str(Path(sys.executable).with_name("tenuto")), *shlex.split(command)[2:]]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        lines += [command, *(line.rstrip() for line in done.stdout.replace(f"{folder}/", "").splitlines()), ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Run the session and write it into the README."""
    with tempfile.TemporaryDirectory() as folder:
        session = run(written(), Path(folder))
    README.write_text(_BLOCK.sub(lambda _: session, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

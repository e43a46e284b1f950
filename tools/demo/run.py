"""`make demo`: a real music service, made into an archive by the real commands, on this machine alone.

Leaves `demo/archive` and `demo/summary.json`. MUSIC=folder takes the reader's own music.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from demo import chorales, debian_music, music_folder  # noqa: E402 -- found through the path above
from demo.permission import permission  # noqa: E402
from demo.running import DemoError  # noqa: E402
from demo.service import Service, ensure_environment, export_listens, listen  # noqa: E402

DEMO = ROOT / "demo"
CACHE = ROOT / ".cache" / "demo"
VENV = ROOT / ".venv-demo"
MARK = DEMO / ".made-by-make-demo"
SEED = 1747
BUDGET = "60%"
SOURCE = "service"
CRATE_SIZE = "24 MB"
RATE_PER_S = "200"
"""The operator of this service is ourselves, on loopback; a stranger's deserves the default of 4."""


def main() -> int:
    """Run the demo; returns the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    begun = time.monotonic()
    try:
        music_root, packages = _music()
        ensure_environment(VENV, say)
        setup_s = time.monotonic() - begun
        begun = time.monotonic()
        with Service(VENV, DEMO / "service", music_root, say) as service:
            count = listen(service, SEED)
            say(f"the service was listened to {count} times")
            _archive(service, packages, music_root)
        _summary(setup_s, time.monotonic() - begun)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"demo: tenuto {error.cmd[1]} ended with {error.returncode}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    return 0


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"  {message}", file=sys.stderr, flush=True)


def _music() -> tuple[Path, list[debian_music.Package]]:
    """The service's music folder, made anew."""
    if DEMO.exists() and not MARK.exists() and any(DEMO.iterdir()):
        raise DemoError(f"{DEMO} holds something that make demo did not make; move it away")
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    MARK.touch()
    own = os.environ.get("MUSIC")
    if own:
        packages = [music_folder.own(Path(own))]
        return music_folder.assemble(DEMO / "service", packages, []), packages
    packages = debian_music.fetch(CACHE, say)
    if not packages:
        say("no music from Debian can be had here: the service holds a few rendered chorales only")
    return music_folder.assemble(DEMO / "service", packages, chorales.render(CACHE / "chorales")), packages


def _archive(service: Service, packages: Sequence[debian_music.Package], music_root: Path) -> None:
    """From the service to the plan, by the words that anyone would type."""
    granted = DEMO / "operator" / "permission.toml"
    listens = DEMO / "operator" / "listens.csv"
    granted.parent.mkdir()
    granted.write_text(permission(packages, music_root), encoding="utf-8")
    export_listens(service.database, listens)
    say(f"its operator gives a permission ({granted.relative_to(ROOT)}) and an export of listens")
    login = {"TENUTO_SERVICE_USER": service.user, "TENUTO_SERVICE_PASSWORD": service.password}
    at = ["--archive", "demo/archive"]
    _tenuto(["init", "demo/archive", "--name", "demo", "--contact", "demo@archive.invalid", "--keys", "demo/keys"])
    _small_crates()
    _tenuto(["source", "add", "subsonic", service.url, "--name", SOURCE, "--permission", "demo/operator/permission.toml",
             "--option", "listens_file=demo/operator/listens.csv", "--rate-per-s", RATE_PER_S, *at])  # fmt: skip
    _tenuto(["harvest", SOURCE, *at], login, may_end_with=(0, 9))
    _tenuto(["catalogue", "build", *at])
    _tenuto(["plan", "--budget", BUDGET, *at])
    _tenuto(["keep", *at], login, may_end_with=(0, 9))
    _tenuto(["publish", *at])
    song, other = _songs()
    _tenuto(
        ["get", song, "--from", "demo/archive/publication", "--out", "demo"], {"XDG_STATE_HOME": str(DEMO / "listener")}
    )
    _tenuto(["withdraw", other, "--reason", "rightsholder", *at])
    _tenuto(["check", "--all", *at])
    _tenuto(["status", *at])


def _small_crates() -> None:
    """Crates so small that there are several: a demo that fills one shows little."""
    settings = DEMO / "archive" / "tenuto.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('target_bytes = "10 GB" ', f'target_bytes = "{CRATE_SIZE}" '), encoding="utf-8")


def _songs() -> tuple[str, str]:
    """Two recordings of open crates: one to take, one to take back."""
    import duckdb  # noqa: PLC0415 -- there once the environment is made

    held = DEMO / "archive" / "state" / "holdings" / "*.parquet"
    rows = duckdb.execute(f"""
        SELECT source || ':' || track_id FROM read_parquet('{held}') WHERE sealed_bytes IS NULL
        ORDER BY title, track_id""").fetchall()
    if len(rows) < 2:  # noqa: PLR2004 -- one to take, one to take back
        raise DemoError("fewer than two recordings may be given out: look at the permission in demo/operator")
    return rows[0][0], rows[-1][0]


def _tenuto(words: list[str], login: dict[str, str] | None = None, may_end_with: tuple[int, ...] = (0,)) -> None:
    """Run one command as the reader would, and show it."""
    print(f"\n$ tenuto {' '.join(words)}", flush=True)
    command = [str(Path(sys.executable).with_name("tenuto")), *words]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(login or {})}, check=False)
    if done.returncode not in may_end_with:
        raise subprocess.CalledProcessError(done.returncode, command)


def _summary(setup_s: float, wall_s: float) -> None:
    command = [str(Path(sys.executable).with_name("tenuto")), "status", "--archive", "demo/archive", "--json"]
    status = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    plan = json.loads((DEMO / "archive" / "plans" / status["plan"] / "plan.json").read_text(encoding="utf-8"))
    summary = {
        **{
            key: status[key]
            for key in (
                "tracks",
                "tombstones",
                "recordings",
                "recordings_bytes",
                "statuses",
                "licences",
                "crates",
                "crates_dark",
                "withdrawn",
                "findings",
            )
        },
        **{key: plan[key] for key in ("plan_bytes", "listens_kept_frac")},
        "setup_s": round(setup_s, 1),
        "wall_s": round(wall_s, 1),
    }
    (DEMO / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(
        f"\nset up in {setup_s:.1f} s, done in {wall_s:.1f} s; the archive is demo/archive, the figures demo/summary.json"
    )
    print(
        "Look further: serve it with python3 -m http.server --directory demo/archive/publication, unpack a crate of it and open its"
    )
    print("data/index.html, or read demo/archive/tenuto.toml")


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- what a signal handler is given
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: a real music service, made into an archive by the real commands, and mirrored, on this machine alone.

Leaves `demo/archive`, `demo/mirror` and `demo/summary.json`, and no process. MUSIC=folder takes the reader's own music.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from demo import chorales, debian_music, music_folder  # noqa: E402 -- found through the path above
from demo.background import POLL_S, web_server  # noqa: E402
from demo.permission import permission  # noqa: E402
from demo.running import DemoError  # noqa: E402
from demo.service import Service, ensure_environment, export_listens, free_port, listen  # noqa: E402
from demo.warm import Warm  # noqa: E402

DEMO = ROOT / "demo"
CACHE = ROOT / ".cache" / "demo"
VENV = ROOT / ".venv-demo"
MARK = DEMO / ".made-by-make-demo"
SEED = 1747
FOLLOW_MAX_S = 10.0
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
        with Warm(ROOT) as tenuto:
            say("the music of the service is laid out anew")
            music_root, packages = _music()
            ensure_environment(VENV, say)
            setup_s = time.monotonic() - begun
            begun = time.monotonic()
            with Service(VENV, DEMO / "service", music_root, say) as service:
                say(f"people listen to it on {service.url}")
                count = listen(service, SEED)
                say(f"the service was listened to {count} times")
                _archive(Shell(tenuto), service, packages, music_root)
            mended = _mirror(Shell(tenuto))
            _summary(Shell(tenuto), mended, setup_s, begun)
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


class Shell:
    """Runs commands as the reader would type them, and shows them."""

    def __init__(self, tenuto: Warm) -> None:
        self._tenuto = tenuto

    def run(self, words: list[str], env: dict[str, str] | None = None, may_end_with: tuple[int, ...] = (0,)) -> None:
        """One command."""
        print(f"\n$ tenuto {' '.join(words)}", flush=True)
        self._end(words, self._tenuto.start(words, env or {}), may_end_with)

    def beside(self, words: list[str], log: Path) -> AbstractContextManager[None]:
        """One that gives out, until the block ends."""
        return self._tenuto.beside(words, log, lambda said: "on port" in said)

    def run_at_once(self, *commands: list[str]) -> None:
        """Several, shown one after the other."""
        for words, said in zip(commands, self._outputs(*commands), strict=True):
            print(f"\n$ tenuto {' '.join(words)}\n{said}", end="", flush=True)

    def asked(self, *commands: list[str]) -> list[dict[str, Any]]:
        """What commands say with --json; not shown."""
        return [json.loads(said) for said in self._outputs(*([*words, "--json"] for words in commands))]

    def _outputs(self, *commands: list[str]) -> list[str]:
        outs = [DEMO / "logs" / f"said-{number}" for number in range(len(commands))]
        began = [self._tenuto.start(words, {}, out) for words, out in zip(commands, outs, strict=True)]
        for words, process in zip(commands, began, strict=True):
            self._end(words, process, (0,))
        return [out.read_text(encoding="utf-8") for out in outs]

    def _end(self, words: list[str], process: int, may_end_with: tuple[int, ...]) -> None:
        code = self._tenuto.finish(process)
        if code not in may_end_with:
            raise subprocess.CalledProcessError(code, ["tenuto", *words])


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
    return music_folder.assemble(DEMO / "service", packages, chorales.rendered(CACHE / "chorales", say)), packages


def _archive(shell: Shell, service: Service, packages: Sequence[debian_music.Package], music_root: Path) -> None:
    """From the service to the plan, by the words that anyone would type."""
    granted = DEMO / "operator" / "permission.toml"
    listens = DEMO / "operator" / "listens.csv"
    granted.parent.mkdir()
    granted.write_text(permission(packages, music_root), encoding="utf-8")
    export_listens(service.database, listens)
    say(f"its operator gives a permission ({granted.relative_to(ROOT)}) and an export of listens")
    login = {"TENUTO_SERVICE_USER": service.user, "TENUTO_SERVICE_PASSWORD": service.password}
    at = ["--archive", "demo/archive"]
    shell.run(["init", "demo/archive", "--name", "demo", "--contact", "demo@archive.invalid", "--keys", "demo/keys"])
    _small_crates()
    shell.run(["source", "add", "subsonic", service.url, "--name", SOURCE, "--permission", "demo/operator/permission.toml",
             "--option", "listens_file=demo/operator/listens.csv", "--rate-per-s", RATE_PER_S, *at])  # fmt: skip
    shell.run(["harvest", SOURCE, *at], login, may_end_with=(0, 9))
    shell.run(["catalogue", "build", *at])
    shell.run(["plan", "--budget", BUDGET, *at])
    shell.run(["keep", *at], login, may_end_with=(0, 9))
    shell.run(["publish", *at])


def _mirror(shell: Shell) -> dict[str, int]:
    """A mirror over BitTorrent, damaged and mended; a recording taken back; one song from a bare web server.

    Returns how many pieces were mended and how many bytes that took.
    """
    song, other = _songs()
    logs, web, swarm = DEMO / "logs", free_port(), free_port()
    logs.mkdir()
    at, peer = ["--archive", "demo/archive"], ["--peer", f"127.0.0.1:{swarm}"]
    mirror = ["mirror", "--into", "demo/mirror", "--reach", "peers", "--listen", "127.0.0.1:0", *peer]
    here = ["--archive", "demo/mirror"]
    with (
        web_server(DEMO / "archive" / "publication", web, logs / "web.log"),
        shell.beside(["seed", *at, "--listen", f"127.0.0.1:{swarm}", "--reach", "peers"], logs / "seed.log"),
    ):
        say(f"the publication is on http://127.0.0.1:{web}, its crates are given out by tenuto seed on port {swarm}")
        shell.run([mirror[0], f"http://127.0.0.1:{web}", *mirror[1:], "--space", "1GB"], env=_listener())
        shell.run_at_once(["check", *at], ["check", *here])
        damaged = _flip_a_byte()
        shell.run(["check", damaged, *here], may_end_with=(7,))
        mended = _repair(shell, ["repair", damaged, *peer, *here])
        said = (logs / "seed.log").read_text(encoding="utf-8", errors="replace")
        shell.run(["withdraw", other, "--reason", "rightsholder", *at])
        _wait_until_followed(logs / "seed.log", len(said))
        shell.run(mirror)
        shell.run(["get", song, "--from", f"http://127.0.0.1:{web}", "--out", "demo"], env=_listener())
    shell.run_at_once(["check", "--all", *at], ["check", "--all", *here], ["status", *at])
    return mended


def _wait_until_followed(log: Path, seen: int) -> None:
    """Until `tenuto seed` gives out all that the new index names: whom it turns away now, calls again 2 s later."""
    index = json.loads((DEMO / "archive" / "publication" / "index.json").read_text(encoding="utf-8"))
    end = time.monotonic() + FOLLOW_MAX_S
    while time.monotonic() < end:
        lines = log.read_text(encoding="utf-8", errors="replace")[seen:].splitlines()
        if lines and f"giving out {len(index['crates'])} crate" in lines[-1]:
            say(f"tenuto seed says: {lines[-1]}")
            return
        time.sleep(POLL_S)
    say("tenuto seed has not followed the new index yet")


def _listener() -> dict[str, str]:
    """What is known of publications is kept in the demo's folder, not in the reader's home."""
    return {"XDG_STATE_HOME": str(DEMO / "listener")}


def _flip_a_byte() -> str:
    """Damage the largest crate of the mirror, as a bad disk would; returns its name."""
    path = max((DEMO / "mirror" / "crates").glob("*.zip"), key=lambda one: one.stat().st_size)
    at = path.stat().st_size // 3
    with path.open("r+b") as file:
        file.seek(at)
        was = file.read(1)[0]
        file.seek(at)
        file.write(bytes([was ^ 1]))
    say(f"one bit of byte {at:,} of {path.relative_to(ROOT)} is flipped")
    return path.stem


def _repair(shell: Shell, words: list[str]) -> dict[str, int]:
    """Repair, and count: the figures are those of --json, which is not shown."""
    print(f"\n$ tenuto {' '.join(words)}", flush=True)
    (found,) = shell.asked(words)
    mended = {"pieces": sum(one["pieces"] for one in found["mended"]), "bytes": found["received_bytes"]}
    names = ", ".join(one["crate"] for one in found["mended"])
    print(f"mended {names}: {mended['pieces']} piece, {mended['bytes']:,} bytes received", flush=True)
    return mended


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


def _summary(shell: Shell, mended: dict[str, int], setup_s: float, begun: float) -> None:
    """What came of it: a table for the reader, demo/summary.json for programs."""
    status, mirror = shell.asked(["status", "--archive", "demo/archive"], ["status", "--archive", "demo/mirror"])
    plan = json.loads((DEMO / "archive" / "plans" / status["plan"] / "plan.json").read_text(encoding="utf-8"))
    names = ("tracks", "tombstones", "recordings", "recordings_bytes", "statuses", "licences", "crates", "crates_dark",
             "withdrawn", "findings")  # fmt: skip
    wall_s = time.monotonic() - begun
    summary = {
        **{name: status[name] for name in names},
        **{name: plan[name] for name in ("plan_bytes", "listens_kept_frac")},
        "mirror_crates": mirror["crates"],
        "mirror_bytes": mirror["bytes"],
        "repaired_pieces": mended["pieces"],
        "repaired_bytes": mended["bytes"],
        "setup_s": round(setup_s, 1),
        "wall_s": round(wall_s, 1),
    }
    (DEMO / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    licences = ", ".join(f"{name} {count}" for name, count in status["licences"].items())
    share = plan["listens_kept_frac"]
    rows = {
        "tracks": f"{status['tracks']}, each with one status: {_counted(status['statuses'])}",
        "recordings": f"{status['recordings']}, {status['recordings_bytes'] / 1e6:.1f} MB",
        "of the listens": "-" if share is None else f"{share * 100:.1f} %",
        "licences": licences,
        "crates": f"{status['crates'] - status['crates_dark']} open, {status['crates_dark']} dark",
        "withdrawn": f"{status['withdrawn']}, out of the publication, the crates and the mirror",
        "mirror": f"{mirror['crates']} crates, {mirror['bytes'] / 1e6:.1f} MB, by BitTorrent",
        "verified": f"every byte of both; 1 flipped bit found, mended with {mended['pieces']} piece",
        "time": f"set up in {setup_s:.1f} s, done in {wall_s:.1f} s",
    }
    print("\nthe demo in one table")
    for name, what in rows.items():
        print(f"  {name:<15} {what}")
    print(
        "\nType next:\n"
        "  . .venv/bin/activate\n"
        "  tenuto status --archive demo/archive\n"
        "  tenuto doctor --archive demo/archive\n"
        "  python3 -m http.server --directory demo/archive/publication    # then look at http://127.0.0.1:8000\n"
        "  unzip -q -d demo/unpacked demo/mirror/crates/demo-1-*0001*.zip   # and open the index.html in it: it plays"
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- what a signal handler is given
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

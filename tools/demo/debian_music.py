"""Free music out of Debian packages: without root, without touching the system's package lists.

Each package is unpacked once under the cache; its folder is there complete or not at all.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .running import DemoError, Say, run

NAMES = ("hyperrogue-music", "amoebax-data", "asc-music", "trackballs-data")
SUFFIXES = frozenset({".ogg", ".mp3"})
UPDATE_TIMEOUT_S = 120
DOWNLOAD_TIMEOUT_S = 300
UNPACK_TIMEOUT_S = 60

# The hooks of the system's own `update` write to places that only root may write.
APT_CONF = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
"""


@dataclass(frozen=True, slots=True)
class Package:
    """Music that came together under one statement of rights.

    `music` are files below `base`, which lies below `root`: DEP-5 patterns speak of paths below `root`, the service
    shows paths below `base`. `copyright` is the DEP-5 file, or None for the reader's own folder.
    """

    name: str
    root: Path
    base: Path
    music: tuple[Path, ...]
    copyright: Path | None


def fetch(cache: Path, say: Say, names: Sequence[str] = NAMES) -> list[Package]:
    """Return the packages `names` out of `cache`, in this order; what is missing there is downloaded first.

    No network is used when all are there. A package that cannot be had is said, with the reason, and left out.
    """
    missing = [name for name in names if not (cache / name).is_dir()]
    if missing and not (shutil.which("apt-get") and shutil.which("dpkg")):
        say(f"no apt-get and dpkg here (not a Debian), so without {', '.join(missing)}")
    elif missing:
        _download(missing, cache, say)
    return list(_read_all(names, cache, say))


def _download(names: Sequence[str], cache: Path, say: Say) -> None:
    """Unpack each of `names` to `cache/<name>`; private package lists live in a work folder that is removed again."""
    work = cache / ".work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        apt = _private_apt(work)
        say("fetching Debian's package lists (9 MB, kept apart from the system's)")
        _try_to(say, [*apt, "update"], "package lists", work, UPDATE_TIMEOUT_S)
        for name in names:
            say(f"fetching {name}")
            if _try_to(say, [*apt, "download", name], name, work, DOWNLOAD_TIMEOUT_S):
                _unpack(name, work, cache, say)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _private_apt(work: Path) -> list[str]:
    """apt-get with state and cache below `work` and the system's sources and keys."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "apt.conf").write_text(APT_CONF, encoding="ascii")
    places = {"Dir::State::lists": work / "lists", "Dir::State::status": "/dev/null", "Dir::Cache": work / "cache"}
    options = [part for key, value in places.items() for part in ("-o", f"{key}={value}")]
    return ["apt-get", "-q", "-c", str(work / "apt.conf"), *options]


def _unpack(name: str, work: Path, cache: Path, say: Say) -> None:
    for deb in work.glob(f"{name}_*.deb"):
        beside = work / "unpacked" / name
        beside.mkdir(parents=True)
        if _try_to(say, ["dpkg", "-x", deb, beside], name, work, UNPACK_TIMEOUT_S):
            beside.rename(cache / name)
        deb.unlink()


def _try_to(say: Say, command: Sequence[str | Path], what: str, work: Path, timeout_s: float) -> bool:
    try:
        run(command, doing=what, say=say, timeout_s=timeout_s, cwd=work, env={"LC_ALL": "C.UTF-8"})
    except DemoError as error:
        say(f"skipped: {error}")
        return False
    return True


def _read_all(names: Sequence[str], cache: Path, say: Say) -> Iterator[Package]:
    for name in names:
        root = cache / name
        if not root.is_dir():
            continue
        music = tuple(_music_below(root))
        copyright_file = root / "usr/share/doc" / name / "copyright"
        if music and copyright_file.is_file():
            base = Path(os.path.commonpath([file.parent for file in music]))
            yield Package(name, root, base, music, copyright_file)
        else:
            say(f"skipped: {name}: no music folder or no copyright file in it; remove {root} to fetch it again")


def _music_below(root: Path) -> list[Path]:
    """Find the sound files in folders named `music`, sorted; effects (`sounds/`) and links are left out."""
    return sorted(
        file
        for file in root.rglob("*")
        if file.suffix in SUFFIXES
        and "music" in file.relative_to(root).parts[:-1]
        and file.is_file()
        and not file.is_symlink()
    )

"""All looks, one after the other; a look that breaks is one result, and the others go on."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenuto.archive import Layout, Settings, load_settings
from tenuto.doctor import backup, clock, disk, keys, libraries, limits, ports, private, room, speed, versions
from tenuto.doctor.result import Result
from tenuto.model.errors import TenutoError
from tenuto.model.progress import Progress
from tenuto.sources import check_options

_Look = Callable[[], list[Result]]


@dataclass(slots=True)
class Figures:
    """How fast the machine is; None where that was not measured."""

    sha256_bytes_per_s: int | None = None
    disk_write_bytes_per_s: int | None = None
    disk_read_bytes_per_s: int | None = None


@dataclass(slots=True)
class Examined:
    """What was found, and the machine in figures (None: not measured)."""

    results: list[Result] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether nothing is bad."""
        return all(one.state != "bad" for one in self.results)


def examine(layout: Layout | None, progress: Progress, keys_backup: Path | None = None) -> Examined:
    """Look at the machine and, where there is one, the archive; `keys_backup` is a folder with copies of its keys."""
    found, now = Examined(), datetime.now(UTC)
    trials = libraries.begin()
    settings = _settings(layout, found) if layout else None
    machine, fast = limits.measure(), Figures()
    looks: dict[str, _Look] = {
        "python": versions.look,
        "clock": lambda: clock.look(layout, now, clock.synchronised()),
        **(_of_archive(layout, settings, now, keys_backup) if layout else {}),
        "ports": lambda: _ports(settings),
        "limits": lambda: limits.look(machine),
        "libraries": lambda: libraries.look(trials),
        "speed": lambda: _speed(layout, fast),  # the last, when nothing else is busy here
    }
    progress.begin("looking", len(looks), "things")
    for topic, look in looks.items():
        found.results += _guarded(topic, look)
        progress.advance()
    found.machine = {"cores": machine.cores, "memory_bytes": machine.memory_bytes or None,
                     "descriptors": machine.descriptors, **asdict(fast)}  # fmt: skip
    return found


def keys_of(layout: Layout, settings: Settings) -> keys.Keys | None:
    """The keys of an archive; a mirror has none."""
    if is_mirror(settings) or not settings.keys.folder:
        return None
    folder = layout.operator_path(settings.keys.folder)
    return keys.Keys(folder, settings.keys.signing_public, settings.keys.age_recipients)


def is_mirror(settings: Settings) -> bool:
    """Whether a folder holds what another archive publishes."""
    return getattr(settings, "mirror", None) is not None


def _settings(layout: Layout, found: Examined) -> Settings | None:
    """The settings, or a result that says all that is wrong with them."""
    try:
        settings = load_settings(layout.settings, check_options)
    except (TenutoError, OSError) as error:
        said = str(error).removesuffix(f"\nmend {layout.settings.name} and run again")
        message = f"{layout.settings} cannot be used, so what depends on it was not looked at: {said}"
        found.results.append(
            Result("settings", "bad", message, f"mend it: every key stands in docs/cli.md; $EDITOR {layout.settings}")
        )
        return None
    what = f"a mirror of {settings.archive.name}" if is_mirror(settings) else f"archive {settings.archive.name}"
    found.results.append(Result("settings", "ok", f"{what}; {layout.settings} is as it should be"))
    return settings


def _of_archive(layout: Layout, settings: Settings | None, now: datetime, keys_backup: Path | None) -> dict[str, _Look]:
    looks: dict[str, _Look] = {}
    target_bytes = settings.crates.target_bytes if settings else 0
    looks["disk"] = lambda: disk.look(layout, target_bytes)
    looks["room"] = lambda: room.look(layout, settings)
    if settings is None:
        return looks
    secrets = keys_of(layout, settings)
    if secrets is not None:
        looks["keys"] = lambda: keys.look(layout.root, secrets)
        looks["backup"] = lambda: (
            backup.look(secrets, now) if keys_backup is None else backup.verify(secrets, keys_backup, now)
        )
    logins = {name: layout.operator_path(one.credentials) for name, one in settings.sources.items() if one.credentials}
    granted = {name: layout.operator_path(one.permission) for name, one in settings.sources.items() if one.permission}
    looks["privacy"] = lambda: private.look(layout, logins, granted)
    return looks


def _ports(settings: Settings | None) -> list[Result]:
    swarm: Any = getattr(settings, "swarm", None)
    if swarm is None:
        return ports.look()
    return ports.look(swarm.listen, is_public=swarm.reach == "internet")


def _speed(layout: Layout | None, fast: Figures) -> list[Result]:
    measured = speed.measure(layout.root if layout else None)
    fast.sha256_bytes_per_s = round(measured.sha256)
    fast.disk_write_bytes_per_s = round(measured.write) if measured.write else None
    fast.disk_read_bytes_per_s = round(measured.read) if measured.read else None
    return speed.look(measured, room.bytes_held(layout) if layout else None)


def _guarded(topic: str, look: _Look) -> list[Result]:
    try:
        return look()
    except PermissionError as error:
        message = f"this could not be looked at: {error.strerror}: {error.filename}"
        return [
            Result(
                topic, "bad", message, "run tenuto as the user to whom that belongs, or give it to yours: sudo chown"
            )
        ]
    except Exception as error:  # one thing that cannot be looked at must not hide the others
        if os.environ.get("TENUTO_DEBUG"):
            raise
        message = f"this could not be looked at: {type(error).__name__}: {error}"
        return [Result(topic, "warning", message, "TENUTO_DEBUG=1 tenuto doctor shows where; please report it")]

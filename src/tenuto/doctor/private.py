"""What nobody else may read or change: settings, logins, the digests of what was withdrawn, dark crates, drafts."""

from collections.abc import Mapping
from pathlib import Path

from tenuto.archive import Layout
from tenuto.archive.keys import is_private
from tenuto.doctor.result import Result

_TOPIC = "privacy"
_OTHERS = 0o077
_OTHERS_WRITE = 0o002


def look(layout: Layout, credentials: Mapping[str, Path], permissions: Mapping[str, Path]) -> list[Result]:
    """Modes of files and folders; `credentials` and `permissions` are the files that sources name."""
    results = [
        *_settings(layout.settings),
        *_log(layout.withdrawn_recordings),
        *_folder(layout.dark, "the dark crates"),
        *_folder(layout.drafts, "what is fetched and not sealed yet"),
    ]
    for source, file in credentials.items():
        results += _login(layout.root, source, file)
    for source, file in permissions.items():
        if not file.is_file():
            message = f"the permission of source {source}, {file}, is not there: nothing but its last harvest tells what it said"
            results.append(
                Result(
                    _TOPIC, "warning", message, f"bring it back, or name another: permission under [sources.{source}]"
                )
            )
    return results or [
        Result(_TOPIC, "ok", "settings, logins, dark crates and drafts are closed to others, where there are any")
    ]


def _settings(file: Path) -> list[Result]:
    mode = file.stat().st_mode
    if not mode & _OTHERS_WRITE:
        return []
    message = f"everybody on this machine can change {file} (mode {mode & 0o777:04o}), and with it what is given out"
    return [Result(_TOPIC, "bad", message, f"chmod o-w {file}")]


def _log(file: Path) -> list[Result]:
    if not file.exists() or is_private(file):
        return []
    message = (
        f"{file} names recordings that were withdrawn, and others can read it (mode {file.stat().st_mode & 0o777:04o})"
    )
    return [Result(_TOPIC, "bad", message, f"chmod 600 {file}")]


def _folder(folder: Path, what: str) -> list[Result]:
    if not folder.is_dir() or not folder.stat().st_mode & _OTHERS:
        return []
    message = f"others can look into {folder}, which holds {what} (mode {folder.stat().st_mode & 0o777:04o})"
    return [Result(_TOPIC, "bad", message, f"chmod 700 {folder}")]


def _login(root: Path, source: str, file: Path) -> list[Result]:
    if not file.is_file():
        message = f"the login of source {source}, {file}, is not there"
        return [
            Result(
                _TOPIC,
                "warning",
                message,
                f"bring it back, or name another: credentials under [sources.{source}] in tenuto.toml",
            )
        ]
    results = []
    if not is_private(file):
        message = (
            f"the login of source {source}, {file}, can be read by others (mode {file.stat().st_mode & 0o777:04o})"
        )
        results.append(Result(_TOPIC, "bad", message, f"chmod 600 {file}, and change the password"))
    if file.resolve().is_relative_to(root.resolve()):
        message = f"the login of source {source} lies inside the archive ({file}): every copy of the archive has it"
        results.append(
            Result(_TOPIC, "bad", message, f"move it out, and name its place: credentials under [sources.{source}]")
        )
    return results

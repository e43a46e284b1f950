"""The archive's secrets: there, private, the right ones, outside of the archive, and backed up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenuto.archive.keys import IDENTITY_NAME, SIGNING_NAME, is_private, load_signing_key
from tenuto.crates.dark import load_identity
from tenuto.doctor.result import Result
from tenuto.model.errors import SettingsError

_TOPIC = "keys"
_OTHERS_WRITE = 0o022
_BACKUP = "bring it back from your backup"


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the secrets should lie, and the public halves that tenuto.toml names."""

    folder: Path
    signing_public: str
    age_recipients: Sequence[str]


def look(root: Path, keys: Keys) -> list[Result]:
    """The secrets of the archive at `root`; backups are looked at by `backup`."""
    if not keys.folder.is_dir():
        message = f"the folder of the keys, {keys.folder}, is not there"
        remedy = f"{_BACKUP} to that place, or mount its disk; keys.folder in tenuto.toml says where it is"
        return [Result(_TOPIC, "bad", message, remedy)]
    results = [*_place(root, keys.folder), *_signing(keys), *_identity(keys)]
    if any(one.state != "note" for one in results):
        return results
    return [
        Result(
            _TOPIC, "ok", f"{keys.folder} holds the signing key and the identity of tenuto.toml, for its owner alone"
        ),
        *results,
    ]


def identity_recipient(file: Path) -> str:
    """The public half of an identity; raises SettingsError where there is none in the file."""
    identity: Any = load_identity(file.parent, file)
    return str(identity.to_public())


def is_on_same_disk(one: Path, other: Path) -> bool:
    """Whether two places are on one file system."""
    return one.stat().st_dev == other.stat().st_dev


def _place(root: Path, folder: Path) -> list[Result]:
    results = []
    if folder.resolve().is_relative_to(root.resolve()):
        message = f"the keys lie inside the archive ({folder}): whoever gets a copy of the archive gets them too"
        remedy = f"mv {folder} ~/.config/tenuto/ and write the new place into keys.folder of {root / 'tenuto.toml'}"
        results.append(Result(_TOPIC, "bad", message, remedy))
    elif is_on_same_disk(root, folder):
        message = f"the keys ({folder}) are on the same file system as the archive: one broken disk takes both"
        results.append(Result(_TOPIC, "note", message, "a backup elsewhere is enough: tenuto doctor --keys-backup DIR"))
    mode = folder.stat().st_mode
    if mode & _OTHERS_WRITE and not mode & 0o1000:
        message = f"others can replace the keys: their folder {folder} has mode {mode & 0o7777:04o}"
        results.append(Result(_TOPIC, "bad", message, f"chmod go-w {folder}"))
    return results


def _signing(keys: Keys) -> list[Result]:
    file = keys.folder / SIGNING_NAME
    if not file.is_file():
        message = f"the signing key {file} is missing: nothing new can be published that mirrors accept"
        return [Result(_TOPIC, "bad", message, f"{_BACKUP}: cp /path/of/backup/{SIGNING_NAME} {keys.folder}/")]
    results = _privacy(file)
    try:
        load_signing_key(keys.folder, keys.signing_public)
    except SettingsError as error:
        results.append(
            Result(_TOPIC, "bad", str(error), f"{_BACKUP}: cp /path/of/backup/{SIGNING_NAME} {keys.folder}/")
        )
    return results


def _identity(keys: Keys) -> list[Result]:
    file = keys.folder / IDENTITY_NAME
    if not file.is_file():
        message = (
            f"the identity {file} is missing: dark crates cannot be opened here (publish and seed work without it)"
        )
        remedy = f"if it is kept elsewhere on purpose, all is well; else {_BACKUP}"
        return [Result(_TOPIC, "warning", message, remedy)]
    results = _privacy(file)
    try:
        recipient = identity_recipient(file)
    except SettingsError as error:
        return [
            *results,
            Result(_TOPIC, "bad", str(error), f"{_BACKUP}: cp /path/of/backup/{IDENTITY_NAME} {keys.folder}/"),
        ]
    if recipient not in keys.age_recipients:
        message = (
            f"the identity {file} is of {_short(recipient)}, which keys.age_recipients in tenuto.toml does not name "
            f"({', '.join(map(_short, keys.age_recipients))}): it opens no dark crate that is sealed from now on"
        )
        results.append(
            Result(_TOPIC, "bad", message, f"{_BACKUP} the right identity, or add its recipient to keys.age_recipients")
        )
    return results


def _privacy(file: Path) -> list[Result]:
    if is_private(file):
        return []
    mode = file.stat().st_mode & 0o7777
    message = f"{file} is not private: mode {mode:04o}, owner {file.stat().st_uid}; whoever read it can sign or open in your name"
    return [Result(_TOPIC, "bad", message, f"chmod 600 {file}; if others use this machine, think of new keys")]


def _short(recipient: str) -> str:
    return re.sub(r"^(.{12}).*(.{4})$", r"\1…\2", recipient)

"""Whether the keys were ever backed up: a copy that was compared byte for byte is noted beside them, without any secret."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime

from tenuto.archive.durable import write_durably
from tenuto.archive.keys import IDENTITY_NAME, SIGNING_NAME, is_private
from tenuto.doctor.keys import Keys, identity_recipient, is_on_same_disk
from tenuto.doctor.result import Result
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError
from tenuto.model.units import counted

NOTE_NAME = "backup.json"
FORMAT = "tenuto-keys-backup-1"
_TOPIC = "backup"
_AGE_MAX = timedelta(days=365)
_VERIFY = "copy the folder of the keys to a disk that is not this machine's, then: tenuto doctor --keys-backup DIR"


class Note(Document):
    """backup.json: when a backup was last compared, and which keys it had, by digests of their public halves."""

    format: Literal["tenuto-keys-backup-1"] = "tenuto-keys-backup-1"
    verified_at: AwareDatetime
    signing_public_sha256: str | None
    age_recipient_sha256: str | None
    is_on_same_disk: bool


def look(keys: Keys, now: datetime) -> list[Result]:
    """What the note of the last comparison says."""
    if not keys.folder.is_dir():
        return []  # said by the look at the keys
    try:
        note = Note.model_validate_json((keys.folder / NOTE_NAME).read_bytes())
    except FileNotFoundError:
        message = f"nothing says that the keys in {keys.folder} were ever backed up; lost, they cannot be made again"
        return [Result(_TOPIC, "warning", message, _VERIFY)]
    except (OSError, ValueError) as error:
        message = f"{keys.folder / NOTE_NAME} cannot be read ({type(error).__name__}), so no backup is known"
        return [Result(_TOPIC, "warning", message, _VERIFY)]
    return [_of_note(note, keys, now)]


def verify(keys: Keys, copy: Path, now: datetime) -> list[Result]:
    """Compare the copies in a folder with the keys and, where they are the same, note that; the secrets go nowhere.

    A copy on the disk of the keys does not replace the note of one that was elsewhere.
    """
    names = [name for name in (SIGNING_NAME, IDENTITY_NAME) if (keys.folder / name).is_file()]
    if not names:
        message = f"there are no keys in {keys.folder} to compare {copy} with"
        return [Result(_TOPIC, "bad", message, f"bring them back: cp -a {copy}/. {keys.folder}/")]
    if wrong := [said for name in names if (said := _difference(keys.folder / name, copy / name))]:
        remedy = (
            f"if the keys are well (see above): cp {' '.join(str(keys.folder / name) for name in names)} {copy}/ "
            "and run this again; if not, bring them back from there"
        )
        return [Result(_TOPIC, "bad", f"the backup in {copy} is none: {'; '.join(wrong)}", remedy)]
    is_same_disk = is_on_same_disk(keys.folder, copy)
    if is_same_disk and look(keys, now)[0].state == "ok":
        message = f"the backup in {copy} is on the same disk as the keys; the one that was verified before still counts"
        return [Result(_TOPIC, "warning", message, _VERIFY), *_open_to_others(copy, names)]
    signing, recipient = _public_digests(keys)
    note = Note(verified_at=now.astimezone(UTC).replace(microsecond=0), signing_public_sha256=signing,
                age_recipient_sha256=recipient, is_on_same_disk=is_same_disk)  # fmt: skip
    content = json.dumps(note.model_dump(mode="json"), indent=1).encode() + b"\n"
    try:
        write_durably(keys.folder / NOTE_NAME, content, 0o600)
    except OSError as error:
        said = (
            f"the backup in {copy} is the same as the keys, but that cannot be noted in {keys.folder}: {error.strerror}"
        )
        return [Result(_TOPIC, "warning", said, f"chmod u+w {keys.folder}, then run this again")]
    return [*look(keys, now), *_open_to_others(copy, names)]


def _open_to_others(copy: Path, names: list[str]) -> list[Result]:
    readable = [name for name in names if not is_private(copy / name)]
    if not readable:
        return []
    message = f"others can read the backup of {' and '.join(readable)} in {copy}"
    remedy = f"chmod 600 {' '.join(str(copy / name) for name in readable)}; lock away a disk that knows no modes (FAT)"
    return [Result(_TOPIC, "warning", message, remedy)]


def _of_note(note: Note, keys: Keys, now: datetime) -> Result:
    days = (now - note.verified_at).days
    when = f"{note.verified_at.astimezone(UTC):%Y-%m-%d}"
    missing = [
        name
        for name, noted, found in zip(
            (SIGNING_NAME, IDENTITY_NAME),
            (note.signing_public_sha256, note.age_recipient_sha256),
            _public_digests(keys),
            strict=True,
        )
        if found is not None and noted != found
    ]
    if missing:
        message = f"the backup that was verified on {when} has another {' and '.join(missing)}: the keys have changed"
        return Result(_TOPIC, "warning", message, _VERIFY)
    if note.is_on_same_disk:
        message = f"the backup that was verified on {when} lay on the same disk as the keys: it goes when they go"
        return Result(_TOPIC, "warning", message, _VERIFY)
    if now - note.verified_at > _AGE_MAX:
        message = (
            f"the backup of the keys was last verified on {when}, {counted(days, 'day')} ago; disks in drawers die too"
        )
        return Result(_TOPIC, "warning", message, "connect it and run: tenuto doctor --keys-backup DIR")
    return Result(_TOPIC, "ok", f"a backup of the keys was last verified on {when}")


def _difference(key: Path, copy: Path) -> str:
    """Why a copy is no backup of a key; empty where it is one."""
    if not copy.is_file():
        return f"{copy.name} is not in it"
    if copy.samefile(key):
        return f"{copy.name} in it is the key itself under another name, no copy"
    return "" if copy.read_bytes() == key.read_bytes() else f"{copy.name} in it is another one"


def _public_digests(keys: Keys) -> tuple[str | None, str | None]:
    """SHA-256 of the public halves of the keys that are there: the 32 bytes of the signing key, the recipient's letters."""
    return _signing_digest(keys.folder / SIGNING_NAME), _identity_digest(keys.folder / IDENTITY_NAME)


def _signing_digest(file: Path) -> str | None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(key, Ed25519PrivateKey):
        return None
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()


def _identity_digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(identity_recipient(file).encode()).hexdigest()
    except SettingsError:
        return None

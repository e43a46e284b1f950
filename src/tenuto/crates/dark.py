"""Dark crates: each recording and each describing table an age file of its own (age-encryption.org/v1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenuto.archive.keys import IDENTITY_NAME
from tenuto.model.errors import SettingsError


def encrypt_file(clear: Path, sealed: Path, recipients: Sequence[str]) -> None:
    """Write `clear` as an age file for the recipients; raises SettingsError where one of them is none."""
    import pyrage  # noqa: PLC0415 -- only dark crates need it

    pyrage.encrypt_file(str(clear), str(sealed), _recipients(recipients))


def encrypt(content: bytes, recipients: Sequence[str]) -> bytes:
    """Bytes as an age file."""
    import pyrage  # noqa: PLC0415

    return bytes(pyrage.encrypt(content, _recipients(recipients)))


def decrypt(content: bytes, identity: Any, what: str) -> bytes:
    """The bytes in an age file; raises SettingsError where the identity does not open it."""
    import pyrage  # noqa: PLC0415

    try:
        return bytes(pyrage.decrypt(content, [identity]))
    except pyrage.DecryptError as error:
        raise SettingsError(
            f"{what} does not open with this identity ({error}); it needs the one it was sealed for"
        ) from None


def decrypt_stream(source: Any, target: Any, identity: Any, what: str) -> None:
    """Write what is in an age file to `target`, in flat memory."""
    import pyrage  # noqa: PLC0415

    try:
        pyrage.decrypt_io(source, target, [identity])
    except pyrage.DecryptError as error:
        raise SettingsError(
            f"{what} does not open with this identity ({error}); it needs the one it was sealed for"
        ) from None


def load_identity(keys_folder: Path, file: Path | None = None) -> Any:
    """The identity that opens dark crates, from the archive's keys or another file; raises SettingsError without it."""
    from pyrage import IdentityError, x25519  # noqa: PLC0415

    place = file or keys_folder / IDENTITY_NAME
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
        secret = next(line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-"))
        return x25519.Identity.from_str(secret)
    except (OSError, UnicodeDecodeError, StopIteration, IdentityError) as error:
        raise SettingsError(
            f"the identity that opens dark crates cannot be read from {place} ({type(error).__name__}); "
            "bring it back from your backup, or name it with --identity FILE"
        ) from None


def _recipients(recipients: Sequence[str]) -> list[Any]:
    from pyrage import RecipientError, x25519  # noqa: PLC0415

    if not recipients:
        raise SettingsError(
            "keys.age_recipients in tenuto.toml names nobody: what is kept dark could not be opened again"
        )
    try:
        return [x25519.Recipient.from_str(recipient) for recipient in recipients]
    except RecipientError as error:
        raise SettingsError(f"keys.age_recipients in tenuto.toml holds one that is none: {error}") from None

"""The archive's two secrets, made once, kept outside the archive: a lost disk then loses no key, a copied one leaks none.

The signing key (Ed25519, PKCS #8 PEM) signs the index that mirrors pin. The identity (age, X25519) opens dark crates.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenuto.archive.durable import write_durably
from tenuto.model.errors import SettingsError

SIGNING_NAME = "signing.pem"
IDENTITY_NAME = "identity.age"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What may be written down: the Ed25519 public key (hex of 32 bytes) and the age recipient (bech32)."""

    signing_public: str
    age_recipient: str


def default_keys_folder(archive_name: str, environment: dict[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/tenuto/<archive>`, the home's `.config` where that is unset."""
    config = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".config")
    return Path(config) / "tenuto" / archive_name


def make_keys(folder: Path) -> PublicKeys:
    """Make both secrets in `folder` (files 0600; the folder 0700 where it is new or empty); refuses to touch ones that exist."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- heavy, and only `init` makes keys
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from pyrage import x25519  # noqa: PLC0415

    for name in (SIGNING_NAME, IDENTITY_NAME):
        if (folder / name).exists():
            raise SettingsError(
                f"{folder / name} exists and belongs to an archive; it is never overwritten. "
                "Choose another folder with --keys DIR, or another --name"
            )
    folder.mkdir(parents=True, exist_ok=True)
    if not any(
        folder.iterdir()
    ):  # a folder that holds other things (a home, /tmp) keeps its mode: the files are private
        folder.chmod(0o700)
    signing = Ed25519PrivateKey.generate()
    pem = signing.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    write_durably(folder / SIGNING_NAME, pem, 0o600)
    write_durably(folder / IDENTITY_NAME, f"# public key: {recipient}\n{identity}\n".encode(), 0o600)
    return PublicKeys(signing.public_key().public_bytes_raw().hex(), recipient)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner can read the file."""
    return not path.stat().st_mode & 0o077 and path.stat().st_uid in {os.getuid(), 0}


def load_signing_key(folder: Path, signing_public: str) -> Any:
    """The signing key (Ed25519PrivateKey); raises SettingsError where it is missing, or not the one of tenuto.toml."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    file = folder / SIGNING_NAME
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the signing key cannot be read from {file} ({error}); bring it back from your backup: "
            "mirrors follow what this key signs, and no other"
        ) from None
    if not isinstance(key, Ed25519PrivateKey) or key.public_key().public_bytes_raw().hex() != signing_public:
        raise SettingsError(
            f"{file} is not the key of keys.signing_public in tenuto.toml; mirrors would refuse what it signs"
        )
    return key

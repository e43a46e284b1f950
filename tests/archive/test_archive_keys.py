"""Two secrets, made once, outside the archive, for their owner's eyes only."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pyrage import decrypt, encrypt, x25519

from tenuto.archive.create import create
from tenuto.archive.keys import default_keys_folder, is_private, make_keys
from tenuto.model.errors import SettingsError, UsageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_keys_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        make_keys(tmp_path / "a/keys")
    finally:
        os.umask(old)
    assert mode(tmp_path / "a/keys") == 0o700
    assert {file.name: mode(file) for file in (tmp_path / "a/keys").iterdir()} == {
        "signing.pem": 0o600,
        "identity.age": 0o600,
    }


def test_the_public_halves_belong_to_the_secrets(tmp_path: Path) -> None:
    public = make_keys(tmp_path)
    signing = load_pem_private_key((tmp_path / "signing.pem").read_bytes(), None)
    assert isinstance(signing, Ed25519PrivateKey)
    assert signing.public_key().public_bytes_raw().hex() == public.signing_public
    secret = (tmp_path / "identity.age").read_text().splitlines()[-1]
    sealed = encrypt(b"dark", [x25519.Recipient.from_str(public.age_recipient)])
    assert decrypt(sealed, [x25519.Identity.from_str(secret)]) == b"dark"


def test_no_two_archives_have_the_same_keys(tmp_path: Path) -> None:
    one, other = make_keys(tmp_path / "a"), make_keys(tmp_path / "b")
    assert one.signing_public != other.signing_public
    assert one.age_recipient != other.age_recipient


@pytest.mark.parametrize("name", ["signing.pem", "identity.age"])
def test_a_key_that_exists_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(SettingsError, match=rf"{name} exists and belongs to an archive; it is never overwritten"):
        make_keys(tmp_path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "precious")]


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    tmp_path.chmod(0o755)
    make_keys(tmp_path)
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "signing.pem") == 0o600


@pytest.mark.parametrize("keys", ["archive", "archive/keys", "archive/../archive/x", "link"])
def test_keys_inside_the_archive_are_refused_and_nothing_is_made(tmp_path: Path, keys: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "archive")
    with pytest.raises(UsageError, match="keys would lie inside the archive"):
        create(tmp_path / "archive", "a", "b@c.example", tmp_path / keys, {})
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize(
    ("bits", "expected"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o644, False), (0o610, False)]
)
def test_a_file_is_private_when_only_its_owner_may_do_anything_with_it(
    tmp_path: Path, bits: int, expected: bool
) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "f").chmod(bits)
    assert is_private(tmp_path / "f") is expected


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/tenuto/demo"),
        ({"HOME": "/h"}, "/h/.config/tenuto/demo"),
        ({"XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/tenuto/demo"),
    ],
)
def test_keys_lie_where_settings_of_programs_lie(environment: dict[str, str], folder: str) -> None:
    assert default_keys_folder("demo", environment) == Path(folder)

"""Dark crates: what is in them can be read with the identity, and with nothing else."""

import io

import pyrage
import pytest

from published_maker import CLOSED, OPEN, a_shelf, rows_in
from tenuto.archive.keys import make_keys
from tenuto.crates import dark
from tenuto.crates.reader import CrateFile
from tenuto.model.errors import SettingsError


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "keys"), tmp_path / "keys"


def test_what_is_sealed_opens_with_the_identity(keys, tmp_path):
    public, folder = keys
    identity = dark.load_identity(folder)
    sealed = dark.encrypt(b"a song", [public.age_recipient])
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert b"a song" not in sealed
    assert dark.decrypt(sealed, identity, "it") == b"a song"
    (tmp_path / "clear").write_bytes(b"x" * 100_000)
    dark.encrypt_file(tmp_path / "clear", tmp_path / "sealed", [public.age_recipient])
    target = io.BytesIO()
    dark.decrypt_stream(io.BytesIO((tmp_path / "sealed").read_bytes()), target, identity, "it")
    assert target.getvalue() == b"x" * 100_000


def test_another_identity_opens_nothing(keys):
    public, _ = keys
    sealed = dark.encrypt(b"a song", [public.age_recipient])
    other = pyrage.x25519.Identity.generate()
    with pytest.raises(SettingsError, match="the one it was sealed for"):
        dark.decrypt(sealed, other, "it")
    with pytest.raises(SettingsError, match="the one it was sealed for"):
        dark.decrypt_stream(io.BytesIO(sealed), io.BytesIO(), other, "it")


@pytest.mark.parametrize("recipients", [(), ("age1nonsense",), ("",)])
def test_recipients_that_are_none_are_a_mistake_in_the_settings(tmp_path, recipients):
    (tmp_path / "clear").write_bytes(b"x")
    with pytest.raises(SettingsError, match="age_recipients"):
        dark.encrypt(b"a song", recipients)
    with pytest.raises(SettingsError, match="age_recipients"):
        dark.encrypt_file(tmp_path / "clear", tmp_path / "sealed", recipients)
    assert not (tmp_path / "sealed").exists()


@pytest.mark.parametrize("content", [None, b"", b"AGE-SECRET-KEY-1NONSENSE\n", b"\xff\xfe", b"# only a comment\n"])
def test_identity_that_cannot_be_read_says_where_it_should_be(tmp_path, content):
    if content is not None:
        (tmp_path / "identity.age").write_bytes(content)
    with pytest.raises(SettingsError, match=r"identity.age.*bring it back from your backup"):
        dark.load_identity(tmp_path)


def test_dark_crate_says_nothing_in_clear(tmp_path):
    shelf = a_shelf(tmp_path)
    (path,) = shelf.layout.dark.glob("*.zip")
    assert shelf.layout.dark.stat().st_mode & 0o777 == 0o700
    crate, content = CrateFile(path), path.read_bytes()
    assert set(crate.entries) == {
        "bagit.txt", "data/recordings/000001.age", "data/recordings/000002.age", "leaves.bin", "data/tables/recordings.age",
        "data/tables/catalogue.age", "data/withdrawn.json", "data/check_crate.py", "bag-info.txt", "manifest-sha256.txt",
        "tagmanifest-sha256.txt"}  # fmt: skip
    for row in rows_in(shelf, path):
        for words in (row["title"], row["sha256"], row["track_id"], "Umbra", "Ärmel"):
            assert words.encode() not in content
        assert bytes.fromhex(row["sha256"]) not in content
    assert [row["track_id"] for row in rows_in(shelf, path)] == list(CLOSED)


def test_crate_of_what_was_withdrawn_says_nothing_in_clear_and_opens_with_the_identity_alone(tmp_path):
    shelf = a_shelf(tmp_path)
    (kept,) = shelf.withdraw(OPEN[0])["kept_in"]
    path = shelf.layout.dark / f"{kept}.zip"
    content = path.read_bytes()
    (row,) = rows_in(shelf, path)
    for words in (row["title"], row["sha256"], row["track_id"], "Alpha"):
        assert words.encode() not in content
    taken = tmp_path / "song.flac"
    shelf("get", row["sha256"], "--out", taken)
    assert taken.stat().st_size == row["bytes"]
    (shelf.keys / "identity.age").unlink()
    shelf("get", row["sha256"], "--out", tmp_path / "again.flac", code=3)

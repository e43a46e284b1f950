"""The keys: missing, open to others, of another archive, in the wrong place; and their backup."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support import make_archive
from tenuto.archive import Layout, load_settings
from tenuto.archive.keys import IDENTITY_NAME, SIGNING_NAME
from tenuto.doctor import backup
from tenuto.doctor import keys as keys_look
from tenuto.doctor.examine import keys_of
from tenuto.doctor.keys import Keys
from tenuto.doctor.result import Result

NOW = datetime.now(UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_archive(tmp_path).root


@pytest.fixture
def keys(root: Path, tmp_path: Path) -> Keys:
    found = keys_of(Layout(root), load_settings(root / "tenuto.toml"))
    assert found is not None
    assert found.folder == tmp_path / "keys"
    return found


@pytest.fixture
def elsewhere(root: Path) -> Iterator[Path]:
    """A folder on another disk than the keys."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second file system here")
    folder = Path(tempfile.mkdtemp(dir=shm))
    yield folder
    shutil.rmtree(folder)


def look(root: Path, keys: Keys) -> list[Result]:
    """What is found but for the place, which is a matter of the machine."""
    return [one for one in keys_look.look(root, keys) if one.state != "note"]


def only(results: list[Result]) -> Result:
    assert len(results) == 1, results
    return results[0]


def other_keys(tmp_path: Path) -> Path:
    (tmp_path / "other").mkdir()
    make_archive(tmp_path / "other")
    return tmp_path / "other" / "keys"


# --- the keys themselves


def test_new_keys_are_well_and_that_they_are_on_the_disk_of_the_archive_is_noted(root: Path, keys: Keys) -> None:
    assert [one.state for one in keys_look.look(root, keys)] == ["ok", "note"]


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602])
def test_a_key_that_others_can_read_is_bad(root: Path, keys: Keys, name: str, mode: int) -> None:
    (keys.folder / name).chmod(mode)
    found = only(look(root, keys))
    assert found.state == "bad"
    assert f"mode {mode:04o}" in found.message
    assert f"chmod 600 {keys.folder / name}" in found.remedy


@pytest.mark.parametrize(("name", "state"), [(SIGNING_NAME, "bad"), (IDENTITY_NAME, "warning")])
def test_a_missing_key_is_said(root: Path, keys: Keys, name: str, state: str) -> None:
    (keys.folder / name).unlink()
    found = only(look(root, keys))
    assert found.state == state
    assert "backup" in found.remedy


def test_a_missing_folder_of_keys_is_bad(root: Path, keys: Keys) -> None:
    shutil.rmtree(keys.folder)
    assert only(look(root, keys)).state == "bad"
    assert backup.look(keys, NOW) == []


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
def test_the_key_of_another_archive_is_bad(root: Path, keys: Keys, tmp_path: Path, name: str) -> None:
    shutil.copy2(other_keys(tmp_path) / name, keys.folder / name)
    found = only(look(root, keys))
    assert found.state == "bad"
    assert "tenuto.toml" in found.message
    assert "AGE-SECRET-KEY" not in found.message


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", b"AGE-SECRET-KEY-1NONE"], ids=repr)
def test_a_key_that_is_none_is_bad(root: Path, keys: Keys, name: str, content: bytes) -> None:
    (keys.folder / name).write_bytes(content)
    assert only(look(root, keys)).state == "bad"


def test_an_identity_of_any_of_several_recipients_is_well(root: Path, keys: Keys, tmp_path: Path) -> None:
    more = keys_look.identity_recipient(other_keys(tmp_path) / IDENTITY_NAME)
    assert only(look(root, replace(keys, age_recipients=(more, *keys.age_recipients)))).state == "ok"


@pytest.mark.parametrize("is_linked", [False, True])
def test_keys_inside_the_archive_are_bad(root: Path, keys: Keys, tmp_path: Path, is_linked: bool) -> None:
    shutil.move(keys.folder, root / "secret")
    place = root / "secret"
    if is_linked:
        place = tmp_path / "link"
        place.symlink_to(root / "secret")
    found = only(look(root, replace(keys, folder=place)))
    assert found.state == "bad"
    assert "inside the archive" in found.message


def test_a_folder_in_which_others_can_replace_the_keys_is_bad(root: Path, keys: Keys) -> None:
    keys.folder.chmod(0o777)
    assert only(look(root, keys)).remedy == f"chmod go-w {keys.folder}"


def test_keys_on_another_disk_have_no_note(root: Path, keys: Keys, elsewhere: Path) -> None:
    shutil.copytree(keys.folder, elsewhere, dirs_exist_ok=True)
    assert [one.state for one in keys_look.look(root, replace(keys, folder=elsewhere))] == ["ok"]


# --- their backup


def copied(keys: Keys, folder: Path) -> Path:
    return Path(shutil.copytree(keys.folder, folder, dirs_exist_ok=True))


def test_keys_that_were_never_backed_up_are_a_warning(keys: Keys) -> None:
    found = only(backup.look(keys, NOW))
    assert found.state == "warning"
    assert "--keys-backup" in found.remedy


def test_a_backup_that_is_the_same_is_noted_without_any_secret(keys: Keys, elsewhere: Path) -> None:
    assert only(backup.verify(keys, copied(keys, elsewhere), NOW)).state == "ok"
    note = keys.folder / backup.NOTE_NAME
    assert note.stat().st_mode & 0o777 == 0o600
    document = json.loads(note.read_bytes())
    assert document.pop("verified_at").startswith(f"{NOW:%Y-%m-%d}")
    assert document.pop("format") == "tenuto-keys-backup-1"
    assert document.pop("is_on_same_disk") is False
    assert set(document) == {"signing_public_sha256", "age_recipient_sha256"}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in document.values())
    found = only(backup.look(keys, NOW))
    assert found.state == "ok"
    assert f"{NOW:%Y-%m-%d}" in found.message


def test_a_backup_on_the_disk_of_the_keys_is_a_warning_now_and_later(keys: Keys, tmp_path: Path) -> None:
    for found in (only(backup.verify(keys, copied(keys, tmp_path / "copy"), NOW)), only(backup.look(keys, NOW))):
        assert found.state == "warning"
        assert "same disk" in found.message


def test_a_copy_on_the_disk_of_the_keys_does_not_replace_the_note_of_a_better_one(
    keys: Keys, tmp_path: Path, elsewhere: Path
) -> None:
    backup.verify(keys, copied(keys, elsewhere), NOW - timedelta(days=30))
    noted = (keys.folder / backup.NOTE_NAME).read_bytes()
    found = only(backup.verify(keys, copied(keys, tmp_path / "copy"), NOW))
    assert found.state == "warning"
    assert (keys.folder / backup.NOTE_NAME).read_bytes() == noted


def test_a_backup_that_is_a_year_old_is_a_warning(keys: Keys, elsewhere: Path) -> None:
    backup.verify(keys, copied(keys, elsewhere), NOW - timedelta(days=400))
    found = only(backup.look(keys, NOW))
    assert found.state == "warning"
    assert "400 days ago" in found.message


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
def test_a_backup_of_other_keys_is_bad_and_is_not_noted(keys: Keys, tmp_path: Path, name: str) -> None:
    copy = copied(keys, tmp_path / "copy")
    shutil.copy2(other_keys(tmp_path) / name, copy / name)
    found = only(backup.verify(keys, copy, NOW))
    assert found.state == "bad"
    assert f"{name} in it is another one" in found.message
    assert not (keys.folder / backup.NOTE_NAME).exists()


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
def test_a_backup_that_lacks_a_key_is_bad(keys: Keys, tmp_path: Path, name: str) -> None:
    copy = copied(keys, tmp_path / "copy")
    (copy / name).unlink()
    assert f"{name} is not in it" in only(backup.verify(keys, copy, NOW)).message


def test_the_keys_themselves_are_no_backup_nor_are_links_to_them(keys: Keys, tmp_path: Path) -> None:
    assert only(backup.verify(keys, keys.folder, NOW)).state == "bad"
    (tmp_path / "copy").mkdir()
    for name in (SIGNING_NAME, IDENTITY_NAME):
        os.link(keys.folder / name, tmp_path / "copy" / name)
    found = only(backup.verify(keys, tmp_path / "copy", NOW))
    assert found.state == "bad"
    assert "no copy" in found.message


def test_a_backup_that_others_can_read_is_a_warning(keys: Keys, elsewhere: Path) -> None:
    (copied(keys, elsewhere) / SIGNING_NAME).chmod(0o644)
    assert [one.state for one in backup.verify(keys, elsewhere, NOW)] == ["ok", "warning"]


@pytest.mark.parametrize("name", [SIGNING_NAME, IDENTITY_NAME])
def test_keys_that_changed_since_their_backup_are_a_warning(
    keys: Keys, tmp_path: Path, elsewhere: Path, name: str
) -> None:
    backup.verify(keys, copied(keys, elsewhere), NOW)
    shutil.copy2(other_keys(tmp_path) / name, keys.folder / name)
    found = only(backup.look(keys, NOW))
    assert found.state == "warning"
    assert name in found.message


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": "tenuto-keys-backup-2"}', b"\xff"], ids=repr)
def test_a_note_that_cannot_be_read_is_none(keys: Keys, content: bytes) -> None:
    (keys.folder / backup.NOTE_NAME).write_bytes(content)
    assert only(backup.look(keys, NOW)).state == "warning"


def test_there_is_nothing_to_compare_a_backup_with(keys: Keys, tmp_path: Path) -> None:
    copy = copied(keys, tmp_path / "copy")
    for name in (SIGNING_NAME, IDENTITY_NAME):
        (keys.folder / name).unlink()
    assert only(backup.verify(keys, copy, NOW)).state == "bad"

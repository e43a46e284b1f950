"""Dark crates: nothing of a recording stands in clear but where it must."""

import stat
import zipfile

import pyrage

from keep_maker import bands, contents, crates, keep, leftovers, put, rows, shelf
from tenuto.archive import load_settings
from tenuto.crates.dark import load_identity
from tenuto.crates.holdings import crate_files, holdings_of, read_holdings
from tenuto.crates.reader import CrateFile

TITLE, ARTIST = "Heimliches Wiegenlied", "Verschwiegene Kapelle"


def dark_shelf(folder, **settings):
    if not (folder / "music").exists():
        put(folder / "music/s3cret/one.flac", 1, 6.0, title=TITLE, artist=ARTIST, album="Geheim")
        put(folder / "music/s3cret/two.ogg", 2, title=f"{TITLE} II", artist=ARTIST, album="Geheim")
    return shelf(folder, permission=None, **settings)


def opened(layout):
    """Track id -> the recording, opened with the identity."""
    identity = load_identity(layout.operator_path(load_settings(layout.settings).keys.folder))
    return {one.row["track_id"]: pyrage.decrypt(one.content, [identity]) for one in rows(layout)}


def test_dark_recordings_open_with_the_identity_and_are_the_originals(tmp_path):
    layout = dark_shelf(tmp_path)
    keep(layout)
    assert opened(layout) == contents(tmp_path / "music")
    (path,) = crate_files(layout)
    assert path.parent == layout.dark


def test_nothing_of_a_dark_recording_stands_in_clear_after_it_is_sealed(tmp_path):
    layout = dark_shelf(tmp_path)
    keep(layout)
    found = {one.row["sha256"] for one in rows(layout)}
    bodies = [content[len(content) // 2 :][:200] for content in contents(tmp_path / "music").values()]
    words = [word.encode() for word in (TITLE, ARTIST, "s3cret", *found)] + bodies
    may_tell = {layout.holdings, layout.plans, layout.catalogue, layout.evidence, layout.parts}
    for path in (path for path in layout.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        told = [word for word in words if word in content]
        assert not told or may_tell & set(path.parents), (path, told)
        assert not any(part in content for part in bodies), path
        if layout.holdings in path.parents:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert leftovers(layout) == []


def test_dark_folders_are_the_owners_alone_also_where_they_were_open(tmp_path):
    layout = dark_shelf(tmp_path)
    layout.dark.mkdir(mode=0o755, exist_ok=True)
    layout.dark.chmod(0o755)
    layout.drafts.mkdir(parents=True)
    keep(layout)
    for folder in (layout.dark, layout.drafts, layout.holdings):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for file in layout.journals.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_draft_of_a_dark_crate_holds_age_files_alone_in_a_closed_folder(tmp_path):
    layout = dark_shelf(tmp_path)
    (layout.root / "dark").rmdir() if layout.dark.exists() else None
    layout.dark.touch()
    keep(layout, code=1)
    (draft,) = layout.drafts.iterdir()
    assert stat.S_IMODE(draft.stat().st_mode) == stat.S_IMODE(layout.drafts.stat().st_mode) == 0o700
    assert all(file.read_bytes().startswith(b"age-encryption.org/v1") for file in draft.glob("0*"))
    layout.dark.unlink()
    keep(layout)
    assert opened(layout) == contents(tmp_path / "music")


def test_names_within_a_dark_crate_say_nothing(tmp_path):
    layout = dark_shelf(tmp_path)
    keep(layout)
    (path,) = crate_files(layout)
    names = {name.partition("/")[2] for name in zipfile.ZipFile(path).namelist()}
    assert names == {"bagit.txt", "data/recordings/000001.age", "data/recordings/000002.age", "leaves.bin",
                     "data/tables/recordings.age", "data/tables/catalogue.age", "data/withdrawn.json", "data/check_crate.py",
                     "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}  # fmt: skip


def test_table_in_a_dark_crate_is_that_of_the_cache(tmp_path):
    layout = dark_shelf(tmp_path)
    keep(layout)
    settings = load_settings(layout.settings)
    (path,) = crate_files(layout)
    assert holdings_of(layout, settings, path).equals(read_holdings(CrateFile(path), layout, settings))


def test_derivative_in_a_dark_crate_is_opus(tmp_path):
    layout = dark_shelf(tmp_path, settings=bands("opus-32"))
    keep(layout)
    assert opened(layout)["s3cret/one.flac"][:4] == b"OggS"
    assert {one.row["tier"] for one in rows(layout)} == {"opus-32", "original"}


def test_dark_crates_made_twice_hold_the_same_recordings_and_tables(tmp_path):
    dark_shelf(tmp_path)
    told = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        layout = shelf(tmp_path / name, tmp_path / "music", permission=None)
        keep(layout)
        told.append(
            sorted((one.row["track_id"], one.row["sha256"], one.row["bytes"], one.crate) for one in rows(layout))
        )
        assert crates(layout)
    assert told[0] == told[1]

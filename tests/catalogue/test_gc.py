"""`catalogue gc` deletes what nothing needs, and never anything else; killed in between it leaves nothing half."""

import json
import os
import re
import shutil
from datetime import timedelta

import pytest

import evidence_maker as made
from support import make_archive
from tenuto.catalogue import gc
from tenuto.catalogue.edition import EDITION_NAME, open_edition
from tenuto.catalogue.editions import edition_names
from tenuto.catalogue.lookup import Catalogue
from tenuto.cli import _run


@pytest.fixture(scope="module")
def made_archive(tmp_path_factory):
    """An archive of five editions, each newer than the one before; the last two are built, the others copies."""
    layout = make_archive(tmp_path_factory.mktemp("gc"))
    for number in range(2):
        made.keep(
            layout,
            "shop",
            [made.album("r", [made.song("x", title=f"Title {number}")])],
            made.DAY + timedelta(days=number),
        )
        edition = made.edition_of(layout)
    for name in ("2026-01-01-00000000", "2026-01-02-00000000", "2026-01-03-00000000"):
        shutil.copytree(edition.folder, layout.edition(name))
        about = layout.edition(name) / EDITION_NAME
        said = about.read_text().replace(edition.info.edition, name)
        about.write_text(said.replace(edition.info.newest_evidence.isoformat(), name[:10]))
    return layout


@pytest.fixture
def archive(made_archive, tmp_path):
    """A copy of it, and its editions, oldest first."""
    shutil.copytree(made_archive.root, tmp_path / "archive")
    layout = type(made_archive)(tmp_path / "archive")
    return layout, edition_names(layout)


def _kept(layout, newest):
    return list(gc.sort_out(layout, newest).kept)


def test_newest_and_current_stay(archive):
    layout, names = archive
    assert _kept(layout, 2) == names[2:]
    assert _kept(layout, 0) == names[4:]
    (layout.catalogue / "current").write_text(f"{names[0]}\n")
    assert _kept(layout, 1) == [names[0], names[4]]
    assert _kept(layout, 0) == [names[0], names[4]]


@pytest.mark.parametrize("said", [None, "", "\0garbage\n", "2020-01-01-01234567\n", "damaged"])
def test_without_a_current_edition_nothing_is_deleted(archive, capsys, said):
    layout, names = archive
    current = layout.catalogue / "current"
    if said is None:
        current.unlink()
    elif said == "damaged":
        (layout.edition(names[4]) / EDITION_NAME).write_text("{")
    else:
        current.write_text(said)
    assert _run(["catalogue", "gc", "--keep", "0", "--archive", str(layout.root)]) == 2
    assert re.search(r"nothing is deleted.*build", capsys.readouterr().err, re.DOTALL)
    assert edition_names(layout) == names


def test_an_archive_without_editions_has_nothing_to_delete(tmp_path):
    assert gc.sort_out(make_archive(tmp_path), 0).rubbish == ()


def test_what_stays_is_the_same_in_a_copy_whatever_its_times_are(archive):
    layout, names = archive
    for age, name in enumerate(names):
        os.utime(layout.edition(name) / EDITION_NAME, (-age, -age))
    assert _kept(layout, 2) == names[2:]


def test_planned_and_published_editions_stay(archive):
    layout, names = archive
    layout.plan(f"{names[1]}-0123abcd").mkdir(parents=True)
    layout.publication.mkdir(exist_ok=True)
    (layout.publication / "index.json").write_text(json.dumps({"edition": names[0], "crates": []}))
    found = gc.sort_out(layout, 1)
    assert found.kept == {names[0]: "published", names[1]: f"plan {names[1]}-0123abcd is of it",
                          names[3]: "one of the newest 1", names[4]: "current"}  # fmt: skip
    assert [one.path.name for one in found.rubbish] == [names[2]]


def test_dry_run_deletes_nothing_and_says_what_gc_then_deletes(archive, capsys):
    layout, names = archive
    before = sorted(path for path in layout.root.rglob("*") if path.name != ".tenuto.lock")
    words = ["catalogue", "gc", "--keep", "1", "--archive", str(layout.root), "--json"]
    assert _run([*words, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert sorted(path for path in layout.root.rglob("*") if path.name != ".tenuto.lock") == before
    freed = sum(file.stat().st_size for name in names[:3] for file in layout.edition(name).iterdir())
    assert _run(words) == 0
    done = json.loads(capsys.readouterr().out)
    assert planned == {**done, "is_deleted": False}
    assert (done["bytes"], done["is_deleted"]) == (freed, True)
    assert edition_names(layout) == names[3:]
    assert not list(layout.catalogue.glob(".making-*"))
    assert _run(words) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == []


def test_caches_that_belong_to_nothing_go_and_others_stay(archive):
    layout, names = archive
    for name in (names[4], names[0]):
        with Catalogue.open(layout.edition(name)):
            pass
    layout.lookup(f"{names[0]}-01234567").mkdir(parents=True)
    (layout.parts / ("0" * 32)).mkdir()
    parts = {path for path in layout.parts.iterdir() if path.name != "0" * 32}
    assert len(parts) == 2
    gc.delete(layout, gc.sort_out(layout, 0))
    assert set(layout.parts.iterdir()) == parts
    assert not list(layout.lookup("x").parent.glob(f"{names[0]}*"))
    assert [path.name[:19] for path in layout.catalogue.glob("*.lookup")] == [names[4]]
    assert not made.built(layout).is_new


def test_killed_at_any_moment_leaves_whole_editions_alone_and_the_next_gc_ends_it(archive, monkeypatch):
    layout, names = archive
    rmtree = shutil.rmtree

    def die(path, ignore_errors=False):
        if ignore_errors:
            return rmtree(path, ignore_errors=True)
        next(path.glob("*.parquet")).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        gc.delete(layout, gc.sort_out(layout, 1))
    monkeypatch.undo()
    assert edition_names(layout) == names[1:]
    for name in names[1:]:
        open_edition(layout.edition(name))
    gc.delete(layout, gc.sort_out(layout, 1))
    assert sorted(path.name for path in layout.catalogue.iterdir()) == sorted([*names[3:], "current"])


def test_what_only_looks_like_an_edition_is_left_alone(archive, tmp_path):
    layout, names = archive
    (layout.catalogue / "notes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (layout.catalogue / "2020-01-01-01234567").symlink_to(tmp_path / "elsewhere")
    gc.delete(layout, gc.sort_out(layout, 0))
    assert {path.name for path in layout.catalogue.iterdir()} == {names[4], "current", "notes", "2020-01-01-01234567"}
    assert (tmp_path / "elsewhere").is_dir()


def test_fewer_than_none_are_not_kept(archive, capsys):
    layout, names = archive
    assert _run(["catalogue", "gc", "--keep", "-1", "--archive", str(layout.root)]) == 2
    assert "--keep is 0 or more" in capsys.readouterr().err
    assert edition_names(layout) == names

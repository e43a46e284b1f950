"""Evidence is read once: in parts, by this process or several, and again only where the file or the program is another."""

import os
import shutil
import sys
from datetime import timedelta

import duckdb
import pytest

import evidence_maker as made
from support import make_archive, tenuto
from tenuto.archive import Layout
from tenuto.catalogue import build, open_current, reading
from tenuto.catalogue.parts import read_part
from tenuto.evidence import all_harvests
from tenuto.model.errors import TenutoError
from tenuto.model.progress import Silent


@pytest.fixture
def layout(tmp_path):
    """Three harvests of two sources: five albums with odd texts, a problem, a list of listens."""
    layout = make_archive(tmp_path)
    songs = [made.song(f"t{n}", title=f" Ä\x00 {n}", albumId="r1", isrc=["DEAB12345678"], year="x") for n in range(40)]
    made.keep(
        layout,
        "shop",
        [made.search(songs[:30]), made.listens([("t1", 7, "2026")]), made.permission('licence = "CC0-1.0"')],
    )
    made.keep(layout, "shop", [made.search(songs[10:])], made.DAY + timedelta(days=1))
    made.keep(layout, "hand", [made.corrections(("shop", "track", "t12", "title", "By hand"))], kind="corrections")
    return layout


def _tables(edition):
    return {name: table.sha256 for name, table in edition.info.tables.items()}


def _parts(layout):
    return {path.name for path in layout.parts.iterdir()}


def _forget_editions(layout):
    shutil.rmtree(layout.catalogue)


def test_processes_read_what_one_reads(layout, monkeypatch):
    alone = made.edition_of(layout)
    shutil.rmtree(layout.parts)
    _forget_editions(layout)
    monkeypatch.setattr(reading, "_ALONE_BYTES", 0)
    monkeypatch.setattr(reading, "processors", lambda: 2)
    together = made.edition_of(layout)
    assert together.info.edition == alone.info.edition
    assert _tables(together) == _tables(alone)


def test_what_was_read_is_not_read_again(layout, monkeypatch):
    before = made.edition_of(layout)
    kept = _parts(layout)
    assert len(kept) == 3
    _forget_editions(layout)
    monkeypatch.setattr(reading, "read_part", lambda *_: pytest.fail("it was read already"))
    assert _tables(made.edition_of(layout)) == _tables(before)
    assert _parts(layout) == kept


def test_only_new_evidence_is_read(layout, monkeypatch):
    made.edition_of(layout)
    made.keep(layout, "shop", [made.search([made.song("new")])], made.DAY + timedelta(days=5))
    read = []
    monkeypatch.setattr(reading, "read_part", lambda task, advance: read.append(task.file) or read_part(task, advance))
    made.edition_of(layout)
    assert len(read) == 1
    assert len(_parts(layout)) == 4


def test_evidence_that_was_damaged_since_is_read_again_and_found(layout):
    assert "evidence-damaged" not in made.edition_of(layout).info.findings
    path = min((layout.evidence / "shop").rglob("*.warc.gz"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert made.edition_of(layout).info.findings["evidence-damaged"] > 0
    path.unlink()
    assert made.edition_of(layout).info.findings["evidence-damaged"] > 0


def test_part_that_a_kill_left_half_is_read_again(layout):
    before = made.edition_of(layout)
    for number, part in enumerate(sorted(layout.parts.iterdir())):
        if number == 0:
            (part / "part.json").unlink()
            shutil.copytree(part, layout.parts / ".making-0123")
        if number == 1:
            shutil.rmtree(part)
    _forget_editions(layout)
    assert _tables(made.edition_of(layout)) == _tables(before)
    assert not (layout.parts / ".making-0123").exists()


@pytest.mark.parametrize("spoil", [lambda content: content[:-7], lambda content: content[:200] + b"x" + content[201:]])
def test_part_that_is_not_as_it_was_written_is_read_again(layout, spoil):
    before = made.edition_of(layout)
    for part in layout.parts.iterdir():
        for table in part.glob("*.parquet"):
            table.write_bytes(spoil(table.read_bytes()))
    _forget_editions(layout)
    assert _tables(made.edition_of(layout)) == _tables(before)


def test_bits_that_rot_and_come_back_without_a_trace_in_size_and_time_are_seen(layout):
    before = made.edition_of(layout)
    path = min((layout.evidence / "shop").rglob("*.warc.gz"))
    whole, about = path.read_bytes(), path.stat()
    for content, is_damaged in ((whole[:300] + bytes([whole[300] ^ 1]) + whole[301:], True), (whole, False)):
        path.write_bytes(content)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        built = made.edition_of(layout)
        assert ("evidence-damaged" in built.info.findings) == is_damaged
    assert built.info.edition == before.info.edition


@pytest.mark.parametrize("name", ["source=foo", "record=3", "title=Hacked", "a 'quoted' [name] *?"])
def test_an_archive_may_lie_at_any_path(layout, tmp_path, name):
    before = made.edition_of(layout)
    moved = Layout(tmp_path / name / "archive")
    shutil.copytree(layout.root, moved.root)
    shutil.rmtree(moved.catalogue)
    after = made.edition_of(moved)
    assert _tables(after) == _tables(before)
    with duckdb.connect() as con:
        found = con.execute(f"SELECT DISTINCT source FROM {after.rows('track')}").fetchall()
    assert found == [("shop",)]


def test_parts_of_evidence_that_is_gone_go_too(layout):
    made.edition_of(layout)
    shutil.rmtree(layout.evidence / "hand")
    made.edition_of(layout)
    assert len(_parts(layout)) == 2


def test_process_that_dies_is_named_and_what_was_read_is_kept(layout, monkeypatch, tmp_path):
    tasks = reading.read_all(layout.evidence, all_harvests(layout.evidence), layout.parts, Silent())
    assert sum(len(files) for found in tasks.values() for files in found) == 3
    for part in sorted(layout.parts.iterdir())[1:]:
        shutil.rmtree(part)
    (dies := tmp_path / "dies").write_text("#!/bin/sh\nread line\nkill -9 $$\n")
    dies.chmod(0o755)
    monkeypatch.setattr(reading, "_ALONE_BYTES", 0)
    monkeypatch.setattr(reading, "processors", lambda: 2)
    monkeypatch.setattr(sys, "executable", str(dies))
    with pytest.raises(TenutoError, match=r"warc\.gz ended with signal 9; what was read"):
        build.build(layout, Silent())
    monkeypatch.undo()
    assert len(_parts(layout)) == 1
    assert made.edition_of(layout).info.tables["track"].rows == 30


def test_build_within_little_memory_gives_the_same_bytes(layout, tmp_path):
    before = made.edition_of(layout)
    _forget_editions(layout)
    (tmp_path / "temp").mkdir()
    tenuto("catalogue", "build", "--memory", "2GB", "--temp", tmp_path / "temp", "--archive", layout.root)
    assert _tables(open_current(layout)) == _tables(before)
    assert list((tmp_path / "temp").iterdir()) == []


@pytest.mark.parametrize(("words", "said"), [
    (("--memory", "1GB"), "too little"), (("--memory", "much"), "--memory"), (("--temp", "nowhere"), "is no folder")])  # fmt: skip
def test_limits_that_cannot_be_are_said(layout, words, said):
    assert said in tenuto("catalogue", "build", *words, "--archive", layout.root, code=2).stderr

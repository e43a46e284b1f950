"""Looking things up: every key of a table finds its rows and no others, wherever the files of the tables are cut."""

import errno
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pyarrow as pa
import pytest

import evidence_maker as evidence
from support import make_archive
from tenuto.catalogue import keys as keys_module
from tenuto.catalogue import lookup as lookup_module
from tenuto.catalogue import runs, writing
from tenuto.catalogue import shelf as shelf_module
from tenuto.catalogue.edition import open_current
from tenuto.catalogue.keys import Keys, KeysWriter
from tenuto.catalogue.lookup import Catalogue
from tenuto.catalogue.runs import Credits
from tenuto.catalogue.search import build as build_module
from tenuto.catalogue.search import parts
from tenuto.catalogue.shelf import Shelf, ShelfWriter, blocks_of
from tenuto.catalogue.writing import make_current, write_edition
from tenuto.model.errors import IntegrityError, TenutoError, UsageError
from tenuto.model.tables import TABLES

MBID = "0a1b2c3d-0000-4000-8000-{:012d}"
TRACKS, RELEASES, ARTISTS = 500, 120, 40
ABOUT = {
    "evidence_sha256": "0" * 64,
    "newest_evidence": date(2026, 1, 1),
    "sources": {},
    "licences": {},
    "findings": {},
}


def _table(name, rows):
    full = [{column: row.get(column) for column in TABLES[name].names} for row in rows]
    return pa.Table.from_pylist(full, TABLES[name])


def _readers(rows):
    return {name: _table(name, rows.get(name, [])).to_reader for name in TABLES}


def _tables():
    """Tracks of which every tenth has no release and every fourth no ISRC; ISRCs and ids are shared here and there."""
    artists = [{"artist_row": n, "source": "shop", "artist_id": f"a{n}", "name": f"Artist {n}" if n % 9 else None}
               for n in range(ARTISTS)]  # fmt: skip
    releases = [{"release_row": n, "source": "shop", "release_id": f"r{n}", "title": f"Release {n}",
                 "upc": f"{40_000_000 + n // 2:08d}",
                 "release_date": date(1950 + n % 70, 1, 1), "release_date_precision": "year",
                 "release_id_musicbrainz": MBID.format(n)} for n in range(RELEASES)]  # fmt: skip
    with_release = [n for n in range(TRACKS) if n % 10]
    place = {n: i * RELEASES // len(with_release) for i, n in enumerate(with_release)}
    order = sorted(range(TRACKS), key=lambda n: (place.get(n, RELEASES), n))
    tracks, credited = [], []
    for row, n in enumerate(order):
        isrc = f"DEAB1{n // 3:07d}" if n % 4 else None
        tracks.append({"track_row": row, "source": "shop", "track_id": f"t-ü{n}", "title": f"Title {n}",
                       "release_row": place.get(n), "isrc": isrc, "recording_id_musicbrainz": MBID.format(1000 + n),
                       "licence": "CC0-1.0"})  # fmt: skip
        credited += [
            {"track_row": row, "position": p + 1, "artist_row": (n + p) % ARTISTS, "role": "artist"}
            for p in range(n % 5)
        ]
    return {"artist": artists, "release": releases, "track": tracks, "credit": credited}


@pytest.fixture(params=[(32_768, 2**22), (8, 32), (16, 16)], ids=["one file", "files of 32", "files of 16"])
def made(request, tmp_path, monkeypatch):
    for name, value in zip(("GROUP_ROWS", "FILE_ROWS"), request.param, strict=True):
        monkeypatch.setattr(writing, name, value)
    layout, rows = make_archive(tmp_path), _tables()
    make_current(layout, write_edition(layout, "2026-01-01-0a1b2c3d", _readers(rows), ABOUT))
    return layout, rows


@pytest.fixture
def one(tmp_path):
    layout = make_archive(tmp_path / "one")
    make_current(layout, write_edition(layout, "2026-01-01-0a1b2c3d", _readers(_tables()), ABOUT))
    return layout


def test_every_key_finds_its_tracks_and_no_others(made):
    layout, rows = made
    tracks = rows["track"]
    with Catalogue.open(layout.root) as catalogue:
        for track in tracks:
            assert [song.track_row for song in catalogue.by_id(track["track_id"])] == [track["track_row"]]
            found = catalogue.by_mbid(track["recording_id_musicbrainz"].upper())
            assert [song.title for song in found] == [track["title"]]
        for isrc in {track["isrc"] for track in tracks} - {None}:
            due = [track["track_row"] for track in tracks if track["isrc"] == isrc]
            assert [
                song.track_row for song in catalogue.by_isrc(f"{isrc[:2]}-{isrc[2:5]}-{isrc[5:7]}-{isrc[7:]}")
            ] == due
        for release in rows["release"]:
            here = [track["track_row"] for track in tracks if track["release_row"] == release["release_row"]]
            assert [song.track_row for song in catalogue.by_id(release["release_id"])] == here
            both = {one["release_row"] for one in rows["release"] if one["upc"] == release["upc"]}
            due = [track["track_row"] for track in tracks if track["release_row"] in both]
            assert [song.track_row for song in catalogue.by_upc(release["upc"])] == due
        for nothing in ("t-ü", "", "t-ü500", "T-Ü1", "\0", "x" * 1_000_000):
            assert catalogue.by_id(nothing) == []
        assert catalogue.by_isrc("XXXXX9999999") == []


def test_songs_have_the_names_of_what_they_refer_to(made):
    layout, rows = made
    with Catalogue.open(layout.root) as catalogue:
        for track in rows["track"]:
            song = catalogue.song(track["track_row"])
            own = [one for one in rows["credit"] if one["track_row"] == track["track_row"]]
            names = [rows["artist"][one["artist_row"]]["name"] or f"a{one['artist_row']}" for one in own]
            assert song.artists == tuple(names)
            assert song.release == (None if track["release_row"] is None else f"Release {track['release_row']}")
            assert (song.licence, song.upc is None) == ("CC0-1.0", track["release_row"] is None)
        for nowhere in (-1, TRACKS):
            with pytest.raises(IndexError, match="there is no row"):
                catalogue.song(nowhere)


def test_artists_of_a_track_over_many_row_groups_are_all_found(made):
    layout, rows = made
    counts = {3: 1, 7: 90, 8: 2, 400: 33}
    rows["credit"] = [
        {"track_row": row, "position": p + 1, "artist_row": p % ARTISTS}
        for row, count in counts.items()
        for p in range(count)
    ]
    edition = write_edition(layout, "2026-01-01-00000000", _readers(rows), ABOUT)
    with Catalogue.open(edition.folder) as catalogue:
        for row in (0, 3, 5, 7, 8, 399, 400, 499):
            names = [rows["artist"][p % ARTISTS]["name"] or f"a{p % ARTISTS}" for p in range(counts.get(row, 0))]
            assert catalogue.song(row).artists == tuple(names)


def test_credits_from_any_track_on_are_those_of_the_tracks(made):
    layout, rows = made
    edition = open_current(layout)
    for first, step in ((0, 7), (13, 100), (255, 1), (490, 50)):
        credited = Credits(edition, first)
        for begin in range(first, TRACKS, step):
            end = min(TRACKS, begin + step)
            offsets, artists = credited.of(range(begin, end))
            for n in range(begin, end):
                due = [one["artist_row"] for one in rows["credit"] if one["track_row"] == n]
                assert artists[offsets[n - begin] : offsets[n - begin + 1]].tolist() == due
            if begin - first > 20 * step:
                break


def test_batches_are_the_rows_whatever_the_files_are(made, monkeypatch):
    layout, rows = made
    monkeypatch.setattr(runs, "BATCH_ROWS", 32)
    edition = open_current(layout)
    titles = [track["title"] for track in rows["track"]]
    for span in (None, range(500), range(0), range(31, 33), range(7, 450), range(480, 500), range(490, 900)):
        found = list(runs.batches(edition, "track", ("title",), span))
        due = titles if span is None else titles[span.start : span.stop]
        assert [title for batch in found for title in batch.column(0).to_pylist()] == due
        assert {batch.num_rows for batch in found[:-1]} <= {32}


@pytest.mark.parametrize(("ask", "word"), [("by_isrc", "DE-AB"), ("by_upc", "12"), ("by_mbid", "0a1b")])
def test_what_is_no_key_is_said(made, ask, word):
    with Catalogue.open(made[0].root) as catalogue, pytest.raises(UsageError, match=word):
        getattr(catalogue, ask)(word)


def test_index_is_made_again_where_it_is_gone_and_beside_an_edition_without_an_archive(made, tmp_path):
    layout, _ = made
    folder = layout.edition("2026-01-01-0a1b2c3d")
    with Catalogue.open(folder) as catalogue:
        assert len(catalogue.by_id("t-ü7")) == 1
    assert len(list(layout.catalogue.glob(f"{folder.name}-*.lookup"))) == 1
    with pytest.raises(UsageError, match="neither an archive nor an edition"):
        Catalogue.open(tmp_path)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 3000])
def test_keys_of_any_count_and_length(tmp_path, monkeypatch, count):
    monkeypatch.setattr(keys_module, "_SORTED_ROWS", 1000)  # entries wait in parts
    texts = [f"{n % 600}" + "é" * (n % 7) * 30 if n % 11 else None for n in range(count)]
    with KeysWriter(tmp_path / "keys", count) as writer:
        for begin in range(0, count, 64):
            writer.add(writer.entries_of(pa.array(texts, pa.string()).slice(begin, 64), begin))
        writer.add(writer.entries_of(pa.array(["last", None]), 4_000_000_000))
    keys = Keys(tmp_path / "keys")
    for key in sorted(set(texts) - {None}):
        assert keys.rows(key) == [row for row in range(count) if texts[row] == key]
    assert keys.rows("last") == [4_000_000_000]
    for nothing in ("none", "", "\ud800", "\0", "0" * 1_000_000):
        assert keys.rows(nothing) == []
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_no_byte_of_an_index_can_be_changed_unseen(tmp_path):
    texts = [f"key {n}" for n in range(3_000)]
    with KeysWriter(tmp_path / "keys", 3_000) as writer:
        writer.add(writer.entries_of(pa.array(texts), 0))
    with ShelfWriter(tmp_path / "shelf") as writer:
        writer.add(blocks_of([pa.array(texts), pa.array(range(3_000))]), 3_000)
    chance = random.Random(7)
    for path, read in (
        (tmp_path / "keys", lambda path: [Keys(path).rows(text) for text in texts[::50]]),
        (tmp_path / "shelf", lambda path: [Shelf(path, ("text", "number")).row(n) for n in range(0, 3_000, 50)]),
    ):
        content, due = path.read_bytes(), read(path)
        places = [0, len(content) - 1, len(content) - 12, *(chance.randrange(len(content)) for _ in range(60))]
        seen = 0
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            try:
                assert read(path) == due
            except IntegrityError:
                seen += 1
        assert seen > 20
        for cut in (content[:-1], content[:20], b"", b"x" + content, content + b"\0", content[: len(content) // 2]):
            path.write_bytes(cut)
            with pytest.raises(IntegrityError, match="delete the folder"):
                read(path)
        path.unlink()
        with pytest.raises(IntegrityError, match="missing"):
            read(path)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 600])
def test_a_shelf_gives_each_row_as_it_was_put_there(tmp_path, count):
    texts = [("", None, "né\n\t", "x" * 70_000, "a\x1db\x1ec\x1fd", "\x1e")[n % 6] for n in range(count)]
    with ShelfWriter(tmp_path / "shelf") as writer:
        for begin in range(0, count, 256):
            columns = [pa.array(texts, pa.string()), pa.array(range(count), pa.uint32())]
            writer.add(blocks_of([column.slice(begin, 256) for column in columns]), min(256, count - begin))
    shelf = Shelf(tmp_path / "shelf", ("text", "number"))
    clean = str.maketrans(dict.fromkeys("\x1d\x1e\x1f", " "))
    for n, text in enumerate(texts):
        assert shelf.row(n) == {"text": text if text is None else text.translate(clean), "number": str(n)}
    for nowhere in (-1, count):
        with pytest.raises(IndexError):
            shelf.row(nowhere)


def _lookup_folder(layout):
    (folder,) = layout.lookup("x").parent.iterdir()
    return folder


def test_an_index_that_is_cut_is_made_again(one):
    with Catalogue.open(one.root) as catalogue:
        assert catalogue.search("title 7")
    folder = _lookup_folder(one)
    for name in ("track.shelf", "track.isrc.keys", "text/search.json", "text/rest/meta.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with Catalogue.open(one.root) as catalogue:
            assert len(catalogue.by_id("t-ü7")) == 1
            assert catalogue.search("title 7")[0].title == "Title 7"
        assert _lookup_folder(one) == folder
    (folder / "track.shelf").unlink()
    with Catalogue.open(one.root) as catalogue:
        assert len(catalogue.by_id("t-ü7")) == 1


def test_where_nothing_can_be_written_it_is_said_and_another_folder_does(one, tmp_path, monkeypatch):
    def refused(folder):
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    with monkeypatch.context() as patched:
        patched.setattr(lookup_module, "make_folder", refused)
        with pytest.raises(UsageError, match="tenuto find --index FOLDER"):
            Catalogue.open(one.root)
    assert not one.lookup("x").parent.exists()
    for _ in range(2):
        with Catalogue.open(one.root, index=tmp_path / "elsewhere") as catalogue:
            assert len(catalogue.by_id("t-ü7")) == 1
            assert catalogue.search("title 7")
    assert not one.lookup("x").parent.exists()


def test_two_who_make_an_index_at_once_both_have_it(one):
    def ask(_):
        with Catalogue.open(one.root) as catalogue:
            return [song.title for song in catalogue.search("title 7", 1)], len(catalogue.by_id("t-ü7"))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [(["Title 7"], 1)] * 4
    assert [path.name for path in _lookup_folder(one).parent.iterdir()] == [_lookup_folder(one).name]


def test_a_full_disk_leaves_no_index(one, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name in ((shelf_module, "seal"), (build_module, "join_parts")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, full)
            with pytest.raises(OSError, match="No space left"), Catalogue.open(one.root) as catalogue:
                catalogue.search("title")
        assert not [path for path in one.lookup("x").parent.rglob("*") if path.name.startswith(".making-")]
    with Catalogue.open(one.root) as catalogue:
        assert catalogue.search("title 7")


@pytest.mark.long
def test_text_index_by_several_processes_is_that_of_one(one, monkeypatch):
    asked = ("title 7", "release 33", "artist 12", "titel 13", "title", "titl")
    with Catalogue.open(one.root) as catalogue:
        alone = [catalogue.search(text, 50) for text in asked]
    shutil.rmtree(_lookup_folder(one) / "text")
    monkeypatch.setattr(parts, "_ALONE_TRACKS", 0)
    monkeypatch.setattr(parts, "BATCH_ROWS", 100)
    monkeypatch.setattr(parts, "processors", lambda: 3)
    with Catalogue.open(one.root) as catalogue:
        assert [catalogue.search(text, 50) for text in asked] == alone
    assert alone[0][0].title == "Title 7"
    assert any(song.release == "Release 33" for song in alone[1])


def test_a_worker_that_dies_is_said_and_leaves_no_index(one, monkeypatch):
    monkeypatch.setattr(parts, "_ALONE_TRACKS", 0)
    monkeypatch.setattr(parts.sys, "executable", shutil.which("false"))
    with Catalogue.open(one.root) as catalogue:
        with pytest.raises(TenutoError, match="exit code 1; nothing is lost"):
            catalogue.search("title")
        assert len(catalogue.by_id("t-ü7")) == 1
    assert sorted(path.name for path in _lookup_folder(one).parent.iterdir()) == [_lookup_folder(one).name]
    assert not list(_lookup_folder(one).glob("*text*"))


@pytest.mark.long
def test_what_a_killed_maker_left_goes_and_what_a_live_one_makes_stays(one):
    with Catalogue.open(one.root):
        folder = _lookup_folder(one)
    script = """
import sys, pathlib, time
from tenuto.catalogue import lookup
with lookup._made_once(pathlib.Path(sys.argv[1])) as beside:
    (beside / "half").touch()
    print(flush=True)
    time.sleep(60)
"""
    words = [sys.executable, "-c", script, str(folder / "text")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as run:
        run.stdout.readline()
        with Catalogue.open(one.root) as catalogue:
            assert catalogue.search("title 7")[0].title == "Title 7"
        shutil.rmtree(folder / "text")
        assert len(list(folder.glob(".making-text-*/half"))) == 1
        run.kill()
    with Catalogue.open(one.root) as catalogue:
        assert catalogue.search("title 7")[0].title == "Title 7"
    assert not list(folder.glob(".making-*"))


def test_no_index_is_made_of_a_damaged_edition_and_none_outlives_its_mending(tmp_path):
    layout = make_archive(tmp_path)
    evidence.keep(layout, "shop", [evidence.search([evidence.song(f"t{n}", title=f"Song {n}") for n in range(50)])])
    edition = evidence.edition_of(layout)
    (file,) = edition.files("track")
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 3] ^= 4
    whole = file.read_bytes()
    file.write_bytes(damaged)
    with pytest.raises(IntegrityError, match="catalogue build"):
        Catalogue.open(layout.root)
    file.write_bytes(whole)
    with Catalogue.open(layout.root) as catalogue:
        assert [song.title for song in catalogue.by_id("t7")] == ["Song 7"]
    (index,) = (layout.state / "lookup").iterdir()
    file.write_bytes(damaged)
    assert evidence.built(layout).damage
    assert not index.exists()


@pytest.mark.parametrize("typed", ["012345678905", "0012345678905", "12345678905", "00012345678905"])
def test_a_upc_and_the_same_number_as_an_ean_find_the_same_release(tmp_path, typed):
    release = {"release_row": 0, "source": "shop", "release_id": "r", "upc": "012345678905"}
    track = {"track_row": 0, "source": "shop", "track_id": "t", "title": "Song", "release_row": 0}
    readers = _readers({"release": [release], "track": [track]})
    edition = write_edition(make_archive(tmp_path), "2026-01-01-0a1b2c3d", readers, ABOUT)
    with Catalogue.open(edition.folder) as catalogue:
        assert [song.title for song in catalogue.by_upc(typed)] == ["Song"]

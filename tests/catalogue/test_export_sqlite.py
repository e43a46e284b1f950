"""An exported SQLite file: every row and value of the edition, the queries that people type, and those of programs there are."""

import hashlib
import json
import sqlite3
import subprocess
from contextlib import closing

import pytest

from export_maker import HOSTILE, MANY, TRACKS, make_edition, rows
from support import make_archive, need_program
from tenuto.catalogue import writing
from tenuto.catalogue.export import sqlite as sqlite_module
from tenuto.catalogue.export import write_sqlite
from tenuto.model.progress import Silent
from tenuto.model.tables import TABLES

ROWS = rows()


@pytest.fixture(scope="module", params=[(32_768, 2**22), (8, 16)], ids=["one file", "files of 16"])
def made(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        for name, value in zip(("GROUP_ROWS", "FILE_ROWS"), request.param, strict=True):
            patched.setattr(writing, name, value)
        edition = make_edition(make_archive(tmp_path_factory.mktemp("made")), ROWS)
    file = edition.folder.parent / "out.db"
    write_sqlite(edition, file, Silent())
    return edition, file


@pytest.fixture
def db(made):
    with closing(sqlite3.connect(f"{made[1].as_uri()}?mode=ro", uri=True)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


@pytest.fixture(scope="module")
def unmeasured(made, tmp_path_factory):
    """The file as if it were large: of four rows a scan is as good as an index, and ANALYZE has seen that."""
    copy = tmp_path_factory.mktemp("copy") / "copy.db"
    copy.write_bytes(made[1].read_bytes())
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("DELETE FROM sqlite_stat1")
    with closing(sqlite3.connect(copy)) as db:
        yield db


def _next(row):
    return None if row is None else row + 1


def _digits(number):
    return number if number is None or number < 2**63 else str(number).encode()


def _list(values):
    return None if values is None else json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _day(row):
    length = {"year": 4, "month": 7, "day": 10, None: 0}[row["release_date_precision"]]
    return row["release_date"] and row["release_date"].isoformat()[:length]


def _same(db, table, due):
    """Every row of a table, but the columns that no source says, is what is due, in the edition's order."""
    empty = {"fetched_at", "preview_url", "available_markets_rowid", "external_id_amgid"}
    found = [{name: value for name, value in dict(row).items() if name not in empty}
             for row in db.execute(f"SELECT * FROM {table}")]  # fmt: skip
    assert found == due


def _row(row, less=(), renamed=(), **more):
    """A row of the edition as SQLite has it: columns left out, renamed, replaced; dates and evidence ids as text."""
    names, texts = dict(renamed), ("valid_until", "listens_on", "first_seen_on", "last_seen_on", "evidence_id")
    kept = {names.get(name, name): value for name, value in row.items() if name not in less}
    for name in texts:
        if kept.get(name) is not None:
            kept[name] = str(kept[name])
    return {**kept, **more}


def test_tracks_are_those_of_the_edition(db):
    less = ("track_row", "release_row", "cluster_row", "is_explicit", "statement_rows")
    renamed = {"track_id": "id", "title": "name", "isrc": "external_id_isrc"}
    due = [
        _row(row, less, renamed, rowid=row["track_row"] + 1, album_rowid=_next(row["release_row"]),
             cluster_rowid=_next(row["cluster_row"]), explicit=row["is_explicit"],
             listens_count=_digits(row["listens_count"]), genres=_list(row["genres"]), languages=_list(row["languages"]),
             statement_rowids=_list([one + 1 for one in row["statement_rows"]]))
        for row in ROWS["track"]
    ]  # fmt: skip
    _same(db, "tracks", due)
    assert len(due) == TRACKS


def test_artists_are_those_of_the_edition(db):
    renamed = {"artist_id": "id", "releases_count": "releases_total"}
    due = [
        _row(row, ("artist_row", "genres", "followers_count"), renamed, rowid=row["artist_row"] + 1,
             followers_total=_digits(row["followers_count"]))
        for row in ROWS["artist"]
    ]  # fmt: skip
    _same(db, "artists", due)
    genres = [(row["artist_row"] + 1, genre) for row in ROWS["artist"] for genre in row["genres"] or ()]
    assert [tuple(row) for row in db.execute("SELECT artist_rowid, genre FROM artist_genres ORDER BY rowid")] == genres


def test_albums_are_those_of_the_edition_with_dates_as_far_as_they_are_known(db):
    renamed = {"release_id": "id", "title": "name", "release_type": "album_type", "upc": "external_id_upc",
               "tracks_count": "total_tracks"}  # fmt: skip
    due = [
        _row(row, ("release_row", "artist_rows"), renamed, rowid=row["release_row"] + 1, release_date=_day(row),
             genres=_list(row["genres"]))
        for row in ROWS["release"]
    ]  # fmt: skip
    _same(db, "albums", due)
    assert {row[0] for row in db.execute("SELECT release_date FROM albums")} == {"1969", "1969-09", "1969-09-26", None}
    pairs = [(artist + 1, row["release_row"] + 1, place, 0, 0) for row in ROWS["release"]
             for place, artist in enumerate(row["artist_rows"] or ())]  # fmt: skip
    asked = "artist_rowid, album_rowid, index_in_album, is_appears_on, is_implicit_appears_on"
    assert [tuple(row) for row in db.execute(f"SELECT {asked} FROM artist_albums ORDER BY rowid")] == pairs


def test_credits_statements_and_tombstones_are_those_of_the_edition(db):
    less = ("track_row", "artist_row", "statement_row")
    credited = [_row(row, less, track_rowid=row["track_row"] + 1, artist_rowid=row["artist_row"] + 1)
                for row in ROWS["credit"]]  # fmt: skip
    _same(db, "track_artists", credited)
    stated = [_row(row, less, rowid=row["statement_row"] + 1, territories=_list(row["territories"]))
              for row in ROWS["statement"]]  # fmt: skip
    _same(db, "statements", stated)
    markets = [{"rowid": 1, "available_markets": "DE,FR"}, {"rowid": 2, "available_markets": ""}]
    assert [dict(row) for row in db.execute("SELECT * FROM available_markets")] == markets
    there = [(row["track_row"] + 1, row["market_set_row"] + 1) for row in ROWS["availability"]]
    assert [tuple(row) for row in db.execute("SELECT * FROM track_availability")] == there
    _same(db, "tombstones", [_row(row, renamed={"own_id": "id", "title": "name"}) for row in ROWS["tombstone"]])


def test_a_count_beyond_what_sqlite_holds_keeps_its_digits(db):
    ((kind, digits),) = db.execute(
        "SELECT typeof(listens_count), CAST(listens_count AS TEXT) FROM tracks WHERE id = 't7'"
    )
    assert (kind, digits) == ("blob", str(MANY))


def test_what_people_type_is_answered(db):
    artist, track = ROWS["artist"][0], next(row for row in ROWS["track"] if row["title"] == "Émilie Ångström")
    in_order = db.execute(
        "SELECT t.id FROM artists a JOIN track_artists ta ON ta.artist_rowid = a.rowid JOIN tracks t ON t.rowid = ta.track_rowid"
        " WHERE a.name = 'gustave moreau' ORDER BY t.album_rowid, t.disc_number, t.track_number")  # fmt: skip
    mine = {row["track_row"] for row in ROWS["credit"] if row["artist_row"] == artist["artist_row"]}
    due = sorted((row for row in ROWS["track"] if row["track_row"] in mine),
                 key=lambda row: (-1 if row["release_row"] is None else row["release_row"], row["track_number"]))  # fmt: skip
    assert [row[0] for row in in_order] == [row["track_id"] for row in due]
    for words in ("emilie angstrom", "EMILIE ÅNGSTRÖM", "ång*", '"emilie angstrom"'):
        found = db.execute(
            "SELECT rowid, name FROM tracks_fts WHERE tracks_fts MATCH ? ORDER BY rank", (words,)
        ).fetchall()
        assert [tuple(row) for row in found] == [(track["track_row"] + 1, track["title"])]
    cafe = db.execute("SELECT count(*) FROM tracks_fts WHERE tracks_fts MATCH 'name:cafe artists:moreau'").fetchone()[0]
    assert cafe == sum(row["track_row"] in mine and "Café" in (row["title"] or "") for row in ROWS["track"]) > 0
    assert db.execute("SELECT name FROM artists_fts WHERE artists_fts MATCH 'moreau'").fetchone()[0] == "Gustave Moreau"
    assert db.execute("SELECT rowid FROM albums_fts WHERE albums_fts MATCH 'trailed'").fetchall()
    pairs = db.execute("SELECT count(*) FROM tracks a JOIN tracks b USING (external_id_isrc) WHERE a.rowid < b.rowid")
    codes = [row["isrc"] for row in ROWS["track"] if row["isrc"]]
    assert pairs.fetchone()[0] == sum(codes.count(code) * (codes.count(code) - 1) // 2 for code in set(codes)) > 0


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM tracks WHERE id = 'x'", "tracks_id"),
        ("SELECT * FROM tracks WHERE external_id_isrc = 'x'", "tracks_isrc"),
        ("SELECT * FROM tracks WHERE name = 'x'", "tracks_name"),
        ("SELECT * FROM tracks WHERE name LIKE 'x%'", "tracks_name"),
        ("SELECT * FROM tracks WHERE album_rowid = 3", "tracks_album"),
        ("SELECT * FROM albums WHERE id = 'x'", "albums_id"),
        ("SELECT * FROM albums WHERE external_id_upc = 'x'", "albums_upc"),
        ("SELECT * FROM albums WHERE name = 'x'", "albums_name"),
        ("SELECT * FROM artists WHERE id = 'x'", "artists_id"),
        ("SELECT * FROM artists WHERE name = 'x'", "artists_name"),
        ("SELECT * FROM track_artists WHERE artist_rowid = 3", "track_artists_artist"),
        ("SELECT * FROM track_artists WHERE track_rowid = 3", "PRIMARY KEY"),
        ("SELECT * FROM artist_albums WHERE album_rowid = 3", "artist_albums_album"),
        ("SELECT * FROM artist_genres WHERE genre = 'rock'", "artist_genres_genre"),
    ],
)
def test_a_lookup_goes_by_an_index(unmeasured, query, index):
    plan = " ".join(row[3] for row in unmeasured.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "SEARCH" in plan
    assert index in plan


PROGRAMS = """
SELECT rowid, id, fetched_at, name, followers_total, popularity FROM artists;
SELECT rowid, id, fetched_at, name, album_type, available_markets_rowid, external_id_upc, copyright_c, copyright_p, label,
  popularity, release_date, release_date_precision, total_tracks, external_id_amgid FROM albums;
SELECT rowid, id, fetched_at, name, preview_url, album_rowid, track_number, external_id_isrc, popularity, available_markets_rowid,
  disc_number, duration_ms, explicit FROM tracks;
SELECT * FROM artist_albums WHERE album_rowid = 1 AND is_implicit_appears_on = 0 LIMIT 1;
SELECT t.name, a.name AS album, group_concat(ar.name, ', ') FROM tracks t JOIN albums a ON t.album_rowid = a.rowid
  LEFT JOIN track_artists ta ON ta.track_rowid = t.rowid LEFT JOIN artists ar ON ta.artist_rowid = ar.rowid
  WHERE t.name LIKE '%Song%' GROUP BY t.id ORDER BY t.popularity DESC LIMIT 20;
SELECT ag.genre, count(*) FROM artist_genres ag JOIN track_artists ta USING (artist_rowid) GROUP BY ag.genre
"""
"""As programs for copies of streaming catalogues ask."""


@pytest.mark.parametrize("query", PROGRAMS.split(";"))
def test_queries_of_programs_for_such_files_run_as_they_are(db, query):
    assert db.execute(query).fetchall()


def test_tables_that_such_programs_open_are_there_and_empty(db):
    for table in ("artist_images", "album_images"):
        assert db.execute(f"SELECT * FROM {table}").fetchall() == []


def test_rowids_begin_at_one_so_that_paging_loses_nothing(db):
    seen, last = [], 0
    while page := db.execute("SELECT rowid FROM tracks WHERE rowid > ? ORDER BY rowid LIMIT 7", (last,)).fetchall():
        seen += [row[0] for row in page]
        last = seen[-1]
    assert seen == list(range(1, TRACKS + 1))


def test_the_file_is_sound_and_its_text_indexes_agree_with_the_tables(made, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(made[1].read_bytes())
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        for name in ("tracks_fts", "artists_fts", "albums_fts"):
            db.execute(f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)")
        assert db.execute("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'track_artists'").fetchone()[0]
        assert dict(db.execute("SELECT name, value FROM about"))["edition"] == made[0].info.edition
        stored = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_fts_content'")}
    assert stored == set(), "texts are stored twice"


def test_two_exports_have_the_same_bytes(made, tmp_path, monkeypatch):
    digests = set()
    for batch in (7, 16_384):
        monkeypatch.setattr(sqlite_module, "_BATCH_ROWS", batch)
        write_sqlite(made[0], tmp_path / f"{batch}.db", Silent())
        digests.add(hashlib.sha256((tmp_path / f"{batch}.db").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_an_edition_without_rows_is_a_file_without_rows(tmp_path):
    write_sqlite(make_edition(make_archive(tmp_path), {}), tmp_path / "empty.db", Silent())
    with closing(sqlite3.connect(tmp_path / "empty.db")) as db:
        assert db.execute("SELECT count(*) FROM tracks").fetchone() == (0,)
        assert db.execute("SELECT * FROM tracks_fts WHERE tracks_fts MATCH 'a'").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_command_of_sqlite_reads_it(made):
    asked = "SELECT name FROM tracks_fts WHERE tracks_fts MATCH 'emilie'"
    done = subprocess.run([need_program("sqlite3"), made[1], asked], capture_output=True, text=True, check=True)
    assert done.stdout == "Émilie Ångström\n"


def test_every_column_of_the_edition_goes_somewhere():
    """A column that comes to an edition is exported, or its absence is decided here."""
    left_out = {"artist_row", "release_row", "track_row", "statement_row", "cluster_row"}
    for name in ("artist", "release", "track", "credit", "statement", "tombstone"):
        of_it = [table for table in sqlite_module.TABLES.values() if table.of == name]
        said = " ".join(value for table in of_it for _, value in table.columns.values())
        assert [column for column in TABLES[name].names if column not in said and column not in left_out] == []


def test_hostile_names_were_tried():
    assert {row["title"] for row in ROWS["track"]} > set(HOSTILE)

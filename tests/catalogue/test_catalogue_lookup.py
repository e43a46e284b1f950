"""Looking things up: every key of a table finds its rows and no others, wherever the files of the tables are cut."""

from datetime import date

import duckdb
import pyarrow as pa
import pytest

from support import make_archive
from tenuto.catalogue import edition as edition_module
from tenuto.catalogue.edition import make_current, write_edition
from tenuto.catalogue.keys import Keys, build_keys
from tenuto.catalogue.lookup import Catalogue
from tenuto.catalogue.shelf import Shelf
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES

MBID = "0a1b2c3d-0000-4000-8000-{:012d}"
TRACKS, RELEASES, ARTISTS = 500, 120, 40


def _table(name, rows):
    full = [{column: row.get(column) for column in TABLES[name].names} for row in rows]
    return pa.Table.from_pylist(full, TABLES[name])


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
        monkeypatch.setattr(edition_module, name, value)
    layout, rows = make_archive(tmp_path), _tables()
    tables = {name: _table(name, rows.get(name, [])).to_reader for name in TABLES}
    about = {
        "evidence_sha256": "0" * 64,
        "newest_evidence": date(2026, 1, 1),
        "sources": {},
        "licences": {},
        "findings": {},
    }
    make_current(layout, write_edition(layout, "2026-01-01-0a1b2c3d", tables, about))
    return layout, rows


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
            with pytest.raises(IndexError, match="track has no row"):
                catalogue.song(nowhere)


def test_rows_of_a_track_over_many_row_groups_are_all_found(made, tmp_path):
    layout, rows = made
    counts = ((3, 1), (7, 90), (8, 2), (400, 33))
    rows["credit"] = [{"track_row": row, "position": p, "artist_row": 1} for row, count in counts for p in range(count)]
    tables = {name: _table(name, rows.get(name, [])).to_reader for name in TABLES}
    about = {
        "evidence_sha256": "0" * 64,
        "newest_evidence": date(2026, 1, 1),
        "sources": {},
        "licences": {},
        "findings": {},
    }
    shelf = Shelf(write_edition(layout, "2026-01-01-00000000", tables, about))
    for row, count in ((0, 0), (3, 1), (5, 0), (7, 90), (8, 2), (399, 0), (400, 33), (499, 0)):
        found = shelf.rows_of("credit", row, ("position",))
        assert [one["position"] for one in found] == list(range(count))
    assert shelf.rows_of("history", 7, ("seen_on",)) == []


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


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_keys_of_any_count(tmp_path, count):
    with duckdb.connect() as con:
        con.execute(
            f"CREATE TABLE t AS SELECT range::UINTEGER AS row, (range % 600)::VARCHAR AS key FROM range({count})"
        )
        con.execute("INSERT INTO t VALUES (4000000000, 'last'), (4000000001, NULL)")
        build_keys(con, tmp_path / "keys", "t", "key", "row")
    keys = Keys(tmp_path / "keys")
    for key in range(600):
        assert keys.rows(str(key)) == [row for row in range(count) if row % 600 == key]
    assert keys.rows("last") == [4_000_000_000]
    assert keys.rows("none") == []
    content = (tmp_path / "keys").read_bytes()
    for damaged in (content[:-1], content[:20], b"", b"x" + content[1:], content + b"\0"):
        (tmp_path / "keys").write_bytes(damaged)
        with pytest.raises(IntegrityError, match="delete it, it is made again"):
            Keys(tmp_path / "keys")

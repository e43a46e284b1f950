"""The tables as they lie on the disk: their schemas, row numbers, digests; and that a stranger's tool reads them."""

import hashlib
import json
import shutil
import struct
import time
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evidence_maker as made
from support import make_archive
from tenuto.catalogue import writing as module
from tenuto.catalogue.canonical import canonical_digest
from tenuto.evidence import read_records
from tenuto.model.errors import IntegrityError
from tenuto.model.tables import TABLES


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """An edition with rows in every table, awkward ones among them."""
    layout = make_archive(tmp_path_factory.mktemp("tables"))
    songs = [made.song(f"t{n}", title=f'Ä "{n}" \\ \u2028 \U0001f3b5', playCount=n, genres=[{"name": "A"}, {"name": "B"}],
                       artists=[{"id": "a1", "name": "Jo\nhann"}], albumId="r1", isrc=["DEAB12345678"])
             for n in range(20)]  # fmt: skip
    permission = made.permission('licence = "CC-BY-SA-4.0"\nuntil = 2030-12-31\nterritories = ["DE", "AT"]')
    both = [permission, made.album("r1", songs, year=1723), made.listens([("t1", 2**53, "2026")])]
    made.keep(layout, "shop", [*both, made.search([*songs, made.song("gone", albumId="nowhere")])])
    made.keep(layout, "shop", [*both, made.search(songs)], made.DAY + timedelta(days=2))
    made.keep(layout, "hand", [made.corrections(("shop", "track", "t1", "title", "By hand"),
                                                ("shop", "track", "t9x", "title", "?"))], kind="corrections")  # fmt: skip
    return made.edition_of(layout)


def _independent_digest(table):
    """As docs/format.md says, a value at a time."""
    digest = hashlib.sha256()
    for begin in range(0, table.num_rows, 65_536):
        block = table.slice(begin, 65_536)
        for name in block.column_names:
            digest.update(_column_bytes(block.column(name).to_pylist(), block.schema.field(name).type))
    return digest.hexdigest()


def _column_bytes(values, kind):
    bits = [value is not None for value in values]
    known = bytes(sum(bit << place for place, bit in enumerate(bits[i : i + 8])) for i in range(0, len(bits), 8))
    if pa.types.is_string(kind):
        texts = [(value or "").encode() for value in values]
        return known + b"".join(len(text).to_bytes(4, "little") for text in texts) + b"".join(texts)
    if pa.types.is_list(kind):
        lists = [value or [] for value in values]
        lengths = b"".join(len(one).to_bytes(4, "little") for one in lists)
        return known + lengths + _column_bytes([item for one in lists for item in one], kind.value_type)
    if pa.types.is_date(kind):
        days = [0 if value is None else (value - date(1970, 1, 1)).days for value in values]
        return known + b"".join(day.to_bytes(4, "little", signed=True) for day in days)
    if pa.types.is_float32(kind):
        return known + b"".join(struct.pack("<f", value or 0) for value in values)
    width = 1 if pa.types.is_boolean(kind) else kind.bit_width // 8
    return known + b"".join(int(value or 0).to_bytes(width, "little") for value in values)


@pytest.mark.parametrize("name", TABLES)
def test_canonical_digest_is_the_documented_one_recomputed_without_our_code(edition, name):
    assert edition.info.tables[name].canonical_sha256 == _independent_digest(edition.read(name))


def test_canonical_digest_depends_on_the_rows_and_not_on_how_they_are_cut():
    numbers = list(range(140_000))
    table = pa.table({
        "a": pa.array([n if n % 7 else None for n in numbers], pa.uint32()), "b": [None if n % 3 else f"{n} ü" for n in numbers],
        "c": [None if n % 5 == 0 else ["p", None, ""][: n % 4] for n in numbers], "d": [n % 2 == 0 for n in numbers]})  # fmt: skip
    cut = pa.concat_tables([table.slice(0, 3), table.slice(3, 65_540), table.slice(65_543)])
    assert canonical_digest(table) == canonical_digest(cut) == _independent_digest(table)
    assert canonical_digest(table) != canonical_digest(table.slice(1))
    assert canonical_digest(table) != canonical_digest(table.select(["b", "a", "c", "d"]))
    assert canonical_digest(table.slice(0, 2)) != canonical_digest(table.slice(0, 2).take([1, 0]))
    assert canonical_digest(table.slice(0, 0)) == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("name", ["artist", "release", "track", "statement"])
def test_row_numbers_are_0_to_n_in_order(edition, name):
    numbers = [row[f"{name}_row"] for row in made.rows(edition, name)]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize(("name", "column", "other"), [
    ("track", "release_row", "release"), ("credit", "track_row", "track"), ("credit", "artist_row", "artist"),
    ("offer", "track_row", "track"), ("history", "track_row", "track")])  # fmt: skip
def test_row_numbers_point_into_their_table(edition, name, column, other):
    used = {row[column] for row in made.rows(edition, name)} - {None}
    assert used
    assert max(used) < edition.info.tables[other].rows


def test_duckdb_reads_and_joins_the_tables_in_place(edition):
    with duckdb.connect() as con:
        found = con.execute(f"""
            SELECT track.title, artist.name, release.title, licence_text
            FROM {edition.rows("track")} track JOIN {edition.rows("credit")} USING (track_row)
            JOIN {edition.rows("artist")} artist USING (artist_row)
            JOIN {edition.rows("release")} release ON release.release_row = track.release_row
            JOIN {edition.rows("statement")} ON statement_row = statement_rows[1] WHERE track_id = 't1'""").fetchall()
        for name, info in edition.info.tables.items():
            assert con.execute(f"SELECT count(*) FROM {edition.rows(name)}").fetchall() == [(info.rows,)]
    assert found == [("By hand", "Jo\nhann", "Album r1", "CC-BY-SA-4.0")]


def test_edition_json_counts_what_is_in_the_tables(edition):
    said = json.loads((edition.folder / "edition.json").read_bytes())
    assert said["licences"] == {"CC-BY-SA-4.0": 20}
    assert said["sources"] == {"shop": {"kind": "subsonic", "tracks": 20, "tombstones": 1},
                               "hand": {"kind": "corrections", "tracks": 0, "tombstones": 0}}  # fmt: skip
    codes = [row["code"] for row in made.rows(edition, "finding")]
    assert said["findings"] == {code: codes.count(code) for code in sorted(set(codes))}
    assert said["format"] == "tenuto-edition-1"


def test_every_evidence_id_of_an_edition_is_that_of_a_record_in_the_evidence(edition):
    files = (edition.folder.parents[1] / "evidence").glob("*/*/*.warc.gz")
    known = {record.evidence_id for file in files for record in read_records(file)}
    for name in TABLES:
        if "evidence_id" in TABLES[name].names:
            assert {row["evidence_id"] for row in made.rows(edition, name)} <= known | {0}
    assert 0 not in {row["evidence_id"] for name in ("track", "artist", "release") for row in made.rows(edition, name)}


def test_long_tables_lie_in_several_files_of_equal_rows(tmp_path, monkeypatch):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([made.song(f"t{n:03d}", title=f"Title {n}") for n in range(100)])])
    one = made.edition_of(layout)
    assert [path.name for path in one.files("track")] == ["track.parquet"]
    before = one.read("track")
    monkeypatch.setattr(module, "GROUP_ROWS", 8)
    monkeypatch.setattr(module, "FILE_ROWS", 32)
    shutil.rmtree(layout.catalogue)
    several = made.edition_of(layout)
    assert [path.name for path in several.files("track")] == [f"track-0000{n}.parquet" for n in range(4)]
    assert [pq.read_metadata(path).num_rows for path in several.files("track")] == [32, 32, 32, 4]
    assert pq.read_metadata(several.files("track")[0]).num_row_groups == 4
    assert several.read("track") == before
    assert several.info.tables["track"].canonical_sha256 == one.info.tables["track"].canonical_sha256
    joined = b"".join(path.read_bytes() for path in several.files("track"))
    assert several.info.tables["track"].sha256 == hashlib.sha256(joined).hexdigest()
    with duckdb.connect() as con:
        assert con.execute(f"SELECT count(*), max(track_row) FROM {several.rows('track')}").fetchall() == [(100, 99)]
    several.files("track")[2].write_bytes(several.files("track")[2].read_bytes()[:-1] + b"x")
    assert "track-00002.parquet has sha256" in module.damage_of(several.folder)
    several.files("track")[2].unlink()
    with pytest.raises(IntegrityError, match=r"track-00002\.parquet is missing"):
        module.open_edition(several.folder)


def test_a_table_that_fails_ends_the_others_at_their_next_rows_and_nothing_is_left(tmp_path):
    layout, asked = make_archive(tmp_path), []

    def endless():
        schema = TABLES["artist"]
        row = dict.fromkeys(schema.names)

        def batches():
            for number in range(10**9):
                asked.append(number)
                yield pa.RecordBatch.from_pylist([{**row, "artist_row": number}], schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def broken():
        while len(asked) < 3:
            time.sleep(0.01)
        raise OSError(28, "No space left on device")

    tables = {"artist": endless, "release": broken, "track": endless}
    with pytest.raises(OSError, match="No space"):
        module.write_edition(layout, "2026-01-01-0a1b2c3d", tables, {})
    assert len(asked) < 100_000
    assert not layout.edition("2026-01-01-0a1b2c3d").exists()
    assert [one.name for one in layout.catalogue.glob("*")] == []

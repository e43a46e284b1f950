"""Tables of every format mean the same; what is wrong with one row, or with a mapping, is said and takes nothing else along."""

import csv
import gzip
import io
import itertools
import json
import re
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvesting import answers, archive_of, codes, evidence_set, folders, manifest_of, run, verb
from support import shared_data
from tenuto.archive import Layout
from tenuto.catalogue.edition import open_current
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import SettingsError, SkipRecordError, SourceError, SourceRefusedError
from tenuto.model.records import ArtistSeen, CreditSeen, ListensSeen, ProblemSeen, ReleaseSeen, Seen, TrackSeen
from tenuto.sources.dumps import Pages
from tenuto.sources.table import Table, connector, of_parquet, of_sqlite, parse
from tenuto.sources.table.fields import READERS
from tenuto.sources.table.lines import LINE_MAX, split_rows
from tenuto.sources.table.mapping import FIELDS

HEAD = 'format = "tenuto-table-1"\n'
SONGS = HEAD + (
    '[track]\nid = "no"\ntitle = "song"\nduration_ms = { column = "len", unit = "s" }\n'
    '[release]\nid = "album"\ntitle = "album"\nrelease_date = "year"\n'
    '[[artist]]\nname = { column = "by", separator = [" & ", " feat. "] }\n'
)
COLUMNS = ("no", "song", "by", "album", "year", "len")
ROWS = [("1", "Été", "Zoë & Ana feat. Bo", "Eins", "1999", "185.5"), ("2", "B, C", "Ana", "Eins", "1999-05", ""),
        ("3", 'Say "hi"', "Bo", "", "", "60")]  # fmt: skip
TRACKS = [("1", "Été", 185_500, "Eins", 3), ("2", "B, C", None, "Eins", 1), ("3", 'Say "hi"', 60_000, None, 1)]


def table(folder: Path, content: bytes | str, mapping: str = SONGS, name: str = "songs.csv") -> Table:
    (folder / "mapping.toml").write_text(mapping, encoding="utf-8")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Table(folder / name, folder / "mapping.toml")


def walk(source: Table) -> list[Answer]:
    """What a harvest asks, one after the other."""
    found, todo = list[Answer](), list(source.first())
    while todo:
        found.append(source.fetch(todo.pop(0)))
        todo += source.follow(found[-1])
    return found


def seen(source: Table) -> list[Seen]:
    return [item for answer in walk(source) for item in parse(answer)]


def only(kind: type, items: list[Seen]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def problems(items: list[Seen]) -> list[tuple[str, str]]:
    return [(one.subject, one.message) for one in only(ProblemSeen, items)]


def delimited(delimiter: str = ",", **more: Any) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, **more).writerows([COLUMNS, *ROWS])
    return text.getvalue()


# --- formats


def make_file(folder: Path, format_: str) -> str:
    """The same rows in a file of this format; returns its name."""
    file = folder / f"songs.{format_}"
    objects = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    match format_:
        case "csv":
            file.write_text(delimited(), encoding="utf-8")
        case "csv.gz":
            file.write_bytes(gzip.compress(delimited().encode()))
        case "tsv":
            file.write_text("\n".join("\t".join(row) for row in [COLUMNS, *ROWS]), encoding="utf-8")
        case "jsonl":
            file.write_text("\n".join(json.dumps(one) for one in objects), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(objects), file)
        case "sqlite":
            with sqlite3.connect(file) as con:
                con.execute(f"CREATE TABLE songs ({', '.join(COLUMNS)})")
                con.executemany("INSERT INTO songs VALUES (?, ?, ?, ?, ?, ?)", ROWS)
            con.close()
    return file.name


@pytest.mark.parametrize("format_", ["csv", "csv.gz", "tsv", "jsonl", "parquet", "sqlite"])
def test_a_table_means_the_same_in_every_format(tmp_path: Path, format_: str) -> None:
    name = make_file(tmp_path, format_)
    items = seen(table(tmp_path, (tmp_path / name).read_bytes(), name=name))
    found = [(t.track_id, t.title, t.duration_ms, t.release_id, len(t.credits)) for t in only(TrackSeen, items)]
    assert found == TRACKS
    assert [(r.release_id, r.release_date) for r in only(ReleaseSeen, items)] == [("Eins", "1999"), ("Eins", "1999-05")]
    assert {a.artist_id: a.name for a in only(ArtistSeen, items)} == {
        "name:zoë": "Zoë",
        "name:ana": "Ana",
        "name:bo": "Bo",
    }
    assert problems(items) == []


def test_delimiter_encoding_and_columns_can_be_said(tmp_path: Path) -> None:
    read = '[read]\ndelimiter = ";"\nencoding = "latin-1"\ncolumns = ["no", "song", "by", "album", "year", "len"]\n'
    body = "1;Café;Ana;;;\n".encode("latin-1")
    items = seen(table(tmp_path, body, SONGS.replace("[track]", f"{read}[track]"), name="songs.txt.csv"))
    assert [track.title for track in only(TrackSeen, items)] == ["Café"]


def test_a_query_is_a_table(tmp_path: Path) -> None:
    name = make_file(tmp_path, "sqlite")
    read = "[read]\nquery = \"SELECT *, no AS nr FROM songs WHERE by = 'Bo'\"\n"
    items = seen(table(tmp_path, (tmp_path / name).read_bytes(), SONGS.replace("[track]", f"{read}[track]"), name))
    assert [track.track_id for track in only(TrackSeen, items)] == ["3"]


def test_a_database_that_is_asked_for_does_not_change(tmp_path: Path) -> None:
    name = make_file(tmp_path, "sqlite")
    before = (tmp_path / name).read_bytes()
    read = '[read]\nquery = "DELETE FROM songs RETURNING *"\n'
    with pytest.raises(SettingsError, match="readonly"):
        walk(table(tmp_path, before, SONGS.replace("[track]", f"{read}[track]"), name))
    assert (tmp_path / name).read_bytes() == before


# --- rows that are none


def test_cells_in_quotes_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    body = f'{",".join(COLUMNS)}\r\n1,"a, ""b""\r\nc",Ana,,,\r\n2,12" mix,Bo,,,\r\n'
    assert [t.title for t in only(TrackSeen, seen(table(tmp_path, body)))] == ['a, "b"\r\nc', '12" mix']


def test_an_open_quote_takes_no_other_row_with_it(tmp_path: Path) -> None:
    lines = [f"{n},song {n},Ana,,,\n" for n in range(1, 5_001)]
    lines[6] = '7,"song 7,Ana,,,\n'
    items = seen(table(tmp_path, f"{','.join(COLUMNS)}\n{''.join(lines)}"))
    assert len(only(TrackSeen, items)) == 4_999
    assert [subject for subject, _ in problems(items)] == ["row 7"]


def test_ragged_rows_and_rows_without_an_id_are_findings(tmp_path: Path) -> None:
    body = f"{','.join(COLUMNS)}\n1,a,Ana,,,,,\n2,b,Ana,,,,extra\n3,c\n,d,Ana,,,\n\n5,e,Ana,,,\n"
    items = seen(table(tmp_path, body))
    assert [t.track_id for t in only(TrackSeen, items)] == ["1", "3", "5"]
    assert problems(items) == [
        ("row 2", "has 7 cells, the table 6 columns"),
        ("row 3", "row is '2 of 6 cells', which cannot be"),
        ("row 4", "has no id"),
    ]


def test_bytes_that_are_no_utf8_stay_in_the_evidence(tmp_path: Path) -> None:
    body = f"{','.join(COLUMNS)}\n".encode() + b"1,caf\xe9,Ana,,,\n2,b,Bo,,,\n"
    source = table(tmp_path, body)
    page = walk(source)[1]
    row = json.loads(page.body.splitlines()[1])
    assert row[1].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert len(only(TrackSeen, list(parse(page)))) == 2


def test_a_line_without_an_end_is_a_finding_in_bounded_memory(tmp_path: Path) -> None:
    body = f"{','.join(COLUMNS)}\n1,{'x' * 3 * LINE_MAX}\n2,b,Bo,,,\n"
    source = table(tmp_path, body)
    items = seen(source)
    assert [t.track_id for t in only(TrackSeen, items)] == ["2"]
    assert len(walk(source)[1].body) < 10_000


@pytest.mark.parametrize(
    "line", ["[1, 2]", "{", '"text"', "NaN", "null", '{"no": "1"', '{"no": ' + "[" * 5_000 + "]" * 5_000 + "}"]
)
def test_a_line_that_is_no_object_is_a_finding(tmp_path: Path, line: str) -> None:
    good = json.dumps({"no": 7, "song": "x", "by": ["Ana", "Bo"], "album": None, "year": 1999.0, "len": 3})
    items = seen(table(tmp_path, f"{good}\n{line}\n{good.replace('7', '8')}\n", name="songs.jsonl"))
    assert [(t.track_id, len(t.credits)) for t in only(TrackSeen, items)] == [("7", 2), ("8", 2)]
    assert [subject for subject, _ in problems(items)] == ["row 2"]


@settings(max_examples=40)
@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=4).filter(any), max_size=8))
def test_rows_that_a_csv_writer_wrote_come_back(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    lines = io.StringIO(text.getvalue(), newline="")
    assert list(split_rows(iter(lines), ",", has_quotes=True)) == rows


@settings(max_examples=40)
@given(st.binary(max_size=300))
@example(b'{"columns": ["no"], "mapping": {}}\n["1"]\n')
@example(b'{"columns": [], "mapping": {"format": "tenuto-table-1", "track": {"id": {"column": "no"}}}}\n["1"]\n')
@example(b'{"columns": [], "mapping": {"format": "tenuto-table-1", "track": {"id": {"column": "no"}}}}\n[]\n')
def test_no_bytes_make_the_reader_raise(body: bytes) -> None:
    page = Answer(Request("rows?offset=0"), body, "application/jsonl", datetime.now(UTC))
    assert all(isinstance(item, ProblemSeen) for item in parse(page))


# --- tables that are made to harm


SONG = HEAD + '[track]\nid = "no"\ntitle = "song"\n'
LONG = 2 * 10**7


def database(folder: Path, *statements: str) -> bytes:
    file = folder / "made.sqlite"
    with closing(sqlite3.connect(file)) as con, con:
        for statement in statements:
            con.execute(statement)
    return file.read_bytes()


def named(table_name: str) -> str:
    return SONG.replace("[track]", f'[read]\ntable = "{table_name}"\n[track]')


def test_one_long_text_that_every_row_of_a_parquet_repeats_takes_the_memory_of_a_page(tmp_path: Path) -> None:
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 4_000, pa.int32()), pa.array(["x" * 200_000]))
    songs = pa.table({"no": [str(n) for n in range(4_000)], "song": same})
    pq.write_table(songs, tmp_path / "made.parquet", store_schema=False)
    content = (tmp_path / "made.parquet").read_bytes()
    assert len(content) < 100_000
    source = table(tmp_path, content, SONG, "songs.parquet")
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        page = source.fetch(Request("rows?offset=0"))
        python_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert 8 * 2**20 <= len(page.body) < 9 * 2**20
    assert (pool.max_memory() or 0) < 80 * 2**20
    assert python_bytes < 60 * 2**20
    assert [t.track_id for t in only(TrackSeen, list(parse(page)))] == [str(n) for n in range(42)]


def test_rows_of_a_parquet_are_the_same_however_few_are_read_at_a_time(tmp_path: Path) -> None:
    rows = [{"no": n, "song": "é" * (n % 7), "l": ["a"] * (n % 3), "s": {"a": "b", "c": [n]}, "m": [("k", n)],
             "d": b"d" * (3_000_000 if n == 300 else 3)} for n in range(600)]  # fmt: skip
    schema = pa.schema([("no", pa.int64()), ("song", pa.string()), ("l", pa.list_(pa.string())),
                        ("s", pa.struct([("a", pa.string()), ("c", pa.list_(pa.int64()))])),
                        ("m", pa.map_(pa.string(), pa.int64())), ("d", pa.binary())])  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "made.parquet", row_group_size=250)
    columns, found = of_parquet.open_parquet(tmp_path / "made.parquet")
    assert columns == schema.names
    assert list(found) == [list(row.values()) for row in rows]


def test_lists_out_of_all_proportion_to_their_file_are_refused(tmp_path: Path) -> None:
    lists = pa.ListArray.from_arrays([0, 20_000], pa.DictionaryArray.from_arrays(
        pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 60_000])))  # fmt: skip
    pq.write_table(pa.table({"no": ["1"], "song": lists}), tmp_path / "made.parquet")
    content = (tmp_path / "made.parquet").read_bytes()
    with pytest.raises(SettingsError, match="row groups"):
        walk(table(tmp_path, content, SONG, "songs.parquet"))


def test_a_row_that_is_too_long_is_a_finding_and_the_rest_goes_on(tmp_path: Path) -> None:
    songs = pa.table({"no": ["1", "2", "3"], "song": ["a", "x" * LONG, "c"]})
    pq.write_table(songs, tmp_path / "made.parquet")
    stored = database(tmp_path, "CREATE TABLE songs (no, song)", "INSERT INTO songs VALUES ('1', 'a'), ('3', 'c')",
                      f"INSERT INTO songs VALUES ('2', hex(zeroblob({LONG})))",
                      "INSERT INTO songs VALUES ('4', hex(zeroblob(3000000)))",
                      "INSERT INTO songs VALUES ('5', 'e')")  # fmt: skip
    found = seen(table(tmp_path, (tmp_path / "made.parquet").read_bytes(), SONG, "songs.parquet"))
    assert [t.track_id for t in only(TrackSeen, found)] == ["1", "3"]
    assert [subject for subject, _ in problems(found)] == ["row 2"]
    found = seen(table(tmp_path, stored, SONG, "songs.sqlite"))
    assert [t.track_id for t in only(TrackSeen, found)] == ["1", "3", "5"]
    assert [(subject, "longer than" in said) for subject, said in problems(found)] == [("row 3", True), ("row 4", True)]


def test_values_that_a_schema_computes_are_bounded_row_by_row(tmp_path: Path) -> None:
    content = database(
        tmp_path, f"CREATE TABLE songs (no, song AS (CASE no WHEN 2 THEN hex(zeroblob({LONG})) ELSE no END))",
        "INSERT INTO songs (no) VALUES (1), (2), (3)")  # fmt: skip
    found = seen(table(tmp_path, content, SONG, "songs.sqlite"))
    assert [t.track_id for t in only(TrackSeen, found)] == ["1", "3"]
    assert [subject for subject, _ in problems(found)] == ["row 2"]


def test_a_view_is_read_only_where_the_mapping_names_it(tmp_path: Path) -> None:
    content = database(tmp_path, "CREATE VIEW songs AS SELECT 1 AS no, 'a' AS song")
    with pytest.raises(SettingsError, match=r"the tables \(none\) and the views songs; name one"):
        walk(table(tmp_path, content, SONG, "songs.sqlite"))
    assert [t.title for t in only(TrackSeen, seen(table(tmp_path, content, named("songs"), "songs.sqlite")))] == ["a"]


def test_a_view_that_seeks_its_next_row_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_sqlite, "_ROW_MAX_S", 0.1)
    endless = (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS no, '' AS song FROM r WHERE n"
    )
    content = database(tmp_path, f"CREATE VIEW never AS {endless} < 0", f"CREATE VIEW twice AS {endless} < 3")
    with pytest.raises(SettingsError, match="takes more than"):
        walk(table(tmp_path, content, named("never"), "songs.sqlite"))
    source = table(tmp_path, content, named("twice"), "songs.sqlite")
    with pytest.raises(SkipRecordError, match="behind row 1 takes more than"):
        source.fetch(Request("rows?offset=0"))


# --- values


@pytest.mark.parametrize(
    ("separator", "cell", "names"),
    [
        ('" "', "Ann Bo;Cy", ["Ann", "Bo;Cy"]),
        ('[" ", ";"]', "Ann Bo;Cy", ["Ann", "Bo", "Cy"]),
        ('["\\t"]', "Ann Bo\tCy", ["Ann Bo", "Cy"]),
        ('" & "', "AB&CD & Ann", ["AB&CD", "Ann"]),
        ('[" x ", "x"]', "Ann x Boxx", ["Ann", "Bo"]),
    ],
)
def test_separators_are_taken_as_they_are_given(tmp_path: Path, separator: str, cell: str, names: list[str]) -> None:
    mapping = f'{HEAD}[[artist]]\nname = {{ column = "by", separator = {separator} }}\n'
    items = seen(table(tmp_path, json.dumps({"by": cell}), mapping, "one.jsonl"))
    assert [artist.name for artist in only(ArtistSeen, items)] == names


def mapped(folder: Path, field: str, cell: str, value: str) -> tuple[Any, list[tuple[str, str]]]:
    """What a field of a track becomes, and what is said of it."""
    file = json.dumps({"no": "1", "x": value}) + "\n"
    items = seen(table(folder, file, f'{HEAD}[track]\nid = "no"\n{field} = {cell}\n', "one.jsonl"))
    return getattr(only(TrackSeen, items)[0], field), problems(items)


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [("s", "185", 185_000), ("s", "185,5", 185_500), ("ms", "185000", 185_000), ("m:ss", "3:05", 185_000), ("s", "3:05", 185_000),
     ("m:ss", "1:02:03", 3_723_000), ("min", "2.5", 150_000), ("s", " ", None)],
)  # fmt: skip
def test_durations_are_read_in_their_unit(tmp_path: Path, unit: str, value: str, expected: int | None) -> None:
    assert mapped(tmp_path, "duration_ms", f'{{ column = "x", unit = "{unit}" }}', value) == (expected, [])


@pytest.mark.parametrize(
    "value", ["-1", "0", "1e400", "NaN", "inf", "three", "3:75", "99999999999", "1e999999999", "1e900000"]
)
def test_a_duration_that_cannot_be_is_a_finding(tmp_path: Path, value: str) -> None:
    taken, said = mapped(tmp_path, "duration_ms", '{ column = "x", unit = "s" }', value)
    assert taken is None
    assert said == [("row 1", f"track duration_ms is {value!r}, which cannot be")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1999", "1999"), ("1999.0", "1999"), ("1999-05-00", "1999-05"), ("1999/05/18", "1999-05-18"), ("1071", None),
     ("SONGFACTS.COM", None), ("0000-00-00", None), ("2999", None), ("1999-13-01", None)],
)  # fmt: skip
def test_a_date_is_kept_as_far_as_it_is_known_and_can_be(tmp_path: Path, value: str, expected: str | None) -> None:
    mapping = f'{HEAD}[release]\nid = "no"\nrelease_date = "x"\n'
    items = seen(table(tmp_path, json.dumps({"no": 1, "x": value}), mapping, "one.jsonl"))
    assert [release.release_date for release in only(ReleaseSeen, items)] == [expected]
    assert len(problems(items)) == (expected is None)


def test_an_id_made_of_columns_is_one_for_equal_rows_and_none_for_empty_ones(tmp_path: Path) -> None:
    mapping = f'{HEAD}[track]\nid = {{ hash = ["song", "by"] }}\n'
    body = "song,by\na,b\nab,\na,b\n,ab\n,\n"
    items = seen(table(tmp_path, body, mapping))
    ids = [track.track_id for track in only(TrackSeen, items)]
    assert (len(ids), len(set(ids))) == (4, 3)
    assert problems(items) == [("row 5", "has no id")]


def test_listens_have_their_scope_and_their_date(tmp_path: Path) -> None:
    body = "no,plays\n1,82\n2,many\n"
    mapping = f'{HEAD}[track]\nid = "no"\nlistens_count = "plays"\nlistens_scope = {{ constant = "radio" }}\n'
    items = seen(table(tmp_path, body, mapping))
    assert [(t.listens_count, t.listens_scope) for t in only(TrackSeen, items)] == [(82, "radio"), (None, None)]
    dated = seen(table(tmp_path, body, f'{mapping}listens_on = {{ constant = "2014-06" }}\n'))
    assert only(ListensSeen, dated) == [
        ListensSeen(track_id="1", listens_count=82, counted_on="2014-06", listens_scope="radio")
    ]
    assert only(TrackSeen, dated)[0].listens_count is None


def test_artists_have_roles_ids_and_what_they_are_credited_of(tmp_path: Path) -> None:
    mapping = (f'{HEAD}[track]\nid = "no"\n[release]\nid = "no"\n[[artist]]\nname = "by"\nid = "ids"\nof = "both"\n'
               '[[artist]]\nname = "writer"\nrole = "composer"\nsort_name = "sort"\n')  # fmt: skip
    row = {"no": "1", "by": ["A", "B"], "ids": ["7", "8"], "writer": "C D", "sort": "D, C"}
    items = seen(table(tmp_path, json.dumps(row), mapping, "one.jsonl"))
    assert only(TrackSeen, items)[0].credits == (
        CreditSeen(artist_id="7"),
        CreditSeen(artist_id="8"),
        CreditSeen(artist_id="name:c d", role="composer"),
    )
    assert only(ReleaseSeen, items)[0].artist_ids == ("7", "8")
    assert only(ArtistSeen, items)[2].sort_name == "D, C"


def test_every_field_of_a_mapping_can_be_read_and_is_documented() -> None:
    records = {"track": TrackSeen, "release": ReleaseSeen, "artist": ArtistSeen}
    written = (Path(__file__).parents[2] / "docs/sources.md").read_text(encoding="utf-8")
    for kind, names in FIELDS.items():
        assert set(names) - {"name"} <= set(READERS)
        assert set(names) - {"id", "listens_on"} <= set(records[kind].__struct_fields__)
        (row,) = (line for line in written.splitlines() if line.startswith((f"| `[{kind}]`", f"| `[[{kind}]]`")))
        assert set(names) <= set(re.findall(r"`(\w+)`", row))


# --- mappings that do not fit


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (SONGS.replace('"song"', '"sonng"'), r"'sonng' is no column of songs.csv, which has: 'no', 'song', 'by'"),
        (SONGS.replace("title =", "titel ="), r"no field 'titel'; did you mean title\? A track has: id, title, disc"),
        (SONGS.replace('id = "no"\n', ""), "track: id is missing"),
        (HEAD, "says nothing"),
        (SONGS.replace("-1", "-2", 1), "format"),
        (f'{HEAD}[track]\nid = "no"\nlistens_count = "len"\n', "needs listens_scope"),
        (f'{HEAD}[track]\nid = {{ column = "no", constant = "x" }}\n', "needs one of column, constant, hash"),
        (f'{HEAD}[track]\nid = "no"\nduration_ms = {{ column = "len", unit = "hours" }}\n', "unit"),
        (f'{HEAD}[[artist]]\nrole = "x"\n', "name is missing"),
        (f'{HEAD}[[artist]]\nname = {{ column = "by", separator = "" }}\n', "separator is empty"),
        (f'{HEAD}[[artist]]\nname = {{ column = "by", separator = [";", ""] }}\n', "separator is empty"),
        ("format = ", "not valid TOML"),
    ],
)
def test_a_mapping_that_does_not_fit_says_what_there_is(tmp_path: Path, mapping: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        walk(table(tmp_path, delimited(), mapping))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("songs.csv", b"", "column names"),
        ("songs.csv", b"no,no,song,by,album,year,len\n1,2,3,4,5,6,7\n", "'no' stands twice"),
        ("songs.parquet", b"no parquet at all", "cannot be read as parquet"),
        ("songs.sqlite", b"no database at all" * 100, "cannot be read as sqlite"),
        ("songs.csv.gz", b"no gzip", "cannot be read as csv"),
        ("songs.xlsx", b"PK", "does not say what it is"),
        ("songs.jsonl", b"[1]\n[2]\n", "is no JSONL"),
    ],
)
def test_a_file_that_is_no_such_table_is_an_error_of_the_settings(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        walk(table(tmp_path, content, name=name))


def test_a_database_of_several_tables_lists_them(tmp_path: Path) -> None:
    name = make_file(tmp_path, "sqlite")
    with sqlite3.connect(tmp_path / name) as con:
        con.execute("CREATE TABLE more (x)")
    con.close()
    with pytest.raises(SettingsError, match="has the tables more, songs"):
        walk(table(tmp_path, (tmp_path / name).read_bytes(), name=name))


def test_a_table_without_rows_is_refused_so_that_nothing_counts_as_gone(tmp_path: Path) -> None:
    with pytest.raises(SourceRefusedError, match="holds no row"):
        walk(table(tmp_path, ",".join(COLUMNS) + "\n"))


# --- harvests


def shelf(folder: Path, body: str | bytes, mapping: str = SONGS, name: str = "songs.csv") -> Layout:
    table(folder, body, mapping, name)
    return archive_of(folder, str(folder / name), "table", options={"mapping_file": str(folder / "mapping.toml")})


def many(count: int, title: str = "song") -> str:
    return f"{','.join(COLUMNS)}\n" + "".join(f"{n},{title} {n},Ana,Eins,1999,60\n" for n in range(1, count + 1))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "BATCH_ROWS", 100)


@pytest.mark.usefixtures("small_pages")
def test_two_harvests_of_a_file_are_equal_and_make_one_edition(tmp_path: Path) -> None:
    layout = shelf(tmp_path, many(210))
    assert run(layout) == 0
    assert verb(layout, "catalogue", "build") == 0
    first = open_current(layout).info.edition
    (tmp_path / "songs.csv").touch()
    assert run(layout) == 0
    assert evidence_set(folders(layout)[0]) == evidence_set(folders(layout)[1])
    assert set(answers(folders(layout)[0])) == {"table", *(f"rows?offset={n}" for n in (0, 100, 200, 210))}
    assert verb(layout, "catalogue", "build") == 0
    assert open_current(layout).info.edition == first
    assert manifest_of(layout).reconciled[0].found == 210


def test_odd_rows_become_findings_that_name_their_evidence(tmp_path: Path) -> None:
    body = f"{','.join(COLUMNS)}\n1,a,Ana,Eins,1071,60\n,b,Ana,,,\n".encode() + b"3,caf\xe9,Ana,,,\n"
    layout = shelf(tmp_path, body)
    assert run(layout) == 0
    assert verb(layout, "catalogue", "build") == 0
    found = open_current(layout).read("finding").to_pylist()
    assert {one["code"] for one in found} == {"value-odd", "record-invalid", "text-mended"}
    assert all(one["evidence_id"] for one in found)
    assert open_current(layout).read("track").num_rows == 2


@pytest.mark.usefixtures("small_pages")
def test_what_cannot_be_read_on_is_a_finding_and_nothing_before_it_is_gone(tmp_path: Path) -> None:
    whole = gzip.compress(many(900, "x" * 1_000).encode(), 0)
    layout = shelf(tmp_path, whole, name="songs.csv.gz")
    assert run(layout) == 0
    (tmp_path / "songs.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert run(layout) == 9
    assert codes(layout) == {"request-failed"}
    assert 100 <= manifest_of(layout).reconciled[0].found < 450
    assert verb(layout, "catalogue", "build") == 0
    assert open_current(layout).read("track").num_rows == 900
    assert open_current(layout).read("tombstone").num_rows == 0


def test_pages_are_the_same_wherever_reading_begins(tmp_path: Path) -> None:
    source = table(tmp_path, many(4_100))
    pages = {answer.request.key: answer.body for answer in walk(source)}
    again = Table(tmp_path / "songs.csv", tmp_path / "mapping.toml")
    assert {key: again.fetch(Request(key)).body for key in reversed(pages)} == pages


def test_a_file_that_changes_between_pages_stops_the_harvest(tmp_path: Path) -> None:
    source = table(tmp_path, many(4_100))
    greeting, page = walk(source)[:2]
    (tmp_path / "songs.csv").write_text(many(4_100, "sang"))
    resumed = Table(tmp_path / "songs.csv", tmp_path / "mapping.toml")
    for answer in (greeting, page):  # as a harvest that goes on replays them
        following = list(resumed.follow(answer))
    with pytest.raises(SourceError, match="has changed since its harvest began"):
        resumed.fetch(following[0])


def test_a_page_is_all_that_is_read_of_a_stream_without_end() -> None:
    pages = Pages(lambda: (b"%d" % n for n in itertools.count()), items_max=3, bytes_max=100)
    assert [pages.page(0), pages.page(3), pages.page(1)] == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"1", b"2", b"3"]]
    large = Pages(lambda: (b"x" * 60 for _ in itertools.count()), items_max=1_000, bytes_max=100)
    assert len(large.page(0)) == 2


def test_a_page_that_cannot_be_read_whole_is_none_each_time_it_is_asked() -> None:
    def broken() -> Any:
        yield from (b"a", b"b", b"c")
        raise SkipRecordError("cut off", is_gone=False)

    pages = Pages(broken, items_max=2, bytes_max=100)
    for _ in range(3):
        assert pages.page(0) == [b"a", b"b"]
        with pytest.raises(SkipRecordError, match="cut off"):
            pages.page(2)


def test_source_test_shows_the_first_rows_mapped_and_keeps_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = shelf(tmp_path, delimited())
    assert verb(layout, "source", "test", "shop") == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("Été", "Zoë, Ana, Bo", "Eins", "1999-05", "186 s"))
    assert not layout.harvests("shop").exists()


# --- a table that nobody here wrote


def test_classic_rock_has_two_bad_years_and_loses_no_song(tmp_path: Path) -> None:
    file = shared_data("classic-rock") / "classic-rock/classic-rock-song-list.csv"
    track = '[track]\nid = { hash = ["Song Clean", "ARTIST CLEAN"] }\ntitle = "Song Clean"\n'
    mapping = f'{HEAD}{track}[release]\nid = "COMBINED"\nrelease_date = "Release Year"\n'
    items = seen(table(tmp_path, file.read_bytes(), mapping))
    assert len({track.track_id for track in only(TrackSeen, items)}) == 2_229
    assert [message for _, message in problems(items)] == [
        "release release_date is '1071', which cannot be",
        "release release_date is 'SONGFACTS.COM', which cannot be",
    ]
    dates = [release.release_date for release in only(ReleaseSeen, items)]
    assert dates.count(None) == 576 + 2
    assert all(len(day) == 4 for day in dates if day)

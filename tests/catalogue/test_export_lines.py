"""JSON lines and CSV: every value of the edition comes back exactly, and a spreadsheet runs nothing."""

import csv
import gzip
import io
import json
import re

import pyarrow as pa
import pytest

from export_maker import HOSTILE, TRACKS, make_edition, rows
from support import make_archive
from tenuto.catalogue import writing
from tenuto.catalogue.export import lines as lines_module
from tenuto.catalogue.export import write_csv, write_jsonl
from tenuto.model.errors import UsageError
from tenuto.model.progress import Silent

ROWS = rows()
STATEMENT = (
    "basis",
    "licence",
    "licence_url",
    "may_keep",
    "may_give_out",
    "may_mine",
    "territories",
    "valid_until",
    "attribution",
)
ARTIST = ("artist_id", "name", "artist_id_musicbrainz")


@pytest.fixture(scope="module", params=[(32_768, 2**22, 2**18), (8, 16, 25)], ids=["one span", "spans of 25"])
def edition(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        for name, value in zip(("GROUP_ROWS", "FILE_ROWS"), request.param[:2], strict=True):
            patched.setattr(writing, name, value)
        patched.setattr(lines_module, "SPAN_ROWS", request.param[2])
        yield make_edition(make_archive(tmp_path_factory.mktemp("made")), ROWS)


def _bytes(write, edition):
    stream = io.BytesIO()
    write(edition, stream, Silent())
    return stream.getvalue()


@pytest.fixture(scope="module")
def json_bytes(edition):
    return _bytes(write_jsonl, edition)


@pytest.fixture(scope="module")
def csv_bytes(edition):
    return _bytes(write_csv, edition)


@pytest.fixture(scope="module")
def table(csv_bytes):
    """The CSV as Python reads it."""
    usual = csv.field_size_limit(2**24)
    yield list(csv.DictReader(io.StringIO(csv_bytes.decode(), newline=""), strict=True))
    csv.field_size_limit(usual)


def _plain(value):
    return json.loads(json.dumps(value, default=str))


def _day(row):
    length = {"year": 4, "month": 7, "day": 10, None: 0}[row["release_date_precision"]]
    return row["release_date"] and row["release_date"].isoformat()[:length]


def _artist(number, **more):
    return {**{name: ROWS["artist"][number][name] for name in ARTIST}, **more}


def _release(number):
    if number is None:
        return None
    row = ROWS["release"][number]
    kept = {
        k: v for k, v in row.items() if k not in ("release_row", "source", "popularity", "artist_rows", "evidence_id")
    }
    return {**kept, "release_date": _day(row), "artists": [_artist(n) for n in row["artist_rows"] or ()]}


def _track(row):
    kept = {k: v for k, v in row.items() if k not in ("release_row", "statement_rows")}
    own = [one for one in ROWS["credit"] if one["track_row"] == row["track_row"]]
    return {
        **kept,
        "artists": [_artist(one["artist_row"], role=one["role"]) for one in own],
        "release": _release(row["release_row"]),
        "statements": [{name: ROWS["statement"][n][name] for name in STATEMENT} for n in row["statement_rows"]],
        "evidence_id": str(row["evidence_id"]),
    }


def test_a_line_of_json_is_a_track_with_all_that_belongs_to_it(json_bytes):
    assert json_bytes.endswith(b"\n")
    assert [json.loads(one) for one in json_bytes.split(b"\n")[:-1]] == [_plain(_track(row)) for row in ROWS["track"]]


def test_every_object_has_the_same_keys_in_the_same_order(json_bytes):
    found = {tuple(json.loads(one)) for one in json_bytes.split(b"\n")[:-1]}
    assert len(found) == 1


def _undone(cell):
    """A field without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", cell) else cell


def test_csv_comes_back_exactly(table):
    assert list(table[0]) == list(lines_module.CSV_COLUMNS)
    for row, found in zip(ROWS["track"], table, strict=True):
        due = _track(row)
        release = due["release"] or {}
        for name in (
            "title",
            "isrc",
            "duration_ms",
            "popularity",
            "listens_count",
            "listens_on",
            "licence",
            "evidence_id",
            "cluster_row",
        ):
            assert _undone(found[name]) == ("" if due[name] is None else str(due[name])), name
        for name in ("label", "upc", "release_date", "release_date_precision", "release_id"):
            assert _undone(found[name]) == str(release.get(name) or ""), name
        assert _undone(found["release"]) == (release.get("title") or "")
        assert found["is_explicit"] == {True: "true", False: "false", None: ""}[due["is_explicit"]]


def test_unknown_and_empty_are_told_apart(csv_bytes):
    written = csv_bytes.decode()
    (unknown,) = (row["track_row"] for row in ROWS["track"] if row["title"] is None)
    (empty,) = (row["track_row"] for row in ROWS["track"] if row["title"] == "")
    assert re.search(rf"^{unknown},shop,[^,]*,,", written, re.MULTILINE)
    assert re.search(rf'^{empty},shop,[^,]*,"",', written, re.MULTILINE)


def _lists(cell):
    """Split at `; ` that no backslash stands before, then take the backslashes off: as a reader of the documents would."""
    found, one, at = [], "", 0
    while at < len(cell):
        if cell[at] == "\\":
            one, at = one + cell[at + 1], at + 2
        elif cell.startswith("; ", at):
            found, one, at = [*found, one], "", at + 2
        else:
            one, at = one + cell[at], at + 1
    return [*found, one]


def test_lists_in_csv_come_back_exactly(table):
    several = 0
    for row, found in zip(ROWS["track"], table, strict=True):
        due = _track(row)
        lists = {
            "artists": [one["name"] for one in due["artists"]],
            "roles": [one["role"] for one in due["artists"]],
            "artist_ids": [one["artist_id"] for one in due["artists"]],
            "genres": due["genres"] or [],
            "languages": due["languages"] or [],
        }
        for name, values in lists.items():
            several += len(values) > 1
            assert (_lists(_undone(found[name])) if values else found[name]) == (values or ""), name
    assert several > TRACKS


def test_no_field_of_csv_begins_as_a_formula(table):
    assert [
        field for row in table for field in row.values() if field[:1] in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    ] == []
    assert any(title[:1] == "=" for title in HOSTILE), "nothing was tried"


def test_csv_is_rfc_4180(csv_bytes):
    bare = re.sub(rb'"(?:[^"]|"")*"', b"", csv_bytes)
    assert bare.count(b"\r\n") == TRACKS + 1
    assert bare.replace(b"\r\n", b"").count(b"\n") == bare.replace(b"\r\n", b"").count(b"\r") == bare.count(b'"') == 0
    assert {line.count(b",") for line in bare.split(b"\r\n")[:-1]} == {len(lines_module.CSV_COLUMNS) - 1}


def test_a_file_is_packed_by_its_suffix_and_two_have_the_same_bytes(edition, json_bytes, tmp_path):
    plain = json_bytes
    for name in ("out", "out.gz", "out.zst", "again.gz", "again.zst"):
        write_jsonl(edition, tmp_path / name, Silent())
    assert (tmp_path / "out").read_bytes() == plain
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == plain
    assert pa.CompressedInputStream(pa.OSFile(str(tmp_path / "out.zst")), "zstd").read() == plain
    for suffix in ("gz", "zst"):
        assert (tmp_path / f"out.{suffix}").read_bytes() == (tmp_path / f"again.{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 5, "something was left"


def test_a_packing_that_is_not_known_is_refused_before_anything_is_written(edition, tmp_path):
    with pytest.raises(UsageError, match=r"\.xz"):
        write_jsonl(edition, tmp_path / "out.jsonl.xz", Silent())
    assert list(tmp_path.iterdir()) == []


def test_an_edition_without_rows_has_no_lines_but_the_header(tmp_path):
    empty = make_edition(make_archive(tmp_path), {})
    assert _bytes(write_jsonl, empty) == b""
    assert _bytes(write_csv, empty).decode() == ",".join(lines_module.CSV_COLUMNS) + "\r\n"


def test_progress_is_counted_to_its_end(edition):
    class Counted(Silent):
        begun, done = None, 0

        def begin(self, label, total=None, unit=""):
            self.begun = total

        def advance(self, done=1, total=None):
            self.done += done

    counted = Counted()
    write_jsonl(edition, io.BytesIO(), counted)
    assert counted.done == counted.begun == TRACKS

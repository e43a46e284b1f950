"""What an edition's name rests on: what was read, which permission the newest harvest went by, what evidence is damaged."""

import json
import shutil
from datetime import timedelta

import pytest

import evidence_maker as made
from support import make_archive, tenuto, tenuto_json
from tenuto.catalogue import reading
from tenuto.catalogue.edition import open_edition
from tenuto.evidence import read_records
from tenuto.evidence.harvests import MANIFEST_NAME
from tenuto.model.errors import IntegrityError
from tenuto.model.records import ArtistSeen
from tenuto.sources import PERMISSION_KEY, subsonic

LATER = made.DAY + timedelta(days=30)
OPEN = made.permission('licence = "CC0-1.0"')
DARK = made.permission("may_keep = true\nmay_give_out = false")


def _said(minute, *more):
    """A shop whose answers carry the minute of its last scan."""
    index = [{"name": "#", "artist": [{"id": "a", "name": "Anna"}]}]
    return [
        made.call("getArtists", {"artists": {"lastModified": minute, "index": index}}),
        made.call("getScanStatus", {"scanStatus": {"scanning": False, "count": 1, "lastScan": f"09:{minute:02}"}}),
        made.album("r", [made.song("t", artistId="a", artist="Anna")]),
        *more,
    ]


def _licence(layout):
    return made.tracks(made.edition_of(layout))["t"]["licence"]


def _keys(file):
    return {record.answer.request.key for record in read_records(file)}


def _edit(folder, **values):
    """Write other values into the harvest.json of a folder."""
    file = folder / MANIFEST_NAME
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **values}))


def test_harvest_that_differs_only_in_what_no_connector_reads_gives_the_same_edition_and_bytes(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1))
    first = made.edition_of(layout)
    sums = made.sha256s(first.folder)
    for number in (2, 3):
        made.keep(layout, "shop", _said(number), LATER, shuffled_by=number)
        again = made.built(layout)
        assert (again.is_new, again.damage, again.edition.info) == (False, "", first.info)
    shutil.rmtree(layout.catalogue)
    assert made.sha256s(made.edition_of(layout).folder) == sums


def test_edition_has_another_name_when_the_parser_reads_other_things_in_the_same_evidence(tmp_path, monkeypatch):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1))
    before = made.edition_of(layout).info.edition
    parse = subsonic.parse
    monkeypatch.setattr(subsonic, "parse", lambda answer: (s for s in parse(answer) if not isinstance(s, ArtistSeen)))
    monkeypatch.setattr(reading, "program_digest", lambda: "of another program")
    assert made.edition_of(layout).info.edition != before


def test_permission_that_was_withdrawn_before_the_harvest_was_resumed_opens_nothing(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1, OPEN), is_withdrawn=True)
    assert _licence(layout) is None
    assert made.rows(made.edition_of(layout), "statement") == []


@pytest.mark.parametrize(("granted", "gives_out"), [(OPEN, True), (DARK, False)])
def test_of_two_permissions_in_a_resumed_harvest_the_one_that_it_went_by_holds(tmp_path, granted, gives_out):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1, OPEN, DARK), granted=granted)
    (statement,) = made.rows(made.edition_of(layout), "statement")
    assert statement["may_give_out"] is gives_out


def test_permission_whose_record_is_damaged_opens_nothing_though_an_older_harvest_has_it(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1, OPEN))
    assert _licence(layout) == "CC0-1.0"
    folder = made.keep(layout, "shop", [OPEN, *_said(2)], LATER, files="each")
    (file,) = (file for file in folder.glob("*.warc.gz") if PERMISSION_KEY in _keys(file))
    file.unlink()
    assert _licence(layout) is None


def test_of_two_lists_of_listens_in_a_resumed_harvest_the_last_holds(tmp_path):
    layout = make_archive(tmp_path)
    lists = [made.listens([("t", 900, "2026-02-02")]), made.listens([("t", 5, "2026-02-01")])]
    made.keep(layout, "shop", _said(1, *lists))
    assert made.tracks(made.edition_of(layout))["t"]["listens_count"] == 5


def test_file_that_is_not_what_harvest_json_says_is_damage_and_its_harvest_buries_nothing(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1, made.album("r2", [made.song("t2")])))
    folder = made.keep(layout, "shop", _said(1), LATER)
    files = json.loads((folder / MANIFEST_NAME).read_bytes())["files"]
    told = files[0]["sha256"]
    _edit(folder, files=[{**files[0], "sha256": "0" * 64}])
    edition = made.edition_of(layout)
    (finding,) = made.findings(edition, "evidence-damaged")
    assert told in finding["message"]
    assert "0" * 64 in finding["message"]
    assert set(made.tracks(edition)) == {"t", "t2"}


@pytest.mark.parametrize(
    "values",
    [
        {"harvest": "../../elsewhere"}, {"harvest": ".."}, {"harvest": ""}, {"harvest": "a\\b"}, {"outcomes": []},
        {"files": [{"name": "/etc/passwd", "bytes": 1, "sha256": "", "records": 1}]},
        {"files": [{"name": ".hidden", "bytes": 1, "sha256": "", "records": 1}]}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_harvest_json_of_another_shape_or_with_a_path_for_a_name_is_refused_with_its_place(tmp_path, values):
    layout = make_archive(tmp_path)
    folder = made.keep(layout, "shop", _said(1))
    _edit(folder, **values)
    with pytest.raises(IntegrityError, match="restore it from a copy, or move its folder away") as caught:
        made.built(layout)
    assert str(folder / MANIFEST_NAME) in str(caught.value)


def _truncate(folder):
    (folder / "track.parquet").write_bytes(b"PAR1")


def _flip(folder):
    content = bytearray((folder / "track.parquet").read_bytes())
    content[20] ^= 0xFF
    (folder / "track.parquet").write_bytes(content)


DAMAGES = {
    "table missing": lambda folder: (folder / "track.parquet").unlink(),
    "table cut off": _truncate,
    "about missing": lambda folder: (folder / "edition.json").unlink(),
    "about garbage": lambda folder: (folder / "edition.json").write_text("{"),
    "about of another shape": lambda folder: (folder / "edition.json").write_text('{"format": "tenuto-edition-1"}'),
    "empty": lambda folder: [file.unlink() for file in folder.iterdir()],
}


@pytest.mark.parametrize("how", [*DAMAGES, "table flipped"])
def test_build_writes_a_damaged_edition_anew_and_says_so(tmp_path, how):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1))
    edition = made.edition_of(layout)
    sums = made.sha256s(edition.folder)
    {**DAMAGES, "table flipped": _flip}[how](edition.folder)
    again = made.built(layout)
    assert again.damage
    assert not again.is_new
    assert made.sha256s(edition.folder) == sums
    assert not list(layout.catalogue.glob(".making-*"))
    assert made.built(layout).damage == ""


@pytest.mark.parametrize("how", DAMAGES)
def test_opening_an_edition_that_lacks_something_says_what_to_run(tmp_path, how):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", _said(1))
    edition = made.edition_of(layout)
    DAMAGES[how](edition.folder)
    with pytest.raises(IntegrityError, match="run: tenuto catalogue build"):
        open_edition(edition.folder)


def test_findings_of_the_newest_harvest_are_in_the_edition_and_in_its_name(tmp_path):
    layout = make_archive(tmp_path)
    found = [
        {"code": "counts-differ", "subject": "track", "message": "2 or 3", "source": "shop", "evidence_id": 0},
        {"code": "evidence-damaged", "subject": "x", "message": "told by the build itself", "evidence_id": 0},
    ]
    made.keep(layout, "shop", _said(1))
    without = made.edition_of(layout)
    made.keep(layout, "shop", _said(2), LATER, findings=found)
    edition = made.edition_of(layout)
    assert edition.info.edition != without.info.edition
    assert edition.info.findings == {"counts-differ": 1}
    (row,) = made.rows(edition, "finding")
    assert (row["source"], row["subject"], row["message"]) == ("shop", "track", "2 or 3")
    made.keep(layout, "shop", _said(3), LATER, findings=found)
    assert not made.built(layout).is_new
    made.keep(layout, "shop", _said(4), LATER)
    assert made.edition_of(layout).info.edition == without.info.edition


def test_build_ends_with_9_and_says_so_where_evidence_is_damaged(tmp_path):
    layout = make_archive(tmp_path)
    folder = made.keep(layout, "shop", _said(1), files="each")
    max(folder.glob("*.warc.gz")).unlink()
    assert "Evidence is damaged" in tenuto("catalogue", "build", "--archive", layout.root, code=9).stdout
    document = tenuto_json("catalogue", "build", "--archive", layout.root, code=9)
    assert document["findings"]["evidence-damaged"] == 1

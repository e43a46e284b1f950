"""The operator's own CSVs, listens and corrections: a bad line is a finding, and never takes a good one with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenuto.model.answers import Answer, Request
from tenuto.model.errors import SettingsError
from tenuto.model.records import CorrectionSeen, ListensSeen, ProblemSeen, Seen
from tenuto.sources import LISTENS_KEY, check_listens, corrections, parse
from tenuto.sources.corrections import Corrections
from tenuto.sources.csvrows import read_rows

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HEAD = "id,listens,date\n"
CORRECTED = "source,kind,id,field,value,reason,by\n"


def listens(text: str | bytes) -> list[Seen]:
    body = text.encode() if isinstance(text, str) else text
    check_listens(body, "listens.csv")
    return list(parse("subsonic", Answer(Request(LISTENS_KEY), body, "text/csv", NOW)))


def good(seen: list[Seen]) -> list[tuple[str, int, str]]:
    return [(item.track_id, item.listens_count, item.counted_on) for item in seen if isinstance(item, ListensSeen)]


def bad(seen: list[Seen]) -> list[str]:
    return [item.subject for item in seen if isinstance(item, ProblemSeen) and item.code == "record-invalid"]


def test_listens_are_read_with_their_date_and_scope() -> None:
    seen = listens(HEAD + 'a,1,2026-01-02\n日本 🎵,0,2026-01\n"c,d",30000000000,2026\n')
    assert good(seen) == [("a", 1, "2026-01-02"), ("日本 🎵", 0, "2026-01"), ("c,d", 30_000_000_000, "2026")]
    assert {item.listens_scope for item in seen if isinstance(item, ListensSeen)} == {"service"}
    assert len(seen) == 3


@pytest.mark.parametrize(
    "line",
    [
        "a,-1,2026",
        "a,x,2026",
        "a,1.5,2026",
        ",5,2026",
        "a,5,",
        "a,5,soon",
        "a",
        '"a,5,2026',
        'a,5,2026"x"y"',
        "a,,2026",
        "a\0,1",
    ],
)
def test_a_bad_line_is_a_problem_and_the_lines_round_it_are_read(line: str) -> None:
    seen = listens(f"{HEAD}before,1,2026\n{line}\nafter,2,2026\n")
    assert [track for track, *_ in good(seen)] in (["before", "after"], ["before", "a", "after"])
    assert bad(seen) in (["line 3"], [])
    assert len(good(seen)) + len(bad(seen)) == 3


def test_an_open_quote_takes_no_other_line_with_it_in_a_large_file() -> None:
    lines = [f"t{n},{n},2026" for n in range(20_000)]
    lines[7] = '"t7,7,2026'
    seen = listens(HEAD + "\n".join(lines))
    assert len(good(seen)) == 19_999
    assert bad(seen) == ["line 9"]


def test_a_line_of_a_megabyte_is_a_problem_and_no_crash() -> None:
    seen = listens(HEAD + "x" * 10**6 + ",1,2026\nb,1,2026\n")
    assert (good(seen), bad(seen)) == ([("b", 1, "2026")], ["line 2"])


@pytest.mark.parametrize(
    "head", ["ID, Listens ,DATE\n", "\ufeffid,listens,date\n", "date,extra,listens,id\n", "id,listens,date\r\n"]
)
def test_a_header_is_known_however_it_is_written(head: str) -> None:
    names = [name.strip().casefold() for name in head.strip("\ufeff\r\n ").split(",")]
    row = ",".join({"id": "a", "listens": "3", "date": "2026", "extra": "?"}[name] for name in names)
    assert good(listens(f"{head}{row}\r\n")) == [("a", 3, "2026")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"id,plays,date\na,1,2026\n",
        b"\xff\xfe\x00",
        b"id;listens;date\n",
        b'"' + b"x" * 200_000,
        b"\n" + HEAD.encode(),
    ],
)
def test_a_file_that_is_no_list_of_listens_is_an_error_of_the_settings(content: bytes) -> None:
    with pytest.raises(SettingsError, match=r"listens_file listens\.csv"):
        check_listens(content, "listens.csv")


def test_a_list_is_one_wherever_a_character_of_many_bytes_stands_in_it() -> None:
    for pad in range(8):
        body = (HEAD + "x" * (65_536 - len(HEAD) - 3 - pad) + "日本日本,1,2026\n").encode()
        check_listens(body, "listens.csv")


def test_bytes_that_are_no_utf8_are_read_as_such_and_the_rest_stays() -> None:
    seen = listens(HEAD.encode() + b"caf\xe9,1,2026\nb,2,2026\n")
    assert good(seen) == [("caf\ufffd", 1, "2026"), ("b", 2, "2026")]


@given(st.binary(max_size=300))
@example(b'"')
@example(b'id,listens,date\n"\n"\r"')
def test_no_bytes_make_either_reader_raise(body: bytes) -> None:
    for kind, key in (("subsonic", LISTENS_KEY), ("corrections", "corrections")):
        for item in parse(kind, Answer(Request(key), body, "text/csv", NOW)):
            assert isinstance(item, (ListensSeen, CorrectionSeen, ProblemSeen))


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_characters='"\r\n\0,', exclude_categories=["Cs"]), max_size=8),
            min_size=3,
            max_size=3,
        ),
        max_size=9,
    )
)
def test_rows_come_back_with_the_number_of_their_line(cells: list[list[str]]) -> None:
    body = "\n".join(["a,b,c", *(",".join(row) for row in cells)]).encode()
    rows = list(read_rows(body, is_line_by_line=True))
    assert [(row.line, list(row.cells.values())) for row in rows] == [(n, row) for n, row in enumerate(cells, 2)]


def corrected(text: str) -> list[Seen]:
    return list(corrections.parse(Answer(Request("corrections"), text.encode(), "text/csv", NOW)))


def test_corrections_are_read_with_their_reasons() -> None:
    seen = corrected(
        CORRECTED + 'shop,track,so-1,title,"New, title","two\nlines",Jo\nshop,track,so-2,isrc,,wrong code,Jo\n'
    )
    assert seen == [
        CorrectionSeen(
            corrected_source="shop",
            kind="track",
            own_id="so-1",
            field="title",
            value="New, title",
            reason="two\nlines",
            corrected_by="Jo",
        ),
        CorrectionSeen(
            corrected_source="shop",
            kind="track",
            own_id="so-2",
            field="isrc",
            value=None,
            reason="wrong code",
            corrected_by="Jo",
        ),
    ]


@pytest.mark.parametrize("column", ["source", "kind", "id", "field", "reason", "by"])
def test_a_correction_that_lacks_something_is_a_problem_and_the_next_is_read(column: str) -> None:
    whole = dict(
        zip(CORRECTED.strip().split(","), ["shop", "track", "so-1", "title", "x", "because", "Jo"], strict=True)
    )
    lacking = {**whole, column: "  "}
    seen = corrected(CORRECTED + ",".join(lacking.values()) + "\n" + ",".join(whole.values()) + "\n")
    assert [type(item) for item in seen] == [ProblemSeen, CorrectionSeen]
    assert isinstance(seen[0], ProblemSeen)
    assert (seen[0].subject, seen[0].message) == ("line 2", f"lacks {column}")


def test_an_open_quote_in_corrections_is_a_problem_and_no_crash() -> None:
    good_line = "shop,track,so-1,title,x,because,Jo\n"
    seen = corrected(CORRECTED + good_line + 'shop,track,so-2,title,"x,because,Jo\n' + good_line * 5000)
    assert isinstance(seen[0], CorrectionSeen)
    assert any(isinstance(item, ProblemSeen) for item in seen[1:])


@pytest.mark.parametrize("head", ["source,kind,id\n", "", "\0\n", '"' + "x" * 200_000])
def test_corrections_without_their_columns_are_an_error_of_the_settings(tmp_path: Path, head: str) -> None:
    file = tmp_path / "corrections.csv"
    file.write_text(head)
    source = Corrections(file)
    with pytest.raises(SettingsError, match=r"corrections\.csv"):
        source.check(source.fetch(Request("corrections")))


def test_corrections_that_do_not_exist_are_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        Corrections(tmp_path / "nowhere.csv")

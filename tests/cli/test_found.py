"""What `tenuto find` prints of what was found: which lines, in which groups, and what stands on them."""

import pytest

from tenuto.cli.found import render


def _one(own, **fields):
    return {"title": "Yesterday", "artists": ["The Beatles"], "release": None, "release_date": None, "match": "exact",
            "source": "shop", "track_id": own, "status": "unplanned", "crate": None, "licence": None, **fields}  # fmt: skip


def _lines(capsys, found, **options):
    render(found, **{"is_more": False, "hint": "", **options})
    return capsys.readouterr().out.splitlines()


def test_near_matches_stand_below_a_line_that_says_so(capsys):
    lines = _lines(capsys, [_one("t1"), _one("t2", title="Yesterdey", match="near"), _one("t3", match="near")])
    heads = [lines.index("in another spelling:"), lines.index("Yesterdey | The Beatles")]
    assert heads == [2, 3]
    assert lines.count("in another spelling:") == 1


@pytest.mark.parametrize(("found", "own", "shared"), [
    ([_one("t1"), _one("t2")], ["", ""], "2 tracks; each: unplanned; licence unknown"),
    ([_one("t1", licence="CC0-1.0"), _one("t2")], ["; CC0-1.0", "; licence unknown"], "2 tracks; each: unplanned"),
    ([_one("t1", status="kept", crate="c1"), _one("t2", status="kept", crate="c2")],
     ["; kept in c1", "; kept in c2"], "2 tracks; each: licence unknown"),
    ([_one("t1", status="planned", licence="CC0-1.0"), _one("t2", status="excluded")],
     ["; planned; CC0-1.0", "; excluded; licence unknown"], "2 tracks")])  # fmt: skip
def test_only_what_is_so_of_all_is_said_once(capsys, found, own, shared):
    lines = _lines(capsys, found)
    assert lines[1:4:2] == [f"  shop:{one['track_id']}{said}" for one, said in zip(found, own, strict=True)]
    assert lines[-1] == shared


@pytest.mark.parametrize("title", [":smile: [bold]song[/bold]", "100 % {title}", "a" * 500])
def test_a_title_stands_as_it_is_written(capsys, title):
    assert _lines(capsys, [_one("t1", title=title)])[0] == f"{title} | The Beatles"

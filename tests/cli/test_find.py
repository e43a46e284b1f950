"""`tenuto find`: by words, ids and codes; with status, licence and crate; and what it says to words that find nothing."""

import subprocess
import sys

import pytest

import evidence_maker as made
from support import make_archive, tenuto, tenuto_json
from tenuto.archive import ArchiveLock, Layout

pytestmark = pytest.mark.long  # processes, and waiting for them

MBID = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    layout = make_archive(tmp_path_factory.mktemp("find"))
    songs = [made.song("t1", title="Jóga", artistId="a1", artist="Björk", isrc=["GBAAA9700001"], musicBrainzId=MBID),
             made.song("t2", title="Yesterday", artistId="a2", artist="The Beatles", isrc=["GBAYE6500521"]),
             made.song("t3", title="Yesterday", artistId="a3", artist="Somebody Else"),
             made.song("t4", title="Дорога", artistId="a4", artist="Кино")]  # fmt: skip
    made.keep(
        layout, "shop", [made.album("r1", songs, name="All of it", year=1997), made.permission('licence = "CC0-1.0"')]
    )
    made.edition_of(layout)
    return layout.root


def _ids(root, *words):
    return [track["track_id"] for track in tenuto_json("find", *words, "--archive", root)["tracks"]]


@pytest.mark.parametrize(("words", "first"), [
    (("bjork",), "t1"), (("JOGA",), "t1"), (("yesterday", "beatles"), "t2"), (("yesterd",), "t2"), (("дорога",), "t4"),
    (("--isrc", "gb-aye-65-00521"), "t2"), (("--mbid", MBID.upper()), "t1"), (("--id", "t3"), "t3"), (("--id", "r1"), "t1"),
    (("--title", "yesterday", "--artist", "somebody"), "t3"), (("--title", "yest", "--artist", "somebody el"), "t3"),
    (("--year", "1997", "--licence", "CC0-1.0", "jóga"), "t1")])  # fmt: skip
def test_what_is_asked_for_comes_first(root, words, first):
    assert _ids(root, *words)[0] == first


def test_each_answer_says_licence_status_and_crate(root):
    (track,) = tenuto_json("find", "--id", "t1", "--archive", root)["tracks"]
    assert (track["title"], track["artists"], track["release"], track["release_date"]) == (
        "Jóga",
        ["Björk"],
        "All of it",
        "1997",
    )
    assert (track["licence"], track["status"], track["crate"]) == ("CC0-1.0", "unplanned", None)
    said = tenuto("find", "beatles", "--archive", root).stdout
    assert "The Beatles" in said
    assert "shop:t2" in said
    assert said.endswith("1 track\n")


PRINTED = """\
Concerto | New York Philharmonic; Beethoven, Ludwig van; Hill, Ureli Corelli | At the Hall, 1911-05-18
  shop:n1
Concerto | New York Philharmonic | At the Hall, 1911-05
  shop:n2
2 tracks; each: unplanned; licence unknown
"""


@pytest.fixture(scope="module")
def concerts(tmp_path_factory):
    layout = make_archive(tmp_path_factory.mktemp("concerts"))
    people = ["New York Philharmonic", "Beethoven, Ludwig van", "Hill, Ureli Corelli"]
    crowd = [f"Singer {n}" for n in range(10)]
    evenings = [("n1", "Concerto", people, {"year": 1911, "month": 5, "day": 18}),
                ("n2", "Concerto", people[:1], {"year": 1911, "month": 5}),
                ("n3", "Messiah", crowd, {"year": 1912}),
                ("n4", "Two\nLines", crowd[:2], {"year": 1912})]  # fmt: skip
    records = [
        made.album(
            f"r{own}",
            [made.song(own, title=title, artists=[{"id": name, "name": name} for name in names])],
            name="At the Hall",
            releaseDate=day,
        )
        for own, title, names, day in evenings
    ]
    made.keep(layout, "shop", records)
    made.edition_of(layout)
    return layout.root


def _said(root, *words):
    return tenuto("find", *words, "--archive", root).stdout


def test_people_are_told_apart_dates_are_as_long_as_known_and_what_is_so_of_all_is_said_once(concerts):
    assert _said(concerts, "concerto") == PRINTED


def test_a_crowd_is_counted_and_one_track_says_all_of_itself(concerts):
    assert "Singer 7; 2 more | At the Hall, 1912\n  shop:n3; unplanned; licence unknown\n1 track\n" in _said(
        concerts, "messiah"
    )


def test_a_title_with_a_line_break_stays_on_its_line(concerts):
    assert _said(concerts, "--id", "n4").startswith("Two Lines | Singer 0; Singer 1 | At the Hall, 1912\n  shop:n4;")


@pytest.mark.parametrize(("words", "is_more"), [
    (("concerto",), False), (("concerto", "--limit", "2"), False), (("concerto", "--limit", "1"), True)])  # fmt: skip
def test_that_the_limit_hides_some_is_said(concerts, words, is_more):
    document = tenuto_json("find", *words, "--archive", concerts)
    assert document["is_more"] is is_more
    assert f"{len(document['tracks'])} of more tracks (see --limit)" in _said(concerts, *words) or not is_more
    assert ("more" in _said(concerts, *words)) is is_more


def test_near_matches_come_last_and_are_told_from_exact_ones(root, concerts):
    near = tenuto_json("find", "yesterdey", "--archive", root)["tracks"]
    assert [(track["track_id"], track["match"]) for track in near] == [("t2", "near"), ("t3", "near")]
    assert _said(root, "yesterdey").startswith("nothing fits exactly; near it are:\nYesterday | The Beatles")
    exact = tenuto_json("find", "yesterd", "--archive", root)["tracks"]
    assert [track["match"] for track in exact] == ["exact", "exact"]
    assert "in another spelling" not in _said(root, "yesterd")


@pytest.mark.parametrize(("words", "hint"), [
    (("concerto", "zzzzqqq"), "nothing was found; fewer words find more\n"),
    (("zzzzqqq",), "nothing was found\n"),
    (("--title", "concertt"),
     "nothing was found; plain words may be misspelt, those of --title may not\n"),
    (("concerto", "--year", "1950"), "nothing was found; more may be found without --year\n"),
    (("--id", "zzz"), "nothing was found; no track of this edition has this id, and no release\n")])  # fmt: skip
def test_what_may_find_more_is_said(concerts, words, hint):
    assert _said(concerts, *words) == hint


LOADED = """
import sys
from tenuto.cli import main
try:
    main(sys.argv[2:])
finally:
    print(*sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [("--id", "t2"), ("--isrc", "GBAYE6500521"), ("yesterday",)])
def test_a_lookup_loads_nothing_that_it_does_not_need(root, words):
    tenuto("find", *words, "--archive", root)  # the index is there from now on
    heavy = "pyarrow.compute,pyarrow.parquet,duckdb,httpx,pydantic,rich.console,tenuto.rights,tenuto.sources"
    process = [sys.executable, "-c", LOADED, heavy, "find", *words, "--archive", str(root)]
    ended = subprocess.run(process, capture_output=True, text=True, check=True)
    assert "The Beatles" in ended.stdout
    assert ended.stderr == "\n"


def test_nothing_found_is_no_fault(root):
    assert _ids(root, "zzzzqqq") == []
    assert "nothing was found" in tenuto("find", "zzzzqqq", "--archive", root).stdout
    assert _ids(root, "yesterday", "--limit", "1") == ["t2"]


@pytest.mark.parametrize(("words", "said"), [
    ((), "nothing to find"), (("--isrc", "12"), "no ISRC"), (("--id", "t1", "beatles"), "by itself"),
    (("--id", "t1", "--isrc", "GBAYE6500521"), "by itself"), (("x", "--limit", "0"), "--limit")])  # fmt: skip
def test_what_cannot_be_asked_is_said(root, words, said):
    assert said in tenuto("find", *words, "--archive", root, code=2).stderr


def test_archive_without_a_catalogue_says_what_to_run(tmp_path):
    layout = make_archive(tmp_path)
    assert "tenuto catalogue build" in tenuto("find", "x", "--archive", layout.root, code=2).stderr


FULL = """
import resource, sys
from tenuto.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))
main(sys.argv[1:])
"""


def test_a_disk_that_refuses_to_grow_is_said_and_leaves_nothing(tmp_path):
    layout = make_archive(tmp_path)
    songs = [made.song(f"t{n}", title=f"Song {n * 7919}", artistId="a1", artist="Björk") for n in range(3_000)]
    made.keep(layout, "shop", [made.album(f"r{n}", songs[n::30], name="All", year=1997) for n in range(30)])
    made.edition_of(layout)
    words = [sys.executable, "-c", FULL, "find", "song", "--archive", str(layout.root)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "File too large" in ended.stderr
    assert "a bug" not in ended.stderr
    assert not [path for path in layout.state.rglob("*") if path.name.startswith(".making-")]
    assert len(_ids(layout.root, "song")) == 20


def test_index_lies_where_it_is_asked_for(root, tmp_path):
    folder = tmp_path / "index"
    assert _ids(root, "jóga", "--index", folder) == _ids(root, "--id", "t1", "--index", folder) == ["t1"]
    assert len(list(folder.glob("*/text/search.json"))) == 1


def test_while_another_process_works_in_the_archive_it_is_found_all_the_same(root):
    with ArchiveLock(Layout(root).lock, "catalogue build"):
        assert _ids(root, "yesterday", "beatles") == ["t2"]


def test_ids_and_titles_like_sql_are_names(tmp_path):
    layout = make_archive(tmp_path)
    hostile = ["'; DROP TABLE track; --", "a'b''c", "{}", "%s", "\\'"]
    songs = [made.song(own, title=own, artistId="a1", artist="x'y") for own in hostile]
    made.keep(layout, "shop", [made.album("r1", songs, name="All", year=1997)])
    made.edition_of(layout)
    tenuto("plan", "--archive", layout.root, code=None)
    layout.crates.mkdir(exist_ok=True)
    for own in hostile:
        (track,) = tenuto_json("find", "--id", own, "--archive", layout.root)["tracks"]
        assert (track["track_id"], track["status"]) == (own, "planned")

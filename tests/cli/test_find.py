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
    (("--title", "yesterday", "--artist", "somebody"), "t3"),
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

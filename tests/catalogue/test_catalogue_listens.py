"""Dated counts and ranks of sources that describe others: they reach the things described, and are nobody's history."""

from datetime import date, timedelta

import pytest

import evidence_maker as made
from support import make_archive
from tenuto.catalogue.descriptions import Described, Precedence

CODE = "DEAB12345678"
BY_CODE = Precedence({"dump": Described(("shop",), ("code",))})
BY_ID = Precedence({"dump": Described(("shop",), ("id",))})
JUNE, MAY = ("2014-06", date(2014, 6, 1)), ("2014-05", date(2014, 5, 1))


def _song(own_id, **fields):
    return made.song(own_id, **{"isrc": [CODE], **fields})


def _edition(tmp_path, precedence, **said):
    layout = make_archive(tmp_path)
    for source, pages in said.items():
        made.keep(layout, source, pages)
    return made.edition_of(layout, precedence)


def _heard(edition):
    return {own: (row["listens_count"], row["listens_on"]) for own, row in made.tracks(edition).items()}


def test_dated_listens_of_one_that_describes_reach_every_track_that_it_speaks_for(tmp_path):
    shop = [made.search([_song("t1"), _song("t2"), _song("t3", isrc=None)])]
    dump = [made.search([_song("x9")]), made.listens([("x9", 7, JUNE[0])])]
    edition = _edition(tmp_path, BY_CODE, shop=shop, dump=dump)
    assert _heard(edition) == {"t1": (7, JUNE[1]), "t2": (7, JUNE[1]), "t3": (None, None)}
    assert made.findings(edition, "permission-unmatched") == []


def test_list_of_one_that_describes_is_told_of_when_it_names_what_itself_does_not_have(tmp_path):
    dump = [made.search([_song("x9")]), made.listens([("x9", 7, JUNE[0]), ("t1", 8, JUNE[0])])]
    edition = _edition(tmp_path, BY_CODE, shop=[made.search([_song("t1")])], dump=dump)
    (finding,) = made.findings(edition, "permission-unmatched")
    assert (finding["source"], finding["subject"]) == ("dump", "t1")
    assert _heard(edition) == {"t1": (7, JUNE[1])}


def test_list_for_the_source_itself_outranks_every_order(tmp_path):
    shop = [made.search([_song("t1"), _song("t2")]), made.listens([("t1", 5, MAY[0])])]
    dump = [made.search([_song("x9")]), made.listens([("x9", 7, JUNE[0])])]
    edition = _edition(tmp_path, Precedence(BY_CODE.describing, {"*": ("dump",)}), shop=shop, dump=dump)
    assert _heard(edition) == {"t1": (5, MAY[1]), "t2": (7, JUNE[1])}


@pytest.mark.parametrize(
    ("order", "heard"), [((), (3, made.DAY)), (("dump",), (7, JUNE[1])), (("other", "dump"), (9, made.DAY))]
)
def test_count_of_a_page_and_lists_of_others_follow_the_order_of_the_operator(tmp_path, order, heard):
    shop = [made.search([_song("t1", playCount=3)])]
    dump = [made.search([_song("x9", playCount=4)]), made.listens([("x9", 7, JUNE[0])])]
    other = [made.search([_song("y9", playCount=9)])]
    describing = {name: Described(("shop",), ("code",)) for name in ("dump", "other")}
    precedence = Precedence(describing, {"track.listens_count": order})
    edition = _edition(tmp_path, precedence, shop=shop, dump=dump, other=other)
    assert _heard(edition) == {"t1": heard}


def test_rank_of_one_that_describes_stands_where_the_source_gives_none(tmp_path):
    albums = [made.album(own, [made.song(f"t-{own}")]) for own in ("a", "b")]
    edition = _edition(
        tmp_path, BY_ID, shop=[*albums, made.frequent("b")], dump=[*albums, made.frequent("x", "b", "a")]
    )
    ranks = {own: row["listens_rank"] for own, row in made.tracks(edition).items()}
    assert ranks == {"t-a": 3, "t-b": 1}


def test_what_others_say_is_nobodys_history(tmp_path):
    layout = make_archive(tmp_path)
    for number, count in enumerate((4, 5)):
        made.keep(layout, "shop", [made.search([_song("t1"), _song("t2", isrc=None, playCount=2)])], _day(number))
        dump = [made.search([_song("x9", playCount=count)]), made.listens([("x9", 7, JUNE[0])])]
        made.keep(layout, "dump", dump[: number + 1], _day(number))
        edition = made.edition_of(layout, BY_CODE)
        rows = {row["track_id"]: row["track_row"] for row in made.rows(edition, "track")}
        told = [(row["track_row"], row["seen_on"], row["listens_count"]) for row in made.rows(edition, "history")]
        assert told == [(rows["t2"], _day(0), 2)]
        assert _heard(edition)["t1"][0] == (4, 7)[number]


def _day(number):
    return made.DAY + timedelta(days=number)

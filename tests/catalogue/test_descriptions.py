"""Several sources about one thing: whose word comes first is the operator's choice, and nothing is taken that fits two records."""

import pytest

import evidence_maker as made
from support import make_archive
from tenuto.archive.settings import parse_settings
from tenuto.catalogue.descriptions import Described, Precedence
from tenuto.model.errors import SettingsError

CODE = "DEAB12345678"
BY_CODE = Precedence({"dump": Described(("shop",), ("code",))})


def _edition(tmp_path, shop, dump, precedence=BY_CODE, day=made.DAY):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search(shop)], day)
    made.keep(layout, "dump", [made.search(dump)], day)
    return made.edition_of(layout, precedence)


def _song(own_id, **fields):
    return made.song(own_id, **{"isrc": [CODE], **fields})


def test_what_the_source_does_not_say_is_taken_from_the_one_that_describes_it(tmp_path):
    edition = _edition(
        tmp_path, [_song("t1", explicitStatus=None)], [_song("x9", title="Other", explicitStatus="explicit")]
    )
    (track,) = made.rows(edition, "track")
    assert (track["source"], track["track_id"], track["title"], track["is_explicit"]) == (
        "shop",
        "t1",
        "Title of t1",
        True,
    )
    (said,) = made.rows(edition, "description")
    assert (said["kind"], said["row_number"], said["source"], said["own_id"], said["matched_by"]) == (
        "track",
        0,
        "dump",
        "x9",
        "code",
    )
    assert said["evidence_id"] != track["evidence_id"]


def test_the_operator_says_for_each_field_whose_word_comes_first(tmp_path):
    precedence = Precedence(BY_CODE.describing, {"track.title": ("dump", "shop"), "*": ("shop", "dump")})
    edition = _edition(tmp_path, [_song("t1", duration=100)], [_song("x9", title="Right", duration=101)], precedence)
    (track,) = made.rows(edition, "track")
    assert (track["title"], track["duration_ms"]) == ("Right", 100_000)
    assert "track.title from dump shop" in edition.info.precedence


def test_of_two_that_describe_the_first_in_the_order_that_knows_it_holds(tmp_path):
    layout = make_archive(tmp_path)
    for source, title in (("shop", "Shop"), ("one", "One"), ("two", None)):
        made.keep(layout, source, [made.search([_song("t1", title=title)])])
    precedence = Precedence(
        {name: Described(("shop",), ("id",)) for name in ("one", "two")}, {"*": ("two", "one", "shop")}
    )
    assert [row["title"] for row in made.rows(made.edition_of(layout, precedence), "track")] == ["One"]


def test_surer_ways_come_first(tmp_path):
    precedence = Precedence({"dump": Described(("shop",), ("code", "id"))}, {"*": ("dump",)})
    edition = _edition(
        tmp_path, [_song("t1")], [_song("t1", title="Same id", isrc=None), _song("x", title="Same code")], precedence
    )
    assert [row["title"] for row in made.rows(edition, "track")] == ["Same id"]


def test_a_code_shared_by_two_records_or_by_another_length_is_not_taken(tmp_path):
    precedence = Precedence(BY_CODE.describing, {"*": ("dump",)})
    twice = [_song("x1", title="One"), _song("x2", title="Two")]
    edition = _edition(tmp_path / "twice", [_song("t1")], twice, precedence)
    assert [row["title"] for row in made.rows(edition, "track")] == ["Title of t1"]
    (finding,) = made.findings(edition, "description-unclear")
    assert (finding["source"], "t1" in finding["message"]) == ("dump", True)
    edition = _edition(tmp_path / "long", [_song("t1", duration=100)], [_song("x1", duration=111)], precedence)
    assert [row["title"] for row in made.rows(edition, "track")] == ["Title of t1"]
    assert made.findings(edition, "description-unclear") == []


def test_a_code_that_everything_has_costs_no_square_of_it(tmp_path):
    songs = {name: [_song(f"{name}{n}") for n in range(3000)] for name in ("t", "x")}
    edition = _edition(tmp_path, songs["t"], songs["x"])
    assert len(made.rows(edition, "description")) == 0
    (finding,) = made.findings(edition, "description-unclear")
    assert finding["message"].startswith("3,000 of this kind")


def test_one_that_describes_has_no_tracks_tombstones_or_offers_of_its_own(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([_song("t1")])])
    made.keep(layout, "dump", [made.album("r9", [_song("x1"), _song("x2", isrc=None)])])
    made.keep(layout, "dump", [made.search([_song("x1")])], made.DAY.replace(day=9))
    edition = made.edition_of(layout, BY_CODE)
    for table in ("artist", "release", "track", "offer", "tombstone"):
        assert {row.get("source", "shop") for row in made.rows(edition, table)} <= {"shop"}, table
    assert (len(made.rows(edition, "track")), len(made.rows(edition, "offer"))) == (1, 1)
    assert edition.info.sources["dump"].tracks == 0


def test_a_correction_by_hand_outranks_everybody(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([_song("t1"), _song("t2", isrc=None)])])
    made.keep(layout, "dump", [made.search([_song("x1", title="Dump")])])
    rows = [
        ("shop", "track", "t1", "title", "Hand"),
        ("shop", "track", "t2", "duration_ms", "7"),
        ("shop", "track", "t2", "isrc", ""),
    ]
    made.keep(layout, "hand", [made.corrections(*rows)], kind="corrections")
    tracks = made.tracks(made.edition_of(layout, Precedence(BY_CODE.describing, {"*": ("dump",)})))
    assert (tracks["t1"]["title"], tracks["t2"]["title"], tracks["t2"]["duration_ms"]) == ("Hand", "Title of t2", 7)


def test_another_order_is_another_edition_and_none_at_all_is_the_old_one(tmp_path):
    plain = _edition(tmp_path / "a", [_song("t1")], [_song("x1")], None)
    same = _edition(tmp_path / "b", [_song("t1")], [_song("x1")], Precedence({}, {"*": ("dump",)}))
    other = _edition(tmp_path / "c", [_song("t1")], [_song("x1")])
    assert plain.info.edition == same.info.edition != other.info.edition


def _settings(more):
    archive = "format = 1\n[archive]\nname = 'a'\ncontact = 'a@archive.invalid'\n"
    keys = "[keys]\nfolder = '/keys'\nsigning_public = '" + 64 * "0" + "'\nage_recipients = ['age1x']\n"
    sources = "".join(f"[sources.{name}]\nkind = 'folder'\nlocation = '/{name}'\n" for name in ("shop", "dump"))
    return parse_settings(archive + keys + sources + more, "tenuto.toml")


def test_settings_say_who_describes_whom():
    settings = _settings(
        "describes = ['shop']\nmatched_by = ['mbid']\n[catalogue.precedence]\n'track.isrc' = ['dump', 'shop']\n"
    )
    precedence = Precedence.of(settings)
    assert precedence.ranked("track", "isrc", "shop") == ["dump", "shop"]
    assert precedence.ranked("track", "title", "shop") == ["shop", "dump"]
    assert list(precedence.lines()) == ["dump describes shop by mbid", "track.isrc from dump shop"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("describes = ['nobody']\n", "nobody"),
        ("describes = ['dump']\n", "dump"),
        ("describes = ['shop']\nmatched_by = []\n", "matched_by is empty"),
        ("describes = ['shop']\nmatched_by = ['name']\n", "matched_by"),
        ("[catalogue.precedence]\n'*' = ['nobody']\n", "no source nobody"),
        ("[catalogue.precedence]\n'track.licence_text' = ['dump']\n", "track.licence_text cannot be given"),
    ],
)
def test_mistakes_in_settings_are_named(more, said):
    with pytest.raises(SettingsError, match=said):
        Precedence.of(_settings(more))

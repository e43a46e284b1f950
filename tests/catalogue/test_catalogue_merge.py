"""From many answers about one thing to one row: nothing lost, nothing invented, order kept."""

import random
from datetime import date, timedelta

import pytest

import evidence_maker as made
from support import make_archive

LATER = made.DAY + timedelta(days=3)


def _edition(tmp_path, *said, **how):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", said, **how)
    return made.edition_of(layout)


def test_fullest_answer_gives_each_field_first_and_the_others_fill_its_gaps(tmp_path):
    rich = made.song("t1", title="Rich", isrc=["DEAB12345678"], discNumber=2, genre="Fugue", bitRate=None)
    poor = made.song(
        "t1", title="Poor", duration=None, size=None, suffix=None, contentType=None, explicitStatus="explicit"
    )
    edition = _edition(tmp_path, made.album("r1", [rich]), made.search([{**poor, "bitRate": None}]))
    track = made.tracks(edition)["t1"]
    assert (track["title"], track["isrc"], track["is_explicit"], track["duration_ms"]) == (
        "Rich",
        "DEAB12345678",
        True,
        120_000,
    )
    assert len(made.rows(edition, "track")) == 1


def test_ids_given_twice_in_one_answer_with_contradicting_fields_give_one_row_each_the_first_word(tmp_path):
    words = random.Random(1)
    songs = [made.song(f"t{n:04}", title=f"{words.random()}", duration=words.randint(1, 999)) for n in range(3000)]
    again = [made.song(one["id"], title=f"{words.random()}", duration=words.randint(1, 999)) for one in songs]
    edition = _edition(tmp_path, made.search([*songs, *again]))
    found = {own: (row["title"], row["duration_ms"]) for own, row in made.tracks(edition).items()}
    assert found == {one["id"]: (one["title"], one["duration"] * 1000) for one in songs}
    findings = made.findings(edition, "records-contradict")
    assert {finding["subject"] for finding in findings} == found.keys()
    assert all("title" in finding["message"] and finding["evidence_id"] for finding in findings)


def test_answers_that_fill_each_others_gaps_do_not_contradict_each_other(tmp_path):
    whole, part = made.song("t1", isrc=["DEAB12345678"]), made.song("t1", duration=None)
    edition = _edition(tmp_path, made.album("r1", [whole]), made.search([{**part, "albumId": "r1"}]))
    assert made.findings(edition, "records-contradict") == []


def test_listens_given_twice_for_one_day_are_those_of_the_last_line(tmp_path):
    songs = [made.song(f"t{n:04}") for n in range(2000)]
    lines = [(one["id"], 100 + turn, "2026-02-01") for turn in range(3) for one in songs]
    random.Random(1).shuffle(lines)
    last = {own: count for own, count, _ in lines}
    edition = _edition(tmp_path, made.search(songs), made.listens(lines))
    assert {own: row["listens_count"] for own, row in made.tracks(edition).items()} == last


def test_missing_release_is_a_finding_and_the_track_stays_without_one(tmp_path):
    edition = _edition(tmp_path, made.search([made.song("t1", albumId="nowhere")]))
    assert made.tracks(edition)["t1"]["release_row"] is None
    assert made.rows(edition, "release") == []
    (finding,) = made.findings(edition, "reference-missing")
    assert (finding["subject"], "release nowhere" in finding["message"]) == ("t1", True)
    assert finding["evidence_id"] == made.tracks(edition)["t1"]["evidence_id"]


def test_missing_artist_is_a_finding_and_no_artist_is_invented(tmp_path):
    people = [{"artist": {"id": "a9"}, "role": "composer"}]
    edition = _edition(tmp_path, made.search([made.song("t1", artistId="a1", artist="Johann", contributors=people)]))
    assert [row["name"] for row in made.rows(edition, "artist")] == ["Johann", None]
    layout = make_archive(tmp_path / "two")
    made.keep(layout, "shop", [made.search([made.song("t1", artistId="a1", artist="Johann")])])
    made.keep(layout, "shop", [made.search([made.song("t1")])], LATER)
    assert made.rows(made.edition_of(layout), "artist") == []


def test_credits_keep_the_order_of_the_source_and_their_roles(tmp_path):
    names = ["Zoe", "Adam", "Mia", "Ben"]
    songs = [made.song("t1", artists=[{"id": name.lower(), "name": name} for name in names],
                       contributors=[{"role": "conductor", "artist": {"id": "adam", "name": "Adam"}}])]  # fmt: skip
    edition = _edition(tmp_path, made.album("r1", songs), made.search([made.song("t1")]))
    named = {row["artist_row"]: row["name"] for row in made.rows(edition, "artist")}
    credited = [(row["position"], named[row["artist_row"]], row["role"]) for row in made.rows(edition, "credit")]
    assert credited == [(1, "Zoe", "artist"), (2, "Adam", "artist"), (3, "Mia", "artist"), (4, "Ben", "artist"),
                        (5, "Adam", "conductor")]  # fmt: skip


def test_ten_thousand_artists_on_one_track_are_all_credited_in_order(tmp_path):
    order = list(range(10_000))
    random.Random(3).shuffle(order)
    edition = _edition(
        tmp_path, made.search([made.song("t1", artists=[{"id": f"a{n}", "name": f"N{n}"} for n in order])])
    )
    named = {row["artist_row"]: row["name"] for row in made.rows(edition, "artist")}
    credited = made.rows(edition, "credit")
    assert [named[row["artist_row"]] for row in credited] == [f"N{n}" for n in order]
    assert [row["position"] for row in credited] == list(range(1, 10_001))


def test_more_credits_than_a_position_can_count_do_not_stop_the_build(tmp_path):
    people = [{"id": "a", "name": "A"}] * 66_000
    edition = _edition(tmp_path, made.search([made.song("t1", artists=people), made.song("t2")]))
    assert edition.info.tables["track"].rows == 2
    assert max(row["position"] for row in made.rows(edition, "credit")) == 65_535


@pytest.mark.parametrize("where", ["title", "artist", "album"])
def test_texts_that_no_table_can_hold_are_mended_and_found(tmp_path, where):
    odd = "A\0B \ud83d C\u0007 e\u0301"
    fields = {"title": odd} if where == "title" else {"artistId": "a1", "artist": odd} if where == "artist" else {}
    release = {"name": odd} if where == "album" else {}
    edition = _edition(tmp_path, made.album("r1", [made.song("t1", **fields)], **release))
    table, column = {"title": ("track", "title"), "artist": ("artist", "name"), "album": ("release", "title")}[where]
    (row,) = made.rows(edition, table)
    assert row[column] == "A\ufffdB \ufffd C\ufffd \u00e9"
    found = made.findings(edition, "text-mended")
    assert found
    assert all(one["evidence_id"] for one in found)


def test_title_of_a_megabyte_is_kept_whole_and_a_longer_one_is_cut_and_found(tmp_path):
    edition = _edition(
        tmp_path, made.search([made.song("t1", title="a" * 1_000_000), made.song("t2", title="ä" * 1_000_001)])
    )
    found = made.tracks(edition)
    assert (len(found["t1"]["title"]), len(found["t2"]["title"])) == (1_000_000, 1_000_000)
    assert [one["subject"] for one in made.findings(edition, "text-mended")] == ["t2"]


SPELLINGS = [("e\u0301", "\u00e9"), (" a", "a"), ("b ", "b"), ("C", "c"), ("d\0", "d"), ("ﬁ", "fi"), ("g/h", "g//h")]


def test_ids_that_differ_only_in_spelling_are_two_tracks(tmp_path):
    ids = [own for pair in SPELLINGS for own in pair]
    edition = _edition(
        tmp_path,
        made.album(
            "r1", [made.song(own, title=f"number {number}", path=f"{own}.mp3") for number, own in enumerate(ids)]
        ),
    )
    assert {own: row["title"] for own, row in made.tracks(edition).items()} == {
        own: f"number {number}" for number, own in enumerate(ids)
    }
    offers = {row["fetch_id"]: row["path"] for row in made.rows(edition, "offer")}
    assert offers == {own: f"{own}.mp3" for own in ids}


DATES = [
    ({"year": 1911}, (date(1911, 1, 1), "year")),
    ({"releaseDate": {"year": 1911, "month": 5}}, (date(1911, 5, 1), "month")),
    ({"releaseDate": {"year": 1911, "month": 5, "day": 18}}, (date(1911, 5, 18), "day")),
    ({"year": 0}, (None, None)),
    ({}, (None, None)),
    ({"releaseDate": {"year": 1911, "month": 13}}, (None, None)),
    ({"releaseDate": {"year": 1911, "month": 2, "day": 30}}, (None, None)),
    ({"year": 9999}, (date(9999, 1, 1), "year")),
    ({"year": 12}, (date(12, 1, 1), "year")),
    ({"year": "1911"}, (date(1911, 1, 1), "year")),
]


def test_release_dates_keep_their_precision_and_are_never_invented(tmp_path):
    edition = _edition(tmp_path, *(made.album(f"r{number}", [], **said) for number, (said, _) in enumerate(DATES)))
    found = {
        row["release_id"]: (row["release_date"], row["release_date_precision"]) for row in made.rows(edition, "release")
    }
    assert found == {f"r{number}": stored for number, (_, stored) in enumerate(DATES)}


def test_unfit_numbers_are_findings_and_stay_empty(tmp_path):
    odd = made.song("t1", duration=-5, size="many", track=10**12, playCount=-1, bitRate=1e300, discNumber=True)
    edition = _edition(tmp_path, made.search([odd]))
    track = made.tracks(edition)["t1"]
    assert [track[name] for name in ("duration_ms", "track_number", "listens_count", "disc_number")] == [None] * 4
    assert made.rows(edition, "offer")[0]["bytes"] is None
    assert len(made.findings(edition, "value-odd")) == 6


def test_list_of_listens_outranks_the_play_count_of_a_user(tmp_path):
    songs = [made.song("t1", playCount=3), made.song("t2", playCount=4), made.song("t3")]
    listed = made.listens([("t1", 0, "2026-02-14"), ("t3", 9, "2026-02")])
    found = made.tracks(_edition(tmp_path, made.search(songs), listed))
    heard = {own: (row["listens_count"], row["listens_scope"], row["listens_on"]) for own, row in found.items()}
    assert heard == {
        "t1": (0, "service", date(2026, 2, 14)),
        "t2": (4, "user", made.DAY),
        "t3": (9, "service", date(2026, 2, 1)),
    }


def test_latest_date_of_a_list_of_listens_is_the_one_that_counts(tmp_path):
    lines = [("t1", 5, "2025-12-31"), ("t1", 90, "2026-02"), ("t1", 7, "2026-01-31")]
    track = made.tracks(_edition(tmp_path, made.search([made.song("t1")]), made.listens(lines)))["t1"]
    assert (track["listens_count"], track["listens_on"]) == (90, date(2026, 2, 1))


def test_listens_of_a_track_that_is_not_there_are_a_finding(tmp_path):
    edition = _edition(tmp_path, made.search([made.song("t1")]), made.listens([("t9", 5, "2026-01-01")]))
    (finding,) = made.findings(edition, "permission-unmatched")
    assert finding["subject"] == "t9"


def test_frequent_list_gives_a_rank_and_never_a_count(tmp_path):
    said = [
        made.album("r1", [made.song("t1")]),
        made.album("r2", [made.song("t2"), made.song("t3")]),
        made.album("r3", [made.song("t4")]),
    ]
    edition = _edition(tmp_path, *said, made.frequent("r2", "r1"))
    found = made.tracks(edition)
    assert {own: row["listens_rank"] for own, row in found.items()} == {"t1": 2, "t2": 1, "t3": 1, "t4": None}
    assert {(row["listens_count"], row["listens_scope"], row["listens_on"]) for row in found.values()} == {
        (None, None, None)
    }
    assert made.rows(edition, "history") == []


def test_answers_of_an_older_server_version_fill_nothing_in_when_the_newest_harvest_speaks(tmp_path):
    layout = make_archive(tmp_path)
    made.keep(layout, "shop", [made.search([made.song("t1", artistId="a1", artist="Johann", isrc=["DEAB12345678"])])])
    made.keep(layout, "shop", [made.album("r1", [made.song("t1", title="Now")])], LATER)
    edition = made.edition_of(layout)
    track = made.tracks(edition)["t1"]
    assert (track["title"], track["isrc"], made.rows(edition, "credit")) == ("Now", None, [])


def test_release_lists_its_artists_in_order_and_leaves_out_those_that_nobody_describes(tmp_path):
    people = [{"id": "z", "name": "Zoe"}, {"id": "a", "name": "Adam"}]
    edition = _edition(tmp_path, made.album("r1", [made.song("t1")], artists=people))
    named = {row["artist_row"]: row["name"] for row in made.rows(edition, "artist")}
    (release,) = made.rows(edition, "release")
    assert [named[row] for row in release["artist_rows"]] == ["Zoe", "Adam"]


def test_tracks_of_a_release_lie_together_by_disc_and_number(tmp_path):
    places = {"t1": ("r2", 2, 1), "t2": ("r1", None, 2), "t3": ("r2", 1, 9), "t4": ("r1", None, 1), "t5": ("r2", 1, 10),
              "t6": (None, 1, 1)}  # fmt: skip
    songs = [made.song(own, albumId=release, discNumber=disc, track=at) for own, (release, disc, at) in places.items()]
    said = [made.album("r1"), made.album("r2"), made.search(songs)]
    assert [row["track_id"] for row in made.rows(_edition(tmp_path, *said), "track")] == [
        "t4",
        "t2",
        "t3",
        "t5",
        "t1",
        "t6",
    ]


def test_answers_that_are_nonsense_give_no_rows_and_do_not_stop_the_build(tmp_path):
    bodies = [b"", b"{", b"[]", b"null", b'{"subsonic-response": 7}', b"\xff\xfe\0", b'{"subsonic-response":{"album":[[]]}}',
              b"[" * 100_000]  # fmt: skip
    odd = [made.Said(f"getAlbum?id={number}&f=json", body) for number, body in enumerate(bodies)]
    edition = _edition(tmp_path, *odd, made.Said("unheard-of?x=1", b"{}"), made.search([made.song("t1")]))
    assert set(made.tracks(edition)) == {"t1"}

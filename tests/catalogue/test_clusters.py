"""Which tracks are the same recording: each rule, each contradiction, and what is not compared."""

import itertools
import random
import time

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_pairs import TRACKS, Measured

from tenuto.catalogue.clusters import THRESHOLD, candidates, find_clusters, plain
from tenuto.catalogue.clusters.features import make_features
from tenuto.catalogue.clusters.score import SPAN_MAX_MS
from tenuto.catalogue.clusters.union import components
from tenuto.model.names import artist_keys, parse_title

pytestmark = pytest.mark.long  # processes, and waiting for them

CODE, OTHER_CODE = "DEAB12345678", "DEAB12399999"


def track(title="Song", artist="Anna", isrc=None, ms=200_000, release=None):
    """One track; `artist` may be a list."""
    return {
        "title": title,
        "artist": [artist] if isinstance(artist, str) else artist,
        "release_title": release,
        "isrc": isrc,
        "duration_ms": ms,
    }


def clusters_of(rows, threads=2, threshold=THRESHOLD):
    """What is found in tracks, numbered as they come unless they have numbers."""
    table = pa.Table.from_pylist([{"track_row": n, **row} for n, row in enumerate(rows)], TRACKS)
    with duckdb.connect(config={"threads": threads}) as con:
        con.register("tracks", table)
        return find_clusters(con, "tracks", threshold)


def are_same(*rows):
    """Whether all are one cluster."""
    return clusters_of(rows).cluster_row.to_pylist() == [0] * len(rows)


def links_of(*rows):
    """Row, cluster, reason and score of all linked tracks."""
    return [tuple(row.values()) for row in clusters_of(rows).links.to_pylist()]


def test_same_title_people_and_length_are_a_cluster_without_any_isrc():
    assert links_of(track(), track("Song!", "ANNA", ms=200_700)) == [(0, 0, "title", 1.0), (1, 0, "title", 1.0)]


@pytest.mark.parametrize(
    "other",
    [
        track("Song - Remastered 2011"),
        track("SONG (Album Version)"),
        track("Song [Explicit]"),
        track("Song (feat. Bo)", ["Anna", "Bo"]),
        track(artist="Anna & Bo"),
        track(artist=["Bo", "Anna"]),
        track(isrc=OTHER_CODE),
        track(ms=203_000),
        track("The Song"),
    ],
)
def test_a_spelling_a_remaster_a_guest_or_a_reissue_is_the_same(other):
    assert are_same(track(isrc=CODE), other)


@pytest.mark.parametrize(
    "other",
    [
        track("Song (Live)"),
        track("Song (Remix)"),
        track("Song - Acoustic"),
        track("Song (Karaoke Version)"),
        track("Song (Instrumental)"),
        track("Song (Demo)"),
        track("Song (Radio Edit)"),
        track("Song (Sped Up)"),
        track(release="Album (Live)"),
        track(ms=211_000),
        track(isrc=CODE, ms=211_000),
        track(isrc=OTHER_CODE, ms=205_000),
        track("Song, Pt. 2"),
        track("Tune"),
        track(artist="Berta"),
        track(ms=None),
    ],
)
def test_another_version_length_title_or_person_is_another_recording(other):
    assert not are_same(track(isrc=CODE), other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Clean", "Explicit"), ("Mono", "Stereo"), ("Live in Cork", "Live in Oslo"), ("Tum Remix", "Bo Remix")],
)
def test_opposites_are_no_cluster_even_with_one_isrc(one, other):
    assert not are_same(track(f"Song ({one})", isrc=CODE), track(f"Song ({other})", isrc=CODE))


@pytest.mark.parametrize(
    "other",
    [track("Titre"), track("Song", "Berta"), track(ms=None), track(ms=208_000), track("Song (Remastered)", "Ann A")],
)
def test_an_isrc_makes_good_one_thing_that_differs(other):
    assert are_same(track(isrc=CODE), {**other, "isrc": "de-ab1-23-45678"})


@pytest.mark.parametrize(
    "other",
    [track("Tune", "Berta"), track("Tune", ms=206_000), track("Tune", "Berta", ms=None), track("Tune", ms=None)],
)
def test_an_isrc_given_to_two_songs_is_a_hint_and_no_more(other):
    assert not are_same(track(isrc=CODE), {**other, "isrc": CODE})


def test_two_people_with_the_same_guest_are_two():
    assert not are_same(track(artist=["Anna", "Bo"]), track(artist=["Cy", "Bo"]))


def test_what_is_no_isrc_links_nothing():
    assert (
        links_of(track(isrc="0"), track("Tune", isrc="0"), track("Tune", "Berta", isrc=""), track("X", isrc="")) == []
    )


def test_a_misspelt_title_is_found_next_to_the_right_one():
    found = links_of(
        track("The Night We Met Again"), track("The Night We Meet Again"), track("The Night We Met Again", "Berta")
    )
    assert [(row, cluster, reason) for row, cluster, reason, _ in found] == [(0, 0, "spelling"), (1, 0, "spelling")]


@pytest.mark.parametrize(
    ("one", "other"), [("Symphony of Light 5", "Symphony of Light 6"), ("Concerto I Allegro", "Concerto II Allegro")]
)
def test_numbers_in_titles_are_no_misspelling(one, other):
    assert links_of(track(one), track(other)) == []


def test_a_live_recording_meets_the_one_that_says_where_and_two_places_stay_apart():
    rows = [track("Song (Live in Cork)"), track("Song (Live)"), track("Song (Live in Oslo)")]
    assert clusters_of(rows).cluster_row.to_pylist() == [0, 0, 2]


def test_the_best_links_win_where_a_chain_would_join_what_contradicts():
    lengths = [200_000, 203_000, 206_000, 209_000, 212_000, 215_000]
    found = clusters_of([track(ms=ms) for ms in lengths]).cluster_row.to_numpy()
    for cluster in np.unique(found):
        within = np.array(lengths)[found == cluster]
        assert within.max() - within.min() <= SPAN_MAX_MS
    assert len(np.unique(found)) == 2


def test_different_isrcs_keep_a_chain_short():
    rows = [track(isrc=f"DEAB1234567{n}", ms=200_000 + 3_000 * n) for n in range(4)]
    assert clusters_of(rows).cluster_row.to_pylist() == [0, 0, 2, 2]


def test_clean_and_explicit_do_not_meet_through_one_that_says_nothing():
    found = clusters_of([track("Song (Clean)"), track(), track("Song [Explicit]")]).cluster_row.to_pylist()
    assert found[0] != found[2]


def test_nothing_known_is_no_cluster():
    empty = dict.fromkeys(("title", "artist", "release_title", "isrc", "duration_ms"))
    rows = [
        empty,
        empty,
        {**empty, "title": "Song"},
        {**empty, "title": "Song"},
        track("", ""),
        track("", ""),
        track(artist=[None]),
        track(artist=[]),
        track(artist="Various Artists"),
        track(artist="Unknown Artist"),
        {**empty, "isrc": CODE},
        {**empty, "isrc": CODE},
        track(ms=0),
    ]
    found = clusters_of(rows)
    assert found.links.num_rows == 0
    assert found.cluster_row.to_pylist() == list(range(len(rows)))


def test_no_track_at_all_is_no_cluster():
    found = clusters_of([])
    assert (found.links.num_rows, len(found.cluster_row)) == (0, 0)


@pytest.mark.parametrize("rows", [[0, 0], [0, 2], [1, 2], [0, None]])
def test_rows_that_are_no_row_numbers_are_refused(rows):
    with pytest.raises(ValueError, match="track_row"):
        clusters_of([track() | {"track_row": row} for row in rows])


def test_texts_of_a_megabyte_with_nuls_are_texts():
    hostile = [
        "x" * 10**6,
        "(" * 10**6,
        "a\x00b",
        "\x00",
        "???",
        "'; DROP TABLE clusters_track; --",
        "%s{}",
        "\u202e\u200b",
        "🎵" * 1000,
    ]
    found = clusters_of([track(text, text, isrc=text, release=text) for text in hostile * 2])
    assert found.cluster_row.to_pylist()[: len(hostile)] == list(range(len(hostile)))
    assert found.cluster_row[len(hostile)].as_py() == 0


def test_a_hundred_thousand_intros_of_as_many_artists_and_of_one_take_seconds():
    rows = [track("Intro", f"Artist {n}", isrc=CODE) for n in range(100_000)]
    rows += [track("Intro", "Various Artists"), track("Intro", "One", ms=30_000)] * 500
    rows += [track("Intro", "Many", f"DEAB2{n:07d}", ms=30_000 + n % 60_000) for n in range(100_000)]
    begin = time.process_time()
    found = clusters_of(rows).cluster_row.to_numpy()
    assert time.process_time() - begin < 20
    assert (found[:100_000] == 0).all()  # the same ISRC, title and length: one recording under many names
    lengths = np.array([row["duration_ms"] for row in rows])
    for cluster in np.unique(found[101_000:])[:200]:
        within = lengths[found == cluster]
        assert within.max() - within.min() <= SPAN_MAX_MS


def test_the_result_does_not_depend_on_order_or_threads():
    rows, _ = made_tracks(3_000, seed=3)
    numbered = [{**row, "track_row": n} for n, row in enumerate(rows)]
    first = clusters_of(numbered, threads=1)
    for threads in (1, 2, 4):
        random.Random(threads).shuffle(numbered)
        again = clusters_of(numbered, threads=threads)
        assert again.links.equals(first.links)
        assert again.cluster_row.equals(first.cluster_row)


def test_nothing_is_left_in_the_database():
    with duckdb.connect() as con:
        con.register("tracks", pa.Table.from_pylist([{"track_row": 0, **track()}], TRACKS))
        find_clusters(con, "tracks")
        assert con.execute(
            "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall() == [("tracks",)]


VALUES = st.lists(
    st.builds(
        track,
        st.sampled_from(
            [
                "Song",
                "Song (Live)",
                "Song (Live in Cork)",
                "Songs",
                "Song (Clean)",
                "Song [Explicit]",
                "A longer title",
                "A longer titel",
                None,
            ]
        ),
        st.sampled_from(["Anna", "Bo", ["Anna", "Bo"], ["Bo", "Anna", "Cy"], None]),
        st.sampled_from([None, CODE, OTHER_CODE]),
        st.one_of(st.none(), st.integers(190_000, 215_000)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_every_track_is_in_one_cluster_that_does_not_contradict_itself(rows):
    found = clusters_of(rows)
    label = found.cluster_row.to_pylist()
    links = {row["track_row"]: row for row in found.links.to_pylist()}
    assert len(label) == len(rows)
    for cluster in set(label):
        members = [n for n, its in enumerate(label) if its == cluster]
        assert cluster == min(members)
        assert all((n in links) == (len(members) > 1) for n in members)
        assert all(
            links[n]["cluster_row"] == cluster and THRESHOLD <= links[n]["score"] <= 1 for n in members if n in links
        )
        lengths = [rows[n]["duration_ms"] for n in members if rows[n]["duration_ms"]]
        assert not lengths or max(lengths) - min(lengths) <= SPAN_MAX_MS
        names = [parse_title(rows[n]["title"]) for n in members if rows[n]["title"]]
        assert len({name.versions for name in names}) <= 1
        assert len({name.detail for name in names} - {""}) <= 1
        assert len({name.marks for name in names if name.marks}) <= 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_components_are_what_links_join(pairs):
    found = components(31, np.array([a for a, _ in pairs], np.uint32), np.array([b for _, b in pairs], np.uint32))
    groups = [{n} for n in range(31)]
    for a, b in pairs:
        joined = groups[a] | groups[b]
        for n in joined:
            groups[n] = joined
    assert found.tolist() == [min(group) for group in groups]


def test_a_chain_of_a_million_is_one_component_at_once():
    order = np.random.default_rng(1).permutation(1_000_000).astype(np.uint32)
    begin = time.process_time()
    assert not components(1_000_000, order[:-1], order[1:]).any()
    assert time.process_time() - begin < 10


EXAMPLES = 60
TITLES = [
    "Song",
    "The Song's end",
    "A the",
    "the",
    "Die  Young",
    " x",
    "Ça va",
    "Ça va’s",
    "Où est Łódź",
    "Song ø",
    "Rock n roll",
    "rock n",
    "Part II",
    "Song Remix",
    "Song - Remastered 2011",
    "the (Live)",
    "The - X",
    "A (B) C",
    "(Intro) Song",
    "Song [x",
    "Song - A - Live",
    "Song - Live - A",
    "É (feat. X)",
    "Song (feat. X) - Y",
    "Song(Live)x",
    "2[]2",
    "0\x1f0",
    "Song-Live",
    "Song -Live",
    "Ｗide",
    "C# (x)",
    "a & b",
    "Song)",
    "Song, The",
    "x" * 2000,
    "İx",
    "ſong",
    "ŉ",
    "K (K)",
    "et",
    "Song (II)",
    "Part (II)",
    "x (n) y",
    "Don't! (Live)",
    "P!nk's",
    "E.T.",
    "J. S. Bach, Op. 1",
    "Jay-Z - x",
    "a - ",
    "- a",
    "a -(b)",
    "Up-Down / Left",
    "A/B",
    "Why?! ...",
    "???",
    "A & B & (C)",
    "a &",
    "x, the",
    "Fire und Ice, Pt. 2",
    "Pt. II",
    "Song, Pt. II (Live)",
    "Vol. 3: n n n",
    "part",
    "Σίσυφος ΐ",
    "Æther ÞŒ ẞ ßß İ ı",
    "Ёлка йод ѐ",
    "أحمد آمن ؤئ محـمد",
    "هَذا",
    "がか ソング",
    "퀘 촟",
    "ก็ กํา กู่ กู่",
    "क़ानून की",
    "क\u093c x",
    "é и",
    "Song (feat. 퀘 촟)",
    "Song (Live) [ft. É & B] - Mono",
    "Song (feat. (A) B)",
    "Song (a (feat. B) c)",
    "Song (feat. A) the",
    "Song,(feat. A) the",
    "Song -(Feat. A)Live",
    "Song (feat. .)",
    "Song ) (feat. A)",
    "Song (featuring A - B)",
    "Song (feat. A) feat. B (Live)",
    "Song (feat. A) Remix",
    "Song [ft - ",
    "Song (feat. A)+ ",
    "B (Live) #2",
    "Song, The ",
    "أู",
]


PIECES = ["Song", "the ", "Die ", " ", " - ", "(", ")", "[", "]", "feat. ", "ft ", "X", "É", "퀘", "Live", ", ", "Pt. ", "2", "II",
          "n ", " und ", "&", "-", "!", ".", "?", "'", "Remix", "Mono"]  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(TITLES),
            st.text(st.sampled_from("aéßŞx '’()[]-&2İ̈!?,.:/яйёσςاأكがกู่ की퀘")),
            st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
            st.text(),
        ),
        max_size=30,
    )
)
def test_sql_reads_plain_titles_and_credits_as_python_does(texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in [*texts, *TITLES]]
    rows = [{"track_row": n, **track(text, text)} for n, text in enumerate(texts)]
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("tracks", pa.Table.from_pylist(rows, TRACKS))
        make_features(con, "tracks")
        found = {
            row: rest
            for row, *rest in con.execute(
                "SELECT track_row, key, versions, marks, person, detail FROM clusters_track"
            ).fetchall()
        }
        hashes = dict(
            con.execute(
                "SELECT text, hash(text) FROM (SELECT unnest($1) AS text)",
                [sorted({key for text in texts for key in (*artist_keys([text]), parse_title(text).detail)} | {""})],
            ).fetchall()
        )
    for n, text in enumerate(texts):
        name = parse_title(text)
        if name.key:
            people = artist_keys([text])
            assert found[n] == [
                name.key,
                name.versions.value,
                name.marks.value,
                hashes[people[0]] if people else 0,
                hashes[name.detail] if name.detail else 0,
            ], text
        else:
            assert n not in found


def test_sql_folds_every_letter_it_takes_as_python_does():
    letters = [chr(code) for code in range(0x20, 0x30000) if not 0xD800 <= code < 0xE000]
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("letters", pa.table({"said": [form for one in letters for form in (f"b{one}c", f"{one} z")]}))
        for read, want in [
            (plain.plain_titles, lambda said: parse_title(said).key),
            (plain.plain_credits, lambda said: " ".join(artist_keys([said]))),
        ]:
            found = con.execute(
                f"SELECT said, {plain.without_articles('plain')} FROM ({read('FROM letters')}) WHERE plain IS NOT NULL"
            ).fetchall()
            assert len(found) > 70_000  # Han, Hangul, kana, Latin and more; else the test sees nothing
            assert [(said, key, want(said)) for said, key in found if key != want(said)] == []


def test_most_titles_in_common_scripts_need_no_python():
    said = ["The Song", "Ça ira: L'été!", "Ødegård & Łódź", "Где-то ёлки", "夜に駆ける", "사랑 노래", "أغنية", "สวัสดี ครู",
            "हिन्दी गीत", "Σ' αγαπώ", "Hits, Vol. 2", "Feuer und Eis"]  # fmt: skip
    with duckdb.connect() as con:
        con.register("titles", pa.table({"said": said}))
        found = con.execute(f"SELECT said FROM ({plain.plain_titles('FROM titles')}) WHERE plain IS NULL").fetchall()
    assert found == []


def test_the_result_does_not_depend_on_how_rows_come_in_batches(monkeypatch):
    rows, _ = made_tracks(2_000, seed=5)
    rows += [
        track(f"Song ({place})", ms=200_000 + 10 * n)
        for n in range(100)
        for place in ("Live", "Live in Cork", "Live in Oslo")
    ]
    whole = clusters_of(rows)
    for size in (1_000, 2_048, 7_000):  # no run is longer
        monkeypatch.setattr(candidates, "BATCH_ROWS", size)
        assert clusters_of(rows).links.equals(whole.links)


def test_a_run_longer_than_a_batch_is_parted_alike_whatever_comes_with_it(monkeypatch):
    monkeypatch.setattr(candidates, "BATCH_ROWS", 50)
    rows = [
        track(f"Song ({place})", ms=200_000 + 10 * n)
        for n in range(100)
        for place in ("Live", "Live in Cork", "Live in Oslo")
    ]
    found = [clusters_of(rows, threads=threads) for threads in (1, 2, 4)]
    assert found[0].links.equals(found[1].links)
    assert found[0].links.equals(found[2].links)
    assert found[0].links.num_rows == len(rows)


def test_a_credit_of_ten_thousand_people_and_one_of_one_are_read():
    crowd = [f"Person {n}" for n in range(10_000)]
    assert are_same(track(artist=crowd), track(artist=crowd), track(artist="Person 0"))


def made_tracks(count, seed=1):
    """Tracks of known recordings, and the recording of each: what is usual in catalogues, and what is wrong in them."""
    chance = random.Random(seed)
    words = ["".join(chance.choice("bdfgklmnrst") + chance.choice("aeiou") for _ in range(3)) for _ in range(400)]
    rows, recordings = [], []
    for recording in itertools.count():
        if len(rows) >= count:
            break
        title, artist = (
            " ".join(chance.choices(words, k=chance.choice((1, 2, 3)))).title(),
            chance.choice(words).title(),
        )
        code, ms = f"DEAB1{recording:07d}", chance.randrange(120_000, 300_000)
        version = chance.choice(["", "", "", "", " (Live)", " (Acoustic)", " - DJ Tum Remix"])
        works = [(version, ms, code)]
        if chance.random() < 0.2:  # another recording of the same song
            works.append(
                (
                    chance.choice([" (Live at the Rex)", " (Instrumental)", " [Karaoke Version]", " - Radio Edit"]),
                    ms + chance.randrange(-3000, 3000),
                    f"DEAB2{recording:07d}",
                )
            )
        for n, (words_of_version, length, isrc) in enumerate(works):
            for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
                said = (
                    title
                    + words_of_version
                    + chance.choice(
                        ["", "", "", " - Remastered 2011", " [Explicit]", " (feat. Guest)", " (Album Version)"]
                    )
                )
                said = said.upper() if chance.random() < 0.1 else said
                given_code = (
                    None
                    if chance.random() < 0.2
                    else f"DEAB1{chance.randrange(0, 50):07d}"
                    if chance.random() < 0.02
                    else isrc
                )
                rows.append(
                    track(
                        said,
                        [artist, "Guest"] if chance.random() < 0.2 else artist,
                        given_code,
                        length + chance.randrange(-600, 600),
                    )
                )
                recordings.append(2 * recording + n)
    return rows[:count], recordings[:count]


def test_recordings_of_known_truth_are_found():
    rows, recordings = made_tracks(20_000)
    found = clusters_of(rows).cluster_row.to_pylist()
    sizes, joined, truth = Counted(found), Counted(list(zip(found, recordings, strict=True))), Counted(recordings)
    right = joined.pairs
    measured = Measured(right, sizes.pairs - right, truth.pairs - right)
    assert measured.precision > 0.99
    assert measured.recall > 0.98


class Counted:
    """Pairs of equal values."""

    def __init__(self, values):
        counts = {}
        for value in values:
            counts[value] = counts.get(value, 0) + 1
        self.pairs = sum(n * (n - 1) // 2 for n in counts.values())

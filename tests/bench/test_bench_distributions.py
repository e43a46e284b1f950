"""The figures of a catalogue are those that were published."""

import unicodedata
from collections import Counter
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tenuto.bench import figures, tables, truth
from tenuto.bench.chance import Dice
from tenuto.bench.layout import VERSIONS_MAX, layout_of, sizes_of
from tenuto.bench.words import LANGUAGES
from tenuto.model.tables import TABLES
from tenuto.sources import values

pytestmark = pytest.mark.long

TRACKS = 200_000


@lru_cache(maxsize=1)
def drawn() -> dict[str, pa.Table]:
    batches: dict[str, list[pa.RecordBatch]] = {}
    for table, batch in tables(1, TRACKS):
        batches.setdefault(table, []).append(batch)
    return {table: pa.Table.from_batches(found) for table, found in batches.items()}


def column(table: str, name: str) -> np.ndarray:
    return drawn()[table].column(name).to_numpy(zero_copy_only=False)


def test_tables_have_the_columns_of_an_edition() -> None:
    assert {name: table.schema for name, table in drawn().items()} == {name: TABLES[name] for name in drawn()}


def test_tables_have_as_many_rows_as_published_ratios_say() -> None:
    rows = {name: table.num_rows for name, table in drawn().items()}
    assert rows["track"] == TRACKS
    assert rows["release"] / TRACKS == pytest.approx(58.6 / 256.04, rel=0.01)
    assert rows["artist"] / TRACKS == pytest.approx(15.43 / 256.04, rel=0.01)
    assert len(np.unique(truth(1, TRACKS, np.arange(TRACKS)))) / TRACKS == pytest.approx(186 / 256.04, rel=0.01)
    assert pc.count_distinct(drawn()["track"].column("isrc")).as_py() / TRACKS == pytest.approx(186 / 256.04, rel=0.03)


def test_rows_are_in_their_final_order() -> None:
    for table in ("artist", "release"):
        ids = drawn()[table].column(f"{table}_id").to_pylist()
        assert ids == sorted(ids)
        assert len(set(ids)) == len(ids)
    for table in ("artist", "release", "track"):
        assert (column(table, f"{table}_row") == np.arange(drawn()[table].num_rows)).all()
    place = column("track", "release_row").astype(np.int64) * 10**6
    place += column("track", "disc_number").astype(np.int64) * 1_000 + column("track", "track_number")
    assert (np.diff(place) > 0).all()
    assert (np.diff(column("credit", "track_row").astype(np.int64) * 100 + column("credit", "position")) > 0).all()


def test_references_lead_to_rows() -> None:
    assert column("track", "release_row").max() == drawn()["release"].num_rows - 1
    assert column("credit", "artist_row").max() < drawn()["artist"].num_rows
    assert len(np.unique(column("credit", "artist_row"))) > 0.6 * drawn()["artist"].num_rows
    counts = np.bincount(column("track", "release_row"))
    assert (counts == column("release", "tracks_count")).all()
    assert np.mean(counts == 1) > 0.5


def test_popularity_is_heavy_at_0_and_as_rare_as_published_at_50() -> None:
    popularity = figures.popularity(np.random.default_rng(1).random(20_000_000))
    assert np.mean(popularity == 0) == pytest.approx(0.71, abs=0.01)
    assert np.mean(popularity >= 50) == pytest.approx(210_000 / 256_040_000, rel=0.05)
    assert popularity.max() <= 100
    assert np.mean(column("track", "popularity") == 0) == pytest.approx(0.71, abs=0.01)


def test_most_listens_lie_between_50_and_80() -> None:
    share = figures.survival()
    exactly = share - np.append(share[1:], 0)
    popularity = np.arange(101)
    listens = np.exp(np.log(5.6e9 / 1_000) / 99 * (popularity - 0.5)) * 1_000 * (popularity > 0) * exactly
    assert listens[50:81].sum() / listens.sum() > 0.5


def test_listens_are_below_1000_where_popularity_is_0_and_missing_for_some() -> None:
    track = drawn()["track"]
    unheard = track.filter(pc.equal(track.column("popularity"), 0)).column("listens_count")
    assert pc.max(unheard).as_py() < 1_000
    assert unheard.null_count / len(unheard) == pytest.approx(0.5, abs=0.01)
    assert track.filter(pc.greater(track.column("popularity"), 0)).column("listens_count").null_count == 0


def test_durations_peak_at_whole_minutes_and_have_a_long_tail() -> None:
    duration_ms = column("track", "duration_ms")
    counts = Counter((duration_ms // 1000).tolist())
    for minutes in (2, 3, 4):
        around = np.mean([counts[minutes * 60 + s] for s in (-5, -4, -3, 3, 4, 5)])
        assert counts[minutes * 60] > 1.5 * around
    assert 190_000 < duration_ms.mean() < 230_000
    assert 0.001 < np.mean(duration_ms > 1_200_000) < 0.02
    assert duration_ms.min() >= 1_000


def test_explicit_is_as_published() -> None:
    assert np.mean(column("track", "is_explicit").astype(bool)) == pytest.approx(0.135, abs=0.005)


def test_every_isrc_and_upc_is_valid() -> None:
    isrcs = drawn()["track"].column("isrc").drop_null().to_pylist()[:20_000]
    assert all(values.isrc(isrc) == isrc for isrc in isrcs)
    upcs = drawn()["release"].column("upc").to_pylist()[:20_000]
    for upc in upcs:
        assert values.upc(upc) == upc
        digits = [int(digit) for digit in upc.zfill(14)]
        assert (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10 == 0
    assert {len(upc) for upc in upcs} == {12, 13}
    assert len(set(column("release", "upc"))) < drawn()["release"].num_rows


def test_ids_are_22_base_62_characters_below_2_to_the_128() -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    ids = drawn()["track"].column("track_id").to_pylist()
    assert len(set(ids)) == TRACKS
    firsts = []
    for one in ids[:5_000]:
        number = 0
        for character in one:
            number = number * 62 + digits.index(character)
        assert len(one) == 22
        assert number < 2**128
        firsts.append(number >> 124)
    assert min(np.bincount(firsts, minlength=16)) > 200


def test_names_come_in_many_scripts() -> None:
    def script(text: str) -> str:
        return unicodedata.name(next((c for c in text if c.isalpha()), "A")).split()[0]

    scripts = Counter(map(script, drawn()["artist"].column("name").to_pylist()))
    wanted = {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "HEBREW",
        "DEVANAGARI",
        "CJK",
        "HANGUL",
        "THAI",
        "HIRAGANA",
        "KATAKANA",
    }
    assert wanted <= scripts.keys()
    assert 0.75 < scripts["LATIN"] / scripts.total() < 0.9
    assert sum(language.share for language in LANGUAGES) == pytest.approx(1, abs=0.005)
    names = drawn()["artist"].column("name").to_pylist() + drawn()["track"].column("title").to_pylist()
    assert all(unicodedata.is_normalized("NFC", name) and name == name.strip() and name for name in names)


def test_genres_are_those_of_artists_with_the_published_ones_first() -> None:
    counts = Counter(genre for genres in drawn()["artist"].column("genres").to_pylist() for genre in genres or ())
    assert len(counts) > 100
    found, ranks = figures.genre_ranks(Dice(1), np.arange(2_000_000), 1_500)
    shares = np.bincount(ranks)[:4] / 2_000_000
    assert shares[:3] == pytest.approx([0.00148, 0.00137, 0.00133], rel=0.15)
    assert shares[3] < shares[2]
    assert 0.02 < np.mean(found > 0) < 0.2


def test_dates_are_of_three_precisions_and_mostly_young() -> None:
    precision = Counter(drawn()["release"].column("release_date_precision").to_pylist())
    assert precision.keys() == {"year", "month", "day"}
    assert precision["day"] > 0.8 * precision.total()
    years = pc.year(drawn()["release"].column("release_date")).to_numpy()
    assert years.max() == 2025
    assert years.min() < 1990
    assert np.median(years) > 2015


def test_versions_of_a_recording_are_up_to_20_and_mostly_one() -> None:
    recordings = truth(1, TRACKS, np.arange(TRACKS))
    sizes = np.bincount(np.unique(recordings, return_inverse=True)[1])
    assert 8 < sizes.max() <= VERSIONS_MAX
    assert np.mean(sizes == 1) > 0.7


def test_tracks_of_one_recording_agree_as_sources_do() -> None:
    recordings = truth(1, TRACKS, np.arange(TRACKS))
    first = np.unique(recordings, return_index=True)
    home = first[1][np.searchsorted(first[0], recordings)]
    is_repeat = home != np.arange(TRACKS)
    duration = column("track", "duration_ms").astype(np.int64)
    assert np.abs(duration - duration[home])[is_repeat].max() <= 4_000
    isrc, title = column("track", "isrc"), column("track", "title")
    same_isrc = np.mean(isrc[is_repeat] == isrc[home][is_repeat])
    same_title = np.mean(title[is_repeat] == title[home][is_repeat])
    assert 0.85 < same_isrc < 0.97
    assert 0.55 < same_title < 0.95
    main = column("credit", "artist_row")[np.flatnonzero(column("credit", "position") == 1)]
    assert np.mean(main[is_repeat] == main[home][is_repeat]) > 0.999


def test_isrcs_also_lie() -> None:
    isrc = column("track", "isrc")
    recordings = truth(1, TRACKS, np.arange(TRACKS))
    seen: dict[str, set[int]] = {}
    for code, recording in zip(isrc.tolist(), recordings.tolist(), strict=True):
        if code is not None:
            seen.setdefault(code, set()).add(recording)
    reused = sum(len(found) > 1 for found in seen.values())
    assert 0.0002 < reused / len(seen) < 0.01


def test_other_versions_have_the_title_and_artist_but_are_no_same_recording() -> None:
    lying = layout_of(1, TRACKS)
    assert 0.005 < np.mean(lying.kind == 2) < 0.05
    titles = column("track", "title").tolist()
    assert sum(title.endswith(" - Live") for title in titles) > 100


@pytest.mark.parametrize(("releases", "tracks"), [(1, 1), (1, 7), (23, 100), (458, 2_000), (10_000, 43_700)])
def test_sizes_add_up(releases: int, tracks: int) -> None:
    sizes = sizes_of(releases, tracks)
    assert sizes.sum() == tracks
    assert len(sizes) == releases
    assert sizes.min() >= 1

"""Editions written at once: those that would have been built, with the true clusters; found by whoever looks things up."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tenuto.archive import Layout
from tenuto.bench import tables, truth
from tenuto.bench.agreement import agreement
from tenuto.bench.editions import write_tables
from tenuto.bench.questions import draw, timed
from tenuto.catalogue import Edition, open_edition
from tenuto.catalogue.edition import damage_of
from tenuto.catalogue.lookup import Catalogue
from tenuto.model.errors import UsageError
from tenuto.model.progress import Silent
from tenuto.model.tables import TABLES

TRACKS, SEED = 90_000, 3
"""Three blocks, the last one cut off."""


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    return write_tables(Layout(tmp_path_factory.mktemp("made")), SEED, TRACKS, Silent())


@pytest.fixture(scope="module")
def recordings() -> list[int]:
    found: list[int] = truth(SEED, TRACKS, np.arange(TRACKS)).tolist()
    return found


def small(folder: Path, tracks: int = 500) -> Edition:
    folder.mkdir()
    return write_tables(Layout(folder), SEED, tracks, Silent())


def test_it_is_an_edition_whole_and_with_every_table(edition: Edition) -> None:
    assert open_edition(edition.folder).info == edition.info
    assert damage_of(edition.folder) == ""
    assert {name: pq.read_schema(edition.files(name)[0]).remove_metadata() for name in TABLES} == TABLES


def test_its_rows_are_those_of_the_tables(edition: Edition) -> None:
    batches: dict[str, list[pa.RecordBatch]] = defaultdict(list)
    for name, batch in tables(SEED, TRACKS):
        batches[name].append(batch)
    for name, some in batches.items():
        made = pa.Table.from_batches(some)
        found = edition.read(name)
        kept = [column for column in made.schema.names if column != "cluster_row"]
        assert found.select(kept).equals(made.select(kept)), name


def test_a_cluster_row_is_the_least_row_of_the_tracks_of_a_recording(edition: Edition, recordings: list[int]) -> None:
    rows: dict[int, list[int]] = defaultdict(list)
    for row, recording in enumerate(recordings):
        rows[recording].append(row)
    due = [min(rows[one]) if len(rows[one]) > 1 else None for one in recordings]
    assert edition.read("track").column("cluster_row").to_pylist() == due
    assert edition.read("link").column("track_row").to_pylist() == [
        row for row, one in enumerate(due) if one is not None
    ]


def test_the_history_has_what_the_tracks_have(edition: Edition) -> None:
    same = ["track_row", "popularity", "listens_count", "listens_scope"]
    assert edition.read("history").select(same).equals(edition.read("track").select(same))


def test_evidence_ids_are_as_many_as_pages(edition: Edition) -> None:
    for name in ("artist", "release", "track"):
        rows, ids = edition.info.tables[name].rows, edition.read(name).column("evidence_id").unique()
        assert rows / 100 <= len(ids) <= rows / 100 + 3, name


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    one, two = small(tmp_path / "one"), small(tmp_path / "two")
    (tmp_path / "three").mkdir()
    other = write_tables(Layout(tmp_path / "three"), SEED + 1, 500, Silent())
    assert one.info == two.info
    assert other.info.edition != one.info.edition
    assert other.info.tables["track"].sha256 != one.info.tables["track"].sha256


def test_a_share_may_have_changed_and_rows_stay(tmp_path: Path) -> None:
    before = small(tmp_path / "one", 5_000).read("track")
    (tmp_path / "two").mkdir()
    after = write_tables(Layout(tmp_path / "two"), SEED, 5_000, Silent(), 0.1).read("track")
    is_other = {
        name: pc.not_equal(pc.fill_null(before[name], 0), pc.fill_null(after[name], 0))
        for name in ("popularity", "listens_count")
    }
    is_renamed = pc.not_equal(before["track_id"], after["track_id"])
    assert pc.sum(is_renamed).as_py() == pytest.approx(5_000 * 0.1 * 0.2, rel=0.3)
    assert pc.sum(is_other["popularity"]).as_py() == pytest.approx(5_000 * 0.1 * 0.55, rel=0.2)
    assert not pc.any(pc.and_(is_renamed, is_other["popularity"])).as_py()
    others = {"track_id", "popularity", "listens_count"}
    kept = [name for name in before.schema.names if name not in others]
    assert before.select(kept).equals(after.select(kept))


@pytest.mark.parametrize("tracks", [1, 2, 101])
def test_a_tiny_one_is_whole_too(tmp_path: Path, tracks: int) -> None:
    made = small(tmp_path / "a", tracks)
    assert made.info.tables["track"].rows == tracks
    assert damage_of(made.folder) == ""
    assert list(tmp_path.glob("a/.*")) == []


def test_the_truth_agrees_with_itself_also_where_a_share_is_looked_at(edition: Edition) -> None:
    whole, part = agreement(edition, SEED, TRACKS), agreement(edition, SEED, TRACKS, TRACKS // 7)
    assert (whole.precision, whole.recall, whole.every) == (1, 1, 1)
    assert (part.precision, part.recall, part.every) == (1, 1, 8)


def test_agreement_counts_pairs(tmp_path: Path) -> None:
    tracks = 700
    made = small(tmp_path / "a", tracks)
    same = truth(SEED, tracks, np.arange(tracks))
    claimed = np.where(np.arange(tracks) % 5 == 0, 0, np.arange(tracks) // 3 * 3 + 1)  # wrong in both ways
    table = made.read("track")
    place = table.schema.get_field_index("cluster_row")
    pq.write_table(table.set_column(place, "cluster_row", pa.array(claimed, pa.uint32())), made.files("track")[0])
    one, two = (same[:, None] == same), (claimed[:, None] == claimed)
    pairs = np.triu(np.ones_like(one), 1)
    found = agreement(made, SEED, tracks)
    assert found.precision == pytest.approx((one & two & pairs).sum() / (two & pairs).sum())
    assert found.recall == pytest.approx((one & two & pairs).sum() / (one & pairs).sum())
    assert 0 < found.precision < 0.1
    assert 0 < found.recall < 1


def test_another_catalogue_is_not_compared(edition: Edition) -> None:
    with pytest.raises(UsageError, match="another harvest"):
        agreement(edition, SEED, TRACKS + 1)


def test_questions_are_about_what_is_there_but_for_one_in_ten(edition: Edition) -> None:
    with Catalogue.open(edition.folder) as catalogue:
        asked = draw(catalogue, 60)
        assert [len(some) for some in (asked.ids, asked.isrcs, asked.texts)] == [60, 60, 60]
        assert asked == draw(catalogue, 60)
        assert asked != draw(catalogue, 60, seed=2)
        assert sum(not catalogue.by_id(key) for key in asked.ids) == 6
        assert sum(not catalogue.by_isrc(key) for key in asked.isrcs) == 6
        assert len(set(asked.ids)) > 50
        assert all(text.strip() for text in asked.texts)
        titles = {
            song.title
            for key in edition.read("track").column("track_id").to_pylist()[:1]
            for song in catalogue.by_id(key)
        }
        assert titles == {edition.read("track").column("title")[0].as_py()}


def test_every_question_is_asked_twice_and_timed_once() -> None:
    asked: list[int] = []
    found = timed([lambda n=n: asked.append(n) for n in range(3)])  # type: ignore[misc]
    assert asked == [0, 1, 2, 0, 1, 2]
    assert 0 <= found.p50_ms <= found.p95_ms
    assert found.cpu_p95_ms >= 0

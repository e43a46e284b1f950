"""Links beside the labels that people gave to pairs of iTunes and Amazon (docs/decisions/0012-clusters.md has the table)."""

import pytest
from labelled_pairs import FOLDER, PARTS, SETS, clustered, measured, pairs, scores

from tenuto.catalogue.clusters import THRESHOLD

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the labelled pairs of iTunes and Amazon are not beside this checkout"
)

THRESHOLDS = (0.70, 0.80, 0.85, 0.90, 0.93, 0.95, 0.99)


def test_pairs_are_read_whole():
    assert [len(pairs(which, part)[1]) for which in SETS for part in PARTS] == [321, 109, 109] * 2
    assert sum(pairs("Structured", part)[1].sum() for part in PARTS) == 132
    assert pairs("Structured", "train")[0].column("duration_ms").null_count < 10


@pytest.mark.parametrize("which", SETS)
def test_table_of_thresholds_is_printed(which):
    print(f"\n{which}: precision / recall / F1 of pairs by themselves; test as clusters")  # noqa: T201 -- the table, by pytest -s
    for threshold in THRESHOLDS:
        cells = [measured(scores(which, part) >= threshold, pairs(which, part)[1]) for part in PARTS]
        cells.append(measured(clustered(which, "test", threshold), pairs(which, "test")[1]))
        shown = " | ".join(f"{one.precision:.3f} / {one.recall:.3f} / {one.f1:.3f}" for one in cells)
        print(f"{threshold:.2f} | {shown}")  # noqa: T201


def test_threshold_is_among_the_best_of_train_and_valid():
    def f1(threshold):
        return [
            measured(scores("Structured", part) >= threshold, pairs("Structured", part)[1]).f1 for part in PARTS[:2]
        ]

    assert all(
        one >= best - 1e-9
        for best, one in zip(map(max, zip(*map(f1, THRESHOLDS), strict=True)), f1(THRESHOLD), strict=True)
    )


@pytest.mark.parametrize("part", PARTS)
def test_links_agree_with_people(part):
    by_itself = measured(scores("Structured", part) >= THRESHOLD, pairs("Structured", part)[1])
    in_clusters = measured(clustered("Structured", part, THRESHOLD), pairs("Structured", part)[1])
    assert by_itself.f1 > 0.85
    assert in_clusters.precision > 0.95


def test_values_in_the_wrong_column_make_no_wrong_links():
    wrong = sum(measured(clustered("Dirty", part, THRESHOLD), pairs("Dirty", part)[1]).wrong for part in PARTS)
    assert wrong == 0

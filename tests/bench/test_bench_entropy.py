"""What is made up says as much as what is real."""

from datetime import date
from pathlib import Path

import pytest

from support import shared_data
from tenuto.bench.entropy import NOTED_BYTES, bytes_a_value, compared, generated
from tenuto.bench.wanted import Wanted

WANTED = Wanted(seed=3, tracks=200_000, on=date(2026, 1, 31))


def test_titles_and_names_take_the_bytes_of_real_ones_within_15_percent() -> None:
    fields = {field.name: field for field in compared(WANTED, shared_data("discogs-samples") / "tests/samples")}
    for name in ("title", "name"):
        field = fields[name]
        assert field.real_bytes is not None
        assert field.values >= 1_000
        assert field.generated_bytes == pytest.approx(field.real_bytes, rel=0.15)


def test_ids_isrcs_and_titles_take_the_bytes_that_were_noted_within_15_percent() -> None:
    made = generated(WANTED.seed, WANTED.tracks)
    for name, noted in NOTED_BYTES.items():
        assert bytes_a_value(made[name]) == pytest.approx(noted, rel=0.15), name


def test_without_dumps_nothing_is_compared(tmp_path: Path) -> None:
    (tmp_path / "x_artists.xml.gz").write_bytes(b"no gzip")
    small = Wanted(seed=3, tracks=500, on=WANTED.on)
    assert [field.real_bytes for field in compared(small, tmp_path)] == [None] * 4
    assert [field.real_bytes for field in compared(small, None)] == [None] * 4

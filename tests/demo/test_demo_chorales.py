"""The rendered chorales."""

import itertools
import shutil
from pathlib import Path

import pytest
import soundfile
from mutagen.flac import FLAC

from demo import chorales

CHORALES = chorales.parse(chorales.TABLE.read_text(encoding="utf-8"))
MAJOR, MINOR = {0, 4, 7}, {0, 3, 7}
RANGES = ((60, 81), (53, 74), (48, 69), (36, 64))  # soprano, alto, tenor, bass


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return chorales.render(tmp_path_factory.mktemp("chorales"))


def test_rendering_twice_gives_the_same_bytes(rendered: list[Path], tmp_path: Path) -> None:
    again = chorales.render(tmp_path)
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in rendered]
    assert sorted(tmp_path.iterdir()) == [*sorted(again), tmp_path / "LICENSE"]


def test_they_are_rendered_once_and_again_where_that_was_stopped_or_the_table_is_another(
    rendered: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []

    def quick(into: Path) -> list[Path]:
        begun.append(into)
        return [Path(shutil.copy(file, into)) for file in rendered]

    monkeypatch.setattr(chorales, "render", quick)
    said: list[str] = []
    first = chorales.rendered(tmp_path, said.append)
    assert chorales.rendered(tmp_path, said.append) == first
    assert [file.name for file in first] == [file.name for file in rendered]
    assert (len(begun), said) == (1, ["rendering the chorales"])
    (tmp_path / chorales.MARK).unlink()
    chorales.rendered(tmp_path, said.append)
    other = tmp_path / "other.txt"
    other.write_text("# another table\n")
    monkeypatch.setattr(chorales, "TABLE", other)
    chorales.rendered(tmp_path, said.append)
    assert len(begun) == 3


def test_each_is_a_short_lossless_stereo_file_that_ends_in_silence(rendered: list[Path]) -> None:
    assert len(rendered) == 6
    for file in rendered:
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.subtype, info.format) == (44_100, 2, "PCM_16", "FLAC")
        assert 12 <= info.duration <= 25
        sound, _ = soundfile.read(file)
        assert 0.3 < abs(sound).max() < 1
        assert abs(sound[-1000:]).max() < 0.001


def test_each_is_tagged_with_work_composer_and_licence(rendered: list[Path]) -> None:
    tags = FLAC(rendered[-1]).tags
    assert tags["title"] == ["Wachet auf, ruft uns die Stimme, BWV 140/7"]
    assert (tags["artist"], tags["album"]) == (["Johann Sebastian Bach"], ["Chorales (rendered)"])
    assert (tags["tracknumber"], tags["date"]) == (["6"], ["1731"])
    assert tags["license"] == ["https://creativecommons.org/publicdomain/zero/1.0/"]
    assert "date" not in FLAC(rendered[0]).tags


@pytest.mark.parametrize("chorale", CHORALES, ids=lambda chorale: chorale.title)
def test_its_four_voices_have_the_same_bars(chorale: chorales.Chorale) -> None:
    lengths = {tuple(sum(note.beats for note in bar) for bar in voice) for voice in chorale.voices}
    assert (len(chorale.voices), len(lengths)) == (4, 1)


@pytest.mark.parametrize("chorale", CHORALES, ids=lambda chorale: chorale.title)
def test_its_voices_keep_to_what_can_be_sung(chorale: chorales.Chorale) -> None:
    for voice, (lowest, highest) in zip(chorale.voices, RANGES, strict=True):
        pitches = [note.pitch for bar in voice for note in bar if note.pitch is not None]
        assert lowest <= min(pitches) <= max(pitches) <= highest
        assert max(abs(after - before) for before, after in itertools.pairwise(pitches)) <= 12


@pytest.mark.parametrize("chorale", CHORALES, ids=lambda chorale: chorale.title)
def test_it_ends_on_a_triad_in_root_position(chorale: chorales.Chorale) -> None:
    pitches = [voice[-1][-1].pitch or 0 for voice in chorale.voices]
    above_bass = {(pitch - pitches[3]) % 12 for pitch in pitches}
    assert above_bass in (MAJOR, MINOR)

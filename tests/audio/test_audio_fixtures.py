"""Tags and headers of real files: against a table made by hand, through their blocks alone, cut off and flipped."""

import random
from pathlib import Path

import pytest
import soundfile

from support import shared_data
from tenuto.audio import SparseFile, Tags, TouchedFile, find_truncation, read_tags, sniff
from tenuto.evidence import pack_spans, unpack_spans
from tenuto.model.answers import Answer, Request
from tenuto.sources.folder import parse
from tenuto.sources.folder.blocks import BLOCKS_MAX_BYTES, read_blocks, tag_blocks

# Made by hand from the fixtures' own documentation (test_mediafile.py of beets): a second of silence, "full" tags.
# file: codec, is lossless, duration in ms (the padding of MP3 and AAC included), title
TABLE = {
    "full.ogg": ("vorbis", False, 1000, "full"),
    "full.opus": ("opus", False, 1000, "full"),
    "full.flac": ("flac", True, 1000, "full"),
    "full.mp3": ("mp3", False, 1071, "full"),
    "full.m4a": ("aac", False, 1068, "full"),
    "full.alac.m4a": ("alac", True, 1000, "full"),
    "full.aiff": ("pcm", True, 1000, "full"),
    "full.wv": ("wavpack", True, 1000, "full"),
    "full.ape": ("ape", True, 1000, "full"),
    "full.mpc": ("musepack", False, 1006, "full"),
    "full.dsf": ("dsd", True, 10, "full"),
    "full.wma": ("wma", False, 1021, "full"),
    "min.flac": ("flac", True, 1000, "min"),
    "partial.mp3": ("mp3", False, 1071, "partial"),
    "partial.m4a": ("aac", False, 1068, "partial"),
    "empty.ogg": ("vorbis", False, 1000, None),
    "empty.opus": ("opus", False, 1000, None),
    "empty.aiff": ("pcm", True, 1000, None),
    "unparseable.wv": ("wavpack", True, 1000, None),
    "whitenoise.flac": ("flac", True, 2000, None),
    "whitenoise.opus": ("opus", False, 2000, None),
    "no_ext": ("mp3", False, 1352, "1 Second of Silence"),
    "unicode\u2019d.mp3": ("mp3", False, 1071, "full"),
    "pure.wma": ("wma", False, 1021, "the title"),
}
FULL = {
    "title": "full", "artist": "the artist", "album": "the album", "genre": "the genre", "composer": "the composer",
}  # fmt: skip


def rsrc() -> Path:
    return shared_data("beets-fixtures") / "test/rsrc"


def audio_files() -> list[Path]:
    return [
        file
        for file in sorted(rsrc().iterdir())
        if file.is_file() and file.suffix not in {".jpg", ".png", ".tiff", ".xml"}
    ]


def reading(file: Path) -> tuple[Tags | None, str | None]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        return read_blocks(TouchedFile(opened, size, file.name), size)


@pytest.mark.parametrize("name", TABLE)
def test_a_file_says_what_the_table_made_by_hand_says(name: str) -> None:
    tags, truncation = reading(rsrc() / name)
    assert tags is not None
    assert (tags.codec, tags.is_lossless, tags.duration_ms, tags.first("title")) == TABLE[name]
    assert tags.problem == ""
    assert truncation is None


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("full.") and name != "full.wma"])
def test_a_fully_tagged_file_gives_its_tags_under_the_same_names_whatever_the_container(name: str) -> None:
    tags, _ = reading(rsrc() / name)
    assert tags is not None
    assert {field: tags.first(field) for field in FULL} == FULL
    assert (tags.first("tracknumber") or "").split("/")[0].lstrip("0") == "2"
    assert (tags.first("discnumber") or "").split("/")[0].lstrip("0") == "4"
    assert (tags.first("date") or "").startswith("2001")
    assert tags.all("musicbrainz_trackid") == ("8b882575-08a5-4452-a7a7-cbb8a1531f9e",)


@pytest.mark.parametrize(
    "name", ["full.ogg", "full.opus", "full.flac", "full.aiff", "whitenoise.flac", "whitenoise.opus", "year.ogg"]
)
def test_a_duration_is_what_a_decoder_finds(name: str) -> None:
    tags, _ = reading(rsrc() / name)
    heard = soundfile.info(str(rsrc() / name))
    assert tags is not None
    assert tags.duration_ms == pytest.approx(heard.frames * 1000 / heard.samplerate, abs=1)


def test_what_is_no_audio_is_none() -> None:
    for name in (
        "abbey.jpg",
        "archive.7z",
        "playlist.m3u",
        "only-magic-bytes.jpg",
        "no_ext_not_music",
        "itunes_library_unix.xml",
    ):
        assert reading(rsrc() / name)[0] is None, name


def test_the_first_bytes_tell_the_container() -> None:
    told = {file.name: sniff(file.read_bytes()[:16]) for file in audio_files()}
    assert {told[f"full.{suffix}"] for suffix in ("ogg", "opus")} == {"ogg"}
    containers = {"flac": "flac", "m4a": "mp4", "alac.m4a": "mp4", "aiff": "aiff", "wv": "wavpack", "ape": "ape"}
    assert {suffix: told[f"full.{suffix}"] for suffix in containers} == containers
    assert told["mpeglayer3.wav"] == "wav"
    assert told["archive.7z"] is told["playlist.m3u"] is told["no_ext_not_music"] is None


def test_every_file_reads_the_same_through_its_blocks() -> None:
    for file in audio_files():
        size = file.stat().st_size
        with file.open("rb") as opened:
            spans = tag_blocks(opened, size, file.name)
        assert sum(len(span.content) for span in spans) <= BLOCKS_MAX_BYTES
        found, total = unpack_spans(pack_spans(spans, size)[0])
        assert total in {size, 0}
        sparse = SparseFile([(span.offset, span.content) for span in found], size, file.name)
        assert read_blocks(sparse, size) == reading(file), file.name


def test_blocks_leave_out_the_audio_where_a_file_has_much_of_it() -> None:
    for name, most in (("whitenoise.flac", 5000), ("full.aiff", 2000), ("full.dsf", 4000), ("full.wv", 2000)):
        file = rsrc() / name
        with file.open("rb") as opened:
            spans = tag_blocks(opened, file.stat().st_size, name)
        assert sum(len(span.content) for span in spans) < most, name


def one_reading(raw: bytes, name: str, folder: Path) -> None:
    """Read as harvest does, then as the catalogue does: the same, and nothing raised."""
    file = folder / "x"
    file.write_bytes(raw)
    with file.open("rb") as opened:
        direct = read_blocks(TouchedFile(opened, len(raw), name), len(raw))
        spans = tag_blocks(opened, len(raw), name)
    sparse = SparseFile([(span.offset, span.content) for span in spans], len(raw), name)
    assert read_blocks(sparse, len(raw)) == direct
    body, media_type = pack_spans(spans, len(raw))
    seen = list(parse(Answer(Request(f"audio/{name}"), body, media_type, None)))  # type: ignore[arg-type]
    assert seen or direct[0] is not None


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(3))
def test_a_file_cut_off_anywhere_raises_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for file in audio_files():
        raw = file.read_bytes()
        for cut in {0, 1, 3, 4, 8, 12, 30, chance.randrange(len(raw) + 1), chance.randrange(min(600, len(raw) + 1))}:
            one_reading(raw[:cut], file.name, tmp_path)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_flipped_bytes_raises_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(100 + seed)
    for file in audio_files():
        raw = bytearray(file.read_bytes())
        for _ in range(2):
            bad = bytearray(raw)
            for _ in range(chance.choice([1, 4, 40])):
                if bad:  # most of them where the headers are
                    bad[chance.randrange(min(len(bad), chance.choice([64, 1024, len(bad)])))] = chance.choice(
                        [0, 0xFF, chance.randrange(256)]
                    )
            one_reading(bytes(bad), file.name, tmp_path)


@pytest.mark.parametrize(
    ("name", "cut", "says"),
    [
        ("full.ogg", 200, "Ogg page is cut off"),
        ("full.opus", 100, "Ogg page is cut off"),
        ("full.aiff", 5000, "its header says"),
        ("full.m4a", 300, "its box"),
        ("full.alac.m4a", 300, "its box"),
        ("whitenoise.mp3", 4000, "its Xing header says"),
        ("mpeglayer3.wav", 1000, "its header says"),
    ],
)
def test_a_truncated_file_is_found_out_without_decoding(name: str, cut: int, says: str, tmp_path: Path) -> None:
    raw = (rsrc() / name).read_bytes()
    for taken, expected in ((raw, None), (raw[:-cut], says)):
        file = tmp_path / name
        file.write_bytes(taken)
        with file.open("rb") as opened:
            found = find_truncation(TouchedFile(opened, len(taken), name), len(taken))
        assert (found is None) if expected is None else (found is not None and expected in found), (name, found)


def test_an_mp3_file_that_its_makers_cut_off_is_found_out() -> None:
    assert reading(rsrc() / "emptylist.mp3")[1] == "its Xing header says 6154431 bytes of audio, 6146480 are missing"


def test_an_ogg_file_that_ends_between_pages_is_found_out(tmp_path: Path) -> None:
    raw = (rsrc() / "full.ogg").read_bytes()
    last = raw.rfind(b"OggS")
    with (tmp_path / "x.ogg").open("w+b") as file:
        file.write(raw[:last])
        found = find_truncation(TouchedFile(file, last, "x.ogg"), last)
    assert found == "its last Ogg page is not marked as the end of the stream"


def test_two_readings_of_one_broken_file_are_equal(tmp_path: Path) -> None:
    raw = bytearray((rsrc() / "full.mp3").read_bytes())
    raw[40:44] = b"\xff\xfe\xff\xfe"
    one_reading(bytes(raw), "x.mp3", tmp_path)
    file = TouchedFile((tmp_path / "x").open("rb"), len(raw), "x.mp3")
    with file._file:
        assert read_tags(file) == read_tags(file)

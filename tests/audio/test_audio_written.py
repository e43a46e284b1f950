"""Files written here, so that every figure is known: durations, tags in broken encodings, headers cut off."""

import io
import struct
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TALB, TIT2, TPE1, TXXX, UFID, WCOP, Encoding
from mutagen.mp3 import MP3
from mutagen.oggvorbis import OggVorbis

from support import shared_data
from tenuto.audio import SparseFile, Tags, TouchedFile, find_truncation, is_lossless_suffix, read_tags

RATE_HZ = 8000


def written(file: Path, frames: int = 12_345, **how: str) -> Path:
    """Quiet noise of so many frames."""
    sound = np.random.default_rng(1).normal(0, 0.05, (frames, 2))
    soundfile.write(file, sound, RATE_HZ, **how)
    return file


def tags_of(file: Path) -> Tags:
    with file.open("rb") as opened:
        tags = read_tags(TouchedFile(opened, file.stat().st_size, file.name))
    assert tags is not None
    return tags


def truncation_of(file: Path) -> str | None:
    with file.open("rb") as opened:
        return find_truncation(TouchedFile(opened, file.stat().st_size, file.name), file.stat().st_size)


@pytest.mark.parametrize(
    ("name", "how", "codec", "is_lossless"),
    [
        ("a.wav", {}, "pcm", True),
        ("a.wav", {"subtype": "FLOAT"}, "pcm", True),
        ("a.wav", {"subtype": "PCM_24", "format": "WAVEX"}, "pcm", True),
        ("a.wav", {"subtype": "ULAW"}, "wav-0x0007", False),
        ("a.aiff", {}, "pcm", True),
        ("a.flac", {}, "flac", True),
        ("a.ogg", {}, "vorbis", False),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, "opus", False),
        ("a.mp3", {}, "mp3", False),
    ],
)
def test_a_file_written_here_is_read_as_what_it_is(
    tmp_path: Path, name: str, how: dict[str, str], codec: str, is_lossless: bool
) -> None:
    file = written(tmp_path / name, **how)
    tags = tags_of(file)
    assert (tags.codec, tags.is_lossless, tags.channels_count) == (codec, is_lossless, 2)
    padding_ms = 150 if codec == "mp3" else 1
    assert tags.duration_ms == pytest.approx(12_345 * 1000 / RATE_HZ, abs=padding_ms)
    assert truncation_of(file) is None


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.ogg", "a.mp3"])
def test_half_of_a_file_is_found_out(tmp_path: Path, name: str) -> None:
    file = written(tmp_path / name, frames=80_000)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert truncation_of(file) is not None
    tags_of(file)


def test_a_wav_of_unknown_length_is_not_called_truncated(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav")
    raw = bytearray(file.read_bytes())
    for length in (0, 0xFFFFFFFF):
        raw[4:8] = struct.pack("<I", length)
        file.write_bytes(raw)
        assert truncation_of(file) is None


@pytest.mark.parametrize(
    "head", [b"OggS", b"RIFF", b"FORM", b"ID3", b"\xff\xfb", b"fLaC", b"\0\0\0\x18ftypM4A ", b"RIFF\xff\xff"]
)
def test_a_file_of_a_header_alone_raises_nothing(tmp_path: Path, head: bytes) -> None:
    for extra in (b"", b"\0" * 7, b"\xff" * 40):
        content = head + extra
        for size in (len(content), len(content) + 10**6):  # a size that was true when the file was listed
            file = SparseFile([(0, content)], size, "x")
            find_truncation(file, size)
            read_tags(file)


def test_an_mp4_whose_boxes_never_end_is_looked_at_in_bounded_time() -> None:
    boxes = struct.pack(">I4s", 8, b"free") * 200_000
    content = struct.pack(">I4s", 24, b"ftyp") + b"M4A " + bytes(12) + boxes
    assert find_truncation(SparseFile([(0, content)], len(content), "x.m4a"), len(content)) is None
    huge = struct.pack(">I4s", 24, b"ftyp") + b"M4A " + bytes(12) + struct.pack(">I4sQ", 1, b"mdat", 2**63)
    assert "its box 'mdat'" in str(find_truncation(SparseFile([(0, huge)], len(huge), "x.m4a"), len(huge)))


def mp3_with(tmp_path: Path, *frames: object) -> Path:
    file = written(tmp_path / "a.mp3")
    tags = ID3()
    for frame in frames:
        tags.add(frame)
    tags.save(file)
    return file


def test_id3_frames_are_read_under_the_common_names(tmp_path: Path) -> None:
    file = mp3_with(tmp_path, TIT2(text=["Título"]), TPE1(text=["A", "B"]), TALB(text=["x"]), WCOP(url="https://creativecommons.org/licenses/by/4.0/"),
                    TXXX(desc="license", text=["CC BY 4.0"]), TXXX(desc="MusicBrainz Artist Id", text=["m1", "m2"]),
                    UFID(owner="http://musicbrainz.org", data=b"8b882575-08a5-4452-a7a7-cbb8a1531f9e"))  # fmt: skip
    tags = tags_of(file)
    assert tags.first("title") == "Título"
    assert tags.all("artist") == ("A", "B")
    assert set(tags.all("licence")) == {"https://creativecommons.org/licenses/by/4.0/", "CC BY 4.0"}
    assert tags.all("musicbrainz_artistid") == ("m1", "m2")
    assert tags.all("musicbrainz_trackid") == ("8b882575-08a5-4452-a7a7-cbb8a1531f9e",)


def test_an_id3_title_that_is_no_text_in_its_own_encoding_raises_nothing_and_its_bytes_are_in_the_blocks(
    tmp_path: Path,
) -> None:
    file = mp3_with(tmp_path, TIT2(encoding=Encoding.UTF8, text=["MARKER title"]), TPE1(text=["kept"]))
    raw = file.read_bytes().replace(b"MARKER", b"\xff\xfe\xc3(\x80")
    raw = raw.replace(b"\xff\xfe\xc3(\x80", b"\xff\xfe\xc3(\x80\x81")  # six bytes, as MARKER had
    file.write_bytes(raw)
    touched = TouchedFile(file.open("rb"), len(raw), "a.mp3")
    with touched._file:
        tags = read_tags(touched)
    assert tags is not None
    assert tags.codec == "mp3"
    assert tags.all("artist") == ("kept",)
    assert any(b"\xff\xfe\xc3(\x80\x81" in raw[first:end] for first, end in touched.touched())


@pytest.mark.parametrize("broken", [b"\xff\xfe\xfd", b"\xed\xa0\x80", b"a\x00b", b"\xc3"])
def test_a_vorbis_comment_in_a_broken_encoding_raises_nothing_and_the_other_tags_stay(
    tmp_path: Path, broken: bytes
) -> None:
    for name, kind in (("a.flac", FLAC), ("a.ogg", OggVorbis)):
        file = written(tmp_path / name)
        tagged = kind(file)
        tagged["title"], tagged["artist"] = "M" * len(broken) + "!", "kept"
        tagged.save()
        raw = file.read_bytes().replace(b"M" * len(broken) + b"!", broken + b"!")
        file.write_bytes(raw)
        tags = tags_of(file)
        if name == "a.flac":  # an Ogg page has a checksum, which this breaks; the reader may then refuse its tags
            assert tags.all("artist") == ("kept",)
            assert (tags.first("title") or "").endswith("!")


def test_a_tag_of_a_megabyte_is_read_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "a.flac")
    tagged = FLAC(file)
    tagged["comment"], tagged["title"] = "x" * 10**6, "after it"
    tagged.save()
    assert tags_of(file).first("title") == "after it"


def test_mp3_tags_in_an_ape_block_are_read_where_there_is_no_id3(tmp_path: Path) -> None:
    file = written(tmp_path / "a.mp3")
    ape = mutagen.apev2.APEv2()
    ape["Title"], ape["Album Artist"] = "ape", "someone"
    ape.save(file)
    assert MP3(file).tags is None
    tags = tags_of(file)
    assert (tags.first("title"), tags.first("albumartist")) == ("ape", "someone")


def test_a_sparse_file_behaves_as_a_file(tmp_path: Path) -> None:
    file = SparseFile([(2, b"cd"), (8, b"ij")], 10, "x")
    assert file.read() == b"\0\0cd\0\0\0\0ij"
    assert file.read(1) == b""
    assert file.seek(-3, io.SEEK_END) == 7
    assert file.read(2) == b"\0i"
    assert (file.tell(), file.seek(99), file.read(5)) == (9, 99, b"")
    with pytest.raises(OSError, match="seek to -1"):
        file.seek(-1)
    assert file.touched(gap=0) == [(0, 10)]


@pytest.mark.parametrize(
    ("suffix", "is_lossless"),
    [("flac", True), (".WAV", True), ("Mp3", False), ("m4a", None), ("", None), ("txt", None)],
)
def test_a_suffix_says_whether_it_is_lossless_only_where_it_can(suffix: str, is_lossless: bool | None) -> None:
    assert is_lossless_suffix(suffix) is is_lossless


def test_reading_a_real_file_twice_touches_the_same_bytes() -> None:
    file = shared_data("beets-fixtures") / "test/rsrc/full.flac"
    touched = []
    for _ in range(2):
        with file.open("rb") as opened:
            view = TouchedFile(opened, file.stat().st_size, file.name)
            read_tags(view)
            touched.append(view.touched())
    assert touched[0] == touched[1]


@pytest.mark.parametrize("left_frac", [0.9, 0.5, 0.2])
def test_a_flac_that_is_cut_off_is_found(left_frac: float) -> None:
    sound = io.BytesIO()
    noise = np.random.default_rng(1).standard_normal((44_100 * 3, 2)) * 0.1
    soundfile.write(sound, noise, 44_100, format="FLAC", subtype="PCM_16")
    whole = sound.getvalue()
    cut = whole[: int(len(whole) * left_frac)]
    assert find_truncation(TouchedFile(io.BytesIO(whole), len(whole), "a.flac"), len(whole)) is None
    said = find_truncation(TouchedFile(io.BytesIO(cut), len(cut), "a.flac"), len(cut))
    missing_pct = int((said or "0").split(" %")[0])
    assert abs(missing_pct - (1 - left_frac) * 100) < 5

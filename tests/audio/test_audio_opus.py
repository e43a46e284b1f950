"""The derivative: its length to the sample, its bytes, its tags and pictures, its channels, and what is refused."""

import base64
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import av
import mutagen
import numpy as np
import pytest
import soundfile
from audio_maker import ALL, made, music
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TALB, TIT2, TPE1, TRCK, TSRC, TXXX, UFID, WCOP
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus

from support import need_program, shared_data
from tenuto.audio.decode import examine
from tenuto.audio.opus import Encoded, encode_opus
from tenuto.model.errors import IntegrityError

RATE_HZ = 48_000
REAL = ("full.ogg", "full.mp3", "full.m4a", "full.alac.m4a", "full.flac", "full.opus", "full.wv", "full.ape", "full.aiff",
        "full.mpc", "image.ogg", "coverart.ogg", "image.wma")  # fmt: skip


def png() -> bytes:
    """One grey pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")


def encoded(original: Path, kbit_per_s: int = 96) -> tuple[Encoded, Path]:
    derivative = original.parent / "derivative.part"
    return encode_opus(original, derivative, kbit_per_s), derivative


def comments(file: Path) -> dict[str, list[str]]:
    return {name.upper(): values for name, values in OggOpus(file).tags.as_dict().items()}


def opusinfo(file: Path) -> str:
    done = subprocess.run([need_program("opusinfo"), file], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "WARNING" not in said.upper(), said
    return said


@pytest.mark.parametrize("name", ALL)
def test_a_derivative_is_as_long_as_its_original_to_the_sample(tmp_path: Path, name: str) -> None:
    original = made(tmp_path, name)
    sound = examine(original).sound
    assert sound is not None
    done, derivative = encoded(original)
    assert done.samples_count == -(-sound.samples_count * RATE_HZ // sound.sample_rate_hz)  # rounded up
    assert done.duration_ms == round(done.samples_count * 1000 / RATE_HZ)
    again = examine(derivative)
    assert (again.damage, again.sound and again.sound.samples_count) == ("", done.samples_count)
    assert len(soundfile.read(derivative)[0]) == done.samples_count
    opusinfo(derivative)


@pytest.mark.parametrize("samples", [1, 311, 312, 313, 647, 648, 649, 959, 960, 961, 1920, 48_000, 48_001])
def test_the_end_is_trimmed_to_the_sample_wherever_it_falls(tmp_path: Path, samples: int) -> None:
    done, derivative = encoded(made(tmp_path, "a.wav", samples=samples, rate_hz=RATE_HZ))
    assert done.samples_count == samples
    assert soundfile.info(derivative).frames == samples
    opusinfo(derivative)


@pytest.mark.parametrize(
    "rate_hz", [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]
)
def test_every_sample_rate_becomes_48_khz(tmp_path: Path, rate_hz: int) -> None:
    samples = rate_hz + 7
    done, derivative = encoded(made(tmp_path, "a.wav", samples=samples, rate_hz=rate_hz))
    assert abs(done.samples_count - samples * RATE_HZ / rate_hz) <= 1
    assert soundfile.info(derivative).samplerate == RATE_HZ
    opusinfo(derivative)


def test_the_sound_is_where_it_was(tmp_path: Path) -> None:
    """A click a second in: the pre-skip is taken off, and nothing is shifted."""
    click = np.zeros((2 * RATE_HZ, 1), "float32")
    click[RATE_HZ : RATE_HZ + 24] = 0.9
    file = tmp_path / "a.wav"
    soundfile.write(file, click, RATE_HZ)
    _, derivative = encoded(file, 160)
    heard, _ = soundfile.read(derivative)
    assert abs(int(np.argmax(np.abs(heard))) - RATE_HZ - 12) <= 24


def test_the_derivative_sounds_like_its_original(tmp_path: Path) -> None:
    original = made(tmp_path, "a.wav", rate_hz=RATE_HZ)
    _, derivative = encoded(original, 256)
    heard, wanted = soundfile.read(derivative)[0], soundfile.read(original)[0]
    assert np.corrcoef(heard[:, 0], wanted[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.m4a"])
def test_the_same_original_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    original = made(tmp_path, name)
    first = encoded(original)[1].read_bytes()
    assert encoded(original)[1].read_bytes() == first
    script = (
        "import sys; from pathlib import Path; from tenuto.audio.opus import encode_opus;"
        "encode_opus(*map(Path, sys.argv[1:]), 96)"
    )
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-c", script, original, other], check=True)
    assert other.read_bytes() == first
    assert b"Lavf" not in first
    assert b"Lavc" not in first


@pytest.mark.parametrize(
    ("channels", "kept"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (10, 2)]
)
def test_up_to_eight_channels_are_kept(tmp_path: Path, channels: int, kept: int) -> None:
    done, derivative = encoded(made(tmp_path, "a.wav", samples=20_000, channels=channels))
    assert done.channels_count == kept
    assert soundfile.info(derivative).channels == kept
    said = opusinfo(derivative)
    assert f"Channels: {kept}" in said
    assert ("Channel Mapping Family: 1" in said) == (kept > 2)


def test_each_of_six_channels_stays_in_its_place(tmp_path: Path) -> None:
    sound = np.zeros((6 * RATE_HZ // 2, 6), "float32")
    for channel in (0, 1, 2, 4, 5):  # the low-frequency channel, 3, takes no tone of 440 Hz
        start = channel * RATE_HZ // 2
        sound[start : start + RATE_HZ // 2, channel] = music(RATE_HZ // 2, 1)[:, 0]
    file = tmp_path / "a.flac"
    soundfile.write(file, sound, RATE_HZ)
    heard = played(encoded(file, 320)[1])
    loudest = [int(np.argmax((heard[at : at + 10_000] ** 2).mean(axis=0))) for at in range(6000, 6 * 24_000, 24_000)]
    assert [loudest[channel] for channel in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]


def played(file: Path) -> Any:
    """One row a sample, channels in FFmpeg's order, which is WAV's; libsndfile leaves those of Opus in Vorbis order."""
    with av.open(file) as container:
        return np.concatenate([frame.to_ndarray().T for frame in container.decode(audio=0)])


def test_a_bit_rate_is_kept_and_one_that_is_too_high_is_lowered(tmp_path: Path) -> None:
    original = made(tmp_path, "a.wav", samples=10 * 44_100)
    low, high = (encoded(original, rate)[1].stat().st_size for rate in (64, 128))
    assert 60_000 < low < 100_000
    assert 140_000 < high < 180_000
    encoded(original, 5000)


def test_vorbis_comments_are_carried_with_all_their_values_and_loudness_stays_behind(tmp_path: Path) -> None:
    original = made(tmp_path, "a.flac")
    tagged = FLAC(original)
    given = {"TITLE": ["Título"], "ARTIST": ["A", "B"], "ALBUM": ["x"], "ALBUMARTIST": ["C"], "TRACKNUMBER": ["3"],
             "DISCNUMBER": ["1"], "DATE": ["1998-05"], "GENRE": ["g", "h"], "ISRC": ["GBAYE9800001"], "COPYRIGHT": ["c"],
             "LICENSE": ["https://creativecommons.org/licenses/by/4.0/"], "COMMENT": ["a\nb"],
             "MUSICBRAINZ_TRACKID": ["8b882575-08a5-4452-a7a7-cbb8a1531f9e"], "MY OWN FIELD": ["kept"]}  # fmt: skip
    tagged.update(
        {**given, "REPLAYGAIN_TRACK_GAIN": ["-7 dB"], "REPLAYGAIN_ALBUM_PEAK": ["1"], "R128_TRACK_GAIN": ["5"]}
    )
    picture = Picture()
    picture.data, picture.mime, picture.type, picture.depth = png(), "image/png", 3, 99
    tagged.add_picture(picture)
    tagged.save()
    _, derivative = encoded(original)
    found = comments(derivative)
    (block,) = found.pop("METADATA_BLOCK_PICTURE")
    assert found == given
    assert Picture(base64.b64decode(block)).data == png()
    opusinfo(derivative)


def test_id3_is_carried_under_the_names_of_vorbis_comments(tmp_path: Path) -> None:
    original = made(tmp_path, "a.mp3")
    tags = ID3()
    for frame in (TIT2(text=["t"]), TPE1(text=["A", "B"]), TALB(text=["x"]), TRCK(text=["3/12"]), TSRC(text=["GBAYE9800001"]),
                  WCOP(url="https://creativecommons.org/licenses/by/4.0/"), COMM(lang="eng", desc="", text=["said"]),
                  COMM(lang="eng", desc="iTunNORM", text=["0000"]), TXXX(desc="MusicBrainz Release Group Id", text=["m"]),
                  TXXX(desc="MusicBrainz Album Id", text=["n"]), TXXX(desc="REPLAYGAIN_TRACK_GAIN", text=["-7 dB"]),
                  UFID(owner="http://musicbrainz.org", data=b"8b88"), APIC(mime="image/png", type=3, data=png())):  # fmt: skip
        tags.add(frame)
    tags.save(original)
    found = comments(encoded(original)[1])
    assert "METADATA_BLOCK_PICTURE" in found
    del found["METADATA_BLOCK_PICTURE"]
    assert found == {
        "TITLE": ["t"], "ARTIST": ["A", "B"], "ALBUM": ["x"], "TRACKNUMBER": ["3"], "TRACKTOTAL": ["12"],
        "ISRC": ["GBAYE9800001"], "LICENSE": ["https://creativecommons.org/licenses/by/4.0/"], "COMMENT": ["said"],
        "MUSICBRAINZ_RELEASEGROUPID": ["m"], "MUSICBRAINZ_ALBUMID": ["n"], "MUSICBRAINZ_TRACKID": ["8b88"],
    }  # fmt: skip


def test_mp4_is_carried_under_the_names_of_vorbis_comments(tmp_path: Path) -> None:
    original = made(tmp_path, "a.m4a")
    tagged = MP4(original)
    tagged.update({"\xa9nam": ["t"], "\xa9ART": ["A", "B"], "trkn": [(3, 12)], "disk": [(1, 2)], "\xa9cmt": ["said"], "cprt": ["c"],
                   "----:com.apple.iTunes:MusicBrainz Release Group Id": [MP4FreeForm(b"m")],
                   "----:com.apple.iTunes:replaygain_track_gain": [MP4FreeForm(b"-7 dB")],
                   "covr": [MP4Cover(png(), MP4Cover.FORMAT_PNG)]})  # fmt: skip
    tagged.save()
    found = comments(encoded(original)[1])
    (block,) = found.pop("METADATA_BLOCK_PICTURE")
    assert Picture(base64.b64decode(block)).mime == "image/png"
    found.pop("ENCODEDBY", None)
    assert found == {"TITLE": ["t"], "ARTIST": ["A", "B"], "TRACKNUMBER": ["3"], "TRACKTOTAL": ["12"], "DISCNUMBER": ["1"],
                     "DISCTOTAL": ["2"], "COMMENT": ["said"], "COPYRIGHT": ["c"], "MUSICBRAINZ_RELEASEGROUPID": ["m"]}  # fmt: skip


def test_ape_tags_and_their_cover_are_carried(tmp_path: Path) -> None:
    original = made(tmp_path, "a.wv")
    tags = APEv2()
    tags["Title"], tags["Artist"] = "t", ["A", "B"]
    tags["Cover Art (Front)"] = mutagen.apev2.APEValue(b"cover.png\0" + png(), mutagen.apev2.BINARY)
    tags.save(original)
    found = comments(encoded(original)[1])
    assert (found["TITLE"], found["ARTIST"]) == (["t"], ["A", "B"])
    assert Picture(base64.b64decode(found["METADATA_BLOCK_PICTURE"][0])).data == png()


def test_a_picture_of_two_megabytes_arrives_whole_over_many_pages(tmp_path: Path) -> None:
    original = made(tmp_path, "a.flac")
    tagged = FLAC(original)
    picture = Picture()
    picture.data, picture.mime, picture.type = png() + bytes(2_000_000), "image/png", 3
    tagged.add_picture(picture)
    tagged.save()
    done, derivative = encoded(original)
    assert Picture(base64.b64decode(comments(derivative)["METADATA_BLOCK_PICTURE"][0])).data == picture.data
    assert soundfile.info(derivative).frames == done.samples_count
    assert examine(derivative).damage == ""


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_becomes_a_clean_derivative_with_its_title(tmp_path: Path, name: str) -> None:
    original = shared_data("beets-fixtures") / "test/rsrc" / name
    derivative = tmp_path / "derivative"
    if name.endswith(".wma"):
        with pytest.raises(IntegrityError):
            encode_opus(original, derivative, 96)
        return
    encode_opus(original, derivative, 96)
    opusinfo(derivative)
    if name.startswith("full"):
        found = comments(derivative)
        assert found["TITLE"] == ["full"]
        assert not [key for key in found if key.startswith(("REPLAYGAIN", "R128", "ENCOD"))]


def test_ogg_files_that_ffmpeg_refuses_are_encoded_whole(tmp_path: Path) -> None:
    cache = Path(__file__).resolve().parents[2] / ".cache/demo/hyperrogue-music"
    files = sorted(cache.rglob("hr-savino-ocean.ogg"))
    if not files:
        pytest.skip("the Debian music is not in .cache/demo; run: make demo")
    assert encode_opus(files[0], tmp_path / "a", 64).samples_count == -(-2_667_339 * RATE_HZ // 44_100)


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"fLaC" + bytes(100), b"OggS" + bytes(100)])
def test_an_original_that_cannot_be_decoded_is_refused_and_nothing_is_left(tmp_path: Path, content: bytes) -> None:
    original, derivative = tmp_path / "a.flac", tmp_path / "derivative"
    original.write_bytes(content)
    with pytest.raises(IntegrityError):
        encode_opus(original, derivative, 96)
    assert not derivative.exists()


def test_an_original_that_breaks_off_inside_a_packet_is_refused(tmp_path: Path) -> None:
    original = made(tmp_path, "a.flac")
    original.write_bytes(original.read_bytes()[:100_000])
    with pytest.raises(IntegrityError, match=r"packet \d+ of the original cannot be decoded"):
        encoded(original)
    assert not (tmp_path / "derivative.part").exists()


def test_what_was_there_is_written_over(tmp_path: Path) -> None:
    original, derivative = made(tmp_path, "a.wav"), tmp_path / "derivative.part"
    derivative.write_bytes(b"x" * 10**6)
    encoded(original)
    assert derivative.stat().st_size < 10**5
    assert examine(derivative).damage == ""


@pytest.mark.parametrize("minutes", [10, pytest.param(600, marks=pytest.mark.long)])
def test_hours_of_sound_are_encoded_in_flat_memory(tmp_path: Path, minutes: int) -> None:
    original = tmp_path / "long.flac"
    minute = np.zeros((44_100 * 60, 1), "int16")
    with soundfile.SoundFile(original, "w", 44_100, 1, subtype="PCM_16") as sound:
        for _ in range(minutes):
            sound.write(minute)
    script = (
        "import re, sys; from pathlib import Path; from tenuto.audio.opus import encode_opus;"
        "done = encode_opus(*map(Path, sys.argv[1:]), 64);"
        "print(done.duration_ms, int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    command = [sys.executable, "-c", script, original, tmp_path / "derivative"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    duration_ms, peak_mb = map(int, done.stdout.split())
    assert duration_ms == minutes * 60_000
    assert peak_mb < 300
    assert done.stderr == ""

"""The second opinion: libsndfile, which shares no code with FFmpeg and takes some Ogg files that FFmpeg refuses."""

from dataclasses import dataclass
from typing import BinaryIO

import soundfile

_BLOCK_FRAMES = 65_536
_CODECS = {"VORBIS": "vorbis", "OPUS": "opus", "MPEG_LAYER_III": "mp3", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_I": "mp1"}
_LINEAR = ("PCM_", "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What libsndfile decoded; `fault` is what stopped it before the end, "" where nothing did."""

    container: str
    codec: str
    sample_rate_hz: int
    channels_count: int
    samples_count: int
    fault: str


def second_opinion(file: BinaryIO, duration_max_s: float) -> Opinion | None:
    """Decode the whole file, or None where libsndfile does not know it or finds nothing in it."""
    samples, fault = 0, ""
    try:
        with soundfile.SoundFile(f"/dev/fd/{file.fileno()}") as sound:
            try:
                while count := len(sound.read(_BLOCK_FRAMES, dtype="float32")):
                    samples += count
                    if samples > duration_max_s * sound.samplerate:
                        fault = "too long"
                        break
            except soundfile.SoundFileError as error:
                fault = str(error)
            codec = _codec(sound.format, sound.subtype)
            found = Opinion(sound.format.casefold(), codec, sound.samplerate, sound.channels, samples, fault)
    except Exception:  # noqa: BLE001 -- a plug-in call on hostile bytes: it raises what its wrappers raise
        return None
    return found if samples else None


def _codec(container: str, subtype: str) -> str:
    if container == "FLAC":
        return "flac"
    if subtype.startswith("ALAC"):
        return "alac"
    return "pcm" if subtype.startswith(_LINEAR) else _CODECS.get(subtype, subtype.casefold())

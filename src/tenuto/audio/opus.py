"""The derivative that listeners get: Opus in Ogg (RFC 7845), of the original's length to the sample, with its tags.

Same original, same libraries, same kind of processor: same bytes. (libopus picks its routines by what the processor can
do; another kind may round otherwise.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from mutagen.oggopus import OggOpus

from tenuto.audio.blocks import TouchedFile
from tenuto.audio.carried import carried_comments
from tenuto.audio.ffmpeg import first_audio, is_junk, logged, open_audio, reason
from tenuto.audio.ogg import samples_and_rate
from tenuto.model.errors import IntegrityError

RATE_HZ = 48_000
"""Opus counts in 1/48000 s whatever the original's rate was (RFC 7845, 4)."""

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""Mapping families 0 and 1 (RFC 7845, 5.1.1): one layout for each number of channels; libopus takes no other.

Another layout of as many channels is mixed into this one, more than eight channels into two.
"""
_PLAIN_LAYOUTS = {1: "mono", 2: "stereo"}
_BIT_RATE_MAX_PER_CHANNEL_BPS = 256_000
_SERIAL = 1
_BLOCK_FRAMES = 65_536


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a decoder gives back: samples per channel at 48 kHz, after pre-skip and end trimming."""

    samples_count: int
    duration_ms: int
    channels_count: int


def encode_opus(original: Path, derivative: Path, kbit_per_s: int) -> Encoded:
    """Write `derivative` whole, over what is there, in flat memory; it is not synced, and gone where this fails.

    `kbit_per_s` is the mean of all channels together, lowered to 256 a channel, which is the most that libopus takes.
    The original's length is not bounded here: `decode.examine` comes first.
    Raises `IntegrityError` where a part of the original cannot be decoded, `OSError` where a file cannot be read or
    written.
    """
    try:
        with logged(), original.open("rb") as source:
            encoded = _encode(source, derivative, kbit_per_s)
        _tag(original, derivative)
    except BaseException:
        derivative.unlink(missing_ok=True)
        raise
    return encoded


def _encode(source: BinaryIO, derivative: Path, kbit_per_s: int) -> Encoded:
    frames = _frames(source)
    first = next(frames, None)
    if first is None:
        raise IntegrityError("no sound can be decoded from the original: it has 0 samples")
    channels = first.layout.nb_channels
    layout = _LAYOUTS.get(channels, "stereo")
    with derivative.open("wb") as file, av.open(file, "w", format="ogg", options=_MUXER) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ)
        _prepare(stream.codec_context, layout, kbit_per_s)
        writer = _Writer(container, stream, layout)
        writer.take(first)
        for frame in frames:
            writer.take(frame)
        count = writer.finish()
    if count == 0:
        raise IntegrityError(f"the original is shorter than one sample at {RATE_HZ:,} Hz")
    return Encoded(count, round(count * 1000 / RATE_HZ), len(av.AudioLayout(layout).channels))


_MUXER = {"fflags": "+bitexact", "serial_offset": str(_SERIAL)}


def _prepare(context: AudioCodecContext, layout: str, kbit_per_s: int) -> None:
    context.layout, context.format = layout, "flt"
    context.time_base = Fraction(1, RATE_HZ)
    context.bit_rate = min(kbit_per_s * 1000, _BIT_RATE_MAX_PER_CHANNEL_BPS * context.channels)
    context.flags |= Flags.bitexact
    context.open()


class _Writer:
    """Resamples, numbers and encodes frames; the number of a frame is the count of the samples before it."""

    def __init__(self, container: OutputContainer, stream: AudioStream, layout: str) -> None:
        self._container, self._stream = container, stream
        size = stream.codec_context.frame_size
        self._resampler = av.AudioResampler(format="flt", layout=layout, rate=RATE_HZ, frame_size=size)
        self._taken = self._count = 0

    def take(self, frame: AudioFrame) -> None:
        frame.pts = None
        try:
            resampled = self._resampler.resample(frame)
        except (ValueError, av.FFmpegError) as error:
            raise IntegrityError(f"after {self._taken:,} samples the original cannot be resampled: {error}") from error
        self._taken += frame.samples
        self._encode(resampled)

    def finish(self) -> int:
        """Write what is held back; the count of all samples."""
        self._encode(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))
        return self._count

    def _encode(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._count, self._stream.codec_context.time_base
            self._count += frame.samples
            self._container.mux(self._stream.encode(frame))


def _frames(source: BinaryIO) -> Iterator[AudioFrame]:
    """The sound of the first audio stream; by libsndfile where FFmpeg refuses the file."""
    try:
        container = open_audio(source)
    except (av.FFmpegError, ValueError) as error:
        yield from _frames_of_libsndfile(source, reason(error))
        return
    with container:
        stream = first_audio(container)
        if stream is None:
            raise IntegrityError("the original holds no audio stream")
        left = _vorbis_samples(source) if stream.codec_context.codec.canonical_name == "vorbis" else None
        for frame in _decoded(container.demux(stream)):
            if left is not None and frame.samples > left:
                yield from _first_samples(frame, left)
                return
            left = None if left is None else left - frame.samples
            yield frame


def _decoded(packets: "Iterator[av.Packet[AudioStream]]") -> Iterator[AudioFrame]:
    count = 0
    try:
        for count, packet in enumerate(packets, 1):  # noqa: B007 -- the count is wanted where one fails
            try:
                yield from packet.decode()
            except av.EOFError:
                return
            except av.InvalidDataError:
                if not is_junk(packet):
                    raise
    except av.FFmpegError as error:
        raise IntegrityError(f"packet {count:,} of the original cannot be decoded: {reason(error)}") from error


def _vorbis_samples(source: BinaryIO) -> int | None:
    """What the last page says: FFmpeg does not always cut the last block there."""
    size = source.seek(0, 2)
    found = samples_and_rate(TouchedFile(source, size, "sound"), size)
    return found[0] if found else None


def _first_samples(frame: AudioFrame, count: int) -> Iterator[AudioFrame]:
    if count <= 0:
        return
    words: Any = frame.to_ndarray()
    width = count if frame.format.is_planar else count * frame.layout.nb_channels
    cut = AudioFrame.from_ndarray(np.ascontiguousarray(words[:, :width]), frame.format.name, frame.layout.name)
    cut.sample_rate, cut.time_base = frame.sample_rate, frame.time_base
    yield cut


def _frames_of_libsndfile(source: BinaryIO, said: str) -> Iterator[AudioFrame]:
    try:
        with soundfile.SoundFile(f"/dev/fd/{source.fileno()}") as sound:
            layout = _PLAIN_LAYOUTS.get(sound.channels)
            if layout is None:  # libsndfile does not say in which order more of them stand
                raise IntegrityError(f"FFmpeg refuses the original, which has {sound.channels} channels: {said}")
            while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                frame = AudioFrame.from_ndarray(np.ascontiguousarray(block.reshape(1, -1)), "flt", layout)
                frame.sample_rate = sound.samplerate
                yield frame
    except (soundfile.SoundFileError, TypeError) as error:
        raise IntegrityError(f"the original cannot be decoded: FFmpeg says {said}, libsndfile neither") from error


def _tag(original: Path, derivative: Path) -> None:
    comments = carried_comments(original)
    if not comments:
        return
    tagged: Any = OggOpus(derivative)  # type: ignore[no-untyped-call]
    tagged.tags.extend(comments)
    tagged.save(padding=lambda _: 0)

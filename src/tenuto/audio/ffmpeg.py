"""The one place where FFmpeg opens a file that others wrote: by content alone, with known containers, in silence.

A file is given as `/dev/fd/N`, so neither its name nor its ending can choose a protocol or a demuxer, and containers that
open other files or addresses (playlists, HLS) are not on the list.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from tenuto.audio.pcmdigest import PcmDigest
from tenuto.audio.promise import flac_samples

_CONTAINERS = ("aac,ac3,aiff,amr,ape,asf,au,caf,dsf,dts,eac3,flac,iff,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,"
               "ogg,oma,rm,shn,tak,tta,voc,w64,wav,wsd,wv")  # fmt: skip
_LOGS_KEPT = 1000
_MPEG_SYNC = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What FFmpeg made of the first audio stream; only `refusal` is filled where it would not open it.

    `promised_count` is the container's own number of samples, for what it is worth; `md5` is of the samples as FLAC
    hashes them, and `md5_promised` what STREAMINFO says ("" where there is none).
    """

    refusal: str = ""
    container: str = ""
    codec: str = ""
    sample_rate_hz: int = 0
    channels_count: int = 0
    samples_count: int = 0
    promised_count: int | None = None
    packets_count: int = 0
    undecodable_count: int = 0
    checksum_errors_count: int = 0
    corrupt_count: int = 0
    breaks_off: str = ""
    is_too_long: bool = False
    md5: str = ""
    md5_promised: str = ""


@contextmanager
def logged() -> Iterator[list[tuple[int, str, str]]]:
    """FFmpeg's errors of this thread as a list, none on stderr; the caller empties it."""
    before, skipped = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield logs
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skipped)


def open_audio(file: BinaryIO) -> InputContainer:
    """The file as a container. Raises `av.FFmpegError` where FFmpeg refuses it."""
    return av.open(
        f"/dev/fd/{file.fileno()}",
        "r",
        options={"format_whitelist": _CONTAINERS},
        metadata_errors="surrogateescape",
    )


def first_audio(container: InputContainer) -> AudioStream | None:
    """The first audio stream that has a decoder, one thread, checksums checked; None where there is none."""
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"err_detect": "crccheck"}
            return stream
    return None


def hear(file: BinaryIO, duration_max_s: float) -> Heard:
    """Decode the first audio stream from end to end; hostile bytes give a `Heard`, never an exception."""
    with logged() as logs:
        try:
            with open_audio(file) as container:
                stream = first_audio(container)
                if stream is None:
                    return Heard(refusal="it holds no audio stream")
                return _Listening(container, stream, logs, duration_max_s).listen()
        except (av.FFmpegError, ValueError, OverflowError, MemoryError) as error:
            return Heard(refusal=reason(error))


def reason(error: BaseException) -> str:
    """What an FFmpeg error says, without the file's name."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def is_junk(packet: "Packet[AudioStream]") -> bool:
    """Whether this was never sound: tags and padding between MPEG frames are handed on as packets."""
    codec = packet.stream.codec_context.codec.canonical_name
    return codec in {"mp1", "mp2", "mp3"} and bytes(packet)[:1] != _MPEG_SYNC


class _Listening:
    """One pass over one stream: the counts while its packets pass."""

    def __init__(self, container: InputContainer, stream: AudioStream, logs: list[Any], duration_max_s: float) -> None:
        self._container, self._stream, self._logs = container, stream, logs
        self._duration_max_s = duration_max_s
        context = stream.codec_context
        self._codec = str(context.codec.canonical_name)
        self._promised, bits, self._md5_promised = flac_samples(
            bytes(context.extradata or b"") if self._codec == "flac" else b""
        )
        self._digest = PcmDigest(bits) if self._md5_promised else None
        self._rate_hz, self._channels = context.sample_rate, context.channels
        self._samples = self._packets = self._undecodable = self._checksum_errors = self._corrupt = 0
        self._seconds = 0.0

    def listen(self) -> Heard:
        breaks_off = ""
        self._logs.clear()
        try:
            for packet in self._container.demux(self._stream):
                self._take(packet)
                if self._seconds > self._duration_max_s:
                    break
        except av.FFmpegError as error:
            breaks_off = reason(error)
        self._count_logs()
        return Heard(
            container=self._container.format.name,
            codec=self._codec,
            sample_rate_hz=self._rate_hz,
            channels_count=self._channels,
            samples_count=self._samples,
            promised_count=self._promised or self._container_promise(),
            packets_count=self._packets,
            undecodable_count=self._undecodable,
            checksum_errors_count=self._checksum_errors,
            corrupt_count=self._corrupt,
            breaks_off=breaks_off,
            is_too_long=self._seconds > self._duration_max_s,
            md5=self._digest.hex() if self._digest else "",
            md5_promised=self._md5_promised,
        )

    def _take(self, packet: "Packet[AudioStream]") -> None:
        self._packets += packet.size > 0
        self._corrupt += packet.is_corrupt
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError:
            self._undecodable += not is_junk(packet)
            return
        finally:
            if len(self._logs) > _LOGS_KEPT:
                self._count_logs()
        for frame in frames:
            self._rate_hz, self._channels = frame.sample_rate, frame.layout.nb_channels
            self._samples += frame.samples
            self._seconds += frame.samples / (frame.sample_rate or 1)
            if self._digest:
                self._digest.take(frame)

    def _count_logs(self) -> None:
        """A checksum that fails is logged by the decoder, not raised."""
        self._checksum_errors += sum("CRC" in text and name != "ogg" for _, name, text in self._logs)
        self._logs.clear()

    def _container_promise(self) -> int | None:
        duration, base = self._stream.duration, self._stream.time_base
        if not duration or base is None:
            return None
        return round((duration - max(0, self._stream.start_time or 0)) * base * self._rate_hz)

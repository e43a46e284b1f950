"""Audio written for a test: noise over a tone by libsndfile or by FFmpeg's encoders."""

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from tenuto.audio.oggpages import page_checksum

RATE_HZ = 44_100
BY_SNDFILE: dict[str, dict[str, str]] = {
    "a.flac": {}, "deep.flac": {"subtype": "PCM_24"}, "a.wav": {}, "deep.wav": {"subtype": "PCM_24"}, "a.aiff": {},
    "a.ogg": {}, "a.opus": {"format": "OGG", "subtype": "OPUS"}, "a.mp3": {},
}  # fmt: skip
BY_FFMPEG = {"a.m4a": ("aac", "fltp"), "alac.m4a": ("alac", "s16p"), "a.wv": ("wavpack", "s16p"), "a.tta": ("tta", "s16"),
             "a.oga": ("flac", "s16"), "a.mka": ("flac", "s16")}  # fmt: skip
ALL = (*BY_SNDFILE, *BY_FFMPEG)


def music(samples: int, channels: int = 2, seed: int = 1) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A tone in noise, one row a sample."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE_HZ)
    noise = np.random.default_rng(seed).normal(0, 0.05, (samples, channels))
    return (tone[:, None] + noise).astype("float32")


def made(folder: Path, name: str, samples: int = 2 * RATE_HZ + 123, channels: int = 2, rate_hz: int = RATE_HZ) -> Path:
    """A file of so many samples in the format that its name stands for in the tables above."""
    file = folder / name
    if name in BY_FFMPEG:
        _encoded(file, *BY_FFMPEG[name], music(samples, channels))
    else:
        rate_hz = 48_000 if name.endswith(".opus") else rate_hz
        soundfile.write(file, music(samples, channels), rate_hz, **BY_SNDFILE.get(name, {}))
    return file


def _encoded(file: Path, codec: str, sample_format: str, sound: Any) -> None:
    with av.open(file, "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ)
        context = stream.codec_context
        context.format, context.layout = sample_format, "stereo"
        context.open()
        size = context.frame_size or 4096
        resampler = av.AudioResampler(format=sample_format, layout="stereo", rate=RATE_HZ, frame_size=size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def ogg_page(packets: list[bytes], kind: int, granule: int, number: int) -> bytes:
    """A page of whole packets with its checksum."""
    table = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    page = b"OggS\0" + struct.pack("<BqIIIB", kind, granule, 7, number, 0, len(table)) + table + b"".join(packets)
    return page[:22] + struct.pack("<I", page_checksum(page)) + page[26:]


def tiny_packets(file: Path, pages: int) -> Path:
    """An Opus stream of packets of two bytes, 120 ms each: 24 seconds in 650 bytes."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    packet = bytes([3 << 3 | 3, 2])  # RFC 6716, 3.1: SILK, narrow band, 60 ms, two frames of no bytes
    written = [ogg_page([head], 2, 0, 0), ogg_page([tags], 0, 0, 1)]
    for place in range(pages):
        kind = 4 if place == pages - 1 else 0
        written.append(ogg_page([packet] * 200, kind, (place + 1) * 200 * 5760, place + 2))
    file.write_bytes(b"".join(written))
    return file

"""Whether a file is whole: all of its sound is decoded, counted, and held against what the file says of itself.

Witnesses, in this order: FFmpeg (packets that cannot be decoded, checksums of FLAC, WavPack, TTA, APE, protected MP3),
the MD5 of FLAC, the pages of Ogg, the frames of MP3, the promised sample count, the file's own sizes (`truncation`).
libsndfile is asked before a file is called damaged on FFmpeg's word alone.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tenuto.audio.blocks import TouchedFile
from tenuto.audio.ffmpeg import Heard, hear
from tenuto.audio.formats import LOSSLESS_CODECS, foreign_format, looks_like, sniff
from tenuto.audio.mpegframes import find_hole
from tenuto.audio.oggpages import Pages, walk_pages
from tenuto.audio.promise import has_mp3_count, wav_samples
from tenuto.audio.sndfile import Opinion, second_opinion
from tenuto.audio.truncation import NOT_ENDED, find_truncation

_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska", "wv": "wavpack", "mpc": "musepack",
               "mpc8": "musepack", "iff": "dsdiff", "w64": "wav", "wavex": "wav"}  # fmt: skip
_CODECS = {"musepack7": "musepack", "musepack8": "musepack", "wmav1": "wma", "wmav2": "wma", "wmapro": "wma",
           "wmalossless": "wma", "dst": "dsd"}  # fmt: skip
_LOSSLESS_NAMES = frozenset({"wmalossless", "dst", "shorten", "tak", "mlp", "truehd"})
_LOSSY_PCM = frozenset({"pcm_alaw", "pcm_mulaw", "pcm_vidc"})
_WAVPACK_HYBRID = 0x8
"""Block header flag of WavPack 4 and 5: lossy, unless a correction file lies beside it."""

_TOLERANCES = {"vorbis": 8192, "opus": 5760, "mp3": 2304, "mp2": 2304, "mp1": 768, "aac": 4096, "musepack": 2304}
"""Samples by which a lossy stream may differ from its promise.

One block at either end: Vorbis 8192 at most (Vorbis I, 4.2.2), Opus 120 ms at 48 kHz (RFC 6716), MPEG audio two frames,
AAC two frames of 2048 with SBR (priming and padding: ISO 14496-24), Musepack two of 1152.
"""
_LOSSY_TOLERANCE = 8192
_SELDOM_RIGHT = frozenset({"mp1", "mp2", "mp3"})
"""Codecs of which some encoders wrote a wrong checksum into every frame: then it says nothing of the sound."""

_NO_PROMISE = frozenset({"matroska", "dsf", "dsdiff", "aac", "rm", "asf", "amr", "ac3", "eac3", "dts", "voc"})
"""Containers whose duration is estimated, rounded, or known to be written in another unit than the specification's."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What decoding found. `samples_count` is per channel, really decoded; DSD is counted as FFmpeg gives it, 8 bits a sample.

    `codec` is one of the words of `tags.py`. `is_lossless` is None where the codec can be either.
    """

    container: str
    codec: str
    sample_rate_hz: int
    channels_count: int
    samples_count: int
    duration_ms: int
    is_lossless: bool | None


@dataclass(frozen=True, slots=True)
class Examined:
    """The verdict. `damage` is "" where the file is whole, else a sentence with numbers and without the file's name.

    `is_decodable` is False where the content is of a format that no decoder here knows: then there is neither sound nor
    damage, and it is kept as it is. Content that is no audio at all is damage.
    """

    sound: Sound | None
    damage: str
    is_decodable: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """What the file itself says, beside the decoders."""

    head: bytes
    truncation: str
    pages: Pages | None
    promised_count: int | None
    is_hybrid: bool
    hole: str


def examine(path: Path, duration_max_s: float = 48 * 3600) -> Examined:
    """Decode all of a local file in flat memory.

    More than `duration_max_s` of sound is damage, and decoding stops there. Raises `OSError` where the file cannot be
    read; whatever its bytes are, they give an `Examined`. A decoder that takes the process with it is the caller's.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return Examined(None, "no audio in it: it is empty", is_decodable=True)
        heard = hear(file, duration_max_s)
        witnesses = _witnesses(file, size, heard)
        if heard.refusal or not heard.samples_count:
            return _refused(heard, witnesses, second_opinion(file, duration_max_s))
        sound = _sound(heard, witnesses)
        if heard.is_too_long:
            return Examined(sound, _too_long(duration_max_s), is_decodable=True)
        damage, doubt, note = _faults(heard, sound, witnesses)
        if doubt and not damage and (witnesses.pages is not None or sound.codec == "pcm"):
            return _reconsidered(sound, doubt, note, witnesses, second_opinion(file, duration_max_s))
        return Examined(sound, _joined(damage, doubt), is_decodable=True, note=note)


def _witnesses(file: BinaryIO, size: int, heard: Heard) -> _Witnesses:
    view = TouchedFile(file, size, "sound")
    head = view.read(2048)
    truncation = find_truncation(view, size) or ""
    pages = walk_pages(file) if head.startswith(b"OggS") else None
    promised = _promised(view, heard, pages)
    is_hybrid = head.startswith(b"wvpk") and len(head) > 27 and bool(head[24] & _WAVPACK_HYBRID)  # noqa: PLR2004 -- one block header
    hole = find_hole(file) if (heard.container, heard.codec) == ("mp3", "mp3") else ""
    return _Witnesses(head, truncation, pages, promised, is_hybrid, hole)


def _promised(view: TouchedFile, heard: Heard, pages: Pages | None) -> int | None:
    container = _container(heard)
    if heard.codec == "flac" or not heard.container:
        return heard.promised_count or (pages.samples_count if pages else None)
    if container == "ogg":
        return pages.samples_count if pages else None
    if container == "wav":
        return wav_samples(view) if heard.container == "wav" else heard.promised_count
    if container == "mp3" and not has_mp3_count(view):
        return None
    return None if container in _NO_PROMISE else heard.promised_count


def _faults(heard: Heard, sound: Sound, witnesses: _Witnesses) -> tuple[str, str, str]:
    """What is damage for certain, what is damage unless libsndfile says otherwise, and what is only worth a note."""
    sure = [witnesses.pages.problem] if witnesses.pages else []
    if sound.codec not in _SELDOM_RIGHT or heard.checksum_errors_count * 2 < heard.packets_count:
        sure.append(_count(heard.checksum_errors_count, heard.packets_count, "blocks of sound fail their checksum"))
    if heard.md5 != heard.md5_promised:
        sure.append(f"the MD5 of its samples is {heard.md5}, its header says {heard.md5_promised}")
    doubts = [_count(heard.undecodable_count, heard.packets_count, "packets cannot be decoded")]
    if heard.breaks_off:
        doubts.append(f"reading breaks off after {sound.samples_count:,} samples: {heard.breaks_off}")
    doubts.append(_missing(sound.codec, sound.samples_count, witnesses))
    is_fulfilled = witnesses.promised_count == sound.samples_count and witnesses.pages is None
    is_unended = witnesses.truncation == NOT_ENDED and witnesses.pages is not None and not witnesses.pages.problem
    note = f"its sound is complete, though {witnesses.truncation}" if is_fulfilled and witnesses.truncation else ""
    note = witnesses.truncation if is_unended else note
    sure += ["" if is_fulfilled else witnesses.hole, "" if note else witnesses.truncation]
    return _joined(*sure), _joined(*doubts), note


def _missing(codec: str, samples: int, witnesses: _Witnesses) -> str:
    """A sentence where the count differs from the promise by more than the codec may."""
    promised = witnesses.promised_count
    if promised is None:
        return ""
    exact = codec in LOSSLESS_CODECS
    difference = promised - samples
    if abs(difference) <= (0 if exact else _TOLERANCES.get(codec, _LOSSY_TOLERANCE)):
        return ""
    if difference > 0:
        return f"{difference:,} of {promised:,} samples are missing"
    return f"{-difference:,} samples more than the {promised:,} that its header promises"


def _reconsidered(sound: Sound, doubt: str, note: str, witnesses: _Witnesses, second: Opinion | None) -> Examined:
    """FFmpeg alone has doubts, of a file whose checksums (Ogg) or sizes (PCM) vouch for what libsndfile reads.

    Elsewhere libsndfile is no witness: it plays over what it cannot decode.
    """
    if second is None or second.fault or _missing(second.codec, second.samples_count, witnesses):
        return Examined(sound, doubt, is_decodable=True, note=note)
    said = f"FFmpeg says of it: {doubt}; libsndfile decodes it whole"
    return Examined(_second_sound(second), "", is_decodable=True, note=_joined(note, said))


def _refused(heard: Heard, witnesses: _Witnesses, second: Opinion | None) -> Examined:
    """FFmpeg gives no sound at all."""
    said = heard.refusal or "it decodes to 0 samples"
    known = sniff(witnesses.head)
    if second is not None:
        found = _joined(
            witnesses.truncation,
            witnesses.pages.problem if witnesses.pages else "",
            _missing(second.codec, second.samples_count, witnesses),
            second.fault,
        )
        note = "" if found else f"FFmpeg refuses it ({said}), libsndfile decodes it whole"
        return Examined(_second_sound(second), found, is_decodable=True, note=note)
    if foreign := foreign_format(witnesses.head):
        return Examined(None, "", is_decodable=False, note=f"no decoder here plays {foreign}: FFmpeg says {said}")
    if known is None:
        return Examined(None, f"no audio in it: {looks_like(witnesses.head)}", is_decodable=True)
    cut = f": {witnesses.truncation}" if witnesses.truncation else ""
    return Examined(None, f"no audio in it can be decoded, FFmpeg says {said}{cut}", is_decodable=True)


def _sound(heard: Heard, witnesses: _Witnesses) -> Sound:
    codec = "pcm" if heard.codec.startswith("pcm_") and heard.codec not in _LOSSY_PCM else heard.codec
    codec = "dsd" if codec.startswith("dsd_") else _CODECS.get(codec, codec)
    is_lossless = (codec in LOSSLESS_CODECS or heard.codec in _LOSSLESS_NAMES) and not witnesses.is_hybrid
    container = _container(heard)
    rate = heard.sample_rate_hz
    duration_ms = round(heard.samples_count * 1000 / rate) if rate else 0
    return Sound(container, codec, rate, heard.channels_count, heard.samples_count, duration_ms, is_lossless)


def _second_sound(found: Opinion) -> Sound:
    duration_ms = round(found.samples_count * 1000 / found.sample_rate_hz)
    container = _CONTAINERS.get(found.container, found.container)
    is_lossless = found.codec in LOSSLESS_CODECS
    rate, channels = found.sample_rate_hz, found.channels_count
    return Sound(container, found.codec, rate, channels, found.samples_count, duration_ms, is_lossless)


def _container(heard: Heard) -> str:
    return _CONTAINERS.get(heard.container, heard.container)


def _too_long(duration_max_s: float) -> str:
    return f"more than {duration_max_s:,.0f} s of sound: decoding was stopped there"


def _count(bad: int, of: int, what: str) -> str:
    return f"{bad:,} of {max(bad, of):,} {what}" if bad else ""


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)

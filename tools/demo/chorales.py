"""A small set of public-domain music that is always there: Bach chorales, rendered as soft tones.

The notes stand in `chorales.txt`. The same table and the same numpy, libsndfile and mutagen give the same bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from mutagen.flac import FLAC
from numpy.typing import NDArray

from .running import Say

TABLE = Path(__file__).with_name("chorales.txt")
MARK = ".rendered-by"
ARTIST = "Johann Sebastian Bach"
ALBUM = "Chorales (rendered)"
LICENCE_URL = "https://creativecommons.org/publicdomain/zero/1.0/"
LICENCE_TEXT = f"""\
CC0 1.0 Universal

The chorales are by Johann Sebastian Bach (1685-1750) and in the public domain. The Tenuto project transcribed and
rendered their first phrases for its demo, and dedicates these recordings to the public domain by waiving all of its
rights to them worldwide under copyright law, including all related and neighbouring rights, to the extent allowed by
law.

The deed and the legal code: {LICENCE_URL}
SPDX-License-Identifier: CC0-1.0
"""

RATE_HZ = 44_100
A4_HZ, A4_NOTE = 440.0, 69
HARMONICS_FRAC = (1.0, 0.35, 0.16, 0.07, 0.03)
ATTACK_S, RELEASE_S, FADING_S = 0.06, 0.35, 4.0
VOICE_LEVEL_FRAC = 0.14
VOICE_PANS_FRAC = (0.35, 0.6, 0.42, 0.5)  # soprano, alto, tenor, bass: 0 is left, 1 is right

Sound = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """A sound of MIDI number `pitch`, or a rest where that is None; `beats` are quarter notes."""

    pitch: int | None
    beats: float


@dataclass(frozen=True, slots=True)
class Chorale:
    """`voices` are soprano, alto, tenor, bass; each a list of bars; `year` of composition is "" where unknown."""

    title: str
    catalogue_number: str
    year: str
    beats_per_minute: int
    voices: tuple[tuple[tuple[Note, ...], ...], ...]


def rendered(into: Path, say: Say) -> list[Path]:
    """Return the chorales in the folder `into`; they are rendered unless they are there, by the same table and programs."""
    mark, maker = into / MARK, _maker()
    if mark.is_file() and mark.read_text(encoding="ascii") == maker:
        return sorted(into.glob("*.flac"))
    say("rendering the chorales")
    mark.unlink(missing_ok=True)
    files = render(into)
    mark.write_text(maker, encoding="ascii")  # last, so that a rendering that was stopped is done again
    return files


def _maker() -> str:
    """Everything that the bytes depend on."""
    parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (TABLE, Path(__file__))]
    return "\n".join([*parts, *(f"{name} {version(name)}" for name in ("numpy", "soundfile", "mutagen"))])


def render(into: Path) -> list[Path]:
    """Write the chorales as tagged FLAC files, and their LICENSE, into the folder `into`; return the FLAC files."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "LICENSE").write_text(LICENCE_TEXT, encoding="utf-8")
    chorales = enumerate(parse(TABLE.read_text(encoding="utf-8")), start=1)
    return [_write(chorale, number, into) for number, chorale in chorales]


def parse(table: str) -> list[Chorale]:
    """Read the notation that the head of `chorales.txt` describes."""
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    return [_chorale(lines[start], lines[start + 1 : start + 5]) for start in range(0, len(lines), 5)]


def _chorale(head: str, voices: list[str]) -> Chorale:
    title, catalogue_number, year, tempo = (field.strip() for field in head.strip("[]").split(";"))
    bars = tuple(tuple(tuple(map(_note, bar.split())) for bar in voice.split("|")) for voice in voices)
    return Chorale(title, catalogue_number, year.strip("?"), int(tempo), bars)


def _note(text: str) -> Note:
    pitch, _, beats = text.partition(":")
    return Note(None if pitch == "-" else int(pitch), float(beats or 1))


def _write(chorale: Chorale, number: int, into: Path) -> Path:
    file = into / f"{number:02} {chorale.title}.flac"
    beside = file.with_suffix(".part")
    soundfile.write(beside, mix(chorale), RATE_HZ, format="FLAC", subtype="PCM_16")
    tags = FLAC(beside)  # type: ignore[no-untyped-call]  # mutagen has no annotations
    for key, value in _tags(chorale, number).items():
        tags[key] = value
    tags.save()
    beside.replace(file)
    return file


def _tags(chorale: Chorale, number: int) -> dict[str, str]:
    tags = {
        "TITLE": f"{chorale.title}, {chorale.catalogue_number}",
        "ARTIST": ARTIST,
        "COMPOSER": ARTIST,
        "ALBUM": ALBUM,
        "TRACKNUMBER": str(number),
        "DATE": chorale.year,
        "LICENSE": LICENCE_URL,
    }
    return {key: value for key, value in tags.items() if value}


def mix(chorale: Chorale) -> Sound:
    """Sound the four voices together: samples of shape (n, 2), within -1 and 1, that end in silence."""
    length_s = max(start_s + note_s for voice in chorale.voices for _, start_s, note_s in _sounding(chorale, voice))
    sound = np.zeros((round((length_s + 2 * RELEASE_S) * RATE_HZ), 2))
    for voice, pan in zip(chorale.voices, VOICE_PANS_FRAC, strict=True):
        sides = np.sqrt([1 - pan, pan])  # equal power
        for pitch, start_s, note_s in _sounding(chorale, voice):
            tone = _tone(pitch, note_s)
            start = round(start_s * RATE_HZ)
            sound[start : start + len(tone)] += tone[:, np.newaxis] * sides
    return sound


def _sounding(chorale: Chorale, voice: tuple[tuple[Note, ...], ...]) -> Iterator[tuple[int, float, float]]:
    """Give pitch, start and length in seconds of each note of a voice that is no rest."""
    beat_s = 60 / chorale.beats_per_minute
    beats = 0.0
    for note in (note for bar in voice for note in bar):
        if note.pitch is not None:
            yield note.pitch, beats * beat_s, note.beats * beat_s
        beats += note.beats


def _tone(pitch: int, length_s: float) -> Sound:
    """Draw one soft tone: few harmonics, a gentle attack, slow fading, and a release after its length."""
    time_s = np.arange(round((length_s + RELEASE_S) * RATE_HZ)) / RATE_HZ
    frequency_hz = A4_HZ * 2 ** ((pitch - A4_NOTE) / 12)
    harmonics = enumerate(HARMONICS_FRAC, start=1)
    wave = sum((level * np.sin(2 * np.pi * n * frequency_hz * time_s) for n, level in harmonics), np.zeros_like(time_s))
    attack = np.clip(time_s / ATTACK_S, 0, 1)
    release = np.clip((length_s + RELEASE_S - time_s) / RELEASE_S, 0, 1)
    envelope = attack * release**2 * np.exp(-time_s / FADING_S)
    return np.asarray(VOICE_LEVEL_FRAC * envelope * wave)

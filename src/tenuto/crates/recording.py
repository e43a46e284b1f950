"""One recording: fetched, decoded to its end, derived where the tier says so, sealed where it is dark, and noted."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tenuto.archive.durable import LEFTOVER_PREFIX
from tenuto.audio.decode import Examined, examine
from tenuto.audio.formats import AUDIO_SUFFIXES
from tenuto.audio.mime import mime_of
from tenuto.audio.opus import Encoded, encode_opus
from tenuto.audio.truncation import NOT_ENDED
from tenuto.crates import dark
from tenuto.crates.hashing import digests_of
from tenuto.crates.journal import DAMAGED, GONE, REFUSED, TAKEN_BACK, UNAVAILABLE, DraftFolder, Outcome
from tenuto.crates.wanted import Wanted
from tenuto.harvest.originals import Fetched, Originals
from tenuto.model.errors import IntegrityError, RetriableError, RightsError, SkipRecordError

ORIGINAL = "original"

_SLACK_BYTES = 64 * 2**20
_UNTOLD_MAX_BYTES = 16 * 2**30
"""The most that is taken of a recording of which the source did not say how long it is."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file to be kept, with what was found out about it."""

    path: Path
    bytes: int
    sha256: str
    crc32: int
    examined: Examined


def keep_recording(
    wanted: Wanted,
    number: int,
    folder: DraftFolder,
    originals: Originals,
    recipients: tuple[str, ...],
    is_taken_back: Callable[[str], bool],
) -> Outcome:
    """Fetch one recording into the draft's folder and note what came of it; `recipients` is empty in an open draft.

    `is_taken_back` tells of a SHA-256 whether it was withdrawn and may not be put into this draft, whatever its id is now.
    Raises SourceDownError and SourceRefusedError where nothing more can be had of the source, OSError where the disk is full.
    """
    blank = Outcome(key=wanted.key, offer_digest=wanted.offer_digest, evidence_id=wanted.evidence_id)
    stem = folder.path / f"{LEFTOVER_PREFIX}{number:05d}"
    try:
        outcome = _keep(wanted, number, folder, originals, recipients, is_taken_back, blank, stem)
    except SkipRecordError as error:
        outcome = replace(blank, code=GONE if error.is_gone else UNAVAILABLE, reason=str(error))
    except RetriableError as error:
        outcome = replace(blank, code=UNAVAILABLE, reason=str(error))
    except RightsError as error:
        outcome = replace(blank, code=REFUSED, reason=str(error))
    except IntegrityError as error:
        outcome = replace(blank, code=DAMAGED, reason=str(error))
    finally:
        for leftover in folder.path.glob(f"{stem.name}*"):
            leftover.unlink(missing_ok=True)
    folder.note(outcome) if outcome.is_kept else folder.discard(outcome)
    return outcome


def _keep(
    wanted: Wanted,
    number: int,
    folder: DraftFolder,
    originals: Originals,
    recipients: tuple[str, ...],
    is_taken_back: Callable[[str], bool],
    blank: Outcome,
    stem: Path,
) -> Outcome:
    fetched = originals.fetch(wanted.fetch_id, stem, _limit(wanted))
    if not fetched.bytes:
        raise IntegrityError("the source gave 0 bytes")
    if is_taken_back(fetched.sha256):
        raise RightsError(TAKEN_BACK)
    examined = examine(stem)
    is_short = fetched.bytes < wanted.offered_bytes and NOT_ENDED in examined.note
    if examined.damage or is_short:
        raise IntegrityError(_damage(examined.damage or examined.note, fetched, wanted))
    kept = _Kept(stem, fetched.bytes, fetched.sha256, fetched.crc32, examined)
    outcome = replace(blank, state=fetched.state, tier=ORIGINAL)
    if wanted.tier != ORIGINAL and examined.sound is not None and _may_derive(wanted, examined):
        kept = _derive(stem, wanted, examined)
        is_lossy = examined.sound.is_lossless is False
        outcome = replace(outcome, tier=wanted.tier, derived_from=fetched.sha256, is_lossy_to_lossy=is_lossy)
        if is_taken_back(kept.sha256):
            raise RightsError(TAKEN_BACK)
    outcome = _described(outcome, kept, wanted)
    name = f"{number:05d}.{_suffix(kept, wanted)}"
    if recipients:
        sealed = stem.with_name(f"{stem.name}.age")
        _encrypt(kept.path, sealed, recipients)
        size, sha256, crc32 = digests_of(sealed)
        name = f"{number:05d}.age"
        outcome = replace(outcome, sealed_bytes=size, sealed_sha256=sha256, sealed_crc32=crc32)
        kept = replace(kept, path=sealed)
    folder.take(kept.path, name)
    return replace(outcome, file=name)


def _may_derive(wanted: Wanted, examined: Examined) -> bool:
    """Lossy to lossy only where the plan chose it knowingly: a source may call lossless what is not."""
    return examined.sound is not None and (examined.sound.is_lossless is not False or not wanted.is_lossless)


def _encrypt(clear: Path, sealed: Path, recipients: tuple[str, ...]) -> None:
    """`dark.encrypt_file`, whose library calls a full disk an error of encryption."""
    from pyrage import EncryptError  # noqa: PLC0415 -- only dark crates need it

    try:
        dark.encrypt_file(clear, sealed, recipients)
    except EncryptError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(sealed)) from None


def _limit(wanted: Wanted) -> int:
    """What is taken of an original at most: an endless stream must end somewhere."""
    return wanted.offered_bytes * 3 // 2 + _SLACK_BYTES if wanted.offered_bytes >= 0 else _UNTOLD_MAX_BYTES


def _damage(said: str, fetched: Fetched, wanted: Wanted) -> str:
    """What is wrong with what came, and whether the source promised more."""
    if 0 <= wanted.offered_bytes != fetched.bytes:
        return f"{said}; the source said {wanted.offered_bytes:,} bytes and gave {fetched.bytes:,}"
    return said


def _derive(original: Path, wanted: Wanted, examined: Examined) -> _Kept:
    derivative = original.with_name(f"{original.name}.opus")
    encoded: Encoded = encode_opus(original, derivative, int(wanted.tier.partition("-")[2]))
    sound = examined.sound
    if sound is None:
        raise TypeError("what cannot be decoded is not derived")
    size, sha256, crc32 = digests_of(derivative)
    opus = replace(sound, container="ogg", codec="opus", sample_rate_hz=48_000, channels_count=encoded.channels_count,
                   samples_count=encoded.samples_count, duration_ms=encoded.duration_ms, is_lossless=False)  # fmt: skip
    return _Kept(derivative, size, sha256, crc32, replace(examined, sound=opus))


def _described(outcome: Outcome, kept: _Kept, wanted: Wanted) -> Outcome:
    outcome = replace(outcome, bytes=kept.bytes, sha256=kept.sha256, crc32=kept.crc32)
    sound = kept.examined.sound
    if sound is None:
        return replace(outcome, mime=wanted.mime or "application/octet-stream", duration_ms=wanted.duration_ms or None)
    return replace(
        outcome, mime=mime_of(sound.container), codec=sound.codec, sample_rate_hz=sound.sample_rate_hz,
        channels_count=sound.channels_count, samples_count=sound.samples_count, duration_ms=sound.duration_ms,
    )  # fmt: skip


def _suffix(kept: _Kept, wanted: Wanted) -> str:
    """The ending of the name: the source's own where it is one of audio, else that of the container."""
    if kept.path.suffix == ".opus":
        return "opus"
    named = PurePosixPath(wanted.path).suffix.lstrip(".").casefold()
    sound = kept.examined.sound
    if named in AUDIO_SUFFIXES or sound is None:
        return named if named.isascii() and named.isalnum() else "bin"
    return sound.container

"""`tenuto get`."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json
from tenuto.cli.tables import line


def get(
    what: str,
    /,
    *,
    from_: Annotated[
        str | None,
        Parameter(name="--from", help="A publication's address or folder; without it, the archive's own crates."),
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="The file to make, or a folder. By default it gets its own name, here.")
    ] = None,
    key: Annotated[
        str | None, Parameter(help="The hex of the key that must have signed; by default the one first seen there.")
    ] = None,
    identity: Annotated[
        Path | None, Parameter(help="The age identity that opens dark crates; by default the archive's own.")
    ] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Take one recording, and prove that it is the one that was sealed. Nothing else of its crate is needed.

    Parameters
    ----------
    what
        The recording's SHA-256 (64 hexadecimal digits), SOURCE:TRACK_ID, or a track's id alone.

    """
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import UsageError

    if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise UsageError(f"--key {key!r} is no key; it has 64 hexadecimal digits, as signing_public in index.json")
    if key is not None and from_ is None:
        raise UsageError("--key goes with --from: an archive's own crates are read without it")
    if identity is not None and from_ is not None:
        raise UsageError(
            "--identity opens the archive's own dark crates; a publication has none, so it goes without --from"
        )
    with TerminalProgress() as progress:
        taken = (
            _take(from_, what, out or HERE, key, progress)
            if from_ is not None
            else _take_own(archive, what, out or HERE, progress, identity)
        )
    if json:
        print_json(_document(what, taken))
    else:
        _render(taken)


def _take_own(archive: Path, what: str, out: Path, progress: Any, identity: Path | None) -> Any:
    """From an archive's own crates; a mirror has its archive's publication, and is held to the key that it pins."""
    layout, settings = open_archive(archive)
    if settings.mirror is not None:
        return _take(str(layout.publication), what, out, None, progress)
    from tenuto.publication.own import take_from_archive

    return take_from_archive(layout, settings, what, out, progress, identity)


def _take(from_: str, what: str, out: Path, key: str | None, progress: Any) -> Any:
    """From a publication, with what is known of it from before."""
    from tenuto.publication.get import take
    from tenuto.publication.known import Known, KnownPlaces, default_known_file, own_key
    from tenuto.publication.lookup import OtherKeyError
    from tenuto.publication.places import FolderPlace

    known_places = KnownPlaces(default_known_file(dict(os.environ)))
    with _opened(from_) as place:
        is_folder = isinstance(place, FolderPlace)
        own = own_key(place.root) if isinstance(place, FolderPlace) and key is None else None
        known = known_places.get(place.name) if own is None else None
        pinned = key.lower() if key is not None else own or (known.signing_public if known else None)
        sequence = known.sequence if known and known.signing_public == pinned else 0

        def note(index: Any) -> None:
            if own is None:
                seen = Known(archive=index.archive, signing_public=index.signing_public, sequence=index.sequence)
                known_places.note(place.name, seen)

        if pinned is None:
            progress.say(
                f"first use of {place.name}: the key that signs it is kept from now on; --key HEX pins it at once"
            )
        try:
            return take(place, what, out, pinned=pinned, known_sequence=sequence, progress=progress, on_index=note)
        except OtherKeyError as error:
            if known is None or key is not None:
                raise
            raise known_places.differs(error, is_folder=is_folder) from None


@contextmanager
def _opened(from_: str) -> Iterator[Any]:
    from tenuto.publication.places import WebPlace, open_place

    place = open_place(from_)
    try:
        yield place
    finally:
        if isinstance(place, WebPlace):
            place.close()


def _document(what: str, taken: Any) -> dict[str, Any]:
    return {
        "what": what,
        "path": str(taken.path),
        "crate": taken.recording.crate,
        "bytes": taken.recording.bytes,
        "sha256": taken.recording.sha256,
        "received": taken.received,
        "overhead_bytes": taken.overhead_bytes,
        "was_there": taken.was_there,
        "pieces": taken.pieces,
    }


def _render(taken: Any) -> None:
    from tenuto.model.units import counted, format_bytes

    if taken.was_there:
        line(f"{taken.path} is there already, and has this SHA-256; nothing was done")
        return
    line(f"{taken.path}")
    line(f"taken      {format_bytes(taken.recording.bytes)} from crate {taken.recording.crate}")
    if taken.pieces:
        line(
            f"proven     sha256 {taken.recording.sha256}; {counted(taken.pieces, 'piece')} of the crate "
            f"lead{'s' if taken.pieces == 1 else ''} to the root that {taken.index.archive} signed "
            f"(index number {taken.index.sequence}, key {taken.index.signing_public[:16]}…)"
        )
    else:
        line(f"proven     sha256 {taken.recording.sha256}")
    if taken.received:
        total = sum(taken.received.values())
        parts = ", ".join(f"{purpose} {format_bytes(size)}" for purpose, size in taken.received.items())
        line(
            f"received   {format_bytes(total)}, of which {format_bytes(taken.overhead_bytes)} beyond the recording: {parts}"
        )

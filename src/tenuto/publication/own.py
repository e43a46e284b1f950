"""Taking one recording from the archive's own crates: the keeper's way, open or dark, with the identity that opens the dark."""

import hashlib
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.catalogue import statement_from
from tenuto.crates import dark
from tenuto.crates.holdings import survey
from tenuto.crates.names import component
from tenuto.crates.reader import CrateFile
from tenuto.crates.withdrawn import load_taken_back
from tenuto.model.errors import IntegrityError, RightsError, SettingsError, UsageError
from tenuto.model.ids import track_key
from tenuto.model.progress import Progress
from tenuto.publication.documents import Location
from tenuto.publication.get import Taken, new_file
from tenuto.rights import Action, may
from tenuto.rights.withdrawals import statement_of

_SHA256 = re.compile("[0-9a-f]{64}")
_PART_BYTES = 2**20


def take_from_archive(
    layout: Layout, settings: Settings, what: str, out: Path, progress: Progress, identity: Path | None = None
) -> Taken:
    """Write a recording (`SOURCE:TRACK_ID`, a track id, or a SHA-256) that a crate of the archive holds to `out`.

    Raises UsageError where none does, RightsError where it may not even be kept, SettingsError where the identity is missing,
    IntegrityError where the crate is damaged.
    """
    path, row = _find(layout, settings, what)
    key = track_key(row["source"], row["track_id"])
    said = [statement_from(one) for one in row["statements"] or ()]
    taken = load_taken_back(layout)
    withdrawals = (taken.log.by_key().get(key), taken.of_recording(row["sha256"], row["derived_from"]))
    said += [statement_of(one) for one in withdrawals if one is not None]
    decision = may(said, Action.KEEP, settings.archive.territory, datetime.now(UTC).date())
    if not decision.is_allowed:
        raise RightsError(f"{what}: {decision.reason}; it is not taken out")
    is_dark = path.parent == layout.dark
    target = out / _name(row, is_dark=is_dark) if out.is_dir() else out
    location = Location(
        crate=path.stem, path=row["path"], offset=row["offset"], bytes=row["bytes"], sha256=row["sha256"]
    )
    if target.exists():
        with target.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() == row["sha256"]:
                return Taken(target, location, {}, was_there=True)
        raise UsageError(f"{target} exists and is another file; it is not overwritten: name another with --out")
    progress.begin(f"take from {path.stem}")
    opened = dark.load_identity(layout.operator_path(settings.keys.folder), identity) if is_dark else None
    _write(CrateFile(path), row, target, opened)
    return Taken(target, location, {"recording": row["sealed_bytes"] if is_dark else row["bytes"]})


def _find(layout: Layout, settings: Settings, what: str) -> tuple[Path, dict[str, Any]]:
    """The crate and the row of a recording; open crates go before dark ones."""
    looked = survey(layout, settings)
    found = [
        (path.parent == layout.dark, path, table.slice(number, 1).to_pylist()[0])
        for path, table in looked.found
        for number in _rows(table, what)
    ]
    if not found and looked.unread:
        raise SettingsError(
            f"no crate that can be read here holds {what!r}, and {len(looked.unread)} dark ones cannot be read without the "
            "identity; bring it back from your backup to the folder keys.folder of tenuto.toml"
        )
    if not found:
        raise UsageError(
            f"no crate of this archive holds {what!r}: name a track as SOURCE:TRACK_ID or a recording by its SHA-256; "
            "tenuto status tells what is kept"
        )
    tracks = {(row["source"], row["track_id"]) for _, _, row in found}
    if len(tracks) > 1 and not _SHA256.fullmatch(what):
        raise UsageError(f"{what!r} is the id of {len(tracks)} tracks; name one of them as SOURCE:TRACK_ID")
    _, path, row = min(found, key=lambda one: (one[0], one[1].name))
    return path, row


def _rows(table: pa.Table, what: str) -> list[int]:
    names = ("source", "track_id", "sha256", "derived_from")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [
        row
        for row, (source, track_id, sha256, original) in enumerate(rows)
        if what in {sha256, original, track_id, f"{source}:{track_id}"}
        or (_SHA256.fullmatch(what) and track_key(source, track_id) == what)
    ]


def _name(row: dict[str, Any], *, is_dark: bool) -> str:
    if not is_dark:
        return component(str(row["path"]).rpartition("/")[2])
    suffix = {"audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/mp4": "m4a"}.get(row["mime"]) or str(
        row["mime"]
    ).rpartition("/")[2]
    return component(f"{row['title']} [{row['sha256'][:8]}].{suffix.removeprefix('x-')}")


def _write(crate: CrateFile, row: dict[str, Any], target: Path, identity: Any) -> None:
    """Copy or open the recording, prove it by its SHA-256, then give it its name; another file is never replaced."""
    size = row["sealed_bytes"] if identity is not None else row["bytes"]
    with new_file(target) as file, crate.path.open("rb") as source:
        sink = _Digesting(file)
        source.seek(row["offset"])
        part = _Part(source, size)
        if identity is not None:
            dark.decrypt_stream(part, sink, identity, f"{crate.path}: {row['path']}")
        else:
            while content := part.read(_PART_BYTES):
                sink.write(content)
        if sink.digest.hexdigest() != row["sha256"]:
            raise IntegrityError(
                f"crate {crate.crate}: sha256 of {row['path']} is {sink.digest.hexdigest()}, it should be {row['sha256']}; "
                f"run: tenuto check {crate.crate}"
            )


class _Part(io.RawIOBase):
    """A range of a file as a file of its own."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes of what is left."""
        content: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content


class _Digesting(io.RawIOBase):
    """Writes through to a file and takes the digest."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        """All of it."""
        self.digest.update(content)
        return int(self._file.write(content))

    def flush(self) -> None:
        """Through to the file, while it is open."""
        if not self._file.closed:
            self._file.flush()

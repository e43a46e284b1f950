"""What this machine knows of publications: the key that each one was first seen with, and the highest index seen.

Trust on first use: a later index must be signed by the same key and may not be older (docs/format.md, Publication). It is no
part of an archive: one JSON file in the user's state folder.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from tenuto.archive import Layout, load_settings
from tenuto.archive.durable import make_folder, write_durably
from tenuto.model.documents import Document
from tenuto.model.errors import SettingsError, TenutoError
from tenuto.publication.documents import Archive, Hex64
from tenuto.publication.lookup import OtherKeyError


class Known(Document):
    """What was seen of one publication."""

    archive: Archive
    signing_public: Hex64
    sequence: Annotated[int, Field(ge=0)]


class _File(Document):
    format: Literal["tenuto-known-1"] = "tenuto-known-1"
    places: dict[str, Known] = {}


@dataclass(frozen=True, slots=True)
class KnownPlaces:
    """The file; a place is known by its address or folder."""

    path: Path

    def get(self, place: str) -> Known | None:
        """What is known of a place; None at first use. Raises SettingsError where the file is not as it was written."""
        return self._read().places.get(place)

    def highest(self, signing_public: str | None) -> int:
        """The highest sequence seen by this key at any place; 0 where none was."""
        return max(
            (one.sequence for one in self._read().places.values() if one.signing_public == signing_public), default=0
        )

    def note(self, place: str, seen: Known) -> None:
        """Remember what was seen; a sequence of the same key never falls."""
        with self._held():
            places = dict(self._read().places)
            before = places.get(place)
            if before is not None and before.signing_public == seen.signing_public and before.sequence > seen.sequence:
                return
            if before == seen:
                return
            places[place] = seen
            written = json.dumps(
                _File(places=places).model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True
            )
            write_durably(self.path, written.encode() + b"\n", 0o600)

    def differs(self, error: OtherKeyError, *, is_folder: bool) -> OtherKeyError:
        """The error with where the pinned key stands; for a folder of this machine with the words that pin the other one."""
        seen = f"in {self.path}, since it was first seen. "
        way_on = (
            f"If you know that the archive was made anew there, say so once with --key {error.found}; if not, somebody else "
            "may speak in its name"
            if is_folder
            else "Somebody else may speak in its name: ask the archive for its key, then give it with --key"
        )
        return OtherKeyError(error.place, error.found, error.pinned, seen + way_on)

    def _read(self) -> _File:
        try:
            return _File.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return _File()
        except ValidationError:
            raise SettingsError(
                f"{self.path} is not as tenuto writes it; mend it, or delete it and give --key once for each publication"
            ) from None

    @contextmanager
    def _held(self) -> Iterator[None]:
        make_folder(self.path.parent)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def own_key(root: Path) -> str | None:
    """The key of one's own archive whose publication this folder is: its tenuto.toml, which is ours, names it; None elsewhere.

    Its operator makes archives anew in the same place; who can write beside the publication needs no forged index.
    """
    layout = Layout(root.resolve().parent)
    if layout.publication != root.resolve():
        return None
    try:
        if layout.settings.stat().st_uid != os.geteuid():
            return None
        return load_settings(layout.settings).keys.signing_public
    except (TenutoError, OSError):
        return None


def default_known_file(environment: dict[str, str]) -> Path:
    """`$XDG_STATE_HOME/tenuto/known.json`, the home's `.local/state` where that is unset or relative (XDG Base Directory)."""
    said = Path(environment.get("XDG_STATE_HOME", ""))
    state = said if said.is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".local" / "state"
    return state / "tenuto" / "known.json"

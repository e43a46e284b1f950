"""A mirror's folder: made once, with the key that it pins; what is asked for later is written into its tenuto.toml."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from tenuto.archive import Layout, Settings, load_settings, write_durably
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder
from tenuto.archive.settings import ArchiveSettings, KeySettings, MirrorSettings
from tenuto.model.documents import read_text, validate
from tenuto.model.errors import SettingsError, UsageError
from tenuto.publication.documents import Index

_HEAD = """\
# A mirror of another archive's publication. Every key is explained in docs/cli.md; unknown keys are refused.
# How it takes part in swarms ([swarm]: listen, reach, peers, upload_bytes_per_s ...) may be written here too.
"""

_NOTHING = (".tenuto", LEFTOVER_PREFIX, "lost+found")
"""What a new disk has, or a run that was killed at its beginning leaves."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asks of a mirror; None leaves what was asked before."""

    of: str | None = None
    space: int | None = None
    bands: tuple[str, ...] | None = None
    licences: tuple[str, ...] | None = None

    def changes(self) -> dict[str, Any]:
        """The settings that it changes."""
        said = {"of": self.of, "space": self.space, "bands": self.bands, "licences": self.licences}
        return {name: value for name, value in said.items() if value is not None}


def find_mirror(folder: Path) -> tuple[Layout, Settings] | None:
    """The mirror in a folder, None where a new one may be made; raises UsageError where it holds something else."""
    layout = Layout(folder.expanduser().absolute())
    if layout.settings.is_file():
        settings = load_settings(layout.settings)
        if settings.mirror is None:
            raise UsageError(
                f"{folder} is the archive {settings.archive.name}, no mirror; choose another folder with --into"
            )
        return layout, settings
    if layout.root.exists() and (
        not layout.root.is_dir() or any(not one.name.startswith(_NOTHING) for one in layout.root.iterdir())
    ):
        raise UsageError(
            f"{folder} is no mirror and is not empty; nothing was changed: choose another folder with --into"
        )
    return None


def check(wish: Wish) -> None:
    """Raise UsageError where a new mirror cannot be made by this wish."""
    if wish.of is None or wish.space is None:
        raise UsageError(
            "a new mirror needs INDEX, the address or folder of a publication, and --space SIZE, such as --space 500GB"
        )


def made(index: Index, wish: Wish) -> Settings:
    """The settings of a new mirror: whose it is, the key that all later indexes must be signed by, what is asked of it."""
    check(wish)
    return Settings(
        format=1,
        archive=ArchiveSettings(name=index.archive, contact=_one_line(index.contact)),
        keys=KeySettings(signing_public=index.signing_public),
        mirror=_asked(wish.changes() | {"salt": secrets.token_hex(8)}),
    )


def changed(settings: Settings, wish: Wish) -> Settings:
    """The settings of a mirror with what is asked for now."""
    assert settings.mirror is not None
    return settings.model_copy(update={"mirror": _asked(settings.mirror.model_dump() | wish.changes())})


def _asked(values: dict[str, Any]) -> MirrorSettings:
    """What is asked of a mirror; raises UsageError with all that is wrong in it."""
    try:
        return validate(MirrorSettings, values, "what is asked of the mirror")
    except SettingsError as error:
        raise UsageError(str(error)) from None


def write(layout: Layout, settings: Settings) -> None:
    """Bring what is said of archive, key and mirror into tenuto.toml, where it differs; comments and other tables stay."""
    assert settings.mirror is not None
    make_folder(layout.root)
    is_new = not layout.settings.exists()
    document = tomlkit.parse(_HEAD if is_new else read_text(layout.settings))
    before = tomlkit.dumps(document)
    document["format"] = 1
    for name, table in (
        ("archive", {"name": settings.archive.name, "contact": settings.archive.contact}),
        ("keys", {"signing_public": settings.keys.signing_public}),
        ("mirror", settings.mirror.model_dump(mode="json")),
    ):
        place: Any = document.setdefault(name, tomlkit.table())
        for key, value in table.items():
            if place.get(key) != value:
                place[key] = value
    if is_new or tomlkit.dumps(document) != before:
        write_durably(layout.settings, tomlkit.dumps(document).encode())


def _one_line(text: str) -> str:
    """A contact as settings take it, whatever an index says."""
    line = "".join(char if char.isprintable() else " " for char in text).strip()
    return line or "unknown"

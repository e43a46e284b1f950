"""Making an archive."""

from dataclasses import dataclass
from pathlib import Path

from tenuto.archive.durable import write_durably
from tenuto.archive.keys import PublicKeys, default_keys_folder, make_keys
from tenuto.archive.layout import SETTINGS_NAME, Layout
from tenuto.archive.settings import ArchiveSettings
from tenuto.archive.template import settings_text
from tenuto.model.documents import validate
from tenuto.model.errors import SettingsError, UsageError


@dataclass(frozen=True, slots=True)
class Created:
    """A new archive and where its secrets are."""

    layout: Layout
    keys_folder: Path
    keys: PublicKeys


def create(folder: Path, name: str, contact: str, keys_folder: Path | None, environment: dict[str, str]) -> Created:
    """Make an archive in `folder`; refuses where one is, and keys that would lie inside it."""
    try:
        who = validate(ArchiveSettings, {"name": name, "contact": contact}, "the command line")
    except SettingsError as error:
        raise UsageError(str(error)) from None
    layout = Layout(folder.expanduser().absolute())
    if layout.settings.exists():
        raise UsageError(f"{folder} is an archive already ({SETTINGS_NAME} exists); nothing was changed")
    secrets = (keys_folder or default_keys_folder(name, environment)).expanduser().absolute()
    if secrets.resolve().is_relative_to(layout.root.resolve()):
        raise UsageError(f"keys would lie inside the archive ({secrets}); choose a folder outside with --keys DIR")
    layout.root.mkdir(parents=True, exist_ok=True)
    keys = make_keys(secrets)
    write_durably(layout.settings, settings_text(who.name, who.contact, str(secrets), keys).encode())
    return Created(layout, secrets, keys)

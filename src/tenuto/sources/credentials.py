"""A source's login: from the environment or a file that only its owner can read; never from the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenuto.archive.keys import is_private
from tenuto.model.documents import Document, load_toml, read_text, validate
from tenuto.model.errors import SettingsError


class _CredentialsFile(Document):
    user: str = ""
    password: str = ""
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login; what is empty was not given. Secrets do not show in `repr`."""

    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)

    def is_given(self) -> bool:
        """Whether there is anything to log in with."""
        return bool(self.api_key or (self.user and self.password))


def variable(source: str, what: str) -> str:
    """The environment variable for one part of a source's login: `TENUTO_MY_SERVER_PASSWORD`."""
    return f"TENUTO_{source.upper().replace('-', '_')}_{what}"


def load_credentials(source: str, file: Path | None, environment: Mapping[str, str]) -> Credentials:
    """The login of a source; the environment wins over the file. Raises SettingsError where the file is open to others."""
    kept = _read(file) if file is not None else _CredentialsFile()
    given = {what: environment.get(variable(source, what.upper()), "") for what in ("user", "password", "api_key")}
    return Credentials(**{what: given[what] or getattr(kept, what) for what in given})


def how_to_give(source: str) -> str:
    """The sentence for an error: what to set."""
    return (
        f"set {variable(source, 'USER')} and {variable(source, 'PASSWORD')} (or {variable(source, 'API_KEY')}), "
        f'or name a file of mode 0600 with user and password: credentials = "FILE" under [sources.{source}]'
    )


def _read(file: Path) -> _CredentialsFile:
    if not file.is_file():
        raise SettingsError(f"credentials file {file} does not exist")
    if not is_private(file):
        raise SettingsError(f"credentials file {file} can be read by others (mode {file.stat().st_mode & 0o777:04o}); "
                            f"run: chmod 600 {file}")  # fmt: skip
    return validate(_CredentialsFile, load_toml(read_text(file), file.name), file.name)


def environment() -> Mapping[str, str]:
    """The process's environment, read here so that nothing else needs to."""
    return os.environ

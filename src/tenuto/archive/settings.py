"""tenuto.toml, read once into one frozen value; all its mistakes are reported together."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tenuto.model.documents import Document, load_toml, read_text, validate
from tenuto.model.ids import SOURCE_NAME
from tenuto.model.units import parse_bytes, parse_share

FORMAT = 1
"""The version of tenuto.toml that this reader knows."""


def _name(text: str) -> str:
    if not SOURCE_NAME.fullmatch(text):
        raise ValueError("a name has 1-40 lower-case letters, digits and hyphens, and begins with no hyphen")
    return text


def _tier(text: str) -> str:
    opus = re.fullmatch(r"opus-([1-9][0-9]{0,2})", text)
    if text in {"original", "none"} or (opus and 6 <= int(opus[1]) <= 510):  # noqa: PLR2004
        return text
    raise ValueError("a tier is original, none, or opus-N with N kbit/s from 6 to 510 (RFC 7845)")


def check_budget(value: Any) -> str:
    """A budget as it is written: bytes with a unit, or a share; raises ValueError with what would be right."""
    text = str(value)
    parse_share(text) if "%" in text else parse_bytes(text)
    return text


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("should be one line of text")
    return text.strip()


def check_peer(text: str) -> str:
    """HOST:PORT or [IPv6]:PORT; raises ValueError with what would be right."""
    host, colon, port = text.rpartition(":")
    is_host = re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host)
    if not (colon and is_host and re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 2**16):
        raise ValueError("a peer is HOST:PORT, such as 192.0.2.7:6881 or [2001:db8::7]:6881")
    return text


def _rate(value: Any) -> int:
    text = str(value).strip().removesuffix("/s").strip()
    return 0 if text == "0" else parse_bytes(text)


Name = Annotated[str, AfterValidator(_name)]
Line = Annotated[str, AfterValidator(_one_line)]
Tier = Annotated[str, AfterValidator(_tier)]
Budget = Annotated[str, BeforeValidator(check_budget)]
Peer = Annotated[str, AfterValidator(check_peer)]
Tracker = Annotated[str, Field(pattern=r"^(https?|udp)://[^\s]+$")]
Reach = Literal["internet", "lan", "peers"]
"""Whom a swarm's members are sought among: everybody (DHT), the local network too, or only peers and trackers that are named."""

Bytes = Annotated[int, BeforeValidator(lambda value: parse_bytes(str(value))), Field(gt=0)]
Rate = Annotated[int, BeforeValidator(_rate), Field(ge=0)]


class ArchiveSettings(Document):
    """Who keeps the archive; name and contact stand in every request that we make."""

    name: Name
    contact: Line
    territory: Annotated[str, Field(pattern=r"^(worldwide|[A-Z]{2})$")] = "worldwide"


class KeySettings(Document):
    """Where the secrets lie, and the public halves. A mirror has no secrets: its `signing_public` is the key that it pins."""

    folder: str = ""
    signing_public: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    age_recipients: tuple[str, ...] = ()


class PolitenessSettings(Document):
    """Ceilings for every source that sets none of its own."""

    rate_per_s: Annotated[float, Field(gt=0, le=10_000)] = 4.0
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    tries: Annotated[int, Field(ge=1, le=20)] = 5
    pause_max_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0


class Band(Document):
    """A range of popularity or, where a source gives none, of listens; and what is kept for it."""

    name: Name
    popularity_min: Annotated[int, Field(ge=0, le=100)] = 0
    listens_min: Annotated[int, Field(ge=0)] = 0
    tier: Tier


DEFAULT_BANDS = (
    Band(name="heard", popularity_min=1, listens_min=1, tier="original"),
    Band(name="unheard", popularity_min=0, listens_min=0, tier="opus-75"),
)


class SelectionSettings(Document):
    """What to keep within the budget."""

    budget: Budget = "100%"
    value: Literal["listened_seconds", "listens"] = "listened_seconds"
    value_cap_s: Annotated[int, Field(gt=0)] = 1800
    lossy_to_lossy: bool = False
    bands: Annotated[tuple[Band, ...], Field(min_length=1)] = DEFAULT_BANDS

    @model_validator(mode="after")
    def _bands_are_ordered(self) -> "SelectionSettings":
        names = [band.name for band in self.bands]
        if len(set(names)) < len(names):
            raise ValueError(f"each band needs a name of its own, these are {', '.join(names)}")
        lows = [(band.popularity_min, band.listens_min) for band in self.bands]
        if lows != sorted(lows, reverse=True) or lows[-1] != (0, 0):
            raise ValueError("bands go from the most popular down, and the last begins at popularity 0 and listens 0")
        return self


class CrateSettings(Document):
    """How large a crate becomes."""

    target_bytes: Bytes = 10_000_000_000
    recordings_max: Annotated[int, Field(ge=1, le=20_000)] = 20_000


class SourceSettings(Document):
    """One source: where it is, by what right, how gently, and its connector's own options."""

    kind: str
    location: str
    permission: str | None = None
    rate_per_s: Annotated[float, Field(gt=0, le=10_000)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=64)] | None = None
    credentials: str | None = None
    options: dict[str, str | int | float | bool] = {}
    describes: tuple[Name, ...] = ()
    matched_by: tuple[Literal["id", "mbid", "code"], ...] = ("mbid", "code")


class CatalogueSettings(Document):
    """How an edition is made of several sources: for a field (`track.title`, `*` for all) whose word comes first."""

    precedence: dict[str, tuple[Name, ...]] = {}


class SwarmSettings(Document):
    """How crates are exchanged with others by BitTorrent. Rates are in bytes a second, 0 for as fast as it goes."""

    listen: Line = "0.0.0.0:6881,[::]:6881"
    reach: Reach = "internet"
    peers: tuple[Peer, ...] = ()
    trackers: tuple[Tracker, ...] = ()
    upload_bytes_per_s: Rate = 0
    download_bytes_per_s: Rate = 0


class MirrorSettings(Document):
    """Of whom this is a mirror, and what it holds of it. `salt` is why two mirrors do not take the same crates."""

    of: Line
    space: Bytes
    bands: tuple[Name, ...] = ()
    licences: tuple[Line, ...] = ()
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Settings(Document):
    """All of tenuto.toml."""

    format: Literal[1]
    archive: ArchiveSettings
    keys: KeySettings
    politeness: PolitenessSettings = PolitenessSettings()
    selection: SelectionSettings = SelectionSettings()
    crates: CrateSettings = CrateSettings()
    sources: dict[Name, SourceSettings] = {}
    catalogue: CatalogueSettings = CatalogueSettings()
    swarm: SwarmSettings = SwarmSettings()
    mirror: MirrorSettings | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Settings":
        if self.mirror is None and not self.keys.folder:
            raise ValueError("keys.folder is missing: where the archive's secrets lie")
        if self.mirror is None and not self.keys.age_recipients:
            raise ValueError("keys.age_recipients is missing: whom dark crates are encrypted to")
        if self.mirror is not None and self.sources:
            raise ValueError("a mirror has no sources: it holds what another archive publishes")
        return self

    @model_validator(mode="after")
    def _describes_what_is_there(self) -> "Settings":
        for name, source in self.sources.items():
            for other in source.describes:
                if other not in self.sources or other == name or self.sources[other].describes:
                    raise ValueError(
                        f"sources.{name}.describes: {other!r} is no other source of this archive that has things of its own"
                    )
            if source.describes and not source.matched_by:
                raise ValueError(f"sources.{name}.matched_by is empty; say how its records are matched: id, mbid, code")
        for field, names in self.catalogue.precedence.items():
            if unknown := [name for name in names if name not in self.sources]:
                raise ValueError(f"catalogue.precedence.{field}: there is no source {', '.join(unknown)}")
        return self


OptionCheck = Callable[[str, str, dict[str, Any]], tuple[str, ...]]
"""(kind, location, options) -> what is wrong with them; the connectors know, this room does not."""


def load_settings(path: Path, check_options: OptionCheck = lambda _kind, _location, _options: ()) -> Settings:
    """The settings; raises SettingsError with every mistake, those in sources' options among them."""
    return parse_settings(read_text(path), path.name, check_options)


def parse_settings(text: str, name: str, check_options: OptionCheck = lambda *_: ()) -> Settings:
    """`load_settings` without the file."""
    values = load_toml(text, name)
    return validate(Settings, values, name, _option_mistakes(values.get("sources"), check_options))


def _option_mistakes(sources: Any, check_options: OptionCheck) -> tuple[str, ...]:
    if not isinstance(sources, dict):
        return ()
    return tuple(
        f"sources.{name}.{sentence}"
        for name, source in sources.items()
        if isinstance(source, dict) and isinstance(source.get("kind"), str)
        for sentence in check_options(source["kind"], str(source.get("location", "")), source.get("options", {}))
    )

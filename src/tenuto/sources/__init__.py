"""The connectors, one place each: what to ask, how to ask it, what an answer means. The list below is the registry."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tenuto.archive import SourceSettings
from tenuto.model.answers import Answer
from tenuto.model.columns import Columns, as_columns
from tenuto.model.errors import SettingsError, UsageError
from tenuto.model.records import Seen
from tenuto.sources.credentials import load_credentials
from tenuto.sources.http import Http, check_status, user_agent
from tenuto.sources.listens import check_listens, parse_listens
from tenuto.sources.protocol import GivesOriginals, Source

KINDS = {
    "corrections": "a CSV of corrections by hand",
    "discogs": "the monthly dumps of Discogs (XML)",
    "folder": "a folder of audio files",
    "generated": "a made-up catalogue (tenuto bench generate), which cannot be asked",
    "subsonic": "any OpenSubsonic server (Navidrome, Supysonic, gonic, Airsonic ...)",
    "table": "a table (CSV, TSV, JSONL, Parquet, SQLite) with a mapping",
}
"""Kind -> what it is; the connector is the module of that name."""

READS_FILES = frozenset({"folder"})
"""Kinds whose evidence of a track is read from the file itself: while it stays the same, so do the file's tags and size."""

OPERATOR = "operator/"
PERMISSION_KEY = "operator/permission"
LISTENS_KEY = "operator/listens"
TERMS_KEY = "operator/terms"
"""Requests under which harvest keeps the operator's own files; `robots.txt` is kept under its name."""

_AT_ONCE = 10_000
"""Records of one answer held at a time: a list of listens is as long as a catalogue."""

OPTIONS_OF_ALL = {
    "listens_file": "a CSV with the columns id, listens, date that the operator exports",
    "terms": "where the source's terms of use stand: an address or a file; kept as evidence",
    "terms_permit": "yes or no: whether those terms, as you read them, let programs ask for metadata",
}
"""Options that every source takes, beside those of its connector."""

__all__ = [
    "KINDS",
    "LISTENS_KEY",
    "OPERATOR",
    "PERMISSION_KEY",
    "READS_FILES",
    "TERMS_KEY",
    "GivesOriginals",
    "Http",
    "Source",
    "check_listens",
    "check_options",
    "check_status",
    "location_mistake",
    "open_source",
    "parse",
    "parse_columns",
    "user_agent",
]


def parse(kind: str, answer: Answer) -> Iterator[Seen]:
    """What an answer of a source of this kind says; an operator's own files are read the same for every kind."""
    if _is_of_operator(answer):
        return _of_operator(answer)
    found: Iterator[Seen] = import_module(f"tenuto.sources.{kind}").parse(answer)
    return found


def parse_columns(kind: str, answer: Answer) -> Iterator[Columns]:
    """The same as columns, which a connector of large catalogues makes without a step for each record."""
    if _is_of_operator(answer):
        return _in_columns(_of_operator(answer))
    connector = import_module(f"tenuto.sources.{kind}")
    if not hasattr(connector, "columns"):
        return _in_columns(connector.parse(answer))
    found: Iterator[Columns] = connector.columns(answer)
    return found


def _is_of_operator(answer: Answer) -> bool:
    return answer.request.key.startswith(OPERATOR) or answer.request.key == "robots.txt"


def _of_operator(answer: Answer) -> Iterator[Seen]:
    return parse_listens(answer) if answer.request.key == LISTENS_KEY else iter(())


def _in_columns(seen: Iterator[Seen]) -> Iterator[Columns]:
    while items := list(islice(seen, _AT_ONCE)):
        yield from as_columns(items)


def location_mistake(kind: str, location: str) -> str | None:
    """Why a location cannot be one, or None; what may hold a login is not repeated."""
    scheme, is_address, rest = location.partition("://")
    if is_address and ("@" in rest.partition("/")[0] or "?" in rest or "#" in rest):
        return (
            f"an address stops at the path ({scheme}://host/path). A login in it would be written down; set it in the "
            "environment (TENUTO_<NAME>_PASSWORD) or in a file of mode 0600 (--credentials FILE)"
        )
    if kind == "subsonic" and scheme not in {"http", "https"}:
        return "a subsonic server's address begins with http:// or https://"
    return None


def check_options(kind: str, location: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with a source's kind, location and options, a sentence each."""
    if kind not in KINDS:
        return (f"kind: {kind!r} is none; there are {', '.join(KINDS)}",)
    wrong = [f"location: {mistake}"] if (mistake := location_mistake(kind, location)) else []
    if "terms" in options and str(options.get("terms_permit")).casefold() not in {"yes", "no", "true", "false"}:
        wrong.append("options.terms_permit: read the terms and say yes or no: do they let programs ask for metadata?")
    wrong += [
        f"options.{name}: {mistake}"
        for name, value in options.items()
        if "://" in str(value) and (mistake := location_mistake("", str(value)))
    ]
    try:
        import_module(f"tenuto.sources.{kind}").Options.model_validate(_own(options))
    except ValidationError as error:
        wrong += [f"options.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return tuple(wrong)


def _own(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are the connector's own."""
    return {name: value for name, value in options.items() if name not in OPTIONS_OF_ALL}


def open_source(name: str, settings: SourceSettings, root: Path, http: Http, environment: Mapping[str, str]) -> Source:
    """The connector of a source; raises SettingsError where it lacks what it needs. `root` anchors relative paths,
    `http` is what it asks through; its limits are the caller's.
    """
    match settings.kind:
        case "folder":
            from tenuto.sources.folder import Folder  # noqa: PLC0415 -- each kind loads only its own connector

            return Folder(root / Path(settings.location).expanduser())
        case "generated":
            from tenuto.sources.generated import refused  # noqa: PLC0415

            raise refused(name)
        case "corrections":
            from tenuto.sources.corrections import Corrections  # noqa: PLC0415

            return Corrections(root / Path(settings.location).expanduser())
        case "discogs":
            from tenuto.sources.discogs import Discogs  # noqa: PLC0415

            return Discogs(root / Path(settings.location).expanduser())
        case "table":
            from tenuto.sources.table import Options as TableOptions  # noqa: PLC0415
            from tenuto.sources.table import Table  # noqa: PLC0415

            chosen = TableOptions.model_validate(_own(settings.options))
            return Table(root / Path(settings.location).expanduser(), root / Path(chosen.mapping_file).expanduser())
        case "subsonic":
            from tenuto.sources.subsonic import Options, Subsonic  # noqa: PLC0415

            file = root / Path(settings.credentials).expanduser() if settings.credentials else None
            if file is not None and file.resolve().is_relative_to(root.resolve()):
                raise SettingsError(
                    f"credentials file {file} lies inside the archive, which is copied; move it outside"
                )
            credentials = load_credentials(name, file, environment)
            return Subsonic(name, settings.location, Options.model_validate(_own(settings.options)), credentials, http)
    raise UsageError(f"{settings.kind!r} is no kind of source; there are {', '.join(KINDS)}")

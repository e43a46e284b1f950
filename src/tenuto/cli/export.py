"""`tenuto catalogue export`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json
from tenuto.cli.tables import line

Form = Literal["sqlite", "jsonl", "csv", "crate"]
_STDOUT = "-"


def export(
    *,
    as_: Annotated[Form, Parameter(name="--as", help="The form.")],
    into: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="The file; of lines also - (stdout); of a crate its folder.")
    ],
    edition: Annotated[
        str | None, Parameter(help="Its name or the beginning of it, or previous; else the current one.")
    ] = None,
    force: Annotated[bool, Parameter(negative="", help="Replace a file that is there already.")] = False,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Write an edition for other tools: a SQLite database, JSON lines, CSV, or a metadata crate."""
    from tenuto.catalogue.editions import own_edition
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import UsageError

    if into == _STDOUT and (json or as_ not in {"jsonl", "csv"}):
        raise UsageError("--into -: stdout takes jsonl or csv, and no --json beside it; name a file")
    layout, settings = open_archive(archive)
    chosen = own_edition(layout, "current" if edition is None else edition)
    with TerminalProgress() as progress:
        if as_ == "crate":
            file: Path | None = _crate(Path(into), settings, chosen, force)
        else:
            file = _file(as_, into, chosen, force, progress)
    if file is not None:
        _tell(file, as_, chosen, json)


def _file(form: str, into: str, edition: Any, force: bool, progress: Any) -> Path | None:
    from tenuto.catalogue.export import write_csv, write_jsonl, write_sqlite

    target = Path(into).expanduser()
    if form == "sqlite":
        write_sqlite(edition, target, progress, may_replace=force)
        return target
    write = {"jsonl": write_jsonl, "csv": write_csv}[form]
    if into == _STDOUT:
        write(edition, sys.stdout.buffer, progress)
        return None
    write(edition, target, progress, may_replace=force)
    return target


def _crate(folder: Path, settings: Any, edition: Any, force: bool) -> Path:
    from tenuto.catalogue.export.target import folder_held, refuse_taken
    from tenuto.publication.metadata import metadata_name, seal_metadata

    file = folder.expanduser() / metadata_name(settings, edition)
    with folder_held(file.parent):
        refuse_taken(file, may_replace=force)
        seal_metadata(file, settings, edition)
    return file


def _tell(file: Path, form: str, edition: Any, json: bool) -> None:
    from tenuto.model.units import counted, format_bytes

    tracks, size = edition.info.tables["track"].rows, file.stat().st_size
    if json:
        print_json({"edition": edition.info.edition, "form": form, "path": str(file), "tracks": tracks, "bytes": size})
    else:
        line(f"{file}: edition {edition.info.edition}, {counted(tracks, 'track')}, {format_bytes(size)}")

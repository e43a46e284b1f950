"""`tenuto doctor`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Json, print_json
from tenuto.cli.tables import line


def doctor(
    *,
    archive: Annotated[
        Path | None,
        Parameter(
            name="--archive", env_var="TENUTO_ARCHIVE", help="The archive's folder; the machine alone outside of any."
        ),
    ] = None,
    keys_backup: Annotated[
        Path | None, Parameter(help="A folder with copies of the keys: they are compared, and that is noted.")
    ] = None,
    json: Json = False,
) -> int:
    """Show what is missing, unsafe or slow on this machine and in this archive, and the remedy of each."""
    from tenuto.cli.progress import TerminalProgress
    from tenuto.doctor.examine import examine
    from tenuto.model.errors import PartlyDoneError

    layout = _found(archive)
    backup = None if keys_backup is None else _copies(layout, keys_backup)
    with TerminalProgress() as progress:
        found = examine(layout, progress, backup)
    if json:
        print_json(
            {"is_well": found.is_well, "results": [one.document() for one in found.results], "machine": found.machine}
        )
    else:
        _render(found, has_archive=layout is not None)
    return 0 if found.is_well else PartlyDoneError.exit_code


def _found(archive: Path | None) -> Any:
    """The archive that is named, or the one that one stands in; None where there is none and none was named."""
    from tenuto.archive import Layout
    from tenuto.archive.layout import SETTINGS_NAME

    if archive is None and not (HERE / SETTINGS_NAME).is_file():
        return None
    return Layout.find(archive or HERE)


def _copies(layout: Any, folder: Path) -> Path:
    """The folder of the backup, where there is an archive with keys to compare it with."""
    from tenuto.cli.options import open_archive
    from tenuto.doctor.examine import keys_of
    from tenuto.model.errors import UsageError

    if layout is None:
        raise UsageError("--keys-backup compares with an archive's keys, and here is none; pass --archive DIR")
    if not folder.expanduser().is_dir():
        raise UsageError(f"--keys-backup: {folder} is no folder; connect the disk with the backup and name its folder")
    if keys_of(*open_archive(layout.root)) is None:
        raise UsageError("--keys-backup: this is a mirror, which has no keys")
    return folder.expanduser().absolute()


def _render(found: Any, *, has_archive: bool) -> None:
    from tenuto.doctor.result import STATES
    from tenuto.model.units import counted

    width = max(len(one.topic) for one in found.results)
    for one in found.results:
        head, *more = one.message.splitlines()
        line(f"{one.state:<7}  {one.topic:<{width}}  {head}")
        for text in more:
            line(f"{'':<7}  {'':<{width}}  {text}")
        if one.remedy:
            line(f"{'':<7}  {'':<{width}}  -> {one.remedy}")
    counts = {state: sum(one.state == state for one in found.results) for state in STATES}
    line()
    if not has_archive:
        line(
            "This folder is no archive, so only the machine was looked at; for an archive: tenuto doctor --archive DIR"
        )
    if counts["bad"]:
        line(
            f"{counted(counts['bad'], 'thing')} bad, {counted(counts['warning'], 'warning')}: mend what is bad before anything else"
        )
    elif counts["warning"]:
        line(f"nothing is bad; {counted(counts['warning'], 'warning')}: mend them when there is time")
    else:
        line("all is well")

"""`tenuto check`."""

from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, reading
from tenuto.cli.tables import line, show


def check(
    *crates: str,
    all_: Annotated[
        bool, Parameter(name="--all", negative="", help="SHA-1 pieces and the manifests' digests as well.")
    ] = False,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Prove every byte of the crates by their hashes, and that crates, log, publication and counts fit together.

    Parameters
    ----------
    crates
        The crates; all of them, and the archive as a whole, if none is named.

    """
    import time

    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import IntegrityError
    from tenuto.publication.check import check as check_archive

    begun = time.monotonic()
    with reading(archive, "check") as (layout, settings), TerminalProgress() as progress:
        done = check_archive(layout, settings, crates, progress, is_thorough=all_)
    seconds = time.monotonic() - begun
    if json:
        print_json({
            "is_whole": not done.all_findings, "is_thorough": all_, "bytes": sum(one.bytes for one in done.crates),
            "seconds": round(seconds, 3),
            "crates": [{"crate": one.crate, "revision": one.revision, "bytes": one.bytes, "damaged": one.damaged,
                        "findings": [finding.document() for finding in one.findings]} for one in done.crates],
            "findings": [finding.document() for finding in done.findings],
        })  # fmt: skip
    else:
        _render(done, seconds)
    return IntegrityError.exit_code if done.all_findings else 0


def _render(done: Any, seconds: float) -> None:
    from tenuto.model.units import counted, format_bytes

    if done.crates:
        show("", ("crate", "revision", "bytes", "findings"),
             [(one.crate, "-" if one.revision is None else one.revision, format_bytes(one.bytes), len(one.findings))
              for one in done.crates], right=("revision", "bytes", "findings"))  # fmt: skip
    found = done.all_findings
    for finding in found:
        line(f"{finding.code}: {finding.subject}: {finding.message}")
    read = sum(one.bytes for one in done.crates)
    verdict = f"{counted(len(found), 'finding')}: see docs/errors.md" if found else "everything is as it was sealed"
    line(f"{counted(len(done.crates), 'crate')}, {format_bytes(read)} read in {seconds:.1f} s; {verdict}")
    if any(one.findings for one in done.crates) or any("tenuto repair" in one.message for one in found):
        line("Next: tenuto repair")

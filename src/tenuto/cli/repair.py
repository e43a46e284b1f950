"""`tenuto repair`."""

from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def repair(
    *crates: str,
    from_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--from",
            negative="",
            help="Where copies lie: a publication's address or folder, an archive, a mirror, a folder of crate files. Repeatable.",
        ),
    ] = (),
    peer: Annotated[
        tuple[str, ...], Parameter(name="--peer", negative="", help="HOST:PORT of one who gives out. Repeatable.")
    ] = (),
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Mend what `check` finds, fetching only what is damaged: each piece is proven before it is written.

    Parameters
    ----------
    crates
        The crates; all of them if none is named. One that the index promises and that is not here is brought back.

    """
    from tenuto.archive.settings import check_peer
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import IntegrityError, UsageError
    from tenuto.swarm.repair import repair as repair_archive

    for text in peer:
        try:
            check_peer(text)
        except ValueError as error:
            raise UsageError(f"--peer {text!r}: {error}") from None
    with working(archive, "repair") as (layout, settings), TerminalProgress() as progress:
        done = repair_archive(layout, settings, crates, from_, peer, progress)
    if json:
        print_json(_document(done))
    else:
        _render(done)
    return IntegrityError.exit_code if done.left or done.findings else 0


def _document(done: Any) -> dict[str, Any]:
    return {
        "is_whole": not done.left and not done.findings,
        "mended": [
            {"crate": one.crate, "revision": one.revision, "pieces": one.patched.pieces, "blocks": one.patched.blocks,
             "bytes": one.patched.bytes, "received": one.received, "restored": one.restored, "torrent": one.torrent,
             "cut_bytes": one.cut_bytes}
            for one in done.crates if one.is_mended
        ],
        "left": {one.crate: {"why": one.why, "findings": [finding.document() for finding in one.findings]} for one in done.left},
        "files": done.files,
        "received_bytes": done.received_bytes,
        "findings": [finding.document() for finding in done.all_findings],
    }  # fmt: skip


def _render(done: Any) -> None:
    from tenuto.model.units import counted, format_bytes

    for one in done.crates:
        if one.is_mended:
            line(f"{one.crate}: {_said(one)}")
    if done.files:
        line(f"publication: {counted(len(done.files), 'small file')} fetched again, {format_bytes(done.files_bytes)}")
    for one in done.left:
        line(f"not mended: {one.crate}: {one.why}")
    for finding in done.findings:
        line(f"{finding.code}: {finding.subject}: {finding.message}")
    looked = f"{counted(len(done.crates), 'crate')}, {format_bytes(done.bytes)}"
    if done.left:
        line(f"{looked} checked; {counted(len(done.left), 'crate')} not whole: tenuto check says where")
    elif done.findings:
        line(f"{looked} checked; the crates are whole, what is said above is left")
    elif any(one.is_mended for one in done.crates) or done.files:
        line(f"{looked} checked; all is whole again")
    else:
        line(f"{looked} checked; nothing is damaged, nothing was done")


def _said(one: Any) -> str:
    """What was done to a crate, what of it came from where, beside how large it is."""
    from tenuto.model.units import counted, format_bytes

    did = []
    if one.restored:
        did.append("brought back")
    if one.patched.pieces:
        written = f"{counted(one.patched.blocks, 'block')}, {format_bytes(one.patched.bytes)}"
        did.append(f"{counted(one.patched.pieces, 'piece')} mended ({written})")
    if one.cut_bytes:
        did.append(f"{format_bytes(one.cut_bytes)} behind its end cut off")
    if one.torrent:
        did.append(f"its torrent restored from {one.torrent}")
    if one.is_linked:
        did.append("linked into the publication again")
    came = ", ".join(f"{format_bytes(count)} from {name}" for name, count in one.received.items())
    return f"{', '.join(did)}; {f'received {came}' if came else 'nothing was received'} (the crate has {format_bytes(one.bytes)})"

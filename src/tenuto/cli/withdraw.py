"""`tenuto withdraw`."""

from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def withdraw(
    what: str,
    /,
    *,
    reason: Annotated[
        str, Parameter(help="One of rightsholder, permission-ended, privacy, law, error, other; it is published.")
    ],
    destroy: Annotated[
        bool, Parameter(negative="", help="Keep no copy either; without it, one stays in a dark crate.")
    ] = False,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Take a recording back: it leaves the publication at once, and every crate; the rest stays as it was and can be proven.

    Parameters
    ----------
    what
        SOURCE:TRACK_ID, or the recording's SHA-256 for every track that has it.

    """
    from tenuto.cli.progress import TerminalProgress
    from tenuto.cli.publish import tell_left_out
    from tenuto.publication.withdraw import withdraw as withdraw_track

    with working(archive, "withdraw") as (layout, settings), TerminalProgress() as progress:
        done = withdraw_track(layout, settings, what, reason, progress, is_destroyed=destroy)
    code = tell_left_out(done.published) if done.published is not None else 0
    if json:
        print_json({"tracks": [f"{source}:{track_id}" for source, track_id in done.tracks], "revised": sorted(set(done.revised)),
                    "kept_in": sorted(set(done.kept_in)), "was_withdrawn": done.was_withdrawn,
                    "sequence": done.published.index.sequence if done.published else None})  # fmt: skip
    else:
        _render(done)
    return code


def _render(done: Any) -> None:
    from tenuto.model.units import counted

    if done.was_withdrawn and not done.revised:
        line(f"{counted(len(done.tracks), 'track')} withdrawn before; nothing had to be done")
        return
    anew = ", ".join(sorted(set(done.revised))) or "no crate held it"
    line(f"withdrawn: {counted(len(done.tracks), 'track')}; written anew: {anew}")
    if done.kept_in:
        line(f"a copy stays in {', '.join(sorted(set(done.kept_in)))}, for the archive alone; --destroy keeps none")
    if done.published is not None:
        line(f"the publication is without it; its index is number {done.published.index.sequence}")

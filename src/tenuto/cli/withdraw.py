"""`tenuto withdraw`."""

from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def withdraw(
    *what: str,
    reason: Annotated[
        str, Parameter(help="One of rightsholder, permission-ended, privacy, law, error, other; it is published.")
    ],
    destroy: Annotated[
        bool, Parameter(negative="", help="Keep no copy either; without it, one stays in a dark crate.")
    ] = False,
    refused: Annotated[
        bool, Parameter(negative="", help="Everything that lies in open crates and may not be given out today.")
    ] = False,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Take a recording back: it leaves the publication at once, and every crate; the rest stays as it was and can be proven.

    Parameters
    ----------
    what
        SOURCE:TRACK_ID, or a recording's SHA-256; any number. All tracks with the same recording go with it.

    """
    from tenuto.cli.progress import TerminalProgress
    from tenuto.cli.publish import tell_left_out
    from tenuto.publication.withdraw import withdraw as withdraw_track

    with working(archive, "withdraw") as (layout, settings), TerminalProgress() as progress:
        done = withdraw_track(layout, settings, what, reason, progress, is_destroyed=destroy, is_refused=refused)
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

    unread = f"; could not be read: {', '.join(done.unread)}" if done.unread else ""
    if not done.tracks:
        line(f"nothing that could be read lies open and may not be given out{unread}")
        return
    if done.was_withdrawn and not done.revised and not done.drafted:
        line(f"{counted(len(done.tracks), 'track')} withdrawn before; "
             + (f"nothing was done{unread}" if unread else "nothing had to be done"))  # fmt: skip
        return
    nowhere = f"none of the crates that could be read{unread}" if unread else "no crate held it"
    anew = ", ".join(sorted(set(done.revised))) + unread if done.revised else nowhere
    line(f"withdrawn: {counted(len(done.tracks), 'track')}; written anew: {anew}")
    if done.same_bytes:
        first = ":".join(done.same_bytes[0])
        line(
            f"of these, {counted(len(done.same_bytes), 'track')} not named and with the same recording, {first} for one"
        )
    if done.drafted:
        line(f"{counted(done.drafted, 'recording')} deleted from crates that were not sealed yet")
    if done.kept_in:
        line(f"a copy stays in {', '.join(sorted(set(done.kept_in)))}, for the archive alone; --destroy keeps none")
    if done.published is not None:
        line(f"the publication is without it; its index is number {done.published.index.sequence}")

"""`tenuto mirror`."""

import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Json, print_json
from tenuto.cli.swarm import DownloadRate, Listen, Peers, Reach, UploadRate, swarm_options
from tenuto.cli.tables import line, show


def mirror(
    index: str | None = None,
    /,
    *,
    into: Annotated[
        Path | None,
        Parameter(help="The mirror's folder, made where there is none; by default the mirror that this one is."),
    ] = None,
    space: Annotated[str | None, Parameter(help="How much of the disk its crates may take, such as 500GB.")] = None,
    bands: Annotated[
        tuple[str, ...], Parameter(negative="", help="Only crates of these bands, in this order. Repeatable.")
    ] = (),
    licence: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", help="Only crates whose recordings are all under one of these, such as 'CC-BY*'. Repeatable."
        ),
    ] = (),
    seed: Annotated[
        bool, Parameter(negative="", help="Give out what is here, and follow the index, until it is stopped.")
    ] = False,
    every: Annotated[str, Parameter(help="How often --seed looks for a new index.")] = "10min",
    patience: Annotated[str, Parameter(help="How long a crate is waited for while nobody gives any of it.")] = "3min",
    key: Annotated[
        str | None, Parameter(help="The hex of the key that must have signed; by default the one first seen.")
    ] = None,
    listen: Listen = None,
    peer: Peers = (),
    reach: Reach = None,
    upload_rate: UploadRate = None,
    download_rate: DownloadRate = None,
    json: Json = False,
) -> int:
    """Hold a part of somebody's publication: what fits into the space. Goes on where it stopped, and follows what changed.

    Parameters
    ----------
    index
        The address or the folder of the publication; later the one that it follows already.

    """
    from tenuto.cli.hangup import ending_at_hang_up
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import PartlyDoneError, SourceError, UsageError, gravest
    from tenuto.swarm.founding import Wish
    from tenuto.swarm.mirror import Job
    from tenuto.swarm.mirror import mirror as mirror_publication

    if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise UsageError(f"--key {key!r} is no key; it has 64 hexadecimal digits, as signing_public in index.json")
    of = index if index is None or "://" in index else str(Path(index).expanduser().absolute())
    folder = _here(index) if into is None else into
    wish = Wish(of, None if space is None else _size(space), _words(bands), _words(licence))
    swarm = swarm_options(listen, peer, reach, upload_rate, download_rate)
    job = Job(
        folder,
        wish,
        key.lower() if key else None,
        swarm,
        seed,
        _duration("--every", every),
        _duration("--patience", patience),
    )
    rounds: list[Any] = []

    def on_round(done: Any) -> None:
        rounds[:] = [done]
        if json:
            print_json(_document(done))
        elif not seed or done.is_new or done.fetched or done.left:
            _render(done, None if seed else folder)

    with ending_at_hang_up(), TerminalProgress() as progress:
        mirror_publication(job, progress, on_round)
    codes = (SourceError.exit_code if rounds[0].place_fault else 0, PartlyDoneError.exit_code if rounds[0].left else 0)
    return gravest(codes)


def _here(index: str | None) -> Path:
    """The folder one is in, if it is a mirror: no other one becomes one unasked."""
    import shlex

    from tenuto.model.errors import UsageError
    from tenuto.swarm.founding import find_mirror

    if find_mirror(HERE) is None:
        words = f"tenuto mirror {shlex.quote(index or 'INDEX')} --into DIR --space 500GB"
        raise UsageError(f"here is no mirror, and --into is missing; a new one is made with: {words}")
    return HERE


def _words(said: tuple[str, ...]) -> tuple[str, ...] | None:
    """Repeated, or with commas; None where nothing was said."""
    return tuple(word.strip() for one in said for word in one.split(",") if word.strip()) or None


def _size(text: str) -> int:
    from tenuto.model.errors import UsageError
    from tenuto.model.units import parse_bytes

    try:
        size = parse_bytes(text)
    except ValueError as error:
        raise UsageError(f"--space: {error}") from None
    if not size:
        raise UsageError("--space 0 holds nothing; give a size such as 500GB")
    return size


def _duration(name: str, text: str) -> float:
    from tenuto.model.errors import UsageError
    from tenuto.model.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if seconds <= 0:
        raise UsageError(f"{name} {text}: a duration is longer than nothing")
    return seconds


def _plain(text: str) -> str:
    """What others wrote, as a terminal may be shown it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _document(done: Any) -> dict[str, Any]:
    return {
        "archive": done.index.archive, "sequence": done.index.sequence, "edition": done.index.edition, "is_new": done.is_new,
        "crates": [crate.crate for crate in done.held], "bytes": sum(crate.bytes for crate in done.held),
        "fetched": done.fetched, "moved": done.moved, "dropped": done.dropped, "left": done.left,
        "left_out": [crate.crate for crate in done.left_out], "over_space_bytes": done.over_space_bytes,
        "place_fault": done.place_fault,
        "received": {"swarm": done.swarm_bytes, "place": done.place_bytes},
    }  # fmt: skip


def _render(done: Any, into: Path | None) -> None:
    """What is held and what came; what to type next, for the folder as it was typed, unless it is seeding already."""
    import shlex

    from tenuto.model.units import counted, format_bytes

    moved, fetched = set(done.moved), set(done.fetched)
    rows = [
        (crate.crate, _plain(crate.band or crate.kind), format_bytes(crate.bytes), crate.revision,
         "moved" if crate.crate in moved else "fetched" if crate.crate in fetched else "held")
        for crate in done.held
    ]  # fmt: skip
    if rows:
        show("", ("crate", "band", "bytes", "revision", "now"), rows, right=("bytes", "revision"))
    for crate, why in done.left.items():
        line(_plain(f"missing  {crate}: {why}"))
    for crate in done.dropped:
        line(f"deleted  {crate}: the index names it no more, and its space was needed")
    received = f"received {format_bytes(done.swarm_bytes)} from the swarm, {format_bytes(done.place_bytes)} from the place itself"
    size = format_bytes(sum(crate.bytes for crate in done.held))
    line(
        f"{done.index.archive}, index number {done.index.sequence}: {counted(len(done.held), 'crate')}, {size}; {received}"
    )
    if done.left_out:
        what = counted(len(done.left_out), "crate")
        size = format_bytes(sum(crate.bytes for crate in done.left_out))
        line(f"{what}, {size}, did not fit; --space gives more")
    if done.over_space_bytes:
        over = format_bytes(done.over_space_bytes)
        line(f"{counted(len(done.held), 'crate')}, {over} over the space; nothing is deleted")
    if done.place_fault:
        line(_plain(f"the place could not be read, so this is by the index that was here: {done.place_fault}"))
    if done.left or done.place_fault:
        line("Next: run the same again to go on")
    elif into is not None:
        line(f"Next: tenuto mirror --into {shlex.quote(str(into))} --seed, to follow it and give out what is here")

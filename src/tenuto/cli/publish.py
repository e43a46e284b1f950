"""`tenuto publish`."""

import sys
from typing import Any

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def publish(*, archive: Archive = HERE, json: Json = False) -> int:
    """Make the publication: a static web root with everything that may be given out, signed. What stands there stays."""
    from tenuto.cli.progress import TerminalProgress
    from tenuto.publication.withdraw import carry_out

    with working(archive, "publish") as (layout, settings), TerminalProgress() as progress:
        settled, done = carry_out(layout, settings, progress)
    code = tell_left_out(done)
    if json:
        print_json(document(done))
    else:
        _render(done, layout.publication)
    for fault in settled.faults.values():
        raise fault
    return code


def tell_left_out(done: Any) -> int:
    """Say which crates are not in the publication, why, and what to do; returns the exit code."""
    from tenuto.model.errors import IntegrityError, RightsError

    for said in left_out(done):
        print(f"tenuto: {said}", file=sys.stderr)
    if done.damaged:
        return IntegrityError.exit_code
    return RightsError.exit_code if done.withheld else 0


def left_out(done: Any) -> list[str]:
    """Which crates are not in the publication, why, and what to do: a sentence each."""
    found = []
    for crate, refused in done.withheld.items():
        first = next((one for one in refused if not one.is_withdrawn), refused[0])
        track = f"{first.source}:{first.track_id}"
        next_ = "tenuto withdraw --refused --reason permission-ended"
        if first.is_withdrawn:
            next_ = "tenuto publish, once what is said below is mended"
        found.append(f"crate {crate} is not given out: {len(refused)} of its tracks may not be, {track} for one "
                     f"({first.reason}); run: {next_}")  # fmt: skip
    return found + [f"left out: {said}" for said in done.damaged.values()]


def document(done: Any) -> dict[str, Any]:
    """What was published, as JSON."""
    index = done.index
    return {
        "sequence": index.sequence,
        "is_new": done.is_new,
        "edition": index.edition,
        "tracks": index.tracks,
        "statuses": index.statuses,
        "crates": [one.crate for one in index.crates],
        "dark": [one.crate for one in index.dark],
        "bytes": sum(one.bytes for one in index.crates),
        "shards": len(index.shards.sha256),
        "withdrawals": index.withdrawals.entries,
        "withheld": {crate: len(refused) for crate, refused in done.withheld.items()},
        "damaged": sorted(done.damaged),
    }


def _render(done: Any, root: Any) -> None:
    from tenuto.cli.tables import show
    from tenuto.model.units import counted, format_bytes

    index = done.index
    show("", ("crate", "kind", "recordings", "bytes", "revision"),
         [(one.crate, one.kind, f"{one.recordings:,}", format_bytes(one.bytes), one.revision) for one in index.crates],
         right=("recordings", "bytes", "revision"))  # fmt: skip
    line()
    line(f"{counted(len(index.crates), 'crate')} given out, {len(index.dark)} kept dark, "
         f"{counted(index.withdrawals.entries, 'withdrawal')}; the index is number {index.sequence}"
         + ("" if done.is_new else ", as before: nothing has changed"))  # fmt: skip
    line(f"Serve it with any web server: python3 -m http.server --directory {root}")
    line("Next: tenuto seed, to give it out by BitTorrent; who holds a part of it pins your key:")
    line(f"  tenuto mirror ADDRESS --into my-mirror --space 500GB --key {index.signing_public}")

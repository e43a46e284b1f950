"""`tenuto publish`."""

import sys
from typing import Any

from tenuto.cli.options import HERE, Archive, Json, print_json, working
from tenuto.cli.tables import line


def publish(*, archive: Archive = HERE, json: Json = False) -> int:
    """Make the publication: a static web root with everything that may be given out, signed. What stands there stays."""
    from tenuto.cli.progress import TerminalProgress
    from tenuto.model.errors import RightsError
    from tenuto.publication.publish import publish as publish_archive
    from tenuto.publication.withdraw import settle

    with working(archive, "publish") as (layout, settings), TerminalProgress() as progress:
        settle(layout, settings, progress)
        done = publish_archive(layout, settings, progress)
    for crate, refused in done.withheld.items():
        first = refused[0]
        print(f"tenuto: crate {crate} is not given out: {len(refused)} of its tracks may not be, {first.source}:{first.track_id} "
              f"for one ({first.reason}); take it back with: tenuto withdraw {first.source}:{first.track_id} "
              "--reason permission-ended", file=sys.stderr)  # fmt: skip
    if json:
        print_json(document(done))
    else:
        _render(done, layout.publication)
    return RightsError.exit_code if done.withheld else 0


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

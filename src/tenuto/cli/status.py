"""`tenuto status`: the archive in one screen; its numbers add up."""

from typing import Any

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json
from tenuto.cli.tables import line, moment, show


def status(*, archive: Archive = HERE, json: Json = False) -> None:
    """Show the archive in one screen: sources, catalogue, statuses, licences, what to do next."""
    layout, settings = open_archive(archive)
    if settings.mirror is not None:
        from tenuto.swarm.status import mirror_status

        document = mirror_status(layout, settings)
    else:
        from tenuto.crates.status import archive_status

        document = archive_status(layout, settings)
    if json:
        print_json(document)
    elif settings.mirror is not None:
        _render_mirror(document)
    else:
        _render(document)


def _render_mirror(found: dict[str, Any]) -> None:
    from tenuto.model.units import counted, format_bytes

    line(f"mirror of {found['archive']}, from {found['mirror_of']}")
    line(f"key     {found['signing_public']} (pinned)")
    line(
        found["fault"]
        or f"index   number {found['sequence']}, published {found['published_at']}, edition {found['edition']}"
    )
    line(
        f"holds   {counted(found['crates'], 'crate')} of {found['crates_published']:,}, {format_bytes(found['bytes'])} of "
        f"{format_bytes(found['bytes_published'])}, {counted(found['recordings'], 'recording')}; "
        f"space {format_bytes(found['space'])}"
    )
    if found["incoming"]:
        line(f"begun   {', '.join(found['incoming'])}")
    if found["resting"]:
        size = format_bytes(sum(found["resting_bytes"].values()))
        line(
            f"resting {', '.join(found['resting'])}: no longer published, not given out; deleted when room is needed; {size}"
        )
    line()
    line(f"Next: {found['next']}")


def _render(found: dict[str, Any]) -> None:
    from tenuto.model.findings import CODES
    from tenuto.model.statuses import STATUSES
    from tenuto.model.units import counted

    line(
        f"archive {found['archive']}: {counted(found['tracks'], 'track')}, {counted(found['tombstones'], 'tombstone')}, "
        f"{counted(found['recordings'], 'recording')}, {counted(found['crates'], 'crate')}"
    )
    line(f"edition {found['edition'] or 'none yet'}")
    line(
        f"plan    {found['plan'] or 'none yet'}{'' if found['plan_is_current'] or not found['plan'] else ' (of an older edition)'}"
    )
    if found["crates_unread"]:
        line(f"{counted(len(found['crates_unread']), 'dark crate')} cannot be read without the identity (keys.folder in "
             "tenuto.toml): what is in them is taken from their plans")  # fmt: skip
    if found["crates_damaged"]:
        line(f"damaged: {', '.join(found['crates_damaged'])}")
    line()
    show("sources", ("name", "kind", "tracks", "tombstones", "last harvest", "permission"),
         [(name, s["kind"], f"{s['tracks']:,}", f"{s['tombstones']:,}", moment(s["last_harvest"]), s["permission"] or "none")
          for name, s in found["sources"].items()], right=("tracks", "tombstones"))  # fmt: skip
    line()
    show("tracks by status", ("status", "tracks", ""), [*((name, f"{count:,}", STATUSES[name])
         for name, count in found["statuses"].items()), ("total", f"{found['tracks']:,}", "")], right=("tracks",))  # fmt: skip
    line()
    show(
        "tracks by licence",
        ("licence", "tracks"),
        [(name, f"{count:,}") for name, count in found["licences"].items()],
        right=("tracks",),
    )
    if found["findings"]:
        line()
        show(
            "findings",
            ("code", "count", ""),
            [(c, n, CODES[c]) for c, n in found["findings"].items()],
            right=("count",),
        )
    line()
    line(f"Next: {found['next']}")

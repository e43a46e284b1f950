"""What a mirror holds, in one screen."""

from typing import Any

from tenuto.archive import Layout, Settings
from tenuto.model.errors import TenutoError
from tenuto.swarm import holding
from tenuto.swarm.own_index import read_own_signed


def mirror_status(layout: Layout, settings: Settings) -> dict[str, Any]:
    """Whose mirror it is, what of it is here, and what to do next; `recordings` counts rows of the crates that are held."""
    wish = settings.mirror
    assert wish is not None
    try:
        index = read_own_signed(layout, settings)
    except TenutoError as error:
        index, said = None, str(error)
    else:
        said = ""
    crates = index.crates if index else ()
    held = [crate for crate in crates if holding.is_held(layout, crate)]
    beside = sorted(path.stem for path in layout.incoming.glob("*.zip"))
    named = {crate.crate for crate in crates}
    resting = [name for name in beside if index is not None and name not in named]
    coming = [name for name in beside if name not in resting]
    return {
        "archive": settings.archive.name, "mirror_of": wish.of, "signing_public": settings.keys.signing_public,
        "space": wish.space, "bands": list(wish.bands), "licences": list(wish.licences),
        "sequence": index.sequence if index else None, "published_at": index.published_at if index else None,
        "edition": index.edition if index else None, "tracks": index.tracks if index else 0,
        "crates": len(held), "crates_published": len(crates), "bytes": sum(crate.bytes for crate in held),
        "bytes_published": sum(crate.bytes for crate in crates), "recordings": sum(crate.recordings for crate in held),
        "incoming": coming, "resting": resting, "fault": said,
        "resting_bytes": {name: holding.size_on_disk(layout.incoming / f"{name}.zip") for name in resting},
        "next": "tenuto mirror, to go on" if coming or said else "tenuto mirror --seed, to follow and give out",
    }  # fmt: skip

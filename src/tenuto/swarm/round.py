"""One round of a mirror: brought to an index, and its crates with it.

In this order, so that a kill at any moment leaves less than was there at worst, never something wrong: what the index no longer
names is given out no longer; the small files come, then the index; then crates, one rename each.
"""

import os

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import remove_leftovers
from tenuto.model.errors import IntegrityError
from tenuto.model.units import format_bytes
from tenuto.publication.documents import Index, IndexCrate
from tenuto.publication.giving import remove_stale, say_unnamed
from tenuto.publication.lookup import Signed
from tenuto.swarm import holding, webroot
from tenuto.swarm.choice import Choice, choose
from tenuto.swarm.fetching import fetch_all
from tenuto.swarm.own_index import is_behind, read_own_signed, shown
from tenuto.swarm.work import Mirror, Mirrored


def follow(mirror: Mirror, signed: Signed | None) -> Mirrored:
    """Bring the mirror to this index, and its crates with it; None: the place is away, go on with the index that is here."""
    layout = mirror.layout
    index = signed.index if signed else read_own_signed(layout, mirror.settings)
    done = Mirrored(index, signed is not None and not is_shown(layout, mirror.settings, signed))
    for folder in (layout.publication, layout.crates, layout.incoming):
        remove_leftovers(folder)
    aside = _changed(layout, index)
    for name in aside if mirror.seeder is not None else ():
        mirror.seeder.drop(name)  # type: ignore[union-attr]
    stuck = holding.set_aside(layout, aside)
    done.left |= {crate: _stuck(layout, error) for crate, error in stuck.items()}
    if signed is not None:
        webroot.bring(mirror.place, layout.publication, index, mirror.progress)
        webroot.put_index(layout.publication, signed)
        remove_stale(layout.publication, index, mirror.progress)
    assert mirror.settings.mirror is not None
    held = {crate.crate for crate in index.crates if holding.is_held(layout, crate)}
    choice = choose(index, held, holding.begun(layout), mirror.settings.mirror)
    done.left_out = choice.left_out
    for crate in index.crates:  # what was withdrawn goes at once, before anything is fetched, wanted or not
        if crate.redacted and not holding.is_held(layout, crate):
            _remove_withdrawn(layout, crate, done)
    if mirror.seeder is not None:
        mirror.seeder.refresh(is_forced=True)  # what is here is given out while the rest comes, which may take days
    _make_room(mirror, choice, done)
    if is_behind(layout, mirror.settings, index):
        why = "a newer index was seen, and its place is away: nothing is fetched by the older one that is here"
        done.left |= {crate.crate: why for crate in choice.crates if not holding.is_held(layout, crate)}
    else:
        fetch_all(mirror, [crate for crate in choice.crates if crate.crate not in stuck], done)
    done.held = [crate for crate in index.crates if holding.is_held(layout, crate)]
    done.over_space_bytes = max(0, sum(crate.bytes for crate in done.held) - mirror.settings.mirror.space)
    unnamed = holding.link_all(layout, done.held)
    if mirror.seeder is None or done.is_new or done.fetched:  # not every ten minutes
        say_unnamed(layout.publication, unnamed, mirror.progress)
    done.moved = [name for name in aside if name in done.fetched]
    if mirror.seeder is not None:
        mirror.seeder.refresh(is_forced=True)
    return done


def is_shown(layout: Layout, settings: Settings, signed: Signed) -> bool:
    """Whether this index is the one that the mirror shows already; raises IntegrityError at two of one number."""
    found = shown(layout, settings)
    if found is None:
        return False
    if found.sequence == signed.index.sequence and found != signed.index:
        raise IntegrityError(
            f"there are two indexes with the number {found.sequence}, both signed by {found.signing_public}: the archive "
            f"{found.archive} has signed twice, or its key is in other hands; nothing was taken: ask it"
        )
    return found == signed.index


def _stuck(layout: Layout, error: OSError) -> str:
    """Why a crate is left that could not be set aside."""
    return (
        f"it is given out no more, and the file of before could not be moved from {layout.crates} to {layout.incoming} "
        f"({error.strerror or error}): free some room there, then run: tenuto mirror"
    )


def _remove_withdrawn(layout: Layout, crate: IndexCrate, done: Mirrored) -> None:
    """Write the zeros of what was withdrawn; a file that cannot be written is one crate's fault."""
    try:
        holding.remove_withdrawn(layout, crate)
    except OSError as error:
        done.left[crate.crate] = f"what was withdrawn of it cannot be removed from this disk: {error}"


def _changed(layout: Layout, index: Index) -> list[str]:
    """The crates in `crates/` that the index does not name as they are."""
    named = {crate.crate: crate for crate in index.crates}
    here = [path.stem for path in layout.crates.glob("*.zip")]
    return [name for name in here if name not in named or not holding.is_held(layout, named[name])]


def _make_room(mirror: Mirror, choice: Choice, done: Mirrored) -> None:
    """Delete what is not wanted any more where its place is, and say what does not fit on the disk."""
    assert mirror.settings.mirror is not None
    layout, space = mirror.layout, mirror.settings.mirror.space
    wanted = {crate.crate for crate in choice.crates}
    coming = [crate for crate in choice.crates if not holding.is_held(layout, crate)]
    missing = sum(crate.bytes for crate in coming) - sum(
        holding.size_on_disk(path) for path in layout.incoming.glob("*.zip") if path.stem in wanted
    )
    about = os.statvfs(layout.root)
    free = about.f_bavail * about.f_frsize
    spare = sum(holding.size_on_disk(path) for path in layout.incoming.glob("*.zip") if path.stem not in wanted)
    done.dropped = holding.make_room(layout, wanted, choice.bytes, space)
    if missing > free + spare:
        mirror.progress.say(
            f"the disk has {format_bytes(free)} free and {format_bytes(missing)} are to come: it will be full before all is here; "
            "free some, or give a smaller --space"
        )

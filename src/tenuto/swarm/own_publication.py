"""The publication beside the crates that are mended: its signed index, its small files, its names for the crates."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import may_be_named, name_again
from tenuto.model.errors import IntegrityError, SourceError, TenutoError
from tenuto.model.findings import Finding
from tenuto.model.progress import Progress
from tenuto.publication.documents import INDEX_NAME, Index
from tenuto.publication.places import FolderPlace, WebPlace
from tenuto.swarm.copies import Donor, inode_of
from tenuto.swarm.own_index import read_own_signed
from tenuto.swarm.repaired import Repaired


def read_own_index(layout: Layout, settings: Settings) -> tuple[Index | None, list[Finding]]:
    """The signed index of the own publication, if there is one; and what is wrong with it."""
    try:
        return read_own_signed(layout, settings), []
    except (OSError, TenutoError) as error:
        if not layout.publication.is_dir():
            return None, []
        run = "tenuto mirror" if settings.mirror else "tenuto publish"
        said = f"{INDEX_NAME} cannot be used: {error.strerror if isinstance(error, OSError) else error}; run: {run}"
        return None, [Finding(code="index-damaged", subject=INDEX_NAME, message=said)]


def differing(layout: Layout, index: Index) -> list[str]:
    """The addresses of small files that are missing, or are not what the signed index promises."""
    from tenuto.swarm.webroot import promised  # noqa: PLC0415 -- brings all of publishing with it

    return [
        address for address, (sha256, _) in promised(index).items() if _digest(layout.publication / address) != sha256
    ]


def mend_small_files(layout: Layout, index: Index, donors: Sequence[Donor], progress: Progress, done: Repaired) -> None:
    """Fetch the small files of a mirror's publication that are missing or differ, by their digests in its signed index."""
    from tenuto.swarm.webroot import bring  # noqa: PLC0415

    before = left = differing(layout, index)
    faults = []
    for donor in donors:
        if not left:
            break
        place = _publication_of(donor)
        received = place.received_bytes
        try:
            bring(place, layout.publication, index, progress)
        except (IntegrityError, SourceError) as error:
            faults.append(str(error))
        done.files_bytes += place.received_bytes - received
        left = differing(layout, index)
    done.files += [address for address in before if address not in left]
    why = "; ".join(faults) or "name a place that has it with --from"
    done.findings += [_differs(address, f"it is not what the index promises: {why}") for address in left]


def unpublished(layout: Layout, index: Index) -> list[Finding]:
    """Small files of an archive's own publication that differ: to publish again is what mends them."""
    return [
        _differs(address, "it is not what the index promises; run: tenuto publish")
        for address in differing(layout, index)
    ]


def unlinked(layout: Layout, index: Index, crates: Iterable[str]) -> list[Finding]:
    """Names in an archive's own publication that are missing or another file's: to publish again is what mends them. A disk
    without links has none.
    """
    named = {crate.crate for crate in index.crates}
    found = []
    for crate in crates:
        public, own = layout.publication / "crates" / f"{crate}.zip", layout.crates / f"{crate}.zip"
        if crate in named and inode_of(public) != inode_of(own):
            if not public.exists() and not may_be_named(own, public.parent):
                continue
            said = f"{'it is another file than the crate' if public.exists() else 'it is missing'}; run: tenuto publish"
            found.append(_differs(f"crates/{crate}.zip", said))
    return found


def link_public(path: Path, public: Path) -> bool:
    """Give a crate its second name, in the publication; whether it had lost it."""
    if inode_of(public) == inode_of(path):
        return False
    return name_again(path, public)


def overtaken(layout: Layout, index: Index) -> list[Finding]:
    """Small files of a mirror that is behind, and that differ: its next round is what mends them."""
    said = "it is not what the index promises; a newer index was seen; run: tenuto mirror"
    return [_differs(address, said) for address in differing(layout, index)]


def _publication_of(donor: Donor) -> FolderPlace | WebPlace:
    """Where a place has its publication: an archive or a mirror has it within."""
    place = donor.place
    if isinstance(place, FolderPlace) and (place.root / "publication" / INDEX_NAME).is_file():
        return FolderPlace(place.root / "publication")
    return place


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _differs(address: str, said: str) -> Finding:
    return Finding(code="publication-differs", subject=f"publication/{address}", message=said)

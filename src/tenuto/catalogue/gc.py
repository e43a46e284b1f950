"""What nothing needs any more: old editions, and caches that belong to nothing. Decided first, deleted after."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive import Layout, remove_leftovers
from tenuto.archive.durable import LEFTOVER_PREFIX, sync_folder
from tenuto.catalogue.edition import open_current
from tenuto.catalogue.editions import EDITION, edition_names
from tenuto.catalogue.reading import part_folders
from tenuto.evidence import all_harvests
from tenuto.model.errors import TenutoError, UsageError


@dataclass(frozen=True, slots=True)
class Rubbish:
    """A folder that nothing needs: `what` is edition, lookup or part."""

    what: str
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is to be deleted, and which editions stay, with the reason of each."""

    rubbish: tuple[Rubbish, ...]
    kept: dict[str, str]


def sort_out(layout: Layout, newest: int) -> Sorted:
    """What nothing needs. An edition is needed if it is current, or a plan or the publication names it (a draft of a crate is of
    a plan); the `newest` of all others stay too, and always the newest of all. Of caches that could be made again those stay that
    belong to something. Raises UsageError where there are editions and none can be told to be current.
    """
    names = edition_names(layout)
    kept = _needed(layout, names)
    others = [name for name in names if name not in kept]
    spared = {*others[max(0, len(others) - newest) :], *names[-1:]}
    kept = {
        name: kept.get(name, f"one of the newest {max(1, newest)}") for name in names if name in kept or name in spared
    }
    rubbish = [("edition", layout.edition(name)) for name in others if name not in spared]
    rubbish += [("lookup", path) for path in _lookups(layout) if path.name[: len("YYYY-MM-DD-01234567")] not in kept]
    parts = part_folders(layout.evidence, all_harvests(layout.evidence), layout.parts)
    rubbish += [("part", path) for path in _folders(layout.parts) if path not in parts]
    return Sorted(tuple(Rubbish(what, path, _bytes(path)) for what, path in rubbish if not path.is_symlink()), kept)


def delete(layout: Layout, found: Sorted) -> None:
    """Delete it. Each folder loses its name first: what a kill leaves is no edition, and goes with the next build or gc."""
    for one in found.rubbish:
        beside = one.path.with_name(f"{LEFTOVER_PREFIX}gone-{one.path.name}")
        shutil.rmtree(beside, ignore_errors=True)
        one.path.rename(beside)
        sync_folder(one.path.parent)
        shutil.rmtree(beside)
    for folder in (layout.catalogue, layout.parts):
        remove_leftovers(folder)
    for leftover in layout.lookup("x").parent.glob(f"{LEFTOVER_PREFIX}gone-*"):  # beside it others may be at work
        shutil.rmtree(leftover)


def _needed(layout: Layout, names: list[str]) -> dict[str, str]:
    """The editions that something names, each with what it is; if there are any at all, the current one."""
    index = layout.publication / "index.json"
    published = index.read_text(encoding="utf-8", errors="replace") if index.is_file() else ""
    needed = dict.fromkeys(EDITION.findall(published), "published")
    for plan in sorted(_folders(layout.plans), reverse=True):
        needed |= dict.fromkeys(EDITION.findall(plan.name), f"plan {plan.name} is of it")
    return needed | ({_current(layout): "current"} if names else {})


def _current(layout: Layout) -> str:
    """The name of the current edition, which can be opened."""
    try:
        return open_current(layout).folder.name
    except (TenutoError, OSError) as error:
        raise UsageError(
            f"no current edition, so it is unknown which are old, and nothing is deleted: {error}"
        ) from None


def _lookups(layout: Layout) -> Iterator[Path]:
    """The indexes of editions: in `state/`, and beside the folders of editions that were opened by these."""
    yield from _folders(layout.lookup("x").parent)
    yield from (path for path in _folders(layout.catalogue) if path.suffix == ".lookup")


def _folders(folder: Path) -> list[Path]:
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in there if path.is_dir() and not path.name.startswith(LEFTOVER_PREFIX)]


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())

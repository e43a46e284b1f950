"""That the parts of an archive fit together: crates, log, publication and counts. The crates' bytes are read elsewhere."""

import filecmp
import hashlib
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from datetime import date
from functools import partial
from pathlib import Path, PurePosixPath

import duckdb
import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import LEFTOVER_PREFIX, may_be_named
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import open_current
from tenuto.crates.holdings import crate_files, survey
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.crates.status import counts, track_statuses
from tenuto.crates.withdrawn import known_log, load_taken_back, lost_withdrawals
from tenuto.model.errors import SettingsError, TenutoError
from tenuto.model.findings import Finding
from tenuto.model.units import counted
from tenuto.publication.check_bytes import read_index
from tenuto.publication.documents import (
    INDEX_NAME,
    PUBLIC_KEY_NAME,
    SIGNATURE_NAME,
    Index,
    parse_index,
    shard_address,
    verify_index,
)
from tenuto.publication.publish import refused_now
from tenuto.publication.withdraw import unsettled
from tenuto.selection.plan import load_newest

_FOLDERS = frozenset({"crates", "layers", "recordings", "torrents"})
_FIXED = frozenset({INDEX_NAME, SIGNATURE_NAME, PUBLIC_KEY_NAME})
"""What a publication has beside what its index names."""


def check_whole(layout: Layout, settings: Settings, on: date) -> Iterator[Finding]:
    """What is wrong between the parts of an archive; a mirror has crates and a publication, nothing else."""
    index = read_index(layout)
    if settings.mirror is not None:
        yield from _orphans(layout)
        yield from _misplaced(layout)
        yield from _told("index-damaged", INDEX_NAME, lambda: _publication(layout, settings))
        return
    yield from _told("withdrawal-log", "withdrawals.jsonl", lambda: _log(layout, settings))
    yield from _orphans(layout)
    yield from _misplaced(layout)
    if layout.dark.is_dir() and layout.dark.stat().st_mode & 0o077:
        yield Finding(code="dark-exposed", subject="dark/", message="others can read it; run: chmod 0700 dark")
    yield from _told("statuses-differ", "status", lambda: _statuses(layout, settings, index))
    if index is not None:
        yield from _told("check-incomplete", "giving-out", lambda: _ended(layout, settings, index, on))
    if layout.publication.is_dir():
        yield from _told("index-damaged", INDEX_NAME, lambda: _publication(layout, settings))


def _told(code: str, subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of one look; a fault on the way is one too."""
    try:
        yield from look()
    except SettingsError as error:
        yield Finding(code="check-incomplete", subject=subject, message=str(error))
    except (TenutoError, OSError, duckdb.Error, pa.ArrowException) as error:
        yield Finding(code=code, subject=subject, message=str(error))


def _log(layout: Layout, settings: Settings) -> Iterator[Finding]:
    known_log(layout)
    for crate, keys in lost_withdrawals(layout).items():
        said = (
            f"its withdrawn.json names {counted(len(keys), 'track')} (key {keys[0][:16]}…) that withdrawals.jsonl lacks"
        )
        yield Finding(
            code="withdrawal-log", subject=crate, message=f"{said}: bring the log back from the publication or a copy"
        )
    for path, count in unsettled(layout, settings):
        yield Finding(code="withdrawal-pending", subject=path.stem, message=f"{count} withdrawn tracks are still in it; run: "
                      "tenuto publish")  # fmt: skip


def _orphans(layout: Layout) -> Iterator[Finding]:
    """Files beside the crates that belong to none."""
    for folder in (layout.crates, layout.dark):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_crate = path.suffix == ".zip" and path.is_file() and not path.name.startswith(".")
            belongs = path.suffix == ".torrent" and torrent_beside(path.with_suffix(".zip")) == path
            if path.suffix == ".torrent-next":
                said = "a revision was not finished; run: tenuto publish"
                yield Finding(code="withdrawal-pending", subject=f"{folder.name}/{path.name}", message=said)
                continue
            if is_crate or (belongs and path.with_suffix(".zip").is_file()):
                continue
            what = (
                "the next keep, publish or mirror removes it"
                if path.name.startswith(LEFTOVER_PREFIX)
                else "move it away"
            )
            yield Finding(
                code="file-orphaned", subject=f"{folder.name}/{path.name}", message=f"it belongs to no crate; {what}"
            )


def _misplaced(layout: Layout) -> Iterator[Finding]:
    """Dark crates among the open ones, and open ones among the dark."""
    for path in crate_files(layout):
        is_among_dark = path.parent == layout.dark
        try:
            is_dark = CrateFile(path).is_dark
        except (TenutoError, OSError):
            continue  # no crate: its own findings say so
        if is_dark != is_among_dark:
            said = (
                "a dark crate lies among the open ones; move it to dark/, with its torrent"
                if is_dark
                else "an open crate lies among the dark ones, where all can be read; move it to crates/, with its torrent"
            )
            yield Finding(code="dark-exposed", subject=f"{path.parent.name}/{path.name}", message=said)


def _ended(layout: Layout, settings: Settings, index: Index, on: date) -> Iterator[Finding]:
    """Crates that are given out although a right in them has ended; what is withdrawn has its own finding."""
    if read_pointer(layout.catalogue / "current") is None:
        return
    named = {crate.crate for crate in index.crates}
    taken, looked = load_taken_back(layout), survey(layout, settings)
    for crate, refused in refused_now(layout, settings, open_current(layout), taken, looked, on).items():
        if crate not in named:
            continue
        ended = [one for one in refused if not one.is_withdrawn]
        if ended:
            yield Finding(code="giving-out-ended", subject=crate, message=f"{counted(len(ended), 'track')} in it may not be given "
                          f"out today ({ended[0].source}:{ended[0].track_id}: {ended[0].reason}), and it is published; run: "
                          "tenuto publish, then tenuto withdraw --refused --reason permission-ended")  # fmt: skip


def _statuses(layout: Layout, settings: Settings, index: Index | None) -> Iterator[Finding]:
    """Every live track has one status, and what is published adds up to the published edition."""
    if read_pointer(layout.catalogue / "current") is None:
        return
    edition, plan = open_current(layout), load_newest(layout)
    table = track_statuses(layout, settings, edition, plan if plan and plan.edition == edition.info.edition else None)
    if table.num_rows != edition.info.tables["track"].rows or table["key"].null_count:
        yield Finding(code="statuses-differ", subject=edition.info.edition, message=f"{table.num_rows} statuses for "
                      f"{edition.info.tables['track'].rows} tracks")  # fmt: skip
    if (
        index is not None
        and index.edition == edition.info.edition
        and index.statuses != (now := counts(table, "status"))
    ):
        yield Finding(code="statuses-differ", subject=INDEX_NAME, message=f"it says {index.statuses}, the archive {now}; run: "
                      "tenuto publish")  # fmt: skip


def _publication(layout: Layout, settings: Settings) -> Iterator[Finding]:
    """The index is signed by our key, and what it refers to is there, and nothing else is."""
    root = layout.publication
    content, signature = (root / INDEX_NAME).read_bytes(), (root / SIGNATURE_NAME).read_bytes()
    verify_index(content, signature, settings.keys.signing_public)
    index, is_mirror = parse_index(content), settings.mirror is not None
    differs = partial(_differs, run="tenuto repair" if is_mirror else "tenuto publish")
    promised = {one.path: one.sha256 for crate in index.crates for one in (crate.layers, crate.torrent)}
    promised |= {one.path: one.sha256 for one in (index.status, index.withdrawals, index.feed, index.page)}
    promised |= {shard_address(prefix, sha256): sha256 for prefix, sha256 in index.shards.sha256.items()}
    for address, sha256 in sorted(promised.items()):
        path = root / address
        if not path.is_file():
            yield differs(address, "it is missing")
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
            yield differs(address, f"sha256 is {found}, the index says {sha256}")
    for crate in index.crates:
        public, own = root / "crates" / f"{crate.crate}.zip", layout.crates / f"{crate.crate}.zip"
        if not own.is_file():
            if is_mirror and not public.exists() and not public.is_symlink():
                continue  # a mirror holds what it has room for
            said = f"the archive's own crate is missing; run: tenuto repair {crate.crate}"
            yield Finding(code="publication-differs", subject=f"publication/crates/{crate.crate}.zip", message=said)
        elif not public.is_file():
            if public.is_symlink() or may_be_named(own, public.parent):  # a disk without links has no names there
                yield differs(f"crates/{crate.crate}.zip", "it is missing")
        elif own.stat().st_size != crate.bytes:
            said = f"it has {own.stat().st_size:,} bytes, the index says {crate.bytes:,}"
            yield differs(f"crates/{crate.crate}.zip", said)
        elif not public.samefile(own) and not filecmp.cmp(public, own, shallow=False):
            yield differs(f"crates/{crate.crate}.zip", "it is not the crate of the archive")
    known = _FIXED | set(promised) | {address for crate in index.crates for address in crate.addresses}
    yield from _strangers(root, known, "tenuto mirror" if is_mirror else "tenuto publish")


def _strangers(root: Path, known: AbstractSet[str], run: str, folder: str = "") -> Iterator[Finding]:
    """What lies in a folder of the publication and is not known: it is served with the rest. An unknown folder is one finding."""
    folders = _FOLDERS | {str(parent) for address in known for parent in PurePosixPath(address).parents}
    for path in sorted((root / folder).iterdir()):
        address = path.relative_to(root).as_posix()
        if address in folders and path.is_dir():
            yield from _strangers(root, known, run, address)
        elif address not in known or not path.is_file():
            is_file = path.is_symlink() or not path.is_dir()
            goes = is_file and (folder in _FOLDERS or (not folder and path.name.startswith(LEFTOVER_PREFIX)))
            what = f"{run} removes it" if goes else "it is served with the rest: move it away"
            yield Finding(code="file-orphaned", subject=f"publication/{address}", message="the index does not refer to it; "
                          f"{what}")  # fmt: skip


def _differs(address: str, said: str, run: str) -> Finding:
    return Finding(code="publication-differs", subject=f"publication/{address}", message=f"{said}; run: {run}")

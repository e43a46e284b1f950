"""Moving recordings out of an open crate into a dark one: withdrawn, they are no longer given out, and may still be kept."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import make_folder, sync_folder
from tenuto.crates import compose, dark
from tenuto.crates.hashing import digests_of
from tenuto.crates.holdings import RECORDINGS_KIND, note_holdings
from tenuto.crates.reader import CrateFile, read_table
from tenuto.crates.seal import Item, lay_out, seal, torrent_beside
from tenuto.crates.tables import RECORDINGS
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import short_digest, track_key
from tenuto.rights.withdrawals import Withdrawal

BAND = "withdrawn"
_PART_BYTES = 2**20


def move_to_dark(
    layout: Layout, settings: Settings, path: Path, table: pa.Table, withdrawn: Mapping[str, Withdrawal], held: set[tuple[str, str]]
) -> list[Path]:  # fmt: skip
    """Seal the recordings of these rows of a crate in a dark crate each track; returns the crates that were made.

    `held` are the (track key, SHA-256) that lie in a dark crate already; it is added to. The name of a new crate is public, so
    nothing of the recording is in it.
    """
    crate = CrateFile(path)
    by_key: dict[str, list[dict[str, object]]] = {}
    for row in table.to_pylist():
        by_key.setdefault(track_key(row["source"], row["track_id"]), []).append(row)
    made = []
    for key, rows in sorted(by_key.items()):
        missing = [row for row in rows if (key, str(row["sha256"])) not in held]
        digest = short_digest([key, path.stem])
        target = layout.dark / f"{settings.archive.name}-0-{BAND}-{withdrawn[key].seq:04d}-{digest}.zip"
        if missing:
            if not (target.is_file() and torrent_beside(target).is_file()):
                _seal(layout, settings, crate, pa.Table.from_pylist(missing, RECORDINGS), target, withdrawn[key].on)
            held |= {(key, str(row["sha256"])) for row in missing}
            made.append(target)
    return made


def clear_workshops(layout: Layout, settings: Settings) -> None:
    """Remove what a move that was cut off left behind: it may be a recording in clear."""
    for work in layout.drafts.glob(f"{settings.archive.name}-0-{BAND}-*"):
        shutil.rmtree(work)


def _seal(layout: Layout, settings: Settings, crate: CrateFile, table: pa.Table, target: Path, on: date) -> None:
    if not layout.dark.is_dir():
        layout.dark.mkdir(mode=0o700)
        sync_folder(layout.root)
    work = layout.drafts / target.stem
    shutil.rmtree(work, ignore_errors=True)
    make_folder(work)
    layout.drafts.chmod(0o700)
    work.chmod(0o700)
    items, rows = list[Item](), []
    for number, row in enumerate(table.to_pylist(), 1):
        clear = work / "recording"
        _extract(crate, row["offset"], row["bytes"], row["sha256"], clear)
        sealed = work / f"{number:06d}.age"
        dark.encrypt_file(clear, sealed, settings.keys.age_recipients)
        clear.unlink()
        size, sha256, crc32 = digests_of(sealed)
        items.append(Item(f"{compose.DARK_FOLDER}/{number:06d}.age", sealed, size, crc32, sha256, is_aligned=True))
        rows.append({**row, "path": items[-1].path, "sealed_bytes": size, "sealed_sha256": sha256})
    front = lay_out(target.stem, items)
    entries = front.entry_of()
    held = pa.Table.from_pylist([{**row, "offset": entries[row["path"]].offset} for row in rows], RECORDINGS)
    info = compose.bag_info(
        archive=settings.archive.name, contact=settings.archive.contact, crate=target.stem, kind=RECORDINGS_KIND, access="dark",
        band=BAND, edition=crate.info.get("Tenuto-Edition", ""), plan=crate.info.get("Tenuto-Plan", ""), dated=on,
        count=held.num_rows,
    )  # fmt: skip
    tables = compose.narrowed(_catalogue(crate), held)
    seal(target, front, compose.dark_tail(held, tables, info, settings.keys.age_recipients), info)
    note_holdings(layout, target, held)
    shutil.rmtree(work)


def _catalogue(crate: CrateFile) -> dict[str, pa.Table]:
    folder = f"{compose.CATALOGUE_FOLDER}/"
    names: Iterable[str] = (path for path in crate.entries if path.startswith(folder))
    return {Path(path).stem: read_table(crate.read(path), f"{crate.path}: {path}") for path in names}


def _extract(crate: CrateFile, offset: int, size: int, sha256: str, target: Path) -> None:
    """Copy a recording out of a crate; raises IntegrityError where it is not what it was."""
    digest = hashlib.sha256()
    with crate.path.open("rb") as source, target.open("wb") as file:
        source.seek(offset)
        while size and (part := source.read(min(size, _PART_BYTES))):
            digest.update(part)
            file.write(part)
            size -= len(part)
    if digest.hexdigest() != sha256:
        target.unlink()
        raise IntegrityError(
            f"{crate.path}: the recording at byte {offset:,} is damaged; run: tenuto check {crate.crate}"
        )

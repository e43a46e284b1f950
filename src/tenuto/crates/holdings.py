"""What the archive holds: the tables of its crates, read once from each and kept beside as a cache (law 4)."""

import contextlib
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.archive import Layout, Settings
from tenuto.archive.durable import LEFTOVER_PREFIX, make_folder, sync_folder
from tenuto.crates import dark
from tenuto.crates.reader import SEALED_CATALOGUE_NAME, SEALED_RECORDINGS_NAME, CrateFile, read_table
from tenuto.crates.tables import RECORDINGS
from tenuto.model.errors import IntegrityError, SettingsError

RECORDINGS_KIND = "recordings"
_STAMP = b"tenuto-crate-file"
_COUNT = re.compile("([0-9]+) recordings ")


@dataclass(slots=True)
class Survey:
    """What all crates hold, as far as it can be read here.

    `unread` are dark crates whose identity is missing; `damaged` are files that are no crates, with what is wrong.
    """

    found: list[tuple[Path, pa.Table]] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    damaged: dict[Path, str] = field(default_factory=dict)


def survey(layout: Layout, settings: Settings) -> Survey:
    """Look into every crate, metadata and evidence among them; what cannot be read stands apart and stops nothing."""
    result = Survey()
    for path in crate_files(layout):
        try:
            result.found.append((path, holdings_of(layout, settings, path)))
        except SettingsError:
            result.unread.append(path)
        except IntegrityError as error:
            result.damaged[path] = str(error)
    return result


def count_of(crate: CrateFile) -> int:
    """How many recordings a crate says it has, which needs no identity."""
    said = _COUNT.match(crate.info.get("External-Description", ""))
    return int(said[1]) if said else 0


def crate_files(layout: Layout) -> list[Path]:
    """The crate files of the archive, open and dark, by name; leftovers of interrupted writes are none."""
    found = [*layout.crates.glob("*.zip"), *layout.dark.glob("*.zip")]
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: path.name)


def find_crate(layout: Layout, crate: str) -> Path | None:
    """The file of a crate, or None."""
    return next(
        (path for path in (layout.crates / f"{crate}.zip", layout.dark / f"{crate}.zip") if path.is_file()), None
    )


def holdings_of(layout: Layout, settings: Settings, crate_file: Path) -> pa.Table:
    """recordings.parquet of a crate, from the cache where the crate file is the one that it was read from.

    Raises SettingsError where a dark crate was never read here and its identity is missing.
    """
    cache, stamp = layout.holdings / f"{crate_file.stem}.parquet", stamp_of(crate_file)
    try:
        if (pq.read_schema(cache).metadata or {}).get(_STAMP) == stamp:
            table = pq.read_table(cache, page_checksum_verification=True).replace_schema_metadata()
            if table.schema.equals(RECORDINGS):
                return table
    except (OSError, pa.ArrowException):
        pass  # no cache, or a broken one: it is made again
    crate = CrateFile(crate_file)
    table = read_holdings(crate, layout, settings)
    with contextlib.suppress(OSError):  # only a cache: a full disk, or someone who may read alone, is no hindrance
        _note(layout, crate_file, table, stamp)
    return table


def read_holdings(crate: CrateFile, layout: Layout, settings: Settings, identity: Path | None = None) -> pa.Table:
    """recordings.parquet out of the crate itself; empty in crates of metadata and evidence."""
    if crate.kind != RECORDINGS_KIND:
        return RECORDINGS.empty_table()
    if not crate.is_dark:
        table = crate.recordings()
    else:
        opened = dark.load_identity(layout.operator_path(settings.keys.folder), identity)
        what = f"{crate.path}: {SEALED_RECORDINGS_NAME}"
        table = read_table(dark.decrypt(crate.read(SEALED_RECORDINGS_NAME), opened, what), what)
    try:
        return table.select(RECORDINGS.names).cast(RECORDINGS)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{crate.path}: its table of recordings is not as format tenuto-crate-1 has it ({error})"
        ) from None


def read_sealed_catalogue(crate: CrateFile, layout: Layout, settings: Settings) -> dict[str, pa.Table]:
    """The catalogue's tables in a dark crate."""
    what = f"{crate.path}: {SEALED_CATALOGUE_NAME}"
    opened = dark.load_identity(layout.operator_path(settings.keys.folder))
    with zipfile.ZipFile(io.BytesIO(dark.decrypt(crate.read(SEALED_CATALOGUE_NAME), opened, what))) as packed:
        return {name.removesuffix(".parquet"): read_table(packed.read(name), what) for name in packed.namelist()}


def note_holdings(layout: Layout, crate_file: Path, table: pa.Table) -> None:
    """Keep what a crate holds, readable for the archive's owner alone; only for who holds the archive's lock."""
    _note(layout, crate_file, table, stamp_of(crate_file))


def _note(layout: Layout, crate_file: Path, table: pa.Table, stamp: bytes) -> None:
    """`stamp` is of the file before it was read: where it was written anew meanwhile, nobody takes this for the new one's.

    Two processes may note the same crate at once, since reading needs no lock: each writes a file of its own. It is as durable
    as the crate: where the identity is away, nothing else here knows what a dark crate holds.
    """
    make_folder(layout.holdings)
    layout.holdings.chmod(0o700)
    handle, name = tempfile.mkstemp(prefix=LEFTOVER_PREFIX, dir=layout.holdings)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(
                table.replace_schema_metadata({_STAMP: stamp}), file, compression="zstd", write_page_checksum=True
            )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(layout.holdings / f"{crate_file.stem}.parquet")
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(layout.holdings)


def stamp_of(crate_file: Path) -> bytes:
    """What changes when a crate file is written anew."""
    found = crate_file.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}".encode()


def all_holdings(layout: Layout, settings: Settings) -> Iterator[tuple[Path, pa.Table]]:
    """Each crate of recordings with what it holds."""
    for path in crate_files(layout):
        table = holdings_of(layout, settings, path)
        if table.num_rows:
            yield path, table

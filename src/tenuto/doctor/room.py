"""Whether what the newest plan still has to keep, or what a mirror is still to fetch, has room."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tenuto.archive import Layout, Settings
from tenuto.catalogue.edition import sql_rows
from tenuto.doctor.result import Result
from tenuto.model.errors import TenutoError
from tenuto.model.statuses import PLANNED
from tenuto.model.units import format_bytes
from tenuto.selection.plan import Plan, load_newest

_TOPIC = "room"
_RESERVE_BYTES = 1_000_000_000
_SPARE_FRAC = 0.05
"""Below that a file system becomes slow, and other programs fail first."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is still to be kept: bytes of recordings, of which some lie in drafts already; the largest crate to be sealed."""

    bytes: int
    fetched_bytes: int
    largest_bytes: int

    @property
    def free_bytes(self) -> int:
        """What must be free: a crate is written beside its recordings, which go when it stands."""
        return max(0, self.bytes - self.fetched_bytes) + self.largest_bytes


def look(layout: Layout, settings: Settings | None = None) -> list[Result]:
    """A mirror goes by its wish and the index that it shows, an archive by its newest plan."""
    usage = shutil.disk_usage(layout.crates if layout.crates.exists() else layout.root)
    free = f"{format_bytes(usage.free)} of {format_bytes(usage.total)} free beside the archive"
    if settings is not None and settings.mirror is not None:
        return [_mirror(free, usage.free, settings.mirror.space, still_to_fetch(layout, settings))]
    try:
        plan = load_newest(layout)
        need = still_to_keep(layout, plan) if plan else None
    except (TenutoError, duckdb.Error) as error:
        message = f"{free}; what is still to be kept cannot be told: {str(error).splitlines()[0]}"
        return [Result(_TOPIC, "warning", message, "tenuto plan")]
    if need is not None and need.bytes:
        return [_planned(free, usage.free, need)]
    said = "the newest plan has nothing left to keep" if need else "no plan says how much is needed"
    if usage.free < max(_RESERVE_BYTES, _SPARE_FRAC * usage.total):
        return [
            Result(_TOPIC, "warning", f"only {free}; {said}", "free some room, or move the archive to a larger disk")
        ]
    return [Result(_TOPIC, "ok", f"{free}; {said}")]


def still_to_keep(layout: Layout, plan: Plan) -> Need:
    """What the plan asks for and no crate holds, by the crates that stand and the tables that are cached of them; at most."""
    folder = layout.plan(plan.plan)
    sealed = [file.stem for file in crate_files(layout)]
    caches = [file for crate in sealed if (file := layout.holdings / f"{crate}.parquet").is_file()]
    held = (
        f"SELECT source, track_id FROM {sql_rows(*caches)}" if caches else "SELECT '' source, '' track_id WHERE false"
    )
    query = f"""
        WITH held AS ({held}),
        left_over AS (
            SELECT crate, sum(planned_bytes) AS bytes
            FROM {sql_rows(folder / "tracks.parquet")} t JOIN {sql_rows(folder / "drafts.parquet")} d USING (draft)
            WHERE t.status = '{PLANNED}' AND NOT list_contains($sealed, crate)
                AND NOT EXISTS (FROM held h WHERE h.source = t.source AND h.track_id = t.track_id)
            GROUP BY crate)
        SELECT crate, bytes::BIGINT FROM left_over"""
    values = {"sealed": sealed}
    with duckdb.connect(config={"threads": 2}) as con:
        rows = con.execute(query, values).fetchall()
    fetched = sum(size_of(layout.drafts / crate) for crate, _ in rows)
    return Need(sum(size for _, size in rows), fetched, max((size for _, size in rows), default=0))


def still_to_fetch(layout: Layout, settings: Settings) -> int | None:
    """What a mirror with this wish has still to fetch of the publication; None where it shows no index yet that can be read."""
    from tenuto.swarm.choice import choose  # noqa: PLC0415 -- brings all of publishing with it
    from tenuto.swarm.holding import begun, crate_path  # noqa: PLC0415
    from tenuto.swarm.own_publication import read_own_index  # noqa: PLC0415

    index, _ = read_own_index(layout, settings)
    if index is None or settings.mirror is None:
        return None
    # By size: to read the torrent of every crate would take its time, and a revision brings no more than a tail.
    held = {crate.crate for crate in index.crates if _size(crate_path(layout, crate.crate)) == crate.bytes}
    choice = choose(index, held, begun(layout), settings.mirror)
    return sum(
        max(0, crate.bytes - _on_disk(layout.incoming / f"{crate.crate}.zip"))
        for crate in choice.crates
        if crate.crate not in held
    )


def crate_files(layout: Layout) -> list[Path]:
    """The crates of an archive or a mirror, open and dark."""
    return [file for place in (layout.crates, layout.dark) for file in place.glob("*.zip")]


def bytes_held(layout: Layout) -> int:
    """The bytes of all crates, which may go away meanwhile."""
    total = 0
    for file in crate_files(layout):
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def size_of(folder: Path) -> int:
    """The bytes of the files in a folder, which may go away meanwhile."""
    total = 0
    for file in folder.rglob("*") if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _planned(free: str, free_bytes: int, need: Need) -> Result:
    still = f"the newest plan still has to keep {format_bytes(need.bytes)}"
    if free_bytes < need.free_bytes:
        lack = format_bytes(need.free_bytes - free_bytes)
        message = f"{free}; {still}, with the crate that is being sealed {lack} TOO LITTLE"
        return Result(
            _TOPIC, "bad", message, "free some room, move the archive, or plan for less: tenuto plan --budget SIZE"
        )
    if free_bytes < need.free_bytes + _RESERVE_BYTES:
        message = f"{free}; {still}, after which less than {format_bytes(_RESERVE_BYTES)} is left"
        return Result(_TOPIC, "warning", message, "free some room, or plan for less: tenuto plan --budget SIZE")
    return Result(_TOPIC, "ok", f"{free}; {still}")


def _mirror(free: str, free_bytes: int, space_bytes: int, left_bytes: int | None) -> Result:
    if left_bytes is None:
        message = f"{free}; how much of its {format_bytes(space_bytes)} this mirror will fill, no index here says yet"
        return Result(_TOPIC, "ok", message)
    if free_bytes < left_bytes:
        message = f"{free}; this mirror has still to fetch {format_bytes(left_bytes)}"
        return Result(_TOPIC, "bad", message, "free some room, or set space lower under [mirror] in tenuto.toml")
    if not left_bytes:
        return Result(_TOPIC, "ok", f"{free}; this mirror has nothing left to fetch")
    return Result(_TOPIC, "ok", f"{free}; this mirror has still to fetch {format_bytes(left_bytes)}")


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return -1


def _on_disk(path: Path) -> int:
    """What is there of a file, holes left out."""
    with contextlib.suppress(OSError):
        return path.stat().st_blocks * 512
    return 0

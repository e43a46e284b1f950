"""`recordings.parquet` of an open crate against the bag that it describes."""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenuto.crates.reader import RECORDINGS_NAME
from tenuto.crates.tables import RECORDINGS
from tenuto.crates.verify_bag import Bag, payload_of
from tenuto.crates.verify_zip import Report

_COLUMNS = ["path", "offset", "bytes", "sha256", "crc32", "tier", "derived_from", "source", "track_id", "evidence_id",
            "sealed_bytes", "sealed_sha256"]  # fmt: skip
_TEXTS = ["path", "sha256", "tier", "derived_from", "source", "track_id", "sealed_sha256"]
_ROWS_MAX = 1_000_000
_TABLE_MAX_BYTES = 2**30
_BATCH_ROWS = 1024
_TIER = re.compile(r"original|opus-[1-9][0-9]{0,2}")
_ID8 = re.compile(r"\[([0-9a-f]{8})\]\.[^/.]+")


def check_rows(bag: Bag, report: Report) -> None:
    """Each row names a file that is there as it says; each recording has a row; no track has two."""
    if RECORDINGS_NAME not in bag.content:
        if RECORDINGS_NAME in bag.files:
            report("recording-mismatch", RECORDINGS_NAME, "it cannot be read, or is larger than any crate's")
        return
    described: set[str] = set()
    tracks: set[tuple[Any, Any]] = set()
    paths: dict[str, str] = {}
    try:
        for number, row in enumerate(_rows(bag.content[RECORDINGS_NAME])):
            described.add(str(row["path"]))
            fault = _row_fault(row, bag)
            track = row["source"], row["track_id"]
            if fault is None and track in tracks:
                fault = f"the track {track[1]} of {track[0]} has two rows"
            if fault is None and paths.setdefault(row["sha256"], row["path"]) != row["path"]:
                fault = f"its bytes are those of {paths[row['sha256']]}, which should be its file"
            if fault:
                report("recording-mismatch", str(row["path"]), f"row {number}: {fault}")
            tracks.add(track)
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError) as error:
        # What a damaged footer makes pyarrow raise, besides its own.
        said = " ".join(str(error).split())[:200]
        report("recording-mismatch", RECORDINGS_NAME, f"it is no table of recordings ({said})")
        return
    for path in payload_of(bag.files):
        if path not in described:
            report("recording-mismatch", path, f"no row of {RECORDINGS_NAME} describes it")


def _rows(content: bytes) -> Iterator[dict[str, Any]]:
    """The rows, a batch at a time; texts stay in dictionaries, so a small file cannot become a large table."""
    about = pq.read_metadata(pa.BufferReader(content))
    claimed = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
    if about.num_rows > _ROWS_MAX or claimed > _TABLE_MAX_BYTES:
        raise ValueError(f"{about.num_rows:,} rows in {claimed:,} bytes are more than any crate has")
    there = pq.read_schema(pa.BufferReader(content))
    if not there.equals(RECORDINGS):
        wrong = [name for name in {*there.names, *RECORDINGS.names} if not _is_same(there, name)]
        raise ValueError(f"its columns are not those of the format: {', '.join(sorted(wrong)[:5]) or 'another order'}")
    with pq.ParquetFile(pa.BufferReader(content), read_dictionary=_TEXTS) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=_COLUMNS, use_threads=False):
            yield from batch.to_pylist()


def _is_same(there: pa.Schema, name: str) -> bool:
    fields = there.get_all_field_indices(name), RECORDINGS.get_all_field_indices(name)
    return all(len(found) == 1 for found in fields) and there.field(name).type == RECORDINGS.field(name).type


def _row_fault(row: dict[str, Any], bag: Bag) -> str | None:
    path, entry = row["path"], bag.files.get(row["path"])
    if entry is None:
        return "there is no such file in the crate"
    promised = {"offset": entry.offset, "bytes": entry.bytes, "crc32": entry.crc32, "sha256": bag.digests.get(path)}
    for name, value in promised.items():
        if row[name] != value:
            return f"its {name} is {row[name]}, the crate has {value}"
    if row["source"] is None or row["track_id"] is None or row["evidence_id"] is None:
        return "it does not say which track of which source it is"
    if not _TIER.fullmatch(row["tier"] or "") or (row["tier"] == "original") != (row["derived_from"] is None):
        return f"tier {row['tier']!r} and derived_from {row['derived_from']!r} do not fit"
    if row["sealed_bytes"] is not None or row["sealed_sha256"] is not None:
        return "it has the figures of a dark crate"
    name = _ID8.search(path)
    if name is None or name[1] != row["sha256"][:8]:
        return f"its name does not carry {row['sha256'][:8]}"
    return None

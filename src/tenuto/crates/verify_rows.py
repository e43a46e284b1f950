"""`recordings.parquet` of an open crate against the bag that it describes."""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenuto.crates.reader import RECORDINGS_NAME
from tenuto.crates.tables import RECORDINGS
from tenuto.crates.verify_bag import Bag, payload_of
from tenuto.crates.verify_parquet import FOOTER_MAX_BYTES, ROWS_MAX, check_claims
from tenuto.crates.verify_zip import Report

_COLUMNS = ["path", "offset", "bytes", "sha256", "crc32", "tier", "derived_from", "source", "track_id", "evidence_id",
            "sealed_bytes", "sealed_sha256"]  # fmt: skip
_TEXTS = ["path", "sha256", "tier", "derived_from", "source", "track_id", "sealed_sha256"]
_AS_READ = pa.schema(
    [one.with_type(pa.dictionary(pa.int32(), pa.string())) if one.name in _TEXTS else one for one in RECORDINGS]
)
_BATCH_ROWS = 1024
_TEXT_MAX_BYTES = 16 * 2**10
"""Each row of a batch may repeat a text that the file holds once."""

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
    """The rows, a batch at a time; raises ValueError before anything is unpacked that no crate's table unpacks to."""
    check_claims(content)
    with pq.ParquetFile(
        pa.BufferReader(content), read_dictionary=_TEXTS, thrift_string_size_limit=FOOTER_MAX_BYTES,
        thrift_container_size_limit=FOOTER_MAX_BYTES,
    ) as file:  # fmt: skip
        if not file.schema_arrow.equals(_AS_READ):
            there = file.schema_arrow
            wrong = [name for name in {*there.names, *_AS_READ.names} if not _is_same(there, name)]
            raise ValueError(
                f"its columns are not those of the format: {', '.join(sorted(wrong)[:5]) or 'another order'}"
            )
        count = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=_COLUMNS, use_threads=False):
            count += batch.num_rows
            if count > ROWS_MAX:
                raise ValueError(f"it has more than {ROWS_MAX:,} rows")
            for column in batch.columns:
                if pa.types.is_dictionary(column.type):
                    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
                    if longest > _TEXT_MAX_BYTES:
                        raise ValueError(f"it has a text of {longest:,} bytes, more than any crate's")
            yield from batch.to_pylist()


def _is_same(there: pa.Schema, name: str) -> bool:
    fields = there.get_all_field_indices(name), _AS_READ.get_all_field_indices(name)
    return all(len(found) == 1 for found in fields) and there.field(name).type == _AS_READ.field(name).type


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
    id8 = _ID8.search(path)
    if id8 is None or id8[1] != row["sha256"][:8]:
        return f"its name does not carry {row['sha256'][:8]}"
    return None

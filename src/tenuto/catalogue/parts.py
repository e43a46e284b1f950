"""A part: one file of evidence, read. Its rows of each kind, and a table of its answers, on disk.

What a part says depends on the bytes of the file and on the program alone, not on other files: parts are read side by side, in any
order, once; which of their rows count is decided when all are there (sightings.py).
"""

import hashlib
import shutil
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

import tenuto
from tenuto.archive.durable import folder_durably
from tenuto.catalogue.rows import Rows, schema_of
from tenuto.evidence import EvidenceRecord, read_records
from tenuto.model.answers import OK, Answer
from tenuto.model.columns import Columns
from tenuto.model.records import CountSeen
from tenuto.sources import PERMISSION_KEY, parse_columns

ANSWERS = pa.schema(
    [("record", pa.int32()), ("key", pa.binary()), ("outcome", pa.string()), ("uuid", pa.binary(16)), ("content", pa.binary(32)),
     ("fetched_on", pa.date32()), ("evidence_id", pa.uint64()), ("permission", pa.large_binary())]
)  # fmt: skip
"""The answers of a part: `content` is null where nothing was read, `permission` is the file itself."""

_ABOUT = "part.json"
_LIBRARIES = ("fastwarc", "lxml", "msgspec", "mutagen", "pyarrow", "python-debian", "zlib-ng")
_TABLE = {"compression": "zstd", "compression_level": 1, "write_statistics": False}
_DISTINCT = frozenset({"artist_id", "release_id", "track_id", "title", "name", "isrc", "upc", "ordinal", "duration_ms",
                       "listens_count", "followers_count", "key", "uuid", "content", "text", "message"})  # fmt: skip
"""Columns whose values are mostly there once: a dictionary of them is work for nothing."""

_ENCODER = msgspec.json.Encoder(order="deterministic")


class Task(msgspec.Struct, frozen=True):
    """A file to read, and the folder that the part will be."""

    file: str
    kind: str
    sha256: str
    records: int
    folder: str


class About(msgspec.Struct, frozen=True):
    """part.json: its tables and their SHA-256, and what is damaged in the file: message and evidence id (0: not known)."""

    tables: dict[str, str]
    damages: tuple[tuple[str, int], ...]


class Part:
    """A part on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = _about(folder)

    def answers(self) -> pa.Table:
        """Its answers, in order."""
        return pq.read_table(self.folder / "answers.parquet")

    def rows(self, kind: str) -> Path | None:
        """The rows of a kind."""
        return self.folder / f"{kind}.parquet" if kind in self.about.tables else None


def is_read(folder: Path) -> bool:
    """Whether a part is there, every byte as it was written."""
    try:
        return all(sha256_of(folder / f"{name}.parquet") == due for name, due in _about(folder).tables.items())
    except (OSError, msgspec.MsgspecError):
        return False


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _about(folder: Path) -> About:
    return msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)


@cache
def program_digest() -> str:
    """What a part depends on beside its file: Python, the libraries and the code that read it. Another program reads all again."""
    root, digest = Path(tenuto.__file__).parent, hashlib.sha256(f"{tenuto.__version__} {sys.version}\n".encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    for room in ("audio", "catalogue", "evidence", "model", "rights", "sources"):
        for path in sorted((root / room).rglob("*.py")):
            digest.update(f"{path.relative_to(root)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def read_part(task: Task, advance: Callable[[int], None]) -> None:
    """Read a file of evidence into a part; `advance` is told of each record. Damage is noted, nothing is raised by it."""
    path, folder, damages = Path(task.file), Path(task.folder), list[tuple[str, int]]()
    if folder.exists():  # half of one
        shutil.rmtree(folder)
    with folder_durably(folder) as beside:
        with _Writer(beside) as writer:
            if not path.is_file():
                damages.append((f"{path.name} is missing; restore it from a copy, or harvest again", 0))
            else:
                _read(task, path, writer, damages, advance)
        tables = {path.stem: sha256_of(path) for path in sorted(beside.glob("*.parquet"))}
        about = About(tables=tables, damages=tuple(damages))
        (beside / _ABOUT).write_bytes(_ENCODER.encode(about) + b"\n")


def _read(
    task: Task, path: Path, writer: "_Writer", damages: list[tuple[str, int]], advance: Callable[[int], None]
) -> None:
    digest = sha256_of(path)
    if digest != task.sha256:
        damages.append((f"{path.name} has sha256 {digest}, harvest.json says {task.sha256}", 0))
    count, rows, known = 0, Rows(writer.write), set[bytes]()
    for record in read_records(path):
        count += 1
        advance(1)
        if record.damage:
            damages.append((record.damage, record.evidence_id))
        if record.answer is not None and record.uuid is not None:
            content_ = _taken(task.kind, record.answer, len(writer.answers), rows, is_known=record.uuid.bytes in known)
            if record.answer.outcome == OK:
                known.add(record.uuid.bytes)
            writer.answers.append(_answer(record, record.answer, len(writer.answers), content_))
    rows.close()
    if count < task.records:
        damages.append((f"{path.name} holds {count} records, its harvest wrote {task.records}", 0))


def _taken(kind: str, answer: Answer, record: int, rows: Rows, *, is_known: bool) -> bytes | None:
    """Take over what an answer says, and give the digest of that: SHA-256 over the request and the records (docs/format.md)."""
    if answer.outcome != OK:
        return None
    digest = hashlib.sha256(ascii(answer.request.key).encode() + b"\n")
    if answer.request.key == PERMISSION_KEY:
        digest.update(hashlib.sha256(answer.body).hexdigest().encode() + b"\n")
        return digest.digest()
    is_empty = True
    for columns in parse_columns(kind, answer):
        if columns.record is CountSeen:  # harvest reconciles these
            continue
        is_empty = False
        digest.update(_line(columns))
        if not is_known:
            rows.add(record, columns)
    rows.came_from(len(answer.body))
    return None if is_empty else digest.digest()


def _line(columns: Columns) -> bytes:
    """Records as the content's digest takes them: a line of JSON."""
    try:
        return _ENCODER.encode([columns.record.__name__, columns.count, columns.values]) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, of which JSON knows nothing
        return ascii([columns.record.__name__, columns.count, sorted(columns.values.items())]).encode() + b"\n"


def _answer(record: EvidenceRecord, answer: Answer, number: int, content: bytes | None) -> dict[str, Any]:
    key = answer.request.key
    return {
        "record": number, "key": key.encode("utf-8", "surrogatepass"), "outcome": answer.outcome,
        "uuid": record.uuid.bytes if record.uuid else None, "content": content, "fetched_on": answer.fetched_at.date(),
        "evidence_id": record.evidence_id, "permission": answer.body if key == PERMISSION_KEY else None,
    }  # fmt: skip


def _coded(schema: pa.Schema) -> list[str]:
    """The columns that are worth a dictionary, by their paths."""
    lists = {field.name for field in schema if pa.types.is_list(field.type)}
    return [f"{name}.list.element" if name in lists else name for name in schema.names if name not in _DISTINCT]


class _Writer:
    """The files of a part: rows as they come, the answers at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, pq.ParquetWriter] = {}
        self.answers: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for writer in self._open.values():
            writer.close()
        if error is not None:
            return
        answers = pa.Table.from_pylist(self.answers, ANSWERS)
        pq.write_table(answers, self._folder / "answers.parquet", use_dictionary=_coded(ANSWERS), **_TABLE)

    def write(self, kind: str, rows: pa.Table) -> None:
        """The next rows of a kind."""
        if kind not in self._open:
            file, schema = self._folder / f"{kind}.parquet", schema_of(kind)
            self._open[kind] = pq.ParquetWriter(file, schema, use_dictionary=_coded(schema), **_TABLE)
        self._open[kind].write_table(rows)

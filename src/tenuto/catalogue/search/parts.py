"""The text index of an edition, made by several processes at a time: each writes a range of tracks, and their parts become one."""

import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import msgspec

from tenuto.archive.processes import processors
from tenuto.catalogue.edition import Edition
from tenuto.catalogue.runs import BATCH_ROWS
from tenuto.catalogue.search.build import build_index, join_parts
from tenuto.catalogue.search.rows import text_rows, top_bound
from tenuto.model.errors import TenutoError
from tenuto.model.progress import Progress

_OURS_BYTES = 250_000_000
"""What a process was seen to take beside tantivy's heap: libraries, rows as they are read, names that are remembered."""

_ALONE_TRACKS = 100_000
"""Up to so many tracks, other processes would take longer to begin than the work does."""


class Part(msgspec.Struct):
    """What a process of `part_process` is told on its stdin."""

    edition: str
    first_track: int
    end_track: int
    folder: str
    heap_bytes: int
    bound: int


def build_parts(edition: Edition, folder: Path, memory_bytes: int, progress: Progress) -> None:
    """Write the text index of an edition into an empty folder.

    Raises OSError where the disk is full, TenutoError where a process dies.
    """
    tracks = edition.info.tables["track"].rows
    progress.begin("text index", tracks, "tracks")
    workers = min(processors(), max(1, memory_bytes // (2 * _OURS_BYTES)))
    heap_bytes, bound = memory_bytes // workers - _OURS_BYTES, top_bound(edition)
    if tracks <= _ALONE_TRACKS:
        build_index(folder, text_rows(edition, range(tracks)), heap_bytes, bound)
        return
    each = -(-tracks // workers // BATCH_ROWS) * BATCH_ROWS
    parts = [
        Part(str(edition.folder), first, min(first + each, tracks), str(folder / f"part-{first}"), heap_bytes, bound)
        for first in range(0, tracks, each)
    ]
    with ExitStack() as closing:
        workers_ = [closing.enter_context(_Worker(part)) for part in parts]
        for worker in workers_:
            worker.wait(progress)
    join_parts(folder, [Path(part.folder) for part in parts], tracks)


class _Worker:
    """A process that writes a part. The kernel ends it with us, kill -9 included."""

    def __init__(self, part: Part) -> None:
        self._part = part
        Path(part.folder).mkdir()
        words = [sys.executable, "-P", "-m", "tenuto.catalogue.search.part_process", str(os.getpid())]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 -- our own words
        with suppress(BrokenPipeError):  # one that has died is heard of as one
            self._process.stdin.write(msgspec.json.encode(part))  # type: ignore[union-attr]
            self._process.stdin.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def wait(self, progress: Progress) -> None:
        """Until the part is whole; raises what kept it from that."""
        for line in self._process.stdout or ():
            said = msgspec.json.decode(line, type=int | tuple[int, str])
            if isinstance(said, tuple):
                raise OSError(said[0], said[1], self._part.folder)
            progress.advance(said)
        if code := self._process.wait():
            raise TenutoError(
                f"the process that made the text index of tracks {self._part.first_track:,} to {self._part.end_track:,} ended with "
                f"{f'signal {-code}' if code < 0 else f'exit code {code}'}; nothing is lost, the same again makes it anew"
            )

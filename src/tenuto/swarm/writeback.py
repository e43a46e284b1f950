"""Sending to the disk, while more is fetched, what was fetched."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

_SYNC_EVERY_S = 1.0


class Writeback:
    """Sends what was fetched to the disk meanwhile, so that little is left to be waited for when a crate is whole."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writeback")
        self._busy = self._thread.submit(_sync, [])
        self._ran_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def run(self, paths: list[Path]) -> None:
        """Begin another round, unless one is under way or was just now."""
        if self._busy.done() and time.monotonic() - self._ran_at > _SYNC_EVERY_S:
            self._ran_at = time.monotonic()
            self._busy = self._thread.submit(_sync, paths)


def _sync(paths: list[Path]) -> None:
    for path in paths:
        try:
            with path.open("rb") as file:
                os.fdatasync(file.fileno())
        except OSError:
            continue  # it is said where it matters: at the fsync before it gets its name

"""A publication in a folder."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from tenuto.model.errors import IntegrityError, SkipRecordError
from tenuto.publication.places.protocol import STEP_BYTES, Collected, Part, Sink, missing, nobody, too_long, too_short


class FolderPlace:
    """A publication in a folder; nothing outside of it is read, wherever its links lead. That of an archive, or of a mirror, has
    its crates in `crates/` beside it, where the disk knows no hard links.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = str(self.root)
        self.received_bytes = 0
        self._counting = Lock()
        self._own = [self.root]
        beside = (self.root.parent / "crates").resolve()
        if (self.root.parent / "tenuto.toml").is_file() and beside.is_relative_to(self.root.parent):
            self._own.append(beside)

    def where(self, path: str) -> Path:
        """Where a file lies, or would; its links are not followed yet."""
        there = self.root / path
        folder, _, name = path.partition("/")
        if folder == "crates" and len(self._own) > 1 and not there.exists():
            return self._own[1] / name
        return there

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """See Place."""
        with self._open(path) as file:
            size = os.fstat(file.fileno()).st_size
            wanted = max(0, size - offset) if count is None else count
            if wanted > max_bytes:
                raise too_long(f"{self.name}/{path}", max_bytes)
            taken = Collected()
            self._copy(file, path, taken, offset, wanted)
        return bytes(taken.content)

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """See Place."""
        self.gather(path, [Part(offset, count, sink)])

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = nobody) -> None:  # noqa: ARG002 -- see Place
        """See Place."""
        with self._open(path) as file:
            for part in parts:
                self._copy(file, path, part.sink, part.offset, part.count)

    def _copy(self, file: BinaryIO, path: str, sink: Sink, offset: int, count: int) -> None:
        size = os.fstat(file.fileno()).st_size
        if offset + count > size:
            raise too_short(f"{self.name}/{path}", offset, count, size)
        file.seek(offset)
        sink.begin()
        left = count
        while left and (part := self._part(file, path, min(left, STEP_BYTES))):
            with self._counting:
                self.received_bytes += len(part)
            left -= len(part)
            sink.write(part)
        if left:
            raise too_short(f"{self.name}/{path}", offset, count, offset + count - left)

    def _part(self, file: BinaryIO, path: str, count: int) -> bytes:
        try:
            return file.read(count)
        except OSError as error:
            raise SkipRecordError(
                f"{self.name}/{path} cannot be read: {error.strerror or error}", is_gone=False
            ) from None

    def _open(self, path: str) -> BinaryIO:
        try:
            target = self.where(path).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise missing(self.name, path) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise IntegrityError(f"{self.name}: {path} cannot be opened ({error})") from None
        if not any(target.is_relative_to(folder) for folder in self._own):
            raise IntegrityError(f"{self.name}: {path} leads out of the publication, to {target}; it is not read")
        try:
            handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # it was removed just now
            raise missing(self.name, path) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise IntegrityError(f"{self.name}: {path} is no plain file; it is not read")
        return os.fdopen(handle, "rb", buffering=0)

"""What a place is, to be read from: parts of files, each to its sink; and what may be wrong with what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenuto.model.errors import IntegrityError, SkipRecordError

STEP_BYTES = 256 * 1024
"""Read at once."""


class Sink(Protocol):
    """What takes bytes as they come."""

    def begin(self) -> None:
        """The first byte comes next; what was taken before is void (a try failed)."""

    def write(self, part: bytes) -> None:
        """The next bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a file, and what takes it."""

    offset: int
    count: int
    sink: Sink

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.count


def nobody(_: str) -> None:
    """Tell it to nobody."""


class Place(Protocol):
    """A publication's root. Paths are relative addresses as its documents have them.

    `name` is what messages call it; `received_bytes` counts all that really came, what was dropped included.
    """

    name: str
    received_bytes: int

    def read(self, path: str, offset: int = 0, count: int | None = None, *, max_bytes: int) -> bytes:
        """Exactly `count` bytes from `offset` on, or all to the end of the file.

        Raises SkipRecordError where there is no such file, IntegrityError where it is too short, or has more than `max_bytes`.
        """

    def stream(self, path: str, sink: Sink, offset: int, count: int) -> None:
        """Exactly `count` bytes from `offset` on, in parts; raises as `read` does."""

    def gather(self, path: str, parts: Sequence[Part], say: Callable[[str], None] = nobody) -> None:
        """Several ranges of one file, each to its sink, the file received at most once; raises as `read` does.

        `say` is told where much more will come than was asked for.
        """


class Collected:
    """A sink that keeps what it takes."""

    def __init__(self) -> None:
        self.content = bytearray()

    def begin(self) -> None:
        """Forget what was taken."""
        self.content.clear()

    def write(self, part: bytes) -> None:
        """Keep it."""
        self.content += part


def missing(name: str, path: str) -> SkipRecordError:
    """The place has no such file."""
    if path.startswith("index.json"):
        return SkipRecordError(
            f"{name} holds no {path}; is it the root of a publication? Give the address or folder that holds index.json"
        )
    return SkipRecordError(
        f"{name} holds no {path}, which its index names; tell its operator, or take it from another mirror with --from"
    )


def too_short(what: str, offset: int, count: int, size: int | None) -> IntegrityError:
    """A file ends before what is promised of it."""
    has = "ends before that" if size is None else f"has {size:,} bytes"
    return IntegrityError(f"{what} is cut off: bytes {offset:,} to {offset + count:,} are promised, it {has}")


def too_long(what: str, max_bytes: int) -> IntegrityError:
    """A file has more than it may have."""
    return IntegrityError(f"{what} has more than the {max_bytes:,} bytes that it may have; it was not read further")

"""Everything that can go wrong, grouped by what the caller does next.

TenutoError                 1  a bug: anything else that reaches the top
├── UsageError              2  the words of the command line are off
├── SettingsError           3  tenuto.toml, a permission or a listens file is off: mend it, run again
├── MissingToolError        4  a program or library is not here: install it
├── SourceError             5  a source did not answer as it should
│   ├── RetriableError         try the same request again, after `retry_after_s`
│   ├── SkipRecordError        this one thing cannot be had; the rest goes on
│   ├── SourceRefusedError     it does not let us in (login, licence, protocol): nothing goes on
│   └── SourceDownError        it is gone: what is kept stays, a later run resumes
├── RightsError             6  not permitted: never retried, never forced
├── IntegrityError          7  bytes are not what was promised: stop, delete nothing
├── ArchiveInUseError       8  another process works in this archive
└── PartlyDoneError         9  done, with failed items

130 is Ctrl-C: what was made durable stays, run again to resume. Codes are never renumbered (docs/errors.md).
"""

from collections.abc import Collection
from typing import ClassVar

_GRAVEST = (1, 7, 6, 3, 4, 2, 8, 5, 9)
"""Exit codes, the one first that must not be hidden by the others: a bug or a full disk, damage, then what is to be mended."""


class TenutoError(Exception):
    """The root; `exit_code` is what the process ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(TenutoError):
    """The words of the command line do not fit."""

    exit_code = 2


class SettingsError(TenutoError):
    """A file that the operator writes is wrong; the message names every mistake in it."""

    exit_code = 3


class MissingToolError(TenutoError):
    """A program or library that this step needs is not installed."""

    exit_code = 4


class SourceError(TenutoError):
    """A source did not answer as it should."""

    exit_code = 5


class RetriableError(SourceError):
    """The same request may succeed later; `retry_after_s` is the source's own wish in seconds, or None."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SkipRecordError(SourceError):
    """One record cannot be had.

    `is_gone` is whether the source says that it does not have it; else nobody knows, and what was known stays.
    """

    def __init__(self, message: str, *, is_gone: bool = True) -> None:
        super().__init__(message)
        self.is_gone = is_gone


class SourceRefusedError(SourceError):
    """The source does not let us in at all: wrong credentials, an expired licence, another protocol."""


class SourceDownError(SourceError):
    """The source stopped answering; a later run resumes where this one stopped."""


class RightsError(TenutoError):
    """Not permitted; never retried and never forced."""

    exit_code = 6


class IntegrityError(TenutoError):
    """Bytes differ from what was promised; nothing is deleted."""

    exit_code = 7


class ArchiveInUseError(TenutoError):
    """Another process holds the archive's lock."""

    exit_code = 8


class PartlyDoneError(TenutoError):
    """The work is done but for items that failed, each with its finding."""

    exit_code = 9


def gravest(codes: Collection[int]) -> int:
    """The exit code of several faults: the one that must not be hidden by the others; 0 where there are none."""
    faults = {code for code in codes if code}
    return next((code for code in _GRAVEST if code in faults), TenutoError.exit_code if faults else 0)


def fault_said(error: Exception) -> tuple[int, str]:
    """The exit code of a fault, and what is said of it: its own words, the system's, or that it is a bug."""
    if isinstance(error, TenutoError):
        return error.exit_code, str(error)
    if isinstance(error, OSError):
        return TenutoError.exit_code, system_fault(error)
    said = f"a bug: {type(error).__name__}: {error}\nTENUTO_DEBUG=1 shows where; please report it"
    return TenutoError.exit_code, said


def system_fault(error: OSError) -> str:
    """What the system refused, as a sentence with what to do next."""
    place = f" {error.filename}" if error.filename else ""
    return f"the system says{place}: {error.strerror or error}; mend that and run the same again"

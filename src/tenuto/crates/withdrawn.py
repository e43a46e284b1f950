"""What the archive has withdrawn: the log that is public, and, for the archive alone, the digests of the recordings.

A source changes its ids and files change their names: a recording that was taken back is known again by its SHA-256 only. Those
may not be published, so they stand in a file of their own (docs/format.md, Withdrawals).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenuto.archive import Layout, write_durably
from tenuto.crates.wanted import load_log
from tenuto.model.errors import IntegrityError
from tenuto.rights.withdrawals import Log

_FIELDS = {"is_destroyed", "seq", "sha256"}


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The log, and the SHA-256 of each recording (as kept, and of its original) that it speaks of: whether it is destroyed."""

    log: Log
    digests: Mapping[str, bool]

    def forbids_keeping(self, sha256: str, *, is_dark: bool) -> bool:
        """Whether a recording may not be put into a crate: a destroyed one into none, another one into no open crate."""
        is_destroyed = self.digests.get(sha256)
        return is_destroyed is not None and (is_destroyed or not is_dark)


def load_taken_back(layout: Layout) -> TakenBack:
    """Log and digests; raises IntegrityError where either is not as it was written."""
    digests: dict[str, bool] = {}
    for number, line in enumerate(_lines(layout), 1):
        try:
            values = json.loads(line)
            if set(values) != _FIELDS or len(values["sha256"]) != 64:  # noqa: PLR2004 -- hex digits of SHA-256
                raise ValueError("it has other fields")  # noqa: TRY301 -- one message for all that may be wrong
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityError(
                f"{layout.withdrawn_recordings}: line {number} is no withdrawn recording ({error}); bring it back from a copy"
            ) from None
        digests[values["sha256"]] = digests.get(values["sha256"], False) or bool(values["is_destroyed"])
    return TakenBack(load_log(layout), digests)


def note_recordings(layout: Layout, seq: int, digests: Iterable[str], *, is_destroyed: bool) -> None:
    """Note the digests of what withdrawal `seq` takes back, before the log itself says so."""
    lines = [*_lines(layout)]
    for sha256 in sorted(set(digests)):
        said = json.dumps(
            {"is_destroyed": is_destroyed, "seq": seq, "sha256": sha256}, sort_keys=True, separators=(",", ":")
        )
        if said.encode() not in lines:
            lines.append(said.encode())
    write_durably(layout.withdrawn_recordings, b"".join(line + b"\n" for line in lines), 0o600)


def _lines(layout: Layout) -> list[bytes]:
    try:
        return layout.withdrawn_recordings.read_bytes().splitlines()
    except FileNotFoundError:
        return []

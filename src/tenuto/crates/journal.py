"""The folder in which a draft's recordings gather until they are sealed, and its journal: what is in it is on the disk."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tenuto.archive.durable import make_folder, remove_leftovers, sync_folder, write_durably

JOURNAL_NAME = "journal.jsonl"
GONE, UNAVAILABLE, DAMAGED, REFUSED, CRASHED = (
    "recording-gone", "recording-unavailable", "recording-damaged", "recording-refused", "recording-crashes",
)  # fmt: skip

TAKEN_BACK = "withdrawn (the same bytes were taken back under another id)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one track: a recording in `file`, or the failure `code` with its reason.

    `bytes`, `sha256` and `crc32` are of the recording as it is kept, `sealed_…` of its age file in a dark crate; `state` is the
    source's file as it was when fetched. `reason` may name a path of the source: it is for the operator alone.
    """

    key: str
    offer_digest: str
    evidence_id: int
    code: str = ""
    reason: str = ""
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    crc32: int = 0
    mime: str = ""
    codec: str | None = None
    sample_rate_hz: int | None = None
    channels_count: int | None = None
    samples_count: int | None = None
    duration_ms: int | None = None
    tier: str = ""
    derived_from: str | None = None
    is_lossy_to_lossy: bool = False
    sealed_bytes: int | None = None
    sealed_sha256: str | None = None
    sealed_crc32: int | None = None
    state: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether there is a recording."""
        return not self.code


class DraftFolder:
    """One draft's folder. One process at a time writes here; whatever it has written is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = path / JOURNAL_NAME
        make_folder(path)
        path.chmod(0o700)
        remove_leftovers(path)
        self._mend()
        self.outcomes = {outcome.key: outcome for outcome in read_journal(self._journal)}

    def note(self, outcome: Outcome) -> None:
        """Append an outcome; its file, if any, must be durable already."""
        is_new = not self._journal.exists()
        with self._journal.open("ab") as file:
            file.write(msgspec.json.encode(outcome) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path)
        self.outcomes[outcome.key] = outcome

    def take(self, temporary: Path, name: str) -> None:
        """Give a finished temporary file its name, durably."""
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(self.path / name)
        sync_folder(self.path)

    def take_over(self, file: Path, outcome: Outcome) -> bool:
        """Move a recording of another draft in, durably, as `outcome.file`, and note it; whether it is there and whole.

        A kill between moving and noting leaves it under its new name, where the next call finds it.
        """
        if file.is_file():
            self.take(file, outcome.file)
            sync_folder(file.parent)
        if not self.holds(outcome):
            return False
        self.note(outcome)
        return True

    def holds(self, outcome: Outcome) -> bool:
        """Whether the file of an outcome is there, as long as it was."""
        file = self.path / outcome.file
        size = outcome.sealed_bytes if outcome.sealed_bytes is not None else outcome.bytes
        return outcome.is_kept and file.is_file() and file.stat().st_size == size

    def discard(self, outcome: Outcome) -> None:
        """Delete the recording of this track, if there is one, and note the outcome that takes its place."""
        earlier = self.outcomes.get(outcome.key)
        if earlier is not None and earlier.file:
            (self.path / earlier.file).unlink(missing_ok=True)
            sync_folder(self.path)
        self.note(outcome)

    def forget(self, key: str) -> None:
        """Forget an outcome: it will be fetched again."""
        self.outcomes.pop(key, None)

    def close(self, journals: Path) -> None:
        """Keep the journal for the archive's status, and remove the folder: the draft is sealed.

        Of what was kept only that it was: the rest stands in the crate, and of dark recordings nowhere else.
        """
        content = b"".join(msgspec.json.encode(_closed(outcome)) + b"\n" for outcome in self.outcomes.values())
        write_durably(journals / f"{self.path.name}.jsonl", content, 0o600)
        shutil.rmtree(self.path)

    def _mend(self) -> None:
        """Cut off a line that a kill or a full disk left half written."""
        if not self._journal.exists():
            return
        content = self._journal.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self._journal, content.rfind(b"\n") + 1)


def _closed(outcome: Outcome) -> Outcome:
    return Outcome(key=outcome.key, offer_digest=outcome.offer_digest, evidence_id=outcome.evidence_id, code=outcome.code,
                   reason=outcome.reason)  # fmt: skip


def drop_outcomes(folder: Path, is_gone: Callable[[Outcome], bool]) -> int:
    """Delete recordings from a draft that nobody works on: the files first, then their lines; returns how many recordings."""
    journal = folder / JOURNAL_NAME
    found = list(read_journal(journal))
    gone = [outcome for outcome in found if outcome.is_kept and is_gone(outcome)]
    if not gone:
        return 0
    for outcome in gone:
        (folder / outcome.file).unlink(missing_ok=True)
    sync_folder(folder)
    lines = (msgspec.json.encode(outcome) + b"\n" for outcome in found if outcome not in gone)
    write_durably(journal, b"".join(lines), 0o600)
    return len({outcome.key for outcome in gone})


def read_journal(file: Path) -> Iterator[Outcome]:
    """The outcomes in a journal, in order; of one track the last one holds."""
    if not file.exists():
        return
    for line in file.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=Outcome)
        except msgspec.MsgspecError:
            continue  # the end of a line that was cut off: what it told is fetched again

"""What the archive has withdrawn: the log that is public, and, for the archive alone, the digests of the recordings.

A source changes its ids and files change their names: a recording that was taken back is known again by its SHA-256 only. Those
may not be published, so they stand in a file of their own (docs/format.md, Withdrawals).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from tenuto.archive import Layout, write_durably
from tenuto.archive.durable import remove_leftovers
from tenuto.crates.holdings import crate_files
from tenuto.crates.journal import JOURNAL_NAME, Outcome, drop_outcomes, read_journal
from tenuto.crates.reader import CrateFile
from tenuto.crates.wanted import load_log
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import track_key
from tenuto.rights.withdrawals import Log, Withdrawal

_FIELDS = {"is_destroyed", "seq", "sha256"}


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The log, and the SHA-256 of each recording (as kept, and of its original) that it speaks of: whether it is destroyed.

    `seqs` tells by which line of the log; one that was noted and whose line was never written is forbidden, and stays where it is.
    """

    log: Log
    digests: Mapping[str, bool]
    seqs: Mapping[str, int] = field(default_factory=dict)

    def forbids_keeping(self, sha256: str, *, is_dark: bool) -> bool:
        """Whether a recording may not be put into a crate: a destroyed one into none, another one into no open crate."""
        is_destroyed = self.digests.get(sha256)
        return is_destroyed is not None and (is_destroyed or not is_dark)

    def of_recording(self, *digests: str | None) -> Withdrawal | None:
        """The withdrawal of a recording by its SHA-256 or its original's, whatever its track is called now."""
        for sha256 in digests:
            seq = self.seqs.get(sha256 or "", 0)
            if 0 < seq <= len(self.log.entries):
                return self.log.entries[seq - 1].model_copy(update={"is_destroyed": self.digests[sha256 or ""]})
        return None

    def taken_out(self, table: pa.Table, *, is_dark: bool) -> dict[int, Withdrawal]:
        """The rows of a crate's table that are to be taken out, by track key or by digest: of a dark crate what is destroyed."""
        known, found = self.log.by_key(), {}
        names = ("source", "track_id", "sha256", "derived_from")
        rows = zip(*(table[name].to_pylist() for name in names), strict=True) if known else ()
        for row, (source, track_id, sha256, original) in enumerate(rows):
            for one in (known.get(track_key(source, track_id)), self.of_recording(sha256, original)):
                if one is not None and (one.is_destroyed or not is_dark) and (row not in found or one.is_destroyed):
                    found[row] = one
        return found


def load_taken_back(layout: Layout) -> TakenBack:
    """Log and digests; raises IntegrityError where either is not as it was written."""
    digests, seqs = dict[str, bool](), dict[str, int]()
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
        seqs[values["sha256"]] = int(values["seq"])
    return TakenBack(known_log(layout), digests, seqs)


def known_log(layout: Layout) -> Log:
    """The archive's withdrawals; raises IntegrityError where the ones that are published do not all stand in it.

    The chain shows each line that is changed or taken out, but not that the newest are gone: the published copy does.
    """
    log, published = load_log(layout), layout.publication / layout.withdrawals.name
    try:
        content = published.read_bytes()
    except FileNotFoundError:
        return log
    if not log.encode().startswith(content):
        raise IntegrityError(
            f"{layout.withdrawals} has {len(log.entries)} withdrawals, and {published} is not its beginning: some were taken out "
            f"or changed; compare the two, and bring back the longer one (cp {published} {layout.withdrawals})"
        )
    return log


def lost_withdrawals(layout: Layout) -> dict[str, list[str]]:
    """Crate -> the track keys that it says were withdrawn and that the log does not have; unreadable crates say nothing."""
    known, found = load_log(layout).by_key(), dict[str, list[str]]()
    for path in crate_files(layout):
        try:
            lost = sorted({one.key for one in CrateFile(path).withdrawn()} - known.keys())
        except IntegrityError:
            continue  # no crate, or one without that list: its own findings say so
        if lost:
            found[path.stem] = lost
    return found


def load_whole(layout: Layout) -> TakenBack:
    """As `load_taken_back`; raises IntegrityError also where a crate says of a withdrawal that the log does not have."""
    taken, lost = load_taken_back(layout), lost_withdrawals(layout)
    if lost:
        crate, keys = next(iter(lost.items()))
        raise IntegrityError(
            f"{layout.withdrawals} has {len(taken.log.entries)} withdrawals, and {len(lost)} crates name others: {crate} was "
            f"written anew without {keys[0]}, which the log does not have; bring the log back from a copy or from a mirror"
        )
    return taken


def drafted(layout: Layout) -> list[Outcome]:
    """The recordings in drafts that are not sealed; one of an open draft has no `sealed_bytes`."""
    journals = sorted(layout.drafts.glob(f"*/{JOURNAL_NAME}"))
    return [one for journal in journals for one in read_journal(journal) if one.is_kept]


def clear_drafts(layout: Layout, taken: TakenBack) -> int:
    """Delete from the drafts what was withdrawn: from open ones all, from dark ones what is destroyed; how many those were."""
    known = taken.log.by_key()

    def is_gone(one: Outcome) -> bool:
        is_dark = one.sealed_bytes is not None
        withdrawals = (known.get(one.key), taken.of_recording(one.sha256, one.derived_from))
        return any(found is not None and (found.is_destroyed or not is_dark) for found in withdrawals)

    count = 0
    for journal in sorted(layout.drafts.glob(f"*/{JOURNAL_NAME}")) if known else ():
        if gone := drop_outcomes(journal.parent, is_gone):
            remove_leftovers(journal.parent)
            count += gone
    return count


def note_recordings(layout: Layout, seq: int, digests: Iterable[str], *, is_destroyed: bool) -> None:
    """Note the digests of what withdrawal `seq` takes back, before the log itself says so."""
    note_all(layout, [(seq, is_destroyed, digests)])


def note_all(layout: Layout, withdrawals: Iterable[tuple[int, bool, Iterable[str]]]) -> None:
    """As `note_recordings`, for many withdrawals: of each seq, whether it is destroyed, digests."""
    lines = dict.fromkeys(_lines(layout))
    before = len(lines)
    for seq, is_destroyed, digests in withdrawals:
        for sha256 in sorted(set(digests)):
            said = {"is_destroyed": is_destroyed, "seq": seq, "sha256": sha256}
            lines[json.dumps(said, sort_keys=True, separators=(",", ":")).encode()] = None
    if len(lines) == before:
        return
    write_durably(layout.withdrawn_recordings, b"".join(line + b"\n" for line in lines), 0o600)


def _lines(layout: Layout) -> list[bytes]:
    try:
        return layout.withdrawn_recordings.read_bytes().splitlines()
    except FileNotFoundError:
        return []

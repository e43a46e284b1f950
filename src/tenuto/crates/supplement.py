"""Drafts for what failed in crates that are sealed: a sealed crate is never written again, so they get one of their own."""

import hashlib
from collections.abc import Sequence

import msgspec

from tenuto.archive import Layout, write_durably
from tenuto.crates.journal import read_journal
from tenuto.crates.wanted import Draft, edition_of, load_log, load_wanted
from tenuto.selection.plan import Plan


def load_supplements(layout: Layout, plan: Plan) -> list[Draft]:
    """The drafts made for a plan after its own."""
    try:
        return msgspec.json.decode((layout.journals / f"{plan.plan}.supplements.json").read_bytes(), type=list[Draft])
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def make_supplements(layout: Layout, archive: str, plan: Plan, drafts: Sequence[Draft]) -> None:
    """Make a draft of each band and access for what failed in drafts that are sealed or came to nothing."""
    supplements = load_supplements(layout, plan)
    every = [*drafts, *supplements]
    failed: dict[tuple[str, str], list[int]] = {}
    for draft in every:
        journal = layout.journals / f"{draft.crate}.jsonl"
        if (layout.drafts / draft.crate).exists() or not journal.exists():
            continue
        codes = {outcome.key: outcome.code for outcome in read_journal(journal)}
        if not any(codes.values()):
            continue
        for wanted in load_wanted(layout, plan, edition_of(layout, plan), draft, load_log(layout)):
            if codes.get(wanted.key):
                failed.setdefault((draft.band, draft.access), []).append(wanted.track_row)
        _forget_failures(layout, draft)
    for (band, access), rows in sorted(failed.items()):
        supplements.append(
            _supplement(f"{archive}-{plan.number}", [*drafts, *supplements], band, access, tuple(sorted(rows)))
        )
    if failed:
        write_durably(layout.journals / f"{plan.plan}.supplements.json", msgspec.json.encode(supplements), 0o600)


def _supplement(prefix: str, every: Sequence[Draft], band: str, access: str, rows: tuple[int, ...]) -> Draft:
    """A draft numbered after all others of its band."""
    seq = 1 + max((int(draft.crate.rsplit("-", 2)[1]) for draft in every if draft.band == band), default=0)
    digest = hashlib.sha256("\n".join(map(str, rows)).encode()).hexdigest()[:8]
    return Draft(crate=f"{prefix}-{band}-{seq:04d}-{digest}", band=band, access=access, track_rows=rows)


def _forget_failures(layout: Layout, draft: Draft) -> None:
    """Leave in a closed journal what was kept: the failures are the supplement's now."""
    file = layout.journals / f"{draft.crate}.jsonl"
    kept = [outcome for outcome in read_journal(file) if outcome.is_kept]
    write_durably(file, b"".join(msgspec.json.encode(outcome) + b"\n" for outcome in kept), 0o600)

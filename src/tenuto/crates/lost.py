"""Journals of sealed drafts, made again from plan and crates where `state/` was deleted (design, law 4)."""

from collections.abc import Sequence

import msgspec

from tenuto.archive import Layout, write_durably
from tenuto.catalogue import Edition
from tenuto.crates.held import Held
from tenuto.crates.journal import UNAVAILABLE, Outcome, read_journal
from tenuto.crates.supplement import load_supplements
from tenuto.crates.wanted import Draft, is_sealed, load_log, load_wanted
from tenuto.selection.plan import Plan

LOST = "its crate was sealed without it; the journal that says why is lost"


def restore_journals(
    layout: Layout, plan: Plan, edition: Edition, planned: Sequence[Draft], known: Held, *, is_thorough: bool
) -> None:
    """Note as failed what a sealed draft asked for and no crate holds; `is_thorough`: also where there is a journal.

    What a dark crate holds that cannot be read here is not known, so the journals of dark drafts then stay as they are.
    """
    supplements = load_supplements(layout, plan)
    log = load_log(layout)
    withdrawn = log.by_key()
    for number, draft in enumerate([*planned, *supplements]):
        journal = layout.journals / f"{draft.crate}.jsonl"
        if not is_sealed(layout, draft) or (draft.is_dark and known.unread) or (journal.exists() and not is_thorough):
            continue
        outcomes = {outcome.key: outcome for outcome in read_journal(journal)}
        failed = sum(not outcome.is_kept for outcome in outcomes.values())
        lost = []
        if known.counts.get(draft.crate, 0) + failed < len(draft.track_rows):
            later = {row for one in supplements[max(0, number + 1 - len(planned)) :] for row in one.track_rows}
            lost = [
                Outcome(key=one.key, offer_digest=one.offer_digest, evidence_id=one.evidence_id, code=UNAVAILABLE, reason=LOST)
                for one in load_wanted(layout, plan, edition, draft, log)
                if one.key not in withdrawn and one.track_row not in later and not known.has(one, is_dark=draft.is_dark)
                and (one.key not in outcomes or outcomes[one.key].is_kept)
            ]  # fmt: skip
        if lost or not journal.exists():
            content = b"".join(
                msgspec.json.encode(one) + b"\n" for one in (outcomes | {one.key: one for one in lost}).values()
            )
            write_durably(journal, content, 0o600)

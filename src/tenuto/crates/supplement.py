"""Drafts for what failed in crates that are sealed: a sealed crate is never written again, so they get one of their own."""

import hashlib
import re
from collections.abc import Sequence
from datetime import date

import msgspec

from tenuto.archive import Layout, write_durably
from tenuto.crates.holdings import crate_files
from tenuto.crates.journal import REFUSED, read_journal
from tenuto.crates.wanted import Draft, edition_of, is_sealed, load_log, load_wanted, refusal_of
from tenuto.selection.plan import Plan


def load_supplements(layout: Layout, plan: Plan) -> list[Draft]:
    """The drafts made for a plan after its own."""
    try:
        return msgspec.json.decode((layout.journals / f"{plan.plan}.supplements.json").read_bytes(), type=list[Draft])
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def make_supplements(
    layout: Layout, archive: str, territory: str, plan: Plan, drafts: Sequence[Draft], today: date
) -> None:
    """Make a draft of each band and access for what failed in drafts that are sealed.

    What the gate still refuses stays as it is. The supplements are durable before the failures are forgotten; a run that was
    killed in between is finished by the next.
    """
    supplements = load_supplements(layout, plan)
    every = [*drafts, *supplements]
    failed: dict[tuple[str, str], list[int]] = {}
    taken: dict[str, set[str]] = {}
    for number, draft in enumerate(every):
        codes = {outcome.key: outcome.code for outcome in read_journal(layout.journals / f"{draft.crate}.jsonl")}
        if not is_sealed(layout, draft) or not any(codes.values()):
            continue
        later = {row for other in every[max(number + 1, len(drafts)) :] for row in other.track_rows}
        for wanted in load_wanted(layout, plan, edition_of(layout, plan), draft, load_log(layout)):
            code = codes.get(wanted.key)
            if not code or (code == REFUSED and refusal_of(wanted, draft, territory, today)):
                continue
            taken.setdefault(draft.crate, set()).add(wanted.key)
            if wanted.track_row not in later:
                failed.setdefault((draft.band, draft.access), []).append(wanted.track_row)
    for (band, access), rows in sorted(failed.items()):
        supplements.append(
            _supplement(layout, f"{archive}-{plan.number}", [*drafts, *supplements], band, access, tuple(sorted(rows)))
        )
    if failed:
        write_durably(layout.journals / f"{plan.plan}.supplements.json", msgspec.json.encode(supplements), 0o600)
    for crate, keys in taken.items():
        _forget_failures(layout, crate, keys)


def _supplement(
    layout: Layout, prefix: str, every: Sequence[Draft], band: str, access: str, rows: tuple[int, ...]
) -> Draft:
    """A draft numbered after all others of its band, those too of which only the crate is left."""
    names = [*(draft.crate for draft in every), *(path.stem for path in crate_files(layout))]
    numbered = re.compile(re.escape(f"{prefix}-{band}-") + "([0-9]+)-[0-9a-f]{8}")
    seq = 1 + max((int(found[1]) for name in names if (found := numbered.fullmatch(name))), default=0)
    digest = hashlib.sha256("\n".join(map(str, rows)).encode()).hexdigest()[:8]
    return Draft(crate=f"{prefix}-{band}-{seq:04d}-{digest}", band=band, access=access, track_rows=rows)


def _forget_failures(layout: Layout, crate: str, keys: set[str]) -> None:
    """Take failures out of a closed journal: they are the supplement's now."""
    file = layout.journals / f"{crate}.jsonl"
    kept = [outcome for outcome in read_journal(file) if outcome.key not in keys]
    write_durably(file, b"".join(msgspec.json.encode(outcome) + b"\n" for outcome in kept), 0o600)

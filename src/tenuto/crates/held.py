"""What the archive holds already, asked for one wanted track at a time, so that nothing is fetched twice."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from tenuto.archive import Layout, Settings
from tenuto.catalogue.edition import sql_rows
from tenuto.crates.holdings import survey
from tenuto.crates.journal import read_journal
from tenuto.crates.reader import CrateFile
from tenuto.crates.wanted import Wanted
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import track_key
from tenuto.sources import READS_FILES


@dataclass(frozen=True, slots=True)
class Held:
    """What the crates hold: by track key the tier, offer, evidence, and whether the crate is dark; how many rows a crate has.

    `unread` are dark crates whose identity is missing here; `by_plan` are the tracks that their plans put into them.
    """

    found: dict[str, list[tuple[str, str, int, bool]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unread: list[Path] = field(default_factory=list)
    by_plan: set[str] = field(default_factory=set)
    file_sources: frozenset[str] = frozenset()

    def has(self, wanted: Wanted, *, is_dark: bool) -> bool:
        """Whether a crate of this access holds the recording that is offered now, in its tier or as the original."""
        reads_files = wanted.source in self.file_sources
        return (is_dark and wanted.key in self.by_plan) or any(
            held_dark == is_dark and tier in {wanted.tier, "original"}
            and (evidence_id == wanted.evidence_id or (offer == wanted.offer_digest and not reads_files))
            for tier, offer, evidence_id, held_dark in self.found.get(wanted.key, ())
        )  # fmt: skip


def held_recordings(layout: Layout, settings: Settings, undone: Collection[str] = ()) -> Held:
    """All that is held; a crate that is `undone` lacks its torrent and is made anew.

    Raises IntegrityError where a crate is damaged: what it holds would be fetched again.
    """
    looked = survey(layout, settings)
    for path, said in looked.damaged.items():
        raise IntegrityError(f"{said}; run: tenuto check {path.stem}")
    held = Held(file_sources=frozenset(name for name, one in settings.sources.items() if one.kind in READS_FILES))
    for path, table in looked.found:
        if path.stem in undone:
            continue
        held.counts[path.stem] = table.num_rows
        columns = (table[name].to_pylist() for name in ("source", "track_id", "tier", "offer_digest", "evidence_id"))
        for source, track_id, tier, offer, evidence_id in zip(*columns, strict=True):
            one = (tier, offer, evidence_id, path.parent == layout.dark)
            held.found.setdefault(track_key(source, track_id), []).append(one)
    for path in looked.unread:
        if path.stem not in undone:
            held.unread.append(path)
            held.by_plan.update(track_key(*one) for one in planned_for(layout, path))
    return held


def planned_for(layout: Layout, path: Path) -> list[tuple[str, str]]:
    """The tracks (source, id) that the plan of a crate put into it, but those that its journal says failed.

    Empty where the plan is gone, or knows the crate not (a crate of what was withdrawn, a supplement).
    """
    info = CrateFile(path).info
    drafts, tracks = (layout.plan(info.get("Tenuto-Plan", "")) / f"{name}.parquet" for name in ("drafts", "tracks"))
    if not (drafts.is_file() and tracks.is_file()):
        return []
    failed = {outcome.key for outcome in read_journal(layout.journals / f"{path.stem}.jsonl") if outcome.code}
    with duckdb.connect() as con:
        found: list[tuple[str, str]] = con.execute(
            f"""SELECT source, track_id FROM {sql_rows(tracks)} JOIN {sql_rows(drafts)} d USING (draft)
                WHERE d.crate = ? ORDER BY track_row""",
            [path.stem]).fetchall()  # fmt: skip
    return [one for one in found if track_key(*one) not in failed]
